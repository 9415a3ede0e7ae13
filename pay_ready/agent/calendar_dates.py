"""Times by the calendar: "2026-03-15", "3 March", "Oct 5-9", "Q2 2025", "FY26", "week 42", "Christmas"."""

import re
from datetime import date

from pay_ready.agent.calendars import Calendar, Days, Recurring, a_day, day_of, fiscal_part, fiscal_year, later, months
from pay_ready.agent.date_rules import Found, Grain, Now, Rules, every_weekday
from pay_ready.agent.date_words import month_no, ordinal_of, weekday_no, year_of

RULES = Rules()
_SINGLE_WORD_YEAR = 5  # years ahead that a bare number may still mean


def _yearly(month: int, day: int) -> Recurring:
    return Recurring("year", lambda year: day_of(year, month, day))


@RULES.rule(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:T\d\d:\d\d\S*)?")
def _iso_day(match: re.Match[str], _: Now) -> Found:
    return Found(day_of(int(match[1]), int(match[3]), int(match[4])), "day")


@RULES.rule(r"((?:19|20)\d\d)-(0[1-9]|1[0-2])(?!-)|(0?[1-9]|1[0-2])/((?:19|20)\d\d)")
def _iso_month(match: re.Match[str], _: Now) -> Found:
    return Found(months(int(match[1] or match[4]), int(match[2] or match[3])), "month")


@RULES.rule(r"(\d{1,2})(?:/(\d{1,2})/(\d{4}|\d\d)|\.(\d{1,2})\.(\d{4})|-(\d{1,2})-(\d{4}))")
def _numbers(match: re.Match[str], now: Now) -> Found | None:
    one, other, year = int(match[1]), int(match[2] or match[4] or match[6]), match[3] or match[5] or match[7]
    day, month = _day_and_month(one, other, now, day_first=bool(match[4]))
    return Found(day_of(year_of(year), month, day), "day")


@RULES.rule(r"(\d{1,2})/(\d{1,2})(?![/\d.%])")
def _numbers_without_year(match: re.Match[str], now: Now) -> Found:
    day, month = _day_and_month(int(match[1]), int(match[2]), now)
    return Found(_yearly(month, day), "day", "fraction")


def _day_and_month(one: int, other: int, now: Now, *, day_first: bool = False) -> tuple[int, int]:
    day_first = day_first or now.calendar.day_first
    if one > 12 or other > 12:  # only one order is possible
        day_first = one > 12
    return (one, other) if day_first else (other, one)


@RULES.rule(
    r"(?:{weekday},? )?(?:the )?({day})(?:st|nd|rd|th)?(?: (?:of )?|-|/)({month})\b\.?(?:(?:,? |-"
    r"|/)(?:of )?({year})|,? ?'(\d\d)|[-/](\d\d))?"
)
def _day_month(match: re.Match[str], _: Now) -> Found:
    return _dated(month_no(match[2]), int(match[1]), match[3] or match[4] or match[5])


@RULES.rule(r"(?:{weekday},? )?({month})\b\.?[ -](?:the )?({day})(?:st|nd|rd|th)?(?!\d|:\d)(?:(?:,? ?|-)({year})|,? '(\d\d))?")
def _month_day(match: re.Match[str], _: Now) -> Found:
    return _dated(month_no(match[1]), int(match[2]), match[3] or match[4])


def _dated(month: int, day: int, year: str | None) -> Found:
    return Found(day_of(year_of(year), month, day) if year else _yearly(month, day), "day")


@RULES.rule(
    r"(?:the )?({day})(?:st|nd|rd|th)?(?: ?- ?| to | and | through | until | till )(?:the )?({day})(?:st|nd|rd"
    r"|th)? (?:of )?({month})\b\.?(?:,? ({year}))?"
)
def _days_of_month(match: re.Match[str], _: Now) -> Found | None:
    return _stretch(month_no(match[3]), int(match[1]), int(match[2]), match[4])


@RULES.rule(
    r"({month})\b\.? (?:the )?({day})(?:st|nd|rd|th)?(?:, ?{day}(?:st|nd|rd|th)?(?![\d/]))*(?: ?- ?| to "
    r"| through | until | till |,? and )(?:the )?({day})(?:st|nd|rd|th)?(?![\d/-]"
    r"| {month}\b)(?:,? ({year}))?(?! [a-z]+s\b)"
)
def _month_days(match: re.Match[str], _: Now) -> Found | None:
    return _stretch(month_no(match[1]), int(match[2]), int(match[3]), match[4])


