-- name: staged_people
-- Person records with the company values of the record itself or of the company record it names, of live sources or not.
select
    people.record_id,
    people.content_hash,
    people.full_name,
    people.first_name,
    people.last_name,
    coalesce(people.email_normalized, lower(people.email)) as email,
    people.phone,
    people.title,
    people.city,
    people.country,
    people.company_record_id,
    coalesce(people.company_name, companies.name) as company_name,
    coalesce(people.company_domain, companies.domain) as company_domain,
    people.source_updated_at,
    sources.name as source_name,
    sources.kind as source_kind
from pay_ready.person_records as people
join pay_ready.data_sources as sources on sources.tenant_id = people.tenant_id and sources.source_id = people.source_id
left join pay_ready.company_records as companies
    on companies.tenant_id = people.tenant_id
    and companies.source_id = people.source_id
    and companies.record_id = people.company_record_id
where people.tenant_id = %(tenant_id)s;

-- name: staged_people_named
-- `staged_people`, of some records: one look-up each, whatever the planner believes of the table.
-- params: record_ids uuid[]
select
    people.record_id,
    people.content_hash,
    people.full_name,
    people.first_name,
    people.last_name,
    coalesce(people.email_normalized, lower(people.email)) as email,
    people.phone,
    people.title,
    people.city,
    people.country,
    people.company_record_id,
    coalesce(people.company_name, companies.name) as company_name,
    coalesce(people.company_domain, companies.domain) as company_domain,
    people.source_updated_at,
    sources.name as source_name,
    sources.kind as source_kind
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select * from pay_ready.person_records where tenant_id = %(tenant_id)s and record_id = asked.record_id offset 0
) as people
join pay_ready.data_sources as sources on sources.tenant_id = %(tenant_id)s and sources.source_id = people.source_id
left join lateral (
    select name, domain
    from pay_ready.company_records
    where tenant_id = %(tenant_id)s
      and record_id = people.company_record_id
    offset 0
) as companies on true;

-- name: compared_people_named
-- Of `staged_people_named` what records are compared by.
-- params: record_ids uuid[]
select
    people.record_id,
    people.content_hash,
    people.full_name,
    people.first_name,
    people.last_name,
    coalesce(people.email_normalized, lower(people.email)) as email,
    people.phone,
    people.title,
    people.city,
    coalesce(people.company_name, companies.name) as company_name,
    coalesce(people.company_domain, companies.domain) as company_domain
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select * from pay_ready.person_records where tenant_id = %(tenant_id)s and record_id = asked.record_id offset 0
) as people
left join lateral (
    select name, domain
    from pay_ready.company_records
    where tenant_id = %(tenant_id)s
      and record_id = people.company_record_id
    offset 0
) as companies on true;

-- name: compared_companies_named
-- params: record_ids uuid[]
select companies.record_id, companies.content_hash, companies.name, companies.domain, companies.phone, companies.city
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select * from pay_ready.company_records where tenant_id = %(tenant_id)s and record_id = asked.record_id offset 0
) as companies;

-- name: staged_companies
-- Company records.
select
    companies.record_id,
    companies.content_hash,
    companies.name,
    companies.domain,
    companies.phone,
    companies.city,
    companies.country,
    companies.industry,
    companies.source_updated_at,
    sources.name as source_name,
    sources.kind as source_kind
from pay_ready.company_records as companies
join pay_ready.data_sources as sources on sources.tenant_id = companies.tenant_id and sources.source_id = companies.source_id
where companies.tenant_id = %(tenant_id)s;

-- name: staged_companies_named
-- params: record_ids uuid[]
select
    companies.record_id,
    companies.content_hash,
    companies.name,
    companies.domain,
    companies.phone,
    companies.city,
    companies.country,
    companies.industry,
    companies.source_updated_at,
    sources.name as source_name,
    sources.kind as source_kind
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select * from pay_ready.company_records where tenant_id = %(tenant_id)s and record_id = asked.record_id offset 0
) as companies
join pay_ready.data_sources as sources on sources.tenant_id = %(tenant_id)s and sources.source_id = companies.source_id;

-- name: decisions
-- What holds of each pair; a human's word goes before an agent's, and an unsure human lets the agent speak.
select distinct on (entity_type, left_id, right_id) entity_type, left_id, right_id, verdict, decision_id
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and superseded_at is null
  and status in ('decided', 'appealed')
  and verdict <> 'unsure'
order by entity_type, left_id, right_id, actor_type desc;

