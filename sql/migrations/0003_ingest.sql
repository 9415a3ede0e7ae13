-- Ingest: sources with their credentials, runs, states, and the rows as they came.

set role pay_ready_owner;

create table if not exists pay_ready.data_sources (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    source_id uuid not null,
    name text not null check (name ~ '^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$'),
    kind text not null check (kind ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    ingest_mode text not null check (ingest_mode in ('replay', 'connector', 'airbyte')),
    connector text not null,
    config jsonb not null check (pay_ready.is_own_json(config)),
    status text not null default 'active' check (status in ('active', 'paused', 'removed')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, source_id),
    unique (tenant_id, name)
);
call pay_ready.protect_table('data_sources');
call pay_ready.describe_table('data_sources', 'A system whose records a tenant brings in.', $$
    source_id   internal Id, derived from tenant and name.
    name        internal Name within the tenant.
    kind        internal Which mapping reads it (config/sources/<kind>.toml).
    ingest_mode internal replay (export files), connector (Airbyte protocol), airbyte (platform).
    connector   internal Package and version of the connector; replay for export files.
    config      internal Settings of the source without its secrets (model SourceConfig).
    status      internal active, paused or removed; rows of a removed source stay.
    created_at  internal When the row was made.
    updated_at  internal When it changed last.
$$);

create table if not exists pay_ready.source_credentials (
    tenant_id uuid not null,
    source_id uuid not null,
    credential text not null check (credential in ('config', 'platform')),
    envelope bytea not null check (octet_length(envelope) between 29 and 1048576),
    version integer not null check (version > 0),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, source_id, credential),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id)
);
call pay_ready.protect_table('source_credentials');
call pay_ready.describe_table('source_credentials', 'Credentials of a source, encrypted; tokens rotated by the connector replace them at once.', $$
    source_id  internal The source.
    credential internal config (what the connector is given) or platform (the Airbyte API).
    envelope   secret   AES-256-GCM with tenant, column and row as associated data.
    version    internal Counts changes; associated data of nothing.
    updated_at internal When it changed last.
$$);

create table if not exists pay_ready.sync_runs (
    tenant_id uuid not null,
    run_id uuid not null,
    source_id uuid not null,
    ingest_mode text not null check (ingest_mode in ('replay', 'connector', 'airbyte', 'backfill')),
    status text not null check (status in ('running', 'complete', 'partial', 'failed', 'aborted')),
    lease_token bigint not null check (lease_token > 0),
    started_at timestamptz not null default now(),
    finished_at timestamptz check (finished_at >= started_at),
    error_class text,
    error_text text check (length(error_text) <= 4000),
    report jsonb check (pay_ready.is_own_json(report)),
    check ((status = 'running') = (finished_at is null)),
    primary key (tenant_id, run_id),
    unique (tenant_id, source_id, run_id),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id)
);
create index if not exists sync_runs_by_source on pay_ready.sync_runs (tenant_id, source_id, started_at desc);
call pay_ready.protect_table('sync_runs');
call pay_ready.describe_table('sync_runs', 'One run that brought rows of one source in.', $$
    run_id      internal UUIDv7.
    source_id   internal The source.
    ingest_mode internal How the rows came.
    status      internal running, complete, partial (some streams), failed, aborted.
    lease_token internal Fencing token: writes under an older token are refused.
    started_at  internal Start.
    finished_at internal End.
    error_class internal Class of the error that ended it.
    error_text  internal Its message, without personal values.
    report      internal Figures of the run (model SyncReport).
$$);

create table if not exists pay_ready.stream_runs (
    tenant_id uuid not null,
    run_id uuid not null,
    source_id uuid not null,
    stream text not null check (stream <> ''),
    status text not null check (status in ('running', 'complete', 'incomplete')),
    emitted bigint not null default 0 check (emitted >= 0),
    landed bigint not null default 0 check (landed >= 0),
    unchanged bigint not null default 0 check (unchanged >= 0),
    superseded bigint not null default 0 check (superseded >= 0),
    deleted bigint not null default 0 check (deleted >= 0),
    quarantined bigint not null default 0 check (quarantined >= 0),
    tombstoned bigint not null default 0 check (tombstoned >= 0),
    staged bigint not null default 0 check (staged >= 0),
    unmapped bigint not null default 0 check (unmapped >= 0),
    stage_quarantined bigint not null default 0 check (stage_quarantined >= 0),
    primary key (tenant_id, run_id, stream),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id),
    -- The first equation of the design; the second (landed = staged + unmapped + quarantined) holds once staging is through.
    constraint every_record_accounted check (emitted = landed + unchanged + superseded + deleted + quarantined),
    constraint staged_within_landed check (staged + unmapped + stage_quarantined <= landed)
);
call pay_ready.protect_table('stream_runs');
call pay_ready.describe_table('stream_runs', 'What became of every record of one stream in one run.', $$
    run_id            internal The run.
    source_id         internal The source.
    stream            internal The stream.
    status            internal complete once the source said COMPLETE; exit codes are not believed.
    emitted           internal Records read from the source.
    landed            internal Records that stand as new or changed rows.
    unchanged         internal Records equal to the row that was there.
    superseded        internal Records older than the row that was there, or overtaken before staging.
    deleted           internal Records that say that a row is gone.
    quarantined       internal Records that no row could hold.
    tombstoned        internal Rows that a full refresh no longer listed (no records: not part of the equation).
    staged            internal Landed records that became typed rows.
    unmapped          internal Landed records that no mapping asks for.
    stage_quarantined internal Landed records that broke their contract.
$$);

