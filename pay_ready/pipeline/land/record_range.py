"""Which records of a stream a backfill lands: those whose date lies in its range. The others are counted, never landed."""

from collections.abc import Callable
from typing import Literal

from msgspec import MsgspecError

from pay_ready.db.landing import LandingRow, Refused
from pay_ready.pipeline.land.rows import RowMaker, StreamPlan, value_at
from pay_ready.pipeline.land.values import decode, lenient
from pay_ready.sources.cursors import cursor_text
from pay_ready.sources.protocol import Record
from pay_ready.sources.ranges import RecordRange

Outside = Literal["skipped", "undated", "suppressed"]  # the last: of somebody who was erased
RangedMaker = Callable[[Record], LandingRow | Refused | Outside]


def ranged(make: RowMaker, plan: StreamPlan, records: RecordRange) -> RangedMaker:
    """The function from a record to its row, for records of a range: what lies outside is not even made a row.

    A record that cannot be read has no date either; it is refused as in any read, so that nobody misses it.
    """
    if records.dated_by == "extracted":
        return lambda record: _told(make, record, records.holds_emitted(record.emitted_at))

    def make_ranged(record: Record) -> LandingRow | Refused | Outside:
        try:
            value = _decoded(bytes(record.data))
        except ValueError:
            return make(record)
        if type(value) is not dict:
            return make(record)
        return _told(make, record, records.holds(cursor_text(value_at(value, plan.cursor))))

    return make_ranged


def _told(make: RowMaker, record: Record, is_inside: bool | None) -> LandingRow | Refused | Outside:
    if is_inside is None:
        return "undated"
    return make(record) if is_inside else "skipped"


def _decoded(raw: bytes) -> object:
    """The value of a record's data.

    Raises:
        ValueError: Not JSON, not even for the lenient reader.
    """
    try:
        return decode(raw)
    except (MsgspecError, RecursionError, UnicodeError, ArithmeticError):
        return lenient(raw)[0]
