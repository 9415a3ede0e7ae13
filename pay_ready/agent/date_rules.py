"""What a rule about times is: a pattern, and what a match of it means on a tenant's day."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pay_ready.agent.calendars import Calendar, Days, Recurring, a_day
from pay_ready.agent.date_words import pattern

Grain = Literal["day", "week", "month", "quarter", "half", "year", "span"]
# What a time must stand beside to be one: nothing; or a preposition, for words that are names, numbers or verbs too.
Doubt = Literal["none", "month", "weekday", "year", "day_no", "fraction", "season", "today"]


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule makes of a match."""

    days: Days | Recurring | None
    grain: Grain
    doubt: Doubt = "none"


@dataclass(frozen=True, slots=True)
class Now:
    """The day and calendar that times are told from."""

    today: date
    calendar: Calendar


Rule = Callable[[re.Match[str], Now], Found | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules in the order they were written."""

    kept: list[tuple[re.Pattern[str], Rule]] = field(default_factory=list)

    def rule(self, text: str) -> Callable[[Rule], Rule]:
        """Keeps the decorated rule under a pattern of `date_words`."""

        def keep(rule: Rule) -> Rule:
            self.kept.append((pattern(text), rule))
            return rule

        return keep

    def __iter__(self) -> Iterator[tuple[re.Pattern[str], Rule]]:
        return iter(self.kept)


def every_weekday(number: int) -> Recurring:
    """0 is Monday."""
    return Recurring("week", lambda week: a_day(date.fromordinal(week * 7 + 1 + number)) if 0 <= week < 521_000 else None)
