"""Rows that are due go: first to an archive that is whole, on the disk and read again, then, page by page, out of the database.

Killed at any point nothing is lost: until the ledger says that an archive is whole no row goes, and from then on whoever comes next goes on
deleting what the archive has. A row goes only while it is, to the last value, what the archive says of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from pay_ready.db import leases, operation, tenants
from pay_ready.db import resolution as db_resolution
from pay_ready.db import retention as db_retention
from pay_ready.db.leases import Lease
from pay_ready.db.retention import Archive, Bounds
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CheckFailedError, DeniedError, PayReadyError
from pay_ready.failpoints import failpoint
from pay_ready.model.archived import TABLES, ArchivedTable, ArchiveKind, ArchiveStatus
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.retention.files import TableWriter, check_file, pages
from pay_ready.pipeline.retention.manifest import Manifest, TableEntry, hash_of, read_manifest
from pay_ready.pipeline.retention.plan import bounds_of, outlived, plan_retention
from pay_ready.pipeline.retention.shelf import MANIFEST, Shelf, write_file
from pay_ready.pipeline.retention.work import LEASE, MadeArchive, RetentionReport, RetentionRules, RetentionWork, chosen_kinds

FAILPOINTS = (
    "retention.begun",
    "retention.rows_read",
    "retention.manifest_written",
    "retention.put",
    "retention.kept",
    "retention.page_deleted",
    "retention.rows_deleted",
    "retention.done",
)
_PAGE, _HEAVY_PAGE, _PAYLOADS = 5_000, 500, 8  # rows read at once: numbers and ids; texts; whole payloads
_HEAVY = frozenset({"entity_versions", "quarantined_records", "memories", "sync_runs", "landed_records", "step_logs"})

log = structlog.get_logger()


def run_retention(
    work: RetentionWork, only: Iterable[ArchiveKind] = (), *, run_id: RunId, dry_run: bool = False, progress: Progress = no_progress
) -> RetentionReport:  # fmt: skip
    """Archive and delete what is due; finish first what an earlier run did not.

    Args:
        work: The tenant, by a login that may delete history.
        only: Kinds to deal with; none means all.
        run_id: The run in logs and step_runs.
        dry_run: Write nothing, neither rows nor files: only plan.
        progress: Told of each table.

    Raises:
        DeniedError: The login may not delete history.
        LeaseHeldError: Retention, a restore or an erasure is at work on this tenant.
        PayReadyError: An archive cannot be written; what it was to hold stays.
    """
    if dry_run:
        plan = plan_retention(work, only, progress=progress)
        return RetentionReport(plan=plan, is_dry_run=True, archives=(), dropped=(), errors=())
    with alone(work, run_id) as lease, _recorded(work, run_id) as done:
        step = _Step(work, lease, progress)
        step.clear()
        made, errors = step.finish()
        plan = plan_retention(work, only, progress=progress)
        for kind in chosen_kinds(tuple(only)):
            if work.rules.days[kind] > 0 and (archive := step.archived(kind)) is not None:
                made.append(step.deleted(archive, is_resumed=False))
        dropped = step.drop_outlived()
        report = RetentionReport(plan=plan, is_dry_run=False, archives=tuple(made), dropped=dropped, errors=tuple(errors))
        done(report.deleted, is_whole=not errors)
        return report


@contextmanager
def alone(work: RetentionWork, run_id: RunId) -> Iterator[Lease]:
    """Nobody else archives, restores or erases of this tenant meanwhile.

    Raises:
        DeniedError: The login may not delete history.
        LeaseHeldError: Somebody does, after the work's `lease_wait_s` too.
    """
    with work.database.tenant_transaction(work.tenant) as tx:
        if not tx.value("erasure.is_erasure"):
            hint = "it must be a member of the erasure role: pay-ready migrate --erasure-login NAME"
            raise DeniedError("this login may not delete history", hint)
    with held_lease(work.database, work.tenant, LEASE, leases.holder_name(run_id), wait_s=work.lease_wait_s) as lease:
        yield lease


@contextmanager
def _recorded(work: RetentionWork, run_id: RunId) -> Iterator[Callable[..., None]]:
    """The step in step_runs: begun, and however it ends, finished."""
    with work.database.tenant_transaction(work.tenant) as tx:
        step_run = operation.begin_step(tx, run_id, "retention", "")
    ended: list[tuple[int, bool]] = []

    def done(rows: int, *, is_whole: bool) -> None:
        ended.append((rows, is_whole))

    try:
        yield done
    except BaseException as error:
        with work.database.tenant_transaction(work.tenant) as tx:
            operation.finish_step(tx, step_run, "failed", error_class=type(error).__name__)
        raise
    rows, is_whole = ended[-1]
    with work.database.tenant_transaction(work.tenant) as tx:
        operation.finish_step(tx, step_run, "complete" if is_whole else "partial", row_count=rows)


@dataclass(frozen=True, slots=True)
class _Step:
    """Retention under its lease."""

    work: RetentionWork
    lease: Lease
    progress: Progress

    @contextmanager
    def writing(self) -> Iterator[TenantTransaction]:
        """A transaction that only the holder of the lease commits."""
        with self.work.database.tenant_transaction(self.work.tenant, work="batch") as tx:
            leases.guard(tx, self.lease)
            yield tx

    def clear(self) -> None:
        """Take away what never became an archive, and what is none any more: of it nothing was deleted, or all of it is elsewhere."""
        with self.writing() as tx:
            for each in db_retention.archives(tx, statuses=("writing",)):
                self.work.shelf.remove(each.archive_id, each.revision)
                db_retention.forget(tx, each.archive_id)
        sweep(self.work.database, self.work.tenant, self.work.shelf)

    def finish(self) -> tuple[list[MadeArchive], list[PayReadyError]]:
        """Go on deleting what archives have whose deletion was cut off; one that is damaged does not hold the others back."""
        with self.work.database.tenant_transaction(self.work.tenant) as tx:
            left = db_retention.archives(tx, statuses=("archived",))
        made: list[MadeArchive] = []
        errors: list[PayReadyError] = []
        for each in reversed(left):
            try:
                made.append(self.deleted(each, is_resumed=True))
            except CheckFailedError as error:
                errors.append(error)
        return made, errors

    def archived(self, kind: ArchiveKind) -> Archive | None:
        """An archive of what is due of a kind, whole and known to be; None where nothing is."""
        work, archive_id = self.work, new_id()
        with self.writing() as tx:
            old = bounds_of(tx, kind, db_retention.moment(tx), work.rules)
            db_retention.begin(tx, archive_id, kind, old, made_by=work.actor)
        failpoint("retention.begun")
        try:
            content = self._written(archive_id, kind, old)
        except BaseException:
            self._forget(archive_id)
            raise
        if content is None:
            self._forget(archive_id)
            return None
        manifest = read_manifest(content)
        with self.writing() as tx:
            if kind == "history":
                db_resolution.lock_publish(tx)  # an undo under way still has what it needs; the next one asks the ledger
            db_retention.keep(tx, archive_id, rows=manifest.rows, size_bytes=manifest.size_bytes, manifest_hash=hash_of(content))
            self._audit(tx, "archive.kept", archive_id, hash_of(content))
            kept = db_retention.archive(tx, archive_id)
        failpoint("retention.kept")
        log.info("archive.kept", tenant=str(work.tenant), kind=kind, archive_id=archive_id, rows=manifest.rows)
        return kept

    def deleted(self, archive: Archive, *, is_resumed: bool) -> MadeArchive:
        """Take an archive's rows out of the database.

        Raises:
            CheckFailedError: The archive is not what it was: nothing more goes.
        """
        work, folder = self.work, self.work.shelf.place(archive.archive_id, archive.revision)
        manifest = opened_manifest(folder / MANIFEST, archive, work.tenant)
        for file in (each for entry in manifest.tables for each in entry.files):
            check_file(folder, file)
        gone: Counter[str] = Counter()
        for table in reversed(TABLES[archive.kind]):  # children first
            entry = entry_of(manifest, table)
            if entry is not None:
                gone[table.name] += self._delete_table(archive.archive_id, folder, entry, table)
        failpoint("retention.rows_deleted")
        with self.writing() as tx:
            db_retention.mark_deleted(tx, archive.archive_id)
            self._audit(tx, "archive.rows_deleted", archive.archive_id, archive.manifest_hash)
        failpoint("retention.done")
        return MadeArchive(
            archive_id=archive.archive_id, kind=archive.kind, manifest=folder / MANIFEST,
            rows={each.table: each.rows for each in manifest.tables if each.rows}, deleted={name: n for name, n in gone.items() if n},
            size_bytes=manifest.size_bytes, is_resumed=is_resumed,
        )  # fmt: skip

    def drop_outlived(self) -> tuple[UUID, ...]:
        """Let go of archives that were kept long enough: what was in them is gone for good."""
        with self.writing() as tx:
            old = outlived(tx, db_retention.moment(tx), self.work.rules)
            for each in old:
                db_retention.end(tx, each.archive_id, "dropped")
                self._audit(tx, "archive.dropped", each.archive_id, each.manifest_hash)
        sweep(self.work.database, self.work.tenant, self.work.shelf)
        return tuple(each.archive_id for each in old)

    def _written(self, archive_id: UUID, kind: ArchiveKind, old: Bounds) -> bytes | None:
        """Write what is due into the archive's folder; the manifest, or None where nothing was."""
        work, folder = self.work, self.work.shelf.begin(archive_id, 1)
        with work.database.tenant_transaction(work.tenant, work="batch", snapshot=True) as tx:
            tables = self._read(tx, folder, kind, old)
        failpoint("retention.rows_read")
        if not any(each.rows for each in tables):
            return None
        content = Manifest(
            schema_version=db_retention.schema_version(), archive_id=archive_id, revision=1, tenant_id=work.tenant, kind=kind,
            cutoff=old.cutoff, through_run_no=old.through_run_no, made_at=datetime.now(old.cutoff.tzinfo),
            rows=sum(each.rows for each in tables), erased_rows=0, tables=tables,
        ).content()  # fmt: skip
        write_file(folder / MANIFEST, content)
        failpoint("retention.manifest_written")
        work.shelf.put(archive_id, 1)
        failpoint("retention.put")
        return content

    def _read(self, tx: TenantTransaction, folder: Path, kind: ArchiveKind, old: Bounds) -> tuple[TableEntry, ...]:
        """Write every table of a kind, in one snapshot; payloads are those of its rows."""
        entries: dict[str, TableEntry] = {}
        payloads: list[UUID] = []
        for table in sorted(TABLES[kind], key=lambda each: each.name == "large_payloads"):
            found = (
                db_retention.payload_rows(tx, sorted(set(payloads)), page=_PAYLOADS)
                if table.name == "large_payloads"
                else db_retention.due_rows(tx, table, old, page=_HEAVY_PAGE if table.name in _HEAVY else _PAGE)
            )
            entries[table.name] = self._write_table(folder, table, found, payloads)
        return tuple(entries[table.name] for table in TABLES[kind])

    def _write_table(self, folder: Path, table: ArchivedTable, found: Iterable[list[Any]], payloads: list[UUID]) -> TableEntry:
        writer = TableWriter(folder, table)
        place = table.place("payload_id") if "payload_id" in table.columns and table.name != "large_payloads" else None
        rows = 0
        try:
            for page in found:
                kept = [tuple(row[:-1]) for row in page]
                writer.add(kept, [row.aged_at for row in page if row.aged_at is not None])
                if place is not None:
                    payloads += [row[place] for row in kept if row[place] is not None]
                rows += len(page)
                self.progress(ProgressEvent(step="archive", subject=table.name, done=rows))
            return writer.end()
        finally:
            writer.give_up()

    def _delete_table(self, archive_id: UUID, folder: Path, entry: TableEntry, table: ArchivedTable) -> int:
        gone = seen = 0
        for page in pages(folder, entry, table, page_rows(table, self.work.rules)):
            with self.writing() as tx:
                db_retention.fill(tx, table, page)
                count = db_retention.delete(tx, table, archive_id)
                db_retention.count_deleted(tx, archive_id, count)
            failpoint("retention.page_deleted")
            gone, seen = gone + count, seen + len(page)
            self.progress(ProgressEvent(step="delete", subject=table.name, done=seen, total=entry.rows))
        return gone

    def _forget(self, archive_id: UUID) -> None:
        self.work.shelf.remove(archive_id, 1)
        with self.writing() as tx:
            db_retention.forget(tx, archive_id)

    def _audit(self, tx: TenantTransaction, action: str, archive_id: UUID, after: bytes | None) -> None:
        tenants.audit(tx, actor=self.work.actor, action=action, subject_kind="archive", subject_id=str(archive_id), after_hash=after)


