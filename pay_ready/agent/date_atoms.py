"""Single times in a text, by the rules of the calendar and those told from today. What they make together is `date_phrases`."""

import re
from dataclasses import dataclass

from pay_ready.agent import calendar_dates, relative_dates
from pay_ready.agent.calendars import Days, Recurring
from pay_ready.agent.date_rules import Doubt, Grain, Now, Rule

_RULES = (*calendar_dates.RULES, *relative_dates.RULES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One time, where it stands and which days it is."""

    begin: int  # in the text
    end: int
    days: Days
    grain: Grain
    recurring: Recurring | None = None  # where no year (month, week) was said
    doubt: Doubt = "none"
    members: tuple[Days, ...] = ()  # of "A and B" and "A against B"
    edge: Days | None = None  # the day that "since" and "until" mean by it: the last one of "the end of June"


def atoms(text: str, now: Now) -> list[Atom]:
    """The times in a plain text, none over another: of two that start together the longer, then the rule written first."""
    found = [
        (made.begin, -made.end, place, made)
        for place, (pattern, rule) in enumerate(_RULES)
        for match in pattern.finditer(text)
        if (made := _atom(match, rule, now))
    ]
    kept: list[Atom] = []
    for _, _, _, atom in sorted(found, key=lambda each: each[:3]):
        if not kept or atom.begin >= kept[-1].end:
            kept.append(atom)
    return kept


def _atom(match: re.Match[str], rule: Rule, now: Now) -> Atom | None:
    made = rule(match, now)
    if made is None or made.days is None:
        return None
    recurring = made.days if isinstance(made.days, Recurring) else None
    days = recurring.latest(now.today) if recurring else made.days
    if not isinstance(days, Days) or not days.is_range:
        return None
    return Atom(begin=match.start(), end=match.end(), days=days, grain=made.grain, recurring=recurring, doubt=made.doubt)
