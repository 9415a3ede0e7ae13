"""Times told from today: "last week", "the past 90 days", "two weeks ago", "year to date", "last summer"."""

import re
from datetime import date

from pay_ready.agent.calendars import (
    Calendar,
    Days,
    Recurring,
    Unit,
    a_day,
    fiscal_label,
    fiscal_year,
    later,
    months,
    months_later,
    unit_of,
    units_later,
)
from pay_ready.agent.date_rules import Found, Grain, Now, Rules, every_weekday
from pay_ready.agent.date_words import month_no, number_of, pattern, weekday_no, year_of

RULES = Rules()
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}


@RULES.rule(r"({last}|{this}|{next}) ({month}|{weekday})\b\.?(?! \d)")
def _named(match: re.Match[str], now: Now) -> Found | None:
    word, name = match[1].lower(), match[2]
    of_week = re.fullmatch(pattern("{weekday}"), name) is not None
    every = every_weekday(weekday_no(name)) if of_week else Recurring("year", lambda year: months(year, month_no(name)))
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


@RULES.rule(r"(?:({last})|({this}|the)|({next})) (?:(?:fiscal|financial) year|fy)")
def _fiscal_year(match: re.Match[str], now: Now) -> Found:
    shift = -1 if match[1] else 0 if match[2] else 1
    return Found(fiscal_year(fiscal_label(now.today, now.calendar) + shift, now.calendar), "year")


@RULES.rule(
    r"(?P<before>the day before yesterday)|(?P<after>the day after tomorrow)|(?:late "
    r"|early )?(?P<yesterday>yesterday|last night)(?: (?:morning|afternoon|evening|night))?"
    r"|(?:earlier |later |early )?(?P<today>today|tonight|this (?:morning|afternoon|evening))(?: so far)?"
    r"|(?P<tomorrow>tomorrow)(?: (?:morning|afternoon|evening|night))?"
)
def _near(match: re.Match[str], now: Now) -> Found:
    shift = {"before": -2, "after": 2, "yesterday": -1, "today": 0, "tomorrow": 1}[str(match.lastgroup)]
    return Found(a_day(later(now.today, shift)), "day", "today" if match["today"] else "none")


@RULES.rule(
    r"({last}|{this}|{next}) (?:(fiscal|calendar|full|complete|completed|whole|entire|working"
    r"|business) )?(week|month|quarter|year|fortnight|half|weekend|hour|decade)(?! (?:to|till) date"
    r"| of {period})"
)
def _unit(match: re.Match[str], now: Now) -> Found | None:
    word, whole, unit = match[1].lower(), (match[2] or "").lower(), match[3].lower()
    calendar = Calendar(week_start=now.calendar.week_start) if whole == "calendar" else now.calendar
    if unit == "weekend":
        return _weekend(word, now)
    if unit == "hour":
        return Found(a_day(now.today), "day")
    if unit == "decade":
        return _rolling(word, 10, "year", now)
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


@RULES.rule(r"the weekend")
def _the_weekend(_: re.Match[str], now: Now) -> Found:
    made = _weekend("this" if now.today.weekday() >= 5 else "last", now)
    return Found(made.days, "span", "season")


