-- What a run need not read again: which records changed since, and by which keys each record was compared. Blocking keys become rows
-- of numbers alone, with the place of a record in a block that is too large to be compared whole.

set role pay_ready_owner;

create table if not exists pay_ready.resolution_queue (
    tenant_id uuid not null,
    object_id uuid not null,
    change_id uuid not null default gen_random_uuid(),
    kind text not null check (kind in ('person', 'company', 'interaction')),
    primary key (tenant_id, object_id, change_id)
);
call pay_ready.protect_table('resolution_queue', 'select, insert, delete');
call pay_ready.describe_table('resolution_queue', 'Records and interactions that changed since they were resolved, as often as they did; written by triggers.', $$
    object_id internal The record, or the interaction.
    change_id internal Tells one change from the next: who took the first in leaves the second.
    kind      internal person, company or interaction.
$$);

-- Statement triggers, so that nobody who writes can forget it: staging, replay, erasure, a decision.
create or replace function pay_ready.queue_new_records()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select tenant_id, tg_argv[0], record_id from new_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_new_records() from public;

create or replace function pay_ready.queue_old_records()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select tenant_id, tg_argv[0], record_id from old_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_old_records() from public;

-- A person's record has the name and the domain of its company's record where it has none of its own.
create or replace function pay_ready.queue_employees()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select people.tenant_id, 'person', people.record_id
    from new_rows
    join old_rows on old_rows.tenant_id = new_rows.tenant_id and old_rows.record_id = new_rows.record_id
    join pay_ready.person_records as people
        on people.tenant_id = new_rows.tenant_id and people.company_record_id = new_rows.record_id
    where (old_rows.name, old_rows.domain) is distinct from (new_rows.name, new_rows.domain);
    return null;
end
$$;
revoke all on function pay_ready.queue_employees() from public;

create or replace function pay_ready.queue_new_interactions()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select distinct tenant_id, 'interaction', interaction_id from new_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_new_interactions() from public;

create or replace function pay_ready.queue_moved_interactions()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select tenant_id, 'interaction', interaction_id from new_rows
    union
    select tenant_id, 'interaction', interaction_id from old_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_moved_interactions() from public;

create or replace function pay_ready.queue_old_interactions()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select distinct tenant_id, 'interaction', interaction_id from old_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_old_interactions() from public;

create or replace function pay_ready.queue_decided()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
    select tenant_id, entity_type, left_id from new_rows
    union all
    select tenant_id, entity_type, right_id from new_rows;
    return null;
end
$$;
revoke all on function pay_ready.queue_decided() from public;

do $$
declare
    each record;
    event text;
begin
    for each in
        select * from (values
            ('person_records', 'insert', 'queue_new_records(''person'')'),
            ('person_records', 'update', 'queue_new_records(''person'')'),
            ('person_records', 'delete', 'queue_old_records(''person'')'),
            ('company_records', 'insert', 'queue_new_records(''company'')'),
            ('company_records', 'update', 'queue_new_records(''company'')'),
            ('company_records', 'update', 'queue_employees()'),
            ('company_records', 'delete', 'queue_old_records(''company'')'),
            ('interaction_records', 'insert', 'queue_new_interactions()'),
            ('interaction_records', 'update', 'queue_moved_interactions()'),
            ('interaction_records', 'delete', 'queue_old_interactions()'),
            ('interaction_participants', 'insert', 'queue_new_interactions()'),
            ('interaction_participants', 'update', 'queue_moved_interactions()'),
            ('interaction_participants', 'delete', 'queue_old_interactions()'),
            ('decisions', 'insert', 'queue_decided()'),
            ('decisions', 'update', 'queue_decided()')
        ) as told (table_name, event, call)
    loop
        event := format('%s_%s', split_part(each.call, '(', 1), each.event);
        execute format(
            'create or replace trigger %I after %s on pay_ready.%I referencing %s for each statement execute function pay_ready.%s',
            event, each.event, each.table_name,
            case each.event
                when 'insert' then 'new table as new_rows'
                when 'delete' then 'old table as old_rows'
                else 'new table as new_rows old table as old_rows'
            end,
            each.call
        );
        -- Whoever writes, and however: a restore and a replica's apply too.
        execute format('alter table pay_ready.%I enable always trigger %I', each.table_name, event);
    end loop;
end
$$;

drop table if exists pay_ready.blocking_keys;

create table if not exists pay_ready.record_blocks (
    tenant_id uuid not null,
    record_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    blocks bytea not null check (octet_length(blocks) % 16 = 0),
    primary key (tenant_id, record_id)
);
call pay_ready.protect_table('record_blocks', 'select, insert, update, delete');
call pay_ready.describe_table('record_blocks', 'The blocks of each record that was resolved: what it was compared by.', $$
    record_id   internal The record.
    entity_type internal person or company.
    blocks      internal Block and place, 64 bits each, little-endian; hashes, never values.
$$);

create table if not exists pay_ready.block_members (
    tenant_id uuid not null,
    block bigint not null,
    place bigint not null,
    record_id uuid not null,
    primary key (tenant_id, block, place, record_id)
);
call pay_ready.protect_table('block_members', 'select, insert, delete');
call pay_ready.describe_table('block_members', 'What makes two records worth comparing, as rows: equality keeps its index under row security.', $$
    block     internal Blocking rule of people or of companies (25 bits), and key (38 bits).
    place     internal What neighbours in a block that is too large have in common.
    record_id internal The record.
$$);

alter table pay_ready.resolution_runs add column if not exists state_digest bytea check (octet_length(state_digest) = 32);
call pay_ready.protect_table('resolution_runs', 'select, insert');
call pay_ready.describe_table('resolution_runs', 'Published versions of a tenant; the highest run_no is what readers see.', $$
    state_digest internal Digest of the published state after the run; empty for runs before there was one.
$$);

-- An increment after a first load must not wait a minute for autovacuum: without statistics the server reads a tenant's rows once a key.
-- Analyzing needs the owner; this does nothing else, and tells nothing.
create or replace function pay_ready.refresh_statistics()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    analyze pay_ready.person_records, pay_ready.company_records, pay_ready.interaction_participants, pay_ready.edges,
        pay_ready.block_members, pay_ready.record_blocks, pay_ready.assignments, pay_ready.entities, pay_ready.entity_versions,
        pay_ready.entity_redirects, pay_ready.interaction_entities;
end
$$;
alter function pay_ready.refresh_statistics() owner to pay_ready_owner;
revoke all on function pay_ready.refresh_statistics() from public;
grant execute on function pay_ready.refresh_statistics() to pay_ready_app;

-- Counts every transaction that moved blocks or edges, whether readers saw a new version or not.
alter table pay_ready.tenant_counters drop constraint if exists tenant_counters_counter_check;
alter table pay_ready.tenant_counters add constraint tenant_counters_counter_check
check (counter in ('commit_seq', 'run_no', 'change_seq', 'outbox_seq', 'lease_token', 'resolution_no'));

reset role;
