-- name: find_plan
-- The open plan of a range, or else the newest complete one: the same source, streams, dates, boundaries. Lengths are compared
-- as text: as intervals, 30 days equal a month.
-- params: source_id uuid, range_start timestamptz, range_end timestamptz, chunk text, dated_by text, all_streams boolean, streams text[]
select plan_id, streams, all_streams, dated_by, range_start, range_end, chunk::text as chunk, status, created_at, finished_at
from pay_ready.backfill_plans
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and range_start = %(range_start)s
  and range_end = %(range_end)s
  and chunk::text = (%(chunk)s::interval)::text
  and dated_by = %(dated_by)s
  and all_streams = %(all_streams)s
  and (all_streams or streams = %(streams)s::text[])
  and status <> 'aborted'
order by status = 'complete', created_at desc, plan_id desc
limit 1;

-- name: plan
-- params: plan_id uuid
select plan_id, source_id, streams, all_streams, dated_by, range_start, range_end, chunk::text as chunk, status, created_at, finished_at
from pay_ready.backfill_plans
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s;

-- name: add_plan
-- params: plan_id uuid, source_id uuid, streams text[], all_streams boolean, dated_by text, range_start timestamptz, range_end timestamptz, chunk text
insert into pay_ready.backfill_plans (
    tenant_id, plan_id, source_id, stream, streams, all_streams, dated_by, range_start, range_end, chunk, status
)
select
    %(tenant_id)s, %(plan_id)s, %(source_id)s, case when cardinality(given.streams) = 1 then given.streams[1] end, given.streams,
    %(all_streams)s, %(dated_by)s, %(range_start)s, %(range_end)s, %(chunk)s::interval, 'planned'
from (values (%(streams)s::text[])) as given (streams);

-- name: add_chunks
-- params: plan_id uuid, source_id uuid, starts timestamptz[], ends timestamptz[], landed_before bigint[], estimated_rows bigint[]
insert into pay_ready.backfill_batches (
    tenant_id, plan_id, chunk_start, chunk_end, source_id, status, landed_before, estimated_rows
)
select %(tenant_id)s, %(plan_id)s, chunk_start, chunk_end, %(source_id)s, 'planned', landed_before, estimated_rows
from unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(landed_before)s::bigint[], %(estimated_rows)s::bigint[])
    as given (chunk_start, chunk_end, landed_before, estimated_rows);

-- name: chunks
-- The chunks of a plan in order, each with what all its runs did; seconds of runs that were killed are not known.
-- params: plan_id uuid
with counts as (
    select
        runs.chunk_start,
        sum(streams.emitted)::bigint as emitted,
        sum(streams.landed)::bigint as landed,
        sum(streams.unchanged)::bigint as unchanged,
        sum(streams.superseded)::bigint as superseded,
        sum(streams.deleted)::bigint as deleted,
        sum(streams.quarantined)::bigint as quarantined,
        sum(streams.suppressed)::bigint as suppressed,
        sum(streams.staged)::bigint as staged,
        sum(streams.unmapped)::bigint as unmapped,
        sum(streams.stage_quarantined)::bigint as stage_quarantined,
        sum(streams.skipped)::bigint as skipped,
        sum(streams.undated)::bigint as undated
    from pay_ready.backfill_runs as runs
    join pay_ready.stream_runs as streams on streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
    where runs.tenant_id = %(tenant_id)s
      and runs.plan_id = %(plan_id)s
    group by runs.chunk_start
),
times as (
    select runs.chunk_start, sum(extract(epoch from syncs.finished_at - syncs.started_at))::double precision as seconds
    from pay_ready.backfill_runs as runs
    join pay_ready.sync_runs as syncs on syncs.tenant_id = runs.tenant_id and syncs.run_id = runs.run_id
    where runs.tenant_id = %(tenant_id)s
      and runs.plan_id = %(plan_id)s
      and syncs.status not in ('running', 'aborted')
    group by runs.chunk_start
)
select
    chunks.chunk_start,
    chunks.chunk_end,
    chunks.status,
    chunks.attempts,
    chunks.landed_before,
    chunks.estimated_rows,
    chunks.error_class,
    chunks.error_text,
    coalesce(counts.emitted, 0) as emitted,
    coalesce(counts.landed, 0) as landed,
    coalesce(counts.unchanged, 0) as unchanged,
    coalesce(counts.superseded, 0) as superseded,
    coalesce(counts.deleted, 0) as deleted,
    coalesce(counts.quarantined, 0) as quarantined,
    coalesce(counts.suppressed, 0) as suppressed,
    coalesce(counts.staged, 0) as staged,
    coalesce(counts.unmapped, 0) as unmapped,
    coalesce(counts.stage_quarantined, 0) as stage_quarantined,
    coalesce(counts.skipped, 0) as skipped,
    coalesce(counts.undated, 0) as undated,
    coalesce(times.seconds, 0) as seconds
