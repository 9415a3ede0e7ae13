"""Times as sources write them, as aware UTC times."""

import math
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_WRITTEN = 64
_DECIMAL = re.compile(r"(-?)([0-9]{1,20})(?:\.([0-9]+))?")
_WRITTEN_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SECOND, MILLISECOND, MICROSECOND = 1_000_000, 1_000, 1  # microseconds in a unit
# Seconds, milliseconds and microseconds of the years 1973 to 5138 do not overlap, so the size of a number tells its unit.
_UNITS_BY_SIZE = ((10**11, SECOND), (10**14, MILLISECOND), (10**17, MICROSECOND))
_LARGEST_MICROSECONDS = 10**19  # what a timedelta holds, rounded down
# Years that survive every time zone's offset; the contract's own range is far narrower.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


class NotATimeError(Exception):
    """The value is not written as a time."""


class TimeRangeError(Exception):
    """The value is a time, but one that no record can have."""


def parse_time(value: object, zone: tzinfo, pattern: str | None = None) -> datetime:
    """A time written in ISO 8601 (in `zone` where it names none), as epoch number of any unit, or by a strptime pattern.

    Raises:
        NotATimeError: It is none of these.
        TimeRangeError: It lies before 1900 or after 2200.
    """
    if not isinstance(value, str):
        return _of_any_unit(value)
    written = value.strip()
    if pattern is None and len(written) != len("20260304") and _DECIMAL.fullmatch(written):
        return _of_any_unit(written)
    if len(written) > _LONGEST_WRITTEN:
        raise NotATimeError
    try:
        moment = datetime.strptime(written, pattern) if pattern else datetime.fromisoformat(written)  # noqa: DTZ007 - zone set below
    except ValueError as error:
        raise NotATimeError from error
    _check_year(moment.year)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def parse_epoch(value: object, unit: int) -> datetime:
    """A time given as a number, or number in text, of units since 1970; exact to the microsecond where the text is.

    Args:
        unit: SECOND, MILLISECOND or MICROSECOND.

    Raises:
        NotATimeError: It is no number.
        TimeRangeError: It lies before 1900 or after 2200.
    """
    microseconds = _microseconds(value, unit)
    if abs(microseconds) > _LARGEST_MICROSECONDS:
        raise TimeRangeError
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise TimeRangeError from error
    _check_year(moment.year)
    return moment


def parse_day(value: object, zone: tzinfo) -> date:
    """The day that is written ("2026-03-04", "2026-03-04T00:00:00Z"), or the day in `zone` of an epoch number.

    Sources write days as midnight UTC: moved into a zone west of it, they would become the day before.

    Raises:
        NotATimeError: It is neither.
        TimeRangeError: It lies before 1900 or after 2200.
    """
    moment = parse_time(value, zone)
    written = _WRITTEN_DAY.match(value.strip()) if isinstance(value, str) else None
    return date.fromisoformat(written[0]) if written else moment.astimezone(zone).date()


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _of_any_unit(value: object) -> datetime:
    size = abs(_microseconds(value, MICROSECOND))
    unit = next((unit for limit, unit in _UNITS_BY_SIZE if size < limit), None)
    if unit is None:
        raise TimeRangeError
    return parse_epoch(value, unit)


def _microseconds(value: object, unit: int) -> int:
    """A number of units in whole microseconds; a text's decimals are not sent through a float, which would lose digits."""
    if isinstance(value, str):
        decimal = _DECIMAL.fullmatch(value.strip())
        if decimal is None:
            raise NotATimeError
        sign, whole, fraction = decimal.groups(default="")
        nano = int(fraction[:9].ljust(9, "0"))
        return (-1 if sign else 1) * (int(whole) * unit + nano * unit // 10**9)
    if isinstance(value, float) and math.isfinite(value):
        return round(max(-_LARGEST_MICROSECONDS, min(_LARGEST_MICROSECONDS, value)) * unit)  # a larger product may be infinite
    if isinstance(value, int) and not isinstance(value, bool):
        return value * unit
    raise NotATimeError


def _check_year(year: int) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise TimeRangeError
