"""Single times in a text, each a rule: "last week", "3 March", "Q2 2025", "the past 90 days". What they make together is `date_phrases`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pay_ready.agent.calendars import (
    Calendar,
    Days,
    Recurring,
    Unit,
    a_day,
    day_of,
    fiscal_label,
    fiscal_part,
    fiscal_year,
    later,
    months,
    months_later,
    unit_of,
    units_later,
)
from pay_ready.agent.date_words import month_no, number_of, ordinal_of, pattern, weekday_no, year_of

Grain = Literal["day", "week", "month", "quarter", "half", "year", "span"]
# What a time must stand beside to be one: nothing; or a preposition, for words that are names, numbers or verbs too.
Doubt = Literal["none", "month", "weekday", "year", "day_no", "fraction", "season"]


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
_SINGLE_WORD_YEAR = 5  # years ahead that a bare number may still mean
_RULES: list[tuple[re.Pattern[str], Rule]] = []
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}


def atoms(text: str, now: Now) -> list[Atom]:
    """The times in a plain text, none over another: of two that start together the longer, then the rule written first."""
    found: list[tuple[int, int, int, Atom]] = []
    for place, (rule_pattern, rule) in enumerate(_RULES):
        for match in rule_pattern.finditer(text):
            if made := _atom(match, rule, now):
                found.append((made.begin, -made.end, place, made))
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


def _rule(text: str) -> Callable[[Rule], Rule]:
    def keep(rule: Rule) -> Rule:
        _RULES.append((pattern(text), rule))
        return rule

    return keep


def _yearly(month: int, day: int) -> Recurring:
    return Recurring("year", lambda year: day_of(year, month, day))


@_rule(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:T\d\d:\d\d\S*)?")
def _iso_day(match: re.Match[str], _: Now) -> Found:
    return Found(day_of(int(match[1]), int(match[3]), int(match[4])), "day")


@_rule(r"((?:19|20)\d\d)-(0[1-9]|1[0-2])(?!-)|(0?[1-9]|1[0-2])/((?:19|20)\d\d)")
def _iso_month(match: re.Match[str], _: Now) -> Found:
    return Found(months(int(match[1] or match[4]), int(match[2] or match[3])), "month")


@_rule(r"(\d{1,2})(?:/(\d{1,2})/(\d{4}|\d\d)|\.(\d{1,2})\.(\d{4})|-(\d{1,2})-(\d{4}))")
def _numbers(match: re.Match[str], now: Now) -> Found:
    one, other, year = int(match[1]), int(match[2] or match[4] or match[6]), match[3] or match[5] or match[7]
    day, month = _day_and_month(one, other, now, day_first=bool(match[4]))
    return Found(day_of(year_of(year), month, day), "day")


@_rule(r"(\d{1,2})/(\d{1,2})(?![/\d.%])")
def _numbers_without_year(match: re.Match[str], now: Now) -> Found:
    day, month = _day_and_month(int(match[1]), int(match[2]), now)
    return Found(_yearly(month, day), "day", "fraction")


def _day_and_month(one: int, other: int, now: Now, *, day_first: bool = False) -> tuple[int, int]:
    day_first = day_first or now.calendar.day_first
    if one > 12 or other > 12:  # only one order is possible
        day_first = one > 12
    return (one, other) if day_first else (other, one)


@_rule(
    r"(?:{weekday},? )?(?:the )?({day})(?:st|nd|rd|th)?(?: (?:of )?|-|/)({month})\b\.?(?:(?:,? |-|/)(?:of )?({year})|,? ?'(\d\d)|[-/](\d\d))?"
)
def _day_month(match: re.Match[str], _: Now) -> Found:
    return _dated(month_no(match[2]), int(match[1]), match[3] or match[4] or match[5])


@_rule(r"(?:{weekday},? )?({month})\b\.?[ -](?:the )?({day})(?:st|nd|rd|th)?(?!\d|:\d)(?:(?:,? ?|-)({year})|,? '(\d\d))?")
def _month_day(match: re.Match[str], _: Now) -> Found:
    return _dated(month_no(match[1]), int(match[2]), match[3] or match[4])


def _dated(month: int, day: int, year: str | None) -> Found:
    return Found(day_of(year_of(year), month, day) if year else _yearly(month, day), "day")


@_rule(r"(?:the )?({day})(?:st|nd|rd|th)?(?: ?- ?| to | and | through | until | till )(?:the )?({day})(?:st|nd|rd|th)? (?:of )?({month})\b\.?(?:,? ({year}))?")
def _days_of_month(match: re.Match[str], _: Now) -> Found:
    return _stretch(month_no(match[3]), int(match[1]), int(match[2]), match[4])


@_rule(
    r"({month})\b\.? (?:the )?({day})(?:st|nd|rd|th)?(?: ?- ?| to | through | until | till )(?:the )?({day})(?:st|nd|rd|th)?(?![\d/-]| {month}\b)(?:,? ({year}))?"
)
def _month_days(match: re.Match[str], _: Now) -> Found:
    return _stretch(month_no(match[1]), int(match[2]), int(match[3]), match[4])


def _stretch(month: int, first: int, last: int, year: str | None) -> Found | None:
    def at(number: int) -> Days | None:
        one, other = day_of(number, month, first), day_of(number, month, last)
        return Days(one.start, other.end) if one and other else None

    if first > last:
        return None
    return Found(at(year_of(year)) if year else Recurring("year", at), "span")


@_rule(r"({month})\b\.?(?:,? (?:of |in )?({year})|[-/]({year})|,? ?'(\d\d))")
def _month_year(match: re.Match[str], _: Now) -> Found:
    return Found(months(year_of(match[2] or match[3] or match[4]), month_no(match[1])), "month")


@_rule(r"({month})\b\.?")
def _month(match: re.Match[str], _: Now) -> Found:
    month = month_no(match[1])
    return Found(Recurring("year", lambda year: months(year, month)), "month", "month")


@_rule(r"({last}|{this}|{next}) ({month}|{weekday})\b\.?(?! \d)")
def _named(match: re.Match[str], now: Now) -> Found | None:
    word, name = match[1].lower(), match[2]
    of_week = re.fullmatch(pattern("{weekday}"), name) is not None
    every = _weekday(weekday_no(name)) if of_week else Recurring("year", lambda year: months(year, month_no(name)))
    grain: Grain = "day" if of_week else "month"
    if word.endswith(("next", "coming", "following")):
        return Found(every.first(later(now.today, 1)), grain)
    if word.endswith(("this", "current", "present", "ongoing")):
        within = unit_of(now.today, "week" if of_week else "year", now.calendar).start
        return Found(every.first(within) if within else None, grain)
    begun = every.latest(now.today)
    return Found(every.latest(later(begun.start, -1)) if begun and begun.start and _holds(begun, now.today) else begun, grain)


def _holds(days: Days, day: date) -> bool:
    return days.start is not None and days.end is not None and days.start <= day < days.end


def _weekday(number: int) -> Recurring:
    return Recurring("week", lambda week: a_day(date.fromordinal(week * 7 + 1 + number)) if 0 <= week < 521_000 else None)


@_rule(r"({weekday})\b\.?(?! the \d)")
def _bare_weekday(match: re.Match[str], _: Now) -> Found:
    return Found(_weekday(weekday_no(match[1])), "day", "weekday")


@_rule(r"the (\d{1,2})(?:st|nd|rd|th)")
def _day_no(match: re.Match[str], _: Now) -> Found:
    number = int(match[1])
    return Found(Recurring("month", lambda month: day_of(month // 12, month % 12 + 1, number)), "day", "day_no")


@_rule(r"({year})")
def _year(match: re.Match[str], now: Now) -> Found | None:
    year = int(match[1])
    return Found(months(year, 1, 12), "year", "year") if 1990 <= year <= now.today.year + _SINGLE_WORD_YEAR else None


@_rule(
    r"(?P<whole>fiscal |calendar )?q(?P<q>[1-4])(?:[ ,-]*(?:of |in )?(?:(?P<year>{year})|(?:fy ?'?|fiscal (?:year )?|')(?P<fy>\d\d(?:\d\d)?)))?"
    r"|(?P<year2>{year})[ -]?q(?P<q2>[1-4])|(?P<q3>[1-4])q[ ']?(?P<fy3>\d\d(?:\d\d)?)"
)
def _quarter(match: re.Match[str], now: Now) -> Found:
    number = int(match["q"] or match["q2"] or match["q3"])
    calendar = Calendar() if (match["whole"] or "").lower().startswith("calendar") else now.calendar
    return _fiscal(number, 4, match["year"] or match["fy"] or match["year2"] or match["fy3"], calendar)


@_rule(r"(?:the )?({ordinal}) (?:fiscal |calendar )?quarter(?: (?:of )?(?:({year})|fy ?'?(\d\d(?:\d\d)?)))?(?: of the year)?(?! (?:of )?(?:the )?(?:call|meeting))")
def _ordinal_quarter(match: re.Match[str], now: Now) -> Found | None:
    number, year = ordinal_of(match[1]), match[2] or match[3]
    if number > 4 or (number < 0 and not (year or match[0].lower().endswith("year"))):
        return None
    return _fiscal(4 if number < 0 else number, 4, year, now.calendar)


@_rule(
    r"h(?P<h>[12])(?:[ ,-]*(?:of |in )?(?:(?P<year>{year})|(?:fy ?'?|')(?P<fy>\d\d(?:\d\d)?)))?|(?P<year2>{year})[ -]?h(?P<h2>[12])"
    r"|(?P<h3>[12])h(?:[ ']?(?P<fy3>\d{4}|\d\d))?"
    r"|(?:the )?(?P<ordinal>first|second|1st|2nd|last|final|latter) half of (?:the year|(?P<year4>{year})|fy ?'?(?P<fy4>\d\d(?:\d\d)?))"
)
def _half(match: re.Match[str], now: Now) -> Found:
    said = match["h"] or match["h2"] or match["h3"]
    number = int(said) if said else 1 if match["ordinal"].lower() in ("first", "1st") else 2
    years = (match[name] for name in ("year", "fy", "year2", "fy3", "year4", "fy4"))
    return _fiscal(number, 2, next(filter(None, years), None), now.calendar)


def _fiscal(number: int, parts: int, year: str | None, calendar: Calendar) -> Found:
    grain: Grain = "quarter" if parts == 4 else "half"
    if year:
        return Found(fiscal_part(year_of(year), number, parts, calendar), grain)
    return Found(Recurring("year", lambda label: fiscal_part(label, number, parts, calendar)), grain)


@_rule(r"(?:fy[ -]?'?|(?:fiscal|financial)(?: year)? '?)(\d{4}|\d\d)")
def _named_fiscal_year(match: re.Match[str], now: Now) -> Found:
    return Found(fiscal_year(year_of(match[1]), now.calendar), "year")


@_rule(r"(?:({last})|({this}|the)|({next})) (?:(?:fiscal|financial) year|fy)")
def _fiscal_year(match: re.Match[str], now: Now) -> Found:
    shift = -1 if match[1] else 0 if match[2] else 1
    return Found(fiscal_year(fiscal_label(now.today, now.calendar) + shift, now.calendar), "year")


@_rule(
    r"(?P<before>the day before yesterday)|(?P<after>the day after tomorrow)|(?:late |early )?(?P<yesterday>yesterday|last night)(?: (?:morning|afternoon|evening|night))?"
    r"|(?:earlier |later |early )?(?P<today>today|tonight|this (?:morning|afternoon|evening))(?: so far)?|(?P<tomorrow>tomorrow)(?: (?:morning|afternoon|evening|night))?"
)
def _near(match: re.Match[str], now: Now) -> Found:
    shift = {"before": -2, "after": 2, "yesterday": -1, "today": 0, "tomorrow": 1}[str(match.lastgroup)]
    return Found(a_day(later(now.today, shift)), "day")


@_rule(r"({last}|{this}|{next}) (?:(fiscal|calendar|full|complete|completed|whole|entire) )?(week|month|quarter|year|fortnight|half|weekend|hour)(?! (?:to|till) date| of {period})")
def _unit(match: re.Match[str], now: Now) -> Found | None:
    word, whole, unit = match[1].lower(), (match[2] or "").lower(), match[3].lower()
    calendar = Calendar(week_start=now.calendar.week_start) if whole == "calendar" else now.calendar
    if unit == "weekend":
        return _weekend(word, now)
    if unit == "hour":
        return Found(a_day(now.today), "day")
    rolling = word.endswith(("past", "trailing")) or word == "this last"
    if unit == "fortnight" or (rolling and not whole):
        size: Unit = "week" if unit == "fortnight" else _as_unit(unit)
        return _rolling(word, 2 if unit == "fortnight" else 1, size, now)
    return Found(unit_of(now.today, _as_unit(unit), calendar, _shift(word)), _as_unit(unit))


def _as_unit(word: str) -> Unit:
    units: dict[str, Unit] = {"day": "day", "week": "week", "month": "month", "quarter": "quarter", "half": "half", "year": "year"}
    return units[word]


def _shift(word: str) -> int:
    if word.endswith(("this", "current", "present", "ongoing")):
        return 0
    return 1 if word.endswith(("next", "coming", "following")) else -1


def _weekend(word: str, now: Now) -> Found:
    monday = later(now.today, -now.today.weekday())
    shift = _shift(word)
    saturday = later(monday, 5 + 7 * shift)
    if shift < 0 and now.today.weekday() == 6:  # on a Sunday the last one is a week ago, as said
        saturday = later(monday, -2)
    return Found(Days(saturday, later(saturday, 2)), "span")


@_rule(r"the weekend")
def _the_weekend(_: re.Match[str], now: Now) -> Found:
    made = _weekend("this" if now.today.weekday() >= 5 else "last", now)
    return Found(made.days, "span", "season")


@_rule(
    r"({last}|{next}) ({number})[ -](?:(calendar|full|complete|completed|whole|entire|business|working|fiscal) )?(day|night|week|month|quarter|year|fortnight|hour|minute)s?(?! of {period})"
)
def _some_units(match: re.Match[str], now: Now) -> Found | None:
    word, said, kind, unit = match[1].lower(), match[2].lower(), (match[3] or "").lower(), match[4].lower()
    if said.endswith(("half", "half a")):
        return _rolling(word, 6, "month", now) if unit == "year" else None
    number = number_of(said)
    if unit in ("hour", "minute"):
        return _rolling(word, max(1, -(-number // (24 if unit == "hour" else 1440))), "day", now) if number > 12 else Found(a_day(now.today), "day")
    if unit == "fortnight":
        unit, number = "week", number * 2
    if kind in ("business", "working") and unit == "day":
        return Found(Days(_working_days_before(now.today, number), later(now.today, 1)), "span")
    size = _as_unit("day" if unit == "night" else unit)
    whole = kind in ("calendar", "full", "complete", "completed", "whole", "entire", "fiscal") or size == "quarter" or "previous" in word or "prior" in word
    return _whole_units(word, number, size, now) if whole else _rolling(word, number, size, now)


def _rolling(word: str, number: int, unit: Unit, now: Now) -> Found | None:
    """Back from today, today included: "the last 7 days" on the 20th starts on the 13th."""
    if _shift(word) > 0:
        return Found(Days(now.today, later(units_later(now.today, number, unit), 1)), "span")
    return Found(Days(units_later(now.today, -number, unit), later(now.today, 1)), "span")


def _whole_units(word: str, number: int, unit: Unit, now: Now) -> Found:
    if _shift(word) > 0:
        first = unit_of(now.today, unit, now.calendar, 1).start
        return Found(Days(first, units_later(first or now.today, number, unit)), "span")
    end = unit_of(now.today, unit, now.calendar).start or now.today
    return Found(Days(units_later(end, -number, unit), end), "span")


def _working_days_before(day: date, number: int) -> date:
    weeks, rest = divmod(min(number, 100_000), 5)
    day = later(day, -7 * weeks)
    while rest:
        day = later(day, -1)
        rest -= day.weekday() < 5
    return day


@_rule(r"({number}) (day|night|week|month|quarter|year|fortnight|hour|minute)s?(?: and a half)? (?:ago|back|earlier)|({number}) (?:business|working) days? ago")
def _ago(match: re.Match[str], now: Now) -> Found | None:
    if match[3]:
        return Found(a_day(_working_days_before(now.today, number_of(match[3]))), "day")
    if match[1].lower().endswith(("half", "half a")):
        return Found(a_day(months_later(now.today, -6)), "day") if match[2].lower() == "year" else None
    number, unit = number_of(match[1]), match[2].lower()
    if unit in ("hour", "minute"):
        return Found(a_day(later(now.today, -(number // (24 if unit == "hour" else 1440)))), "day")
    if unit in ("day", "night", "week", "fortnight"):
        return Found(a_day(later(now.today, -number * {"week": 7, "fortnight": 14}.get(unit, 1))), "day")
    size = _as_unit(unit)
    return Found(unit_of(units_later(now.today, -number, size), size, now.calendar), size)


@_rule(r"({number}) (day|week|month|year)s? (?:from (?:now|today)|ahead)")
def _from_now(match: re.Match[str], now: Now) -> Found | None:
    if match[1].lower().endswith(("half", "half a")):
        return None
    return Found(a_day(units_later(now.today, number_of(match[1]), _as_unit(match[2].lower()))), "day")


@_rule(r"(older than|more than|over|less than|newer than|no older than|younger than) ({number}) (day|week|month|year)s?( ago| old)?")
def _age(match: re.Match[str], now: Now) -> Found | None:
    word, said = match[1].lower(), match[2].lower()
    if said.endswith(("half", "half a")) or not (match[4] or "er than" in word):
        return None
    edge = units_later(now.today, -number_of(said), _as_unit(match[3].lower()))
    return Found(Days(None, edge) if word in ("older than", "more than", "over") else Days(edge, later(now.today, 1)), "span")


@_rule(
    r"(?:the )?(week|month|quarter|year)[ -]to[ -]date|(?:so far|earlier|thus far) (?:in )?(?:this|in the) (week|month|quarter|year)|(?:this|the) (week|month|quarter|year) (?:so far|to date|thus far|until now|till now|up to now)"
    r"|([wmqy])\.?t\.?d|(?:the )?(fiscal) (?:year to date|ytd)|fytd"
)
def _to_date(match: re.Match[str], now: Now) -> Found:
    end, letters = later(now.today, 1), {"w": "week", "m": "month", "q": "quarter", "y": "year"}
    if match[5] or match[0].lower() == "fytd":
        year = fiscal_year(fiscal_label(now.today, now.calendar), now.calendar)
        return Found(Days(year.start, end) if year else None, "span")
    unit = match[1] or match[2] or match[3] or letters[match[4].lower()]
    return Found(Days(unit_of(now.today, _as_unit(unit.lower()), now.calendar).start, end), "span")


@_rule(r"(?:later this|(?:the )?rest of (?:the|this)|(?:the )?remainder of (?:the|this)) (week|month|quarter|year)")
def _rest(match: re.Match[str], now: Now) -> Found:
    return Found(Days(now.today, unit_of(now.today, _as_unit(match[1].lower()), now.calendar).end), "span")


@_rule(r"ttm|ltm|[lt]12m|[lp](\d{1,3})([dwm])|(?:last|past|trailing) (\d{1,3}) ?([dwm])")
def _short(match: re.Match[str], now: Now) -> Found | None:
    letters: dict[str, Unit] = {"d": "day", "w": "week", "m": "month"}
    if (said := match[1] or match[3]) is None:
        return _whole_units("last", 12, "month", now)
    return _rolling("past", int(said), letters[(match[2] or match[4]).lower()], now)


@_rule(r"(?:the )?(day|week|month|quarter|year|weekend|{weekday}) before last|(?:the )?(week|month|quarter|year) after next")
def _before_last(match: re.Match[str], now: Now) -> Found | None:
    if match[2]:
        return Found(unit_of(now.today, _as_unit(match[2].lower()), now.calendar, 2), "span")
    unit = match[1].lower()
    if unit == "weekend":
        monday = later(now.today, -now.today.weekday())
        return Found(Days(later(monday, -9), later(monday, -7)), "span")
    if unit in ("day", "week", "month", "quarter", "year"):
        return Found(unit_of(now.today, _as_unit(unit), now.calendar, -2), _as_unit(unit))
    begun = _weekday(weekday_no(unit)).latest(later(now.today, -1))
    return Found(a_day(later(begun.start, -7)), "day") if begun and begun.start else None


@_rule(r"(?:the )?same (day|week|month|quarter|period|time) (?:of |in )?(?:last|the previous|the prior) year|(?:this time|a year ago today|today) last year")
def _same(match: re.Match[str], now: Now) -> Found:
    said = (match[1] or "day").lower()
    unit = _as_unit(said if said in ("day", "week", "month", "quarter") else "month")
    return Found(unit_of(months_later(now.today, -12), unit, now.calendar), unit)


@_rule(r"(?:({last}|{this}|{next}|the) )?(spring|summer|autumn|fall|winter)(?:,? (?:of |in )?({year})|,? '(\d\d))?")
def _season(match: re.Match[str], now: Now) -> Found | None:
    """Meteorological, of the north: winter is December to February and belongs to the year it begins in."""
    month, year = _SEASONS[match[2].lower()], match[3] or match[4]
    every = Recurring("year", lambda number: months(number, month, 3))
    if year:
        return Found(every.at(year_of(year)), "span")
    word = (match[1] or "the").lower()
    begun = every.latest(now.today)
    if word == "the":
        return Found(every, "span", "season")
    if _shift(word) > 0:
        return Found(every.first(later(now.today, 1)), "span")
    if _shift(word) == 0:
        return Found(begun if begun and _holds(begun, now.today) else every.at(now.today.year), "span")
    return Found(every.latest(later(begun.start, -1)) if begun and begun.start and _holds(begun, now.today) else begun, "span")


@_rule(r"(?:(?:calendar )?week (?:no\.? ?|number |#)?|[ck]w ?)(\d{1,2})(?:,? (?:of |in )?({year}))?(?! of )")
def _week_no(match: re.Match[str], _: Now) -> Found:
    number = int(match[1])

    def at(year: int) -> Days | None:
        try:
            monday = date.fromisocalendar(year, number, 1)
        except ValueError:  # there is no such week, or year
            return None
        return Days(monday, later(monday, 7))

    return Found(at(int(match[2])) if match[2] else Recurring("year", at), "week")


@_rule(r"(christmas(?: day)?|xmas|new year'?s?(?: day| eve)?|thanksgiving|black friday)(?:,? ({year}))?(?! (?:resolution|party|card|gift|offer|deal|campaign|promo|sale)s?)")
def _holiday(match: re.Match[str], _: Now) -> Found:
    name = match[1].lower()

    def at(year: int) -> Days | None:
        if name.startswith(("christmas", "xmas")):
            return day_of(year, 12, 25)
        if name.startswith("new year"):
            return day_of(year, 12, 31) if name.endswith("eve") else day_of(year, 1, 1)
        november = day_of(year, 11, 1)
        if november is None or november.start is None:
            return None
        thursday = later(november.start, (3 - november.start.weekday()) % 7 + 21)
        return a_day(thursday if name == "thanksgiving" else later(thursday, 1))

    return Found(at(int(match[2])) if match[2] else Recurring("year", at), "day")