from pay_ready.backfill_batches as chunks
left join counts on counts.chunk_start = chunks.chunk_start
left join times on times.chunk_start = chunks.chunk_start
where chunks.tenant_id = %(tenant_id)s
  and chunks.plan_id = %(plan_id)s
order by chunks.chunk_start;

-- name: plans
-- The plans of a tenant, the newest first, each with how many of its chunks are in which state.
-- params: source_id uuid, most integer
select
    plans.plan_id,
    sources.name as source,
    plans.streams,
    plans.all_streams,
    plans.dated_by,
    plans.range_start,
    plans.range_end,
    plans.chunk::text as chunk,
    plans.status,
    plans.created_at,
    plans.finished_at,
    counts.chunks,
    counts.complete,
    counts.failed
from pay_ready.backfill_plans as plans
join pay_ready.data_sources as sources on sources.tenant_id = plans.tenant_id and sources.source_id = plans.source_id
cross join lateral (
    select
        count(*) as chunks,
        count(*) filter (where chunks.status = 'complete') as complete,
        count(*) filter (where chunks.status = 'failed') as failed
    from pay_ready.backfill_batches as chunks
    where chunks.tenant_id = plans.tenant_id and chunks.plan_id = plans.plan_id
) as counts
where plans.tenant_id = %(tenant_id)s
  and (%(source_id)s::uuid is null or plans.source_id = %(source_id)s::uuid)
order by plans.created_at desc, plans.plan_id desc
limit %(most)s;

-- name: partitions
-- Each stream of each chunk of a plan: whether it is there, and what its runs landed.
-- params: plan_id uuid
with counts as (
    select runs.chunk_start, streams.stream, sum(streams.emitted)::bigint as emitted, sum(streams.landed)::bigint as landed
    from pay_ready.backfill_runs as runs
    join pay_ready.stream_runs as streams on streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
    where runs.tenant_id = %(tenant_id)s
      and runs.plan_id = %(plan_id)s
    group by runs.chunk_start, streams.stream
)
select
    chunks.chunk_start,
    wanted.stream,
    case when states.is_complete then 'complete' else chunks.status end as status,
    coalesce(counts.emitted, 0) as emitted,
    coalesce(counts.landed, 0) as landed
from pay_ready.backfill_plans as plans
join pay_ready.backfill_batches as chunks on chunks.tenant_id = plans.tenant_id and chunks.plan_id = plans.plan_id
cross join lateral unnest(plans.streams) as wanted (stream)
left join pay_ready.backfill_states as states
    on states.tenant_id = chunks.tenant_id and states.plan_id = chunks.plan_id and states.chunk_start = chunks.chunk_start
    and states.stream = wanted.stream
left join counts on counts.chunk_start = chunks.chunk_start and counts.stream = wanted.stream
where plans.tenant_id = %(tenant_id)s
  and plans.plan_id = %(plan_id)s
