"""Rows that are older than a tenant keeps them: which are due, the ledger of their archives, and how they go and come back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pay_ready.db import tenants
from pay_ready.db.tenancy import Extent, TenantTransaction
from pay_ready.errors import NotFoundError
from pay_ready.model.archived import KINDS, WITH_FILES, ArchivedRow, ArchivedTable, ArchiveKind, ArchiveStatus
from pay_ready.resources import resource_path

_KEEP_RUNS = 100  # of each source: by those the usual volume of a stream is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is old: rows from before `cutoff`; of history what closed by `through_run_no`, but for what `kept_runs` need."""

    cutoff: datetime
    through_run_no: int = 0
    kept_runs: tuple[int, ...] = ()  # ascending
    keep_runs: int = _KEEP_RUNS  # syncs of each source


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive in the ledger."""

    archive_id: UUID
    kind: ArchiveKind
    status: ArchiveStatus
    revision: int
    cutoff: datetime
    through_run_no: int
    archived_rows: int
    deleted_rows: int
    erased_rows: int
    restored_rows: int
    withheld_rows: int
    size_bytes: int
    manifest_hash: bytes | None
    made_by: str
    begun_at: datetime
    archived_at: datetime | None
    deleted_at: datetime | None
    restored_at: datetime | None
    ended_at: datetime | None


def moment(tx: TenantTransaction) -> datetime:
    """The database's time, which ages are counted from."""
    found: datetime = tx.value("retention.moment")
    return found


def schema_version() -> int:
    """The number of the last migration that this version knows."""
    return len(list(resource_path("sql", "migrations").glob("*.sql")))


def bounds(tx: TenantTransaction, kind: ArchiveKind, cutoff: datetime, *, keep_runs: int = _KEEP_RUNS) -> Bounds:
    """What is old at a cutoff."""
    if kind != "history":
        return Bounds(cutoff=cutoff, keep_runs=keep_runs)
    through = int(tx.value("retention.through_run", {"cutoff": cutoff}))
    return Bounds(cutoff=cutoff, through_run_no=through, kept_runs=kept_runs(tx), keep_runs=keep_runs)


def kept_runs(tx: TenantTransaction) -> tuple[int, ...]:
    """Runs whose states somebody may return to, ascending."""
    return tuple(row.run_no for row in tx.rows("retention.kept_runs") if row.run_no is not None)


def due_extent(tx: TenantTransaction, table: ArchivedTable, old: Bounds) -> Extent:
    """How many rows of a table are due, and from when; of attached payloads none: they follow other rows."""
    if table.name == "large_payloads":
        return Extent(rows=0, first_at=None, last_at=None)
    return tx.extent(f"retention_due.{table.name}", _params(tx, table, old))


def due_rows(tx: TenantTransaction, table: ArchivedTable, old: Bounds, *, page: int) -> Iterator[list[Any]]:
    """Pages of the rows of a table that are due, with their age; of attached payloads none."""
    if table.name != "large_payloads":
        yield from tx.stream(f"retention_due.{table.name}", _params(tx, table, old), page=page)


def payload_rows(tx: TenantTransaction, payload_ids: Sequence[UUID], *, page: int) -> Iterator[list[Any]]:
    """Pages of payloads: they are large."""
    if payload_ids:
        yield from tx.stream("retention.payloads", {"payload_ids": list(payload_ids)}, page=page)


def _params(tx: TenantTransaction, table: ArchivedTable, old: Bounds) -> Mapping[str, object]:
    params: dict[str, object] = {
        "cutoff": old.cutoff, "through_run_no": old.through_run_no, "kept_runs": list(old.kept_runs), "keep_runs": old.keep_runs,
    }  # fmt: skip
    if table.name in ("stream_runs", "landing_batches"):  # of the same syncs: both are asked in one snapshot
        params["run_ids"] = [row.run_id for row in tx.rows("retention_due.sync_runs", params)]
    return params


def fill(tx: TenantTransaction, table: ArchivedTable, rows: Iterable[ArchivedRow]) -> None:
    """Put a page of an archive's rows where `delete` and `restore` look for them."""
    tx.execute(f"retention_rows.make_{table.name}")
    with tx.copy_into(f"retention_{table.name}", list(table.columns)) as copy:
        for row in rows:
            copy.write_row(row)
    tx.execute("retention.prefer_keys")


def delete(tx: TenantTransaction, table: ArchivedTable, archive_id: UUID) -> int:
    """Take out those of the page that are to the last value what the archive has; how many."""
    if table.name != "memories":
        return tx.execute(f"retention_rows.delete_{table.name}")
    left_out = [row.interaction_id for row in tx.rows("retention.leave_out_interactions", {"archive_id": archive_id})]
    deleted = tx.execute("retention_rows.delete_memories")
    _tell_memory(tx, "delete", left_out)
    return deleted


