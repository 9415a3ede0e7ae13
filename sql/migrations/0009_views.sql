-- Names that users know. security_invoker: a view sees what its reader may see.

set role pay_ready_owner;

create or replace view pay_ready.sync_state with (security_invoker = true, security_barrier = true) as
select
    states.tenant_id,
    sources.name as source_system,
    states.source_id as data_source_id,
    states.stream,
    states.state,
    states.generation,
    states.staged_commit_seq,
    states.updated_at
from pay_ready.stream_states as states
join pay_ready.data_sources as sources using (tenant_id, source_id);

create or replace view pay_ready.interactions with (security_invoker = true, security_barrier = true) as
select
    records.tenant_id,
    records.interaction_id,
    records.interaction_type as type,
    records.subject,
    coalesce(records.body, (
        select string_agg(turns.spoken_text, E'\n' order by turns.turn_no)
        from pay_ready.interaction_turns as turns
        where turns.tenant_id = records.tenant_id and turns.interaction_id = records.interaction_id
    )) as text,
    records.metadata -> 'values' as metadata,
    people.entity_id as unified_person_id,
    companies.entity_id as unified_company_id,
    sources.name as source_system,
    records.external_id as source_id,
    records.direction,
    records.thread_id,
    records.url,
    records.occurred_at,
    records.ended_at,
    records.created_at,
    records.updated_at
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources using (tenant_id, source_id)
left join pay_ready.interaction_entities as people
    on people.tenant_id = records.tenant_id and people.interaction_id = records.interaction_id
    and people.entity_type = 'person' and people.is_primary and people.closed_run_no is null
left join pay_ready.interaction_entities as companies
    on companies.tenant_id = records.tenant_id and companies.interaction_id = records.interaction_id
    and companies.entity_type = 'company' and companies.is_primary and companies.closed_run_no is null
where records.is_primary;

create or replace view pay_ready.entity_mappings with (security_invoker = true, security_barrier = true) as
select
    assignments.tenant_id,
    assignments.entity_type,
    assignments.entity_id as unified_id,
    sources.name as source_system,
    coalesce(people.record_reference, companies.record_reference) as source_id,
    assignments.record_id,
    assignments.confidence as confidence_score,
    assignments.opened_run_no as since_run_no
from pay_ready.assignments as assignments
left join pay_ready.person_records as people
    on people.tenant_id = assignments.tenant_id and people.record_id = assignments.record_id
    and assignments.entity_type = 'person'
left join pay_ready.company_records as companies
    on companies.tenant_id = assignments.tenant_id and companies.record_id = assignments.record_id
    and assignments.entity_type = 'company'
join pay_ready.data_sources as sources
    on sources.tenant_id = assignments.tenant_id
    and sources.source_id = coalesce(people.source_id, companies.source_id)
where assignments.closed_run_no is null;

do $$
declare
    view_name text;
    column_name text;
begin
    foreach view_name in array array['sync_state', 'interactions', 'entity_mappings'] loop
        execute format('revoke all on pay_ready.%I from public', view_name);
        execute format('grant select on pay_ready.%I to pay_ready_app, pay_ready_readonly_bi', view_name);
        for column_name in
            select attname from pg_catalog.pg_attribute
            where attrelid = format('pay_ready.%I', view_name)::regclass and attnum > 0
        loop
            execute format('comment on column pay_ready.%I.%I is %L', view_name, column_name,
                case when column_name in ('text', 'subject', 'metadata') or (view_name = 'entity_mappings' and column_name = 'source_id')
                     then 'personal: As in the table below the view.' else 'internal: As in the table below the view.' end);
        end loop;
    end loop;
end
$$;
comment on view pay_ready.sync_state is 'Progress of every stream.';
comment on view pay_ready.interactions is 'Every interaction once, with the current unified person and company of its primary participant.';
comment on view pay_ready.entity_mappings is 'Which source record is which unified person or company now.';

reset role;
