-- How runs went, from step_runs: of a step that was tried again within a run the last try counts. A run is of the flow that its steps are of:
-- whatever looks at quality before a publish is etl where it synced, and resolve where it did not.

-- name: by_flow
-- params: since timestamptz, until timestamptz
with last_tries as (
    select distinct on (steps.run_id, steps.step, steps.subject)
        steps.run_id, steps.step, steps.subject, steps.status, steps.started_at, steps.finished_at, steps.row_count, steps.error_class
    from pay_ready.step_runs as steps
    where steps.tenant_id = %(tenant_id)s
      and steps.started_at >= %(since)s
      and steps.started_at < %(until)s
    order by steps.run_id, steps.step, steps.subject, steps.started_at desc
),
runs as (
    select
        run_id,
        case
            when bool_or(step in ('quality', 'volume', 'resolve')) then case when bool_or(step = 'sync') then 'etl' else 'resolve' end
            when bool_or(step in ('sync', 'stage')) then 'sync'
            when bool_or(step in ('prune', 'reconcile', 'verify', 'drift')) then 'maintenance'
            else min(step)
        end as flow,
        min(started_at) as started_at,
        case when bool_or(status = 'running') then null else max(finished_at) end as finished_at,
        case
            when bool_or(status in ('failed', 'aborted')) then 'failed'
            when bool_or(status = 'running') then 'running'
            when bool_or(status = 'partial') then 'partial'
            else 'complete'
        end as status
    from last_tries
    group by run_id
)
select
    runs.flow,
    count(*) as runs,
    count(*) filter (where runs.status = 'complete') as complete,
    count(*) filter (where runs.status = 'partial') as partial,
    count(*) filter (where runs.status in ('failed', 'aborted')) as failed,
    count(*) filter (where runs.status = 'running') as running,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by extract(epoch from runs.finished_at - runs.started_at)::double precision)
        as seconds
from runs
group by runs.flow
order by runs.flow;

-- name: by_step
-- params: since timestamptz, until timestamptz
with last_tries as (
    select distinct on (steps.run_id, steps.step, steps.subject)
        steps.run_id, steps.step, steps.subject, steps.status, steps.started_at, steps.finished_at, steps.row_count, steps.error_class
    from pay_ready.step_runs as steps
    where steps.tenant_id = %(tenant_id)s
      and steps.started_at >= %(since)s
      and steps.started_at < %(until)s
    order by steps.run_id, steps.step, steps.subject, steps.started_at desc
),
runs as (
    select
        run_id,
        case
            when bool_or(step in ('quality', 'volume', 'resolve')) then case when bool_or(step = 'sync') then 'etl' else 'resolve' end
            when bool_or(step in ('sync', 'stage')) then 'sync'
            when bool_or(step in ('prune', 'reconcile', 'verify', 'drift')) then 'maintenance'
            else min(step)
        end as flow,
        min(started_at) as started_at,
        case when bool_or(status = 'running') then null else max(finished_at) end as finished_at,
        case
            when bool_or(status in ('failed', 'aborted')) then 'failed'
            when bool_or(status = 'running') then 'running'
            when bool_or(status = 'partial') then 'partial'
            else 'complete'
        end as status
    from last_tries
    group by run_id
)
select
    runs.flow,
    last_tries.step,
    count(*) as runs,
    count(*) filter (where last_tries.status = 'complete') as complete,
    count(*) filter (where last_tries.status = 'partial') as partial,
    count(*) filter (where last_tries.status in ('failed', 'aborted')) as failed,
    count(*) filter (where last_tries.status = 'running') as running,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by extract(epoch from last_tries.finished_at - last_tries.started_at)::double precision)
        as seconds,
    sum(last_tries.row_count)::bigint as row_count
from last_tries
join runs on runs.run_id = last_tries.run_id
group by runs.flow, last_tries.step
order by runs.flow, min(last_tries.started_at - runs.started_at), last_tries.step;

-- name: slowest
-- The steps that took longest.
-- params: since timestamptz, until timestamptz, most integer
select steps.run_id, steps.step, steps.subject, steps.status, steps.started_at, steps.row_count,
    extract(epoch from steps.finished_at - steps.started_at)::double precision as seconds
from pay_ready.step_runs as steps
where steps.tenant_id = %(tenant_id)s
  and steps.started_at >= %(since)s
  and steps.started_at < %(until)s
  and steps.finished_at is not null
order by steps.finished_at - steps.started_at desc, steps.step_run_id
limit %(most)s;

-- name: errors
-- What steps ended with, tries that were repeated among them.
-- params: since timestamptz, until timestamptz
select steps.step, steps.error_class, count(*) as times, count(distinct steps.run_id) as runs, max(steps.started_at) as last_at
from pay_ready.step_runs as steps
where steps.tenant_id = %(tenant_id)s
  and steps.started_at >= %(since)s
  and steps.started_at < %(until)s
  and steps.error_class is not null