-- name: decisions_of
-- hot: one record that is decided
-- `decisions` with one of these records: one look-up each by either side.
-- params: entity_type text, record_ids uuid[]
select distinct on (told.left_id, told.right_id) told.left_id, told.right_id, told.verdict, told.decision_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select left_id, right_id, verdict, decision_id, actor_type, status
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and left_id = asked.record_id
      and superseded_at is null
    union all
    select left_id, right_id, verdict, decision_id, actor_type, status
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and right_id = asked.record_id
      and superseded_at is null
) as told
where told.status in ('decided', 'appealed')
  and told.verdict <> 'unsure'
order by told.left_id, told.right_id, told.actor_type desc;

-- name: held_decisions
-- The decisions that the published version honours.
select held.decision_id, told.entity_type, told.left_id, told.right_id, told.verdict
from pay_ready.run_decisions as held
join pay_ready.decisions as told on told.tenant_id = held.tenant_id and told.decision_id = held.decision_id
where held.tenant_id = %(tenant_id)s
  and held.closed_run_no is null;

-- name: hold
-- Since when the tenant's resolution rests, and after which rollback; the latest of several.
select run_no, actor, reason, held_at
from pay_ready.resolution_holds
where tenant_id = %(tenant_id)s
order by run_no desc
limit 1;

-- name: add_hold
-- params: run_no bigint, actor text, reason text
insert into pay_ready.resolution_holds (tenant_id, run_no, actor, reason)
values (%(tenant_id)s, %(run_no)s, %(actor)s, %(reason)s);

-- name: drop_holds
delete from pay_ready.resolution_holds
where tenant_id = %(tenant_id)s;

-- name: drop_hold
-- params: run_no bigint
delete from pay_ready.resolution_holds
where tenant_id = %(tenant_id)s
  and run_no = %(run_no)s;

-- name: pending
-- What waits for the next run: each record or interaction once, by kind and id, with its source and its present entity.
-- params: after_id uuid, most bigint
select waiting.kind, waiting.object_id, sources.name as source, records.is_staged, held.entity_id
from (
    select kind, object_id
    from pay_ready.resolution_queue
    where tenant_id = %(tenant_id)s
      and object_id > %(after_id)s
    group by kind, object_id
    order by object_id
    limit %(most)s
) as waiting
left join lateral (
    select source_id, true as is_staged
    from pay_ready.person_records
    where tenant_id = %(tenant_id)s and record_id = waiting.object_id and waiting.kind = 'person'
    union all
    select source_id, true
    from pay_ready.company_records
    where tenant_id = %(tenant_id)s and record_id = waiting.object_id and waiting.kind = 'company'
    union all
    (
        select source_id, true
        from pay_ready.interaction_records
        where tenant_id = %(tenant_id)s and interaction_id = waiting.object_id and waiting.kind = 'interaction' and is_primary
        limit 1
    )
) as records on true
left join pay_ready.data_sources as sources on sources.tenant_id = %(tenant_id)s and sources.source_id = records.source_id
left join pay_ready.assignments as held
    on held.tenant_id = %(tenant_id)s and held.entity_type = waiting.kind and held.record_id = waiting.object_id
    and held.closed_run_no is null
order by waiting.object_id;

-- name: count_queued
-- What waits for the next run, by kind.
select kind, count(distinct object_id) as objects
from pay_ready.resolution_queue
where tenant_id = %(tenant_id)s
group by kind
order by kind;

-- name: lock_publish
-- One publisher of a tenant at a time, until the commit.
select pg_advisory_xact_lock(hashtextextended('pay_ready.publish:' || %(tenant_id)s::text, 0));

-- name: make_durable
-- A published version is not lost, even where the server runs with synchronous_commit off.
select set_config('synchronous_commit', 'on', true)
where %(tenant_id)s is not null;

-- name: current_run_no
-- hot: every request, once
-- The version that readers see; 0 before the first.
select coalesce(max(run_no), 0)
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s;

-- name: current_assignments
select entity_type, record_id, entity_id, confidence
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and closed_run_no is null;

-- name: current_versions
select entity_id, content_hash
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and closed_run_no is null;

-- name: current_redirects
select entity_id, target_entity_id
from pay_ready.entity_redirects
where tenant_id = %(tenant_id)s
  and closed_run_no is null;

