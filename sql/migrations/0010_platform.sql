-- The Airbyte platform: jobs that were asked for or adopted, the shape that a stream had, what a destination had to change in
-- a row, and the size that a stream had when it was published last.

set role pay_ready_owner;

create table if not exists pay_ready.platform_jobs (
    tenant_id uuid not null,
    request_id uuid not null,
    source_id uuid not null,
    connection_id text not null check (connection_id <> ''),
    job_id bigint check (job_id > 0),
    job_type text not null check (job_type in ('sync', 'reset')),
    started_by_us boolean not null,
    after_job_id bigint not null check (after_job_id >= 0),
    seen_status text not null default '' check (length(seen_status) <= 100),
    outcome text check (outcome in ('succeeded', 'failed', 'cancelled', 'lost', 'not_started')),
    requested_at timestamptz not null default now(),
    deadline_at timestamptz not null,
    seen_at timestamptz,
    finished_at timestamptz,
    rows_synced bigint check (rows_synced >= 0),
    bytes_synced bigint check (bytes_synced >= 0),
    attempts integer check (attempts >= 0),
    failure text check (length(failure) <= 4000),
    check ((outcome is null) = (finished_at is null)),
    check (job_id is not null or outcome is null or outcome = 'not_started'),
    primary key (tenant_id, request_id),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id)
);
create index if not exists platform_jobs_by_job on pay_ready.platform_jobs (tenant_id, source_id, job_id);
create index if not exists platform_jobs_open on pay_ready.platform_jobs (tenant_id, source_id, requested_at) where outcome is null;
call pay_ready.protect_table('platform_jobs');
call pay_ready.describe_table('platform_jobs', 'Jobs of the Airbyte platform: the row is there before the request, the id before the first poll.', $$
    request_id    internal UUIDv7 of our request; a job that was adopted has one, too.
    source_id     internal The source.
    connection_id internal Connection in Airbyte.
    job_id        internal Airbyte's number of the job; empty while the answer to the request is not known.
    job_type      internal sync or reset.
    started_by_us internal Whether our request surely started it: no other job is ever cancelled by us.
    after_job_id  internal The connection's newest job before the request (0: none): a job of ours has a higher number.
    seen_status   internal The last word that Airbyte said of it.
    outcome       internal How it ended; empty while nobody knows of its end. not_started: the request came to nothing.
    requested_at  internal When it was asked for or found.
    deadline_at   internal Until when it is waited for.
    seen_at       internal When Airbyte was asked last.
    finished_at   internal When its end was seen.
    rows_synced   internal Rows, as Airbyte counts them.
    bytes_synced  internal Bytes, as Airbyte counts them.
    attempts      internal Attempts at least: Airbyte names none, but says when a job stands between two.
    failure       internal What is known of why it did not succeed, masked.
$$);

create table if not exists pay_ready.stream_schemas (
    tenant_id uuid not null,
    source_id uuid not null,
    stream text not null check (stream <> ''),
    version integer not null check (version > 0),
    fields jsonb not null check (pay_ready.is_own_json(fields)),
    run_id uuid,
    made_at timestamptz not null default now(),
    superseded_at timestamptz check (superseded_at >= made_at),
    primary key (tenant_id, source_id, stream, version),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
create unique index if not exists stream_schemas_current
on pay_ready.stream_schemas (tenant_id, source_id, stream) where superseded_at is null;
create index if not exists stream_schemas_by_run on pay_ready.stream_schemas (tenant_id, source_id, run_id);
call pay_ready.protect_table('stream_schemas');
call pay_ready.describe_table('stream_schemas', 'The fields of a stream and their types: each change that was taken over is a version, the old one is closed.', $$
    source_id     internal The source.
    stream        internal The stream.
    version       internal Counts from 1.
    fields        internal Types by name (model StreamFields).
    run_id        internal The run that met this shape first.
    made_at       internal When.
    superseded_at internal When the next version took over; empty for the current one.
$$);

alter table pay_ready.landed_records add column if not exists quality_flags jsonb
-- A function that sets its search path is never inlined: called for the many rows without flags, it took a third of landing.
check (quality_flags is null or pay_ready.is_own_json(quality_flags));
call pay_ready.protect_table('landed_records');
call pay_ready.describe_table('landed_records', 'The newest version of every source record, as the source wrote it.', $$
    quality_flags internal What source or destination had to change in this version: field, change, reason (model QualityFlags).
$$);

alter table pay_ready.stream_runs
add column if not exists flagged bigint not null default 0 check (flagged >= 0),
add column if not exists watermark_before text collate "C",
add column if not exists watermark_after text collate "C";
call pay_ready.protect_table('stream_runs');
call pay_ready.describe_table('stream_runs', 'What became of every record of one stream in one run.', $$
    flagged          internal Records read in which source or destination had to change a value (no part of the equation).
    watermark_before personal The highest cursor before the run, as text that sorts right.
    watermark_after  personal The highest cursor after it.
$$);

alter table pay_ready.stream_states add column if not exists published_rows bigint check (published_rows >= 0);
call pay_ready.protect_table('stream_states');
call pay_ready.describe_table('stream_states', 'How far a stream is landed and staged; moves in the same transaction as the rows.', $$
    published_rows internal Rows that lived when the tenant was published last: what the volume guard compares with.
$$);

reset role;
