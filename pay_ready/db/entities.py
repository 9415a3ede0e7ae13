"""Reading what is published: golden records, their records side by side, timelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from rapidfuzz import fuzz, process, utils

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import EntityId, RecordId

EntityType = Literal["person", "company"]
# Below this likeness (0-100) a name is another name; typos of one or two letters stay above.
_LEAST_LIKENESS = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a tenant has; `run_no` 0 before the first publish."""

    people: int
    companies: int
    person_records: int
    company_records: int
    interactions: int
    quarantined: int
    run_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMatch:
    """A current entity that a searched text may mean; `similarity` in [0, 100]."""

    entity_id: EntityId
    entity_type: EntityType
    name: str | None
    email: str | None
    domain: str | None
    record_count: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRecord:
    """The published row of an entity; `golden` and `provenance` as stored."""

    entity_id: EntityId
    entity_type: EntityType
    name: str | None
    email: str | None
    phone: str | None
    domain: str | None
    title: str | None
    company_entity_id: EntityId | None
    company_name: str | None
    record_count: int
    golden: Mapping[str, Any]
    provenance: Mapping[str, Any]
    opened_run_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One record of an entity, as its source wrote it."""

    source: str
    stream: str | None
    origin: str
    reference: str
    values: Mapping[str, str | None]
    updated_at: datetime | None
    confidence: float
    record_id: RecordId


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One interaction of an entity's timeline."""

    occurred_at: datetime
    interaction_id: UUID
    interaction_type: str
    source: str
    subject: str | None
    body: str | None
    direction: str | None
    external_id: str
    url: str | None
    ended_at: datetime | None
    participants: str | None
    first_turn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFilter:
    """Which interactions: [since, until), and None for all sources or types."""

    since: datetime
    until: datetime
    sources: Sequence[str] | None = None
    types: Sequence[str] | None = None
    most: int = 50


def counts(tx: TenantTransaction) -> Counts:
    """How much the tenant has."""
    (row,) = tx.rows("entities.counts")
    return Counts(**row._asdict())


def find_entities(tx: TenantTransaction, wanted: str, entity_type: EntityType | None = None, most: int = 10) -> list[EntityMatch]:
    """Entities that a text may mean: an id (retired ones lead on), an exact name, address or domain, else a like name."""
    text = wanted.strip()
    if entity_id := _as_uuid(text):
        return [_as_match(golden) for golden in filter(None, [golden_record(tx, entity_id)])]
    rows = tx.rows("entities.by_exact", {"wanted": text.lower()})
    similar = [(row, 100.0) for row in rows] or _like(tx.rows("entities.names"), text, most)
    return [EntityMatch(**row._asdict(), similarity=similarity) for row, similarity in similar if entity_type in (None, row.entity_type)][
        :most
    ]


def golden_record(tx: TenantTransaction, entity_id: UUID) -> GoldenRecord | None:
    """The golden record that an id leads to now; None for an id never given, or one whose records are all gone."""
    current = tx.row("entities.current_id", {"entity_id": entity_id})
    row = tx.row("entities.golden", {"entity_id": current.entity_id}) if current else None
    return GoldenRecord(**row._asdict()) if row else None


def records_of(tx: TenantTransaction, golden: GoldenRecord) -> list[SourceRecord]:
    """The records of an entity, by source."""
    fields = ("full_name", "email", "phone", "title", "company_name")
    if golden.entity_type == "company":
        fields = ("name", "domain", "phone", "city", "country")
    return [
        SourceRecord(
            source=row.source,
            stream=row.stream,
            origin=row.origin,
            reference=row.record_reference,
            values={field: getattr(row, field) for field in fields},
            updated_at=row.source_updated_at,
            confidence=row.confidence,
            record_id=row.record_id,
        )
        for row in tx.rows(f"entities.{golden.entity_type}_records_of", {"entity_id": golden.entity_id})
    ]


def timeline(tx: TenantTransaction, entity_id: EntityId, wanted: TimelineFilter) -> list[TimelineEntry]:
    """Interactions of an entity, newest first."""
    params = {
        "entity_id": entity_id,
        "since": wanted.since,
        "until": wanted.until,
        "sources": list(wanted.sources) if wanted.sources else None,
        "types": list(wanted.types) if wanted.types else None,
        "most": wanted.most,
    }
    return [TimelineEntry(**row._asdict()) for row in tx.rows("entities.timeline", params)]


def people_of(tx: TenantTransaction, company: EntityId, most: int = 20) -> list[Any]:
    """People of a company (entity_id, name, email, title, interactions), most interactions first."""
    return tx.rows("entities.people_of", {"entity_id": company, "most": most})


def widest(tx: TenantTransaction, entity_type: EntityType) -> EntityId | None:
    """The person or company known to most sources."""
    row = tx.row(f"entities.widest_{entity_type}")
    return EntityId(row.entity_id) if row else None


def keep_metric(tx: TenantTransaction, name: str, metric: Mapping[str, Any]) -> None:
    """Cache a result; `metric` is an object with its schema_version."""
    tx.execute("entities.cache_metric", {"metric_name": name, "metric_value": Jsonb(metric)})


def cached_metric(tx: TenantTransaction, name: str) -> Mapping[str, Any] | None:
    """A cached result, or None."""
    row = tx.row("entities.cached_metric", {"metric_name": name})
    return row.metric_value if row else None


def _like(rows: Sequence[Any], text: str, most: int) -> list[tuple[Any, float]]:
    found = process.extract(
        text, [row.name for row in rows], scorer=fuzz.WRatio, processor=utils.default_process, limit=most,
        score_cutoff=_LEAST_LIKENESS,
    )  # fmt: skip
    return [(rows[position], similarity) for _, similarity, position in found]


def _as_match(golden: GoldenRecord) -> EntityMatch:
    return EntityMatch(
        entity_id=golden.entity_id, entity_type=golden.entity_type, name=golden.name, email=golden.email,
        domain=golden.domain, record_count=golden.record_count, similarity=100.0,
    )  # fmt: skip


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
