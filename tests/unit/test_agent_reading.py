"""A question becomes a plan: intent, names, exact days, filters; and a question back where something is missing."""

from datetime import date
from uuid import UUID

import pytest

from pay_ready.agent.echo import echo
from pay_ready.agent.intent_model import Classified
from pay_ready.agent.reading import ReadingOptions, read_question
from tests.agent_support import ACME, BOB, GLOBEX, INDEX, INITECH, JANE, SAM_AT_ACME, SAM_AT_GLOBEX, SHOWN, TODAY, read


@pytest.mark.parametrize(
    ("question", "intent", "ids"),
    [
        ("Summarise our calls with Acme last quarter", "summary", [ACME.id]),
        ("How has sentiment at Globex moved since March?", "sentiment", [GLOBEX.id]),
        ("What did Jane Doe promise us in the past 90 days?", "promises", [JANE.id]),
        ("Timeline of ACME between Jan 3 and Feb 10 from Slack and Gong", "timeline", [ACME.id]),
        ("Which topics came up most this month?", "topics", []),
        ("Coaching report for Bob, last 30 days", "coaching", [BOB.id]),
        ("Find calls like this one", "similar", []),
        ("Compare Acme and Globex", "compare", [ACME.id, GLOBEX.id]),
        ("How many interactions with Initech per week?", "count", [INITECH.id]),
        ("Who at Acme talks to us most?", "who", [ACME.id]),
        ("find calls where pricing was mentioned", "search", []),
    ],
)
def test_each_example_question_has_its_intent_and_its_names(question: str, intent: str, ids: list[UUID]) -> None:
    """The questions that the agent is advertised with are read whole, without a classifier."""
    plan = read(question, shown=SHOWN)
    assert (plan.state, plan.intent, [each.id for each in plan.entities]) == ("ready", intent, ids)
    assert not plan.not_understood


def test_filters_are_read_and_nothing_of_them_is_left_to_search_for() -> None:
    """Sources, types, language, limit and grouping."""
    plan = read("top 5 topics in German emails from Slack and My Desk per week", ReadingOptions(sources=("My Desk",)))
    assert (plan.sources, plan.interaction_types, plan.languages) == (("slack", "My Desk"), ("email",), ("de",))
    assert (plan.limit, plan.grouping, plan.words) == (5, "week", "")


def test_a_limit_beyond_the_most_is_cut_and_said() -> None:
    """Nobody gets more than 200 rows, and hears so."""
    plan = read("show me 5000 calls with Acme")
    assert plan.limit == 200
    assert plan.not_understood == ("more than 200",)


def test_a_tenants_source_name_wins_over_the_kind_of_source() -> None:
    """A filter names a source of the tenant, as it is written there."""
    assert read("calls from gong", ReadingOptions(sources=("Gong",))).sources == ("Gong",)


def test_who_took_part_besides_is_a_participant() -> None:
    """ "Acme with Bob" is about Acme; Bob must have been there."""
    plan = read("timeline of acme with bob")
    assert ([each.id for each in plan.entities], [each.id for each in plan.participants]) == ([ACME.id], [BOB.id])


def test_a_tie_is_asked_about_and_never_decided() -> None:
    """Two people of one name: no id, both candidates, a question back."""
    plan = read("What did Sam Lee say about pricing?")
    assert plan.state == "asks"
    assert plan.entities[0].id is None
    assert {each.id for each in plan.entities[0].ties} == {SAM_AT_GLOBEX.id, SAM_AT_ACME.id}
    assert "2 people" in plan.question_back


def test_a_company_beside_a_name_settles_the_tie() -> None:
    """Of two Sam Lees the one with an address at Globex is "Sam Lee at Globex"."""
    plan = read("What did Sam Lee at Globex say about pricing?")
    assert (plan.state, [each.id for each in plan.entities], plan.words) == ("ready", [SAM_AT_GLOBEX.id], "pricing")


def test_a_name_that_nobody_has_is_asked_about() -> None:
    """Without it the answer would be about everybody."""
    plan = read("Summarise calls with Wayne Enterprises")
    assert plan.state == "asks"
    assert '"Wayne Enterprises"' in plan.question_back


def test_a_longer_name_is_not_taken_for_a_known_piece_of_it() -> None:
    """ "Acme Foods" is not Acme; it may be meant, so it is offered."""
    plan = read("Summarise calls with Acme Foods")
    assert (plan.state, plan.entities) == ("asks", ())
    assert "Did you mean Acme Inc. (company)?" in plan.question_back


@pytest.mark.parametrize(
    "question", ["What's the weather?", "Who is the king of Spain?", "How many ounces are in a pound?", "", "¿?", "\x00"]
)
def test_what_is_not_about_customers_is_declined(question: str) -> None:
    """Out of scope: no intent, and what can be asked instead."""
    plan = read(question)
    assert (plan.state, plan.intent) in {("abstains", None), ("asks", "who")}
    assert plan.question_back


def test_times_are_compared_as_two() -> None:
    """ "this month with last month" keeps both periods beside the range over both."""
    plan = read("compare this month with last month for Acme")
    assert plan.time_range is not None
    assert [(each.start, each.end) for each in plan.periods] == [
        (date(2026, 11, 1), date(2026, 12, 1)),
        (date(2026, 10, 1), date(2026, 11, 1)),
    ]


def test_a_time_that_no_calendar_tells_is_said() -> None:
    """ "since our last QBR" is no date: the plan says that it was not understood."""
    plan = read("emails from globex.io since our last QBR")
    assert (plan.time_range, plan.not_understood, plan.interaction_types) == (None, ("since our last QBR",), ("email",))


def test_similar_takes_the_interaction_that_is_shown_or_named() -> None:
    """Without either it asks."""
    assert read("Find calls like this one").state == "asks"
    assert read("Find calls like this one", shown=SHOWN).similar_to == SHOWN
    assert read(f"find interactions similar to this: {SHOWN}").similar_to == SHOWN


def test_the_classifier_is_asked_only_where_no_rule_is_sure() -> None:
    """Names and times are masked before it sees the question; what it does not know is declined."""
    seen: list[str] = []

    def classify(masked: str) -> Classified:
        seen.append(masked)
        return Classified("summary", 0.8)

    assert read_question("Boil down what Jane Doe at Acme wants last week", INDEX, TODAY, classify=classify).intent == "summary"
    assert read_question("Summarise our calls with Acme", INDEX, TODAY, classify=classify).read_by == "rules"
    assert seen == ["Boil down what Jane at Acme wants"]


def test_the_echo_is_plain_english_with_exact_days() -> None:
    """Whoever asked sees how the question was read."""
    assert (
        echo(read("Summarise our calls with Acme last quarter"))
        == "I read this as: summary · Acme Inc. (company) · 1 Jul - 30 Sep 2026 · calls"
    )
    assert echo(read("mood at Globex since March")) == "I read this as: sentiment · Globex Corporation (company) · since 1 Mar 2026"
    assert echo(read("calls yesterday")).endswith("timeline · 19 Nov 2026 · calls")