group by steps.step, steps.error_class
order by count(*) desc, steps.step, steps.error_class;

-- name: by_day
-- Days (UTC) on which anything ran.
-- params: since timestamptz, until timestamptz
with last_tries as (
    select distinct on (steps.run_id, steps.step, steps.subject)
        steps.run_id, steps.step, steps.subject, steps.status, steps.started_at, steps.finished_at, steps.row_count, steps.error_class
    from pay_ready.step_runs as steps
    where steps.tenant_id = %(tenant_id)s
      and steps.started_at >= %(since)s
      and steps.started_at < %(until)s
    order by steps.run_id, steps.step, steps.subject, steps.started_at desc
),
runs as (
    select
        run_id,
        case
            when bool_or(step in ('quality', 'volume', 'resolve')) then case when bool_or(step = 'sync') then 'etl' else 'resolve' end
            when bool_or(step in ('sync', 'stage')) then 'sync'
            when bool_or(step in ('prune', 'reconcile', 'verify', 'drift')) then 'maintenance'
            else min(step)
        end as flow,
        min(started_at) as started_at,
        case when bool_or(status = 'running') then null else max(finished_at) end as finished_at,
        case
            when bool_or(status in ('failed', 'aborted')) then 'failed'
            when bool_or(status = 'running') then 'running'
            when bool_or(status = 'partial') then 'partial'
            else 'complete'
        end as status
    from last_tries
    group by run_id
)
select
    (runs.started_at at time zone 'UTC')::date as day,
    runs.flow,
    count(*) as runs,
    count(*) filter (where runs.status = 'complete') as complete,
    count(*) filter (where runs.status = 'partial') as partial,
    count(*) filter (where runs.status in ('failed', 'aborted')) as failed,
    count(*) filter (where runs.status = 'running') as running,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by extract(epoch from runs.finished_at - runs.started_at)::double precision)
        as seconds
from runs
group by 1, 2
order by 1, 2;

-- name: snapshot
-- What stands and what waits at the end of a run, as points of time series; a figure of a stream that was counted beside them.
-- params: run_id uuid, taken_at timestamptz, subjects text[], row_counts float[]
insert into pay_ready.metric_snapshots (tenant_id, metric_name, subject_id, taken_at, metric_value, run_id)
select %(tenant_id)s, counted.metric_name, '', %(taken_at)s, counted.metric_value, %(run_id)s
from (
    select 'entities.' || versions.entity_type as metric_name, count(*)::double precision as metric_value
    from pay_ready.entity_versions as versions
    where versions.tenant_id = %(tenant_id)s and versions.closed_run_no is null
    group by versions.entity_type
    union all
    select 'records.people', count(*) from pay_ready.person_records as people where people.tenant_id = %(tenant_id)s
    union all
    select 'records.companies', count(*) from pay_ready.company_records as companies where companies.tenant_id = %(tenant_id)s
    union all
    select 'records.interactions', count(*)
    from pay_ready.interaction_records as interactions
    where interactions.tenant_id = %(tenant_id)s and interactions.is_primary
    union all
    select 'quarantine.open', count(*)
    from pay_ready.quarantined_records as broken
    where broken.tenant_id = %(tenant_id)s and broken.status = 'open'
    union all
    select 'queue.resolve', count(distinct waiting.object_id) from pay_ready.resolution_queue as waiting where waiting.tenant_id = %(tenant_id)s
    union all
    select 'queue.memory', count(*) from pay_ready.memory_outbox as unheard where unheard.tenant_id = %(tenant_id)s
) as counted
union all
select %(tenant_id)s, 'stream.rows', given.subject_id, %(taken_at)s, given.metric_value, %(run_id)s
from unnest(%(subjects)s::text[], %(row_counts)s::double precision[]) as given (subject_id, metric_value)
on conflict (tenant_id, metric_name, subject_id, taken_at) do nothing;

-- name: trend
-- Points of the time series, the newest first; all but the streams' rows where no figure is named.
-- params: metric_name text or null, since timestamptz, most integer
select snapshots.metric_name, snapshots.subject_id, snapshots.taken_at, snapshots.metric_value, snapshots.run_id
from pay_ready.metric_snapshots as snapshots
where snapshots.tenant_id = %(tenant_id)s
  and snapshots.taken_at >= %(since)s
  and case
      when %(metric_name)s::text is null then snapshots.metric_name <> 'stream.rows'
      else snapshots.metric_name = %(metric_name)s::text
  end
order by snapshots.taken_at desc, snapshots.metric_name, snapshots.subject_id
limit %(most)s;
