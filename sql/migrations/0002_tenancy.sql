-- Tenancy: who owns rows, with which settings, and what was done (append-only, a hash chain per tenant).

set role pay_ready_owner;

create table if not exists pay_ready.tenants (
    tenant_id uuid primary key,
    slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name text not null check (length(name) between 1 and 200),
    status text not null default 'active' check (status in ('active', 'suspended')),
    created_at timestamptz not null default now(),
    suspended_at timestamptz,
    check ((status = 'suspended') = (suspended_at is not null)),
    unique (tenant_id, slug)
);
call pay_ready.protect_table('tenants', 'select, insert, update');
call pay_ready.describe_table('tenants', 'A company whose customer data is kept here.', $$
    slug         internal Name used on the command line; the id is derived from it.
    name         internal Name for people.
    status       internal active or suspended; a suspended tenant refuses every step.
    created_at   internal When the row was made.
    suspended_at internal Since when it is suspended.
$$);
-- The operator lists tenants and sees nothing else.
drop policy if exists operator_lists on pay_ready.tenants;
create policy operator_lists on pay_ready.tenants for select to pay_ready_operator using (true);
grant select (tenant_id, slug, name, status, created_at, suspended_at) on pay_ready.tenants to pay_ready_operator;

create table if not exists pay_ready.tenant_settings (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    version integer not null check (version > 0),
    settings jsonb not null check (pay_ready.is_own_json(settings)),
    made_by text not null,
    made_at timestamptz not null default now(),
    superseded_at timestamptz check (superseded_at >= made_at),
    primary key (tenant_id, version)
);
create unique index if not exists tenant_settings_current on pay_ready.tenant_settings (tenant_id) where superseded_at is null;
call pay_ready.protect_table('tenant_settings', 'select, insert, update');
call pay_ready.describe_table('tenant_settings', 'Settings of a tenant: each change is a new version, the old one is closed.', $$
    version       internal Counts from 1.
    settings      internal Overrides of the shipped defaults (model TenantSettings).
    made_by       internal Who made this version.
    made_at       internal When.
    superseded_at internal When the next version took over; empty for the current one.
$$);

create table if not exists pay_ready.api_keys (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    key_id uuid not null,
    name text not null,
    secret_hmac bytea not null check (octet_length(secret_hmac) = 32),
    scopes text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz check (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at timestamptz check (revoked_at >= created_at),
    primary key (tenant_id, key_id)
);
call pay_ready.protect_table('api_keys');
call pay_ready.describe_table('api_keys', 'Keys by which programs ask on behalf of a tenant.', $$
    key_id       internal Id, shown in logs.
    name         internal What the key is for.
    secret_hmac  secret   HMAC-SHA-256 of the key; the key itself is shown once and not kept.
    scopes       internal Space-separated rights.
    created_at   internal When the row was made.
    expires_at   internal From then on refused.
    last_used_at internal Last request.
    revoked_at   internal Since when it is refused.
$$);

create table if not exists pay_ready.audit_events (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    seq bigint not null check (seq > 0),
    occurred_at timestamptz not null default now(),
    actor text not null,
    action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject_kind text not null,
    subject_id text not null,
    reason text,
    run_id uuid,
    before_hash bytea check (octet_length(before_hash) = 32),
    after_hash bytea check (octet_length(after_hash) = 32),
    previous_hash bytea check (octet_length(previous_hash) = 32),
    event_hash bytea not null check (octet_length(event_hash) = 32),
    primary key (tenant_id, seq)
);
call pay_ready.protect_table('audit_events', 'select, insert');
revoke delete on pay_ready.audit_events from pay_ready_erasure;
call pay_ready.describe_table('audit_events', 'What was done, by whom and why: append-only, each row hashes the one before it.', $$
    seq           internal Counts from 1 without gaps, per tenant.
    occurred_at   internal When.
    actor         internal Operating-system user, service or key id.
    action        internal noun.past_participle, for example source.added.
    subject_kind  internal Kind of the thing acted on.
    subject_id    internal Its id; never a personal value.
    reason        internal Why, as given by the actor.
    run_id        internal The run it belongs to.
    before_hash   internal sha256 of the state before.
    after_hash    internal sha256 of the state after.
    previous_hash internal event_hash of the row before; empty for the first.
    event_hash    internal sha256 over this row and previous_hash.
$$);

-- The chain is made by the database: seq, previous_hash and event_hash of an insert are computed here, whatever was sent.
create or replace function pay_ready.chain_audit_event()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    last record;
begin
    perform pg_advisory_xact_lock(hashtextextended('pay_ready.audit:' || new.tenant_id::text, 0));
    select seq, event_hash into last
    from pay_ready.audit_events where tenant_id = new.tenant_id order by seq desc limit 1;
    new.seq := coalesce(last.seq, 0) + 1;
    new.previous_hash := last.event_hash;
    new.event_hash := sha256(convert_to(jsonb_build_array(
        new.tenant_id, new.seq, extract(epoch from new.occurred_at)::text, new.actor, new.action, new.subject_kind, new.subject_id,
        new.reason, new.run_id, encode(new.before_hash, 'hex'), encode(new.after_hash, 'hex'), encode(new.previous_hash, 'hex')
    )::text, 'UTF8'));
    return new;
end
$$;
revoke all on function pay_ready.chain_audit_event() from public;

create or replace function pay_ready.refuse_change()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'insufficient_privilege';
end
$$;
revoke all on function pay_ready.refuse_change() from public;

drop trigger if exists chain_audit_event on pay_ready.audit_events;
create trigger chain_audit_event before insert on pay_ready.audit_events
for each row execute function pay_ready.chain_audit_event();
drop trigger if exists refuse_change on pay_ready.audit_events;
create trigger refuse_change before update or delete on pay_ready.audit_events
for each row execute function pay_ready.refuse_change();

-- Numbers issued in commit order: the row stays locked from the number until the commit, so no reader ever sees a gap
-- that fills later (a sequence would show one).
create table if not exists pay_ready.tenant_counters (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    counter text not null check (counter in ('commit_seq', 'run_no', 'change_seq', 'outbox_seq', 'lease_token')),
    value bigint not null check (value >= 0),
    primary key (tenant_id, counter)
);
call pay_ready.protect_table('tenant_counters', 'select, insert, update');
call pay_ready.describe_table('tenant_counters', 'Counters of a tenant whose numbers appear in commit order.', $$
    counter internal Which counter.
    value   internal The last number issued.
$$);

reset role;
