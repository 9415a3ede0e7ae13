-- Insight: what is computed about interactions, always per tenant.

set role pay_ready_owner;

create table if not exists pay_ready.analytics_cache (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    metric_name text not null,
    metric_value jsonb not null check (pay_ready.is_own_json(metric_value)),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, metric_name)
);
call pay_ready.protect_table('analytics_cache');
call pay_ready.describe_table('analytics_cache', 'Results of analyses, by name; the name carries the hash of the plan.', $$
    metric_name  internal Name with the plan's hash.
    metric_value personal The result.
    updated_at   internal When it was computed.
$$);

create table if not exists pay_ready.interaction_sentiment (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    interaction_id uuid not null,
    turn_no integer not null default -1 check (turn_no >= -1),
    sentiment real not null check (sentiment between -1 and 1),
    model_name text not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    computed_at timestamptz not null default now(),
    primary key (tenant_id, interaction_id, turn_no)
);
call pay_ready.protect_table('interaction_sentiment');
call pay_ready.describe_table('interaction_sentiment', 'Sentiment of an interaction and of its turns.', $$
    interaction_id internal The interaction.
    turn_no        internal The turn; -1 for the whole.
    sentiment      internal From -1 (negative) to 1 (positive).
    model_name     internal The model that said so.
    content_hash   internal sha256 of the text it read.
    computed_at    internal When.
$$);

create table if not exists pay_ready.metric_snapshots (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    metric_name text not null,
    subject_id text not null default '',
    taken_at timestamptz not null,
    metric_value double precision not null,
    run_id uuid,
    primary key (tenant_id, metric_name, subject_id, taken_at)
);
call pay_ready.protect_table('metric_snapshots');
call pay_ready.describe_table('metric_snapshots', 'Time series of a tenant''s figures.', $$
    metric_name  internal What was measured.
    subject_id   internal Source, stream or entity it is about; empty for the tenant.
    taken_at     internal When.
    metric_value internal The figure.
    run_id       internal The run that took it.
$$);

create table if not exists pay_ready.drift_findings (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    finding_id uuid not null,
    metric_name text not null,
    subject_id text not null default '',
    window_start timestamptz not null,
    window_end timestamptz not null check (window_end > window_start),
    baseline_value double precision not null,
    current_value double precision not null,
    baseline_count bigint not null check (baseline_count >= 0),
    current_count bigint not null check (current_count >= 0),
    severity real not null check (severity between 0 and 1),
    found_at timestamptz not null default now(),
    primary key (tenant_id, finding_id)
);
call pay_ready.protect_table('drift_findings');
call pay_ready.describe_table('drift_findings', 'Figures that moved away from their baseline.', $$
    finding_id     internal Derived from metric, subject and window.
    metric_name    internal What drifted.
    subject_id     internal Source, stream or entity it is about.
    window_start   internal First moment of the current window.
    window_end     internal First moment after it.
    baseline_value internal Before.
    current_value  internal Now.
    baseline_count internal Observations before.
    current_count  internal Observations now.
    severity       internal From 0 to 1, damped by sample size.
    found_at       internal When.
$$);

create table if not exists pay_ready.alerts (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    alert_id uuid not null,
    alert text not null,
    subject_id text not null default '',
    severity real not null check (severity between 0 and 1),
    status text not null check (status in ('firing', 'acknowledged', 'cleared')),
    fired_at timestamptz not null default now(),
    cleared_at timestamptz check (cleared_at >= fired_at),
    primary key (tenant_id, alert_id)
);
create unique index if not exists alerts_standing on pay_ready.alerts (tenant_id, alert, subject_id) where cleared_at is null;
call pay_ready.protect_table('alerts');
call pay_ready.describe_table('alerts', 'What operators are told about.', $$
    alert_id   internal UUIDv7.
    alert      internal Name of the rule.
    subject_id internal What it is about.
    severity   internal From 0 to 1.
    status     internal firing, acknowledged, cleared.
    fired_at   internal Since when.
    cleared_at internal When it ended; empty while it stands.
$$);

reset role;
