-- Reversible: a run says with which decisions and settings it was made, a tenant can be on hold, a reviewer holds a pair while looking
-- at it. Rows with history are closed and never rewritten, and the app's rights say so.

set role pay_ready_owner;

alter table pay_ready.resolution_runs drop constraint if exists resolution_runs_kind_check;
alter table pay_ready.resolution_runs add constraint resolution_runs_kind_check
check (kind in ('resolve', 'refresh', 'rollback', 'undo', 'decision', 'erasure'));
alter table pay_ready.resolution_runs add column if not exists settings_version integer check (settings_version > 0);
alter table pay_ready.resolution_runs add column if not exists edges_fit boolean not null default true;
call pay_ready.protect_table('resolution_runs', 'select, insert');
call pay_ready.describe_table('resolution_runs', 'Published versions of a tenant; the highest run_no is what readers see.', $$
    kind             internal resolve, refresh, rollback, undo, decision, erasure.
    settings_version internal Version of the tenant's settings that it ran with; empty for runs before it was kept.
    edges_fit        internal Whether the edges kept are those of its models; where not, the next run reads every record.
$$);

-- Before this a digest covered where retired ids lead, which a rollback does not give back: those are forgotten, once.
do $$
begin
    if not exists (
        select from pg_catalog.pg_attribute where attrelid = 'pay_ready.checkpoints'::regclass and attname = 'made_by' and not attisdropped
    ) then
        alter table pay_ready.resolution_runs drop column state_digest;
        alter table pay_ready.resolution_runs add column state_digest bytea check (octet_length(state_digest) = 32);
    end if;
end
$$;
call pay_ready.protect_table('resolution_runs', 'select, insert');
call pay_ready.describe_table('resolution_runs', 'Published versions of a tenant; the highest run_no is what readers see.', $$
    state_digest internal Digest of the published state after the run; empty for runs before there was one.
$$);

