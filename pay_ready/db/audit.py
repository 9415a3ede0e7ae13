"""The audit trail, read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.db.verify import Counted, look
from pay_ready.model.audit import AuditEvent

_HASHES = ("before_hash", "after_hash", "previous_hash", "event_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events; None lets everything pass."""

    action: str | None = None  # the beginning of the word: "source", "source.added"
    actor: str | None = None
    since: datetime | None = None
    run: str | None = None  # its number, or its id
    subject: str | None = None


def events(tx: TenantTransaction, wanted: AuditFilter, *, most: int) -> list[AuditEvent]:
    """The newest events that pass, newest first."""
    params = {
        "action": wanted.action, "actor": wanted.actor, "since": wanted.since, "run": wanted.run, "subject": wanted.subject, "most": most,
    }  # fmt: skip
    return [_event(row) for row in tx.rows("audit.list", params)]


def stream(tx: TenantTransaction, *, first_seq: int) -> Iterator[AuditEvent]:
    """Events from a number on, in their order; memory stays at one page."""
    for page in tx.stream("audit.export", {"first_seq": first_seq}):
        yield from map(_event, page)


def hash_of(tx: TenantTransaction, seq: int) -> bytes | None:
    """The hash that the database keeps of an event; None when it has no such event."""
    row = tx.row("audit.event_hash", {"seq": seq})
    return None if row is None else bytes(row.event_hash)


def chain(tx: TenantTransaction, *, most: int) -> Counted:
    """Every event's number, hash and link, computed anew by the database."""
    return look(tx, "verify.audit_chain", most=most, deep=False)


def _event(row: Any) -> AuditEvent:
    values = row._asdict()
    return AuditEvent(**{**values, **{name: None if values[name] is None else bytes(values[name]) for name in _HASHES}})
