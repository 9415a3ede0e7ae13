"""Parts of a time and times beside one: "the end of June", "the first week of Q3", "the week of October 5", "two days before 3 March"."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

from pay_ready.agent.calendars import Calendar, Days, Recurring, Unit, a_day, later, months_later, unit_of, units_later
from pay_ready.agent.date_atoms import Atom
from pay_ready.agent.date_rules import Now
from pay_ready.agent.date_words import number_of, ordinal_of, pattern

Closed = tuple[date, date]
Take = Callable[[Closed], Days | None]
_UNITS: dict[str, Unit] = {"day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year"}
_SPANS: dict[str, Unit] = {"week": "week", "month": "month", "quarter": "quarter", "year": "year"}
_FIRST_THIRD, _SECOND_THIRD = 10, 20  # days of a month
_GAP = re.compile(r"[ -]*(?:of )?(?:the )?$", re.IGNORECASE)
_THIS_UNIT = re.compile(r"(?:the |this )?(week|month|quarter|year)\b(?! (?:of|before|after|to))", re.IGNORECASE)

_PART = pattern(
    r"(?:(?:right )?(?:at |in )?the )?(?P<edge>very beginning|beginning|start|first part|middle|very end|end"
    r"|latter part|tail end|close)(?: of)?"
    r"|(?P<third>early|mid|late)(?: in)?"
    r"|(?:the )?(?P<half>first|second|1st|2nd|last|latter) half of"
    r"|(?:the )?(?P<some>first|last|final) (?P<number>{number}) (?P<units>day|week|month|quarter)s of"
    r"|(?:the )?(?P<nth>{ordinal}) (?P<unit>day|week|month|quarter) (?:of|in)"
    r"|(?:the )?(?P<around>week|month|quarter) (?:of|commencing|beginning|starting|from)|w/?c"
    r"|(?:the )?(?P<ending>week) ending(?: on)?"
    r"|(?:(?:the )?(?P<count>{number}) (?P<beside>day|week|fortnight|month|quarter|year)s?|(?:the )?(?P<one>day|week|fortnight|month"
    r"|quarter|year)) (?P<side>before|after|prior to|following|preceding|leading up to|up to)"
    r"|the (?:(?P<long>{number}) )?(?P<measure>day|week|fortnight|month|quarter|year)s? (?P<limit>ending|to|until|till|beginning|starting"
    r"|commencing)(?: on| in| at| with)?"
)
_SAME = re.compile(r"(?:the )?(?:whole |entire |full )?(?:month|year|quarter|day|season|period) of (?:the )?$", re.IGNORECASE)


def with_parts(text: str, found: list[Atom], now: Now) -> list[Atom]:
    """The times with what is said of them: a part of a time takes the time's place."""
    parts = [(match, match.end()) for match in _PART.finditer(text)]
    for match, end in reversed(parts):
        if any(atom.begin <= match.start() < atom.end for atom in found):
            continue
        host = next((atom for atom in found if atom.begin >= end and _GAP.fullmatch(text[end : atom.begin])), None) or _unit_after(
            text, end, match, now
        )
        if host and (made := _part_of(match, host, now.calendar)):
            found = sorted([*(atom for atom in found if atom is not host), made], key=lambda atom: atom.begin)
    return [_widened(text, atom) for atom in found]


def _widened(text: str, atom: Atom) -> Atom:
    before = _SAME.search(text[: atom.begin])
    return replace(atom, begin=before.start(), doubt="none") if before and atom.doubt in ("month", "year", "season") else atom


def _unit_after(text: str, end: int, match: re.Match[str], now: Now) -> Atom | None:
    if not (match["edge"] or match["half"] or match["some"] or match["nth"]) or not (unit := _THIS_UNIT.match(text, end + 1)):
        return None
    size = _SPANS[unit[1].lower()]
    return Atom(begin=unit.start(), end=unit.end(), days=unit_of(now.today, size, now.calendar), grain="span")


def _part_of(match: re.Match[str], host: Atom, calendar: Calendar) -> Atom | None:
    take, point = _taker(match, calendar)
    days = _taken(take, host.days)
    if days is None or not days.is_range:
        return None
    whole = host.recurring
    recurring = Recurring(whole.cycle, lambda number: _taken(take, whole.at(number))) if whole else None
    edge = _taken(point, host.days) if point else None
    return Atom(begin=match.start(), end=host.end, days=days, grain="span", recurring=recurring, edge=edge)