create table if not exists pay_ready.run_decisions (
    tenant_id uuid not null,
    decision_id uuid not null,
    opened_run_no bigint not null,
    closed_run_no bigint check (closed_run_no > opened_run_no),
    primary key (tenant_id, decision_id, opened_run_no),
    foreign key (tenant_id, decision_id) references pay_ready.decisions (tenant_id, decision_id),
    foreign key (tenant_id, opened_run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, closed_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
create unique index if not exists run_decisions_current on pay_ready.run_decisions (tenant_id, decision_id) where closed_run_no is null;
call pay_ready.protect_table('run_decisions', 'select, insert');
grant update (closed_run_no) on pay_ready.run_decisions to pay_ready_app;
call pay_ready.describe_table('run_decisions', 'Which decisions a published version honours, by run.', $$
    decision_id   internal The decision.
    opened_run_no internal First run in which it holds.
    closed_run_no internal First run in which it holds no more; empty while it does.
$$);

create table if not exists pay_ready.resolution_holds (
    tenant_id uuid not null,
    run_no bigint not null,
    actor text not null,
    reason text,
    held_at timestamptz not null default now(),
    primary key (tenant_id, run_no),
    foreign key (tenant_id, run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
call pay_ready.protect_table('resolution_holds', 'select, insert, delete');
call pay_ready.describe_table('resolution_holds', 'Tenants whose resolution rests after a rollback, until somebody resumes it; landing and staging go on.', $$
    run_no  internal The rollback.
    actor   internal Who did it.
    reason  internal Why.
    held_at internal Since when.
$$);

alter table pay_ready.checkpoints add column if not exists made_by text;
alter table pay_ready.checkpoints add column if not exists note text;
call pay_ready.protect_table('checkpoints');
call pay_ready.describe_table('checkpoints', 'States of a tenant to which a rollback can return.', $$
    digest  internal Digest of that state (resolution_runs.state_digest).
    made_by internal Who made it; empty for an automatic one.
    note    internal Why.
$$);

alter table pay_ready.decisions add column if not exists match_weight_millibits integer;
alter table pay_ready.decisions add column if not exists model_id uuid;
alter table pay_ready.decisions add column if not exists run_no bigint check (run_no > 0);
alter table pay_ready.decisions add column if not exists risk text check (risk in ('low', 'medium', 'high'));
alter table pay_ready.decisions add column if not exists evidence jsonb check (pay_ready.is_own_json(evidence));
create unique index if not exists decisions_current
on pay_ready.decisions (tenant_id, entity_type, left_id, right_id, actor_type) where superseded_at is null;
call pay_ready.protect_table('decisions', 'select, insert');
grant update (superseded_at, status) on pay_ready.decisions to pay_ready_app;
call pay_ready.describe_table('decisions', 'What a person or an agent said of two records: closed when superseded, honoured by every later run.', $$
    match_weight_millibits internal What the model gave the pair when it was decided.
    model_id               internal That model.
    run_no                 internal The version that was published then.
    risk                   internal low, medium, high: what an agent thinks it would cost to be wrong.
    evidence               internal What an agent's verdict rests on: levels and bits, never values.
$$);

create table if not exists pay_ready.review_leases (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    entity_type text not null check (entity_type in ('person', 'company')),
    left_id uuid not null,
    right_id uuid not null check (left_id < right_id),
    actor text not null,
    leased_until timestamptz not null,
    primary key (tenant_id, entity_type, left_id, right_id)
);
call pay_ready.protect_table('review_leases', 'select, insert, update, delete');
call pay_ready.describe_table('review_leases', 'Pairs that a reviewer has before him, so that nobody else is given them meanwhile.', $$
    entity_type  internal person or company.
    left_id      internal The record whose id sorts first.
    right_id     internal The other.
    actor        internal Who.
    leased_until internal From then on anybody may have it.
$$);

-- The number of a run is written by the transaction that makes the run, and by nothing else: looking it up once for each of a million
-- rows was a quarter of the time of a rollback. `pay-ready verify` looks whether the runs are there.
do $$
declare
    constraint_name text;
    table_name text;
begin
    for table_name, constraint_name in
        select links.conrelid::regclass::text, links.conname
        from pg_catalog.pg_constraint as links
        where links.contype = 'f'
          and links.confrelid = 'pay_ready.resolution_runs'::regclass
          and links.conrelid in (
              'pay_ready.assignments'::regclass, 'pay_ready.entity_versions'::regclass, 'pay_ready.entity_redirects'::regclass,
              'pay_ready.interaction_entities'::regclass, 'pay_ready.entity_changes'::regclass
          )
    loop
        execute format('alter table %s drop constraint %I', table_name, constraint_name);
    end loop;
end
$$;

alter table pay_ready.assignments drop constraint if exists assignments_opened_run_no_check;
alter table pay_ready.assignments add constraint assignments_opened_run_no_check check (opened_run_no > 0);
alter table pay_ready.entity_versions drop constraint if exists entity_versions_opened_run_no_check;
alter table pay_ready.entity_versions add constraint entity_versions_opened_run_no_check check (opened_run_no > 0);
alter table pay_ready.entity_redirects drop constraint if exists entity_redirects_opened_run_no_check;
alter table pay_ready.entity_redirects add constraint entity_redirects_opened_run_no_check check (opened_run_no > 0);
alter table pay_ready.interaction_entities drop constraint if exists interaction_entities_opened_run_no_check;
alter table pay_ready.interaction_entities add constraint interaction_entities_opened_run_no_check check (opened_run_no > 0);
alter table pay_ready.entity_changes drop constraint if exists entity_changes_run_no_check;
alter table pay_ready.entity_changes add constraint entity_changes_run_no_check check (run_no > 0);

-- Rows with history are closed; nothing else of them changes.
call pay_ready.protect_table('assignments', 'select, insert');
grant update (closed_run_no) on pay_ready.assignments to pay_ready_app;
call pay_ready.protect_table('entity_versions', 'select, insert');
grant update (closed_run_no) on pay_ready.entity_versions to pay_ready_app;
call pay_ready.protect_table('entity_redirects', 'select, insert');
grant update (closed_run_no) on pay_ready.entity_redirects to pay_ready_app;
call pay_ready.protect_table('interaction_entities', 'select, insert');
grant update (closed_run_no) on pay_ready.interaction_entities to pay_ready_app;

reset role;
