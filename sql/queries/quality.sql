-- What the checks of data quality read, and what they found.

-- name: streams
-- Each stream of each source: when it was last read whole, whether its rows changed since they were published last, and how many
-- rows it had after earlier runs.
-- params: now timestamptz
select
    sources.source_id,
    sources.name as source,
    sources.kind,
    states.stream,
    sources.status = 'active' as is_active,
    states.published_commit_seq is null or newest.commit_seq > states.published_commit_seq as is_changed,
    extract(epoch from %(now)s::timestamptz - whole.finished_at)::double precision as age_s,
    usual.row_count as usual_rows,
    usual.runs as usual_runs
from pay_ready.stream_states as states
join pay_ready.data_sources as sources on sources.tenant_id = states.tenant_id and sources.source_id = states.source_id
left join lateral (
    select batches.commit_seq
    from pay_ready.landing_batches as batches
    where batches.tenant_id = %(tenant_id)s
      and batches.source_id = states.source_id
      and batches.stream = states.stream
      and batches.commit_seq is not null
    order by batches.commit_seq desc
    limit 1
) as newest on true
left join lateral (
    select runs.finished_at
    from pay_ready.sync_runs as runs
    join pay_ready.stream_runs as read
        on read.tenant_id = runs.tenant_id and read.run_id = runs.run_id and read.stream = states.stream and read.status = 'complete'
    where runs.tenant_id = %(tenant_id)s
      and runs.source_id = states.source_id
      and runs.finished_at is not null
    order by runs.started_at desc
    limit 1
) as whole on true
left join lateral (
    select percentile_cont(0.5) within group (order by recent.metric_value) as row_count, count(*) as runs
    from (
        select snapshots.metric_value
        from pay_ready.metric_snapshots as snapshots
        where snapshots.tenant_id = %(tenant_id)s
          and snapshots.metric_name = 'stream.rows'
          and snapshots.subject_id = sources.name || '/' || states.stream
        order by snapshots.taken_at desc
        limit 10
    ) as recent
) as usual on true
where states.tenant_id = %(tenant_id)s
  and sources.status <> 'removed'
order by sources.name, states.stream;

-- name: people
-- What rules about people may name; only what a rule names is read. `company` is one that the source refers to by its id; what it is
-- known by otherwise (an address, a name) refers to nothing that the source would have to list.
-- params: source_id uuid
select
    records.stream, records.record_reference, records.full_name, records.first_name, records.last_name, records.email_normalized as email,
    records.phone, records.title, records.city, records.country, records.company_name, records.company_domain, records.side,
    records.source_updated_at as updated_at, case when companies.record_reference ^@ 'id:' then records.company_record_id end as company,
    companies.origin = 'listed' as company_is_listed,
    records.attributes -> 'values' as more
from pay_ready.person_records as records
left join pay_ready.company_records as companies
    on companies.tenant_id = records.tenant_id
    and companies.source_id = records.source_id
    and companies.record_id = records.company_record_id
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.stream is not null;

-- name: companies
-- The same of companies.
-- params: source_id uuid
select
    records.stream, records.record_reference, records.name, records.domain, records.phone, records.city, records.country, records.industry,
    records.source_updated_at as updated_at, records.attributes -> 'values' as more
from pay_ready.company_records as records
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.stream is not null;

-- name: interactions
-- The same of interactions. `participants` and `turns` say whether there are any.
-- params: source_id uuid
select
    records.stream, records.external_id, records.interaction_type, records.occurred_at, records.ended_at, records.subject, records.body,
    records.direction, records.thread_id, records.url, records.occurred_at as updated_at, records.interaction_id as participants,
    exists (
        select from pay_ready.interaction_participants as present
        where present.tenant_id = %(tenant_id)s and present.record_id = records.record_id
    ) as participants_is_listed,
    records.interaction_id as turns,
    exists (
        select from pay_ready.interaction_turns as spoken
        where spoken.tenant_id = %(tenant_id)s and spoken.record_id = records.record_id
    ) as turns_is_listed,
    records.metadata -> 'values' as more
from pay_ready.interaction_records as records
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s;