def _taken(take: Take, days: Days | None) -> Days | None:
    return take((days.start, days.end)) if days and days.start and days.end else None


def _taker(match: re.Match[str], calendar: Calendar) -> tuple[Take, Take | None]:
    """What a part takes of its host; and the day that "since" and "until" mean by it."""
    if word := (match["edge"] or match["third"]):
        return _edge(word.lower())
    if match["half"]:
        first = match["half"].lower() in ("first", "1st")
        return lambda host: _halved(host, first=first), None
    if match["some"]:
        number, unit = number_of(match["number"]), match["units"].lower()
        return lambda host: _some(host, unit, number, first=match["some"].lower() == "first"), None
    if match["nth"]:
        nth, unit = ordinal_of(match["nth"]), match["unit"].lower()
        return lambda host: _nth(host, unit, nth), None
    if match["ending"]:
        return lambda host: Days(later(host[1], -7), host[1]), None
    if match["side"]:
        return _beside(match), None
    if match["limit"]:
        return _measured(match), None
    around = (match["around"] or "week").lower()
    return lambda host: host_unit(host, around, calendar), None


def host_unit(host: Closed, unit: str, calendar: Calendar) -> Days:
    """The week, month or quarter that a time lies in; a time that is as long is itself that."""
    return unit_of(host[0], _UNITS[unit], calendar) if _is_day(host) else Days(*host)


def _is_day(host: Closed) -> bool:
    return (host[1] - host[0]).days == 1


def _edge(word: str) -> tuple[Take, Take]:
    if word in ("early", "very beginning", "beginning", "start", "first part"):
        return lambda host: _third(host, 0), lambda host: a_day(host[0])
    if word in ("mid", "middle"):
        return lambda host: _third(host, 1), lambda host: a_day((_third(host, 1).start) or host[0])
    return lambda host: _third(host, 2), lambda host: a_day(later(host[1], -1))


def _third(host: Closed, which: int) -> Days:
    start, end = host
    length = (end - start).days
    whole_months = (end.year - start.year) * 12 + end.month - start.month if start.day == end.day == 1 else 0
    if whole_months == 1:
        cuts = [start, later(start, _FIRST_THIRD), later(start, _SECOND_THIRD), end]
    elif whole_months and whole_months % 3 == 0:
        cuts = [months_later(start, whole_months // 3 * step) for step in range(4)]
    else:
        cuts = [later(start, -(-length * step // 3)) for step in range(3)] + [end]
    return Days(cuts[which], cuts[which + 1])


def _halved(host: Closed, *, first: bool) -> Days:
    start, end = host
    whole_months = (end.year - start.year) * 12 + end.month - start.month if start.day == end.day == 1 else 0
    middle = months_later(start, whole_months // 2) if whole_months and whole_months % 2 == 0 else later(start, (end - start).days // 2)
    return Days(start, middle) if first else Days(middle, end)


def _some(host: Closed, unit: str, number: int, *, first: bool) -> Days | None:
    start, end = host
    size = _UNITS[unit]
    made = Days(start, units_later(start, number, size)) if first else Days(units_later(end, -number, size), end)
    return made if made.start and made.end and start <= made.start and made.end <= end else None


def _nth(host: Closed, unit: str, nth: int) -> Days | None:
    if nth < 0:
        return _some(host, unit, 1, first=False)
    size = _UNITS[unit]
    start = units_later(host[0], nth - 1, size)
    end = min(units_later(start, 1, size), host[1])
    return Days(start, end) if start < host[1] else None


def _beside(match: re.Match[str]) -> Take:
    number, size = _length(match["count"], match["beside"] or match["one"])
    if match["side"].lower() in ("after", "following"):
        return lambda host: Days(host[1], units_later(host[1], number, size))
    return lambda host: Days(units_later(host[0], -number, size), host[0])


def _measured(match: re.Match[str]) -> Take:
    """ "The six months to the end of August", "the fortnight beginning 7 September": the time at which they end, or begin, is in them."""
    number, size = _length(match["long"], match["measure"])
    if match["limit"].lower() in ("beginning", "starting", "commencing"):
        return lambda host: Days(host[0], units_later(host[0], number, size))
    return lambda host: Days(units_later(host[1], -number, size), host[1])


def _length(count: str | None, unit: str) -> tuple[int, Unit]:
    said = (count or "one").lower()
    number = 1 if said.endswith(("half", "half a")) else number_of(said)
    return (2 * number, "week") if unit.lower() == "fortnight" else (number, _UNITS[unit.lower()])
