"""Whom a change touches: pairs that come and go as records move between blocks, and everybody whom links, entities and decisions reach.

No record beside these is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.db import blocks as db_blocks
from pay_ready.db import resolution as db_resolution
from pay_ready.db.blocks import MATE, BlockRows
from pay_ready.db.id_arrays import Ids, ids_of, uuid_list
from pay_ready.db.resolution import PublishedState
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.failpoints import failpoint
from pay_ready.model.resolution import EntityType, PairDecision, ResolutionConfig
from pay_ready.pipeline.publish import Resolved
from pay_ready.resolve.engine import edges_of, id_bytes, knowledge_of, resolve
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.learning import Records
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.moves import PAIR, Bounds, Moved, Moves, bounds_of, found_moves, is_compared, members_of, moved
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resolve.staged import COMPANY_KINDS, PERSON_KINDS, in_id_order, record_id_bytes, staged_kinds
from pay_ready.threads import in_threads

FAILPOINTS = ("touched.moved",)
NO_PAIRS: NDArray[np.void] = np.empty(0, dtype=PAIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where the records of one type are, and what decides about them."""

    tx: TenantTransaction
    database: Database
    entity_type: EntityType
    config: ResolutionConfig
    model: tuple[UUID, ResolutionModel]
    bounds: Bounds  # `all_bounds`
    run_no: int  # the published version
    only_published: bool = False  # who is not assigned is left out

    @property
    def learnt(self) -> ResolutionModel:
        return self.model[1]

    @property
    def edges(self) -> Mapping[str, object]:
        """Parameters of the statements about edges."""
        return {"entity_type": self.entity_type, "model_id": self.model[0], "least": self.learnt.threshold_millibits}

    def staged(self, ids: Ids) -> pa.Table:
        """Staged records in the order of ids; those that are gone are not there."""
        return in_id_order(db_resolution.read_staged(self.database, self.tx.tenant, self.entity_type, uuid_list(ids)))

    def compared(self, ids: Ids) -> pa.Table:
        """What staged records are compared by, in the order of ids."""
        return in_id_order(db_resolution.read_compared(self.database, self.tx, self.entity_type, ids))

    def records(self, staged: pa.Table) -> Records:
        """What is compared of staged records."""
        counts = Counts(self.learnt.counts)
        return records_of(staged, staged_kinds(self.entity_type), self.entity_type, knowledge_of(self.config), counts)[0]


