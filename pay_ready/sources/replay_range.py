"""Rows of export files by date: which a range keeps, and how many there are in each of many."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from pay_ready.errors import ConfigError
from pay_ready.sources.catalog import FieldPath
from pay_ready.sources.cursors import cursor_text
from pay_ready.sources.ranges import RecordRange, Ruler
from pay_ready.sources.replay_files import ExportFile, OpenExport, ReplayConfig, parse_config, stream_files
from pay_ready.sources.replay_rows import Rows

_DECODER: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=Decimal)


def range_of(config: ReplayConfig) -> RecordRange | None:
    """The range that a configuration asks for; None when it asks for all.

    Raises:
        ConfigError: A date is none, or they are the wrong way round.
    """
    if config.start_date is None and config.end_date is None:
        return None
    start = _moment("start_date", config.start_date) if config.start_date else datetime.min.replace(tzinfo=UTC)
    end = _moment("end_date", config.end_date) if config.end_date else datetime.max.replace(tzinfo=UTC)
    if end <= start:
        raise ConfigError("the range is empty", "end_date is the first moment after the range", key="end_date", value=config.end_date)
    return RecordRange(start=start, end=end)


def keeper(records: RecordRange, cursor: FieldPath) -> Callable[[bytes], bool]:
    """Whether a row may belong to the range. A row without a date is kept: whoever asked shall hear of it."""
    cursor_of = cursor_reader(cursor)

    def keeps(row: bytes) -> bool:
        found = cursor_of(row)
        return found is None or records.holds(found) is not False

    return keeps


def count_rows(config: Mapping[str, object], cursors: Mapping[str, FieldPath], ruler: Ruler) -> Mapping[str, Sequence[int]]:
    """Rows of each stream in each of the ruler's ranges, by reading every file once.

    Args:
        cursors: The fields that date the rows, by stream.

    Raises:
        ConfigError: The configuration is off, or a file is damaged or cannot be read.
    """
    try:
        files = stream_files(parse_config(msgspec.json.encode(config)))
        return {stream: _counted(files.get(stream, ()), cursor, ruler) for stream, cursor in cursors.items()}
    except OSError as error:
        raise ConfigError("an export file cannot be read", "pay-ready sources check says more", reason=error.strerror) from error


def cursor_reader(path: FieldPath) -> Callable[[bytes], bytes | None]:
    """A function from a row to its cursor as text; None when only a lenient reader would find it."""
    if len(path) == 1:
        # One member is looked for and the others are skipped: a quarter of the cost of reading them all.
        row_type = msgspec.defstruct("Row", [("cursor", Any, None)], rename={"cursor": path[0]})
        decode_row: Callable[[bytes], Any] = msgspec.json.Decoder(row_type, float_hook=Decimal).decode

        def cursor_of(row: bytes) -> bytes | None:
            try:
                return cursor_text(decode_row(row).cursor)
            except (msgspec.MsgspecError, RecursionError, UnicodeError, ArithmeticError):
                return None

        return cursor_of

    def nested_cursor_of(row: bytes) -> bytes | None:
        try:
            value = _DECODER.decode(row)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, ArithmeticError):
            return None
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return cursor_text(value)

    return nested_cursor_of


def _counted(files: Iterable[ExportFile], cursor: FieldPath, ruler: Ruler) -> list[int]:
    counts = [0] * (len(ruler.marks) - 1)
    cursor_of = cursor_reader(cursor)
    for file in files:
        with OpenExport(file) as export:
            for row in Rows(export):
                found = cursor_of(row)
                place = ruler.place(found) if found is not None else None
                if place is not None and place >= 0:
                    counts[place] += 1
    return counts


def _moment(key: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError("not a time", "write it like 2026-01-31 or 2026-01-31T12:00:00Z", key=key, value=text) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
