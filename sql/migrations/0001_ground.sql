-- The ground: roles, the schema, the ledger of migrations, and the two procedures that every later table goes through,
-- so that no table can forget its row security, its grants, or the class of a column.
-- Run as a role that may create roles and schemas. Another domain runs the same files with the name `pay_ready` replaced.

do $$
declare
    role_name text;
begin
    -- Roles belong to the whole server: another database or another runner may be making the same ones right now.
    foreach role_name in array array['owner', 'app', 'operator', 'readonly_bi', 'erasure', 'search'] loop
        -- Without CREATEROLE the attempt alone would fail, also where the role is there.
        continue when exists (select from pg_catalog.pg_roles where rolname = 'pay_ready_' || role_name);
        begin
            execute format('create role %I nologin', 'pay_ready_' || role_name);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
    -- An administrator who is no superuser needs to be a member; where the roles were made for him, he may be one already.
    foreach role_name in array array['pay_ready_owner', 'pay_ready_operator'] loop
        if not pg_catalog.pg_has_role(current_user, role_name, 'usage') then
            execute format('grant %I to %I', role_name, current_user);
        end if;
    end loop;
end
$$;

create schema if not exists pay_ready authorization pay_ready_owner;

set role pay_ready_owner;

comment on schema pay_ready is 'Customer data of many tenants: landed, staged, resolved, published. Managed by pay-ready migrate.';
revoke all on schema pay_ready from public;
grant usage on schema pay_ready to pay_ready_app, pay_ready_operator, pay_ready_readonly_bi, pay_ready_erasure, pay_ready_search;

create table if not exists pay_ready.schema_migrations (
    version integer primary key check (version > 0),
    name text not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz not null default now()
);
comment on table pay_ready.schema_migrations is 'Ledger of the migrations applied to this schema; not tenant data.';
comment on column pay_ready.schema_migrations.version is 'internal: Number of the migration file.';
comment on column pay_ready.schema_migrations.name is 'internal: File name.';
comment on column pay_ready.schema_migrations.sha256 is 'internal: sha256 of the file with LF line ends.';
comment on column pay_ready.schema_migrations.applied_at is 'internal: When it was committed.';
grant select on pay_ready.schema_migrations to pay_ready_app, pay_ready_operator;

-- Row security for one tenant table: enabled, forced, one policy for all commands, and grants without the right to give
-- a row away (tenant_id is in no UPDATE grant). Call it again after adding a column.
create or replace procedure pay_ready.protect_table(table_name text, app_rights text default 'select, insert, update, delete')
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    qualified text := format('pay_ready.%I', table_name);
    updatable text;
    plain_rights text := array_to_string(array(
        select trim(one) from unnest(string_to_array(app_rights, ',')) as one where trim(one) <> 'update'), ', ');
begin
    execute format('alter table %s enable row level security', qualified);
    execute format('alter table %s force row level security', qualified);
    execute format('drop policy if exists tenant_isolation on %s', qualified);
    execute format(
        'create policy tenant_isolation on %s for all'
        ' to pay_ready_owner, pay_ready_app, pay_ready_readonly_bi, pay_ready_erasure'
        ' using (tenant_id = (select current_setting(''app.tenant_id'')::uuid))'
        ' with check (tenant_id = (select current_setting(''app.tenant_id'')::uuid))', qualified);
    execute format('revoke all on %s from public, pay_ready_app, pay_ready_erasure', qualified);
    -- A partition is reached through its parent alone: no rights of its own.
    if app_rights <> '' then
        execute format('grant %s on %s to pay_ready_app', plain_rights, qualified);
        execute format('grant select, delete on %s to pay_ready_erasure', qualified);
    end if;
    if app_rights ~ '\mupdate\M' then
        select string_agg(quote_ident(attname), ', ' order by attnum) into updatable
        from pg_attribute
        where attrelid = qualified::regclass and attnum > 0 and not attisdropped and attname <> 'tenant_id';
        execute format('grant update (%s) on %s to pay_ready_app', updatable, qualified);
    end if;
end
$$;

-- Says what a table holds and gives each column its comment "class: meaning"; masking, export, erasure and the grants of
-- the BI role read the class. One line a column: name, class (public, internal, personal, secret), meaning.
-- Fails when a column is left out or does not exist.
create or replace procedure pay_ready.describe_table(table_name text, meaning text, columns text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    qualified text := format('pay_ready.%I', table_name);
    line text;
    parts text[];
    missing text;
    readable text;
begin
    execute format('comment on table %s is %L', qualified, meaning);
    foreach line in array string_to_array(E'tenant_id internal Owner of the row.\n' || columns, E'\n') loop
        continue when trim(line) = '';
        parts := regexp_match(line, '^\s*(\S+)\s+(public|internal|personal|secret)\s+(\S.*)$');
        if parts is null then
            raise exception 'describe_table(%): cannot read the line "%"', table_name, line;
        end if;
        execute format('comment on column %s.%I is %L', qualified, parts[1], parts[2] || ': ' || parts[3]);
    end loop;
    select string_agg(attname, ', ') into missing
    from pg_attribute
    where attrelid = qualified::regclass and attnum > 0 and not attisdropped and col_description(attrelid, attnum) is null;
    if missing is not null then
        raise exception 'describe_table(%): no description of %', table_name, missing;
    end if;
    select string_agg(quote_ident(attname), ', ' order by attnum) into readable
    from pg_attribute
    where attrelid = qualified::regclass and attnum > 0 and not attisdropped
      and col_description(attrelid, attnum) !~ '^secret:';
    execute format('revoke all on %s from pay_ready_readonly_bi', qualified);
    execute format('grant select (%s) on %s to pay_ready_readonly_bi', readable, qualified);
end
$$;

-- A JSON column of ours: an object with its schema_version, at most 1 MiB.
create or replace function pay_ready.is_own_json(value jsonb)
returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_typeof(value) = 'object' and jsonb_exists(value, 'schema_version') and octet_length(value::text) <= 1048576
$$;

revoke all on procedure pay_ready.protect_table(text, text) from public;
revoke all on procedure pay_ready.describe_table(text, text, text) from public;
revoke all on function pay_ready.is_own_json(jsonb) from public;
grant execute on function pay_ready.is_own_json(jsonb) to pay_ready_app, pay_ready_erasure;

reset role;
