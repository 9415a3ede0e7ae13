"""Rows of resolution as they stand: what is staged, what was decided, what is published, and what the models said of pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from pay_ready.db.id_arrays import Ids, few_ids, uuid_list, uuids_of
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import OnHoldError
from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import EntityType, KnownEntity, ModelParameters, PairDecision
from pay_ready.resolve.changes import HeldDecision
from pay_ready.resolve.linkage.counts import CountTable
from pay_ready.resolve.linkage.model import ResolutionModel, model_from, parameters_of
from pay_ready.resolve.staged import COMPANY_COLUMNS, PERSON_COLUMNS, record_id_bytes

_MODEL_VERSION = 2
_FIRST_ID = UUID(int=0)
_FEW_RECORDS = 500  # a connection of its own costs more than so many rows
_MOMENT = pa.timestamp("us", "UTC")
_FURTHER: Mapping[EntityType, tuple[str, ...]] = {  # columns of staged records that nothing is compared by
    "person": ("country", "company_record_id", "source_updated_at", "source_name", "source_kind"),
    "company": ("country", "industry", "source_updated_at", "source_name", "source_kind"),
}
_COMPARED: Mapping[EntityType, str] = {
    "person": "resolution.compared_people_named", "company": "resolution.compared_companies_named",
}  # fmt: skip
FEW_STAGED = 200  # records, for `read_few_staged`
_KINDS = ("company", "person", "interaction")
_CHANGE = np.dtype([("object_id", "S16"), ("change_id", "S16"), ("kind", "<i8")])
_EDGES_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedState:
    """What readers see now."""

    run_no: int  # 0 before the first run
    assignments: Mapping[EntityType, Mapping[UUID, tuple[UUID, float]]]  # record -> entity, confidence
    versions: Mapping[UUID, bytes]  # live entity -> content hash
    redirects: Mapping[UUID, UUID | None]  # retired entity -> where it led on; that may be retired by now, too
    known: Mapping[EntityType, Mapping[UUID, KnownEntity]]

    def entity_of(self, entity_type: EntityType) -> dict[UUID, UUID]:
        """The published entity of every record of the type."""
        return {record: entity for record, (entity, _) in self.assignments[entity_type].items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The published version, and how often blocks and edges were written: more often than versions, as readers do not see them."""

    run_no: int = 0  # 0 before the first run
    resolution_no: int = 0
    state_digest: bytes | None = None  # None where blocks and edges were never written for it
    edges_fit: bool = True  # whether the edges kept are those of its models
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A tenant's resolution rests."""

    run_no: int  # the rollback
    actor: str
    reason: str | None
    held_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What changed since it was resolved."""

    changes: NDArray[np.void] = field(default_factory=lambda: np.empty(0, dtype=_CHANGE))

    def of(self, kind: EntityType | Literal["interaction"]) -> NDArray[np.bytes_]:
        """The records or interactions of a kind, as 16 bytes each, ascending, each once."""
        return np.unique(self.changes["object_id"][self.changes["kind"] == _KINDS.index(kind)])


def standing(tx: TenantTransaction) -> Standing:
    """The published version."""
    row = tx.row("resolution.standing")
    if row is None:
        return Standing(resolution_no=int(tx.value("resolution.resolution_no")))
    digest = None if row.state_digest is None else bytes(row.state_digest)
    return Standing(
        run_no=row.run_no, resolution_no=row.resolution_no, state_digest=digest, edges_fit=row.edges_fit, report=row.report
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToDecide:
    """What a decision about one record goes by."""

    run_no: int  # the published version; 0 where none is resolved
    has_decisions: bool  # about pairs of the tenant's


def to_decide(tx: TenantTransaction) -> ToDecide:
    """The published version. Until the transaction ends, statements look up by key, as `blocks.look_up_by_key` has them do."""
    (row,) = tx.rows("resolution.to_decide")
    return ToDecide(row.run_no if row.is_resolved else 0, row.has_decisions)


def queued(tx: TenantTransaction) -> Queue:
    """What waits."""
    return Queue(changes=tx.copy_out("resolution.queued", {}, _CHANGE))


def drop_queued(tx: TenantTransaction, queue: Queue) -> None:
    """Forget what is done. What came meanwhile is another change, and stays."""
    if len(queue.changes):
        tx.execute("resolution.make_done_table")
        tx.copy_numbers("publish_done", queue.changes[["object_id", "change_id"]])
        tx.execute("resolution.analyze_done_table")
        tx.execute("resolution.drop_queued")


def read_staged(database: Database, tenant: TenantId, entity_type: EntityType, record_ids: str | None = None) -> pa.Table:
    """The staged records of a type, all of them or those named (the text of a uuid[]), as Arrow (sql/queries/resolution.sql)."""
    name = "resolution.staged_people" if entity_type == "person" else "resolution.staged_companies"
    if record_ids is None:
        return database.tenant_arrow(tenant, name)
    return database.tenant_arrow(tenant, f"{name}_named", {"record_ids": record_ids})


def read_few_staged(tx: TenantTransaction, entity_type: EntityType, record_ids: str) -> pa.Table:
    """`read_staged` of few records by the open transaction: a connection of its own takes longer than these."""
    name = "resolution.staged_people_named" if entity_type == "person" else "resolution.staged_companies_named"
    rows = tx.rows(name, {"record_ids": record_ids})
    types = {"record_id": pa.binary(16), "company_record_id": pa.binary(16), "content_hash": pa.binary(), "source_updated_at": _MOMENT}
    columns = (*(PERSON_COLUMNS if entity_type == "person" else COMPANY_COLUMNS), "content_hash", *_FURTHER[entity_type])
    values = {column: [_arrow_value(getattr(row, column)) for row in rows] for column in columns}
    return pa.table({column: pa.array(values[column], types.get(column, pa.string())) for column in columns})


def _arrow_value(value: object) -> object:
    return value.bytes if isinstance(value, UUID) else value


def read_compared(database: Database, tx: TenantTransaction, entity_type: EntityType, record_ids: Ids) -> pa.Table:
    """What staged records are compared by, without what only golden records need; few of them come by the open transaction."""
    name, params = _COMPARED[entity_type], {"record_ids": uuid_list(record_ids)}
    texts = [column for column in (PERSON_COLUMNS if entity_type == "person" else COMPANY_COLUMNS) if column != "record_id"]
    if len(record_ids) > _FEW_RECORDS:
        table = database.tenant_arrow(tx.tenant, name, params)
        ids, hashes = record_id_bytes(table), table.column("content_hash").cast(pa.binary())
        return pa.table({"record_id": ids, "content_hash": hashes, **{column: table.column(column).cast(pa.string()) for column in texts}})
    rows = tx.rows(name, params)
    found = {column: pa.array([getattr(row, column) for row in rows], pa.string()) for column in texts}
    ids = pa.array([row.record_id.bytes for row in rows], pa.binary(16))
    return pa.table({"record_id": ids, "content_hash": pa.array([row.content_hash for row in rows], pa.binary()), **found})


def read_few_compared(tx: TenantTransaction, entity_type: EntityType, record_ids: Iterable[bytes]) -> dict[bytes, Mapping[str, Any]]:
    """By id what a handful of records are compared by, each by itself (`staged.PERSON_COLUMNS`, `staged.COMPANY_COLUMNS`)."""
    rows = tx.rows(_COMPARED[entity_type], {"record_ids": few_ids(record_ids)})
    return {row.record_id.bytes: row._asdict() for row in rows}


def decisions(tx: TenantTransaction) -> dict[EntityType, list[PairDecision]]:
    """What holds of the pairs that somebody decided, by entity type."""
    found: dict[EntityType, list[PairDecision]] = {"company": [], "person": []}
    for row in tx.rows("resolution.decisions"):
        found[row.entity_type].append(
            PairDecision(left_id=row.left_id, right_id=row.right_id, verdict=row.verdict, decision_id=row.decision_id)
        )
    return found


def decisions_of(tx: TenantTransaction, entity_type: EntityType, record_ids: Iterable[bytes]) -> list[PairDecision]:
    """What holds of the pairs that somebody decided, of those with one of a handful of records."""
    rows = tx.rows("resolution.decisions_of", {"entity_type": entity_type, "record_ids": few_ids(record_ids)})
    return [PairDecision(left_id=row.left_id, right_id=row.right_id, verdict=row.verdict, decision_id=row.decision_id) for row in rows]


def held_decisions(tx: TenantTransaction) -> dict[UUID, HeldDecision]:
    """The decisions that the published version honours, by id."""
    return {row.decision_id: HeldDecision(**row._asdict()) for row in tx.rows("resolution.held_decisions")}


def hold(tx: TenantTransaction) -> Hold | None:
    """Why the tenant's resolution rests, where it does."""
    row = tx.row("resolution.hold")
    return None if row is None else Hold(**row._asdict())


