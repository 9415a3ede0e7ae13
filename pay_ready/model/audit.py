"""An event of the audit trail, its hash as the database makes it, and what a reader of a copy finds wrong. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Fault = Literal["changed", "missing", "reordered", "broken link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What was done, by whom, to what and why; hashes are 32 bytes each."""

    seq: int
    occurred_at: datetime  # with a time zone, to the microsecond
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    reason: str | None
    run_id: UUID | None
    before_hash: bytes | None
    after_hash: bytes | None
    previous_hash: bytes | None  # of the event before; none of the first
    event_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first place at which a trail is not what was written."""

    seq: int
    fault: Fault
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReading:
    """What a reader of a trail found; `fault` is None where it is whole."""

    events: int
    first_seq: int | None
    last_seq: int | None
    last_hash: bytes | None
    fault: ChainFault | None

    @property
    def is_from_the_start(self) -> bool:
        """Whether it begins with the tenant's first event."""
        return self.first_seq == 1


def event_hash(tenant: UUID, event: AuditEvent) -> bytes:
    """sha256 over the event and the hash of the one before: what the trigger `chain_audit_event` computes.

    Its text is that of a jsonb array: as Python's own JSON, without escapes for letters.
    """
    parts = [
        str(tenant), event.seq, _seconds(event.occurred_at), event.actor, event.action, event.subject_kind, event.subject_id,
        event.reason, str(event.run_id) if event.run_id else None, _hex(event.before_hash), _hex(event.after_hash),
        _hex(event.previous_hash),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).digest()


def read_chain(tenant: UUID, events: Iterable[AuditEvent]) -> ChainReading:
    """Follow a trail from its first event to its end, or to the first that is not right."""
    count, fault = 0, None
    first: AuditEvent | None = None
    last: AuditEvent | None = None
    for event in events:
        fault = _fault(tenant, event, last)
        if fault is not None:
            break
        first, last, count = first or event, event, count + 1
    return ChainReading(
        events=count,
        first_seq=first.seq if first else None,
        last_seq=last.seq if last else None,
        last_hash=last.event_hash if last else None,
        fault=fault,
    )


def _fault(tenant: UUID, event: AuditEvent, last: AuditEvent | None) -> ChainFault | None:
    if last is not None and event.seq <= last.seq:
        return ChainFault(seq=event.seq, fault="reordered", says=f"event {event.seq} stands after event {last.seq}")
    if last is not None and event.seq > last.seq + 1:
        return ChainFault(seq=last.seq + 1, fault="missing", says=f"event {event.seq} follows event {last.seq}")
    if event.event_hash != event_hash(tenant, event):
        return ChainFault(seq=event.seq, fault="changed", says=f"event {event.seq} is not what its hash says")
    if event.previous_hash != last.event_hash if last is not None else (event.seq == 1) != (event.previous_hash is None):
        return ChainFault(seq=event.seq, fault="broken link", says=f"event {event.seq} does not follow from the one before")
    return None


def _seconds(moment: datetime) -> str:
    """Seconds since 1970 with six decimals, as Postgres writes extract(epoch from …)."""
    elapsed = moment - _EPOCH
    microseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    sign, whole = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    return f"{sign}{whole // 1_000_000}.{whole % 1_000_000:06d}"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


COLUMNS = (
    "tenant_id", "seq", "occurred_at", "actor", "action", "subject_kind", "subject_id", "reason", "run_id", "before_hash", "after_hash",
    "previous_hash", "event_hash",
)  # fmt: skip


def as_texts(tenant: UUID, event: AuditEvent) -> dict[str, str | int | None]:
    """An event as a file keeps it, by column."""
    return {
        "tenant_id": str(tenant),
        "seq": event.seq,
        "occurred_at": event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "action": event.action,
        "subject_kind": event.subject_kind,
        "subject_id": event.subject_id,
        "reason": event.reason,
        "run_id": str(event.run_id) if event.run_id else None,
        "before_hash": _hex(event.before_hash),
        "after_hash": _hex(event.after_hash),
        "previous_hash": _hex(event.previous_hash),
        "event_hash": event.event_hash.hex(),
    }


def from_texts(values: dict[str, str | int | None]) -> tuple[UUID, AuditEvent]:
    """The tenant and the event that `as_texts` wrote.

    Raises:
        ValueError, KeyError, TypeError: They are no event.
    """

    def text(name: str) -> str:
        value = values[name]
        if not isinstance(value, str):
            raise TypeError(name)
        return value

    def digest(name: str) -> bytes | None:
        return None if values[name] is None else bytes.fromhex(text(name))

    moment = datetime.fromisoformat(text("occurred_at"))
    if moment.tzinfo is None:
        raise ValueError("occurred_at")
    event = AuditEvent(
        seq=int(values["seq"] or 0),
        occurred_at=moment,
        actor=text("actor"),
        action=text("action"),
        subject_kind=text("subject_kind"),
        subject_id=text("subject_id"),
        reason=None if values["reason"] is None else text("reason"),
        run_id=None if values["run_id"] is None else UUID(text("run_id")),
        before_hash=digest("before_hash"),
        after_hash=digest("after_hash"),
        previous_hash=digest("previous_hash"),
        event_hash=bytes.fromhex(text("event_hash")),
    )
    return UUID(text("tenant_id")), event


_FORMULA = tuple("=+-@\t\r\n'")


def csv_cell(value: str | int | None) -> str:
    """A value that no spreadsheet runs as a formula, and that `from_csv_cell` turns back: an apostrophe goes before."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text == "" or text.startswith(_FORMULA) else text


def from_csv_cell(cell: str) -> str | None:
    """The value of a cell; an empty one is none."""
    return None if cell == "" else cell.removeprefix("'")


def rows_of(tenant: UUID, events: Iterable[AuditEvent]) -> Iterator[list[str]]:
    """Events as rows of a CSV file."""
    return ([csv_cell(value) for value in as_texts(tenant, event).values()] for event in events)
