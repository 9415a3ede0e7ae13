"""One record at a time: whom it would belong to, decided against the published version without writing anything.

The answer is that of a run with the record among the staged ones, under the models in use. Publishing is another matter: staged records
wait in the queue, and the next increment publishes them together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pyarrow as pa

from pay_ready.db import resolution as db_resolution
from pay_ready.db.blocks import BlockRows, look_up_by_key
from pay_ready.db.id_arrays import Ids, uuids_of
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, UsageError
from pay_ready.model.ids import TenantId, new_id
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, PairDecision, ResolutionConfig
from pay_ready.pipeline.touched import Reach, Scope, all_bounds, matching_pairs, parted, reached, reached_within
from pay_ready.resolve.engine import Resolution, edges_of, id_bytes, resolve
from pay_ready.resolve.ids import identify
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.moves import MEMBER, Bounds, found_moves, members_of, moved
from pay_ready.resolve.staged import COMPANY_COLUMNS, PERSON_COLUMNS, in_id_order, record_id_bytes

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
        with self._database.tenant_transaction(self._tenant) as tx:
            look_up_by_key(tx)
            known = self._current(tx)
            decisions = db_resolution.decisions(tx)[entity_type]
            scope = Scope(
                tx=tx, database=self._database, entity_type=entity_type, config=self._config, model=known.models[entity_type],
                bounds=known.bounds[entity_type], run_no=known.run_no,
            )  # fmt: skip
            return _decided(scope, _row(entity_type, record_id or new_id(), values), decisions)

    def _current(self, tx: TenantTransaction) -> _Known:
        standing = db_resolution.standing(tx)
        if self._known is not None and self._known.run_no == standing.run_no:
            return self._known
        models = db_resolution.current_models(tx)
        settings = self._config.settings_hash
        fitting = [each for each in ENTITY_TYPES if each in models and models[each][1].settings_hash == settings]
        if standing.state_digest is None or len(fitting) < len(ENTITY_TYPES):
            raise ConflictError("no version of these settings is published", "publish one: pay-ready resolve -t TENANT --refresh")
        bounds = {each: all_bounds(each, self._config, models[each][1]) for each in ENTITY_TYPES}
        self._known = _Known(run_no=standing.run_no, models=models, bounds=bounds)
        return self._known


def _row(entity_type: EntityType, record_id: UUID, values: Mapping[str, str | None]) -> pa.Table:
    columns = {field: pa.array([values.get(field)], pa.string()) for field in FIELDS[entity_type]}
    content_hash = pa.array([bytes(32)], pa.binary())
    return pa.table({"record_id": pa.array([record_id.bytes], pa.binary(16)), "content_hash": content_hash, **columns})


def _decided(scope: Scope, row: pa.Table, decisions: list[PairDecision]) -> Decision:
    own = id_bytes(record_id_bytes(row))
    new = members_of(scope.entity_type, scope.records(row).rules(), own)
    place = moved(np.empty(0, dtype=MEMBER), new, scope.bounds)
    moves = found_moves(place, BlockRows(scope.tx))
    left, right = moves.sides(moves.gained)
    partners = np.setdiff1d(moves.ids[np.unique(np.concatenate((left, right)))], own)
    if not len(partners):
        return _alone(scope, 0)
    lost = parted(scope, place, moves)
    # Whoever is connected with a partner is read with it: most partners match, and a second look costs more than a few records.
    whole = reached(scope, np.unique(np.concatenate((partners, lost["left"], lost["right"]))), decisions)
    table = in_id_order(pa.concat_tables([scope.compared(np.setdiff1d(whole.records, own)), row]))
    ids, records = id_bytes(record_id_bytes(table)), scope.records(table)
    there = np.isin(moves.ids, ids)
    held = there[left] & there[right]
    at = np.searchsorted(ids, moves.ids)
    pairs = matching_pairs(edges_of(table, records, (at[left[held]], at[right[held]]), scope.config, scope.learnt))
    start = np.setdiff1d(np.unique(np.concatenate((pairs["left"], pairs["right"], lost["left"], lost["right"]))), own)
    if not len(start):
        return _alone(scope, len(partners))
    reach = reached_within(whole, start, decisions)
    links = np.union1d(reach.links[~np.isin(reach.links, lost)], pairs)
    # Who went and waits in the queue still has edges.
    links = links[np.isin(links["left"], ids) & np.isin(links["right"], ids)]
    resolution = resolve(scope.entity_type, table, scope.config, decisions, model=scope.learnt, pairs=links, known=records)
    return _told(scope, resolution, own, reach, len(partners))


def _alone(scope: Scope, compared: int) -> Decision:
    return Decision(
        entity_type=scope.entity_type, entity_id=None, confidence=1.0, records=(), merges=(), compared=compared, run_no=scope.run_no
    )  # fmt: skip


def _told(scope: Scope, resolution: Resolution, own: Ids, reach: Reach, compared: int) -> Decision:
    """Under which id the record's cluster would be published."""
    row = int(np.searchsorted(id_bytes(resolution.ids), own)[0])
    own_id = uuids_of(own)[0]
    cluster = next(each for each in resolution.clusters if own_id in each)
    if len(cluster) == 1:
        return _alone(scope, compared)
    entity, merges = _identity(scope, resolution, cluster, own_id, reach)
    return Decision(
        entity_type=scope.entity_type,
        entity_id=entity,
        confidence=float(resolution.confidences[row]),
        records=tuple(each for each in cluster if each != own_id),
        merges=merges,
        compared=compared,
        run_no=scope.run_no,
    )


def _identity(
    scope: Scope, resolution: Resolution, cluster: list[UUID], own_id: UUID, reach: Reach
) -> tuple[UUID | None, tuple[UUID, ...]]:
    """The id that the record's cluster would have, None for a new one, and the entities that it would take in."""
    entity_of = dict(zip(uuids_of(reach.mates["record"]), uuids_of(reach.mates["entity"]), strict=True))
    whole = {entity_of.get(each) for each in cluster if each != own_id}
    if len(whole) == 1 and (only := whole.pop()) and all(each in cluster for each, entity in entity_of.items() if entity == only):
        return only, ()
    state = db_resolution.published_part(scope.tx, scope.entity_type, reach.records, reach.mates, scope.run_no)
    among = set(uuids_of(reach.records)) | {own_id}
    clusters = [each for each in resolution.clusters if each[0] in among]
    current = state.entity_of(scope.entity_type)
    found = identify(scope.tx.tenant, scope.entity_type, clusters, current, state.known[scope.entity_type], state.redirects)
    entity = found.entity_of[own_id]
    others = {current[record] for record in cluster if record in current} - {entity}
    merges = tuple(sorted(each for each in others if each not in found.members))
    return None if entity in found.minted else entity, merges