-- name: known_entities
-- Every id ever given, its anchor, and the run that retired it when it is not live. The anchor is the record it was minted for
-- while it holds that, else the lowest of its records; of a retired one, among those it held last.
select
    entities.entity_id,
    entities.entity_type,
    coalesce(anchors.record_id, entities.anchor_record_id) as anchor_record_id,
    entities.minted_run_no,
    -- An id whose versions all went with an erased person is retired since it was minted.
    case when lives.entity_id is null then entities.minted_run_no else lives.retired_run_no end as retired_run_no
from pay_ready.entities as entities
left join (
    select
        entity_id,
        case when bool_or(closed_run_no is null) then null else max(closed_run_no) end as retired_run_no
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
    group by entity_id
) as lives on lives.entity_id = entities.entity_id
left join lateral (
    select held.record_id
    from pay_ready.assignments as held
    where held.tenant_id = %(tenant_id)s
      and held.entity_id = entities.entity_id
      and (held.closed_run_no = lives.retired_run_no or (held.closed_run_no is null and lives.retired_run_no is null))
    order by (held.record_id = entities.anchor_record_id) desc, held.record_id
    limit 1
) as anchors on true
where entities.tenant_id = %(tenant_id)s;

-- name: standing
-- The published version with what it said of itself, and how often blocks and edges were written; no row before the first version.
select
    runs.run_no,
    runs.report,
    runs.state_digest,
    runs.edges_fit,
    coalesce(counters.value, 0) as resolution_no
from pay_ready.resolution_runs as runs
left join pay_ready.tenant_counters as counters
    on counters.tenant_id = runs.tenant_id and counters.counter = 'resolution_no'
where runs.tenant_id = %(tenant_id)s
order by runs.run_no desc
limit 1;

-- name: to_decide
-- hot: one record that is decided
-- The published version, or null, and whether there is any decision about pairs. Until the transaction ends, statements look up by key
-- (`blocks.set_planner`), each planned once whatever it is asked for.
select
    runs.run_no,
    runs.state_digest is not null as is_resolved,
    (
        -- In the order of the index that holds these alone: where all were superseded, the table would be read for nothing.
        select entity_type
        from pay_ready.decisions
        where tenant_id = %(tenant_id)s
          and superseded_at is null
        order by entity_type, left_id, right_id
        limit 1
    ) is not null as has_decisions,
    set_config('enable_hashjoin', 'off', true) as hash_joins,
    set_config('enable_mergejoin', 'off', true) as merge_joins,
    set_config('enable_material', 'off', true) as kept_rows,
    set_config('enable_seqscan', 'off', true) as scans,
    set_config('jit', 'off', true) as compiled,
    set_config('plan_cache_mode', 'force_generic_plan', true) as plans
from (select) as always
left join lateral (
    select run_no, state_digest
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
) as runs on true;

-- name: resolution_no
-- How often blocks and edges were written.
select coalesce(max(value), 0)
from pay_ready.tenant_counters
where tenant_id = %(tenant_id)s
  and counter = 'resolution_no';

-- name: entities_of
-- The current entities of records of a type.
-- params: record_ids uuid[], entity_type text
select own.record_id, own.entity_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
join pay_ready.assignments as own
    on own.tenant_id = %(tenant_id)s and own.entity_type = %(entity_type)s and own.record_id = asked.record_id
where own.closed_run_no is null;

-- name: ids_ever_of
-- Every id that records ever had, or that was minted for one of them, or for such an id.
-- params: record_ids uuid[], entity_type text
with recursive told as (
    select held.entity_id
    from unnest(%(record_ids)s::uuid[]) as asked (record_id)
    join pay_ready.assignments as held
        on held.tenant_id = %(tenant_id)s and held.entity_type = %(entity_type)s and held.record_id = asked.record_id
    union
    select minted.entity_id
    from unnest(%(record_ids)s::uuid[]) as asked (record_id)
    join pay_ready.entities as minted
        on minted.tenant_id = %(tenant_id)s and minted.entity_type = %(entity_type)s and minted.anchor_record_id = asked.record_id
    union
    select minted.entity_id
    from told
    join pay_ready.entities as minted
        on minted.tenant_id = %(tenant_id)s and minted.entity_type = %(entity_type)s and minted.anchor_record_id = told.entity_id
)
select entity_id from told;

-- name: versions_of
-- params: entity_ids uuid[]
select versions.entity_id, versions.content_hash
from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
join pay_ready.entity_versions as versions
    on versions.tenant_id = %(tenant_id)s and versions.entity_id = asked.entity_id
where versions.closed_run_no is null;

