"""Questions behind another one: what they take over is said, a whole one takes over nothing, and ties are answered."""

from datetime import date

import pytest

from pay_ready.agent.echo import echo
from pay_ready.agent.eval.reading import evaluate_follow_ups
from pay_ready.agent.follow_times import time_beside
from pay_ready.agent.follow_up import followed
from pay_ready.agent.follow_words import shape_of
from pay_ready.agent.plan import QueryPlan, TimeRange, plan_from_json
from pay_ready.agent.reading import question_read
from tests.agent_support import ACME, BOB, GLOBEX, INDEX, INITECH, JANE, SAM_AT_ACME, SAM_AT_GLOBEX, SHOWN, TODAY

Q3 = TimeRange(start=date(2026, 7, 1), end=date(2026, 10, 1))


def talk(*questions: str) -> QueryPlan:
    """The plan of the last of some questions, each behind the one before it, as a session keeps them."""
    before: QueryPlan | None = None
    plan = QueryPlan(state="abstains", question_back="?")
    for question in questions:
        read = question_read(question, INDEX, TODAY)
        plan = followed(before, read, INDEX) if before is not None else read.plan
        before = plan if plan.intent is not None else before
    return plan


@pytest.mark.parametrize("name", ["follow_ups", "follow_ups_second"])
def test_follow_up_sets(name: str) -> None:
    """The project's own sets, whole plans, by rules alone."""
    figures = evaluate_follow_ups(name=name)
    assert figures.right / figures.asked >= 0.97, figures.wrong


def test_what_is_taken_over_is_said() -> None:
    """In the plan by its parts, and to people with the exact days."""
    plan = talk("Summarise our calls with Acme last quarter", "and sentiment?")
    assert (plan.intent, [each.id for each in plan.entities], plan.time_range) == (
        "sentiment",
        [ACME.id],
        Q3.model_copy(update={"words": "last quarter"}),
    )
    assert plan.taken_over == ("entities", "time", "types")
    assert "Taken over from the question before: Acme Inc. (company) · 1 Jul - 30 Sep 2026 · calls" in echo(plan).split("\n")
    assert plan_from_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    "question",
    [
        "Which topics came up most this month?",
        "Compare Globex and Initech",
        "How is the mood at Globex?",
        "timeline of Initech",
        "ok, now summarise our emails with Initech",
        "just show me the timeline of Globex",
        "Which customers think that they pay too much?",
        "Find calls where pricing was mentioned",
        "Is there a promise to Globex?",
    ],
)
def test_a_whole_question_takes_over_nothing(question: str) -> None:
    """Its plan is that of the same question alone."""
    alone = question_read(question, INDEX, TODAY).plan
    assert talk("Summarise our calls with Acme and Bob last quarter from Slack", question) == alone
    assert alone.taken_over == ()


def test_a_question_that_is_not_understood_leaves_what_was_said() -> None:
    """After a question out of scope one goes on from the one before."""
    plan = talk("Summarise our calls with Acme last quarter", "what's the weather in Paris?", "and sentiment?")
    assert (plan.intent, [each.id for each in plan.entities]) == ("sentiment", [ACME.id])


def test_why() -> None:
    """Shows what was said in that time with those people; of a summary there is no more to say."""
    assert talk("How is the sentiment of Acme this year?", "why?").intent == "summary"
    plan = talk("Summarise our calls with Acme", "why?")
    assert (plan.state, plan.intent) == ("abstains", None)
    assert "only what was said" in plan.question_back


@pytest.mark.parametrize("wants", ["more", "show me more", "go on"])
def test_more(wants: str) -> None:
    """Twice as many, up to the most that anybody gets."""
    assert talk("top 5 topics", wants).limit == 10
    assert talk("Timeline of Acme", wants).limit == 60
    assert talk("Timeline of Acme", *[wants] * 6).limit == 200


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("2", SAM_AT_ACME),
        ("(2)", SAM_AT_ACME),
        ("the second one", SAM_AT_ACME),
        ("number 1", SAM_AT_GLOBEX),
        ("the one at Acme", SAM_AT_ACME),
        ("globex", SAM_AT_GLOBEX),
        ("Sam Lee from the Globex team", SAM_AT_GLOBEX),
        ("sam.lee@acme.com", SAM_AT_ACME),
        ("acme.com", SAM_AT_ACME),
        ("the last one", SAM_AT_ACME),
    ],
)
def test_ties_are_answered(answer: str, chosen: object) -> None:
    """By number, place, company, address, domain; the rest of the question stays, and the echo tells the two apart."""
    plan = talk("What did Sam Lee promise us last quarter?", answer)
    assert (plan.state, plan.intent, plan.time_range and plan.time_range.start) == ("ready", "promises", Q3.start)
    assert [each.id for each in plan.entities] == [chosen.id]  # type: ignore[attr-defined]
    assert plan.entities[0].detail in echo(plan)
    assert plan.entities[0].detail