order by chunks.chunk_start, wanted.stream;

-- name: claim_chunk
-- One chunk that waits, for whoever holds the backfill's lease under this token: each is claimed once under a token, and several readers
-- never wait for each other. Failed ones only when they are asked for.
-- params: plan_id uuid, token bigint, with_failed boolean, backwards boolean
update pay_ready.backfill_batches as chunks
set claim_token = %(token)s
where chunks.tenant_id = %(tenant_id)s
  and chunks.plan_id = %(plan_id)s
  and chunks.chunk_start = (
      select waiting.chunk_start
      from pay_ready.backfill_batches as waiting
      where waiting.tenant_id = %(tenant_id)s
        and waiting.plan_id = %(plan_id)s
        and waiting.status <> 'complete'
        and (waiting.status <> 'failed' or %(with_failed)s)
        and coalesce(waiting.claim_token, 0) < %(token)s
      order by
          case when %(backwards)s then waiting.chunk_start end desc,
          waiting.chunk_start
      limit 1
      for update skip locked
  )
returning chunk_start;

-- name: open_plan
-- A plan at the start of a chunk; no row when it is complete or was aborted.
-- params: plan_id uuid
update pay_ready.backfill_plans
set status = 'running'
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and status in ('planned', 'running');

-- name: begin_chunk
-- No row when the chunk is complete.
-- params: plan_id uuid, chunk_start timestamptz, run_id uuid
update pay_ready.backfill_batches
set status = 'running',
    attempts = attempts + 1,
    run_id = %(run_id)s,
    error_class = null,
    error_text = null
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and chunk_start = %(chunk_start)s
  and status <> 'complete';

-- name: link_run
-- params: plan_id uuid, chunk_start timestamptz, source_id uuid, run_id uuid
insert into pay_ready.backfill_runs (tenant_id, run_id, source_id, plan_id, chunk_start)
values (%(tenant_id)s, %(run_id)s, %(source_id)s, %(plan_id)s, %(chunk_start)s);

-- name: end_chunk
-- params: plan_id uuid, chunk_start timestamptz, status text, error_class text, error_text text
update pay_ready.backfill_batches
set status = %(status)s,
    finished_at = case when %(status)s = 'complete' then clock_timestamp() end,
    error_class = %(error_class)s,
    error_text = %(error_text)s
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and chunk_start = %(chunk_start)s;

-- name: forget_scratch
-- The scratch states of a chunk that is complete, or of all chunks of a plan (no chunk given).
-- params: plan_id uuid, chunk_start timestamptz
delete from pay_ready.backfill_states
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and (%(chunk_start)s::timestamptz is null or chunk_start = %(chunk_start)s::timestamptz);

-- name: finish_plan
-- No row while a chunk is not complete, or when the plan is over already.
-- params: plan_id uuid
update pay_ready.backfill_plans
set status = 'complete',
    finished_at = greatest(clock_timestamp(), created_at)
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and status in ('planned', 'running')
  and not exists (
      select from pay_ready.backfill_batches as chunks
      where chunks.tenant_id = %(tenant_id)s and chunks.plan_id = %(plan_id)s and chunks.status <> 'complete'
  );

-- name: abort_plan
-- params: plan_id uuid
update pay_ready.backfill_plans
set status = 'aborted',
    finished_at = greatest(clock_timestamp(), created_at)
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and status in ('planned', 'running');

-- name: drop_plan_keys
-- Keys that the passes of a plan have listed.
-- params: plan_id uuid, source_id uuid
delete from pay_ready.seen_keys
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and run_id in (
      select runs.run_id from pay_ready.backfill_runs as runs where runs.tenant_id = %(tenant_id)s and runs.plan_id = %(plan_id)s
  );

-- name: scratch_states
-- params: plan_id uuid, chunk_start timestamptz
select stream, scratch, pass_run_id, is_complete
from pay_ready.backfill_states
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and chunk_start = %(chunk_start)s
order by stream
for update;

