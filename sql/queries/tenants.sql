-- name: create
-- Make the tenant; no row when it is there.
-- params: slug text, name text
insert into pay_ready.tenants (tenant_id, slug, name)
values (%(tenant_id)s, %(slug)s, %(name)s)
on conflict do nothing;

-- name: find
-- The tenant with its current settings.
select
    tenants.tenant_id,
    tenants.slug,
    tenants.name,
    tenants.status,
    tenants.created_at,
    current.settings,
    current.version as settings_version
from pay_ready.tenants as tenants
join pay_ready.tenant_settings as current on current.tenant_id = tenants.tenant_id and current.superseded_at is null
where tenants.tenant_id = %(tenant_id)s;

-- name: close_settings
update pay_ready.tenant_settings
set superseded_at = greatest(now(), made_at)
where tenant_id = %(tenant_id)s
  and superseded_at is null;

-- name: add_settings
-- params: settings jsonb, made_by text
insert into pay_ready.tenant_settings (tenant_id, version, settings, made_by)
select %(tenant_id)s, coalesce(max(version), 0) + 1, %(settings)s, %(made_by)s
from pay_ready.tenant_settings
where tenant_id = %(tenant_id)s;

-- name: set_suspended
-- params: suspended boolean
update pay_ready.tenants
set status = case when %(suspended)s then 'suspended' else 'active' end,
    suspended_at = case when %(suspended)s then now() end
where tenant_id = %(tenant_id)s
  and (status = 'suspended') <> %(suspended)s;

-- name: audit
-- Append to the chain; the trigger numbers and hashes the row.
insert into pay_ready.audit_events (
    tenant_id, seq, actor, action, subject_kind, subject_id, reason, run_id, before_hash, after_hash, event_hash
)
values (
    %(tenant_id)s, 1, %(actor)s, %(action)s, %(subject_kind)s, %(subject_id)s, %(reason)s, %(run_id)s, %(before_hash)s,
    %(after_hash)s, sha256('')
);

-- name: next_number
-- The last of `count` numbers; the row stays locked until the commit.
-- params: counter text, count bigint
insert into pay_ready.tenant_counters as counters (tenant_id, counter, value)
values (%(tenant_id)s, %(counter)s, %(count)s)
on conflict (tenant_id, counter) do update
set value = counters.value + excluded.value
returning value;
