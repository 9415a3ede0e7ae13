"""Rows of resolution as they stand: what is staged, what was decided, what is published, and what the models said of pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import EntityType, KnownEntity, ModelParameters, PairDecision
from pay_ready.resolve.linkage.counts import CountTable
from pay_ready.resolve.linkage.model import ResolutionModel, model_from, parameters_of

_MODEL_VERSION = 2
_EDGE_COLUMNS = ("entity_type", "left_id", "right_id", "model_id", "left_hash", "right_hash", "match_weight_millibits", "levels")


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


def read_staged(database: Database, tenant: TenantId, entity_type: EntityType, record_ids: Sequence[UUID] | None = None) -> pa.Table:
    """The staged records of a type, all of them or those named, as Arrow (sql/queries/resolution.sql: staged_people, staged_companies)."""
    name = "resolution.staged_people" if entity_type == "person" else "resolution.staged_companies"
    return database.tenant_arrow(tenant, name, {"record_ids": None if record_ids is None else list(record_ids)})


def decisions(tx: TenantTransaction) -> dict[EntityType, list[PairDecision]]:
    """What holds of the pairs that somebody decided, by entity type."""
    found: dict[EntityType, list[PairDecision]] = {"company": [], "person": []}
    for row in tx.rows("resolution.decisions"):
        found[row.entity_type].append(PairDecision(left_id=row.left_id, right_id=row.right_id, verdict=row.verdict))
    return found


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
    known: dict[EntityType, dict[UUID, KnownEntity]] = {"company": {}, "person": {}}
    for row in tx.rows("resolution.known_entities"):
        known[row.entity_type][row.entity_id] = KnownEntity(
            entity_id=row.entity_id,
            anchor_record_id=row.anchor_record_id,
            minted_run_no=row.minted_run_no,
            retired_run_no=row.retired_run_no,
        )
    return PublishedState(
        run_no=current_run_no(tx),
        assignments=assignments,
        versions={row.entity_id: bytes(row.content_hash) for row in tx.rows("resolution.current_versions")},
        redirects={row.entity_id: row.target_entity_id for row in tx.rows("resolution.current_redirects")},
        known=known,
    )


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


def put_edges(tx: TenantTransaction, edges: Mapping[EntityType, tuple[UUID, pa.Table]]) -> int:
    """Keep what the models (by entity type: model id, edges) say of all pairs; the number of edges that are new or changed."""
    tx.execute("resolution.make_edge_table")
    with tx.copy_into("publish_edges", _EDGE_COLUMNS) as copy:
        for entity_type, (model_id, table) in edges.items():
            for row in _edge_values(entity_type, model_id, table):
                copy.write_row(row)
    tx.execute("resolution.analyze_edge_table")
    tx.execute("resolution.drop_edges", {"model_ids": [model_id for model_id, _ in edges.values()]})
    return tx.execute("resolution.put_edges")


def _edge_values(entity_type: EntityType, model_id: UUID, table: pa.Table) -> Iterator[tuple[Any, ...]]:
    levels = [name for name in table.column_names if name.startswith("level_")]
    for batch in table.to_batches(max_chunksize=50_000):
        codes = np.zeros((batch.num_rows, len(levels)), dtype=np.uint8)
        for position, name in enumerate(levels):
            codes[:, position] = batch.column(name).indices.to_numpy(zero_copy_only=False)
        columns = ("left_id", "right_id", "left_hash", "right_hash", "match_weight_millibits")
        rows = zip(*(batch.column(name).to_pylist() for name in columns), codes, strict=True)
        for left, right, left_hash, right_hash, weight, reached in rows:
            yield entity_type, left.hex(), right.hex(), model_id, left_hash, right_hash, weight, reached.tobytes()


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
