"""The published row of an entity: surviving values, where they came from, and the hash that tells whether it changed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa

from pay_ready.model.resolution import EntityType, GoldenField, GoldenRecord, Provenance, ResolutionConfig
from pay_ready.resolve.normalize import is_role_address
from pay_ready.resolve.staged import record_ids_of
from pay_ready.resolve.survivorship import COMPANY_FIELDS, PERSON_FIELDS, SourceRecord, Survivor, survivors

_LONGEST_ACRONYM = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityVersion:
    """What is published of one entity."""

    entity_id: UUID
    entity_type: EntityType
    company_entity_id: UUID | None
    record_count: int
    survivors: Mapping[str, Survivor]  # by golden field
    content_hash: bytes

    def value(self, field: str) -> str | None:
        """The surviving value of a field."""
        found = self.survivors.get(field)
        return None if found is None else found.value

    @property
    def golden(self) -> GoldenRecord:
        """The values, as they are stored: made when asked for, as most entities are as they were and are not written."""
        fields = {field: GoldenField(value=each.value, values=list(each.values)) for field, each in self.survivors.items()}
        return GoldenRecord(fields=fields)

    @property
    def provenance(self) -> Provenance:
        """The record of each value, as it is stored."""
        return Provenance(fields={field: each.record_id for field, each in self.survivors.items()})


def source_ranks(config: ResolutionConfig, names: Sequence[str], kinds: Sequence[str]) -> list[int]:
    """The trust in each record's source, 0 the most: by name, else by kind, else after all that are listed."""
    listed = {word: rank for rank, word in reversed(list(enumerate(config.source_order)))}
    last = len(config.source_order)
    return [listed.get(name, listed.get(kind, last)) for name, kind in zip(names, kinds, strict=True)]


def company_sources(table: pa.Table, config: ResolutionConfig) -> dict[UUID, SourceRecord]:
    """Staged company records as survivorship reads them."""
    return _sources(table, config, COMPANY_FIELDS)


def person_sources(table: pa.Table, config: ResolutionConfig, company_of: Mapping[UUID, UUID]) -> dict[UUID, SourceRecord]:
    """Staged person records as survivorship reads them; a company is the published entity of the record's company record."""
    columns = [field for field in PERSON_FIELDS if field not in ("name", "company")]
    named = [
        value if isinstance(value, UUID) else None if value is None else UUID(bytes=value)
        for value in table.column("company_record_id").to_pylist()
    ]
    companies = [str(company_of[record]) if record is not None and record in company_of else None for record in named]
    return _sources(table, config, columns, {"name": _full_names(table), "company": companies})


def _full_names(table: pa.Table) -> list[str | None]:
    columns = (_texts(table, name) for name in ("full_name", "first_name", "last_name"))
    return [full or " ".join(filter(None, (first, last))) or None for full, first, last in zip(*columns, strict=True)]


def _texts(table: pa.Table, column: str) -> list[str | None]:
    """Without white space around; what has nothing else is no value."""
    return [text.strip() or None if text else None for text in table.column(column).to_pylist()]


def _sources(
    table: pa.Table, config: ResolutionConfig, columns: Sequence[str], further: Mapping[str, Sequence[str | None]] | None = None
) -> dict[UUID, SourceRecord]:
    values: dict[str, Sequence[str | None]] = {field: _texts(table, field) for field in columns}
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
    found = survivors(records, config.rules(entity_type).survivorship, _validity(entity_type, config))
    return version_of(entity_id, entity_type, found, len(records))


def version_of(entity_id: UUID, entity_type: EntityType, found: Mapping[str, Survivor], record_count: int) -> EntityVersion:
    """The golden record of what survived."""
    company = found.get("company") if entity_type == "person" else None
    return EntityVersion(
        entity_id=entity_id,
        entity_type=entity_type,
        company_entity_id=UUID(company.value) if company else None,
        record_count=record_count,
        survivors=found,
        content_hash=_content_hash(entity_id, found, record_count),
    )


def _content_hash(entity_id: UUID, found: Mapping[str, Survivor], record_count: int) -> bytes:
    """sha256 of the canonical golden record: id, fields by name with value, all values and origin, and the number of records."""
    origins = {each.record_id.int: each.record_id for each in found.values()}  # few: most values come from one record
    texts = {number: f"36:{origin}" for number, origin in origins.items()}
    lines = [f"{entity_id} {record_count}\n"]
    for field in sorted(found):
        value, values, origin = found[field]
        # Length-prefixed: no two lists of values give the same bytes.
        first = f"{len(value)}:{value}"
        listed = first if len(values) == 1 else "".join([f"{len(each)}:{each}" for each in values])
        lines.append(f"{len(field)}:{field}{texts[origin.int]}{first}{listed}\n")
    # Surrogates never reach staging; were one to, it would be hashed too.
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).digest()


def _validity(entity_type: EntityType, config: ResolutionConfig) -> Callable[[str, str], bool]:
    is_name = _is_person_name if entity_type == "person" else _is_company_name

    def is_valid(field: str, value: str) -> bool:
        if field == "email":
            return "@" in value and not is_role_address(value.casefold(), config.role_local_parts)
        if field == "phone":
            return value.startswith("+")
        if field == "name":
            return is_name(value)
        if field in ("first_name", "last_name"):
            return not _is_in_one_case(value) and not _is_initial(value) and value.strip(".") != ""
        return True

    return is_valid


def _is_person_name(name: str) -> bool:
    return not _is_in_one_case(name) and not any(map(_is_initial, name.split()[:1]))


def _is_company_name(name: str) -> bool:
    """In upper case only as an acronym."""
    return not _is_in_one_case(name) or (name.isupper() and len(name) <= _LONGEST_ACRONYM and " " not in name)


def _is_in_one_case(text: str) -> bool:
    """Written in one case, as scripts without case never are."""
    return text.isupper() or text.islower()


def _is_initial(word: str) -> bool:
    """One letter of a script with case: in others a letter may be a whole name."""
    letter = word.strip(".")
    return len(letter) == 1 and letter.lower() != letter.upper()