-- name: redirects_of
-- params: entity_ids uuid[]
select redirects.entity_id, redirects.target_entity_id
from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
join pay_ready.entity_redirects as redirects
    on redirects.tenant_id = %(tenant_id)s and redirects.entity_id = asked.entity_id
where redirects.closed_run_no is null;

-- name: live_entities_of
-- Ids that live, with the records that they were minted for.
-- params: entity_ids uuid[]
select entities.entity_id, entities.anchor_record_id, entities.minted_run_no
from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
join pay_ready.entities as entities on entities.tenant_id = %(tenant_id)s and entities.entity_id = asked.entity_id;

-- name: known_entities_of
-- `known_entities` of some ids.
-- params: entity_ids uuid[]
select
    entities.entity_id,
    entities.entity_type,
    coalesce(anchors.record_id, entities.anchor_record_id) as anchor_record_id,
    entities.minted_run_no,
    case when lives.versions = 0 then entities.minted_run_no else lives.retired_run_no end as retired_run_no
from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
join pay_ready.entities as entities on entities.tenant_id = %(tenant_id)s and entities.entity_id = asked.entity_id
join lateral (
    select
        count(*) as versions,
        case when bool_or(versions.closed_run_no is null) then null else max(versions.closed_run_no) end as retired_run_no
    from pay_ready.entity_versions as versions
    where versions.tenant_id = %(tenant_id)s
      and versions.entity_id = asked.entity_id
) as lives on true
left join lateral (
    select held.record_id
    from pay_ready.assignments as held
    where held.tenant_id = %(tenant_id)s
      and held.entity_id = asked.entity_id
      and (held.closed_run_no = lives.retired_run_no or (held.closed_run_no is null and lives.retired_run_no is null))
    order by (held.record_id = entities.anchor_record_id) desc, held.record_id
    limit 1
) as anchors on true;

-- name: queued
-- What changed since it was resolved: 0 for companies, 1 for people, 2 for interactions.
select object_id, change_id, array_position(array['company', 'person', 'interaction'], kind)::bigint - 1 as kind
from pay_ready.resolution_queue
where tenant_id = %(tenant_id)s;

-- name: make_done_table
-- scope: session
create temporary table publish_done (
    object_id uuid not null,
    change_id uuid not null
) on commit drop;

-- name: analyze_done_table
-- scope: session
analyze pg_temp.publish_done;

-- name: drop_queued
delete from pay_ready.resolution_queue as queue
using pg_temp.publish_done as done
where queue.tenant_id = %(tenant_id)s
  and queue.object_id = done.object_id
  and queue.change_id = done.change_id;

-- name: employees
-- People's records that name one of these company records.
-- params: record_ids uuid[]
select people.record_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
join pay_ready.person_records as people
    on people.tenant_id = %(tenant_id)s and people.company_record_id = asked.record_id;

-- name: current_models
-- The models of the published version, by entity type.
select models.entity_type, models.model_id, models.parameters
from pay_ready.resolution_models as models
join (
    select person_model_id, company_model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
) as latest on models.model_id in (latest.person_model_id, latest.company_model_id)
where models.tenant_id = %(tenant_id)s;

-- name: model_counts
-- params: model_id uuid
select name, total, usual, keys, counts
from pay_ready.resolution_model_counts
where tenant_id = %(tenant_id)s
  and model_id = %(model_id)s
order by name;

-- name: add_model
-- The model under its hash; no row when it is there.
-- params: model_id uuid, entity_type text, parameters jsonb, model_hash bytea, trained_records bigint
insert into pay_ready.resolution_models (tenant_id, model_id, entity_type, version, parameters, model_hash, trained_records)
select
    %(tenant_id)s, %(model_id)s, %(entity_type)s, coalesce(max(version), 0) + 1, %(parameters)s, %(model_hash)s, %(trained_records)s
from pay_ready.resolution_models
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
on conflict (tenant_id, model_id) do nothing;

-- name: add_model_counts
-- params: model_id uuid, name text, total bigint, usual integer, keys bytea, counts bytea
insert into pay_ready.resolution_model_counts (tenant_id, model_id, name, total, usual, keys, counts)
values (%(tenant_id)s, %(model_id)s, %(name)s, %(total)s, %(usual)s, %(keys)s, %(counts)s);

-- name: make_edge_table
-- scope: session
create temporary table publish_edges (
    left_id uuid not null,
    right_id uuid not null,
    left_hash bytea not null,
    right_hash bytea not null,
    match_weight_millibits bigint not null,
    levels bytea not null
) on commit drop;

