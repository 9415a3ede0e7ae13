-- Names and addresses are looked up whatever their case. lower() is not leakproof: under row security no index on it is used, and the
-- exact look-up read every golden record. The lower case is a column, and equality of columns keeps its index.
-- Adding them rewrites the table under an exclusive lock.

set role pay_ready_owner;

alter table pay_ready.entity_versions
add column if not exists name_lower text generated always as (lower(name)) stored,
add column if not exists email_lower text generated always as (lower(email)) stored;

drop index if exists pay_ready.entity_versions_by_name;
create index if not exists entity_versions_by_name
on pay_ready.entity_versions (tenant_id, name_lower) where closed_run_no is null;
create index if not exists entity_versions_by_email
on pay_ready.entity_versions (tenant_id, email_lower) where closed_run_no is null and email_lower is not null;
create index if not exists entity_versions_by_domain
on pay_ready.entity_versions (tenant_id, domain) where closed_run_no is null and domain is not null;

call pay_ready.protect_table('entity_versions');
call pay_ready.describe_table('entity_versions', 'Golden records, by run: the published row of an entity and where each value came from.', $$
    name_lower  personal Name in lower case, for look-ups.
    email_lower personal Address in lower case, for look-ups.
$$);

reset role;
