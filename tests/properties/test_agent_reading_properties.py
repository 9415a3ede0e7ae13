"""Of any question: reading never raises, ranges are half-open and never empty, plans survive JSON."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pay_ready.agent.calendars import Calendar, Recurring, day_of, unit_of
from pay_ready.agent.dates import parse_range, read_ranges
from pay_ready.agent.echo import echo
from pay_ready.agent.eval.questions import date_questions, intent_examples
from pay_ready.agent.follow_times import time_beside
from pay_ready.agent.follow_up import followed
from pay_ready.agent.name_links import link_names
from pay_ready.agent.plan import QueryPlan, TimeRange, plan_from_json
from pay_ready.agent.reading import question_read
from pay_ready.agent.typos import TypoIndex
from tests.agent_support import INDEX, TODAY, read, words

_PIECES = st.sampled_from(
    words(
        "last next this past the first second of in since until before after between and to - / , Q1 H2 FY26 March May Monday 3rd 31"
        " 2026 02/30 9999-12-31 0001-01-01 99999 days weeks months years quarter ago week year end beginning Jane Doe's Acme Sam Lee"
        " @ acme.com Slack calls topics similar compare promise who how many summer weekend now today onwards version half a couple"
    )
)
_TEXTS = st.one_of(st.text(max_size=120), st.lists(_PIECES, max_size=14).map(" ".join))
_DAYS = st.one_of(st.dates(), st.dates(date(2020, 1, 1), date(2030, 12, 31)))
_CALENDARS = st.builds(
    Calendar,
    fiscal_start_month=st.integers(1, 12),
    fiscal_named_by=st.sampled_from(["start", "end"]),
    week_start=st.integers(0, 6),
    day_first=st.booleans(),
    time_zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)


@given(_TEXTS, _DAYS, _CALENDARS)
@example("since 9999-12-31", date(9999, 12, 31), Calendar())
@example("last 99999 years", date(1, 1, 1), Calendar(fiscal_start_month=12))
def test_any_text_is_read_into_ranges_that_hold_a_day(text: str, today: date, calendar: Calendar) -> None:
    """Never an error, never an empty or inverted range, never a range without a bound."""
    for found in read_ranges(text, today, calendar):
        assert found.start or found.end
        assert found.start is None or found.end is None or found.start < found.end
        assert text[found.place[0] : found.place[1]].strip() == found.words


@given(_TEXTS)
def test_a_plan_survives_json(text: str) -> None:
    """The plan of any text can be written, read, echoed, and is the same for the same text."""
    plan = read(text)
    assert plan_from_json(plan.model_dump_json()) == plan == read(text)
    assert echo(plan).startswith("I read this as: ")
    assert (plan.state == "ready") is not bool(plan.question_back)


@given(_DAYS, _CALENDARS, st.sampled_from(["day", "week", "month", "quarter", "half", "year"]))
def test_units_tile_the_calendar(day: date, calendar: Calendar, unit: str) -> None:
    """A unit holds its day, and the next one begins where it ends."""
    this, following = unit_of(day, unit, calendar), unit_of(day, unit, calendar, 1)  # type: ignore[arg-type]
    assert this.start is not None
    assert this.end is not None
    assert this.start <= day
    if this.end != date.max:
        assert day < this.end
        assert following.start == this.end


@given(st.dates(date(1910, 1, 1), date(2090, 1, 1)), st.integers(1, 12), st.integers(1, 31))
def test_what_recurs_is_found_before_and_after(day: date, month: int, number: int) -> None:
    """The latest has begun, the first has not; 29 February waits up to eight years."""
    every = Recurring("year", lambda year: day_of(year, month, number))
    latest, first = every.latest(day), every.first(day)
    exists = day_of(2024, month, number) is not None
    assert (latest is not None) is exists
    assert (first is not None) is exists
    if latest and first:
        assert latest.start is not None
        assert first.start is not None
        assert latest.start <= day <= first.start


@given(st.lists(st.text("abcde", min_size=3, max_size=7), max_size=12, unique=True), st.text("abcde", min_size=2, max_size=8))
def test_a_typo_is_one_error_away(words: list[str], word: str) -> None:
    """The index gives the words at distance one (restricted Damerau-Levenshtein) as rapidfuzz does, but for another first letter."""
    from rapidfuzz.distance import OSA

    index = TypoIndex(dict.fromkeys(words, 1))
    wanted = [] if word in words else sorted(each for each in words if OSA.distance(word, each) == 1 and each[1:] != word[1:])
    assert index.near(word) == wanted


@pytest.mark.parametrize("question", [question for _, question in intent_examples()][::5])
def test_no_everyday_question_names_a_day_by_chance(question: str) -> None:
    """The examples name no day but today."""
    found = parse_range(question, date(2026, 11, 20))
    assert found is None or found.words.lower() in {"today", "tonight", "tomorrow", "spring"}


@pytest.mark.parametrize("question", [each.question for each in date_questions() if each.is_date][::7])
def test_where_a_question_names_a_time_nobody_else_is_named(question: str) -> None:
    """Times are not taken for people."""
    assert all(link.words in {"Acme", "Jane", "Jane Doe", "Bob", "Globex", "ACME"} for link in link_names(question, INDEX).links)


QUESTIONS = st.sampled_from(
    ["Summarise our calls with Acme last quarter", "what about Globex?", "and sentiment?", "why?", "both", "2", "yes", "more", "by month",
     "What did Sam Lee promise?", "Compare Acme and Globex", "and before that?", "she", "what did they say?", "only from Slack",
     "for all customers", "Find calls like this one", "the second one", "Acme Foods", "hello", "everywhere, of all time"]
)  # fmt: skip


@given(questions=st.lists(st.one_of(QUESTIONS, st.text(max_size=60)), max_size=6))
def test_any_conversation_has_plans_that_say_what_they_took_over(questions: list[str]) -> None:
    """Whatever was asked before: never an error, a plan that survives JSON, and parts taken over that are there."""
    before: QueryPlan | None = None
    for question in questions:
        read = question_read(question, INDEX, TODAY)
        plan = followed(before, read, INDEX) if before is not None else read.plan
        assert plan_from_json(plan.model_dump_json()) == plan
        told = echo(plan)
        assert ("Taken over" in told) == bool(plan.taken_over)
        assert before is not None or not plan.taken_over
        before = plan if plan.intent is not None else before


_BESIDE = st.sampled_from(
    ["the month before", "the year after that", "the same period last year", "a year earlier", "before that", "after that",
     "the period before", "the 999 weeks before", "the next half", "the ten years after"]
)  # fmt: skip


@given(text=st.one_of(_BESIDE, _TEXTS), start=st.one_of(st.none(), _DAYS), end=st.one_of(st.none(), _DAYS))
@example("the month before", date.min, date(1, 2, 1))
@example("after that", date.max, None)
def test_times_beside_any_other_hold_a_day(text: str, start: date | None, end: date | None) -> None:
    """Whatever the range before, up to the ends of the calendar."""
    if (start is None and end is None) or (start and end and start >= end):
        return
    found = time_beside(text, TimeRange(start=start, end=end))
    assert found is None or found.start or found.end
