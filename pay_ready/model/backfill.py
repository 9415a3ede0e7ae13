"""A stretch of history to bring in: how it is cut, and what identifies one of its pieces."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from pay_ready.model.ids import PlanId

PlanStatus = Literal["planned", "running", "complete", "aborted"]
ChunkStatus = Literal["planned", "running", "interrupted", "complete", "failed"]
# Which chunks are run: those that never failed and are not complete; the failed ones, too; or all of them, in a plan of their own.
Reprocess = Literal["none", "failed", "completed"]
REPROCESS: tuple[Reprocess, ...] = get_args(Reprocess)
Unit = Literal["hour", "day", "month"]

_SHORT: dict[str, tuple[int, Unit]] = {
    "h": (1, "hour"), "d": (1, "day"), "w": (7, "day"), "mo": (1, "month"), "y": (12, "month"),
}  # fmt: skip
_LENGTH = re.compile(r"([1-9][0-9]{0,5})(h|d|w|mo|y)")
_INTERVAL = re.compile(r"(?:(\d+) years? ?)?(?:(\d+) mons? ?)?(?:(\d+) days? ?)?(?:(\d+):00:00)?")
_LAST_YEAR = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLength:
    """Hours, or days and months of the calendar, all in UTC. The same length has one spelling: 24 hours are a day."""

    count: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> "ChunkLength | None":
        """From "12h", "1d", "2w", "1mo", "1y"; None when it is no length."""
        found = _LENGTH.fullmatch(text)
        if found is None:
            return None
        factor, unit = _SHORT[found[2]]
        return cls._of(int(found[1]) * factor, unit)

    @classmethod
    def from_interval(cls, text: str) -> "ChunkLength":
        """From the text that Postgres makes of an interval which came of `interval`."""
        found = _INTERVAL.fullmatch(text)
        years, months, days, hours = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
        if years or months:
            return cls._of(years * 12 + months, "month")
        return cls._of(days, "day") if days else cls._of(hours, "hour")

    @classmethod
    def _of(cls, count: int, unit: Unit) -> "ChunkLength":
        return cls(count=count // 24, unit="day") if unit == "hour" and count % 24 == 0 else cls(count=count, unit=unit)

    def __str__(self) -> str:
        return f"{self.count}{ {'hour': 'h', 'day': 'd', 'month': 'mo'}[self.unit] }"

    @property
    def interval(self) -> str:
        """As Postgres reads it."""
        return f"{self.count} {self.unit}"

    def marks(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The boundaries of the chunks from `start` to `end`, both included; the last chunk may be short."""
        number, mark = 0, start
        while mark < end:
            yield mark
            number += 1
            mark = self._after(start, number * self.count)
        yield end

    def _after(self, start: datetime, count: int) -> datetime:
        """Counted from the start each time: the months after 31 January end on their own last days."""
        if self.unit != "month":
            try:
                return start + (timedelta(hours=count) if self.unit == "hour" else timedelta(days=count))
            except OverflowError:
                return datetime.max.replace(tzinfo=start.tzinfo)
        year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
        if year > _LAST_YEAR:
            return datetime.max.replace(tzinfo=start.tzinfo)
        return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkKey:
    """One chunk of one plan."""

    plan_id: PlanId
    start: datetime
