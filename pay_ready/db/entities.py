"""Reading what is published: golden records, their records side by side."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from rapidfuzz import fuzz, process

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import EntityId, RecordId
from pay_ready.resolve.hosts import business_domain
from pay_ready.resolve.normalize import clean_line, normalize_company_name, normalize_person_name, parse_email, parse_phone

EntityType = Literal["person", "company"]
# Below this likeness (0-100) a name is another name; typos of one or two letters stay above.
_LEAST_LIKENESS = 80.0
NO_REGION = "ZZ"  # phonenumbers' unknown region: only numbers with their country's code are understood
_PHONE_TEXT = re.compile(r"[+(]?\d[\d\s().\-/]{5,}(?:\s*(?:x|ext\.?)\s*\d+)?", re.IGNORECASE)

_COMPARED_NAME: Mapping[EntityType, Callable[[str], str]] = {"person": normalize_person_name, "company": normalize_company_name}


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
    """A current entity that a searched text may mean; `similarity` in [0, 100], below 100 a guess by likeness of names."""

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


def counts(tx: TenantTransaction) -> Counts:
    """How much the tenant has."""
    (row,) = tx.rows("entities.counts")
    return Counts(**row._asdict())


def find_entities(
    tx: TenantTransaction, wanted: str, entity_type: EntityType | None = None, most: int = 10, *, region: str = NO_REGION
) -> list[EntityMatch]:
    """Entities that a text may mean, best first, then those of more records.

    An id (retired ones lead on), a name, or an address, phone or domain of any of an entity's records; else names that are like
    it. Only a name is guessed at: an address or number that nobody has is nobody's.

    Args:
        region: ISO 3166 region that phones without a country's code are dialled in.
    """
    text = clean_line(wanted)
    if entity_id := _as_uuid(text):
        golden = golden_record(tx, entity_id)
        return [_as_match(golden)] if golden and entity_type in (None, golden.entity_type) else []
    exact = tx.rows("entities.by_exact", {**_exact(text, region), "entity_type": entity_type, "most": most})
    if exact or _is_no_name(text):
        return [EntityMatch(**row._asdict(), similarity=100.0) for row in exact]
    like = _like(tx.rows("entities.names", {"entity_type": entity_type}), text, most)
    return [EntityMatch(**row._asdict(), similarity=similarity) for row, similarity in like]


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


def _exact(text: str, region: str) -> dict[str, str | None]:
    """What the text is, read as an address, a phone and a domain; None where it is none."""
    email = parse_email(text, validate=False) if "@" in text and "://" not in text else None
    phone = parse_phone(text, region) if _PHONE_TEXT.fullmatch(text) else None
    return {
        "wanted": text.lower(),
        "email": email.normalized if email else None,
        "phone": phone.e164 if phone else None,
        "domain": None if email else business_domain(text, frozenset()),
    }


def _is_no_name(text: str) -> bool:
    return not text or "@" in text or "://" in text or _PHONE_TEXT.fullmatch(text) is not None


def _like(rows: Sequence[Any], text: str, most: int) -> list[tuple[Any, float]]:
    """Rows whose names are like the text, best first; among equals those of more records, which come first in `rows`."""
    found = [
        (row, similarity)
        for entity_type, compared in _COMPARED_NAME.items()
        for row, similarity in _like_names([row for row in rows if row.entity_type == entity_type], compared, text, most)
    ]
    return sorted(found, key=lambda each: (-each[1], -each[0].record_count, each[0].entity_id))[:most]


def _like_names(rows: Sequence[Any], compared: Callable[[str], str], text: str, most: int) -> list[tuple[Any, float]]:
    names = [compared(row.name) for row in rows]
    found = process.extract(compared(text), names, scorer=fuzz.WRatio, limit=most, score_cutoff=_LEAST_LIKENESS)
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
