"""Times that are told by the time of the question before: "the month before", "the same period last year", "before that"."""

import re
from datetime import date

from pay_ready.agent.calendars import Days, Unit, later, months_later, units_later
from pay_ready.agent.plan import TimeRange

_I = re.IGNORECASE
_UNIT = r"(day|week|month|quarter|half|year)"
_THAT = r"(?: (?:that|this|it))?\b"
_A_YEAR_BACK = re.compile(
    r"\b(?:the )?same (?:period|time|span|range|days?|weeks?|months?|quarter|half)"
    r"(?: (?:of|in))? (?:last year|the (?:year before|previous year)|(?:a|one) year (?:ago|before|earlier))\b"
    rf"|\b(?:a|one) year (?:before|earlier)\b|\bthe year before{_THAT}|\bthe previous year\b",
    _I,
)
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12}
_SEVERAL = re.compile(
    rf"\bthe (\d{{1,3}}|{'|'.join(_NUMBERS)}) (day|week|month|quarter|year)s (?:(before|after){_THAT}|(preceding|following)\b)",
    _I,
)
_BESIDE = re.compile(
    rf"\bthe (?P<unit>{_UNIT}) (?P<way>before|after){_THAT}"
    rf"|\bthe (?P<way2>previous|prior|preceding|following|next) (?P<unit2>{_UNIT})\b"
    rf"|\bthe (?:period|one|time) (?P<way3>before|after){_THAT}",
    _I,
)
_BEYOND = re.compile(r"^(?:(?:and|but|what about|how about|what (?:was|happened|came)) )*(before|after|since) (?:that|then|this)\W*$", _I)
_BACK = frozenset(("before", "previous", "prior", "preceding"))


def time_beside(text: str, before: TimeRange) -> TimeRange | None:
    """The days that a text tells by those of the question before; None where it tells none.

    Args:
        text: Of the question, plain.
        before: The days of the question before it.
    """
    found = _A_YEAR_BACK.search(text)
    if found:
        return _months_moved(before, -12, found[0])
    if found := _SEVERAL.search(text):
        number = _NUMBERS.get(found[1].lower()) or int(found[1])
        return _unit_beside(before, _unit(found[2]), number, found[0], back=(found[3] or found[4]).lower() in _BACK)
    if found := _BESIDE.search(text):
        way = found["way"] or found["way2"] or found["way3"]
        return _beside(before, found["unit"] or found["unit2"], found[0], back=way.lower() in _BACK)
    found = _BEYOND.search(text)
    return _beyond(before, found[0], back=found[1].lower() == "before") if found else None


def _beside(before: TimeRange, unit: str | None, words: str, *, back: bool) -> TimeRange | None:
    """The unit that ends where the range begins, or begins where it ends; of "the one before" a range of its length."""
    if (named := _unit(unit)) is not None:
        return _unit_beside(before, named, 1, words, back=back)
    if before.start is None or before.end is None:
        return None
    if before.start.day == before.end.day == 1:  # whole months
        length = (before.end.year - before.start.year) * 12 + before.end.month - before.start.month
        return _months_moved(before, -length if back else length, words)
    days = (before.end - before.start).days
    if back:
        return _range(start=later(before.start, -days), end=before.start, words=words)
    return _range(start=before.end, end=later(before.end, days), words=words)


def _unit_beside(before: TimeRange, unit: Unit | None, number: int, words: str, *, back: bool) -> TimeRange | None:
    if unit is None or not number:
        return None
    if back:
        return _range(start=units_later(before.start, -number, unit), end=before.start, words=words) if before.start else None
    return _range(start=before.end, end=units_later(before.end, number, unit), words=words) if before.end else None


def _unit(name: str | None) -> Unit | None:
    units: tuple[Unit, ...] = ("day", "week", "month", "quarter", "half", "year")
    return next((unit for unit in units if name and unit == name.lower()), None)


def _range(*, start: date | None, end: date | None, words: str) -> TimeRange | None:
    """None where nothing lies in it: at the ends of the calendar."""
    is_range = Days(start, end).is_range and (start or end)
    return TimeRange(start=start, end=end, words=words) if is_range else None


def _months_moved(before: TimeRange, months: int, words: str) -> TimeRange | None:
    start, end = (months_later(day, months) if day else None for day in (before.start, before.end))
    return _range(start=start, end=end, words=words)


def _beyond(before: TimeRange, words: str, *, back: bool) -> TimeRange | None:
    if back:
        return _range(start=None, end=before.start, words=words) if before.start else None
    return _range(start=before.end, end=None, words=words) if before.end else None