-- name: empty_edge_table
-- scope: session
truncate pg_temp.publish_edges;

-- name: analyze_edge_table
-- scope: session
analyze pg_temp.publish_edges (left_id, right_id);

-- name: drop_edges
-- What a model said of pairs, and says no more.
-- params: entity_type text, model_id uuid
delete from pay_ready.edges as edges
where edges.tenant_id = %(tenant_id)s
  and edges.entity_type = %(entity_type)s
  and edges.model_id = %(model_id)s
  and not exists (
      select from pg_temp.publish_edges as said
      where said.left_id = edges.left_id and said.right_id = edges.right_id
  );

-- name: put_edges
-- Facts about pairs; one that stands already costs no write.
-- params: entity_type text, model_id uuid
insert into pay_ready.edges as edges (
    tenant_id, entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits, levels
)
select %(tenant_id)s, %(entity_type)s, left_id, right_id, %(model_id)s, left_hash, right_hash, match_weight_millibits::integer, levels
from pg_temp.publish_edges
order by left_id, right_id
on conflict (tenant_id, entity_type, left_id, right_id, model_id) do update
set left_hash = excluded.left_hash,
    right_hash = excluded.right_hash,
    match_weight_millibits = excluded.match_weight_millibits,
    levels = excluded.levels
where (edges.left_hash, edges.right_hash, edges.match_weight_millibits, edges.levels)
    is distinct from (excluded.left_hash, excluded.right_hash, excluded.match_weight_millibits, excluded.levels);

-- name: latest_report
-- What the run of the published version said of itself.
select report
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s
order by run_no desc
limit 1;

-- name: golden_names
-- Name and records of current entities.
-- params: entity_ids uuid[]
select entity_id, coalesce(name, email, domain, phone) as name, record_count
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and closed_run_no is null
  and entity_id = any(%(entity_ids)s);

-- name: assignment
-- hot: one record that is decided
-- The entity that a record is in now; no row for a record that was never resolved, or is gone.
-- params: record_id uuid
select entity_type, entity_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and record_id = %(record_id)s
  and closed_run_no is null;

-- name: members
-- hot: whoever looks at a cluster
-- The records of an entity now.
-- params: entity_id uuid
select record_id, confidence
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_id = %(entity_id)s
  and closed_run_no is null
order by record_id;

-- name: decisions_about
-- hot: explain
-- What was said of pairs of these records, newest first; superseded words too, which an index of their own holds.
-- params: record_ids uuid[]
select left_id, right_id, verdict, actor_type, actor, reason, status, made_at, superseded_at
from (
    select
        decision_id, left_id, right_id, verdict, actor_type, actor, reason, status, made_at, superseded_at
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and entity_type in ('person', 'company')  -- leaves nothing out: the index begins so
      and left_id = any(%(record_ids)s)
      and right_id = any(%(record_ids)s)
      and superseded_at is null
    union all
    select
        decision_id, left_id, right_id, verdict, actor_type, actor, reason, status, made_at, superseded_at
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and left_id = any(%(record_ids)s)
      and right_id = any(%(record_ids)s)
      and superseded_at is not null
) as said
order by made_at desc, decision_id;

-- name: entity_history
-- hot: explain
-- What each run did to an entity, and to those that were merged into it or split from it, by run.
-- params: entity_id uuid
select changes.change_seq, changes.run_no, changes.change, changes.entity_id, changes.other_entity_id, runs.kind, runs.actor, runs.published_at
from pay_ready.entity_changes as changes
join pay_ready.resolution_runs as runs on runs.tenant_id = changes.tenant_id and runs.run_no = changes.run_no
where changes.tenant_id = %(tenant_id)s
  and (changes.entity_id = %(entity_id)s or changes.other_entity_id = %(entity_id)s)
order by changes.change_seq;

-- name: known_entity
-- An id that was given once, and where it leads if it is not live.
-- params: entity_id uuid
select entities.entity_id, entities.entity_type, entities.anchor_record_id, entities.minted_run_no, redirects.target_entity_id
from pay_ready.entities as entities
left join pay_ready.entity_redirects as redirects
    on redirects.tenant_id = entities.tenant_id and redirects.entity_id = entities.entity_id and redirects.closed_run_no is null
where entities.tenant_id = %(tenant_id)s
  and entities.entity_id = %(entity_id)s;
