-- How a tenant stands: each part of `pay-ready status` in one statement, none of which reads more than it shows.

-- name: freshness
-- Each stream of each active source, and when its last complete sync ended; a backfill and a replay of quarantined rows bring nothing
-- up to date. What never came in is as old as its source.
select
    sources.name as source,
    coalesce(states.stream, '') as stream,
    done.finished_at,
    extract(epoch from clock_timestamp() - coalesce(done.finished_at, sources.created_at))::float8 as age_s
from pay_ready.data_sources as sources
left join pay_ready.stream_states as states
    on states.tenant_id = sources.tenant_id and states.source_id = sources.source_id and states.stream <> ''
left join lateral (
    select runs.finished_at
    from pay_ready.stream_runs as streams
    join pay_ready.sync_runs as runs on runs.tenant_id = streams.tenant_id and runs.run_id = streams.run_id
    where streams.tenant_id = %(tenant_id)s
      and streams.source_id = sources.source_id
      and streams.stream = states.stream
      and streams.status = 'complete'
      and runs.ingest_mode <> 'backfill'
      and runs.finished_at is not null
      and not coalesce(runs.report @> '{"notes": ["replayed from quarantine"]}', false)
    order by streams.run_id desc
    limit 1
) as done on true
where sources.tenant_id = %(tenant_id)s
  and sources.status = 'active'
order by sources.name, stream;

-- name: last_steps
-- The last run of each step and subject, found by walking from one to the next in the index.
with recursive kinds as (
    (
        select first.step, first.subject
        from pay_ready.step_runs as first
        where first.tenant_id = %(tenant_id)s
        order by first.step, first.subject
        limit 1
    )
    union all
    select following.step, following.subject
    from kinds
    cross join lateral (
        select more.step, more.subject
        from pay_ready.step_runs as more
        where more.tenant_id = %(tenant_id)s
          and (more.step, more.subject) > (kinds.step, kinds.subject)
        order by more.step, more.subject
        limit 1
    ) as following
)
select last.run_id, kinds.step, kinds.subject, last.status, last.started_at, last.finished_at, last.row_count, last.error_class
from kinds
cross join lateral (
    select run_id, status, started_at, finished_at, row_count, error_class
    from pay_ready.step_runs
    where tenant_id = %(tenant_id)s
      and step_runs.step = kinds.step
      and step_runs.subject = kinds.subject
    order by started_at desc
    limit 1
) as last
order by last.started_at desc;

-- name: review
-- Pairs that wait for a reviewer: words that wait for another one's, and links below the threshold of the models in use that nobody
-- decided, so many at most. A pair waits since both its records were resolved as they are.
-- params: most integer
with latest as (
    select person_model_id, company_model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
),
models as materialized (
    select models.entity_type, models.model_id, (models.parameters ->> 'threshold_millibits')::integer as threshold_millibits
    from pay_ready.resolution_models as models
    join latest on models.model_id in (latest.person_model_id, latest.company_model_id)
    where models.tenant_id = %(tenant_id)s
),
doubtful as materialized (
    select edges.entity_type, edges.left_id, edges.right_id
    from models
    join pay_ready.edges as edges
        on edges.tenant_id = %(tenant_id)s
        and edges.entity_type = models.entity_type
        and edges.model_id = models.model_id
        and edges.match_weight_millibits >= 0
        and edges.match_weight_millibits < models.threshold_millibits
    where not exists (
        select from pay_ready.decisions as said
        where said.tenant_id = %(tenant_id)s and said.entity_type = edges.entity_type
          and said.left_id = edges.left_id and said.right_id = edges.right_id and said.superseded_at is null
          and (said.actor_type = 'human' or (said.status = 'decided' and said.verdict <> 'unsure'))
    )
    limit %(most)s
),
resolved as (
    select count(*) as pairs, min(greatest(left_run.published_at, right_run.published_at)) as since
    from doubtful
    left join pay_ready.assignments as one
        on one.tenant_id = %(tenant_id)s and one.entity_type = doubtful.entity_type and one.record_id = doubtful.left_id
        and one.closed_run_no is null
    left join pay_ready.assignments as other
        on other.tenant_id = %(tenant_id)s and other.entity_type = doubtful.entity_type and other.record_id = doubtful.right_id
        and other.closed_run_no is null
    left join pay_ready.resolution_runs as left_run on left_run.tenant_id = %(tenant_id)s and left_run.run_no = one.opened_run_no
    left join pay_ready.resolution_runs as right_run on right_run.tenant_id = %(tenant_id)s and right_run.run_no = other.opened_run_no
),
words as (
    select count(*) as pairs, min(made_at) as since
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and superseded_at is null
      and status in ('open', 'escalated', 'appealed')
)
select
    resolved.pairs as doubtful,
    words.pairs as second_opinions,
    coalesce(extract(epoch from clock_timestamp() - least(resolved.since, words.since)), 0)::float8 as age_s
