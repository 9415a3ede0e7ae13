"""Staged rows: which landed rows wait, what a chunk of them says, and the set-based statements that make it so.

A chunk goes into temporary tables (row security refuses COPY into ours) and from there, by the same few statements
whatever its size, into the staged tables. Each statement writes only what differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pay_ready.db import tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import CheckFailedError
from pay_ready.model.ids import BatchId, RunId, SourceId

Outcome = Literal["staged", "unmapped", "quarantined", "gone"]
Row = tuple[object, ...]

END_OF_TIME: Final = 2**63 - 1  # above every commit_seq
_MOST_BATCHES = 1_000  # of one page: batches that left no row standing cost nothing else

_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "chunk_rows": ("record_key", "run_id", "outcome"),
    "chunk_companies": (
        "record_id", "record_reference", "record_key", "name", "domain", "phone", "city", "country", "industry", "attributes",
        "source_updated_at", "content_hash",
    ),
    "chunk_people": (
        "record_id", "record_reference", "record_key", "full_name", "first_name", "last_name", "email", "email_normalized",
        "phone", "title", "city", "country", "company_record_id", "company_name", "company_domain", "company_reference", "side",
        "attributes", "source_updated_at", "content_hash",
    ),
    "chunk_references": ("entity_type", "record_id", "record_reference"),
    "chunk_interactions": (
        "record_id", "record_key", "interaction_id", "precedence", "interaction_type", "external_id", "occurred_at", "ended_at",
        "subject", "body", "direction", "thread_id", "url", "metadata", "content_hash",
    ),
    "chunk_participants": (
        "record_id", "participant_no", "interaction_id", "role", "person_record_id", "company_record_id", "speaker_key", "side",
        "full_name", "first_name", "last_name", "email", "email_normalized", "phone", "title", "company_name", "company_domain",
        "person_company_record_id", "seen_at",
    ),
    "chunk_turns": ("record_id", "turn_no", "interaction_id", "speaker_key", "start_s", "end_s", "spoken_text"),
    "chunk_breaches": (
        "quarantine_id", "record_key", "reason", "field", "contract_version", "run_id", "raw", "payload_id", "emitted_at",
    ),
}  # fmt: skip
_WORK_TABLES = ("rows", "companies", "people", "interactions", "participants", "turns", "references", "breaches",
                "listed_companies", "listed_people", "orphans", "touched", "changed", "gone")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a stream is staged, and under which version of its contract."""

    staged_commit_seq: int
    contract_version: str | None
    restaging_version: str | None
    restaged_commit_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that were committed together; `landed` counts those that stood and were not staged."""

    batch_id: BatchId
    run_id: RunId
    commit_seq: int
    landed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedKey:
    """A standing landed row without its data."""

    record_key: str
    batch_id: BatchId
    run_id: RunId
    is_gone: bool
    size_bytes: int  # as stored, compressed


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedRow:
    """A landed row with its data, from the row or from the byte store."""

    data: bytes = field(repr=False)
    payload_id: UUID | None
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What a chunk of landed rows says, as rows of the temporary tables of the same names."""

    rows: list[Row] = field(default_factory=list)
    companies: list[Row] = field(default_factory=list)
    people: list[Row] = field(default_factory=list)
    references: set[Row] = field(default_factory=set)
    interactions: list[Row] = field(default_factory=list)
    participants: dict[UUID, list[Row]] = field(default_factory=dict)  # by interaction record
    turns: dict[UUID, list[Row]] = field(default_factory=dict)
    breaches: dict[UUID, Row] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkScope:
    """Where a chunk belongs. `again`: its rows were staged before and are counted already."""

    source_id: SourceId
    stream: str
    contract_version: str
    again: bool

    def params(self, **more: object) -> dict[str, object]:
        """Parameters of a statement about this chunk."""
        return {"source_id": self.source_id, "stream": self.stream, "contract_version": self.contract_version, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows that a chunk changed; what was equal is not among them."""

    interactions: int = 0
    people: int = 0
    companies: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(
            interactions=self.interactions + other.interactions,
            people=self.people + other.people,
            companies=self.companies + other.companies,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEquations:
    """The counts of one stream in one run. `waiting`: landed, and not staged yet."""

    stream: str
    emitted: int
    landed: int
    unchanged: int
    superseded: int
    deleted: int
    quarantined: int
    suppressed: int
    staged: int
    unmapped: int
    stage_quarantined: int
    waiting: int

    @property
    def landing_holds(self) -> bool:
        """emitted = landed + unchanged + superseded + deleted + quarantined + suppressed."""
        accounted = self.landed + self.unchanged + self.superseded + self.deleted + self.quarantined + self.suppressed
        return self.emitted == accounted

    @property
    def staging_holds(self) -> bool:
        """landed = staged + unmapped + quarantined, but for those that wait."""
        return self.landed == self.staged + self.unmapped + self.stage_quarantined + self.waiting


def streams(tx: TenantTransaction, source: SourceId) -> tuple[str, ...]:
    """The streams of a source that ever landed something."""
    return tuple(row.stream for row in tx.rows("staging.streams", {"source_id": source}))


def lock_position(tx: TenantTransaction, source: SourceId, stream: str) -> Position:
    """How far the stream is; nobody else stages the source or lands the stream until the transaction ends."""
    place: Mapping[str, object] = {"source_id": source, "stream": stream}
    tx.row("staging.lock_source", place)
    row = tx.row("staging.lock_state", place)
    if row is None:
        tx.execute("staging.open_state", place)
        row = tx.row("staging.lock_state", place)
    if row is None:
        raise CheckFailedError("a stream's state vanished while it was being staged", source=source, stream=stream)
    return Position(**row._asdict())


def move_position(tx: TenantTransaction, source: SourceId, stream: str, position: Position) -> None:
    """Write how far the stream is now."""
    tx.execute("staging.move_state", {
        "source_id": source, "stream": stream, "staged_commit_seq": position.staged_commit_seq,
        "contract_version": position.contract_version, "restaging_version": position.restaging_version,
        "restaged_commit_seq": position.restaged_commit_seq,
    })  # fmt: skip


def next_batches(tx: TenantTransaction, scope: ChunkScope, after: int, up_to: int, page_rows: int) -> list[Batch]:
    """The batches of the next page, in commit order: whole ones, together about `page_rows` rows, at least one."""
    found = tx.rows("staging.batches", scope.params(after=after, up_to=up_to, most=_MOST_BATCHES))
    page: list[Batch] = []
    landed = 0
    for row in found:
        page.append(Batch(**row._asdict()))
        landed += row.landed
        if landed >= page_rows:
            break
    return page


def landed_keys(tx: TenantTransaction, scope: ChunkScope, batches: Sequence[Batch], page_rows: int) -> Iterator[list[LandedKey]]:
    """The rows that the batches left standing, in pages, through a cursor: memory stays at one page."""
    run_of = {batch.batch_id: batch.run_id for batch in batches}
    for rows in tx.stream("staging.landed_keys", scope.params(batch_ids=list(run_of)), page=page_rows):
        yield [
            LandedKey(
                record_key=row.record_key, batch_id=row.batch_id, run_id=run_of[row.batch_id], is_gone=row.is_gone,
                size_bytes=row.size_bytes,
            )
            for row in rows
        ]  # fmt: skip


def landed_of_keys(tx: TenantTransaction, scope: ChunkScope, record_keys: Sequence[str], up_to: int) -> list[LandedKey]:
    """Standing rows by key, if their batch is at most `up_to`."""
    asked = scope.params(record_keys=list(record_keys), up_to=up_to)
    return [LandedKey(**row._asdict()) for row in tx.rows("staging.landed_of_keys", asked)]


def landed_data(tx: TenantTransaction, scope: ChunkScope, record_keys: Sequence[str]) -> dict[str, LandedRow]:
    """Landed rows with their data, by key."""
    found = tx.rows("staging.landed_data", scope.params(record_keys=list(record_keys))) if record_keys else []
    return {
        row.record_key: LandedRow(
            data=row.content if row.data is None else row.data.encode(), payload_id=row.payload_id, emitted_at=row.emitted_at
        )
        for row in found
    }


def make_tables(tx: TenantTransaction) -> None:
    """The temporary tables of this transaction."""
    for table in _WORK_TABLES:
        tx.execute(f"staging_chunk.{table}_table")


def empty_tables(tx: TenantTransaction) -> None:
    """Make them ready for the next chunk."""
    tx.execute("staging_chunk.empty")


def write_chunk(tx: TenantTransaction, scope: ChunkScope, said: Said) -> Written:
    """Make the staged tables say what the chunk says, and count its rows.

    Companies come before people and people before interactions, as the foreign keys want it: whoever is referred to gets a
    row first, and mentions that nobody refers to go last.
    """
    for table in ("rows", "companies", "people", "interactions"):
        _copy(tx, f"chunk_{table}", getattr(said, table))
    _copy(tx, "chunk_references", said.references)
    _copy(tx, "chunk_breaches", said.breaches.values())
    tx.execute("staging_chunk.analyze_rows")
    if scope.again:
        tx.execute("staging.recall_outcomes", scope.params())
    companies = _write_listed(tx, scope, "companies")
    tx.execute("staging_people.list_people", scope.params())
    tx.execute("staging_companies.add_mentions", scope.params())
    tx.execute("staging_people.touch_companies", scope.params())
    people = _finish_listed(tx, scope, "people")
    tx.execute("staging_people.add_mentions", scope.params())
    interactions = _write_interactions(tx, scope, said)
    for kind in ("people", "companies"):
        for statement in ("touch_mentions", "drop_mentions", "refresh_mentions"):
            tx.execute(f"staging_{kind}.{statement}", scope.params())
    tx.execute("quarantine.keep_breaches", scope.params())
    tx.execute("quarantine.close_mended", scope.params(status="replayed" if scope.again else "superseded"))
    tx.execute("staging.count_outcomes", scope.params())
    return Written(interactions=interactions, people=people, companies=companies)


def equations(tx: TenantTransaction, run: RunId, stream: str | None = None) -> tuple[StreamEquations, ...]:
    """The counts of a run, by stream."""
    found = tx.rows("staging.equations", {"run_id": run, "stream": stream})
    return tuple(StreamEquations(**row._asdict()) for row in found)


def _write_listed(tx: TenantTransaction, scope: ChunkScope, kind: Literal["companies", "people"]) -> int:
    tx.execute(f"staging_{kind}.list_{kind}", scope.params())
    return _finish_listed(tx, scope, kind)


def _finish_listed(tx: TenantTransaction, scope: ChunkScope, kind: Literal["companies", "people"]) -> int:
    written = tx.execute(f"staging_{kind}.write_listed_{kind}", scope.params())
    tx.execute(f"staging_{kind}.clear_shadowed_{kind}", scope.params())
    tx.execute(f"staging_{kind}.shadow_{kind}", scope.params())
    tx.execute(f"staging_{kind}.forget_{kind}", scope.params())
    return written


def _write_interactions(tx: TenantTransaction, scope: ChunkScope, said: Said) -> int:
    gone = tx.execute("staging_interactions.find_gone", scope.params())
    if gone:
        tx.execute("staging_interactions.touch_gone", scope.params())
        tx.execute("staging_interactions.delete_gone", scope.params())
    changed = tx.rows("staging_interactions.find_changed", scope.params())
    # Participants and turns of interactions that did not change are not even sent.
    _copy(tx, "chunk_participants", (row for record in changed for row in said.participants.get(record.record_id, ())))
    _copy(tx, "chunk_turns", (row for record in changed for row in said.turns.get(record.record_id, ())))
    tx.execute("staging_chunk.analyze_appearances")
    tx.execute("staging_interactions.write", scope.params())
    if gone or not all(record.is_new and record.is_alone for record in changed):
        tx.execute("staging_interactions.unset_primary", scope.params())
        tx.execute("staging_interactions.set_primary", scope.params())
    if not all(record.is_new for record in changed):
        for statement in ("drop_participants", "skip_participants", "drop_turns"):
            tx.execute(f"staging_interactions.{statement}", scope.params())
    tx.execute("staging_interactions.add_participants", scope.params())
    tx.execute("staging_interactions.add_turns", scope.params())
    if told := int(tx.value("staging_interactions.count_told")):
        tx.execute("staging_interactions.tell_memory", {"first_seq": tenants.next_number(tx, "outbox_seq", told)})
    return len(changed)


def _copy(tx: TenantTransaction, table: str, rows: Iterable[Row]) -> None:
    with tx.copy_into(table, _TABLES[table]) as copy:
        for row in rows:
            copy.write_row(row)
