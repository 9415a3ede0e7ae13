"""The person taken out of the tenant's archives, too: files with a trace are written anew, and become the archive with the commit.

Until then the former files are the archive; afterwards they are none, wherever copies of them may be: the ledger knows the new ones alone.
Killed in between, whoever erases or archives next takes away what is none.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from pay_ready.db import retention as db_retention
from pay_ready.db import tenants
from pay_ready.db.erasure import Place
from pay_ready.db.retention import Archive
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import CheckFailedError, ConflictError
from pay_ready.failpoints import failpoint
from pay_ready.model.archived import TABLES, ArchivedRow, ArchivedTable
from pay_ready.model.ids import RunId, SourceId
from pay_ready.pipeline.erase.history import History
from pay_ready.pipeline.erase.rows import names_pattern
from pay_ready.pipeline.erase.work import Eraser, Work
from pay_ready.pipeline.land.suppress import Kind, Theirs, plain_key
from pay_ready.pipeline.retention.apply import entry_of, opened_manifest
from pay_ready.pipeline.retention.files import TableWriter, check_file, pages
from pay_ready.pipeline.retention.manifest import Manifest, TableEntry, hash_of
from pay_ready.pipeline.retention.shelf import MANIFEST, write_file
from pay_ready.pipeline.retention.sieve import PERSONAL, Sieve

FAILPOINTS = ("erase.archives_written",)
_AT_ONCE = 2_000  # rows in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenArchive:
    """An archive that stands in its place, whole."""

    archive: Archive
    manifest: Manifest
    folder: Path

    def rows(self, table: ArchivedTable) -> Iterator[list[ArchivedRow]]:
        """Its rows of a table, by pages."""
        entry = entry_of(self.manifest, table)
        return iter(()) if entry is None else pages(self.folder, entry, table, 8 if table.name == "large_payloads" else _AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """The archives that may hold people's values. `away`: not in their place, so that nobody can look."""

    open: tuple[OpenArchive, ...]
    away: tuple[Archive, ...]

    def golden_of(self, tx: TenantTransaction, records: Sequence[UUID]) -> Iterator[Mapping[str, Any]]:
        """Archived golden records of entities in which these records were alone."""
        wanted = {str(each) for each in records}
        theirs = {row["entity_id"] for row in self._rows("assignments") if row["record_id"] in wanted}
        if not theirs:
            return
        mixed = {row["entity_id"] for row in self._rows("assignments") if row["entity_id"] in theirs and row["record_id"] not in wanted}
        asked = {"entity_ids": sorted(map(UUID, theirs))}
        mixed |= {str(row.entity_id) for row in tx.rows("erasure.assignments_of", asked) if str(row.record_id) not in wanted}
        for row in self._rows("entity_versions"):
            if row["entity_id"] in theirs - mixed:
                yield json.loads(row["golden"])

    def _rows(self, name: str) -> Iterator[Mapping[str, Any]]:
        table = next(each for each in TABLES["history"] if each.name == name)
        for each in self.open:
            if each.archive.kind == "history":
                for page in each.rows(table):
                    yield from (dict(zip(table.columns, row, strict=True)) for row in page)


def opened_archives(eraser: Eraser, tx: TenantTransaction, *, void_away: bool) -> Archives:
    """The tenant's archives that may hold people's values, each checked to the last byte.

    Raises:
        ConflictError: One is away or damaged: whoever is in it would stay there; unless it may become void.
    """
    found: list[OpenArchive] = []
    away: list[Archive] = []
    for each in db_retention.archives(tx, kinds=PERSONAL):
        folder = eraser.shelf.place(each.archive_id, each.revision)
        try:
            manifest = opened_manifest(folder / MANIFEST, each, eraser.tenant)
            for entry in manifest.tables:
                for file in entry.files:
                    check_file(folder, file)
        except CheckFailedError:
            away.append(each)
        else:
            found.append(OpenArchive(archive=each, manifest=manifest, folder=folder))
    if away and not void_away:
        hint = "put it back where it was, or give it up for good with --void-archives; nothing was erased"
        raise ConflictError("an archive is away or damaged: nobody can look for the person in it", hint, archive=away[0].archive_id,
                            archives=len(away))  # fmt: skip
    return Archives(open=tuple(found), away=tuple(away))


