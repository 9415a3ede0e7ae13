"""The plan's schema: strict, frozen, and quiet about values."""

import json
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from pay_ready.agent.calendars import Calendar
from pay_ready.agent.drafted import plan_of_draft
from pay_ready.agent.plan import PlanDraft, PlanError, QueryPlan, TimeRange, draft_from_json, plan_from_json
from tests.agent_support import ACME, BOB, INDEX


@pytest.mark.parametrize(
    ("draft", "named"),
    [
        ({"intent": "summary", "sql": "select secret"}, "sql"),
        ({"intent": "summary", "tenant": "secret"}, "tenant"),
        ({"intent": "wire_money_secret"}, "intent"),
        ({"intent": "summary", "limit": 201}, "limit"),
        ({"intent": "summary", "limit": 0}, "limit"),
        ({"intent": "summary", "time_range": {"start": "2026-03-01", "end": "2026-02-01"}}, "time_range"),
        ({"intent": "summary", "time_range": {"start": "2026-03-01", "end": "2026-03-01"}}, "time_range"),
        ({"intent": "summary", "time_range": {}}, "time_range"),
        ({"intent": "summary", "interaction_types": ["secret"]}, "interaction_types"),
        ({"intent": "summary", "languages": ["secret"]}, "languages"),
        ({"names": ["secret"]}, "intent"),
    ],
)
def test_a_draft_that_is_off_is_refused_by_name(draft: dict[str, object], named: str) -> None:
    """Unknown keys, inverted ranges and limits over 200 name their field; the value stays out of the message."""
    with pytest.raises(PlanError) as refused:
        draft_from_json(json.dumps(draft))
    assert named in str(refused.value)
    assert "secret" not in str(refused.value).replace("tenant", "").replace("sql", "")


def test_a_draft_in_order_is_taken() -> None:
    """What a model may say: intent, names as the question has them, days, filters."""
    draft = draft_from_json(
        '{"intent": "count", "names": ["Acme"], "time_range": {"start": "2026-01-01", "end": "2026-04-01"}, "limit": 200}'
    )
    assert draft.time_range == TimeRange(start=date(2026, 1, 1), end=date(2026, 4, 1))


def test_no_json_is_no_plan() -> None:
    """Whatever a model says instead of JSON."""
    with pytest.raises(PlanError):
        plan_from_json("Sure! Here is your plan.")


def test_a_plan_is_frozen_and_says_why_it_is_not_ready() -> None:
    """Nobody changes a plan on its way to the tools; one that is not ready asks something."""
    plan = QueryPlan(intent="summary")
    with pytest.raises(ValidationError):
        plan.intent = "count"
    with pytest.raises(ValidationError):
        QueryPlan(intent="summary", state="asks")
    with pytest.raises(ValidationError):
        QueryPlan(intent=None)


def test_a_range_in_moments_follows_the_clock() -> None:
    """Half-open in UTC as it is in days."""
    days = TimeRange(start=date(2026, 7, 1), end=date(2026, 10, 1))
    assert days.moments(Calendar(time_zone="Europe/Berlin")) == (
        datetime(2026, 6, 30, 22, tzinfo=UTC),
        datetime(2026, 9, 30, 22, tzinfo=UTC),
    )


def test_the_names_of_a_draft_are_linked_here() -> None:
    """A model gives names; ids, ties and unknown names are told by the tenant's index."""
    draft = PlanDraft(intent="timeline", names=("acme",), participants=("Bob Miller",), sources=("slack", "fax"))
    plan = plan_of_draft(draft, INDEX, sources=("Slack",))
    assert ([each.id for each in plan.entities], [each.id for each in plan.participants]) == ([ACME.id], [BOB.id])
    assert (plan.sources, plan.not_understood, plan.state, plan.read_by) == (("Slack",), ("fax",), "ready", "model")
    assert plan_of_draft(PlanDraft(intent="summary", names=("wayne enterprises",)), INDEX).state == "asks"
    assert plan_of_draft(PlanDraft(intent="summary", names=("Sam Lee",)), INDEX).entities[0].tied == 2
