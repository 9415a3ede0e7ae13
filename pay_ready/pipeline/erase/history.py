"""The person taken out of every published version: no row of any run has a trace."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from pay_ready.db import erasure
from pay_ready.db import resolution as db_resolution
from pay_ready.db.erasure import StateLine
from pay_ready.model.resolution import EntityChange
from pay_ready.pipeline.erase.work import TouchedEntity, Work
from pay_ready.resolve.changes import HeldDecision, assignment_line, decision_line, version_line
from pay_ready.resolve.golden import EntityVersion, entity_version, person_sources, version_of
from pay_ready.resolve.survivorship import SourceRecord, Survivor


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A record of the person's was in an entity from one run to another."""

    entity_id: UUID
    opened_run_no: int
    closed_run_no: int  # sys.maxsize while it is


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the erasure did to published versions."""

    entities: tuple[TouchedEntity, ...]
    remaining: tuple[UUID, ...]  # records that were published with the person's
    changes: tuple[EntityChange, ...]
    taken: tuple[StateLine, ...]
    added: tuple[StateLine, ...]
    memberships: tuple[Membership, ...]  # that the database knew


def take_history(work: Work, before: Mapping[UUID, Any]) -> History:
    """Take the records out of every version: assignments, decisions, edges, blocks, and golden records with their history."""
    tx, asked = work.tx, work.records
    taken: list[StateLine] = []
    added: list[StateLine] = []
    decisions = tx.rows("erasure.decisions_about", asked)
    told = {row.decision_id: row for row in decisions}
    ids: dict[str, object] = {"decision_ids": list(told)}
    for row in tx.rows("erasure.drop_run_decisions", ids):
        work.count("run_decisions", 1)
        each = told[row.decision_id]
        held = HeldDecision(
            decision_id=each.decision_id, entity_type=each.entity_type, left_id=each.left_id, right_id=each.right_id, verdict=each.verdict
        )
        taken.append(_line(row, decision_line(held)))
    work.execute("review_leases", "drop_leases", asked)
    work.execute("decisions", "drop_decisions", ids)
    work.execute("edges", "drop_edges", asked)
    work.execute("record_blocks", "drop_blocks", asked)
    work.execute("block_members", "drop_block_members", asked)
    gone = tx.rows("erasure.drop_assignments", asked)
    work.count("assignments", len(gone))
    taken += [_line(row, assignment_line("person", row.record_id, row.entity_id, round(row.confidence, 4))) for row in gone]
    touched = sorted({row.entity_id for row in gone})
    left = tx.rows("erasure.assignments_of", {"entity_ids": touched})
    sources_of = _survivors_of(work, {row.record_id for row in left})
    for version in tx.rows("erasure.versions", {"entity_ids": touched}):
        if not any(row.entity_id == version.entity_id and _overlaps(row, version) for row in gone):
            continue
        members = [row.record_id for row in left if row.entity_id == version.entity_id and _holds_at(row, version.opened_run_no)]
        remade = _remade(work, version, [sources_of[each] for each in members if each in sources_of], len(members))
        taken.append(_line(version, version_line(version.entity_id, bytes(version.content_hash))))
        place = {"entity_id": version.entity_id, "opened_run_no": version.opened_run_no}
        work.execute("entity_versions" if remade is None else "entity_versions made anew", "drop_version", place)
        if remade is None:
            work.tx.execute("erasure.add_redirect", {**place, "closed_run_no": version.closed_run_no})
        else:
            erasure.write_version(tx, remade, version.opened_run_no, version.closed_run_no)
            added.append(_line(version, version_line(version.entity_id, remade.content_hash)))
    after = {row.entity_id: row for row in tx.rows("erasure.versions", {"entity_ids": touched})}
    work.execute("interaction_entities", "drop_links_of_entities", {"entity_ids": [each for each in touched if each not in after]})
    now = {row.entity_id: bytes(row.content_hash) for row in _live(work, touched)}
    return History(
        entities=tuple(
            TouchedEntity(
                entity_id=entity, records=row.record_count,
                remaining=sum(each.entity_id == entity and each.closed_run_no is None for each in left),
            )
            for entity, row in before.items()
            if entity in work.held.entities
        ),
        remaining=tuple(sorted({row.record_id for row in left if row.closed_run_no is None})),
        changes=tuple(_changes(before, now)),
        taken=tuple(taken),
        added=tuple(added),
        memberships=tuple(
            Membership(entity_id=row.entity_id, opened_run_no=row.opened_run_no, closed_run_no=row.closed_run_no or sys.maxsize)
            for row in gone
        ),
    )  # fmt: skip


def _live(work: Work, entities: Sequence[UUID]) -> Iterator[Any]:
    return (row for row in work.tx.rows("erasure.versions", {"entity_ids": entities}) if row.closed_run_no is None)


def _line(row: Any, text: str) -> StateLine:
    number = int.from_bytes(sha256(text.encode()).digest())
    return StateLine(opened=row.opened_run_no, closed=row.closed_run_no, number=number)


def _overlaps(one: Any, other: Any) -> bool:
    """Whether two rows of history hold in a common run."""
    begins_before_end = one.closed_run_no is None or other.opened_run_no < one.closed_run_no
    return begins_before_end and (other.closed_run_no is None or one.opened_run_no < other.closed_run_no)


def _holds_at(row: Any, run_no: int) -> bool:
    return bool(row.opened_run_no <= run_no and (row.closed_run_no is None or run_no < row.closed_run_no))


def _survivors_of(work: Work, records: set[UUID]) -> dict[UUID, SourceRecord]:
    """What the records that stay say now, as survivorship reads it."""
    import pyarrow as pa

    rows = work.tx.rows("resolution.staged_people_named", {"record_ids": list(records)}) if records else []
    if not rows:
        return {}
    columns = {name: [getattr(row, name) for row in rows] for name in rows[0]._fields}
    columns["record_id"] = pa.array([each.bytes for each in columns["record_id"]], pa.binary(16))
    columns["company_record_id"] = pa.array([each.bytes if each else None for each in columns["company_record_id"]], pa.binary(16))
    named = [row.company_record_id for row in rows if row.company_record_id]
    return person_sources(pa.table(columns), work.eraser.config, db_resolution.entities_of(work.tx, "company", named))


def _remade(work: Work, version: Any, staying: Sequence[SourceRecord], members: int) -> EntityVersion | None:
    """A golden record of the records that stay; None when none does.

    The current one is made as a run makes it. Of a former one nobody knows which record said what, so it keeps the values that the
    records which stay say now, and those that were known to come from one of them.
    """
    if not members:
        return None
    if version.closed_run_no is None and len(staying) == members:
        return entity_version(version.entity_id, "person", list(staying), work.eraser.config)
    by_id = {each.record_id: each for each in staying}
    found: dict[str, Survivor] = {}
    for name, said in version.golden["fields"].items():
        origin = UUID(version.provenance["fields"][name])
        known = {each.values[name] for each in staying if each.values.get(name)}
        known |= {said["value"]} if origin in by_id else set()
        values = tuple(value for value in said["values"] if value in known)
        if not values:
            continue
        value = said["value"] if said["value"] in values else values[0]
        speakers = sorted(each.record_id for each in staying if each.values.get(name) == value)
        found[name] = Survivor(value, values, origin if origin in by_id else speakers[0])
    return version_of(version.entity_id, "person", found, members)


def _changes(before: Mapping[UUID, Any], now: Mapping[UUID, bytes]) -> Iterator[EntityChange]:
    """What the feed says of it: hashes alone."""
    for entity, row in sorted(before.items()):
        was = bytes(row.content_hash)
        if entity not in now:
            yield EntityChange(change="retired", entity_type="person", entity_id=entity, before_hash=was)
        elif now[entity] != was:
            yield EntityChange(change="changed", entity_type="person", entity_id=entity, before_hash=was, after_hash=now[entity])