-- name: schema_changes
-- What changed of the schemas of streams in the newest sync of each source.
-- params: none
select sources.name as source, changes.key as stream, changes.value as lines
from pay_ready.data_sources as sources
cross join lateral (
    select runs.report
    from pay_ready.sync_runs as runs
    where runs.tenant_id = %(tenant_id)s
      and runs.source_id = sources.source_id
      and runs.report is not null
    order by runs.started_at desc
    limit 1
) as newest
cross join lateral jsonb_each(coalesce(newest.report -> 'schema_changes', '{}')) as changes
where sources.tenant_id = %(tenant_id)s
  and sources.status <> 'removed';

-- name: clusters
-- Sizes of the published entities, in records.
-- params: none
select
    entity_type,
    count(*) as entities,
    sum(record_count)::bigint as records,
    percentile_cont(0.99) within group (order by record_count) as p99,
    max(record_count) as largest,
    count(*) filter (where record_count = 1) as singletons
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and closed_run_no is null
group by entity_type;

-- name: probabilities
-- Of records that share an entity: match probabilities of their strongest links, in tenths. A probability of 1 is in the last.
-- params: none
select assigned.entity_type, least(width_bucket(assigned.confidence, 0, 1, 10), 10) as tenth, count(*) as records
from pay_ready.assignments as assigned
join pay_ready.entity_versions as versions
    on versions.tenant_id = assigned.tenant_id and versions.entity_id = assigned.entity_id and versions.closed_run_no is null
where assigned.tenant_id = %(tenant_id)s
  and assigned.closed_run_no is null
  and versions.record_count > 1
group by 1, 2;

-- name: distinct_values
-- Published entities of more records than `most`, by the distinct addresses (of a company: domains) among these: the most of one entity,
-- and how many entities have more than `most`.
-- params: most integer
select counted.entity_type, max(counted.distinct_values) as largest,
    count(*) filter (where counted.distinct_values > %(most)s) as entities
from (
    select versions.entity_type, versions.entity_id, count(distinct coalesce(people.email_normalized, companies.domain)) as distinct_values
    from pay_ready.entity_versions as versions
    join pay_ready.assignments as assigned
        on assigned.tenant_id = versions.tenant_id and assigned.entity_id = versions.entity_id and assigned.closed_run_no is null
    left join pay_ready.person_records as people
        on people.tenant_id = assigned.tenant_id and people.record_id = assigned.record_id and assigned.entity_type = 'person'
    left join pay_ready.company_records as companies
        on companies.tenant_id = assigned.tenant_id and companies.record_id = assigned.record_id and assigned.entity_type = 'company'
    where versions.tenant_id = %(tenant_id)s
      and versions.closed_run_no is null
      and versions.record_count > %(most)s
    group by versions.entity_type, versions.entity_id
) as counted
group by counted.entity_type;

-- name: add_results
-- params: result_ids uuid[], run_id uuid, check_names text[], subjects text[], severities text[], passed boolean[], measured float[],
-- expected text[]
insert into pay_ready.quality_results (tenant_id, result_id, run_id, check_name, subject, severity, passed, measured, expected)
select %(tenant_id)s, given.result_id, %(run_id)s, given.check_name, given.subject, given.severity, given.passed, given.measured,
    given.expected
from unnest(
    %(result_ids)s::uuid[], %(check_names)s::text[], %(subjects)s::text[], %(severities)s::text[], %(passed)s::boolean[],
    %(measured)s::double precision[], %(expected)s::text[]
) as given (result_id, check_name, subject, severity, passed, measured, expected);

-- name: latest_run
-- The run whose checks were stored last; no row when none were.
-- params: none
select run_id
from pay_ready.quality_results
where tenant_id = %(tenant_id)s
order by checked_at desc
limit 1;

-- name: results
-- What the checks of a run found, what failed first.
-- params: run_id uuid
select check_name, subject, severity, passed, measured, expected, checked_at
from pay_ready.quality_results
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
order by passed, severity, check_name, subject;

-- name: history
-- Runs with stored checks, the newest first.
-- params: most integer
select run_id, max(checked_at) as checked_at, count(*) as checks,
    count(*) filter (where not passed and severity = 'warn') as warnings,
    count(*) filter (where not passed and severity = 'error') as errors
from pay_ready.quality_results
where tenant_id = %(tenant_id)s
group by run_id
order by max(checked_at) desc
limit %(most)s;