from resolved
cross join words;

-- name: outbox
-- What the tiers of memory have yet to hear, counted up to so many, and how old the oldest is: `warm` is what was changed and not indexed,
-- `cold` what the outer store was not told.
-- params: most integer
select
    'warm' as tier,
    (
        select count(*)
        from (select from pay_ready.memory_outbox as counted where counted.tenant_id = %(tenant_id)s limit %(most)s) as counted
    ) as waiting,
    0::bigint as failing,
    coalesce(
        (
            select extract(epoch from clock_timestamp() - eldest.created_at)
            from pay_ready.memory_outbox as eldest
            where eldest.tenant_id = %(tenant_id)s
            order by eldest.outbox_seq
            limit 1
        ), 0
    )::float8 as age_s
union all
select
    'cold',
    (
        select count(*)
        from (select from pay_ready.memory_projections as counted where counted.tenant_id = %(tenant_id)s limit %(most)s) as counted
    ),
    (
        select count(*)
        from (
            select
            from pay_ready.memory_projections as counted
            where counted.tenant_id = %(tenant_id)s
              and counted.attempts > 0
            limit %(most)s
        ) as counted
    ),
    coalesce(
        (
            select extract(epoch from clock_timestamp() - min(eldest.queued_at))
            from pay_ready.memory_projections as eldest
            where eldest.tenant_id = %(tenant_id)s
        ), 0
    )::float8;

-- name: breakers
select target, state, failures, changed_at
from pay_ready.breaker_states
where tenant_id = %(tenant_id)s
order by target;

-- name: leases
select lease, holder, acquired_at, expires_at, expires_at > clock_timestamp() as is_live
from pay_ready.leases
where tenant_id = %(tenant_id)s
order by lease;

-- name: hold
-- Since when the tenant's resolution rests after a rollback; no row when it does not.
select run_no, held_at
from pay_ready.resolution_holds
where tenant_id = %(tenant_id)s;

-- name: connections
-- Sessions on this database, and how many the server takes from us: nobody's rows.
select
    (select count(*) from pg_stat_activity where datname = current_database())::integer as in_use,
    (current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer) as most
where %(tenant_id)s is not null;

-- name: step_totals
-- Every finished step by how it ended.
select step, status, count(*) as steps, coalesce(sum(extract(epoch from finished_at - started_at)), 0)::float8 as seconds
from pay_ready.step_runs
where tenant_id = %(tenant_id)s
  and status <> 'running'
group by step, status
order by step, status;

-- name: row_totals
-- What became of every record that a stream brought.
select
    sources.name as source,
    streams.stream,
    sum(streams.landed)::bigint as landed,
    sum(streams.unchanged)::bigint as unchanged,
    sum(streams.quarantined + streams.stage_quarantined)::bigint as quarantined
from pay_ready.stream_runs as streams
join pay_ready.data_sources as sources on sources.tenant_id = streams.tenant_id and sources.source_id = streams.source_id
where streams.tenant_id = %(tenant_id)s
group by sources.name, streams.stream
order by sources.name, streams.stream;

-- name: drift
-- The worst finding of each kind that was found lately.
-- params: window_s float
select metric_name, max(severity)::float8 as severity
from pay_ready.drift_findings
where tenant_id = %(tenant_id)s
  and found_at > clock_timestamp() - make_interval(secs => %(window_s)s)
group by metric_name
order by metric_name;

-- name: isolation
-- Steps that ended because a tenant boundary would have been crossed.
select count(*) as violations
from pay_ready.step_runs
where tenant_id = %(tenant_id)s
  and error_class = 'IsolationError';
