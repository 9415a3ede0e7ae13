"""An increment: only what changed is resolved, and the outcome is that of a run over everything with the same models.

Under the publish lock, in one transaction. Records that came, changed or went are taken out of their blocks; whoever shares a block with
them before or after is looked up there; pairs with one of them are weighed anew, and so are those of others that a block let in or
shut out by growing or shrinking over its limit. Then everybody whom links, entities or decisions connect with a change is clustered
anew, and published as a part: no record beside these is read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.db import blocks as db_blocks
from pay_ready.db import resolution as db_resolution
from pay_ready.db.blocks import BlockRows, Ids, ids_of, uuid_list, uuids_of
from pay_ready.db.publish import PublishPlan, Touched
from pay_ready.db.resolution import PublishedState, Queue, Standing
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId
from pay_ready.model.progress import Progress, ProgressEvent
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, PairDecision, ResolutionConfig, TypeFigures
from pay_ready.pipeline.publish import Published, Resolved, Version, header_of, identities, plan_publish, report_of, write_version
from pay_ready.resolve.engine import Resolution, edges_of, id_bytes, knowledge_of, resolve
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.learning import Records
from pay_ready.resolve.linkage.model import ResolutionModel, growth_of
from pay_ready.resolve.linkage.moves import Bounds, Moved, Moves, bounds_of, found_moves, is_compared, members_of, moved
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resolve.staged import COMPANY_KINDS, PERSON_KINDS, in_id_order, record_id_bytes, staged_kinds

FAILPOINTS = ("increment.moved",)
_LARGEST_SHARE = 0.25  # of the records; when more have changed, reading all of them costs less


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """What an increment did."""

    published: Published
    resolutions: Mapping[EntityType, Resolution]  # of the touched part
    changed: int  # records that came, changed or went
    drift: tuple[str, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an increment starts from."""

    standing: Standing
    queue: Queue
    models: Mapping[EntityType, tuple[UUID, ResolutionModel]]
    decisions: Mapping[EntityType, Sequence[PairDecision]]


def is_small(queue: Queue, standing: Standing) -> bool:
    """Whether so few records changed that an increment costs less than a run over everything."""
    counts = [int(standing.report[name]["records"]) for name in ("people", "companies")]
    return len(queue.of("person")) + len(queue.of("company")) <= _LARGEST_SHARE * sum(counts)


def publish_changes(
    tx: TenantTransaction,
    database: Database,
    basis: Basis,
    config: ResolutionConfig,
    *,
    actor: str,
    run_id: RunId,
    progress: Progress,
    clock: Callable[[], float],
) -> Increment:
    """Resolve what waits in the queue and publish what differs, under the publish lock.

    Args:
        tx: The transaction that holds the lock.
        database: Where staged rows are read from.
        basis: The published version, what waits, the models in use.
        config: How people and companies are recognised; the models are of its settings.
        actor: Who runs it.
        run_id: The run in logs.
        progress: Told of each phase.
        clock: Seconds, for the report alone.
    """
    laps = _Laps(clock, progress)
    db_blocks.make_tables(tx)
    db_resolution.make_edge_table(tx)
    changed = {each: basis.queue.of(each) for each in ENTITY_TYPES}
    scope = {each: _Scope(tx=tx, database=database, entity_type=each, config=config, model=basis.models[each]) for each in ENTITY_TYPES}
    with db_blocks.by_index(tx):
        companies = _resolved(scope["company"], changed["company"], (), basis.decisions["company"])
        laps.lap("companies", len(changed["company"]))
        company_state = db_resolution.published_part(tx, {"company": companies.asked}, basis.standing.run_no)
        company_ids = identities(tx.tenant, "company", companies.resolved.resolution, company_state)
        before = company_state.entity_of("company")
        renamed = [record for record, entity in company_ids.entity_of.items() if before.get(record) != entity]
        employees = db_resolution.employees(tx, renamed) if renamed else set()
        people = _resolved(scope["person"], changed["person"], employees, basis.decisions["person"])
        laps.lap("people", len(changed["person"]))
        state = _together(company_state, db_resolution.published_part(tx, {"person": people.asked}, basis.standing.run_no))
        employers = _employers(tx, people.resolved.staged, company_ids.entity_of)
    resolved: Mapping[EntityType, Resolved] = {"company": companies.resolved, "person": people.resolved}
    plan = plan_publish(tx.tenant, resolved, config, state, employers)
    db_resolution.drop_queued(tx, basis.queue)
    parts: Mapping[EntityType, _Part] = {"company": companies, "person": people}
    figures = {each: _figures(each, parts[each], plan, state, basis.standing) for each in ENTITY_TYPES}
    models = {each: basis.models[each][0] for each in ENTITY_TYPES}
    published = write_version(
        tx,
        Version(
            plan=plan,
            state=state,
            digest=basis.standing.state_digest or b"",
            touched=Touched(
                interactions=uuid_list(basis.queue.of("interaction")),
                people=uuid_list(changed["person"]),
                companies=uuid_list(changed["company"]),
            ),
            figures=figures,
        ),
        header_of("resolve", actor, run_id, config, models),
        lambda interactions: report_of(resolved, figures, interactions, ()),
    )
    laps.lap("publish", sum(each.entities for each in figures.values()))
    drift = [
        f"{each}: {reason}"
        for each in ENTITY_TYPES
        for reason in growth_of(basis.models[each][1], records=figures[each].records, growth=config.refresh_growth) + parts[each].unknown
    ]
    return Increment(
        published=published,
        resolutions={each: parts[each].resolved.resolution for each in ENTITY_TYPES},
        changed=sum(map(len, changed.values())),
        drift=tuple(drift),
        seconds=laps.spans,
    )