def _stretch(month: int, first: int, last: int, year: str | None) -> Found | None:
    def at(number: int) -> Days | None:
        one, other = day_of(number, month, first), day_of(number, month, last)
        return Days(one.start, other.end) if one and other else None

    if first > last:
        return None
    return Found(at(year_of(year)) if year else Recurring("year", at), "span")


@RULES.rule(r"({month})\b\.?(?:,? (?:of |in )?({year})|[-/]({year})|,? ?'(\d\d))")
def _month_year(match: re.Match[str], _: Now) -> Found:
    return Found(months(year_of(match[2] or match[3] or match[4]), month_no(match[1])), "month")


@RULES.rule(r"({month})\b\.?")
def _month(match: re.Match[str], _: Now) -> Found:
    month = month_no(match[1])
    return Found(Recurring("year", lambda year: months(year, month)), "month", "month")


@RULES.rule(r"({weekday})\b\.?(?! the \d)")
def _bare_weekday(match: re.Match[str], _: Now) -> Found:
    return Found(every_weekday(weekday_no(match[1])), "day", "weekday")


@RULES.rule(r"the (\d{1,2})(?:st|nd|rd|th)")
def _day_no(match: re.Match[str], _: Now) -> Found:
    number = int(match[1])
    return Found(Recurring("month", lambda month: day_of(month // 12, month % 12 + 1, number)), "day", "day_no")


@RULES.rule(r"({year})")
def _year(match: re.Match[str], now: Now) -> Found | None:
    year = int(match[1])
    return Found(months(year, 1, 12), "year", "year") if 1990 <= year <= now.today.year + _SINGLE_WORD_YEAR else None


@RULES.rule(
    r"(?P<whole>fiscal |calendar )?q(?P<q>[1-4])(?:[ ,/-]*(?:of |in )?(?:(?P<year>{year})|(?:fy ?'?"
    r"|fiscal (?:year )?|')(?P<fy>\d\d(?:\d\d)?)))?"
    r"|(?P<year2>{year})[ -]?q(?P<q2>[1-4])|(?P<q3>[1-4])q[ ']?(?P<fy3>\d\d(?:\d\d)?)"
)
def _quarter(match: re.Match[str], now: Now) -> Found:
    number = int(match["q"] or match["q2"] or match["q3"])
    calendar = Calendar() if (match["whole"] or "").lower().startswith("calendar") else now.calendar
    return _fiscal(number, 4, match["year"] or match["fy"] or match["year2"] or match["fy3"], calendar)


@RULES.rule(
    r"(?:the )?({ordinal}) (?:fiscal |calendar )?quarter(?: (?:of )?(?:({year})"
    r"|fy ?'?(\d\d(?:\d\d)?)))?(?: of the year)?(?! (?:of )?(?:the )?(?:call|meeting))"
)
def _ordinal_quarter(match: re.Match[str], now: Now) -> Found | None:
    number, year = ordinal_of(match[1]), match[2] or match[3]
    if number > 4 or (number < 0 and not (year or match[0].lower().endswith("year"))):
        return None
    return _fiscal(4 if number < 0 else number, 4, year, now.calendar)


@RULES.rule(
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


@RULES.rule(r"(?:fy[ -]?'?|(?:fiscal|financial)(?: year)? '?)(\d{4}|\d\d)")
def _named_fiscal_year(match: re.Match[str], now: Now) -> Found:
    return Found(fiscal_year(year_of(match[1]), now.calendar), "year")


@RULES.rule(r"(?:(?:calendar )?week (?:no\.? ?|number |#)?|[ck]w ?)(\d{1,2})(?:,? (?:of |in )?({year}))?(?! of )")
def _week_no(match: re.Match[str], _: Now) -> Found:
    number = int(match[1])

    def at(year: int) -> Days | None:
        try:
            monday = date.fromisocalendar(year, number, 1)
        except ValueError:  # there is no such week, or year
            return None
        return Days(monday, later(monday, 7))

    return Found(at(int(match[2])) if match[2] else Recurring("year", at), "week")


@RULES.rule(
    r"(christmas(?: day)?|xmas|new year'?s?(?: day| eve)?|thanksgiving"
    r"|black friday)(?:,? ({year}))?(?! (?:resolution|party|card|gift|offer|deal|campaign|promo|sale)s?)"
)
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
