"""Golden records: for each field the value that survives, all values, and the record that each came from.

A field's criteria are tried in order; the first that tells two values apart decides, and at last the value that sorts
first, so that the same records always give the same golden record.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.model.resolution import Criterion, GoldenField

PERSON_FIELDS = ("name", "first_name", "last_name", "email", "phone", "title", "city", "country", "company")
COMPANY_FIELDS = ("name", "domain", "phone", "city", "country", "industry")
_MOST_VALUES = 20
_NEVER = -(2**62)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What survivorship looks at in one staged record; `values` by golden field, absent ones left out."""

    record_id: UUID
    source_rank: int  # 0 is the most trusted
    updated_us: int | None  # the source's time of change, microseconds since 1970
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Survivors:
    """The golden fields of one entity and the record of each surviving value."""

    fields: Mapping[str, GoldenField]
    provenance: Mapping[str, UUID]


@dataclass(frozen=True, slots=True)
class _Candidate:
    value: str
    records: int
    source_rank: int
    updated_us: int
    valid: bool
    record_id: UUID  # the record to name: most trusted, then newest, then lowest id


def survivors(
    records: Sequence[SourceRecord],
    criteria: Mapping[str, tuple[Criterion, ...]],
    is_valid: Callable[[str, str], bool],
) -> Survivors:
    """The golden fields of the records of one entity.

    Args:
        records: At least one.
        criteria: By field, in the order in which they are tried.
        is_valid: Whether a value (field, value) is well-formed and nobody's function.
    """
    fields: dict[str, GoldenField] = {}
    provenance: dict[str, UUID] = {}
    for field, order in criteria.items():
        candidates = _candidates(field, records, is_valid)
        if not candidates:
            continue
        best = min(candidates, key=lambda each: (_rank(each, order), each.value))
        shown = sorted(candidates, key=lambda each: (-each.records, each.value))[:_MOST_VALUES]
        fields[field] = GoldenField(value=best.value, values=[each.value for each in shown])
        provenance[field] = best.record_id
    return Survivors(fields, provenance)


def _candidates(field: str, records: Iterable[SourceRecord], is_valid: Callable[[str, str], bool]) -> list[_Candidate]:
    holders: dict[str, list[SourceRecord]] = {}
    for record in records:
        if value := record.values.get(field):
            holders.setdefault(value, []).append(record)
    return [_candidate(value, held, is_valid(field, value)) for value, held in holders.items()]


def _candidate(value: str, holders: Sequence[SourceRecord], valid: bool) -> _Candidate:
    speaker = min(holders, key=lambda each: (each.source_rank, -_updated(each), each.record_id.bytes))
    newest = max(_updated(each) for each in holders)
    return _Candidate(value, len(holders), speaker.source_rank, newest, valid, speaker.record_id)


def _updated(record: SourceRecord) -> int:
    return _NEVER if record.updated_us is None else record.updated_us


_RANKS: Mapping[Criterion, Callable[[_Candidate], int]] = {
    "valid": lambda each: 0 if each.valid else 1,
    "source_order": lambda each: each.source_rank,
    "recent": lambda each: -each.updated_us,
    "frequent": lambda each: -each.records,
    "longest": lambda each: -len(each.value),
}


def _rank(candidate: _Candidate, order: Iterable[Criterion]) -> tuple[int, ...]:
    return tuple(_RANKS[criterion](candidate) for criterion in order)
