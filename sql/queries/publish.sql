-- Statements of one publish. What changes comes by COPY into temporary tables; a row of a table of ours is closed, never rewritten.

-- name: refresh_statistics
-- What the planner knows of tables that were just filled.
select pay_ready.refresh_statistics()
where %(tenant_id)s is not null;

-- name: make_tables
-- scope: session
create temporary table publish_assignments (
    entity_type text not null,
    record_id uuid not null,
    entity_id uuid,
    confidence real
) on commit drop;

-- name: make_version_table
-- scope: session
create temporary table publish_versions (
    entity_id uuid not null,
    entity_type text,
    name text,
    email text,
    phone text,
    domain text,
    title text,
    company_entity_id uuid,
    record_count integer,
    golden jsonb,
    provenance jsonb,
    content_hash bytea
) on commit drop;

-- name: make_redirect_table
-- scope: session
create temporary table publish_redirects (
    entity_id uuid not null,
    opens boolean not null,
    target_entity_id uuid
) on commit drop;

-- name: make_entity_table
-- scope: session
create temporary table publish_entities (
    entity_id uuid not null,
    entity_type text not null,
    anchor_record_id uuid not null
) on commit drop;

-- name: make_change_table
-- scope: session
create temporary table publish_changes (
    change_seq bigint not null,
    change text not null,
    entity_type text not null,
    entity_id uuid not null,
    other_entity_id uuid,
    before_hash bytea,
    after_hash bytea
) on commit drop;

-- name: analyze_tables
-- scope: session
analyze pg_temp.publish_assignments (entity_type, record_id), pg_temp.publish_versions (entity_id);

-- name: make_scope_table
-- scope: session
create temporary table publish_scope (
    interaction_id uuid primary key
) on commit drop;

-- name: scope_all_interactions
-- Every interaction that is there, or that is linked to somebody.
insert into pg_temp.publish_scope (interaction_id)
select interaction_id
from pay_ready.interaction_records
where tenant_id = %(tenant_id)s
  and is_primary
union
select interaction_id
from pay_ready.interaction_entities
where tenant_id = %(tenant_id)s
  and closed_run_no is null;

-- name: scope_named_interactions
-- params: interaction_ids uuid[]
insert into pg_temp.publish_scope (interaction_id)
select unnest(%(interaction_ids)s::uuid[])
where %(tenant_id)s is not null
on conflict do nothing;

-- name: scope_touched_interactions
-- Those of records that were assigned anew, or that changed: as somebody who takes part, as what it is about, as an employer.
-- params: people uuid[], companies uuid[]
insert into pg_temp.publish_scope (interaction_id)
with people as materialized (
    select record_id from pg_temp.publish_assignments where entity_type = 'person'
    union
    select unnest(%(people)s::uuid[])
),
companies as materialized (
    select record_id from pg_temp.publish_assignments where entity_type = 'company'
    union
    select unnest(%(companies)s::uuid[])
),
employed as materialized (
    select record_id from people
    union
    select employees.record_id
    from companies
    join pay_ready.person_records as employees
        on employees.tenant_id = %(tenant_id)s and employees.company_record_id = companies.record_id
)
select participants.interaction_id
from employed
join pay_ready.interaction_participants as participants
    on participants.tenant_id = %(tenant_id)s and participants.person_record_id = employed.record_id
union
select participants.interaction_id
from companies
join pay_ready.interaction_participants as participants
    on participants.tenant_id = %(tenant_id)s and participants.company_record_id = companies.record_id
union
select participants.interaction_id
from companies
join pay_ready.interaction_participants as participants
    on participants.tenant_id = %(tenant_id)s and participants.person_company_record_id = companies.record_id
on conflict do nothing;

-- name: analyze_scope
-- scope: session
analyze pg_temp.publish_scope;

