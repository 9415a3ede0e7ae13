"""Golden records: for each field the value that survives, all values, and the record that each came from.

A field's criteria are tried in order; the first that tells two values apart decides, and at last the value that sorts
first, so that the same records always give the same golden record.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from pay_ready.model.resolution import Criterion

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


class Survivor(NamedTuple):
    """The value of a field that survives."""

    value: str
    values: tuple[str, ...]  # all values, most frequent first, at most 20; the surviving one among them
    record_id: UUID  # the record that it came from


@dataclass(slots=True)
class _Candidate:
    value: str
    speaker: SourceRecord  # the record to name: most trusted, then newest, then lowest id
    newest_us: int
    records: int = 1


def survivors(
    records: Sequence[SourceRecord],
    criteria: Mapping[str, tuple[Criterion, ...]],
    is_valid: Callable[[str, str], bool],
) -> dict[str, Survivor]:
    """The golden fields of the records of one entity, as far as any record has a value.

    Args:
        records: At least one.
        criteria: By field, in the order in which they are tried.
        is_valid: Whether a value (field, value) is well-formed and nobody's function.
    """
    if len(records) == 1:  # most entities: every value survives
        (record,) = records
        return {field: Survivor(value, (value,), record.record_id) for field in criteria if (value := record.values.get(field))}
    found: dict[str, Survivor] = {}
    speakers = sorted(records, key=lambda each: (each.source_rank, -_updated(each), each.record_id.bytes))
    for field, order in criteria.items():
        values = [record.values.get(field) for record in speakers]
        if (first := values[0]) and values.count(first) == len(values):  # all of one mind
            found[field] = Survivor(first, (first,), speakers[0].record_id)
        elif candidates := _candidates(values, speakers):
            best = _best(field, candidates, order, is_valid)
            found[field] = Survivor(best.value, _shown(candidates, best), best.speaker.record_id)
    return found


def _candidates(values: Sequence[str | None], speakers: Sequence[SourceRecord]) -> list[_Candidate]:
    """Each value once, said by the first record that holds it."""
    found: dict[str, _Candidate] = {}
    for value, record in zip(values, speakers, strict=True):
        if value:
            if (candidate := found.get(value)) is None:
                found[value] = _Candidate(value, record, _updated(record))
            else:
                candidate.records += 1
                candidate.newest_us = max(candidate.newest_us, _updated(record))
    return list(found.values())


def _best(field: str, candidates: Sequence[_Candidate], order: Iterable[Criterion], is_valid: Callable[[str, str], bool]) -> _Candidate:
    """By the first criterion that tells any two of them apart, then the next among those that it leaves, at last by value."""
    if len(candidates) == 1:
        return candidates[0]
    for criterion in order:
        if criterion == "valid":
            ranks = [0 if is_valid(field, each.value) else 1 for each in candidates]
        else:
            ranks = [*map(_RANKS[criterion], candidates)]
        least = min(ranks)
        candidates = [each for each, rank in zip(candidates, ranks, strict=True) if rank == least]
        if len(candidates) == 1:
            return candidates[0]
    return min(candidates, key=lambda each: each.value)


def _shown(candidates: Sequence[_Candidate], best: _Candidate) -> tuple[str, ...]:
    """The most frequent values; the one that survives is always among them."""
    if len(candidates) == 1:
        return (best.value,)
    shown = [each.value for each in sorted(candidates, key=lambda each: (-each.records, each.value))[:_MOST_VALUES]]
    return tuple(shown) if best.value in shown else (*shown[:-1], best.value)


def _updated(record: SourceRecord) -> int:
    return _NEVER if record.updated_us is None else record.updated_us


_RANKS: Mapping[Criterion, Callable[[_Candidate], int]] = {
    "source_order": lambda each: each.speaker.source_rank,
    "recent": lambda each: -each.newest_us,
    "frequent": lambda each: -each.records,
    "longest": lambda each: -len(each.value),
}