def all_bounds(entity_type: EntityType, config: ResolutionConfig, model: ResolutionModel) -> Bounds:
    """The bounds of every rule of a type: those of a record that has a value of every kind."""
    kinds = PERSON_KINDS if entity_type == "person" else COMPANY_KINDS
    full = {column: ["Anna Bell" if "name" in column else "anna@bell.example" if column == "email" else "1"] for column in kinds}
    records, _ = records_of(pa.table(full), staged_kinds(entity_type), entity_type, knowledge_of(config), Counts(model.counts))
    return bounds_of(entity_type, records.rules())


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The touched records of one type, resolved."""

    resolved: Resolved
    state: PublishedState  # of the touched records and those that are gone
    edges: pa.Table  # of what is compared anew
    compared: int  # pairs
    linked: int  # edges written
    unknown: tuple[str, ...]  # why the model does not fit the changed records


def resolved_part(scope: Scope, changed: Ids, seeds: Iterable[UUID], decisions: Sequence[PairDecision]) -> Part:
    """Put the changed records into their new blocks, then cluster everybody whom they or the seeds touch.

    What is new of edges is not written yet: the caller does (`write_edges`).
    """
    staged = scope.compared(changed)
    records = scope.records(staged)
    edges = _move(scope, changed, staged, records)
    start = np.union1d(np.union1d(changed, edges.touched), ids_of(set(seeds)))
    reach = reached(scope, start, decisions, edges.matches)
    touched = reach.records
    if scope.only_published:
        touched = touched[np.isin(touched, reach.mates["record"])]
    resolved: list[Resolved] = []
    states: list[PublishedState] = []

    def resolve_reached() -> None:
        part = scope.staged(touched)
        there = id_bytes(record_id_bytes(part))
        links = reach.links[np.isin(reach.links["left"], there) & np.isin(reach.links["right"], there)]
        resolution = resolve(scope.entity_type, part, scope.config, decisions, model=scope.learnt, pairs=links)
        resolved.append(Resolved(staged=part, resolution=resolution))

    def read_state() -> None:
        asked = np.union1d(touched, changed)
        states.append(db_resolution.published_part(scope.tx, scope.entity_type, asked, reach.mates, scope.run_no))

    # The server looks up what is published while clusters are found here.
    in_threads([resolve_reached, read_state], name="resolve")
    unknown = sorted(each.name for each in records.comparisons if scope.learnt.levels.get(each.name) != each.levels)
    return Part(
        resolved=resolved[0],
        state=states[0],
        edges=edges.weighed,
        compared=edges.compared,
        linked=edges.weighed.num_rows,
        unknown=(f"not known to it: {', '.join(unknown)}",) if unknown else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    weighed: pa.Table
    matches: NDArray[np.void]  # pairs among them
    touched: Ids  # records with a match that came or went
    compared: int


def _move(scope: Scope, changed: Ids, staged: pa.Table, records: Records) -> _Edges:
    """Move the changed records from their old blocks into their new ones, and find the edges that follow."""
    tx = scope.tx
    new = members_of(scope.entity_type, records.rules(), id_bytes(record_id_bytes(staged)))
    old = db_blocks.members(tx, changed)
    db_blocks.drop_members(tx, old)
    place = moved(old, new, scope.bounds)
    moves = found_moves(place, BlockRows(tx))
    lost = parted(scope, place, moves)
    partners = db_blocks.drop_edges_of(tx, scope.edges, changed)
    db_blocks.drop_pairs(tx, scope.edges, lost["left"], lost["right"])
    weighed: list[pa.Table] = []
    # The server writes blocks while pairs are weighed here; few records are read by the same connection, in its turn.
    in_threads(
        [lambda: db_blocks.add_members(tx, scope.entity_type, changed, new), lambda: weighed.append(_weighed(scope, moves))], name="move"
    )
    failpoint("touched.moved")
    matches = matching_pairs(weighed[0])
    touched = np.unique(np.concatenate((partners, lost["left"], lost["right"], matches["left"], matches["right"])))
    return _Edges(weighed=weighed[0], matches=matches, touched=touched, compared=len(moves.gained))


def write_edges(scope: Scope, part: Part) -> None:
    """Keep what was compared anew."""
    model_id, learnt = scope.model
    db_resolution.put_edges(scope.tx, scope.entity_type, model_id, sorted(learnt.levels), part.edges, are_all=False)


def matching_pairs(edges: pa.Table) -> NDArray[np.void]:
    """The pairs (`left`, `right`) of edges that match."""
    matches = edges.filter(edges.column("is_match"))
    pairs = np.empty(matches.num_rows, dtype=PAIR)
    for side in ("left", "right"):
        pairs[side] = id_bytes(matches.column(f"{side}_id").combine_chunks())
    return pairs


def parted(scope: Scope, place: Moved, moves: Moves) -> NDArray[np.void]:
    """Pairs of others with an edge that share no block any more in which they would be compared."""
    if not len(moves.doubtful):
        return NO_PAIRS
    left, right = moves.sides(moves.doubtful)
    among = np.unique(np.concatenate((left, right)))
    found = db_blocks.edges_among(scope.tx, scope.edges, moves.ids[among])
    codes = np.searchsorted(moves.ids, found["left"]) * max(len(moves.ids), 1) + np.searchsorted(moves.ids, found["right"])
    pairs = found[np.isin(codes, moves.doubtful)]
    held = db_blocks.members(scope.tx, np.union1d(pairs["left"], pairs["right"]))
    return pairs[~is_compared(pairs, held, place, scope.bounds, BlockRows(scope.tx))]


def _weighed(scope: Scope, moves: Moves) -> pa.Table:
    """The edges among the pairs that are worth comparing now."""
    left, right = moves.sides(moves.gained)
    staged = scope.compared(moves.ids[np.unique(np.concatenate((left, right)))])
    ids = id_bytes(record_id_bytes(staged))
    rows = np.searchsorted(ids, moves.ids)
    # A record that went since it was queued waits in the queue again.
    there = np.isin(moves.ids, ids)
    kept = there[left] & there[right]
    return edges_of(staged, scope.records(staged), (rows[left[kept]], rows[right[kept]]), scope.config, scope.learnt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Everybody whom matches, entities and decisions connect with some records."""

    records: Ids
    links: NDArray[np.void]  # the matches among them
    mates: NDArray[np.void]  # what is published of them (`MATE`)


def reached(scope: Scope, start: Ids, decisions: Sequence[PairDecision], unwritten: NDArray[np.void] = NO_PAIRS) -> Reach:
    """Everybody who is connected with some records; matches that are not written yet are told."""
    must = [each for each in decisions if each.verdict == "match"]
    ends = [np.array([getattr(each, side).bytes for each in must], dtype="S16") for side in ("left_id", "right_id")]
    everybody = frontier = start
    links, mates = [NO_PAIRS], [np.empty(0, dtype=MATE)]
    while len(frontier):
        found, together = db_blocks.bonds_of(scope.tx, scope.edges, frontier)
        looked_up = np.union1d(frontier, together["record"])
        met = [found["left"], found["right"]]
        links.append(found)
        mates.append(together)
        if len(unwritten):
            new = unwritten[np.isin(unwritten["left"], looked_up) | np.isin(unwritten["right"], looked_up)]
            met += [new["left"], new["right"]]
            links.append(new)
        if must:
            met += [other[np.isin(one, looked_up)] for one, other in (ends, ends[::-1])]
        everybody = np.union1d(everybody, looked_up)
        frontier = np.setdiff1d(np.concatenate(met), everybody)
        everybody = np.union1d(everybody, frontier)
    return Reach(records=everybody, links=np.unique(np.concatenate(links)), mates=np.concatenate(mates))
