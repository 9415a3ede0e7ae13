-- What operators do in two: a rollback that one asks for and another one approves, decided here and not by whoever schedules it; and the
-- months of step_logs are made ahead, so that none of their lines has to be searched for in the partition of the rest. Chunks of a backfill
-- are claimed by several readers at once, and a plan is never changed once it is made.

set role pay_ready_owner;

create table if not exists pay_ready.rollback_requests (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    request_id uuid not null,
    checkpoint_id uuid not null,
    to_run_no bigint not null check (to_run_no >= 0),
    base_run_no bigint not null check (base_run_no >= 0),
    apply_decisions boolean not null,
    four_eyes boolean not null,
    flow_run_id uuid,
    requested_by text not null check (requested_by <> ''),
    requested_at timestamptz not null default now(),
    reason text,
    status text not null default 'waiting' check (status in ('waiting', 'approved', 'refused', 'done')),
    decided_by text check (decided_by <> ''),
    decided_at timestamptz,
    decision_reason text,
    run_no bigint check (run_no > 0),
    check ((status = 'waiting') = (decided_by is null)),
    check ((decided_by is null) = (decided_at is null)),
    -- Four eyes are two people.
    check (not four_eyes or status not in ('approved', 'done') or decided_by <> requested_by),
    primary key (tenant_id, request_id)
);
create unique index if not exists rollback_requests_of_flow_run
on pay_ready.rollback_requests (tenant_id, flow_run_id) where flow_run_id is not null;
create index if not exists rollback_requests_by_time on pay_ready.rollback_requests (tenant_id, requested_at desc);
call pay_ready.protect_table('rollback_requests', 'select, insert, update');
call pay_ready.describe_table('rollback_requests', 'Rollbacks that somebody asked for, and what became of them.', $$
    request_id      internal UUIDv7.
    checkpoint_id   internal Where to.
    to_run_no       internal Its run.
    base_run_no     internal The published run that was previewed: another one since, and it has to be asked for anew.
    apply_decisions internal Whether decisions made since are applied at once.
    four_eyes       internal Whether somebody else must approve.
    flow_run_id     internal The orchestrator's run that asked, where one did.
    requested_by    internal Who asked: an operating-system user, or the name that was given.
    requested_at    internal When.
    reason          internal Why.
    status          internal waiting, approved, refused, done.
    decided_by      internal Who approved or refused.
    decided_at      internal When.
    decision_reason internal Why.
    run_no          internal The run that was published by it; empty where nothing differed.
$$);

create or replace function pay_ready.keep_log_partitions(months integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
    month timestamp;
    called text;
    made integer := 0;
begin
    for month in
        select generate_series(date_trunc('month', now() at time zone 'UTC'),
            date_trunc('month', now() at time zone 'UTC') + make_interval(months => least(greatest(months, 0), 24)), interval '1 month')
    loop
        called := 'step_logs_' || to_char(month, 'YYYY_MM');
        continue when to_regclass(format('pay_ready.%I', called)) is not null;
        begin
            execute format('create table pay_ready.%I partition of pay_ready.step_logs for values from (%L) to (%L)', called,
                month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
            call pay_ready.protect_table(called, '');
            call pay_ready.describe_table(called, 'Log lines of a month.', $$
                logged_at internal When.
                log_id    internal UUIDv7.
                run_id    internal The run.
                level     internal debug, info, warning, error, critical.
                event     internal noun.past_participle.
                fields    internal The rest of the line, masked.
            $$);
            execute format('revoke all (tenant_id, logged_at, log_id, run_id, level, event, fields) on pay_ready.%I'
                ' from pay_ready_readonly_bi', called);
            made := made + 1;
        exception when check_violation then
            null;  -- lines of that month are in the default partition already, and stay there
        end;
    end loop;
    return made;
end
$body$;
alter function pay_ready.keep_log_partitions(integer) owner to pay_ready_owner;
revoke all on function pay_ready.keep_log_partitions(integer) from public;
grant execute on function pay_ready.keep_log_partitions(integer) to pay_ready_app;

alter table pay_ready.backfill_batches
add column if not exists claim_token bigint check (claim_token > 0);
call pay_ready.protect_table('backfill_batches');
call pay_ready.describe_table('backfill_batches', 'One chunk of a backfill plan.', $$
    claim_token internal Token of the lease under which a reader claimed it last; under a higher one it can be claimed anew.
$$);

-- What a plan is about, and how it is cut, is said once.
revoke update (
    plan_id, source_id, stream, streams, all_streams, dated_by, range_start, range_end, chunk, created_at
) on pay_ready.backfill_plans from pay_ready_app;
revoke update (
    plan_id, chunk_start, chunk_end, source_id, landed_before, estimated_rows
) on pay_ready.backfill_batches from pay_ready_app;

reset role;
