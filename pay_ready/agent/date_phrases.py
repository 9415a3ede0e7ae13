"""What times make together: "from A to B", "since A", "until B", "A of B", "A and B". And which words only look like a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from pay_ready.agent.calendars import Days, later
from pay_ready.agent.date_atoms import Atom, atoms
from pay_ready.agent.date_context import may_be_a_time, stands_as_a_time
from pay_ready.agent.date_parts import with_parts
from pay_ready.agent.date_rules import Grain, Now

_SIZES: dict[Grain, int] = {"day": 0, "week": 1, "month": 2, "span": 2, "quarter": 3, "half": 4, "year": 5}
_SOON = 31  # days: a range that has begun may end so far ahead
_I = re.IGNORECASE
_OF = re.compile(r",? (?:(?:of|in|from|during|on) )?(?:the )?|'s ", _I)
_TO = re.compile(
    r" ?(?:-|\.\.+|to|through|thru|until|till|up to|up until|through to|right up to|and(?: ending)?(?: on| in"
    r"| with)?) ?(?:the )?(?:in |on )?",
    _I,
)
_SLASH = re.compile(r" ?/ ?")
_BETWEEN = re.compile(
    r"\b(?:between|from|since|starting(?: from| on| in| with)?|beginning(?: on| in| with)?|betw\.?|anywhere from) (?:the )?$", _I
)
_TO_NOW = re.compile(
    r",? ?(?:-|to|through|until|till|up to|up until|and|right up to|so far) ?(?:now|the present(?: day)?|present|date|today|right now)\b",
    _I,
)
_ONWARDS = re.compile(
    r",? (?:onwards?|forwards?|and (?:later|after|onwards?)|or later|on)(?=$|[ ,.?!;:])(?! (?:the|a|our|my"
    r"|your|this|that|his|her|their|behalf|call)\b)",
    _I,
)
_AND_BEFORE = re.compile(r" (?:or|and) (?:earlier|before)(?=$|[,.?!;:]| (?:from|with|by|for|on|in)\b)", _I)
_MODIFIERS = (
    (
        "since",
        re.compile(
            r"\b(?:ever since|since|starting(?: from| on| in| with| at)?|beginning(?: on| in| with| at)|as of"
            r"|no earlier than|not before|(?:on|in) (?:or|and) after)(?: the)? $",
            _I,
        ),
    ),
    ("after", re.compile(r"(?<!no )(?<!not )\b(?:after|later than|subsequent to)(?: the)? $", _I)),
    ("before", re.compile(r"\b(?:before|prior to|earlier than|ahead of|up to but not including)(?: the)? $", _I)),
    (
        "until",
        re.compile(
            r"\b(?:up until|until|up till|till|til|up to|through|thru|by|no later than|not later than|ending(?: on| in)?"
            r"|(?:on|in) (?:or|and) before)(?: and including)?(?: the)? $",
            _I,
        ),
    ),
)
_BUT = re.compile(r",? ?(?:and|but)? ?", _I)
_AND = re.compile(r" ?(?:,|&|\+|/|and|or|plus|, ?and|, ?or|as well as|and also) ?(?:(?:in|on|for|during) )?(?:the )?", _I)
_AGAINST = re.compile(
    r",? ?(?:vs\.?|versus|compared? (?:to|with|against)|against|relative to|than|over|with) ?(?:(?:in|on) )?(?:the )?", _I
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A whole time, as it was written."""

    begin: int
    end: int
    days: Days
    members: tuple[Days, ...]  # the times that it joins, where it joins several


def phrases(text: str, now: Now) -> list[Phrase]:
    """The times in a plain text, put together, in the order they stand. A name that looks like a time is none."""
    found = [atom for atom in atoms(text, now) if may_be_a_time(text, atom)]
    found = with_parts(text, found, now)
    for step in (_within, _spans, _modified, _both_ends, _joined):
        found = list(step(text, found, now))
    return [Phrase(atom.begin, atom.end, atom.days, atom.members) for atom in found if stands_as_a_time(text, atom)]


def _within(text: str, found: list[Atom], _: Now) -> Iterator[Atom]:
    """ "Monday last week", "March of last year", "last year's Q1"."""
    rest = list(found)
    while rest:
        atom = rest.pop(0)
        while rest and _OF.fullmatch(text[atom.end : rest[0].begin]) and (made := _inside(atom, rest[0]) or _inside(rest[0], atom)):
            atom = replace(made, begin=atom.begin, end=rest.pop(0).end)
        yield atom


def _inside(small: Atom, large: Atom) -> Atom | None:
    if small.recurring is None or large.recurring is not None or large.days.start is None or _SIZES[small.grain] >= _SIZES[large.grain]:
        return None
    days = small.recurring.first(large.days.start)
    if days is None or days.end is None or (large.days.end and days.end > large.days.end):
        return None
    return replace(small, days=days, recurring=None, doubt="none")