-- name: begin_scratch
-- A stream at the start of a read of its chunk; the scratch state is dropped where the read starts anew.
-- params: plan_id uuid, chunk_start timestamptz, source_id uuid, stream text, pass_run_id uuid, keep_state boolean
insert into pay_ready.backfill_states as states (tenant_id, plan_id, chunk_start, stream, source_id, pass_run_id)
values (%(tenant_id)s, %(plan_id)s, %(chunk_start)s, %(stream)s, %(source_id)s, %(pass_run_id)s)
on conflict (tenant_id, plan_id, chunk_start, stream) do update
set scratch = case when %(keep_state)s then states.scratch end,
    pass_run_id = excluded.pass_run_id,
    updated_at = now();

-- name: drop_chunk_keys
-- Keys that the passes of a chunk have listed in a stream; those that a state covers stay where the read goes on from it.
-- params: plan_id uuid, chunk_start timestamptz, source_id uuid, stream text, keep_covered boolean
delete from pay_ready.seen_keys as seen
where seen.tenant_id = %(tenant_id)s
  and seen.source_id = %(source_id)s
  and seen.stream = %(stream)s
  and seen.run_id in (
      select runs.run_id
      from pay_ready.backfill_runs as runs
      where runs.tenant_id = %(tenant_id)s and runs.plan_id = %(plan_id)s and runs.chunk_start = %(chunk_start)s
  )
  and not (seen.covered and %(keep_covered)s);

-- name: lock_streams
-- The live rows of the streams of a flush: locked against staging and zombies, and left as they are. No row comes back for a
-- stream that a newer run has taken.
-- params: source_id uuid, streams text[], lease_token bigint
select stream
from pay_ready.stream_states
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = any(%(streams)s::text[])
  and lease_token <= %(lease_token)s
order by stream
for update;

-- name: move_scratch
-- No state leaves the one that is there.
-- params: plan_id uuid, chunk_start timestamptz, source_id uuid, streams text[], states text[]
insert into pay_ready.backfill_states as states (tenant_id, plan_id, chunk_start, stream, source_id, scratch)
select %(tenant_id)s, %(plan_id)s, %(chunk_start)s, moved.stream, %(source_id)s, moved.scratch
from unnest(%(streams)s::text[], %(states)s::text[]) as moved (stream, scratch)
on conflict (tenant_id, plan_id, chunk_start, stream) do update
set scratch = coalesce(excluded.scratch, states.scratch),
    updated_at = now();

-- name: clear_scratch
-- params: plan_id uuid, chunk_start timestamptz, stream text
update pay_ready.backfill_states
set scratch = null, updated_at = now()
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and chunk_start = %(chunk_start)s
  and stream = %(stream)s;

-- name: end_scratch
-- params: plan_id uuid, chunk_start timestamptz, stream text
update pay_ready.backfill_states
set is_complete = true, updated_at = now()
where tenant_id = %(tenant_id)s
  and plan_id = %(plan_id)s
  and chunk_start = %(chunk_start)s
  and stream = %(stream)s;

-- name: landed_by_cursor
-- Rows that stand, by stream and by the last of the marks that is not above their cursor (0: below all).
-- params: source_id uuid, streams text[], marks text[] (ascending)
select stream, width_bucket(cursor_order, %(marks)s::text[] collate "C") as bucket, count(*) as row_count
from pay_ready.landed_records
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = any(%(streams)s::text[])
  and deleted_at is null
group by 1, 2;

-- name: landed_by_emission
-- The same by the time at which the source emitted them.
-- params: source_id uuid, streams text[], marks timestamptz[] (ascending)
select stream, width_bucket(emitted_at, %(marks)s::timestamptz[]) as bucket, count(*) as row_count
from pay_ready.landed_records
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = any(%(streams)s::text[])
  and deleted_at is null
group by 1, 2;
