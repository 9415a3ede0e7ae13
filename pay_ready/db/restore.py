"""A state of the past as the new version: found as rows of temporary tables, looked at, written; a million records need no memory here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from pay_ready.db import tenants
from pay_ready.db.publish import InteractionChanges
from pay_ready.db.state import moved, sum_of
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.resolution import ChangeKind, EntityType
from pay_ready.model.review import Verdict

_TABLES = ("record", "entity", "move", "version", "decision", "link", "waiting", "change")
_DIGEST = np.dtype([("digest", "S32")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is restored where it is not everything."""

    records: Sequence[UUID]
    entities: Sequence[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that holds; `is_word` where it is a steward's own, not an undo's nor an agent's."""

    decision_id: UUID
    left_id: UUID
    right_id: UUID
    is_word: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeExample:
    """What happens to an entity: what it is called now and then, personal values that go to the operator who asks."""

    change: ChangeKind
    entity_type: EntityType
    entity_id: UUID
    other_entity_id: UUID | None
    name_now: str | None
    records_now: int | None
    name_then: str | None
    records_then: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSince:
    """A current decision that the restored state does not honour."""

    decision_id: UUID
    entity_type: EntityType
    left_id: UUID
    right_id: UUID
    verdict: str
    actor: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Records whose assignment is another one then."""

    moved: int = 0  # to another entity, or held otherwise by the same
    unassigned: int = 0  # that are assigned now and will wait
    assigned: int = 0  # that are not assigned now


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLine:
    """A line of the change feed: what a run did to an entity."""

    change_seq: int
    run_no: int
    kind: str  # of the run
    published_at: datetime
    change: ChangeKind
    entity_type: EntityType
    entity_id: UUID
    other_entity_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What differs between what is published and the state that is restored, in rows of each kind."""

    changes: Mapping[EntityType, Mapping[ChangeKind, int]]  # entities
    fields: Mapping[str, int]  # of entities that live now and then: how many have another value then
    records: Mapping[EntityType, Moved]
    is_honouring_others: bool  # decisions
    links: InteractionChanges
    interactions: int  # whose people or companies are others
    memories: int  # passages of these
    decisions_since: tuple[DecisionSince, ...]
    examples: tuple[ChangeExample, ...]
    waiting: Mapping[str, int]  # for the next run, afterwards, by kind

    @property
    def count(self) -> int:
        """Entities that change."""
        return sum(sum(each.values()) for each in self.changes.values())


def find(tx: TenantTransaction, run_no: int, part: Part | None = None) -> None:
    """Find what differs from the state that a run published; all of it, or of some records and entities alone."""
    for name in _TABLES:
        tx.execute(f"restore.make_{name}_table")
    tx.execute("publish.make_redirect_table")
    if part is not None:
        tx.execute("restore.add_part_records", {"record_ids": list(part.records)})
        tx.execute("restore.add_part_entities", {"entity_ids": list(part.entities)})
    asked = {"run_no": run_no, "is_whole": part is None}
    for name in ("moves", "versions", "redirects"):
        tx.execute(f"restore.find_{name}", asked)
    tx.execute("restore.analyze_tables")
    if part is None:
        tx.execute("restore.find_decisions", {"run_no": run_no})
        tx.execute("restore.find_links", {"run_no": run_no})
    else:
        _find_links_of_part(tx)
    tx.execute("restore.find_changes")
    tx.execute("restore.find_waiting", {"run_no": run_no})


def _find_links_of_part(tx: TenantTransaction) -> None:
    """The people and companies of interactions as they follow from the restored assignments: others may have changed since."""
    tx.execute("publish.make_tables")
    tx.execute("publish.make_scope_table")
    tx.execute("restore.tell_assignments")
    tx.execute("publish.scope_touched_interactions", {"people": "{}", "companies": "{}"})
    tx.execute("publish.analyze_scope")
    tx.execute("publish.want_interactions")


def differences(tx: TenantTransaction, part: Part | None, *, examples: int, dropped_change_id: UUID | None = None) -> Differences:
    """What `find` found, counted.

    Args:
        tx: The transaction.
        part: As `find` was told.
        examples: Changed entities to show, of each kind.
        dropped_change_id: Of the queue's changes those that will be taken out (`write`).
    """
    changes: dict[EntityType, dict[ChangeKind, int]] = {"company": {}, "person": {}}
    for row in tx.rows("restore.count_changes"):
        changes[row.entity_type][row.change] = row.entities
    fields = tx.rows("restore.count_fields")[0]._asdict()
    moves: dict[EntityType, Moved] = {"company": Moved(), "person": Moved()}
    for row in tx.rows("restore.count_moves"):
        moves[row.entity_type] = Moved(moved=row.moved, unassigned=row.unassigned, assigned=row.assigned)
    links = tx.rows("restore.count_links" if part is None else "restore.count_part_links")[0]
    return Differences(
        changes=changes,
        fields={name: count for name, count in fields.items() if count},
        records=moves,
        is_honouring_others=bool(tx.value("restore.count_decisions")),
        links=InteractionChanges(links.opening, links.closing),
        interactions=links.interactions,
        memories=int(tx.value("restore.count_memories" if part is None else "restore.count_part_memories")),
        decisions_since=tuple(DecisionSince(**row._asdict()) for row in tx.rows("restore.decisions_since")) if part is None else (),
        examples=tuple(ChangeExample(**row._asdict()) for row in tx.rows("restore.example_changes", {"most": examples})),
        waiting={row.kind: row.objects for row in tx.rows("restore.count_waiting", {"dropped_change_id": dropped_change_id})},
    )


def restored_digest(tx: TenantTransaction, before: bytes) -> bytes:
    """The digest (32 bytes) of the state that `find` found, from that of the published one."""
    closing, opening = (sum_of(tx.copy_out(f"restore.{name}_digests", {}, _DIGEST)["digest"]) for name in ("closing", "opening"))
    return moved(before, closing, opening)


def write_rows(tx: TenantTransaction, run_no: int, part: Part | None) -> None:
    """Close what differs and open what was."""
    at = {"run_no": run_no}
    for name in ("close_assignments", "open_assignments", "close_versions", "open_versions"):
        tx.execute(f"restore.{name}", at)
    for name in ("close_redirects", "open_redirects"):
        tx.execute(f"publish.{name}", at)
    if part is not None:
        for name in ("close_interactions", "open_interactions"):
            tx.execute(f"publish.{name}", at)
        return
    for name in ("close_decisions", "open_decisions", "close_links", "open_links"):
        tx.execute(f"restore.{name}", at)


def write_feed(tx: TenantTransaction, run_no: int, count: int) -> None:
    """Append to the change feed, and tell the memory tiers.

    Args:
        tx: The transaction.
        run_no: The run.
        count: Of changed entities (`Differences.count`).
    """
    if count:
        tx.execute("restore.add_changes", {"run_no": run_no, "first_seq": tenants.next_number(tx, "change_seq", count)})
    tx.execute("publish.add_outbox", {"outbox_seq": tenants.next_number(tx, "outbox_seq"), "object_id": str(run_no)})


def add_waiting(tx: TenantTransaction, change_id: UUID) -> None:
    """Let the next run look at what differs."""
    tx.execute("restore.add_waiting", {"change_id": change_id})


def drop_waiting(tx: TenantTransaction, change_id: UUID) -> None:
    """Take out what a run had let wait."""
    tx.execute("restore.drop_waiting", {"change_id": change_id})


def forget(tx: TenantTransaction) -> None:
    """Make room for a publish in the same transaction."""
    tx.execute("restore.drop_redirect_table")


def closure(tx: TenantTransaction, run_no: int, entities: Sequence[UUID]) -> Part:
    """Everybody who shared an entity with some, from a run until now, directly or through others: what can be restored by itself."""
    known: set[UUID] = set(entities)
    records: set[UUID] = set()
    frontier = known
    while frontier:
        found = tx.rows("restore.records_of", {"run_no": run_no, "entity_ids": list(frontier)})
        fresh = {row.record_id for row in found} - records
        records |= fresh
        beyond = {row.entity_id for row in tx.rows("restore.entities_of", {"run_no": run_no, "record_ids": list(fresh)})}
        beyond |= {row.entity_id for row in tx.rows("restore.led_to", {"run_no": run_no, "entity_ids": list(frontier)})}
        beyond |= {row.entity_id for row in tx.rows("restore.employees_of", {"run_no": run_no, "entity_ids": list(frontier)})}
        frontier = beyond - known
        known |= frontier
    return Part(records=sorted(records), entities=sorted(known))


def changes_of(tx: TenantTransaction, part: Part, *, since: int) -> list[FeedLine]:
    """What a run, and those after it, did to a part; the earliest first."""
    return [FeedLine(**row._asdict()) for row in tx.rows("restore.changes_of", {"since": since, "entity_ids": list(part.entities)})]


def feed_line(tx: TenantTransaction, change_seq: int) -> FeedLine | None:
    """One line of the change feed."""
    row = tx.row("restore.feed_line", {"change_seq": change_seq})
    return None if row is None else FeedLine(**row._asdict())


def feed_lines(
    tx: TenantTransaction,
    *,
    run_no: int | None = None,
    change: str | None = None,
    entity_type: EntityType | None = None,
    entity_id: UUID | None = None,
    kinds: Sequence[str] = ("created", "split", "changed", "merged", "retired"),
    most: int = 1_000_000,
) -> list[FeedLine]:
    """Lines of the change feed, the latest first; None is any."""
    asked = {"run_no": run_no, "change": change, "entity_type": entity_type, "entity_id": entity_id, "kinds": list(kinds), "most": most}
    return [FeedLine(**row._asdict()) for row in tx.rows("restore.feed_lines", asked)]


def members_at(tx: TenantTransaction, run_no: int, entity_id: UUID) -> list[UUID]:
    """The records of an entity after a run, ascending."""
    return [row.record_id for row in tx.rows("restore.members_at", {"run_no": run_no, "entity_id": entity_id})]


def entities_at(tx: TenantTransaction, run_no: int, entity_type: str, record_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The entity of each record after a run; of records that had none yet nothing."""
    asked = {"run_no": run_no, "entity_type": entity_type, "record_ids": list(record_ids)}
    return {row.record_id: row.entity_id for row in tx.rows("restore.entities_at", asked)}


def entities_held(tx: TenantTransaction, run_no: int, record_ids: Sequence[UUID]) -> list[UUID]:
    """The entities of records after a run and right before it."""
    return [row.entity_id for row in tx.rows("restore.entities_held", {"run_no": run_no, "record_ids": list(record_ids)})]


def matches_between(
    tx: TenantTransaction, entity_type: EntityType, one: Sequence[UUID], other: Sequence[UUID]
) -> Iterator[tuple[UUID, UUID]]:  # fmt: skip
    """Pairs across two groups of records that the present model takes for a match."""
    asked = {"entity_type": entity_type, "record_ids": list(one), "other_ids": list(other)}
    return ((row.left_id, row.right_id) for row in tx.rows("restore.matches_between", asked))


def decided_between(
    tx: TenantTransaction, entity_type: EntityType, verdict: Verdict, one: Sequence[UUID], other: Sequence[UUID]
) -> list[Decided]:  # fmt: skip
    """What holds about pairs with a record of each of two groups."""
    asked = {"entity_type": entity_type, "verdict": verdict, "record_ids": list(one), "other_ids": list(other)}
    return [Decided(**row._asdict()) for row in tx.rows("restore.decided_between", asked)]


def honoured_since(tx: TenantTransaction, decision_id: UUID) -> int | None:
    """The run since which a decision is honoured; None where it is not."""
    row = tx.row("restore.honoured_since", {"decision_id": decision_id})
    return None if row is None else int(row.opened_run_no)


def decisions_of_run(tx: TenantTransaction, run_no: int, context: str) -> list[UUID]:
    """Decisions of a context that a run was the first to honour."""
    return [row.decision_id for row in tx.rows("restore.decisions_of_run", {"run_no": run_no, "context": context})]