create table if not exists pay_ready.stream_states (
    tenant_id uuid not null,
    source_id uuid not null,
    stream text not null,
    state text check (octet_length(state) <= 33554432),
    watermark text collate "C" not null default '',
    generation bigint not null default 0 check (generation >= 0),
    staged_commit_seq bigint not null default 0 check (staged_commit_seq >= 0),
    contract_version text,
    restaging_version text,
    restaged_commit_seq bigint not null default 0 check (restaged_commit_seq >= 0),
    lease_token bigint not null default 0 check (lease_token >= 0),
    run_id uuid,
    pass_run_id uuid,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, source_id, stream),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id),
    foreign key (tenant_id, source_id, pass_run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
call pay_ready.protect_table('stream_states');
call pay_ready.describe_table('stream_states', 'How far a stream is landed and staged; moves in the same transaction as the rows.', $$
    source_id         internal The source.
    stream            internal The stream; empty for the one GLOBAL state of a source.
    state             internal The state message as the source sent it: a black box, handed back and never edited.
    watermark         personal The highest cursor landed, as text that sorts right; empty without a cursor.
    generation        internal Generation of the last refresh begun.
    staged_commit_seq internal Batches up to this commit_seq are staged.
    contract_version  internal The mapping version and settings under which the stream was staged.
    restaging_version internal The version to which staged rows are being brought; empty when none is.
    restaged_commit_seq internal Batches up to this commit_seq are staged under restaging_version.
    lease_token       internal Token of the run that moved it last.
    run_id            internal That run.
    pass_run_id       internal The run that began the pass under way (a refresh, or a read without keys); empty when the last one is complete.
    updated_at        internal When it moved.
$$);

create table if not exists pay_ready.landing_batches (
    tenant_id uuid not null,
    batch_id uuid not null,
    source_id uuid not null,
    stream text not null check (stream <> ''),
    run_id uuid not null,
    commit_seq bigint check (commit_seq > 0),
    landed bigint not null default 0 check (landed >= 0),
    landed_at timestamptz not null default now(),
    primary key (tenant_id, batch_id),
    unique (tenant_id, source_id, stream, batch_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
create unique index if not exists landing_batches_in_commit_order
on pay_ready.landing_batches (tenant_id, source_id, stream, commit_seq);
call pay_ready.protect_table('landing_batches');
call pay_ready.describe_table('landing_batches', 'Rows that were committed together; readers follow commit_seq.', $$
    batch_id   internal UUIDv7.
    source_id  internal The source.
    stream     internal The stream.
    run_id     internal The run.
    commit_seq internal Number in commit order, given by the last statement of the transaction.
    landed     internal Rows it wrote.
    landed_at  internal When.
$$);

create table if not exists pay_ready.large_payloads (
    tenant_id uuid not null,
    payload_id uuid not null,
    source_id uuid not null,
    size_bytes bigint not null check (size_bytes >= 0),
    content bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, payload_id),
    unique (tenant_id, source_id, payload_id),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id)
);
alter table pay_ready.large_payloads alter column content set storage external;
call pay_ready.protect_table('large_payloads');
call pay_ready.describe_table('large_payloads', 'Bytes that a JSON column cannot hold or that pass its limit: kept whole, by reference.', $$
    payload_id internal Derived from source and sha256: the same bytes are kept once.
    source_id  internal The source.
    size_bytes internal Length of content.
    content    personal The bytes as the source sent them.
    created_at internal When the row was made.
$$);

create table if not exists pay_ready.landed_records (
    tenant_id uuid not null,
    source_id uuid not null,
    stream text not null check (stream <> ''),
    record_key text collate "C" not null check (octet_length(record_key) between 1 and 1024),
    -- As stored: the length of the text would have every row written out again to be measured. Landing keeps what is
    -- larger by reference.
    data jsonb check (pg_column_size(data) <= 33554432),
    payload_id uuid,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    generation bigint not null check (generation >= 0),
    cursor_order text collate "C" not null,
    emitted_at timestamptz not null,
    batch_id uuid not null,
    first_landed_at timestamptz not null default now(),
    landed_at timestamptz not null default now(),
    corrects_hash bytea check (octet_length(corrects_hash) = 32),
    deleted_at timestamptz,
    primary key (tenant_id, source_id, stream, record_key),
    check (data is null or payload_id is null),
    check (deleted_at is not null or data is not null or payload_id is not null),
    foreign key (tenant_id, source_id, payload_id) references pay_ready.large_payloads (tenant_id, source_id, payload_id)
);
create index if not exists landed_records_by_batch on pay_ready.landed_records (tenant_id, batch_id);
create index if not exists landed_records_by_payload on pay_ready.landed_records (tenant_id, payload_id) where payload_id is not null;
call pay_ready.protect_table('landed_records');
call pay_ready.describe_table('landed_records', 'The newest version of every source record, as the source wrote it.', $$
    source_id       internal The source.
    stream          internal The stream.
    record_key      personal Primary key of the record in its stream, canonical text; a digest when long.
    data            personal The record; empty when kept by reference or deleted.
    payload_id      internal Where the bytes are when data cannot hold them.
    content_hash    internal sha256 of the canonical record.
    generation      internal First part of the record order: a refresh raises it.
    cursor_order    personal Second part: the cursor as text that sorts right; empty without a cursor.
    emitted_at      internal Third part: the time at which the source read it.
    batch_id        internal The batch that wrote this version.
    first_landed_at internal When the key was first seen.
    landed_at       internal When this version was written.
    corrects_hash   internal content_hash of the version that a steward's correction replaced: the source's repeating it changes nothing.
    deleted_at      internal When the source no longer had it.
$$);

-- The reference of a landed row to its batch. A foreign key asks once a row, which was a third of the cost of landing; all
-- rows of a flush are of few batches, so this asks once a batch. It holds what the key would hold: the batch is the same
-- tenant's, source's and stream's, it is locked against removal until the commit, and the refusal has the SQLSTATE and the
-- name of a key. Rights and row security are those of whoever writes, so another tenant's batch is absent.
create or replace function pay_ready.refuse_absent_batch()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
begin
    for wanted in select distinct tenant_id, source_id, stream, batch_id from written loop
        perform
        from pay_ready.landing_batches
        where tenant_id = wanted.tenant_id
          and batch_id = wanted.batch_id
          and source_id = wanted.source_id
          and stream = wanted.stream
        for key share;
        if not found then
            raise exception 'a landed row refers to a batch that its stream does not have'
                using errcode = 'foreign_key_violation', schema = tg_table_schema, table = tg_table_name,
                constraint = 'landed_records_batch_fkey';
        end if;
    end loop;
    return null;
end
$$;
revoke all on function pay_ready.refuse_absent_batch() from public;

-- The other end: a batch that rows refer to stays, under its key.
create or replace function pay_ready.refuse_loss_of_batch()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from pay_ready.landed_records where tenant_id = old.tenant_id and batch_id = old.batch_id) then
        raise exception 'landed rows still refer to the batch'
            using errcode = 'foreign_key_violation', schema = tg_table_schema, table = 'landed_records',
            constraint = 'landed_records_batch_fkey';
    end if;
    return null;