def take_archived(work: Work, archives: Archives, history: History, touched: set[UUID], run_id: RunId, *, write: bool) -> None:
    """Take the person's rows out of the archives; without `write` only count them."""
    sieve = _sieve(work, history, touched)
    for each in archives.open:
        for table in TABLES[each.archive.kind]:
            for page in each.rows(table):
                sieve.note_members(table, page)
    for each in archives.open:
        gone = _count(work, sieve, each)
        if gone is not None and write:
            _write_anew(work, sieve, each, gone, run_id)
    for away in archives.away:
        work.count("archives given up", 1)
        if write:
            db_retention.end(work.tx, away.archive_id, "void")
            _audit(work, "archive.voided", away.archive_id, run_id, away.manifest_hash, None)
    if write and archives.open:
        failpoint("erase.archives_written")


def interactions_to_remember(work: Work, history: History, touched: Iterable[UUID]) -> set[str]:
    """What is suppressed beside the person's own ids once there are archives: copies of these may come from anywhere, at any time."""
    if not db_retention.archives(work.tx, kinds=PERSONAL, statuses=("archived", "deleted", "restored", "dropped", "void")):
        return set()
    return {f"interaction\n{each}" for each in touched} | {f"entity\n{each.entity_id}" for each in history.memberships}


def _count(work: Work, sieve: Sieve, opened: OpenArchive) -> int | None:
    """Count the rows that go; None where nothing of the archive is theirs."""
    gone, is_other = 0, False
    for table in TABLES[opened.archive.kind]:
        for page in opened.rows(table):
            kept = sieve.sift(table, page)
            work.count(f"{table.name} in archives", len(page) - len(kept))
            gone += len(page) - len(kept)
            is_other = is_other or kept != page
    if is_other and not gone:
        work.count("archives without a watermark", 1)
    return gone if is_other else None


def _write_anew(work: Work, sieve: Sieve, opened: OpenArchive, gone: int, run_id: RunId) -> None:
    """The next revision of an archive: its rows without theirs."""
    archive, shelf = opened.archive, work.eraser.shelf
    revision = archive.revision + 1
    draft = shelf.begin(archive.archive_id, revision)
    tables = tuple(_table_anew(sieve, opened, table, draft) for table in TABLES[archive.kind] if entry_of(opened.manifest, table))
    manifest = opened.manifest.model_copy(update={
        "revision": revision, "rows": sum(each.rows for each in tables), "tables": tables,
        "erased_rows": opened.manifest.erased_rows + gone,
    })  # fmt: skip
    content = manifest.content()
    write_file(draft / MANIFEST, content)
    shelf.put(archive.archive_id, revision)
    db_retention.revise(work.tx, archive, erased=gone, size_bytes=manifest.size_bytes, manifest_hash=hash_of(content))
    _audit(work, "archive.erased", archive.archive_id, run_id, archive.manifest_hash, hash_of(content))


def _table_anew(sieve: Sieve, opened: OpenArchive, table: ArchivedTable, draft: Path) -> TableEntry:
    entry = entry_of(opened.manifest, table)
    writer = TableWriter(draft, table)
    try:
        for page in opened.rows(table):
            writer.add(sieve.sift(table, page))
        return writer.end(entry.first_at, entry.last_at) if entry else writer.end()
    finally:
        writer.give_up()


def _sieve(work: Work, history: History, touched: set[UUID]) -> Sieve:
    """A sieve that knows what is erased: values, ids, and who was with whom."""
    values, region = work.values, work.eraser.context.phone_region
    names = names_pattern(work.unique_names, ())
    ids = {
        "record": {str(each) for each in work.held.records},
        "entity": set[str](),  # of an entity in which others stay, versions without the person do, too
        "interaction": {str(each) for each in touched},
        "refused": {str(each) for each in work.refused},
    }
    places = work.keys_gone | work.keys_frozen

    def theirs_of(source: SourceId | None) -> Theirs:
        distinct = values.distinct_ids(source) if source else frozenset[str]()
        known: Mapping[Kind, frozenset[str]] = {"email": values.emails, "phone": values.phones, "record": distinct}
        return Theirs(knows=lambda kind, text: text in known[kind], region=region, names=names)

    def knows_key(source: SourceId, stream: str, key: str) -> bool:
        return Place(source, stream, key) in places or Place(source, stream, plain_key(key)) in places

    sieve = Sieve(theirs_of=theirs_of, knows_id=lambda name, text: text in ids[name], knows_key=knows_key)
    for each in history.memberships:
        sieve.add_member(str(each.entity_id), each.opened_run_no, each.closed_run_no)
    return sieve


def _audit(work: Work, action: str, archive_id: UUID, run_id: RunId, before: bytes | None, after: bytes | None) -> None:
    tenants.audit(
        work.tx, actor=work.eraser.actor, action=action, subject_kind="archive", subject_id=str(archive_id), run_id=run_id,
        before_hash=before, after_hash=after,
    )  # fmt: skip
