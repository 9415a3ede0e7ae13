-- name: add
-- A source; a removed one of the same name wakes with the new settings. No row when it is there and not removed.
-- params: source_id uuid, name text, kind text, ingest_mode text, connector text, config jsonb
insert into pay_ready.data_sources as sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
values (%(tenant_id)s, %(source_id)s, %(name)s, %(kind)s, %(ingest_mode)s, %(connector)s, %(config)s)
on conflict (tenant_id, source_id) do update
set kind = excluded.kind,
    ingest_mode = excluded.ingest_mode,
    connector = excluded.connector,
    config = excluded.config,
    status = 'active',
    updated_at = now()
where sources.status = 'removed';

-- name: find
-- params: name text
select source_id, name, kind, ingest_mode, connector, config, status, created_at, updated_at
from pay_ready.data_sources
where tenant_id = %(tenant_id)s
  and name = %(name)s;

-- name: list
select source_id, name, kind, ingest_mode, connector, config, status, created_at, updated_at
from pay_ready.data_sources
where tenant_id = %(tenant_id)s
order by name;

-- name: set_status
-- params: source_id uuid, status text
update pay_ready.data_sources
set status = %(status)s, updated_at = now()
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and status <> %(status)s;

-- name: change_config
-- params: source_id uuid, config jsonb
update pay_ready.data_sources
set config = %(config)s, updated_at = now()
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s;

-- name: put_credential
-- params: source_id uuid, credential text, envelope bytea
insert into pay_ready.source_credentials as credentials (tenant_id, source_id, credential, envelope, version)
values (%(tenant_id)s, %(source_id)s, %(credential)s, %(envelope)s, 1)
on conflict (tenant_id, source_id, credential) do update
set envelope = excluded.envelope,
    version = credentials.version + 1,
    updated_at = now();

-- name: credential
-- params: source_id uuid, credential text
select envelope
from pay_ready.source_credentials
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and credential = %(credential)s;

-- name: credentials_for_rotation
-- Every credential of the tenant, locked until it is encrypted anew.
select source_id, credential, envelope
from pay_ready.source_credentials
where tenant_id = %(tenant_id)s
order by source_id, credential
for update;

-- name: forget_credentials
-- params: source_id uuid
delete from pay_ready.source_credentials
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s;
