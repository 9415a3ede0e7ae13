"""Typed results and plans are masked before they are rendered: whoever is known is a token in every form of them."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.agent.answers import Basis, SummaryAnswer, WhoAnswer
from pay_ready.agent.coaching.conversations import conversations_of
from pay_ready.agent.coaching.page import as_html
from pay_ready.agent.coaching.rendering import as_markdown
from pay_ready.agent.coaching.report import CoachingRules, Request, coaching_report
from pay_ready.agent.coaching.report_json import as_json
from pay_ready.agent.echo import echo
from pay_ready.agent.extract import Line
from pay_ready.agent.masked import masked, masked_plan
from pay_ready.agent.masking import KnownName, Masker, MaskPolicy
from pay_ready.agent.plan import plan_from_json
from pay_ready.agent.sentences import sentences_of
from pay_ready.agent.summary import summarise
from pay_ready.agent.telling import summary_sections, who_sections
from pay_ready.db.talks import Participation
from tests.agent_support import ACME, BOB, GLOBEX, INITECH, JANE, SAM_AT_ACME, SAM_AT_GLOBEX, read
from tests.coaching_support import DAY, REP, turn
from tests.talk_support import BEGAN, utterance

EVERYBODY = (ACME, BOB, GLOBEX, INITECH, JANE, SAM_AT_ACME, SAM_AT_GLOBEX)
NAMES = [
    KnownName(text=text, kind=each.entity_type, entity_id=each.id) for each in EVERYBODY
    for text in (each.name, *each.emails, *each.domains)
]  # fmt: skip
SECRET = ("Jane", "Doe", "Bob", "Miller", "Sam Lee", "Acme", "ACME", "Globex", "Initech", "jane@", "acme.com", "Jnae")


def masker(policy: MaskPolicy = "all") -> Masker:
    """Of the small tenant."""
    return Masker(b"key of a tenant", policy, NAMES)


def said_of(text: str) -> list[str]:
    """What of the known values stands in a text."""
    return [each for each in SECRET if each in text]


@pytest.mark.parametrize(
    "question",
    [
        "What did Jane Doe promise us last month?", "what did Jnae Doe promise us?", "timeline of Sam Lee with Bob",
        "calls with J. Doe at Acme",
        "Compare Acme and Globex", "summarise calls with Acme Foods", "calls with jane@acme.com", "Search for Jane Doe and pricing",
        "Coaching report for Bob", "anything about Initech at Acme?",
    ],
)  # fmt: skip
def test_a_plan_says_no_name(question: str) -> None:
    """Nor what was written for one, mistyped or not: not in its JSON, not in the echo; it stays a plan, with its ids."""
    plan = read(question)
    assert said_of(echo(plan))
    shown = masked_plan(plan, masker())
    assert not said_of(shown.model_dump_json())
    assert not said_of(echo(shown))
    assert [each.ids for each in shown.entities] == [each.ids for each in plan.entities]
    assert plan_from_json(shown.model_dump_json()) == shown


def test_two_of_one_name_have_two_tokens() -> None:
    """Who asks can tell them apart by number, and by the tokens of their addresses."""
    [tied] = masked_plan(read("What did Sam Lee promise us?"), masker()).entities
    assert len({each.name for each in tied.ties}) == len({each.detail for each in tied.ties}) == 2


@pytest.mark.parametrize(("policy", "kept"), [("none", ["Jane", "Doe", "jane@", "acme.com"]), ("contacts", ["Jane", "Doe"]), ("all", [])])
def test_the_policy_says_what_of_a_plan_is_masked(policy: MaskPolicy, kept: list[str]) -> None:
    """Nothing; addresses; names, too."""
    plan = read("What did Jane Doe promise us?")
    tied = plan.model_copy(update={"words": "jane@acme.com"})
    assert said_of(masked_plan(tied, masker(policy)).model_dump_json()) == kept


def test_a_summary_says_no_name() -> None:
    """Speakers, what they say of others, and small words of labels; ids, sources and times stay."""
    said = sentences_of([utterance("Ask Doe about the invoice, Jane knows.", call=1, speaker="Bob Miller")])
    made = summarise(said, np.eye(len(said), 8, dtype=np.float32) + 0.1)
    made = replace(made, topics=(Line(text="doe, invoice: 3 passages", citations=made.overview[0].citations),))
    answer = SummaryAnswer(summary=made, basis=Basis(interactions=1, total=1), scorer_id="x")
    shown = masked(answer, masker())
    told = json.dumps([str(line) for section in summary_sections(shown) for line in section.lines])
    assert not said_of(told)
    assert "doe" not in told
    assert f"{masker()('Jane Doe')}, invoice" in told
    assert shown.summary.overview[0].citations == made.overview[0].citations
    assert masked(answer, masker("none")) is answer
    assert masked(shown, masker()) == shown


def test_who_says_no_name_and_has_a_row_for_the_nameless() -> None:
    """An address where no name is known, and words for neither."""
    people = tuple(
        Participation(entity_id=UUID(int=number), name=name, email=email, title=None, interactions=3, first_at=BEGAN, last_at=BEGAN)
        for number, (name, email) in enumerate([("Jane Doe", "jane@acme.com"), (None, "x@y.example"), (None, None)])
    )
    answer = WhoAnswer(entity_type="person", people=people, basis=Basis(interactions=3, total=3))
    assert [row[0] for row in who_sections(answer)[0].rows] == ["Jane Doe", "x@y.example", "(no name)"]
    mask = masker()
    shown = [mask("Jane Doe"), mask("x@y.example"), "(no name)"]
    assert [row[0] for row in who_sections(masked(answer, mask))[0].rows] == shown


def test_a_coaching_report_is_masked_before_it_is_rendered() -> None:
    """In HTML and Markdown what stands for a name is text; a long subject is cut after it was masked, so that no half name is left."""
    text = "Jane Doe says that Acme finds the price too high, mail jane@acme.com"
    said = [
        turn("Bob", 0, 150, text),
        turn("Ann", 151, 160, text, turn_no=1, sentiment=-0.8),
        turn("Ann", 161, 170, text, turn_no=2),
    ]
    made = conversations_of(said, subjects={each.utterance.interaction_id: f"{'x' * 36} Doe" for each in said})
    report = coaching_report(Request(rep=REP, since=DAY, until=DAY + timedelta(days=7)), made, CoachingRules())
    shown = masked(report, masker())
    page, marked, data = as_html(shown), as_markdown(shown), json.dumps(as_json(shown))
    assert not said_of(page + marked + data)
    assert "&lt;person:" in page
    assert "&lt;person:" in marked
    assert "<person:" in data
    assert shown.averages == report.averages
    assert said_of(as_html(report))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A result of any shape."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    text: str
    more: "tuple[Told, ...]" = ()
    by_name: "dict[str, list[str]]"


_TEXTS = st.lists(st.sampled_from([*SECRET[:5], "calls", "the", "Jane Doe", "J\u200bane Doe", "Ja\x1b[31mne", "\n", "x"]), max_size=6).map(
    " ".join
)
_TOLD = st.recursive(
    st.builds(
        Told, interaction_id=st.uuids(), occurred_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)), source=st.just("gong"), text=_TEXTS,
        by_name=st.dictionaries(st.just("kept"), st.lists(_TEXTS, max_size=2), max_size=1),
    ),
    lambda inner: st.builds(
        Told, interaction_id=st.uuids(), occurred_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)), source=st.just("gong"), text=_TEXTS,
        more=st.lists(inner, max_size=2).map(tuple), by_name=st.just({}),
    ),
    max_leaves=5,
)  # fmt: skip


@given(_TOLD)
def test_nothing_known_is_left_in_any_result(told: Told) -> None:
    """However deep it lies and whatever is hidden in it; its type, ids, times and sources stay, and once is enough."""
    mask = masker()
    shown = masked(told, mask)
    assert not [each for each in ("Jane", "Doe", "Bob", "Miller", "Sam Lee") if each in str(shown)]
    assert (type(shown), shown.interaction_id, shown.occurred_at, shown.source) == (
        Told,
        told.interaction_id,
        told.occurred_at,
        told.source,
    )
    assert masked(shown, mask) == shown
