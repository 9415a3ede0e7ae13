"""Rows come back from an archive exactly as they were, where nothing newer has taken their place, and without those of erased people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from pay_ready.db import erasure, leases, tenants
from pay_ready.db import resolution as db_resolution
from pay_ready.db import retention as db_retention
from pay_ready.db.leases import Lease
from pay_ready.db.retention import Archive
from pay_ready.errors import CheckFailedError, ConflictError
from pay_ready.failpoints import failpoint
from pay_ready.model.archived import TABLES, WITH_FILES, ArchivedRow, ArchivedTable
from pay_ready.model.ids import RunId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.retention.apply import alone, entry_of, opened_manifest, page_rows
from pay_ready.pipeline.retention.files import check_file, pages
from pay_ready.pipeline.retention.manifest import Manifest, TableEntry, read_manifest
from pay_ready.pipeline.retention.shelf import MANIFEST
from pay_ready.pipeline.retention.sieve import Sieve, sieve_of
from pay_ready.pipeline.retention.work import RestoreReport, RetentionWork

FAILPOINTS = ("retention.page_restored", "retention.rows_restored", "retention.restored")

log = structlog.get_logger()


def restore_archive(
    work: RetentionWork, asked: str, *, run_id: RunId, dry_run: bool = False, progress: Progress = no_progress
) -> RestoreReport:  # fmt: skip
    """Put the rows of an archive back. Twice is as once.

    Args:
        work: The tenant, by a login that may delete history.
        asked: The archive's id, or the path of its manifest.json.
        run_id: The run in logs.
        dry_run: Check every file, and write nothing.
        progress: Told of each table.

    Raises:
        NotFoundError: There is no such archive of this tenant, whoever's it may be.
        CheckFailedError: It is damaged, not in its place, or a copy from before somebody was erased. Nothing was changed.
        ConflictError: It was dropped or is void; or its rows belong to syncs that are in archives themselves.
        SecretError: Somebody was erased, and there is no key to tell whom.
    """
    with alone(work, run_id) as lease:
        found, path = _found(work, asked)
        manifest = opened_manifest(path, found, work.tenant)
        for entry in manifest.tables:
            for number, file in enumerate(entry.files):
                check_file(path.parent, file)
                progress(ProgressEvent(step="check", subject=entry.table, done=number + 1, total=len(entry.files)))
        step = _Step(work, lease, found, manifest, path.parent, progress)
        sieve = step.sieve()
        if dry_run:
            return step.told(Counter(), step.withheld(sieve), is_dry_run=True)
        return step.restored(sieve)


def _found(work: RetentionWork, asked: str) -> tuple[Archive, Path]:
    """The archive in the tenant's ledger, and its manifest on the disk."""
    try:
        archive_id, path = UUID(asked), None
    except ValueError:
        path = Path(asked).expanduser()
        path = path / MANIFEST if path.is_dir() else path
        try:
            archive_id = read_manifest(path.read_bytes()).archive_id
        except OSError as error:
            hint = "see them: pay-ready retention list -t TENANT"
            raise CheckFailedError("the manifest cannot be read", hint, file=path.name, reason=error.strerror) from None
    with work.database.tenant_transaction(work.tenant) as tx:
        found = db_retention.archive(tx, archive_id)
    if found.status == "void":
        hint = "it was away when somebody was erased, and may be about them: destroy it"
        raise ConflictError("the archive may not be restored any more", hint, archive=archive_id)
    if found.status not in WITH_FILES:
        raise ConflictError("there is nothing to restore", "see the others: pay-ready retention list -t TENANT", archive=archive_id,
                            status=found.status)  # fmt: skip
    return found, path or work.shelf.place(archive_id, found.revision) / MANIFEST


