"""Quarantined records: kept whole with the reason, listed, shown, closed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import NotFoundError
from pay_ready.model.ids import RunId, SourceId, TenantId, stable_id

Step = Literal["land", "stage"]
Status = Literal["open", "replayed", "superseded", "dismissed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineFilter:
    """Which records are meant; None lets everything pass."""

    source_id: SourceId | None = None
    stream: str | None = None
    step: Step | None = None
    reason: str | None = None
    status: Status | None = "open"
    run_id: RunId | None = None

    def params(self) -> dict[str, object]:
        """Parameters of a statement with these filters."""
        return {
            "source_id": self.source_id, "stream": self.stream, "step": self.step, "reason": self.reason, "status": self.status,
            "run_id": self.run_id,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRecord:
    """A record that broke a contract, without its bytes."""

    quarantine_id: UUID
    source_id: SourceId
    source: str
    kind: str  # which mapping reads the source
    stream: str
    record_key: str | None = field(repr=False)  # may be an e-mail address
    step: Step
    reason: str
    field: str | None
    contract_version: str
    run_id: RunId
    status: Status
    quarantined_at: datetime
    closed_at: datetime | None
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineGroup:
    """Records quarantined for one reason."""

    source: str
    stream: str
    step: Step
    reason: str
    field: str | None
    status: Status
    row_count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedContent:
    """A quarantined record with its bytes: people's data, for the operator who asked and for no log."""

    record: QuarantinedRecord
    content: bytes = field(repr=False)


def quarantine_id(
    tenant: TenantId, source: SourceId, *, stream: str, record_key: str | None, step: Step, reason: str, content: bytes
) -> UUID:
    """The same for the same bytes of a record that fail for the same reason: a replay finds its row."""
    digest = sha256(content).hexdigest()
    return stable_id("quarantine", str(tenant), str(source), stream, record_key or "", step, reason, digest)


def list_records(tx: TenantTransaction, wanted: QuarantineFilter, most: int) -> list[QuarantinedRecord]:
    """The newest `most` records."""
    return [QuarantinedRecord(**row._asdict()) for row in tx.rows("quarantine.list", {**wanted.params(), "most": most})]


def groups(tx: TenantTransaction, wanted: QuarantineFilter) -> list[QuarantineGroup]:
    """Counts by source, stream, step, reason and field; most first."""
    return [QuarantineGroup(**row._asdict()) for row in tx.rows("quarantine.groups", wanted.params())]


def records_of(tx: TenantTransaction, ids: Sequence[UUID]) -> list[QuarantinedRecord]:
    """These records.

    Raises:
        NotFoundError: One of them is not there, or another tenant's.
    """
    found = [QuarantinedRecord(**row._asdict()) for row in tx.rows("quarantine.of_ids", {"quarantine_ids": list(ids)})]
    if missing := set(ids) - {record.quarantine_id for record in found}:
        raise _not_found(min(missing))
    return found


def content_of(tx: TenantTransaction, wanted: UUID) -> QuarantinedContent:
    """One record with its bytes.

    Raises:
        NotFoundError: It is not there, or another tenant's.
    """
    row: Any = tx.row("quarantine.content", {"quarantine_id": wanted})
    if row is None:
        raise _not_found(wanted)
    values = row._asdict()
    content = values.pop("content")
    return QuarantinedContent(record=QuarantinedRecord(**values), content=content)


def close(tx: TenantTransaction, ids: Sequence[UUID], status: Literal["replayed", "superseded", "dismissed"]) -> int:
    """Close those that are open; how many."""
    return tx.execute("quarantine.close", {"quarantine_ids": list(ids), "status": status})


def end_stream_run(tx: TenantTransaction, run: RunId, stream: str) -> None:
    """Complete a stream's part of a replay's run. A pass of the stream that is under way goes on: nothing was listed."""
    tx.execute("landing.end_stream_run", {"run_id": run, "stream": stream, "status": "complete", "tombstoned": 0})


def standing_cursor(tx: TenantTransaction, source: SourceId, stream: str, record_key: str) -> str:
    """The cursor of the landed row that stands, as text that sorts right; empty when none does."""
    row = tx.row("quarantine.standing", {"source_id": source, "stream": stream, "record_key": record_key})
    return "" if row is None else str(row.cursor_order)


def replaced_hash(tx: TenantTransaction, source: SourceId, stream: str, record_key: str) -> bytes | None:
    """What the source last said under a key, as a content hash: what a correction of it will replace. None when nothing stands."""
    row = tx.row("quarantine.standing_hashes", {"source_id": source, "stream": stream, "record_key": record_key})
    return None if row is None else bytes(row.replaced_hash)


def remember_corrected(tx: TenantTransaction, source: SourceId, stream: str, record_key: str, replaced: bytes) -> None:
    """Mark the standing row as a correction: the source's repeating of what it replaced changes nothing."""
    params = {"source_id": source, "stream": stream, "record_key": record_key, "replaced_hash": replaced}
    tx.execute("quarantine.remember_corrected", params)


def _not_found(wanted: UUID) -> NotFoundError:
    return NotFoundError("no such quarantined record", "see them all: pay-ready quarantine list", quarantine_id=wanted)