class _Laps:
    def __init__(self, clock: Callable[[], float], progress: Progress) -> None:
        self._clock, self._last, self._progress = clock, clock(), progress
        self.spans: dict[str, float] = {}

    def lap(self, subject: str, done: int) -> None:
        now = self._clock()
        self.spans[subject] = now - self._last
        self._last = now
        self._progress(ProgressEvent(step="resolve", subject=subject, done=done, total=done))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Where the records of one type are, and what decides about them."""

    tx: TenantTransaction
    database: Database
    entity_type: EntityType
    config: ResolutionConfig
    model: tuple[UUID, ResolutionModel]

    @property
    def learnt(self) -> ResolutionModel:
        return self.model[1]

    @property
    def edges(self) -> Mapping[str, object]:
        """Parameters of the statements about edges."""
        return {"entity_type": self.entity_type, "model_id": self.model[0], "least": self.learnt.threshold_millibits}

    def staged(self, ids: Ids) -> pa.Table:
        """Staged records in the order of ids; those that are gone are not there."""
        return in_id_order(db_resolution.read_staged(self.database, self.tx.tenant, self.entity_type, uuids_of(ids)))

    def records(self, staged: pa.Table) -> Records:
        """What is compared of staged records."""
        counts = Counts(self.learnt.counts)
        return records_of(staged, staged_kinds(self.entity_type), self.entity_type, knowledge_of(self.config), counts)[0]

    def bounds(self) -> Bounds:
        """The bounds of every rule of the type: those of a record that has a value of every kind."""
        kinds = PERSON_KINDS if self.entity_type == "person" else COMPANY_KINDS
        full = {column: ["Anna Bell" if "name" in column else "anna@bell.example" if column == "email" else "1"] for column in kinds}
        return bounds_of(self.records(pa.table(full)).rules())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The touched records of one type, resolved."""

    resolved: Resolved
    asked: str  # these and those that are gone, as the text of a uuid[]
    compared: int  # pairs
    linked: int  # edges written
    unknown: tuple[str, ...]  # why the model does not fit the changed records


