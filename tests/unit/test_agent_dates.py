"""Times in questions: exact days, for the tenant's calendar; and words that only look like a time."""

from datetime import UTC, date, datetime

import pytest

from pay_ready.agent.calendars import Calendar
from pay_ready.agent.dates import parse_range, read_ranges
from pay_ready.agent.eval.questions import DATE_SETS, date_questions
from pay_ready.agent.eval.reading import evaluate_dates
from tests.agent_support import TODAY

FISCAL = Calendar(fiscal_start_month=2)


@pytest.mark.parametrize("name", DATE_SETS)
def test_the_question_sets_are_read_to_the_day(name: str) -> None:
    """The contract of `parse_range`, whatever reads behind it: .95 exact, no false date."""
    figures = evaluate_dates(date_questions(name))
    assert figures.exact_share >= 0.95, figures.wrong
    assert figures.false == 0, figures.wrong


@pytest.mark.parametrize(
    ("text", "calendar", "start", "end"),
    [
        ("last quarter", FISCAL, date(2026, 8, 1), date(2026, 11, 1)),
        ("Q1", FISCAL, date(2026, 2, 1), date(2026, 5, 1)),
        ("FY26", FISCAL, date(2025, 2, 1), date(2026, 2, 1)),
        ("FY26", Calendar(fiscal_start_month=2, fiscal_named_by="start"), date(2026, 2, 1), date(2027, 2, 1)),
        ("Q4 FY26", FISCAL, date(2025, 11, 1), date(2026, 2, 1)),
        ("H2", FISCAL, date(2026, 8, 1), date(2027, 2, 1)),
        ("last calendar quarter", FISCAL, date(2026, 7, 1), date(2026, 10, 1)),
        ("this fiscal year", FISCAL, date(2026, 2, 1), date(2027, 2, 1)),
        ("last year", FISCAL, date(2025, 1, 1), date(2026, 1, 1)),
        ("last week", Calendar(week_start=6), date(2026, 11, 8), date(2026, 11, 15)),
        ("3/4/2026", Calendar(day_first=True), date(2026, 4, 3), date(2026, 4, 4)),
        ("3/4/2026", Calendar(), date(2026, 3, 4), date(2026, 3, 5)),
    ],
)
def test_the_tenants_calendar_decides(text: str, calendar: Calendar, start: date, end: date) -> None:
    """Fiscal year, first day of the week, order of day and month."""
    found = parse_range(text, TODAY, calendar)
    assert found is not None
    assert (found.start, found.end) == (start, end)


def test_a_month_is_the_last_one_that_has_begun() -> None:
    """In January "in December" is a month ago, and "in January" is this one."""
    for month, year in (("December", 2026), ("January", 2027)):
        found = parse_range(f"calls in {month}", date(2027, 1, 5))
        assert found is not None
        assert found.start is not None
        assert found.start.year == year


def test_a_range_the_wrong_way_round_is_turned() -> None:
    """The echo shows how it was read."""
    found = parse_range("from 2026-03-01 to 2026-01-15", TODAY)
    assert found is not None
    assert (found.start, found.end) == (date(2026, 1, 15), date(2026, 3, 2))


def test_known_names_are_no_times() -> None:
    """Masked places hold no time, whatever stands there."""
    text = "mails from March in April"
    found = read_ranges(text, TODAY, names=[(text.index("March"), text.index("March") + 5)])
    assert [each.words for each in found] == ["April"]


def test_a_day_begins_when_the_tenants_clock_says_so() -> None:
    """Also where clocks change: 1 November 2026 in New York is 25 hours long, and one midnight in Cairo never comes."""
    new_york = Calendar(time_zone="America/New_York")
    begin, end = new_york.moment(date(2026, 11, 1)), new_york.moment(date(2026, 11, 2))
    assert (end - begin).total_seconds() == 25 * 3600
    cairo = Calendar(time_zone="Africa/Cairo")
    assert cairo.moment(date(2026, 4, 24)) == datetime(2026, 4, 23, 22, tzinfo=UTC)


def test_today_is_told_in_the_tenants_time_zone() -> None:
    """At 02:00 UTC it is still yesterday in Los Angeles."""
    assert Calendar(time_zone="America/Los_Angeles").today(datetime(2026, 11, 20, 2, tzinfo=UTC)) == date(2026, 11, 19)