-- name: want_interactions
-- Which people and companies each interaction in scope is with, once the new assignments hold: its participants, the companies it is
-- about, and the employers of participants who are not the tenant's own. First comes whoever is external, then by position.
create temporary table publish_interactions on commit drop as
with appearances as (
    select
        records.interaction_id,
        records.occurred_at,
        participants.participant_no,
        coalesce(nullif(participants.side, 'unknown'), people.side, 'unknown') as side,
        participants.person_record_id,
        participants.company_record_id,
        coalesce(participants.person_company_record_id, people.company_record_id) as employer_record_id
    from pg_temp.publish_scope as scope
    join pay_ready.interaction_records as records on records.interaction_id = scope.interaction_id
    join pay_ready.interaction_participants as participants
        on participants.tenant_id = records.tenant_id and participants.record_id = records.record_id
    left join pay_ready.person_records as people
        on people.tenant_id = participants.tenant_id and people.record_id = participants.person_record_id
    where records.tenant_id = %(tenant_id)s
      and records.is_primary
),
mentions as (
    select interaction_id, occurred_at, participant_no, side, 'person' as entity_type, person_record_id as record_id
    from appearances
    where person_record_id is not null
    union all
    select interaction_id, occurred_at, participant_no, 'external', 'company', company_record_id
    from appearances
    where company_record_id is not null
    union all
    select interaction_id, occurred_at, participant_no, side, 'company', employer_record_id
    from appearances
    where employer_record_id is not null
      and side <> 'internal'
),
assigned as (
    select entity_type, record_id, entity_id
    from pg_temp.publish_assignments
    where entity_id is not null
    union all
    select assignments.entity_type, assignments.record_id, assignments.entity_id
    from pay_ready.assignments as assignments
    where assignments.tenant_id = %(tenant_id)s
      and assignments.closed_run_no is null
      and not exists (
          select from pg_temp.publish_assignments as changed
          where changed.entity_type = assignments.entity_type and changed.record_id = assignments.record_id
      )
),
ranked as (
    select distinct on (mentions.interaction_id, assigned.entity_id)
        mentions.interaction_id,
        assigned.entity_id,
        mentions.entity_type,
        mentions.occurred_at,
        array_position(array['external', 'unknown', 'internal'], mentions.side) as side_rank,
        mentions.participant_no
    from mentions
    join assigned on assigned.entity_type = mentions.entity_type and assigned.record_id = mentions.record_id
    order by mentions.interaction_id, assigned.entity_id, side_rank, mentions.participant_no
)
select
    interaction_id,
    entity_id,
    entity_type,
    occurred_at,
    row_number() over (partition by interaction_id, entity_type order by side_rank, participant_no, entity_id) = 1 as is_primary
from ranked;

-- name: count_interaction_changes
select
    count(*) filter (where wanted.interaction_id is not null) as opening,
    count(*) filter (where links.interaction_id is not null) as closing
from pg_temp.publish_interactions as wanted
full join (
    select links.interaction_id, links.entity_id, links.entity_type, links.is_primary, links.occurred_at
    from pg_temp.publish_scope as scope
    join pay_ready.interaction_entities as links
        on links.tenant_id = %(tenant_id)s and links.interaction_id = scope.interaction_id and links.closed_run_no is null
) as links
    on links.interaction_id = wanted.interaction_id
    and links.entity_id = wanted.entity_id
    and links.is_primary = wanted.is_primary
    and links.occurred_at = wanted.occurred_at
where wanted.interaction_id is null
   or links.interaction_id is null;

-- name: add_run
-- params: run_no bigint, run_id uuid, kind text, actor text, config_hash bytea, settings_version integer, person_model_id uuid,
-- company_model_id uuid, edges_fit boolean, equals_run_no bigint, report jsonb, state_digest bytea
insert into pay_ready.resolution_runs (
    tenant_id, run_no, run_id, kind, actor, config_hash, settings_version, person_model_id, company_model_id, edges_fit, equals_run_no,
    report, state_digest
)
values (
    %(tenant_id)s, %(run_no)s, %(run_id)s, %(kind)s, %(actor)s, %(config_hash)s, %(settings_version)s, %(person_model_id)s,
    %(company_model_id)s, %(edges_fit)s, %(equals_run_no)s, %(report)s, %(state_digest)s
);

-- name: add_checkpoint
-- The state before this publish, by the run that made it.
-- params: checkpoint_id uuid, name text, run_no bigint, digest bytea
insert into pay_ready.checkpoints (tenant_id, checkpoint_id, name, run_no, digest, kind)
values (%(tenant_id)s, %(checkpoint_id)s, %(name)s, %(run_no)s, %(digest)s, 'automatic');