@RULES.rule(
    r"({last}|{next}) ({number})[ -](?:(calendar|full|complete|completed|whole|entire|business|working"
    r"|fiscal) )?(day|night|week|month|quarter|year|fortnight|hour|minute)s?(?! of {period})"
)
def _some_units(match: re.Match[str], now: Now) -> Found | None:
    word, said, kind, unit = match[1].lower(), match[2].lower(), (match[3] or "").lower(), match[4].lower()
    if said.endswith(("half", "half a")):
        return _rolling(word, 6, "month", now) if unit == "year" else None
    number = number_of(said)
    if unit in ("hour", "minute"):
        return (
            _rolling(word, max(1, -(-number // (24 if unit == "hour" else 1440))), "day", now)
            if number > 12
            else Found(a_day(now.today), "day")
        )
    if unit == "fortnight":
        unit, number = "week", number * 2
    if kind in ("business", "working") and unit == "day":
        return Found(Days(_working_days_before(now.today, number), later(now.today, 1)), "span")
    size = _as_unit("day" if unit == "night" else unit)
    whole = (
        kind in ("calendar", "full", "complete", "completed", "whole", "entire", "fiscal")
        or size == "quarter"
        or "previous" in word
        or "prior" in word
    )
    return _whole_units(word, number, size, now) if whole else _rolling(word, number, size, now)


@RULES.rule(r"({last}) (day|week|month|year) and a half")
def _one_and_a_half(match: re.Match[str], now: Now) -> Found | None:
    sizes: dict[str, tuple[int, Unit]] = {"day": (2, "day"), "week": (11, "day"), "month": (45, "day"), "year": (18, "month")}
    return _rolling(match[1].lower(), *sizes[match[2].lower()], now)


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


@RULES.rule(
    r"({number}) (day|night|week|month|quarter|year|fortnight|hour|minute)s?(?: and a half)? (?:ago|back"
    r"|earlier)|({number}) (?:business|working) days? ago"
)
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


@RULES.rule(
    r"({number}) (day|week|fortnight|month|quarter|year)s? ago (?:today|to the (?:very )?day)|today,? ({number}) (week|month|year)s? ago"
)
def _ago_to_the_day(match: re.Match[str], now: Now) -> Found | None:
    said, unit = match[1] or match[3], (match[2] or match[4]).lower()
    if said.lower().endswith(("half", "half a")):
        return None
    number = number_of(said) * (2 if unit == "fortnight" else 1)
    return Found(a_day(units_later(now.today, -number, _as_unit("week" if unit == "fortnight" else unit))), "day")


@RULES.rule(r"({number}) (day|week|month|year)s? (?:from (?:now|today)|ahead)")
def _from_now(match: re.Match[str], now: Now) -> Found | None:
    if match[1].lower().endswith(("half", "half a")):
        return None
    return Found(a_day(units_later(now.today, number_of(match[1]), _as_unit(match[2].lower()))), "day")


@RULES.rule(r"(older than|more than|over|less than|newer than|no older than|younger than) ({number}) (day|week|month|year)s?( ago| old)?")
def _age(match: re.Match[str], now: Now) -> Found | None:
    word, said = match[1].lower(), match[2].lower()
    if said.endswith(("half", "half a")) or not (match[4] or "er than" in word):
        return None
    edge = units_later(now.today, -number_of(said), _as_unit(match[3].lower()))
    return Found(Days(None, edge) if word in ("older than", "more than", "over") else Days(edge, later(now.today, 1)), "span")


@RULES.rule(
    r"(?:the )?(week|month|quarter|year)[ -]to[ -]date|(?:so far|earlier|thus far) (?:in )?(?:this"
    r"|in the) (week|month|quarter|year)|(?:this|the) (week|month|quarter|year) (?:so far|to date|thus far"
    r"|until now|till now|up to now)"
    r"|([wmqy])\.?t\.?d|(?:the )?(fiscal) (?:year to date|ytd)|fytd"
)
def _to_date(match: re.Match[str], now: Now) -> Found:
    end, letters = later(now.today, 1), {"w": "week", "m": "month", "q": "quarter", "y": "year"}
    if match[5] or match[0].lower() == "fytd":
        year = fiscal_year(fiscal_label(now.today, now.calendar), now.calendar)
        return Found(Days(year.start, end) if year else None, "span")
    unit = match[1] or match[2] or match[3] or letters[match[4].lower()]
    return Found(Days(unit_of(now.today, _as_unit(unit.lower()), now.calendar).start, end), "span")


@RULES.rule(r"(?:later this|(?:the )?rest of (?:the|this)|(?:the )?remainder of (?:the|this)) (week|month|quarter|year)")
def _rest(match: re.Match[str], now: Now) -> Found:
    return Found(Days(now.today, unit_of(now.today, _as_unit(match[1].lower()), now.calendar).end), "span")


@RULES.rule(r"ttm|ltm|[lt]12m|[lp](\d{1,3})([dwm])|(?:last|past|trailing) (\d{1,3}) ?([dwm])")
def _short(match: re.Match[str], now: Now) -> Found | None:
    letters: dict[str, Unit] = {"d": "day", "w": "week", "m": "month"}
    if (said := match[1] or match[3]) is None:
        return _whole_units("last", 12, "month", now)
    return _rolling("past", int(said), letters[(match[2] or match[4]).lower()], now)


@RULES.rule(r"(?:the )?(day|week|month|quarter|year|weekend|{weekday}) before last|(?:the )?(week|month|quarter|year) after next")
def _before_last(match: re.Match[str], now: Now) -> Found | None:
    if match[2]:
        return Found(unit_of(now.today, _as_unit(match[2].lower()), now.calendar, 2), "span")
    unit = match[1].lower()
    if unit == "weekend":
        monday = later(now.today, -now.today.weekday())
        return Found(Days(later(monday, -9), later(monday, -7)), "span")
    if unit in ("day", "week", "month", "quarter", "year"):
        return Found(unit_of(now.today, _as_unit(unit), now.calendar, -2), _as_unit(unit))
    begun = every_weekday(weekday_no(unit)).latest(later(now.today, -1))
    return Found(a_day(later(begun.start, -7)), "day") if begun and begun.start else None


@RULES.rule(
    r"(?:the )?same (day|week|month|quarter|period|time) (?:of |in )?(?:last|the previous|the prior) year"
    r"|(?:this time|a year ago today|today) last year"
)
def _same(match: re.Match[str], now: Now) -> Found:
    said = (match[1] or "day").lower()
    unit = _as_unit(said if said in ("day", "week", "month", "quarter") else "month")
    return Found(unit_of(months_later(now.today, -12), unit, now.calendar), unit)


@RULES.rule(r"(?:({last}|{this}|{next}|the) )?(spring|summer|autumn|fall|winter)(?:,? (?:of |in )?({year})|,? '(\d\d))?")
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