def test_both_are_an_answer() -> None:
    """All that tie, one by one."""
    assert {each.id for each in talk("What did Sam Lee promise us?", "both").entities} == {SAM_AT_ACME.id, SAM_AT_GLOBEX.id}


@pytest.mark.parametrize("answer", ["7", "0", "the ninth"])
def test_a_number_that_nobody_has_asks_again(answer: str) -> None:
    """It is no new question."""
    plan = talk("What did Sam Lee promise us?", answer)
    assert plan.state == "asks"
    assert "(1) Sam Lee, sam@globex.io, (2) Sam Lee, sam.lee@acme.com. Which one?" in plan.question_back


def test_a_new_question_answers_no_tie() -> None:
    """Though it names a company where one of them works."""
    plan = talk("What did Sam Lee promise us?", "Summarise our calls with Acme")
    assert (plan.intent, [each.id for each in plan.entities]) == ("summary", [ACME.id])


def test_an_offered_name_is_accepted() -> None:
    """ "Did you mean Acme?", "yes"; another name in its place; nobody, where neither."""
    asked = "Summarise our calls with Acme Foods last quarter"
    assert [each.id for each in talk(asked, "yes").entities] == [ACME.id]
    assert [each.id for each in talk(asked, "Globex").entities] == [GLOBEX.id]
    assert talk(asked, "Globex").time_range == talk(asked).time_range
    assert talk(asked, "no").state == "abstains"


def test_what_similar_lacked_is_given() -> None:
    """ "Like which interaction?", an id."""
    plan = talk("Find calls like this one", str(SHOWN))
    assert (plan.state, plan.similar_to, plan.interaction_types) == ("ready", SHOWN, ("call",))


def test_she_is_asked_for_where_nobody_or_several_can_be_meant() -> None:
    """No person: who is meant; two: which one, answered like any tie."""
    nobody = talk("Who at Acme talks to us most?", "what did she promise?")
    assert (nobody.state, nobody.question_back) == ("asks", 'Whom do you mean by "she"? Name the person.')
    assert [each.id for each in talk("Who at Acme talks to us most?", "what did she promise?", "Jane").entities] == [JANE.id]
    several = ("Timeline of Jane Doe and Bob Miller", "what did she promise?")
    assert talk(*several).state == "asks"
    assert [each.id for each in talk(*several, "2").entities] == [BOB.id]


def test_who_is_meant_where_the_question_names_others() -> None:
    """ "Them" and "she" took part, too; "it" is compared."""
    plan = talk("Who at Acme talks to us most?", "what did Bob promise them?")
    assert ([each.id for each in plan.entities], [each.id for each in plan.participants]) == ([BOB.id], [ACME.id])
    plan = talk("Timeline of Jane Doe", "what did she promise Globex?")
    assert ([each.id for each in plan.entities], [each.id for each in plan.participants]) == ([GLOBEX.id], [JANE.id])
    assert [each.id for each in talk("Summarise our calls with Acme", "compare it with Initech").entities] == [ACME.id, INITECH.id]
    assert [each.id for each in talk("Compare Acme and Initech", "summarise the second one").entities] == [INITECH.id]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("and the quarter before?", "2026-04-01", "2026-07-01"),
        ("the month after that", "2026-10-01", "2026-11-01"),
        ("the period before", "2026-04-01", "2026-07-01"),
        ("the previous quarter", "2026-04-01", "2026-07-01"),
        ("the same quarter last year", "2025-07-01", "2025-10-01"),
        ("a year earlier", "2025-07-01", "2025-10-01"),
        ("the two weeks before that", "2026-06-17", "2026-07-01"),
        ("and before that?", None, "2026-07-01"),
        ("what happened after that?", "2026-10-01", None),
    ],
)
def test_times_beside_the_one_before(text: str, start: str | None, end: str | None) -> None:
    """Units end where the time before begins, or begin where it ends."""
    found = time_beside(text, Q3)
    assert found is not None
    assert [str(each) if each else None for each in (found.start, found.end)] == [start, end]


@pytest.mark.parametrize("text", ["last quarter", "since March", "the second opinion", "before the renewal", "the year"])
def test_other_times_are_not_beside_it(text: str) -> None:
    """They stand for themselves."""
    assert time_beside(text, Q3) is None


@pytest.mark.parametrize("text", ["who was there", "who was there in the end", "what is it about", "did they sign", "show me their mails"])
def test_words_that_refer(text: str) -> None:
    """To somebody that the question does not name."""
    assert shape_of(text).refers


@pytest.mark.parametrize(
    "text", ["is there any news", "are there complaints", "is it true that Acme left", "what does Acme want and do they pay"]
)
def test_words_that_refer_to_nobody_outside(text: str) -> None:
    """Expletives, and words whose name stands before them."""
    assert not shape_of(text).refers