-- name: add_entities
insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
select %(tenant_id)s, entity_id, entity_type, anchor_record_id, %(run_no)s
from pg_temp.publish_entities
order by entity_id;

-- name: close_assignments
update pay_ready.assignments as assignments
set closed_run_no = %(run_no)s
from pg_temp.publish_assignments as changed
where assignments.tenant_id = %(tenant_id)s
  and assignments.closed_run_no is null
  and changed.entity_type = assignments.entity_type
  and changed.record_id = assignments.record_id;

-- name: open_assignments
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select %(tenant_id)s, entity_type, record_id, %(run_no)s, entity_id, confidence
from pg_temp.publish_assignments
where entity_id is not null
order by entity_type, record_id;

-- name: close_versions
update pay_ready.entity_versions as versions
set closed_run_no = %(run_no)s
from pg_temp.publish_versions as changed
where versions.tenant_id = %(tenant_id)s
  and versions.closed_run_no is null
  and changed.entity_id = versions.entity_id;

-- name: open_versions
insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, entity_type, name, email, phone, domain, title, company_entity_id, record_count, golden,
    provenance, content_hash
)
select
    %(tenant_id)s, entity_id, %(run_no)s, entity_type, name, email, phone, domain, title, company_entity_id, record_count, golden,
    provenance, content_hash
from pg_temp.publish_versions
where content_hash is not null
order by entity_id;

-- name: close_redirects
update pay_ready.entity_redirects as redirects
set closed_run_no = %(run_no)s
from pg_temp.publish_redirects as changed
where redirects.tenant_id = %(tenant_id)s
  and redirects.closed_run_no is null
  and changed.entity_id = redirects.entity_id;

-- name: open_redirects
insert into pay_ready.entity_redirects (tenant_id, entity_id, opened_run_no, target_entity_id)
select %(tenant_id)s, entity_id, %(run_no)s, target_entity_id
from pg_temp.publish_redirects
where opens;

-- name: close_interactions
update pay_ready.interaction_entities as links
set closed_run_no = %(run_no)s
from pg_temp.publish_scope as scope
where links.tenant_id = %(tenant_id)s
  and links.interaction_id = scope.interaction_id
  and links.closed_run_no is null
  and not exists (
      select from pg_temp.publish_interactions as wanted
      where wanted.interaction_id = links.interaction_id
        and wanted.entity_id = links.entity_id
        and wanted.is_primary = links.is_primary
        and wanted.occurred_at = links.occurred_at
  );

-- name: open_interactions
insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
select %(tenant_id)s, wanted.interaction_id, wanted.entity_id, %(run_no)s, wanted.entity_type, wanted.is_primary, wanted.occurred_at
from pg_temp.publish_interactions as wanted
where not exists (
    select from pay_ready.interaction_entities as links
    where links.tenant_id = %(tenant_id)s
      and links.closed_run_no is null
      and links.interaction_id = wanted.interaction_id
      and links.entity_id = wanted.entity_id
);

-- name: close_decisions
-- params: decision_ids uuid[]
update pay_ready.run_decisions
set closed_run_no = %(run_no)s
where tenant_id = %(tenant_id)s
  and closed_run_no is null
  and decision_id = any(%(decision_ids)s);

-- name: open_decisions
-- params: decision_ids uuid[]
insert into pay_ready.run_decisions (tenant_id, decision_id, opened_run_no)
select %(tenant_id)s, decision_id, %(run_no)s
from unnest(%(decision_ids)s::uuid[]) as honoured (decision_id);

-- name: add_changes
insert into pay_ready.entity_changes (
    tenant_id, change_seq, run_no, change, entity_type, entity_id, other_entity_id, before_hash, after_hash
)
select %(tenant_id)s, change_seq, %(run_no)s, change, entity_type, entity_id, other_entity_id, before_hash, after_hash
from pg_temp.publish_changes
order by change_seq;

-- name: add_outbox
-- params: outbox_seq bigint, object_id text
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
values (%(tenant_id)s, %(outbox_seq)s, 'publish', 'run', %(object_id)s);
