-- Watching: what was found to have moved away from its baseline, what operators said of it, and the ways by which runs, checks and figures
-- are looked back at by time.

set role pay_ready_owner;

create index if not exists step_runs_by_time on pay_ready.step_runs (tenant_id, started_at desc);
create index if not exists quality_results_by_time on pay_ready.quality_results (tenant_id, checked_at desc);
create index if not exists metric_snapshots_by_time on pay_ready.metric_snapshots (tenant_id, metric_name, taken_at desc);

-- One finding is one episode: while a figure stays where it went, every later look finds the same row.
alter table pay_ready.drift_findings
add column if not exists subject_kind text not null default 'tenant' check (subject_kind in ('account', 'source', 'tenant')),
add column if not exists direction text not null default 'up' check (direction in ('up', 'down')),
add column if not exists effect double precision not null default 0,
add column if not exists last_seen_at timestamptz not null default now(),
add column if not exists alerted_at timestamptz,
add column if not exists ended_at timestamptz,
add column if not exists judgement text check (judgement in ('expected', 'real'));
create unique index if not exists drift_findings_standing
on pay_ready.drift_findings (tenant_id, metric_name, subject_kind, subject_id) where ended_at is null;
create index if not exists drift_findings_by_time on pay_ready.drift_findings (tenant_id, found_at desc);
call pay_ready.protect_table('drift_findings');
call pay_ready.describe_table('drift_findings', 'Figures that moved away from their baseline, one row an episode.', $$
    finding_id     internal Derived from metric, subject, direction and the day on which the episode was first seen.
    metric_name    internal What drifted.
    subject_kind   internal account, source or tenant.
    subject_id     internal The account's entity id or the source's name; empty for the tenant.
    direction      internal up or down.
    window_start   internal First moment of the current window.
    window_end     internal First moment after it.
    baseline_value internal Before: the median, in the metric's unit.
    current_value  internal Now.
    baseline_count internal Observations before.
    current_count  internal Observations now.
    effect         internal How far it moved, in robust standard deviations of the baseline.
    severity       internal From 0 to 1, damped by sample size.
    found_at       internal When it was seen first.
    last_seen_at   internal When it was seen last.
    alerted_at     internal When somebody was told; empty while nobody was.
    ended_at       internal When it was gone, or went the other way; empty while it stands.
    judgement      internal What an operator said last: expected or real.
$$);

create table if not exists pay_ready.drift_judgements (
    tenant_id uuid not null,
    judgement_id uuid not null,
    finding_id uuid not null,
    judgement text not null check (judgement in ('expected', 'real')),
    reason text not null check (reason <> ''),
    judged_by text not null check (judged_by <> ''),
    judged_at timestamptz not null default now(),
    primary key (tenant_id, judgement_id),
    foreign key (tenant_id, finding_id) references pay_ready.drift_findings (tenant_id, finding_id)
);
create index if not exists drift_judgements_by_finding on pay_ready.drift_judgements (tenant_id, finding_id, judged_at desc);
call pay_ready.protect_table('drift_judgements', 'select, insert');
call pay_ready.describe_table('drift_judgements', 'What operators said of drift findings; never changed.', $$
    judgement_id internal UUIDv7.
    finding_id   internal The finding.
    judgement    internal expected or real.
    reason       internal Why.
    judged_by    internal Who.
    judged_at    internal When.
$$);

reset role;