@dataclass(frozen=True, slots=True)
class _Step:
    """A restore under the lease of retention."""

    work: RetentionWork
    lease: Lease
    archive: Archive
    manifest: Manifest
    folder: Path
    progress: Progress

    def sieve(self) -> Sieve | None:
        """What keeps erased people out; None where nobody was erased."""
        work = self.work
        with work.database.tenant_transaction(work.tenant) as tx:
            digests = erasure.suppressions(tx)
        if not digests:
            return None
        sieve = sieve_of(digests, work.keyring().digest_keys(work.tenant), work.region)
        for table, entry in self._tables():
            if table.name == "assignments":
                for page in pages(self.folder, entry, table, page_rows(table, work.rules)):
                    sieve.note_members(table, page)
        return sieve

    def withheld(self, sieve: Sieve | None) -> Counter[str]:
        """By table what would stay in the archive."""
        counts: Counter[str] = Counter()
        if sieve is not None:
            for table, entry in self._tables():
                for page in pages(self.folder, entry, table, page_rows(table, self.work.rules)):
                    counts[table.name] += len(page) - len(sieve.sift(table, page))
        return counts

    def restored(self, sieve: Sieve | None) -> RestoreReport:
        """Put back what may come back."""
        work, restored, withheld = self.work, Counter[str](), Counter[str]()
        payloads: list[UUID] = []
        for table, entry in self._tables():
            done = 0
            for page in pages(self.folder, entry, table, page_rows(table, work.rules)):
                kept = page if sieve is None else sieve.sift(table, page)
                withheld[table.name] += len(page) - len(kept)
                restored[table.name] += self._put_back(table, kept)
                if table.name == "large_payloads":
                    payloads += [UUID(row[table.place("payload_id")]) for row in kept]
                failpoint("retention.page_restored")
                done += len(page)
                self.progress(ProgressEvent(step="restore", subject=table.name, done=done, total=entry.rows))
        failpoint("retention.rows_restored")
        with work.database.tenant_transaction(work.tenant, work="batch") as tx:
            leases.guard(tx, self.lease)
            db_resolution.lock_publish(tx)  # from here on an undo may rely on what is back
            tx.execute("landing.drop_left_payloads", {"payload_ids": payloads})  # of rows that did not come back
            archive_id, count = self.archive.archive_id, sum(restored.values())
            # Once restored is restored: who calls again to be sure finds nothing to do.
            before = (self.archive.restored_rows, self.archive.withheld_rows)
            db_retention.mark_restored(tx, archive_id, restored=max(count, before[0]), withheld=max(sum(withheld.values()), before[1]))
            tenants.audit(
                tx, actor=work.actor, action="archive.restored", subject_kind="archive", subject_id=str(archive_id),
                reason=f"{count} rows", after_hash=self.archive.manifest_hash,
            )  # fmt: skip
        failpoint("retention.restored")
        log.info("archive.restored", tenant=str(work.tenant), kind=self.archive.kind, archive_id=archive_id, rows=count)
        return self.told(restored, withheld, is_dry_run=False)

    def told(self, restored: Mapping[str, int], withheld: Mapping[str, int], *, is_dry_run: bool) -> RestoreReport:
        """What happened, or would."""
        return RestoreReport(
            archive_id=self.archive.archive_id, kind=self.archive.kind, is_dry_run=is_dry_run,
            rows={entry.table: entry.rows for entry in self.manifest.tables if entry.rows},
            restored={table: rows for table, rows in restored.items() if rows},
            withheld={table: rows for table, rows in withheld.items() if rows},
        )  # fmt: skip

    def _tables(self) -> list[tuple[ArchivedTable, TableEntry]]:
        """Parents first."""
        found = [(table, entry_of(self.manifest, table)) for table in TABLES[self.archive.kind]]
        return [(table, entry) for table, entry in found if entry is not None]

    def _put_back(self, table: ArchivedTable, rows: list[ArchivedRow]) -> int:
        if not rows:
            return 0
        with self.work.database.tenant_transaction(self.work.tenant, work="batch") as tx:
            leases.guard(tx, self.lease)
            db_retention.fill(tx, table, rows)
            if absent := db_retention.absent_parents(tx, table):
                runs = db_retention.archives(tx, kinds=("runs",), statuses=("archived", "deleted"))
                named = ", ".join(str(each.archive_id) for each in runs)
                hint = f"restore these first: {named or 'none is left; the syncs are gone for good'}"
                raise ConflictError("rows belong to syncs that were archived, too", hint, archive=self.archive.archive_id, rows=absent)
            return db_retention.restore(tx, table, rows)
