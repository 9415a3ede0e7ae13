"""Days, weeks and months in a time zone, half-open; and the line that fits what happened over weeks best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from pay_ready.errors import ConfigError

Period = Literal["day", "week", "month"]
Direction = Literal["rising", "falling", "steady"]

TREND_FORMULA = (
    "slope = sum((t - mean t) * (s - mean s)) / sum((t - mean t)^2), t in weeks; rising or falling where |slope| > 2 standard errors"
)
_WEEK_S = 7 * 24 * 3600
_LEAST_POINTS = 4  # a line through fewer says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The least-squares line through points in time."""

    slope_per_week: float  # of the score; 0 when all points are of one moment
    standard_error: float | None  # of the slope; None with too few points
    points: int
    direction: Direction | None  # None: too few points to say


def period_of(at: datetime, period: Period, time_zone: str = "UTC", week_start: int = 0) -> tuple[date, date]:
    """The period that a moment lies in: its first day and the first day after it, in the time zone.

    Args:
        at: An aware time.
        week_start: First day of the week, 0 is Monday, 6 Sunday.

    Raises:
        ConfigError: The time zone or the first day is unknown.
    """
    if not 0 <= week_start <= 6:
        raise ConfigError("no such day of the week", "choose 0 (Monday) to 6 (Sunday)", key="week_start", value=week_start)
    day = at.astimezone(_zone(time_zone)).date()
    if period == "week":
        day -= timedelta(days=(day.weekday() - week_start) % 7)
    elif period == "month":
        day = day.replace(day=1)
    return day, next_start(day, period)


def next_start(start: date, period: Period) -> date:
    """The first day after the period that begins on `start`."""
    if period == "month":
        return date(start.year + start.month // 12, start.month % 12 + 1, 1)
    return start + timedelta(days=7 if period == "week" else 1)


def trend_of(points: Sequence[tuple[datetime, float]]) -> Trend:
    """The line through (time, value) by least squares (TREND_FORMULA); se = sqrt(sum residual^2 / (n - 2) / sum (t - mean t)^2)."""
    count = len(points)
    if not count:
        return Trend(slope_per_week=0.0, standard_error=None, points=0, direction=None)
    first = min(at for at, _ in points)
    weeks = [(at - first).total_seconds() / _WEEK_S for at, _ in points]
    values = [value for _, value in points]
    mean_week, mean_value = math.fsum(weeks) / count, math.fsum(values) / count
    spread = math.fsum((week - mean_week) ** 2 for week in weeks)
    if spread == 0:
        return Trend(slope_per_week=0.0, standard_error=None, points=count, direction=None)
    slope = math.fsum((week - mean_week) * (value - mean_value) for week, value in zip(weeks, values, strict=True)) / spread
    residual = math.fsum((value - mean_value - slope * (week - mean_week)) ** 2 for week, value in zip(weeks, values, strict=True))
    error = math.sqrt(residual / (count - 2) / spread) if count > 2 else None
    return Trend(slope_per_week=slope, standard_error=error, points=count, direction=_direction(slope, error, count))


def _direction(slope: float, error: float | None, count: int) -> Direction | None:
    if error is None or count < _LEAST_POINTS:
        return None
    if abs(slope) <= max(2 * error, 1e-9):
        return "steady"
    return "rising" if slope > 0 else "falling"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError("unknown time zone", 'use an IANA name such as "Europe/Berlin"', value=name) from error
