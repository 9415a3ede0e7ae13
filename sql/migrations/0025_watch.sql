-- Watch: an alert may wait until its figure has stood for a while, and says what was measured; what a webhook is told of alerts goes out
-- of a table of its own, so that nothing is told twice or lost; and what `pay-ready status` asks is found by an index.

set role pay_ready_owner;

alter table pay_ready.alerts drop constraint if exists alerts_status_check;
alter table pay_ready.alerts add constraint alerts_status_check check (status in ('pending', 'firing', 'acknowledged', 'cleared'));
alter table pay_ready.alerts add column if not exists measured double precision;
alter table pay_ready.alerts add column if not exists threshold double precision;
create index if not exists alerts_by_rule on pay_ready.alerts (tenant_id, alert, subject_id);
create index if not exists alerts_by_time on pay_ready.alerts (tenant_id, fired_at desc);
call pay_ready.protect_table('alerts');
call pay_ready.describe_table('alerts', 'What operators are told about.', $$
    status     internal pending (has not stood long enough), firing, acknowledged, cleared.
    fired_at   internal Since when; of a pending one, when it was seen first.
    measured   internal The figure when it was looked at last.
    threshold  internal The figure above which it fires.
$$);

create table if not exists pay_ready.alert_deliveries (
    tenant_id uuid not null,
    delivery_id uuid not null,
    alert_id uuid not null,
    change text not null check (change in ('fired', 'cleared')),
    status text not null default 'waiting' check (status in ('waiting', 'delivered', 'dead')),
    attempts integer not null default 0 check (attempts >= 0),
    next_try_at timestamptz not null default now(),
    made_at timestamptz not null default now(),
    delivered_at timestamptz,
    last_error text check (length(last_error) <= 400),
    check ((status = 'delivered') = (delivered_at is not null)),
    primary key (tenant_id, delivery_id),
    foreign key (tenant_id, alert_id) references pay_ready.alerts (tenant_id, alert_id)
);
create index if not exists alert_deliveries_by_alert on pay_ready.alert_deliveries (tenant_id, alert_id);
create index if not exists alert_deliveries_due on pay_ready.alert_deliveries (tenant_id, next_try_at) where status = 'waiting';
call pay_ready.protect_table('alert_deliveries');
call pay_ready.describe_table('alert_deliveries', 'What a webhook is told of alerts, and what became of that.', $$
    delivery_id  internal UUIDv7; the message''s id, the same at each attempt.
    alert_id     internal The alert.
    change       internal fired, cleared.
    status       internal waiting, delivered, dead (given up; kept, and may be sent once more).
    attempts     internal Times that it was sent.
    next_try_at  internal Not before; moved while somebody is sending it.
    made_at      internal When the alert changed.
    delivered_at internal When the receiver took it.
    last_error   internal Why it was not taken; our words and a status, never an answer.
$$);

create index if not exists step_runs_by_subject on pay_ready.step_runs (tenant_id, step, subject, started_at desc);
create index if not exists step_runs_running on pay_ready.step_runs (tenant_id, started_at) where status = 'running';
create index if not exists step_runs_denied on pay_ready.step_runs (tenant_id, started_at) where error_class = 'IsolationError';
create index if not exists sync_runs_by_time on pay_ready.sync_runs (tenant_id, started_at desc);
create index if not exists stream_runs_by_stream on pay_ready.stream_runs (tenant_id, source_id, stream, run_id desc);
create index if not exists memory_projections_by_time on pay_ready.memory_projections (tenant_id, queued_at);
create index if not exists drift_findings_by_time on pay_ready.drift_findings (tenant_id, found_at desc);

reset role;