def opened_manifest(path: Path, archive: Archive, tenant: TenantId) -> Manifest:
    """The manifest of an archive: the very one that the ledger knows.

    Raises:
        CheckFailedError: It is missing, another one, or from before somebody was erased.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "put it back, or name its manifest.json where it is; PAY_READY_ARCHIVES names the folder of all archives"
        raise CheckFailedError("the archive is not in its place", hint, archive=archive.archive_id, reason=error.strerror) from None
    if hash_of(content) != archive.manifest_hash:
        hint = "it is damaged, or a copy from before somebody was erased: take the one that stands in the folder of archives"
        raise CheckFailedError("this is not the archive that the ledger knows", hint, archive=archive.archive_id)
    manifest = read_manifest(content)
    if (manifest.tenant_id, manifest.archive_id, manifest.revision) != (tenant, archive.archive_id, archive.revision):
        raise CheckFailedError("this is not the archive that the ledger knows", "name one of this tenant", archive=archive.archive_id)
    return manifest


def sweep(database: Database, tenant: TenantId, shelf: Shelf) -> None:
    """Take away files of archives that were dropped or are void, and of revisions that are none any more. Under the lease alone."""
    statuses: tuple[ArchiveStatus, ...] = ("archived", "deleted", "restored", "dropped", "void")
    with database.tenant_transaction(tenant) as tx:
        found = db_retention.archives(tx, statuses=statuses)
    shelf.sweep({each.archive_id: None if each.status in ("dropped", "void") else each.revision for each in found})


def entry_of(manifest: Manifest, table: ArchivedTable) -> TableEntry | None:
    """What an archive has of a table; None where it has nothing."""
    return next((each for each in manifest.tables if each.table == table.name), None)


def page_rows(table: ArchivedTable, rules: RetentionRules) -> int:
    """Rows of a table that are read, and go or come back, at once."""
    return min(rules.batch_rows, _PAYLOADS) if table.name == "large_payloads" else rules.batch_rows
