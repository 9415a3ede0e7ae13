"""A stretch of time, and which records belong to it: those whose cursor, or time of emission, lies inside. Pure.

Cursors are compared as the text by which rows are ordered (`cursor_text`), so the filter on the way in and the count of
what is landed agree on every record: ISO times and dates without a time as instants (naive ones are UTC), numbers as
seconds, milli-, micro- or nanoseconds since 1970, whichever gives a time between 1973 and 5138. All else is no date.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from pay_ready.sources.cursors import EXPONENT_ZERO, cursor_text

DatedBy = Literal["cursor", "extracted"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The number of digits before the point, less one, of numbers in this unit; and how many microseconds one is.
_UNITS: tuple[tuple[range, int, int], ...] = (
    (range(8, 11), 1_000_000, 1),
    (range(11, 14), 1_000, 1),
    (range(14, 17), 1, 1),
    (range(17, 20), 1, 1_000),
)  # (exponents, microseconds per unit, units per microsecond)
_TIME = len(_UNITS)  # the kind of cursor that is a time, after those that are numbers
_KIND_OF = {f"{exponent + EXPONENT_ZERO:06d}".encode(): kind for kind, unit in enumerate(_UNITS) for exponent in unit[0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRange:
    """From `start` up to and without `end`. `dated_by`: the stream's cursor, or when the source emitted the record."""

    start: datetime
    end: datetime
    dated_by: DatedBy = "cursor"
    _bounds: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False, compare=False)
    _emitted: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bounds", tuple((low, high) for low, high in _by_kind([self.start, self.end])))
        object.__setattr__(self, "_emitted", (_us(self.start) / 1000, _us(self.end) / 1000))

    def holds(self, cursor: bytes) -> bool | None:
        """Whether a record with this cursor (`cursor_text`) belongs to the range; None when it is no date."""
        kind = kind_of(cursor)
        if kind is None:
            return None
        low, high = self._bounds[kind]
        return low <= cursor < high

    def holds_emitted(self, emitted_ms: float) -> bool | None:
        """Whether a record emitted then (milliseconds since 1970) belongs to the range; None when the source did not say."""
        if not emitted_ms > 0:
            return None
        low, high = self._emitted
        return low <= emitted_ms < high


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """Neighbouring ranges, by their boundaries in order: finds the one that a cursor belongs to."""

    marks: Sequence[datetime]  # n + 1 boundaries of n ranges
    texts: Sequence[str] = field(init=False, repr=False, compare=False)  # boundaries as cursors: n + 1 of each kind, ascending
    _bytes: Sequence[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = [text for marks in _by_kind(self.marks) for text in marks]
        object.__setattr__(self, "_bytes", texts)
        object.__setattr__(self, "texts", [text.decode() for text in texts])

    def place(self, cursor: bytes) -> int | None:
        """The range's index; -1 outside of all, None when the cursor is no date."""
        return None if kind_of(cursor) is None else self.index_of(bisect_right(self._bytes, cursor))

    def index_of(self, bucket: int) -> int:
        """The range that lies between two boundaries: before the bucket-th of `texts`, from the one in front of it on; -1: none."""
        within = (bucket - 1) % len(self.marks)
        return within if 0 < bucket < len(self.texts) and within < len(self.marks) - 1 else -1


def kind_of(cursor: bytes) -> int | None:
    """What kind of date a cursor is; None when it is none."""
    if cursor.startswith(b"t"):
        return _TIME
    return _KIND_OF.get(cursor[2:8]) if cursor.startswith(b"np") else None


def _by_kind(marks: Sequence[datetime]) -> list[list[bytes]]:
    """Boundaries as cursors, by kind in the order in which cursors sort."""
    times = [cursor_text(mark.astimezone(UTC).isoformat(timespec="microseconds")) for mark in marks]
    return [*([_clipped(kind, _number(kind, mark)) for mark in marks] for kind in range(_TIME)), times]


def _number(kind: int, mark: datetime) -> bytes:
    _, us_per_unit, units_per_us = _UNITS[kind]
    whole, rest = divmod(_us(mark) * units_per_us, us_per_unit)
    digits = len(str(us_per_unit)) - 1
    return cursor_text(f"{whole}.{rest:0{digits}d}" if rest else whole)


def _clipped(kind: int, text: bytes) -> bytes:
    """The boundary, brought into what numbers of this unit look like."""
    exponents = _UNITS[kind][0]
    return min(max(text, cursor_text(10**exponents.start)), cursor_text(10**exponents.stop))


def _us(mark: datetime) -> int:
    return (mark - _EPOCH) // timedelta(microseconds=1)
