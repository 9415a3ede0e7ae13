-- Operation: our own record of runs (an orchestrator's can be wrong both ways), leases, limits, checks.

set role pay_ready_owner;

create table if not exists pay_ready.step_runs (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    step_run_id uuid not null,
    run_id uuid not null,
    step text not null,
    subject text not null default '',
    status text not null check (status in ('running', 'complete', 'partial', 'failed', 'aborted')),
    started_at timestamptz not null default now(),
    finished_at timestamptz check (finished_at >= started_at),
    row_count bigint check (row_count >= 0),
    error_class text,
    check ((status = 'running') = (finished_at is null)),
    primary key (tenant_id, step_run_id)
);
create index if not exists step_runs_by_run on pay_ready.step_runs (tenant_id, run_id, started_at);
create index if not exists step_runs_by_step on pay_ready.step_runs (tenant_id, step, started_at desc);
call pay_ready.protect_table('step_runs');
call pay_ready.describe_table('step_runs', 'Each step of each run: what ran, how long, how it ended.', $$
    step_run_id internal UUIDv7.
    run_id      internal The run.
    step        internal sync, stage, resolve, publish and so on.
    subject     internal Source or entity type it worked on.
    status      internal running, complete, partial, failed, aborted.
    started_at  internal Start.
    finished_at internal End.
    row_count   internal Rows it dealt with.
    error_class internal Class of the error that ended it.
$$);

create table if not exists pay_ready.step_logs (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    logged_at timestamptz not null,
    log_id uuid not null,
    run_id uuid not null,
    level text not null check (level in ('debug', 'info', 'warning', 'error', 'critical')),
    event text not null,
    fields jsonb not null check (pay_ready.is_own_json(fields)),
    primary key (tenant_id, logged_at, log_id)
) partition by range (logged_at);
create table if not exists pay_ready.step_logs_default partition of pay_ready.step_logs default;
create index if not exists step_logs_by_level on pay_ready.step_logs (tenant_id, run_id, level, logged_at desc);
create index if not exists step_logs_by_run on pay_ready.step_logs (tenant_id, run_id, logged_at);
create index if not exists step_logs_of_trouble
on pay_ready.step_logs (tenant_id, logged_at desc) where level in ('warning', 'error', 'critical');
call pay_ready.protect_table('step_logs', 'select, insert');
call pay_ready.protect_table('step_logs_default', '');
call pay_ready.describe_table('step_logs', 'Log lines of runs, in monthly partitions.', $$
    logged_at internal When.
    log_id    internal UUIDv7.
    run_id    internal The run.
    level     internal debug, info, warning, error, critical.
    event     internal noun.past_participle.
    fields    internal The rest of the line, masked.
$$);
call pay_ready.describe_table('step_logs_default', 'Log lines outside every monthly partition.', $$
    logged_at internal When.
    log_id    internal UUIDv7.
    run_id    internal The run.
    level     internal debug, info, warning, error, critical.
    event     internal noun.past_participle.
    fields    internal The rest of the line, masked.
$$);
revoke all (tenant_id, logged_at, log_id, run_id, level, event, fields) on pay_ready.step_logs_default from pay_ready_readonly_bi;

create table if not exists pay_ready.leases (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    lease text not null,
    holder text not null,
    token bigint not null check (token > 0),
    acquired_at timestamptz not null default now(),
    expires_at timestamptz not null check (expires_at > acquired_at),
    primary key (tenant_id, lease)
);
call pay_ready.protect_table('leases');
call pay_ready.describe_table('leases', 'Who may work on what; a holder that stops renewing loses it, and its token fences its late writes.', $$
    lease       internal What is held, for example source:gong or publish.
    holder      internal host:pid:run of the holder.
    token       internal Fencing token; every acquisition has a higher one.
    acquired_at internal Since when.
    expires_at  internal Until when, unless renewed.
$$);

create table if not exists pay_ready.breaker_states (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    target text not null,
    state text not null check (state in ('closed', 'open', 'half_open')),
    failures integer not null default 0 check (failures >= 0),
    changed_at timestamptz not null default now(),
    primary key (tenant_id, target)
);
call pay_ready.protect_table('breaker_states');
call pay_ready.describe_table('breaker_states', 'Circuit breakers around outside services.', $$
    target     internal The service.
    state      internal closed, open, half_open.
    failures   internal Failures in a row.
    changed_at internal When state changed last.
$$);

create table if not exists pay_ready.rate_states (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    bucket text not null,
    next_free_at timestamptz not null,
    primary key (tenant_id, bucket)
);
call pay_ready.protect_table('rate_states');
call pay_ready.describe_table('rate_states', 'Rate limits shared by processes (generic cell rate algorithm).', $$
    bucket       internal What is limited.
    next_free_at internal Theoretical arrival time of the next request.
$$);

create table if not exists pay_ready.quality_results (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    result_id uuid not null,
    run_id uuid not null,
    check_name text not null,
    subject text not null default '',
    severity text not null check (severity in ('warn', 'error')),
    passed boolean not null,
    measured double precision,
    expected text,
    checked_at timestamptz not null default now(),
    primary key (tenant_id, result_id)
);
create index if not exists quality_results_by_run on pay_ready.quality_results (tenant_id, run_id);
call pay_ready.protect_table('quality_results', 'select, insert');
call pay_ready.describe_table('quality_results', 'Outcome of each data-quality check of each run.', $$
    result_id  internal UUIDv7.
    run_id     internal The run.
    check_name internal The check.
    subject    internal Stream, field or entity type.
    severity   internal warn or error.
    passed     internal Whether it held.
    measured   internal The figure.
    expected   internal The bound, in words.
    checked_at internal When.
$$);

reset role;
