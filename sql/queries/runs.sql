-- name: list
-- hot: whoever looks at runs
-- Runs, newest first: ids are made in the order of time. A filter that is null lets everything pass. `is_alive` says of a
-- running one whether its lease holds.
-- params: source_id uuid, status text, since timestamptz, most integer
select
    runs.run_id,
    runs.source_id,
    sources.name as source,
    runs.ingest_mode,
    runs.status,
    runs.started_at,
    runs.finished_at,
    runs.error_class,
    runs.error_text,
    runs.lease_token,
    holders.holder,
    coalesce(holders.is_live, false) as is_alive,
    coalesce(jsonb_array_length(runs.report -> 'held'), 0) as held_streams,
    coalesce(totals.stream_count, 0) as stream_count,
    coalesce(totals.emitted, 0)::bigint as emitted,
    coalesce(totals.landed, 0)::bigint as landed,
    coalesce(totals.quarantined, 0)::bigint as quarantined
from pay_ready.sync_runs as runs
join pay_ready.data_sources as sources on sources.tenant_id = runs.tenant_id and sources.source_id = runs.source_id
left join lateral (
    select leases.holder, leases.expires_at > clock_timestamp() as is_live
    from pay_ready.leases as leases
    where leases.tenant_id = runs.tenant_id
      and leases.token = runs.lease_token
      and runs.status = 'running'
    limit 1
) as holders on true
left join lateral (
    select count(*) as stream_count, sum(streams.emitted) as emitted, sum(streams.landed) as landed,
        sum(streams.quarantined + streams.stage_quarantined) as quarantined
    from pay_ready.stream_runs as streams
    where streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
) as totals on true
where runs.tenant_id = %(tenant_id)s
  and (%(source_id)s::uuid is null or runs.source_id = %(source_id)s::uuid)
  and (%(status)s::text is null or runs.status = %(status)s::text)
  and (%(since)s::timestamptz is null or runs.started_at >= %(since)s::timestamptz)
  and (%(run_id)s::uuid is null or runs.run_id = %(run_id)s::uuid)
order by runs.run_id desc
limit %(most)s;

-- name: in_range
-- hot: every command about a run
-- Runs whose ids lie between two, newest first: those that begin with a prefix.
-- params: lowest uuid, highest uuid, most integer
select runs.run_id, sources.name as source, runs.status, runs.started_at
from pay_ready.sync_runs as runs
join pay_ready.data_sources as sources on sources.tenant_id = runs.tenant_id and sources.source_id = runs.source_id
where runs.tenant_id = %(tenant_id)s
  and runs.run_id between %(lowest)s and %(highest)s
order by runs.run_id desc
limit %(most)s;

-- name: of_pipeline_run
-- Syncs of a run of the whole pipeline, found by its steps: the id that `run etl` prints is none of a sync.
-- params: lowest uuid, highest uuid, most integer
select distinct runs.run_id, sources.name as source, runs.status, runs.started_at
from pay_ready.step_runs as steps
join pay_ready.data_sources as sources on sources.tenant_id = steps.tenant_id and sources.name = steps.subject
join pay_ready.sync_runs as runs
    on runs.tenant_id = steps.tenant_id
    and runs.source_id = sources.source_id
    and runs.started_at between steps.started_at and coalesce(steps.finished_at, clock_timestamp())
where steps.tenant_id = %(tenant_id)s
  and steps.run_id between %(lowest)s and %(highest)s
  and steps.step = 'sync'
order by runs.run_id desc
limit %(most)s;

-- name: watermarks
-- params: run_id uuid
select stream, coalesce(watermark_before, '') as watermark_before, coalesce(watermark_after, '') as watermark_after
from pay_ready.stream_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s;

-- name: report
-- params: run_id uuid
select report
from pay_ready.sync_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s;

-- name: lock_report
-- params: run_id uuid
select report
from pay_ready.sync_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
for update;

-- name: put_report
-- params: run_id uuid, report jsonb
update pay_ready.sync_runs
set report = %(report)s
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s;

-- name: recent_volumes
-- Records that each stream brought in its last complete runs of this way of ingest, ten at most, newest first. The replay of
-- quarantined rows is no volume.
-- params: source_id uuid, ingest_mode text, run_id uuid (that of who asks)
with recent as materialized (
    select runs.run_id
    from pay_ready.sync_runs as runs
    where runs.tenant_id = %(tenant_id)s
      and runs.source_id = %(source_id)s
      and runs.ingest_mode = %(ingest_mode)s
      and runs.run_id <> %(run_id)s
      and runs.status <> 'running'
      and not coalesce(runs.report @> '{"notes": ["replayed from quarantine"]}', false)
    order by runs.started_at desc
    limit 100
),
ranked as (
    select streams.stream, streams.emitted, row_number() over (partition by streams.stream order by streams.run_id desc) as place
    from recent
    join pay_ready.stream_runs as streams on streams.tenant_id = %(tenant_id)s and streams.run_id = recent.run_id
    where streams.status = 'complete'
)
select stream, emitted
from ranked
where place <= 10
order by stream, place;

-- name: backfill_of
-- What a backfill's run was a part of: the range of its whole plan.
-- params: run_id uuid
select
    plans.plan_id, case when plans.all_streams then '{}' else plans.streams end as streams, plans.range_start, plans.range_end,
    case
        when plans.chunk >= interval '1 month' then extract(year from plans.chunk) * 12 + extract(month from plans.chunk) || 'mo'
        when plans.chunk >= interval '1 day' then extract(day from plans.chunk) || 'd'
        else extract(hour from plans.chunk) || 'h'
    end as chunk,
    plans.dated_by
from pay_ready.backfill_runs as chunk_runs
join pay_ready.backfill_plans as plans on plans.tenant_id = chunk_runs.tenant_id and plans.plan_id = chunk_runs.plan_id
where chunk_runs.tenant_id = %(tenant_id)s
  and chunk_runs.run_id = %(run_id)s
limit 1;

-- name: lock
-- params: run_id uuid
select status, lease_token, source_id
from pay_ready.sync_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
for update;

-- name: abort
-- Close a run on somebody's word; no row when it was closed already.
-- params: run_id uuid, error_text text
update pay_ready.sync_runs
set status = 'aborted',
    finished_at = greatest(clock_timestamp(), started_at),
    error_class = 'Aborted',
    error_text = %(error_text)s
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
  and status = 'running';

-- name: fence_states
-- Streams that the run moved: from now on they refuse its token, also where nobody asks for the lease.
-- params: run_id uuid, source_id uuid, lease_token bigint
update pay_ready.stream_states
set lease_token = %(lease_token)s
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and run_id = %(run_id)s
  and lease_token < %(lease_token)s;