def refuse_held(tx: TenantTransaction) -> None:
    """Go on only where the tenant's resolution does not rest.

    Raises:
        OnHoldError: It rests after a rollback.
    """
    if (held := hold(tx)) is not None:
        raise OnHoldError(
            "the tenant's resolution is on hold after a rollback", "let it go on: pay-ready resume -t TENANT", rollback_run_no=held.run_no,
            since=held.held_at.isoformat(timespec="seconds"), by=held.actor,
        )  # fmt: skip


def add_hold(tx: TenantTransaction, *, run_no: int, actor: str, reason: str | None) -> None:
    """Let the tenant's resolution rest."""
    tx.execute("resolution.add_hold", {"run_no": run_no, "actor": actor, "reason": reason})


def drop_hold(tx: TenantTransaction, run_no: int) -> None:
    """End the hold of one rollback; those of others stay."""
    tx.execute("resolution.drop_hold", {"run_no": run_no})


def drop_holds(tx: TenantTransaction) -> int:
    """Let the tenant's resolution go on; how many holds there were."""
    return tx.execute("resolution.drop_holds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A record or an interaction that waits for the next run."""

    kind: EntityType | Literal["interaction"]
    object_id: UUID
    source: str | None  # None where it is staged no more
    is_gone: bool
    entity_id: UUID | None  # that the record is in now


def pending(tx: TenantTransaction, *, after: UUID = _FIRST_ID, most: int = 1_000) -> list[Pending]:
    """What waits for the next run, by id, from the one after `after`."""
    return [
        Pending(kind=row.kind, object_id=row.object_id, source=row.source, is_gone=not row.is_staged, entity_id=row.entity_id)
        for row in tx.rows("resolution.pending", {"after_id": after, "most": most})
    ]


def count_queued(tx: TenantTransaction) -> dict[str, int]:
    """How many records and interactions wait for the next run, by kind."""
    return {row.kind: row.objects for row in tx.rows("resolution.count_queued")}


def current_run_no(tx: TenantTransaction) -> int:
    """The published version; 0 before the first."""
    return int(tx.value("resolution.current_run_no"))


def lock_publish(tx: TenantTransaction) -> None:
    """Wait until no other publisher of this tenant is at work, and keep the others waiting until the commit."""
    tx.execute("resolution.lock_publish")
    tx.execute("resolution.make_durable")


def published_state(tx: TenantTransaction) -> PublishedState:
    """What readers see now; consistent while the publish lock is held."""
    assignments: dict[EntityType, dict[UUID, tuple[UUID, float]]] = {"company": {}, "person": {}}
    for row in tx.rows("resolution.current_assignments"):
        assignments[row.entity_type][row.record_id] = (row.entity_id, round(row.confidence, 4))
    return PublishedState(
        run_no=current_run_no(tx),
        assignments=assignments,
        versions={row.entity_id: bytes(row.content_hash) for row in tx.rows("resolution.current_versions")},
        redirects={row.entity_id: row.target_entity_id for row in tx.rows("resolution.current_redirects")},
        known=_known(tx.rows("resolution.known_entities")),
    )


def published_part(
    tx: TenantTransaction, entity_type: EntityType, records: Ids, mates: NDArray[np.void], run_no: int
) -> PublishedState:  # fmt: skip
    """What readers see of some records of a type and of all who are published with one of them.

    Ids are known as far as `ids.identify` wants them; redirects are those of known ids.

    Args:
        tx: The transaction.
        entity_type: What the records are about.
        records: The records.
        mates: What is published of them (`blocks.bonds_of`).
        run_no: The published version.
    """
    assigned = {
        record: (entity, confidence / 10_000)
        for record, entity, confidence in zip(
            uuids_of(mates["record"]), uuids_of(mates["entity"]), mates["confidence"].tolist(), strict=True
        )
    }
    entity_of = {record: entity for record, (entity, _) in assigned.items()}
    known = known_of(tx, entity_type, uuid_list(records), entity_of)
    versions = tx.rows("resolution.versions_of", {"entity_ids": list(set(entity_of.values()))})
    redirects = tx.rows("resolution.redirects_of", {"entity_ids": list(known)})
    nothing: dict[EntityType, dict[UUID, Any]] = {"company": {}, "person": {}}
    return PublishedState(
        run_no=run_no,
        assignments={**nothing, entity_type: assigned},
        versions={row.entity_id: bytes(row.content_hash) for row in versions},
        redirects={row.entity_id: row.target_entity_id for row in redirects},
        known={**nothing, entity_type: known},
    )


def known_of(tx: TenantTransaction, entity_type: EntityType, record_ids: str, entity_of: Mapping[UUID, UUID]) -> dict[UUID, KnownEntity]:
    """The ids that `ids.identify` wants to know of some records (the text of a uuid[]) and of all who are in an entity with one.

    Args:
        tx: The transaction.
        entity_type: What the records are about.
        record_ids: The records.
        entity_of: The published entities of all of these.
    """
    live: dict[UUID, list[UUID]] = {}
    for record, entity in entity_of.items():
        live.setdefault(entity, []).append(record)
    known: dict[UUID, KnownEntity] = {}
    for row in tx.rows("resolution.live_entities_of", {"entity_ids": list(live)}):
        held = live[row.entity_id]
        known[row.entity_id] = KnownEntity(
            entity_id=row.entity_id,
            anchor_record_id=row.anchor_record_id if row.anchor_record_id in held else min(held),
            minted_run_no=row.minted_run_no,
            retired_run_no=None,
        )
    ever = {row.entity_id for row in tx.rows("resolution.ids_ever_of", {"record_ids": record_ids, "entity_type": entity_type})}
    # An id that one of them had once may live elsewhere now: that is no part of this.
    if retired := list(ever - live.keys()):
        known |= _known(tx.rows("resolution.known_entities_of", {"entity_ids": retired}))[entity_type]
    return known


def _known(rows: Iterable[Any]) -> dict[EntityType, dict[UUID, KnownEntity]]:
    known: dict[EntityType, dict[UUID, KnownEntity]] = {"company": {}, "person": {}}
    for row in rows:
        known[row.entity_type][row.entity_id] = KnownEntity(
            entity_id=row.entity_id,
            anchor_record_id=row.anchor_record_id,
            minted_run_no=row.minted_run_no,
            retired_run_no=row.retired_run_no,
        )
    return known


def entities_of(tx: TenantTransaction, entity_type: EntityType, record_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The published entities of records."""
    found = tx.rows("resolution.entities_of", {"entity_type": entity_type, "record_ids": list(record_ids)})
    return {row.record_id: row.entity_id for row in found}


def employees(tx: TenantTransaction, company_records: Iterable[UUID]) -> set[UUID]:
    """People's records that name one of these company records."""
    return {row.record_id for row in tx.rows("resolution.employees", {"record_ids": list(company_records)})}


def current_models(tx: TenantTransaction) -> dict[EntityType, tuple[UUID, ResolutionModel]]:
    """The models of the published version with their ids; none before the first, and none of a form that is used no more."""
    found: dict[EntityType, tuple[UUID, ResolutionModel]] = {}
    for row in tx.rows("resolution.current_models"):
        if row.parameters.get("schema_version") == _MODEL_VERSION:
            counts = {each.name: _count_table(each) for each in tx.rows("resolution.model_counts", {"model_id": row.model_id})}
            found[row.entity_type] = (row.model_id, model_from(ModelParameters.model_validate(row.parameters), counts))
    return found


def _count_table(row: Any) -> CountTable:
    return CountTable(
        total=row.total,
        usual=row.usual,
        keys=np.frombuffer(row.keys, dtype="<u8").astype(np.uint64),
        counts=np.frombuffer(row.counts, dtype="<i4").astype(np.int32),
    )


def model_id_of(model: ResolutionModel) -> UUID:
    """The id of a model: the same for the same model."""
    return stable_id("model", model.entity_type, model.model_hash.hex())


def add_model(tx: TenantTransaction, model: ResolutionModel) -> UUID:
    """Keep the model under its hash, once; its id."""
    model_id = model_id_of(model)
    is_new = tx.execute("resolution.add_model", {
        "model_id": model_id, "entity_type": model.entity_type, "model_hash": model.model_hash, "trained_records": model.trained_records,
        "parameters": Jsonb(parameters_of(model).model_dump(mode="json")),
    })  # fmt: skip
    for name, table in model.counts.items() if is_new else ():
        tx.execute("resolution.add_model_counts", {
            "model_id": model_id, "name": name, "total": table.total, "usual": table.usual,
            "keys": table.keys.astype("<u8").tobytes(), "counts": table.counts.astype("<i4").tobytes(),
        })  # fmt: skip
    return model_id


def make_edge_table(tx: TenantTransaction) -> None:
    """The temporary table through which edges come."""
    tx.execute("resolution.make_edge_table")


def put_edges(
    tx: TenantTransaction, entity_type: EntityType, model_id: UUID, comparisons: Sequence[str], edges: pa.Table, *, are_all: bool
) -> int:  # fmt: skip
    """Keep what a model says of pairs; the number of edges that are new or changed.

    Args:
        tx: The transaction.
        entity_type: What the records are about.
        model_id: The model.
        comparisons: The model's, in the order of their names.
        edges: As `Resolution.edges`, with hashes.
        are_all: Whether these are all edges of the model, so that others are to be forgotten.
    """
    tx.execute("resolution.empty_edge_table")
    for batch in edges.to_batches(max_chunksize=_EDGES_AT_ONCE):
        tx.copy_numbers("publish_edges", _packed_edges(comparisons, batch))
    whose = {"entity_type": entity_type, "model_id": model_id}
    if are_all:
        tx.execute("resolution.analyze_edge_table")
        tx.execute("resolution.drop_edges", whose)
    return tx.execute("resolution.put_edges", whose)


def _packed_edges(comparisons: Sequence[str], batch: pa.RecordBatch) -> NDArray[np.void]:
    """Edges as rows of bytes, with one byte for each comparison of the model; what the records have no values for says nothing, as null."""
    codes = np.zeros((batch.num_rows, len(comparisons)), dtype=np.uint8)
    for position, name in enumerate(comparisons):
        if f"level_{name}" in batch.schema.names:
            codes[:, position] = batch.column(f"level_{name}").indices.to_numpy(zero_copy_only=False)
    found = np.empty(
        batch.num_rows,
        dtype=[
            ("left_id", "S16"), ("right_id", "S16"), ("left_hash", "S32"), ("right_hash", "S32"), ("match_weight_millibits", "<i8"),
            ("levels", f"S{len(comparisons)}"),
        ],
    )  # fmt: skip
    for side in ("left", "right"):
        found[f"{side}_id"] = _fixed(batch.column(f"{side}_id"), 16)
        found[f"{side}_hash"] = _fixed(batch.column(f"{side}_hash"), 32)
    found["match_weight_millibits"] = batch.column("match_weight_millibits").to_numpy(zero_copy_only=False)
    found["levels"] = codes.view(f"S{len(comparisons)}").ravel()
    return found


def _fixed(values: pa.Array, size: int) -> NDArray[np.bytes_]:
    """Values of so many bytes each, none of them null, as numpy."""
    plain = values.cast(pa.binary(size))
    return np.frombuffer(plain.buffers()[1], dtype=f"S{size}")[plain.offset : plain.offset + len(plain)]


def latest_report(tx: TenantTransaction) -> Mapping[str, Any]:
    """What the run of the published version said of itself; empty before the first."""
    for row in tx.rows("resolution.latest_report"):
        return dict(row.report)
    return {}


def golden_names(tx: TenantTransaction, entities: Iterable[UUID]) -> dict[UUID, str]:
    """What current entities are called, with the number of their records."""
    found = tx.rows("resolution.golden_names", {"entity_ids": list(entities)})
    return {row.entity_id: golden_label(row.name, row.record_count) for row in found}


def golden_label(name: str | None, records: int) -> str:
    """What an entity is called in a list."""
    return f"{name or '(no name)'} ({records} record{'' if records == 1 else 's'})"
