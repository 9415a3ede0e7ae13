"""Calendar arithmetic in half-open ranges of days, with a tenant's fiscal year and week. Out of the years 1 to 9999 there is nothing."""

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Unit = Literal["day", "week", "month", "quarter", "half", "year"]
Cycle = Literal["week", "month", "year"]
_MONTHS: dict[Unit, int] = {"month": 1, "quarter": 3, "half": 6, "year": 12}
_DECEMBER = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """How a tenant counts time."""

    fiscal_start_month: int = 1  # 1 to 12; quarters, halves and "FY26" follow it
    fiscal_named_by: Literal["start", "end"] = "end"  # which of its two calendar years names a fiscal year
    week_start: int = 0  # 0 is Monday, 6 Sunday
    day_first: bool = False  # 3/4/2026 is 3 April; with it off, 4 March
    time_zone: str = "UTC"  # IANA name

    def today(self, now: datetime) -> date:
        """The day on which an aware moment falls here."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()

    def moment(self, day: date) -> datetime:
        """The first moment of a day here, in UTC: midnight, or what comes next where clocks skip it."""
        return datetime.combine(day, time(), ZoneInfo(self.time_zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Days:
    """From `start` up to, and without, `end`; None is open."""

    start: date | None
    end: date | None

    @property
    def is_range(self) -> bool:
        """Whether anything lies in it."""
        return self.start is None or self.end is None or self.start < self.end


@dataclass(frozen=True, slots=True)
class Recurring:
    """What comes again each week, month or year: "Monday", "the 3rd", "March", "Q1"."""

    cycle: Cycle
    at: Callable[[int], Days | None]  # by `cycle_no`; None where there is none, as 29 February

    def latest(self, day: date) -> Days | None:
        """The last one that has begun by `day`."""
        last = cycle_no(day, self.cycle) + 1
        found = (self.at(number) for number in range(last, last - 10, -1))
        return next((each for each in found if each and each.start and each.start <= day), None)

    def first(self, day: date) -> Days | None:
        """The first one that begins on `day` or later."""
        first = cycle_no(day, self.cycle) - 1
        found = (self.at(number) for number in range(first, first + 11))
        return next((each for each in found if each and each.start and each.start >= day), None)


def cycle_no(day: date, cycle: Cycle) -> int:
    """The number of the year, of the month since the year 0, or of the Monday week since the year 1."""
    if cycle == "year":
        return day.year
    return day.year * 12 + day.month - 1 if cycle == "month" else (day.toordinal() - 1) // 7


def a_day(day: date) -> Days:
    """One day."""
    return Days(day, later(day, 1))


def later(day: date, days: int) -> date:
    """So many days later (earlier, if negative); the first or last day there is, beyond it."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def months_later(day: date, months: int) -> date:
    """The same day of another month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        return date.max if months > 0 else date.min
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def units_later(day: date, number: int, unit: Unit) -> date:
    """So many days, weeks, months, quarters or years later."""
    return later(day, number * (7 if unit == "week" else 1)) if unit in ("day", "week") else months_later(day, number * _MONTHS[unit])


def unit_of(day: date, unit: Unit, calendar: Calendar, shift: int = 0) -> Days:
    """The whole unit that a day lies in, or the one `shift` units later. Quarters and halves are fiscal ones, years are not."""
    if unit == "day":
        start = day
    elif unit == "week":
        start = later(day, -((day.weekday() - calendar.week_start) % 7))
    elif unit == "year":
        start = date(day.year, 1, 1)
    else:
        start = _block(day, _MONTHS[unit], calendar.fiscal_start_month)
    start = units_later(start, shift, unit)
    return Days(start, units_later(start, 1, unit))


def fiscal_year(label: int, calendar: Calendar) -> Days | None:
    """The fiscal year of that name."""
    begins = label - 1 if calendar.fiscal_named_by == "end" and calendar.fiscal_start_month > 1 else label
    return months(begins, calendar.fiscal_start_month, 12)


def fiscal_label(day: date, calendar: Calendar) -> int:
    """The name of the fiscal year that a day lies in."""
    begun = day.year if day.month >= calendar.fiscal_start_month else day.year - 1
    return begun + 1 if calendar.fiscal_named_by == "end" and calendar.fiscal_start_month > 1 else begun


def fiscal_part(label: int, number: int, parts: int, calendar: Calendar) -> Days | None:
    """The `number`th (from 1) of so many equal parts of a fiscal year: 4 for quarters, 2 for halves."""
    year = fiscal_year(label, calendar)
    if year is None or year.start is None or not 1 <= number <= parts:
        return None
    length = 12 // parts
    return Days(months_later(year.start, length * (number - 1)), months_later(year.start, length * number))


def months(year: int, month: int, number: int = 1) -> Days | None:
    """So many months from the first of one."""
    if not date.min.year <= year < date.max.year or not 1 <= month <= _DECEMBER:
        return None
    start = date(year, month, 1)
    return Days(start, months_later(start, number))


def day_of(year: int, month: int, day: int) -> Days | None:
    """One day, where there is such a one."""
    if not date.min.year <= year < date.max.year or not 1 <= month <= _DECEMBER or not 1 <= day <= monthrange(year, month)[1]:
        return None
    return a_day(date(year, month, day))


def _block(day: date, length: int, start_month: int) -> date:
    """The first day of the block of so many months that a day lies in, counted from the fiscal year's start."""
    into = (day.month - start_month) % length
    return months_later(date(day.year, day.month, 1), -into)
