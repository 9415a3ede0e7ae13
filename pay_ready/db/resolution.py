"""Rows of resolution as they stand: what is staged, what was decided, what is published, and what the models said of pairs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import EdgeLevels, EntityType, KnownEntity, MatchModel, ModelParameters, PairDecision

_EDGE_COLUMNS = ("entity_type", "left_id", "right_id", "model_id", "left_hash", "right_hash", "match_weight_millibits", "levels")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedState:
    """What readers see now."""

    run_no: int  # 0 before the first run
    assignments: Mapping[EntityType, Mapping[UUID, tuple[UUID, float]]]  # record -> entity, confidence
    versions: Mapping[UUID, bytes]  # live entity -> content hash
    redirects: Mapping[UUID, UUID | None]  # retired entity -> live entity
    known: Mapping[EntityType, Mapping[UUID, KnownEntity]]

    def entity_of(self, entity_type: EntityType) -> dict[UUID, UUID]:
        """The published entity of every record of the type."""
        return {record: entity for record, (entity, _) in self.assignments[entity_type].items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRow:
    """One weighed pair with the content hashes of its records."""

    left_id: UUID
    right_id: UUID
    left_hash: bytes
    right_hash: bytes
    match_weight_millibits: int
    levels: EdgeLevels


def read_staged_people(database: Database, tenant: TenantId) -> pa.Table:
    """Every person record, as Arrow (sql/queries/resolution.sql: staged_people)."""
    return database.tenant_arrow(tenant, "resolution.staged_people")


def read_staged_companies(database: Database, tenant: TenantId) -> pa.Table:
    """Every company record, as Arrow (sql/queries/resolution.sql: staged_companies)."""
    return database.tenant_arrow(tenant, "resolution.staged_companies")


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


def add_model(tx: TenantTransaction, model: MatchModel, model_hash: bytes) -> UUID:
    """Keep the model under its hash, once; its id."""
    model_id = stable_id("model", model.entity_type, model_hash.hex())
    tx.execute("resolution.add_model", {
        "model_id": model_id, "entity_type": model.entity_type, "model_hash": model_hash,
        "parameters": Jsonb(model_parameters(model).model_dump(mode="json")),
    })  # fmt: skip
    return model_id


def model_parameters(model: MatchModel) -> ModelParameters:
    """The stored form of a model."""
    return ModelParameters(
        entity_type=model.entity_type,
        prior_millibits=model.prior_millibits,
        threshold_millibits=model.threshold_millibits,
        review_millibits=model.review_millibits,
        weights={
            name: {level: (each.millibits, each.by_rarity, each.ceiling_millibits) for level, each in levels.items()}
            for name, levels in model.weights.items()
        },
    )


def put_edges(tx: TenantTransaction, edges: Mapping[EntityType, tuple[UUID, Iterable[EdgeRow]]]) -> int:
    """Keep what the models (by entity type: model id, edges) say of pairs; the number of edges that are new or changed."""
    tx.execute("resolution.make_edge_table")
    with tx.copy_into("publish_edges", _EDGE_COLUMNS) as copy:
        for entity_type, (model_id, rows) in edges.items():
            for row in rows:
                copy.write_row(_edge_values(entity_type, model_id, row))
    return tx.execute("resolution.put_edges")


def _edge_values(entity_type: EntityType, model_id: UUID, row: EdgeRow) -> tuple[Any, ...]:
    levels = json.dumps(row.levels.model_dump(mode="json"), separators=(",", ":"))
    return (entity_type, row.left_id, row.right_id, model_id, row.left_hash, row.right_hash, row.match_weight_millibits, levels)
