"""One record at a time: whom it would belong to, decided against the published version without writing anything.

The answer is that of a run with the record among the staged ones, under the models in use. Publishing is another matter: staged records
wait in the queue, and the next increment publishes them together.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.db import resolution as db_resolution
from pay_ready.db.blocks import BlockRows, few_bonds_of
from pay_ready.db.id_arrays import Ids, few_ids
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, UsageError
from pay_ready.model.ids import TenantId, new_id
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, PairDecision, ResolutionConfig
from pay_ready.pipeline.touched import Scope, all_bounds, parted
from pay_ready.resolve.engine import knowledge_of, resolve
from pay_ready.resolve.ids import identify
from pay_ready.resolve.linkage.grouping import Pair
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.moves import MEMBER, PAIR, Bounds, Moves, moved
from pay_ready.resolve.linkage.plain_companies import CompanyComparisons, PlainCompanies
from pay_ready.resolve.linkage.plain_compare import PersonComparisons
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_link import Comparer, Pairs, Reader, Weights, clustered
from pay_ready.resolve.linkage.plain_moves import IdPair, arrival
from pay_ready.resolve.linkage.plain_people import PlainPeople
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.staged import COMPANY_COLUMNS, PERSON_COLUMNS, in_id_order

_FEW_RECORDS = 40  # of so many each by itself costs less than columns of all, whoever is with whom
FIELDS: Mapping[EntityType, tuple[str, ...]] = {"person": PERSON_COLUMNS[1:], "company": COMPANY_COLUMNS[1:]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whom a record would belong to."""

    entity_type: EntityType
    entity_id: UUID | None  # None: an entity of its own, with a new id
    confidence: float  # match probability of its strongest link; 1 when it stays alone
    records: tuple[UUID, ...]  # those of the entity it would be in, itself left out
    merges: tuple[UUID, ...]  # entities that it would bring together with that one
    compared: int  # records it was compared with
    run_no: int  # the version it was decided against


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What decides, kept for the version that it belongs to."""

    run_no: int
    models: Mapping[EntityType, tuple[UUID, ResolutionModel]]
    bounds: Mapping[EntityType, Bounds]
    knowledge: Knowledge
    weights: Mapping[EntityType, Weights]


class Decider:
    """Decides about single records of one tenant. It keeps the models of the published version; make one and use it for many."""

    def __init__(self, database: Database, tenant: TenantId, config: ResolutionConfig) -> None:
        self._database, self._tenant, self._config = database, tenant, config
        self._known: _Known | None = None

    def resolve_one(self, entity_type: EntityType, values: Mapping[str, str | None], record_id: UUID | None = None) -> Decision:
        """Decide about one record that is not staged.

        Args:
            entity_type: What it is about.
            values: Its values by field (`FIELDS`), as staging writes them: addresses in lower case, numbers in E.164.
            record_id: The id that staging would give it; ties between records are broken by id.

        Raises:
            UsageError: A field that there is not.
            ConflictError: Nothing is published yet, or with other settings.
        """
        if unknown := sorted(values.keys() - set(FIELDS[entity_type])):
            raise UsageError("no such field", f"one of: {', '.join(FIELDS[entity_type])}", field=unknown[0], entity_type=entity_type)
        record = record_id or new_id()
        with self._database.tenant_transaction(self._tenant) as tx:
            asked = db_resolution.to_decide(tx)
            known = self._of_version(tx, asked.run_no)
            scope = Scope(
                tx=tx, database=self._database, entity_type=entity_type, config=self._config, model=known.models[entity_type],
                bounds=known.bounds[entity_type], run_no=known.run_no,
            )  # fmt: skip
            return _decided(scope, known, record, values, has_decisions=asked.has_decisions)

    def _of_version(self, tx: TenantTransaction, run_no: int) -> _Known:
        if self._known is not None and self._known.run_no == run_no:
            return self._known
        models = db_resolution.current_models(tx) if run_no else {}
        settings = self._config.settings_hash
        fitting = [each for each in ENTITY_TYPES if each in models and models[each][1].settings_hash == settings]
        if len(fitting) < len(ENTITY_TYPES):
            raise ConflictError("no version of these settings is published", "publish one: pay-ready resolve -t TENANT --refresh")
        bounds = {each: all_bounds(each, self._config, models[each][1]) for each in ENTITY_TYPES}
        weights = {each: Weights(each, models[each][1].learnt) for each in ENTITY_TYPES}
        knowledge = knowledge_of(self._config)
        self._known = _Known(run_no=run_no, models=models, bounds=bounds, knowledge=knowledge, weights=weights)
        return self._known


@dataclass(frozen=True, slots=True)
class _Clusters:
    """Who is together among the records that one decision read."""

    members: list[list[UUID]]  # by cluster, ascending
    confidence: float  # of the record that is decided


class _Few:
    """A record and those that it is compared with, one at a time: less work for the handful that most decisions read, than columns."""

    def __init__(self, scope: Scope, known: _Known, record: UUID, values: Mapping[str, str | None]) -> None:
        self._scope, self._record = scope, record
        self._reader, comparer = _plain(scope.entity_type, known.knowledge, PlainCounts(scope.learnt.counts))
        self._own = self._reader.record(values)
        self._rows: dict[bytes, Mapping[str, Any]] = {}
        self._pairs = Pairs(self._of, comparer, known.weights[scope.entity_type])

    def _of(self, record: bytes) -> Any:
        return self._own if record == self._record.bytes else self._reader.record(self._rows[record])

    def places(self) -> dict[int, int]:
        """By block that the record is in, its place."""
        return self._reader.places(self._own)

    def read(self, others: Set[bytes]) -> set[bytes]:
        """Read others that were not read yet; those that are there."""
        if new := others - self._rows.keys():
            self._rows |= db_resolution.read_few_compared(self._scope.tx, self._scope.entity_type, new)
        return {each for each in others if each in self._rows}

    def matching(self, others: Collection[bytes]) -> list[IdPair]:
        """Pairs of the record with those of others that it matches."""
        own, least = self._record.bytes, self._scope.learnt.threshold_millibits
        pairs = [(min(own, each), max(own, each)) for each in sorted(others)]
        return [pair for pair in pairs if self._pairs.of(*pair).total >= least]

    def clusters(self, others: Collection[bytes], links: Sequence[IdPair], decisions: Sequence[PairDecision]) -> _Clusters:
        """Cluster the record and others by pairs that match."""
        ids = sorted({self._record.bytes, *others})
        at = {record: position for position, record in enumerate(ids)}
        must, cannot = _decided_pairs(at, decisions)
        told = [(at[left], at[right]) for left, right in links]
        found = clustered(len(ids), told, lambda left, right: self._pairs.of(ids[left], ids[right]), must, cannot)
        members: dict[int, list[UUID]] = {}
        for record, label in zip(ids, found.labels, strict=True):
            members.setdefault(label, []).append(UUID(bytes=record))
        return _Clusters(list(members.values()), found.confidences[at[self._record.bytes]])


def _clusters_as_columns(
    scope: Scope,
    own: tuple[UUID, Mapping[str, str | None]],
    others: Collection[bytes],
    links: Sequence[IdPair],
    decisions: Sequence[PairDecision],
) -> _Clusters:
    """Cluster a record and others by pairs that match, as a run does."""
    row = _row(scope.entity_type, *own)
    table = in_id_order(pa.concat_tables([scope.compared(_array(others)), row]))
    found = resolve(scope.entity_type, table, scope.config, decisions, model=scope.learnt, pairs=_pair_array(links))
    return _Clusters(found.clusters, float(found.confidences[found.record_ids.index(own[0])]))


def _plain(entity_type: EntityType, knowledge: Knowledge, counts: PlainCounts) -> tuple[Reader[Any], Comparer[Any]]:
    """What reads records of a type one at a time, and what compares them."""
    if entity_type == "person":
        return PlainPeople(knowledge, counts), PersonComparisons(knowledge, counts)
    return PlainCompanies(knowledge, counts), CompanyComparisons(knowledge, counts)


def _row(entity_type: EntityType, record_id: UUID, values: Mapping[str, str | None]) -> pa.Table:
    columns = {field: pa.array([values.get(field)], pa.string()) for field in FIELDS[entity_type]}
    content_hash = pa.array([bytes(32)], pa.binary())
    return pa.table({"record_id": pa.array([record_id.bytes], pa.binary(16)), "content_hash": content_hash, **columns})


def _decided(
    scope: Scope, known: _Known, record: UUID, values: Mapping[str, str | None], *, has_decisions: bool
) -> Decision:  # fmt: skip
    few = _Few(scope, known, record, values)
    own, places = record.bytes, few.places()
    arrived = arrival(own, places, scope.bounds, BlockRows(scope.tx))
    partners = arrived.partners - {own}
    if not partners:
        return _alone(scope, 0)
    pairs = few.matching(few.read(partners))
    if not pairs:
        return _alone(scope, len(partners))
    reach = _reached(scope, {each for pair in pairs for each in pair} - {own}, has_decisions=has_decisions)
    lost = _parted(scope, own, places, {pair for pair in arrived.doubtful if reach.records.issuperset(pair)})
    # Who went and waits in the queue still has edges.
    there = few.read(reach.records - {own})
    links = sorted(pair for pair in (reach.links - lost).union(pairs) if there.issuperset({*pair} - {own}))
    if len(there) <= _FEW_RECORDS:
        found = few.clusters(there, links, reach.decisions)
    else:
        found = _clusters_as_columns(scope, (record, values), there, links, reach.decisions)
    return _told(scope, found, record, reach, len(partners))


def _parted(scope: Scope, own: bytes, places: Mapping[int, int], doubtful: Collection[IdPair]) -> set[IdPair]:
    """Pairs of others that a new record parts (`touched.parted`)."""
    if not doubtful:
        return set()
    new = np.array([(block, place, own) for block, place in sorted(places.items())], dtype=MEMBER)
    pairs = _pair_array(sorted(doubtful))
    ids = np.unique(np.concatenate((pairs["left"], pairs["right"])))
    codes = np.searchsorted(ids, pairs["left"]) * len(ids) + np.searchsorted(ids, pairs["right"])
    moves = Moves(ids=ids, gained=np.empty(0, dtype=np.int64), doubtful=np.unique(codes))
    return set(_pair_list(parted(scope, moved(np.empty(0, dtype=MEMBER), new, scope.bounds), moves)))


@dataclass(frozen=True, slots=True)
class _FewReach:
    """Everybody whom matches, entities and decisions connect with some records (`touched.Reach`)."""

    records: set[bytes]
    links: set[IdPair]
    entity_of: Mapping[bytes, bytes]  # by record that is published
    decisions: Sequence[PairDecision]  # with one of them


def _reached(scope: Scope, start: Collection[bytes], *, has_decisions: bool) -> _FewReach:
    """Everybody who is connected with some records."""
    decisions: dict[tuple[UUID, UUID], PairDecision] = {}
    records, frontier = set(start), set(start)
    links: set[IdPair] = set()
    entity_of: dict[bytes, bytes] = {}
    while frontier:
        found = few_bonds_of(scope.tx, scope.edges, frontier)
        looked_up = frontier.union(found.entity_of)
        links |= found.links
        entity_of |= found.entity_of
        told = db_resolution.decisions_of(scope.tx, scope.entity_type, looked_up) if has_decisions else []
        decisions |= {(each.left_id, each.right_id): each for each in told}
        records |= looked_up
        frontier = {each for pair in (*found.links, *_must_links(told)) for each in pair} - records
        records |= frontier
    return _FewReach(records, links, entity_of, list(decisions.values()))


def _must_links(decisions: Sequence[PairDecision]) -> list[IdPair]:
    return [(each.left_id.bytes, each.right_id.bytes) for each in decisions if each.verdict == "match"]


def _decided_pairs(at: Mapping[bytes, int], decisions: Sequence[PairDecision]) -> tuple[list[Pair], list[Pair]]:
    """Must-links and cannot-links of records by position, by pair."""
    rows = [(at.get(each.left_id.bytes), at.get(each.right_id.bytes), each.verdict) for each in decisions]
    known = sorted((left, right, verdict) for left, right, verdict in rows if left is not None and right is not None and left != right)
    must = [(left, right) for left, right, verdict in known if verdict == "match"]
    return must, [(left, right) for left, right, verdict in known if verdict == "no_match"]


def _array(records: Iterable[bytes]) -> Ids:
    return np.array(sorted(records), dtype="S16")


def _pair_array(pairs: Sequence[IdPair]) -> NDArray[np.void]:
    return np.array(pairs, dtype=PAIR)


def _pair_list(pairs: NDArray[np.void]) -> list[IdPair]:
    # Numpy leaves out zeros at the end.
    return [(left.ljust(16, b"\0"), right.ljust(16, b"\0")) for left, right in pairs.tolist()]


def _alone(scope: Scope, compared: int) -> Decision:
    return Decision(
        entity_type=scope.entity_type, entity_id=None, confidence=1.0, records=(), merges=(), compared=compared, run_no=scope.run_no
    )  # fmt: skip


def _told(scope: Scope, found: _Clusters, record: UUID, reach: _FewReach, compared: int) -> Decision:
    """Under which id the record's cluster would be published."""
    cluster = next(each for each in found.members if record in each)
    if len(cluster) == 1:
        return _alone(scope, compared)
    entity, merges = _identity(scope, found.members, cluster, record, reach)
    return Decision(
        entity_type=scope.entity_type,
        entity_id=entity,
        confidence=found.confidence,
        records=tuple(each for each in cluster if each != record),
        merges=merges,
        compared=compared,
        run_no=scope.run_no,
    )


def _identity(
    scope: Scope, members: Sequence[list[UUID]], cluster: list[UUID], own_id: UUID, reach: _FewReach
) -> tuple[UUID | None, tuple[UUID, ...]]:
    """The id that the record's cluster would have, None for a new one, and the entities that it would take in."""
    entity_of = {UUID(bytes=mate): UUID(bytes=entity) for mate, entity in reach.entity_of.items()}
    whole = {entity_of.get(each) for each in cluster if each != own_id}
    if len(whole) == 1 and (only := whole.pop()) and all(each in cluster for each, entity in entity_of.items() if entity == only):
        return only, ()
    among = {UUID(bytes=each) for each in reach.records} | {own_id}
    clusters = [each for each in members if each[0] in among]
    known = db_resolution.known_of(scope.tx, scope.entity_type, few_ids(reach.records), entity_of)
    found = identify(scope.tx.tenant, scope.entity_type, clusters, entity_of, known, {})
    entity = found.entity_of[own_id]
    others = {entity_of[record] for record in cluster if record in entity_of} - {entity}
    merges = tuple(sorted(each for each in others if each not in found.members))
    return None if entity in found.minted else entity, merges