def _resolved(scope: _Scope, changed: Ids, seeds: Iterable[UUID], decisions: Sequence[PairDecision]) -> _Part:
    """Move the changed records, then cluster everybody whom they or the seeds touch."""
    staged = scope.staged(changed)
    records = scope.records(staged)
    edges = _move(scope, changed, staged, records)
    start = np.union1d(np.union1d(changed, edges.touched), ids_of(set(seeds)))
    reached, links = _reached(scope, start, decisions)
    part = scope.staged(reached)
    there = id_bytes(record_id_bytes(part))
    links = links[np.isin(links["left"], there) & np.isin(links["right"], there)]
    resolution = resolve(scope.entity_type, part, scope.config, decisions, model=scope.learnt, pairs=links)
    unknown = sorted(each.name for each in records.comparisons if scope.learnt.levels.get(each.name) != each.levels)
    return _Part(
        resolved=Resolved(staged=part, resolution=resolution),
        asked=uuid_list(np.union1d(reached, changed)),
        compared=edges.compared,
        linked=edges.written,
        unknown=(f"not known to it: {', '.join(unknown)}",) if unknown else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    touched: Ids  # records with a match that came or went
    compared: int
    written: int


def _move(scope: _Scope, changed: Ids, staged: pa.Table, records: Records) -> _Edges:
    """Take the changed records out of their old blocks and put them into their new ones, with the edges that follow."""
    tx = scope.tx
    new = members_of(records.rules(), id_bytes(record_id_bytes(staged)))
    old = db_blocks.members(tx, changed)
    db_blocks.drop_members(tx, old)
    place = moved(old, new, scope.bounds())
    moves = found_moves(place, BlockRows(tx))
    parted = _parted(scope, place, moves)
    partners = db_blocks.drop_edges_of(tx, scope.edges, changed)
    db_blocks.drop_pairs(tx, scope.edges, parted["left"], parted["right"])
    edges = _weighed(scope, moves)
    db_resolution.put_edges(tx, {scope.entity_type: (scope.model[0], sorted(scope.learnt.levels), edges)}, are_all=False)
    db_blocks.add_members(tx, scope.entity_type, changed, new)
    failpoint("increment.moved")
    matches = edges.filter(edges.column("is_match"))
    ends = [id_bytes(matches.column(side).combine_chunks()) for side in ("left_id", "right_id")]
    touched = np.unique(np.concatenate((partners, parted["left"], parted["right"], *ends)))
    return _Edges(touched=touched, compared=len(moves.gained), written=edges.num_rows)


def _parted(scope: _Scope, place: Moved, moves: Moves) -> NDArray[np.void]:
    """Pairs of others with an edge that share no block any more in which they would be compared."""
    left, right = moves.sides(moves.doubtful)
    among = np.unique(np.concatenate((left, right)))
    found = db_blocks.edges_among(scope.tx, scope.edges, moves.ids[among])
    codes = np.searchsorted(moves.ids, found["left"]) * max(len(moves.ids), 1) + np.searchsorted(moves.ids, found["right"])
    pairs = found[np.isin(codes, moves.doubtful)]
    held = db_blocks.members(scope.tx, np.union1d(pairs["left"], pairs["right"]))
    return pairs[~is_compared(pairs, held, place, scope.bounds(), BlockRows(scope.tx))]


def _weighed(scope: _Scope, moves: Moves) -> pa.Table:
    """The edges among the pairs that are worth comparing now."""
    left, right = moves.sides(moves.gained)
    staged = scope.staged(moves.ids[np.unique(np.concatenate((left, right)))])
    ids = id_bytes(record_id_bytes(staged))
    rows = np.searchsorted(ids, moves.ids)
    # A record that went since it was queued waits in the queue again.
    there = np.isin(moves.ids, ids)
    kept = there[left] & there[right]
    return edges_of(staged, scope.records(staged), (rows[left[kept]], rows[right[kept]]), scope.config, scope.learnt)


def _reached(scope: _Scope, start: Ids, decisions: Sequence[PairDecision]) -> tuple[Ids, NDArray[np.void]]:
    """Everybody whom matches, entities and decisions connect with some records, and the matches among them."""
    must = [each for each in decisions if each.verdict == "match"]
    ends = [np.array([getattr(each, side).bytes for each in must], dtype="S16") for side in ("left_id", "right_id")]
    reached = frontier = start
    links: list[NDArray[np.void]] = []
    while len(frontier):
        found = db_blocks.links_of(scope.tx, scope.edges, frontier)
        links.append(found)
        mates = db_blocks.mates_of(scope.tx, scope.entity_type, frontier)
        told = [other[np.isin(one, frontier)] for one, other in (ends, ends[::-1])]
        beyond = np.unique(np.concatenate((found["left"], found["right"], mates, *told)))
        frontier = beyond[~np.isin(beyond, reached)]
        reached = np.union1d(reached, frontier)
    return reached, np.unique(np.concatenate(links)) if links else np.empty(0, dtype=[("left", "S16"), ("right", "S16")])


def _together(first: PublishedState, second: PublishedState) -> PublishedState:
    """The parts of two types as one."""
    return replace(
        first,
        assignments={"company": first.assignments["company"], "person": second.assignments["person"]},
        versions={**first.versions, **second.versions},
        redirects={**first.redirects, **second.redirects},
        known={"company": first.known["company"], "person": second.known["person"]},
    )


def _employers(tx: TenantTransaction, people: pa.Table, resolved: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """The entities of the company records that people's records name, of those that are not resolved here."""
    named = {UUID(bytes=each) if isinstance(each, bytes) else each for each in people.column("company_record_id").to_pylist() if each}
    return db_resolution.entities_of(tx, "company", list(named - resolved.keys()))


def _figures(entity_type: EntityType, part: _Part, plan: PublishPlan, state: PublishedState, standing: Standing) -> TypeFigures:
    """What a run over everything would count, from what the version before counted and what changes."""
    said = standing.report["people" if entity_type == "person" else "companies"]
    rows = [(record, entity) for kind, record, entity, _ in plan.assignments if kind == entity_type]
    current = state.assignments[entity_type]
    records = sum(1 for record, entity in rows if entity and record not in current) - sum(1 for _, entity in rows if not entity)
    known = state.known[entity_type]
    new = [version for entity, version in plan.versions.items() if version and entity not in state.versions]
    opened = sum(1 for version in new if version.entity_type == entity_type)
    closed = sum(1 for entity, version in plan.versions.items() if version is None and entity in known)
    changes: dict[str, int] = {}
    for change in plan.changes:
        if change.entity_type == entity_type:
            changes[change.change] = changes.get(change.change, 0) + 1
    return TypeFigures(
        records=int(said["records"]) + records,
        candidate_pairs=part.compared,
        edges=part.linked,
        entities=int(said["entities"]) + opened - closed,
        predicted_precision=said["predicted_precision"],
        predicted_recall=said["predicted_recall"],
        threshold_bits=said["threshold_bits"],
        changes=changes,  # type: ignore[arg-type]
    )
