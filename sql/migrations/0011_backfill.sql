-- Backfills: a plan covers several streams and says how its records are dated and how long its chunks are; a chunk has a
-- scratch state of its own, so that nothing of a live stream moves; and the runs that brought a chunk in are known by it.
-- Nothing has written into these tables before this version.

set role pay_ready_owner;

alter table pay_ready.backfill_plans
alter column stream drop not null,
add column if not exists streams text[] not null check (cardinality(streams) > 0),
add column if not exists all_streams boolean not null,
add column if not exists dated_by text not null check (dated_by in ('cursor', 'extracted')),
add column if not exists finished_at timestamptz check (finished_at >= created_at),
drop constraint if exists backfill_plans_ended,
add constraint backfill_plans_ended check ((status in ('complete', 'aborted')) = (finished_at is not null)),
drop constraint if exists backfill_plans_one_stream,
-- `stream` is from the first draft of this table: it names the stream of a plan that has one.
add constraint backfill_plans_one_stream check (stream is not distinct from case when cardinality(streams) = 1 then streams[1] end);
create index if not exists backfill_plans_by_range
on pay_ready.backfill_plans (tenant_id, source_id, range_start, range_end);
call pay_ready.protect_table('backfill_plans');
call pay_ready.describe_table('backfill_plans', 'A range of history to bring in, cut into batches.', $$
    streams     internal All streams of the plan, sorted.
    all_streams internal Whether they are all that the source offered: none was named.
    dated_by    internal What puts a record into a batch: cursor (of its stream) or extracted (when the source emitted it).
    finished_at internal When status became complete or aborted.
$$);

alter table pay_ready.backfill_batches
add column if not exists landed_before bigint not null default 0 check (landed_before >= 0),
add column if not exists estimated_rows bigint check (estimated_rows >= 0),
add column if not exists error_class text,
add column if not exists error_text text check (length(error_text) <= 4000),
drop constraint if exists backfill_batches_status_check,
add constraint backfill_batches_status_check check (status in ('planned', 'running', 'interrupted', 'complete', 'failed'));
create unique index if not exists backfill_batches_of_source
on pay_ready.backfill_batches (tenant_id, source_id, plan_id, chunk_start);
call pay_ready.protect_table('backfill_batches');
call pay_ready.describe_table('backfill_batches', 'One chunk of a backfill plan.', $$
    landed_before  internal Rows of the chunk that were landed when the plan was made.
    estimated_rows internal Records that the source was thought to have then; empty when nobody knew.
    error_class    internal Class of the error that ended its last run.
    error_text     internal Its message, without personal values.
$$);

create table if not exists pay_ready.backfill_runs (
    tenant_id uuid not null,
    run_id uuid not null,
    source_id uuid not null,
    plan_id uuid not null,
    chunk_start timestamptz not null,
    primary key (tenant_id, plan_id, chunk_start, run_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id),
    foreign key (tenant_id, source_id, plan_id, chunk_start)
    references pay_ready.backfill_batches (tenant_id, source_id, plan_id, chunk_start)
);
create index if not exists backfill_runs_by_run on pay_ready.backfill_runs (tenant_id, run_id);
call pay_ready.protect_table('backfill_runs');
call pay_ready.describe_table('backfill_runs', 'The landing runs of a chunk: one for each time that it was begun.', $$
    run_id      internal The run; its counts are in stream_runs.
    source_id   internal The source.
    plan_id     internal The plan.
    chunk_start internal The chunk.
$$);

create table if not exists pay_ready.backfill_states (
    tenant_id uuid not null,
    plan_id uuid not null,
    chunk_start timestamptz not null,
    stream text not null,
    source_id uuid not null,
    scratch text check (octet_length(scratch) <= 33554432),
    pass_run_id uuid,
    is_complete boolean not null default false,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, plan_id, chunk_start, stream),
    foreign key (tenant_id, source_id, plan_id, chunk_start)
    references pay_ready.backfill_batches (tenant_id, source_id, plan_id, chunk_start),
    foreign key (tenant_id, source_id, pass_run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
call pay_ready.protect_table('backfill_states');
call pay_ready.describe_table('backfill_states', 'How far a chunk under way is, by stream; the stream''s own state is in stream_states and stays as it is.', $$
    plan_id     internal The plan.
    chunk_start internal The chunk.
    stream      internal The stream; empty for the one GLOBAL state of a source.
    source_id   internal The source.
    scratch     internal The state message as the source sent it; goes with the end of the chunk.
    pass_run_id internal The run that began to read the stream in this chunk from its start.
    is_complete internal Whether the source said COMPLETE of it.
    updated_at  internal When it moved.
$$);

alter table pay_ready.stream_runs
add column if not exists skipped bigint not null default 0 check (skipped >= 0),
add column if not exists undated bigint not null default 0 check (undated >= 0);
call pay_ready.protect_table('stream_runs');
call pay_ready.describe_table('stream_runs', 'What became of every record of one stream in one run.', $$
    skipped internal Records that the source gave and that lie outside of the range asked for (no part of the equation).
    undated internal Records without a date that says whether they lie in the range asked for (no part of the equation).
$$);

reset role;
