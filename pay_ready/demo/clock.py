"""Local working hours, in UTC: time zones with the two daylight saving rules the demo needs.

Written out here because the zone database of a machine may differ or be missing, and the files have to come out byte for byte.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal

YEAR_START = date(2025, 11, 1)
YEAR_END = date(2026, 10, 31)
YEAR_DAYS = (YEAR_END - YEAR_START).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A time zone by the name the sources use."""

    name: str
    label: str
    standard: timedelta  # offset from UTC outside daylight saving time
    saving: Literal["american", "european", "none"]

    def offset(self, day: date) -> timedelta:
        """The offset from UTC at noon of a day."""
        summer = {"american": _american_summer(day), "european": _european_summer(day), "none": False}[self.saving]
        return self.standard + (timedelta(hours=1) if summer else timedelta())

    def utc(self, day: date, minutes: int) -> datetime:
        """The instant when local clocks show that many minutes after midnight."""
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes) - self.offset(day)


def _zone(name: str, label: str, hours: int, saving: Literal["american", "european", "none"]) -> Zone:
    return Zone(name=name, label=label, standard=timedelta(hours=hours), saving=saving)


EASTERN = _zone("America/New_York", "Eastern Time", -5, "american")
_CENTRAL = _zone("America/Chicago", "Central Time", -6, "american")
_MOUNTAIN = _zone("America/Denver", "Mountain Time", -7, "american")
_ARIZONA = _zone("America/Phoenix", "Mountain Standard Time", -7, "none")
PACIFIC = _zone("America/Los_Angeles", "Pacific Time", -8, "american")
_MONTERREY = _zone("America/Monterrey", "Central Standard Time", -6, "none")
LONDON = _zone("Europe/London", "United Kingdom Time", 0, "european")
BERLIN = _zone("Europe/Berlin", "Central European Time", 1, "european")
_BY_STATE = {
    **dict.fromkeys(("OH", "NJ", "FL", "NH", "NC", "MI", "VT", "ON"), EASTERN),
    **dict.fromkeys(("NE", "MN", "WI", "KS"), _CENTRAL),
    **dict.fromkeys(("CO", "UT", "ID"), _MOUNTAIN),
    **dict.fromkeys(("OR", "CA", "NV"), PACIFIC),
    "AZ": _ARIZONA,
}
_BY_COUNTRY = {"GB": LONDON, "DE": BERLIN, "MX": _MONTERREY, "US": EASTERN, "CA": EASTERN}


def zone_of(country: str, state: str) -> Zone:
    """The zone of a place; the state decides where a country has several."""
    return _BY_COUNTRY[country] if country == "MX" else _BY_STATE.get(state, _BY_COUNTRY[country])


def working_time(first: date, last: date, zone: Zone, rng: Random, step: int = 1) -> datetime:
    """A moment of local working time between two days, on a multiple of `step` minutes."""
    day = first + timedelta(days=rng.randint(0, max(0, (last - first).days)))
    if day.weekday() > 4:  # a weekend moves to the Friday before, or to Monday when that lies outside
        day += timedelta(days=4 - day.weekday()) if day - timedelta(days=2) >= first else timedelta(days=7 - day.weekday())
    return zone.utc(day, rng.randrange(8 * 60, 17 * 60, step))


def _nth_sunday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (number - 1))


def _american_summer(day: date) -> bool:
    return _nth_sunday(day.year, 3, 2) <= day < _nth_sunday(day.year, 11, 1)


def _european_summer(day: date) -> bool:
    start, end = (_nth_sunday(day.year, month, 1) - timedelta(days=7) for month in (4, 11))
    return start <= day < end
