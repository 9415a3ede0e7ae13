"""The audit trail outside the database: written to a file that only its owner may read, and followed there without the database."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO
from uuid import UUID

from pay_ready.db import audit as db_audit
from pay_ready.db.tenancy import Database
from pay_ready.db.tenants import audit
from pay_ready.db.verify import Counted
from pay_ready.errors import ConfigError, ConflictError, ContractError
from pay_ready.model.audit import COLUMNS, AuditEvent, ChainFault, ChainReading, as_texts, from_csv_cell, from_texts, read_chain, rows_of
from pay_ready.model.ids import TenantId
from pay_ready.whole_file import whole_file

Format = Literal["jsonl", "csv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    file: Path
    events: int
    first_seq: int | None
    last_seq: int | None
    last_hash: bytes | None


def export_audit(
    database: Database, tenant: TenantId, path: Path, *, form: Format, first_seq: int, overwrite: bool, actor: str
) -> Exported:
    """Write the trail from a number on, as it stands; the file is whole or absent. The export itself is the next event.

    Raises:
        ConflictError: The file is there.
        ConfigError: It cannot be written.
    """
    if path.exists() and not overwrite:
        raise ConflictError("the file is there already", "name another one, or say --force", file=path)
    passed = _Passed()
    with whole_file(path) as handle, database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
        events = passed.through(db_audit.stream(tx, first_seq=first_seq))
        if form == "csv":
            writer = csv.writer(handle)
            writer.writerow(COLUMNS)
            writer.writerows(rows_of(tenant, events))
        else:
            handle.writelines(json.dumps(as_texts(tenant, event), ensure_ascii=False) + "\n" for event in events)
    exported = Exported(
        file=path, events=passed.count, first_seq=passed.first, last_seq=passed.last.seq if passed.last else None,
        last_hash=passed.last.event_hash if passed.last else None,
    )  # fmt: skip
    with database.tenant_transaction(tenant) as tx:
        told = f"events {exported.first_seq} to {exported.last_seq}" if exported.events else "no event"
        audit(tx, actor=actor, action="audit.exported", subject_kind="audit", subject_id=told, after_hash=exported.last_hash)
    return exported


class _Passed:
    """Remembers what went through."""

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None
        self.last: AuditEvent | None = None

    def through(self, events: Iterable[AuditEvent]) -> Iterator[AuditEvent]:
        for event in events:
            self.count += 1
            self.first = self.first or event.seq
            self.last = event
            yield event


def verify_database(database: Database, tenant: TenantId, *, most: int) -> Counted:
    """Whether the trail in the database is whole; its offenders are events."""
    with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
        return db_audit.chain(tx, most=most)


def verify_file(path: Path) -> tuple[UUID | None, ChainReading]:
    """Whose trail a file is (None of an empty one), and whether it is whole; needs no database.

    Raises:
        ConfigError: It cannot be read.
        ContractError: A line is no event, or another tenant's.
    """
    found = _Tenants()
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            events = found.of_one(_events(handle), path)
            first = next(events, None)
            if first is None:
                return None, read_chain(UUID(int=0), ())
            return found.tenant, read_chain(found.tenant or UUID(int=0), _again(first, events))
    except UnicodeDecodeError:
        raise ContractError("the file is no text in UTF-8", "export it again: pay-ready audit export", file=path) from None
    except OSError as error:
        raise ConfigError("cannot read the file", error.strerror or type(error).__name__, file=path) from None


def stands_in_database(database: Database, tenant: TenantId, reading: ChainReading) -> ChainFault | None:
    """Whether the database has the last event of a copy as the copy has it; where not, somebody rewrote or cut the trail since."""
    if reading.last_seq is None or reading.fault is not None:
        return None
    with database.tenant_transaction(tenant) as tx:
        kept = db_audit.hash_of(tx, reading.last_seq)
    if kept == reading.last_hash:
        return None
    seq = reading.last_seq
    if kept is None:
        return ChainFault(seq=seq, fault="missing", says=f"the database has no event {seq} any more")
    return ChainFault(seq=seq, fault="changed", says=f"event {seq} of the database is another than the file's")


class _Tenants:
    """Refuses a second tenant in one file."""

    tenant: UUID | None = None

    def of_one(self, rows: Iterable[tuple[int, dict[str, str | int | None]]], path: Path) -> Iterator[AuditEvent]:
        for number, values in rows:
            try:
                tenant, event = from_texts(values)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ContractError("a line is no audit event", "export it again: pay-ready audit export", file=path, line=number) from None
            if self.tenant not in (None, tenant):
                raise ContractError("the file holds a second tenant", "verify one export at a time", file=path, line=number)
            self.tenant = tenant
            yield event


def _again(first: AuditEvent, others: Iterator[AuditEvent]) -> Iterator[AuditEvent]:
    yield first
    yield from others


def _events(handle: TextIO) -> Iterator[tuple[int, dict[str, str | int | None]]]:
    """Lines of JSON, or rows of CSV with a heading; told apart by their first letter."""
    start = handle.read(1)
    handle.seek(0)
    if start == "{":
        for number, line in enumerate(handle, start=1):
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError:
                yield number, {}
    else:
        for number, row in enumerate(csv.DictReader(handle), start=2):
            yield number, {name: from_csv_cell(cell) if isinstance(cell, str) else None for name, cell in row.items()}
