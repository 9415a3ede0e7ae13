-- Retention: which rows left the database for which archive. The ledger decides what a file may be restored from; interactions whose
-- passages are in an archive are not indexed again while they say the same.

set role pay_ready_owner;

create table if not exists pay_ready.retention_archives (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    archive_id uuid not null,
    kind text not null check (kind in ('landed', 'history', 'quarantine', 'runs', 'logs', 'memories')),
    status text not null check (status in ('writing', 'archived', 'deleted', 'restored', 'dropped', 'void')),
    revision integer not null default 1 check (revision > 0),
    cutoff timestamptz not null,
    through_run_no bigint not null default 0 check (through_run_no >= 0),
    archived_rows bigint not null default 0 check (archived_rows >= 0),
    deleted_rows bigint not null default 0 check (deleted_rows >= 0),
    erased_rows bigint not null default 0 check (erased_rows >= 0),
    restored_rows bigint not null default 0 check (restored_rows >= 0),
    withheld_rows bigint not null default 0 check (withheld_rows >= 0),
    size_bytes bigint not null default 0 check (size_bytes >= 0),
    manifest_hash bytea check (octet_length(manifest_hash) = 32),
    made_by text not null,
    begun_at timestamptz not null default now(),
    archived_at timestamptz,
    deleted_at timestamptz,
    restored_at timestamptz,
    ended_at timestamptz,
    check ((manifest_hash is null) = (status = 'writing')),
    check ((ended_at is null) = (status not in ('dropped', 'void'))),
    primary key (tenant_id, archive_id)
);
call pay_ready.protect_table('retention_archives');
call pay_ready.describe_table('retention_archives', 'Archives of rows that were older than the tenant keeps them: what is in none of these is in the database.', $$
    archive_id     internal UUIDv7.
    kind           internal landed, history, quarantine, runs, logs, memories.
    status         internal writing, archived (whole, its rows go), deleted (they are gone), restored, dropped (its files are gone), void (never restored).
    revision       internal Raised when an erasure writes its files anew: others are no archive any more.
    cutoff         internal What was older went.
    through_run_no internal Of history: states before this run are whole only where a checkpoint names them, unless the archive is restored; else 0.
    archived_rows  internal Rows in its files when it was made.
    deleted_rows   internal Of these taken out of the database; others had changed meanwhile and stayed.
    erased_rows    internal Of these taken out of the files by erasures.
    restored_rows  internal Of these put back.
    withheld_rows  internal Of these not put back, as they are about somebody who was erased.
    size_bytes     internal Of its files.
    manifest_hash  internal sha256 of the manifest of this revision.
    made_by        internal Who made it.
    begun_at       internal When it was begun.
    archived_at    internal When its files were whole, and known to be.
    deleted_at     internal When the last of its rows was gone.
    restored_at    internal When its rows were back.
    ended_at       internal When it was dropped or became void.
$$);

create table if not exists pay_ready.archived_interactions (
    tenant_id uuid not null,
    interaction_id uuid not null,
    archive_id uuid not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    primary key (tenant_id, interaction_id),
    foreign key (tenant_id, archive_id) references pay_ready.retention_archives (tenant_id, archive_id)
);
create index if not exists archived_interactions_by_archive on pay_ready.archived_interactions (tenant_id, archive_id);
call pay_ready.protect_table('archived_interactions');
call pay_ready.describe_table('archived_interactions', 'Interactions whose passages are in an archive: memory leaves them out as long as they say the same.', $$
    interaction_id internal The interaction.
    archive_id     internal The archive.
    content_hash   internal sha256 of what its records said then.
$$);

reset role;
