"""The published row of an entity: surviving values, where they came from, and the hash that tells whether it changed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa

from pay_ready.model.resolution import EntityType, GoldenRecord, Provenance, ResolutionConfig
from pay_ready.resolve.normalize import is_role_address
from pay_ready.resolve.staged import record_ids_of
from pay_ready.resolve.survivorship import SourceRecord, Survivors, survivors

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityVersion:
    """What is published of one entity."""

    entity_id: UUID
    entity_type: EntityType
    company_entity_id: UUID | None
    record_count: int
    golden: GoldenRecord
    provenance: Provenance
    content_hash: bytes

    def value(self, field: str) -> str | None:
        """The surviving value of a field."""
        found = self.golden.fields.get(field)
        return None if found is None else found.value


def source_ranks(config: ResolutionConfig, names: Sequence[str], kinds: Sequence[str]) -> list[int]:
    """The trust in each record's source, 0 the most: by name, else by kind, else after all that are listed."""
    listed = {word: rank for rank, word in reversed(list(enumerate(config.source_order)))}
    last = len(config.source_order)
    return [listed.get(name, listed.get(kind, last)) for name, kind in zip(names, kinds, strict=True)]


def company_sources(table: pa.Table, config: ResolutionConfig) -> dict[UUID, SourceRecord]:
    """Staged company records as survivorship reads them."""
    return _sources(table, config, {field: field for field in ("name", "domain", "phone", "city", "country", "industry")}, None)


def person_sources(table: pa.Table, config: ResolutionConfig, company_of: Mapping[UUID, UUID]) -> dict[UUID, SourceRecord]:
    """Staged person records as survivorship reads them; a company is the published entity of the record's company record."""
    columns = {field: field for field in ("first_name", "last_name", "email", "phone", "title", "city", "country")}
    named = [
        value if isinstance(value, UUID) else None if value is None else UUID(bytes=value)
        for value in table.column("company_record_id").to_pylist()
    ]
    companies = [str(company_of[record]) if record is not None and record in company_of else None for record in named]
    return _sources(table, config, columns, {"name": _full_names(table), "company": companies})


def _full_names(table: pa.Table) -> list[str | None]:
    columns = (table.column(name).to_pylist() for name in ("full_name", "first_name", "last_name"))
    return [full or " ".join(filter(None, (first, last))) or None for full, first, last in zip(*columns, strict=True)]


def _sources(
    table: pa.Table, config: ResolutionConfig, columns: Mapping[str, str], further: Mapping[str, Sequence[str | None]] | None
) -> dict[UUID, SourceRecord]:
    values: dict[str, Sequence[str | None]] = {field: table.column(name).to_pylist() for field, name in columns.items()}
    values.update(further or {})
    ranks = source_ranks(config, table.column("source_name").to_pylist(), table.column("source_kind").to_pylist())
    updated = [_microseconds(moment) for moment in table.column("source_updated_at").to_pylist()]
    return {
        record_id: SourceRecord(
            record_id=record_id,
            source_rank=ranks[row],
            updated_us=updated[row],
            values={field: value for field, column in values.items() if (value := column[row])},
        )
        for row, record_id in enumerate(record_ids_of(table))
    }


def _microseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elapsed = aware - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def entity_version(entity_id: UUID, entity_type: EntityType, records: Sequence[SourceRecord], config: ResolutionConfig) -> EntityVersion:
    """The golden record of an entity's records (at least one)."""
    found = survivors(records, config.rules(entity_type).survivorship, _validity(config))
    golden, provenance = GoldenRecord(fields=dict(found.fields)), Provenance(fields=dict(found.provenance))
    company = found.fields.get("company") if entity_type == "person" else None
    return EntityVersion(
        entity_id=entity_id,
        entity_type=entity_type,
        company_entity_id=UUID(company.value) if company else None,
        record_count=len(records),
        golden=golden,
        provenance=provenance,
        content_hash=_content_hash(entity_id, found, len(records)),
    )


def _content_hash(entity_id: UUID, found: Survivors, record_count: int) -> bytes:
    """sha256 of the canonical golden record: id, fields by name with value, all values and origin, and the number of records."""
    digest = hashlib.sha256(f"{entity_id} {record_count}\n".encode())
    for field in sorted(found.fields):
        parts = (field, str(found.provenance[field]), found.fields[field].value, *found.fields[field].values)
        # Length-prefixed: no two lists of values give the same bytes. Surrogates never reach staging; were one to, it would be hashed too.
        digest.update("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return digest.digest()


def _validity(config: ResolutionConfig) -> Callable[[str, str], bool]:
    def is_valid(field: str, value: str) -> bool:
        if field == "email":
            return "@" in value and not is_role_address(value, config.role_local_parts)
        if field == "phone":
            return value.startswith("+")
        if field == "name":
            return not value.isupper() and not value.islower() and not any(len(word.strip(".")) == 1 for word in value.split()[:1])
        if field in ("first_name", "last_name"):
            return len(value.strip(".")) > 1 and not value.isupper() and not value.islower()
        return True

    return is_valid