end
$$;
revoke all on function pay_ready.refuse_loss_of_batch() from public;

drop trigger if exists landed_records_batch_on_insert on pay_ready.landed_records;
create trigger landed_records_batch_on_insert after insert on pay_ready.landed_records
referencing new table as written for each statement execute function pay_ready.refuse_absent_batch();
drop trigger if exists landed_records_batch_on_update on pay_ready.landed_records;
create trigger landed_records_batch_on_update after update on pay_ready.landed_records
referencing new table as written for each statement execute function pay_ready.refuse_absent_batch();
drop trigger if exists landing_batches_kept on pay_ready.landing_batches;
create trigger landing_batches_kept after delete or update of tenant_id, source_id, stream, batch_id on pay_ready.landing_batches
for each row execute function pay_ready.refuse_loss_of_batch();

create table if not exists pay_ready.seen_keys (
    tenant_id uuid not null,
    source_id uuid not null,
    stream text not null,
    run_id uuid not null,
    record_key text collate "C" not null,
    covered boolean not null,
    primary key (tenant_id, source_id, stream, run_id, record_key),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
call pay_ready.protect_table('seen_keys');
call pay_ready.describe_table('seen_keys', 'Keys that a pass over a stream has listed so far; emptied when it is complete.', $$
    source_id  internal The source.
    stream     internal The stream.
    run_id     internal The pass: the run that began it.
    record_key personal Key of a record that the source still has.
    covered    internal Whether a stored state covers it; keys that none covers will be sent again after a crash.
$$);

create table if not exists pay_ready.quarantined_records (
    tenant_id uuid not null,
    quarantine_id uuid not null,
    source_id uuid not null,
    stream text not null,
    record_key text collate "C",
    step text not null check (step in ('land', 'stage')),
    reason text not null check (reason ~ '^[a-z_]+(\.[a-z0-9_]+)+$'),
    field text,
    contract_version text not null,
    run_id uuid not null,
    raw bytea,
    payload_id uuid,
    emitted_at timestamptz,
    status text not null default 'open' check (status in ('open', 'replayed', 'superseded', 'dismissed')),
    quarantined_at timestamptz not null default now(),
    closed_at timestamptz check (closed_at >= quarantined_at),
    check ((status = 'open') = (closed_at is null)),
    check ((raw is null) <> (payload_id is null)),
    primary key (tenant_id, quarantine_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id),
    foreign key (tenant_id, source_id, payload_id) references pay_ready.large_payloads (tenant_id, source_id, payload_id)
);
create index if not exists quarantined_records_open
on pay_ready.quarantined_records (tenant_id, source_id, stream, reason) where status = 'open';
create index if not exists quarantined_records_by_record
on pay_ready.quarantined_records (tenant_id, source_id, stream, record_key);
create index if not exists quarantined_records_by_payload
on pay_ready.quarantined_records (tenant_id, payload_id) where payload_id is not null;
call pay_ready.protect_table('quarantined_records');
call pay_ready.describe_table('quarantined_records', 'Records that broke a contract, kept whole with the reason, to be fixed and replayed.', $$
    quarantine_id    internal Derived from source, stream, key, step, reason and bytes: a replay finds the same row.
    source_id        internal The source.
    stream           internal The stream.
    record_key       personal Key of the record, when it has one.
    step             internal land (no row could hold it) or stage (it broke its contract).
    reason           internal Word for what is wrong, for example email.invalid.
    field            internal The field at fault.
    contract_version internal Version of the mapping or schema that refused it.
    run_id           internal The run that brought it.
    raw              personal The record as it came.
    payload_id       internal Where the bytes are when large.
    emitted_at       internal When the source read it.
    status           internal open, replayed (it passed later), superseded (the source sent a better one), dismissed.
    quarantined_at   internal When it was set aside.
    closed_at        internal When status stopped being open.
$$);

create table if not exists pay_ready.backfill_plans (
    tenant_id uuid not null,
    plan_id uuid not null,
    source_id uuid not null,
    stream text not null,
    range_start timestamptz not null,
    range_end timestamptz not null check (range_end > range_start),
    chunk interval not null check (chunk > interval '0'),
    status text not null check (status in ('planned', 'running', 'complete', 'aborted')),
    created_at timestamptz not null default now(),
    primary key (tenant_id, plan_id),
    unique (tenant_id, source_id, plan_id),
    foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id)
);
call pay_ready.protect_table('backfill_plans');
call pay_ready.describe_table('backfill_plans', 'A range of history to bring in, cut into batches.', $$
    plan_id     internal UUIDv7.
    source_id   internal The source.
    stream      internal The stream.
    range_start internal First moment of the range.
    range_end   internal First moment after it.
    chunk       internal Length of a batch.
    status      internal planned, running, complete, aborted.
    created_at  internal When the row was made.
$$);

create table if not exists pay_ready.backfill_batches (
    tenant_id uuid not null,
    plan_id uuid not null,
    chunk_start timestamptz not null,
    chunk_end timestamptz not null check (chunk_end > chunk_start),
    source_id uuid not null,
    status text not null check (status in ('planned', 'running', 'complete', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    run_id uuid,
    finished_at timestamptz,
    primary key (tenant_id, plan_id, chunk_start),
    foreign key (tenant_id, source_id, plan_id) references pay_ready.backfill_plans (tenant_id, source_id, plan_id),
    foreign key (tenant_id, source_id, run_id) references pay_ready.sync_runs (tenant_id, source_id, run_id)
);
call pay_ready.protect_table('backfill_batches');
call pay_ready.describe_table('backfill_batches', 'One chunk of a backfill plan.', $$
    plan_id     internal The plan.
    chunk_start internal First moment of the chunk.
    chunk_end   internal First moment after it.
    source_id   internal The source.
    status      internal planned, running, complete, failed.
    attempts    internal How often it was begun.
    run_id      internal The run that brought it in.
    finished_at internal When it was complete.
$$);

reset role;
