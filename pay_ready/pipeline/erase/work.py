"""An erasure under way: what it works with, whose records go, and by which values nobody else is known."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from pay_ready.db import sources, staging
from pay_ready.db.erasure import Place
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.retention.shelf import Shelf
from pay_ready.pipeline.subject import Held, Subject, Values, find, values_of

LEASE_WAIT_S = 30.0  # for runs that land a source right now


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedEntity:
    """A published person whom an erasure touches. `remaining` of the records stay."""

    entity_id: UUID
    records: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingRecord:
    """A person's record that goes. `carries` the address, number or id that was given; else it belongs to the same published person."""

    record_id: UUID
    source: str | None
    name: str | None  # in a preview alone
    carries: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseReport:
    """What an erasure took, or would take. `run_no` is None when nothing was published before it, or nothing is held."""

    is_held: bool
    is_dry_run: bool
    run_no: int | None
    counts: Mapping[str, int]  # rows by table; "… masked" are those of others that stay
    entities: tuple[TouchedEntity, ...]
    records: tuple[GoingRecord, ...]
    suppressed: int  # digests that keep the person out
    rebased: int  # versions whose digest is another now
    exports: tuple[Path, ...]  # files of earlier exports that went


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """What an erasure works with. `database`: of a login that may delete history (role pay_ready_erasure)."""

    database: Database
    tenant: TenantId
    slug: str
    actor: str
    digest_key: bytes = field(repr=False)  # of suppressions
    config: ResolutionConfig
    context: MappingContext
    mapping_of: Callable[[DataSource], SourceMapping]
    state_folder: Path
    shelf: Shelf  # of the tenant's archives
    lease_wait_s: float = LEASE_WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An erasure under way."""

    eraser: Eraser
    tx: TenantTransaction
    subject: Subject
    held: Held
    values: Values  # that nobody else carries
    unique_names: frozenset[str]  # full names of nobody else
    sources: Mapping[UUID, DataSource]
    mappings: Mapping[UUID, SourceMapping]
    counts: Counter[str] = field(default_factory=Counter)
    keys_gone: set[Place] = field(default_factory=set)
    keys_frozen: set[Place] = field(default_factory=set)  # masked by what a re-import could not know
    refused: list[UUID] = field(default_factory=list)

    def count(self, table: str, rows: int) -> None:
        """Note rows of a table."""
        if rows:
            self.counts[table] += rows

    def execute(self, table: str, statement: str, params: Mapping[str, object]) -> int:
        """Run a statement of erasure and note the rows that it touched."""
        touched = self.tx.execute(f"erasure.{statement}", params)
        self.count(table, touched)
        return touched

    @property
    def records(self) -> dict[str, object]:
        """The person's records as a parameter."""
        return {"record_ids": self.held.records}


ArchivedGolden = Callable[[TenantTransaction, Sequence[UUID]], Iterable[Mapping[str, Any]]]


def begun(eraser: Eraser, tx: TenantTransaction, subject: Subject, *, records_only: bool, archived: ArchivedGolden) -> Work:
    """Lock what landing and staging move, and find what is the person's and nobody else's.

    `archived` gives golden records from archives, of entities in which some records were alone.
    """
    known: dict[UUID, DataSource] = {source.source_id: source for source in sources.list_all(tx)}
    for each in known.values():
        for stream in staging.streams(tx, each.source_id):
            staging.lock_position(tx, each.source_id, stream)
    held = find(tx, subject, records_only=records_only)
    values, unique = _own_values(tx, subject, held, archived)
    # A number that was called, an address that was written to: records of nobody else, and of nothing else.
    nameless = {row.record_id for row in tx.rows("erasure.nameless", {"emails": sorted(values.emails), "phones": sorted(values.phones)})}
    if nameless := nameless - held.carrying - held.further:
        held = replace(held, carrying=held.carrying | nameless)
        values, unique = _own_values(tx, subject, held, archived)
    return Work(
        eraser=eraser, tx=tx, subject=subject, held=held, values=values, unique_names=unique, sources=known,
        mappings={source: eraser.mapping_of(found) for source, found in known.items()},
    )  # fmt: skip


def _own_values(tx: TenantTransaction, subject: Subject, held: Held, archived: ArchivedGolden) -> tuple[Values, frozenset[str]]:
    """What the subject's records say and nobody else's do, and those of the names that nobody else has."""
    asked: dict[str, object] = {"record_ids": held.records}
    values = values_of(tx.rows("erasure.people", asked), tx.rows("erasure.appearances", asked))
    values = _with_history(tx, held, values, archived)
    names = sorted({each.lower() for each in values.names})
    others = tx.rows("erasure.held_by_others", {**asked, "emails": sorted(values.emails), "phones": sorted(values.phones), "names": names})
    shared = {(row.kind, row.value) for row in others}
    emails = {each for each in values.emails if ("email", each) not in shared}
    phones = {each for each in values.phones if ("phone", each) not in shared}
    if subject.kind == "email":
        emails.add(subject.value)
    if subject.kind == "phone":
        phones.add(subject.value)
    unique = {each for each in values.names if len(each.split()) > 1 and ("name", each.lower()) not in shared}
    own = Values(emails=frozenset(emails), phones=frozenset(phones), names=values.names, name_parts=values.name_parts, ids=values.ids)
    return own, frozenset(unique)


def _with_history(tx: TenantTransaction, held: Held, values: Values, archived: ArchivedGolden) -> Values:
    """The values with those of former golden records of which nobody else was a part: an address that the source has changed since."""
    ever = [row.entity_id for row in tx.rows("erasure.entities_ever_of", {"record_ids": held.records})]
    records = set(held.records)
    mixed = {row.entity_id for row in tx.rows("erasure.assignments_of", {"entity_ids": ever}) if row.record_id not in records}
    said: dict[str, set[str]] = {}
    versions = tx.rows("erasure.versions", {"entity_ids": [each for each in ever if each not in mixed]})
    for golden in (*(row.golden for row in versions), *archived(tx, held.records)):
        for name, value in golden["fields"].items():
            said.setdefault(name, set()).update(value["values"])
    return Values(
        emails=values.emails | {each.casefold() for each in said.get("email", ())},
        phones=values.phones | said.get("phone", set()),
        names=values.names | said.get("name", set()),
        name_parts=values.name_parts | {each for name in ("first_name", "last_name") for each in said.get(name, ()) if len(each) > 1},
        ids=values.ids,
    )


def live_versions(work: Work) -> Iterable[Any]:
    """The published rows of everybody who loses a record: also of a number that was merely called."""
    ids = {row.entity_id for row in work.tx.rows("erasure.entities_of", work.records)} | set(work.held.entities)
    asked = {"entity_ids": sorted(ids)}
    return (row for row in work.tx.rows("erasure.versions", asked) if row.closed_run_no is None)


def going(work: Work, *, named: bool) -> tuple[GoingRecord, ...]:
    """The records that go; `named` for somebody who must confirm it, and never in a report of what was done."""
    rows = {row.record_id: row for row in work.tx.rows("erasure.people", work.records)}
    found = []
    for record in work.held.records:
        row = rows.get(record)
        name = (row.full_name or row.email or row.phone) if row and named else None
        found.append(GoingRecord(record_id=record, source=row.source if row else None, name=name, carries=record in work.held.carrying))
    return tuple(found)