def _spans(text: str, found: list[Atom], now: Now) -> Iterator[Atom]:
    """ "from A to B", "between A and B", "A - B", "from A until now"."""
    rest = list(found)
    while rest:
        atom = rest.pop(0)
        opening = _BETWEEN.search(text[: atom.begin])
        begin = opening.start() if opening else atom.begin
        other = rest[0] if rest else None
        if other and _connects(text[atom.end : other.begin], opening is not None, atom, other) and (days := _from_to(atom, other, now)):
            yield Atom(begin=begin, end=rest.pop(0).end, days=days, grain="span")
        elif (until := _TO_NOW.match(text, atom.end)) and atom.days.start and atom.days.start <= now.today:
            yield Atom(begin=begin, end=until.end(), days=Days(atom.days.start, later(now.today, 1)), grain="span")
        elif opening and (onwards := _ONWARDS.match(text, atom.end)):
            yield Atom(begin=begin, end=onwards.end(), days=Days((atom.edge or atom.days).start, None), grain="span")
        else:
            yield atom


def _connects(gap: str, opened: bool, atom: Atom, other: Atom) -> bool:
    if _SLASH.fullmatch(gap):
        return atom.grain == other.grain == "day" and not atom.recurring
    if not _TO.fullmatch(gap):
        return False
    return opened or "and" not in gap.lower()


def _from_to(atom: Atom, other: Atom, now: Now) -> Days | None:
    first, last = ordered(atom, other, now.today)
    start, end = (atom.edge or first).start if first == atom.days else first.start, last.end
    if start is None or end is None:
        return None
    if start >= end and first.end and last.start:  # written the wrong way round
        start, end = last.start, first.end
    return Days(start, end) if start < end else None


def ordered(atom: Atom, other: Atom, today: date) -> tuple[Days, Days]:
    """Two times as one before the other: what has no year takes the one that fits the other."""
    first, last = atom.days, other.days
    if first.start is None or last.start is None:
        return first, last
    if atom.recurring and other.recurring:
        if first.start <= last.start:
            return first, last
        coming = other.recurring.first(first.start)
        if coming and coming.start and atom.grain != "day" and coming.start.year == today.year and (coming.start - today).days <= _SOON:
            return first, coming
        return atom.recurring.latest(last.start) or first, last
    if other.recurring:
        return first, other.recurring.first(first.start) or last
    if atom.recurring:
        return atom.recurring.latest(last.start) or first, last
    return first, last


def _modified(text: str, found: list[Atom], now: Now) -> Iterator[Atom]:
    """ "since A", "after A", "before A", "until A", "by A", "A or earlier"."""
    for atom in found:
        if earlier := _AND_BEFORE.match(text, atom.end):
            yield replace(atom, end=earlier.end(), days=Days(None, atom.days.end), recurring=None, doubt="none")
            continue
        for word, before in _MODIFIERS:
            if match := before.search(text[: atom.begin]):
                yield _opened(word, match, atom, now)
                break
        else:
            yield atom


def _opened(word: str, match: re.Match[str], atom: Atom, now: Now) -> Atom:
    days, edge = atom.days, atom.edge or atom.days
    by = match[0].lower().startswith("by ")
    if by and atom.recurring and atom.recurring.cycle == "week":
        days = edge = atom.recurring.first(now.today) or days
    made = {
        "since": Days(edge.start, None),
        "after": Days(days.end, None),
        "before": Days(None, edge.end if atom.edge else days.start),
        "until": Days(None, edge.end),
    }[word]
    doubt = atom.doubt if by else "none"
    return Atom(begin=match.start(), end=atom.end, days=made, grain="span", doubt=doubt)


def _both_ends(text: str, found: list[Atom], _: Now) -> Iterator[Atom]:
    """ "since A but before B": an open end and an open start make one range."""
    rest = list(found)
    while rest:
        atom = rest.pop(0)
        if rest and atom.days.end is None and rest[0].days.start is None and _BUT.fullmatch(text[atom.end : rest[0].begin]):
            days = Days(atom.days.start, rest[0].days.end)
            if days.is_range:
                atom = replace(atom, end=rest.pop(0).end, days=days)
        yield atom


def _joined(text: str, found: list[Atom], now: Now) -> Iterator[Atom]:
    """ "October and November", "Q1 against Q2": one range from the first to the last, and both."""
    rest = list(found)
    while rest:
        atom = rest.pop(0)
        while rest and _joins(text[atom.end : rest[0].begin]):
            other = rest[0]
            pairs = [(atom.days, other.days), ordered(atom, other, now.today)] if other.recurring else [ordered(atom, other, now.today)]
            if not (hulls := [(hull, pair) for pair in pairs if (hull := _hull(*pair))]):
                break
            # "Q3 and Q2" are both this year's, "October and December" lie together in the last.
            days, (first, last) = min(hulls, key=lambda each: _length(each[0]))
            atom = replace(atom, end=rest.pop(0).end, days=days, recurring=None, members=(*(atom.members or (first,)), last))
        yield atom


def _hull(first: Days, last: Days) -> Days | None:
    if first.start is None or first.end is None or last.start is None or last.end is None:
        return None
    return Days(min(first.start, last.start), max(first.end, last.end))


def _length(days: Days) -> int:
    return (days.end - days.start).days if days.start and days.end else 0


def _joins(gap: str) -> bool:
    return bool(_AND.fullmatch(gap) or _AGAINST.fullmatch(gap))