def restore(tx: TenantTransaction, table: ArchivedTable, rows: Sequence[ArchivedRow]) -> int:
    """Put back those of the page whose keys nobody has taken since; how many."""
    if table.name != "memories":
        return tx.execute(f"retention_rows.restore_{table.name}")
    place = table.place("interaction_id")
    interactions = sorted({UUID(str(row[place])) for row in rows})
    restored = tx.execute("retention_rows.restore_memories")
    tx.execute("retention.let_in_interactions", {"interaction_ids": interactions})
    _tell_memory(tx, "upsert", interactions)
    return restored


def _tell_memory(tx: TenantTransaction, change: str, interactions: Sequence[UUID]) -> None:
    if interactions:
        tx.execute("erasure.add_outbox", {
            "first_seq": tenants.next_number(tx, "outbox_seq", len(interactions)), "changes": [change] * len(interactions),
            "kinds": ["interaction"] * len(interactions), "ids": [str(each) for each in interactions],
        })  # fmt: skip


def absent_parents(tx: TenantTransaction, table: ArchivedTable) -> int:
    """Rows of the page whose sync is in an archive itself: it must come back first."""
    statement = {"landed_records": "absent_batches", "quarantined_records": "absent_runs"}.get(table.name)
    return int(tx.value(f"retention.{statement}")) if statement else 0


def whole_since(tx: TenantTransaction) -> int:
    """The first run from which on every state is whole; of earlier ones a checkpoint's is. 0 where nothing is archived."""
    return int(tx.value("retention.whole_since"))


def archives(
    tx: TenantTransaction, kinds: Sequence[ArchiveKind] = KINDS, statuses: Sequence[ArchiveStatus] = WITH_FILES
) -> list[Archive]:  # fmt: skip
    """Archives of the tenant, the newest first."""
    return [Archive(**row._asdict()) for row in tx.rows("retention.list", {"kinds": list(kinds), "statuses": list(statuses)})]


def archive(tx: TenantTransaction, archive_id: UUID) -> Archive:
    """One archive of the tenant.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    row = tx.row("retention.find", {"archive_id": archive_id})
    if row is None:
        raise NotFoundError("no such archive of this tenant", "see them: pay-ready retention list -t TENANT", archive=archive_id)
    return Archive(**row._asdict())


def begin(tx: TenantTransaction, archive_id: UUID, kind: ArchiveKind, old: Bounds, *, made_by: str) -> None:
    """An archive is being written: until it is kept nothing goes."""
    tx.execute("retention.begin", {
        "archive_id": archive_id, "kind": kind, "cutoff": old.cutoff, "through_run_no": old.through_run_no, "made_by": made_by,
    })  # fmt: skip


def forget(tx: TenantTransaction, archive_id: UUID) -> None:
    """One that never came to be."""
    tx.execute("retention.forget", {"archive_id": archive_id})


def keep(tx: TenantTransaction, archive_id: UUID, *, rows: int, size_bytes: int, manifest_hash: bytes) -> None:
    """Its files are whole and on the disk: its rows may go."""
    tx.execute("landing.be_durable")
    tx.execute("retention.keep", {
        "archive_id": archive_id, "archived_rows": rows, "size_bytes": size_bytes, "manifest_hash": manifest_hash,
    })  # fmt: skip


def count_deleted(tx: TenantTransaction, archive_id: UUID, rows: int) -> None:
    """So many more are gone."""
    tx.execute("retention.count_deleted", {"archive_id": archive_id, "deleted_rows": rows})


def mark_deleted(tx: TenantTransaction, archive_id: UUID) -> None:
    """All of them are."""
    tx.execute("retention.mark_deleted", {"archive_id": archive_id})


def mark_restored(tx: TenantTransaction, archive_id: UUID, *, restored: int, withheld: int) -> None:
    """They are back."""
    tx.execute("retention.mark_restored", {"archive_id": archive_id, "restored_rows": restored, "withheld_rows": withheld})


def end(tx: TenantTransaction, archive_id: UUID, status: ArchiveStatus) -> None:
    """Nothing is restored from it any more: `dropped`, or `void`."""
    tx.execute("landing.be_durable")
    tx.execute("retention.end", {"archive_id": archive_id, "status": status})


def revise(tx: TenantTransaction, found: Archive, *, erased: int, size_bytes: int, manifest_hash: bytes) -> None:
    """Its files were written anew without somebody: the next revision is the archive from now on."""
    tx.execute("retention.revise", {
        "archive_id": found.archive_id, "revision": found.revision + 1, "erased_rows": erased, "size_bytes": size_bytes,
        "manifest_hash": manifest_hash,
    })  # fmt: skip
