"""The coaching report: objections, findings, scorecards, trend, and how it is shown."""

import json
from dataclasses import replace
from datetime import UTC, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from pay_ready.agent.coaching.conversations import Conversation
from pay_ready.agent.coaching.findings import Rule
from pay_ready.agent.coaching.objections import objections_of
from pay_ready.agent.coaching.page import as_html
from pay_ready.agent.coaching.rendering import as_markdown, headline, sections
from pay_ready.agent.coaching.report import CoachingReport, CoachingRules, Request, coaching_report
from pay_ready.agent.coaching.report_json import as_json
from pay_ready.agent.coaching.scorecards import Question, Scorecard
from pay_ready.agent.coaching.trackers import Tracker, listen
from pay_ready.pipeline.coaching_config import load_coaching_rules
from pay_ready.resources import resource_path
from tests.coaching_support import DAY, REP, call_of, message, thread_of, turn

TRACKERS = (
    Tracker(tracker_id="price", label="price", group="objection", side="external", keywords=("too expensive",)),
    Tracker(tracker_id="timing", label="timing", group="objection", side="external", keywords=("next year",)),
    Tracker(tracker_id="takes_up", label="takes it up", group="acknowledgement", side="internal", keywords=("I understand",)),
    Tracker(tracker_id="agrees", label="agrees", group="agreement", side="external", keywords=("that works",)),
    Tracker(tracker_id="praise", label="Customers praise us", group="win", side="external", keywords=("love it",)),
)
MONOLOGUE = Rule(rule_id="long", kind="focus", title="Shorter", measure="longest_monologue", above=120, advice="Stop.", reference="ours")
CARD = Scorecard(
    scorecard_id="card",
    title="Card",
    interaction_types=("call",),
    questions=(
        Question(question_id="asks", text="Asks?", answered_by="measure", measure="questions", at_least=1, weight=3),
        Question(question_id="praised", text="Praised?", answered_by="tracker", tracker="praise", at_least=1),
        Question(question_id="thanks", text="Thanks?", answered_by="keyword", keywords=("thanks",), side="internal", at_least=1),
        Question(question_id="replies", text="Quick?", answered_by="measure", measure="first_response", at_most=60),
    ),
)
RULES = CoachingRules(trackers=TRACKERS, scorecards=(CARD,), rules=(MONOLOGUE,))
REQUEST = Request(rep=REP, since=DAY, until=DAY + timedelta(days=7))
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/a) [a](javascript:b) \x1b[31mred\x1b]8;;http://e\x07 a\u200bb \u202eevil | x"


def handled(*turns: tuple[str, str]) -> list[tuple[str, bool, bool, str]]:
    """The objections of a call: kind, acknowledged, asked about, outcome."""
    call = call_of([turn(who, 10 * number, 10 * number + 9, text, turn_no=number) for number, (who, text) in enumerate(turns)])
    (hits,) = listen(TRACKERS, [call]).hits
    return [(each.kind, each.is_acknowledged, each.is_asked_about, each.outcome) for each in objections_of(call, hits, TRACKERS, UTC)]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("Ann", "It is too expensive.")], [("price", False, False, "unanswered")]),
        ([("Ann", "It is too expensive."), ("Bob", "I understand. What did you plan?"), ("Ann", "Well.")], [("price", True, True, "open")]),
        (
            [("Ann", "It is too expensive."), ("Bob", "No."), ("Ann", "Hm."), ("Bob", "We can split it."), ("Ann", "Okay, that works.")],
            [("price", False, False, "resolved")],
        ),
        (
            [("Ann", "It is too expensive."), ("Bob", "No."), ("Ann", "Still too expensive."), ("Bob", "I understand.")],
            [("price", False, False, "came back"), ("price", True, False, "open")],
        ),
        # Twice in a row before any answer is one objection; of two kinds it is two.
        ([("Ann", "Too expensive."), ("Dan", "Yes, too expensive, and next year anyway."), ("Bob", "Why?")],
         [("price", False, True, "open"), ("timing", False, True, "open")]),
        ([("Bob", "Is it too expensive?"), ("Ann", "No, that works.")], []),
        # Who agrees and objects in one breath has not agreed.
        ([("Ann", "Too expensive."), ("Bob", "No."), ("Ann", "That works, but next year.")],
         [("price", False, False, "open"), ("timing", False, False, "unanswered")]),
    ],
)  # fmt: skip
def test_objections(turns: list[tuple[str, str]], expected: list[tuple[str, bool, bool, str]]) -> None:
    """How each was handled follows from the rep's next turns and what the customer says after them."""
    assert handled(*turns) == expected


def test_an_objection_tells_its_answer() -> None:
    """Words and seconds of the answer, the pause before it, and where the customer agreed."""
    call = call_of([
        turn("Ann", 0, 10, "It is too expensive."),
        turn("Bob", 11.5, 15, "Let me see."),
        turn("Carl", 15, 20, "We can split it."),
        turn("Ann", 21, 22, "Fine, that works."),
    ])  # fmt: skip
    (hits,) = listen(TRACKERS, [call]).hits
    (found,) = objections_of(call, hits, TRACKERS, ZoneInfo("America/New_York"))
    assert (found.answer_words, found.answer_s, found.pause_s) == (7, pytest.approx(8.5), pytest.approx(1.5))
    assert found.settled_by is not None
    assert found.settled_by.time_code == "0:21"
    assert found.quote.occurred_at.hour == 5  # in the asked zone


def call_on(day: float, seconds: float, *more: str, name: str = "", text: str = "Why is that?") -> Conversation:
    """A call of Bob's monologue and Ann's answers."""
    at = DAY + timedelta(days=day)
    name = name or f"call on {day}"
    turns = [turn("Bob", 0, seconds, text, call=name, occurred_at=at)]
    turns += [
        turn("Ann", seconds + 10 * number, seconds + 10 * number + 9, said, call=name, occurred_at=at, turn_no=number + 1, sentiment=-0.5)
        for number, said in enumerate(more)
    ]
    return call_of(turns, subject=f"Subject {day}")


def report_of(*conversations: Conversation) -> CoachingReport:
    """The report over a week."""
    return coaching_report(REQUEST, conversations, RULES)


def test_averages_are_over_conversations_and_compared_with_the_week_before() -> None:
    """The period is half-open, as is the one of the same length before it; what lies outside both does not count."""
    report = report_of(call_on(0, 100, "a"), call_on(6.9, 200, "a"), call_on(7, 900, "a"), call_on(-1, 300, "a"), call_on(-7.1, 900, "a"))
    (longest,) = (each for each in report.averages if each.name == "longest_monologue")
    assert (longest.value, longest.conversations, longest.previous, longest.previous_conversations) == (150, 2, 300, 1)
    assert (longest.change, longest.trend) == (-150, "better")
    assert [row.subject for row in report.rows] == ["Subject 0", "Subject 6.9"]


def test_a_focus_area_has_quotes_with_time_codes_and_citations() -> None:
    """The worst conversation comes first; the quote says who, when in the call, and where to look it up."""
    report = report_of(call_on(0, 130, "a"), call_on(1, 400, "a"), call_on(2, 10, "a"))
    (focus,) = report.focus
    assert focus.says == "longest monologue: 3.0 min on average over 3 conversations (above 120 s)"
    assert [quote.end_s for quote in focus.quotes] == [400, 130]
    rows = next(section.rows for section in sections(report) if section.title == "Focus areas")
    assert rows[0][3:] == ("0:00-6:40 Bob: “Why is that?”", focus.quotes[0].citation)
    assert str(focus.quotes[0].interaction_id) in focus.quotes[0].citation
    assert not report_of(call_on(0, 110, "a")).focus


def test_wins_are_heard_in_the_customers_words() -> None:
    """A tracker of the group "win" gives one win with its quotes."""
    (win,) = report_of(call_on(0, 10, "We love it."), call_on(1, 10, "I love it. Really.")).wins
    assert (win.title, win.value) == ("Customers praise us", 2)
    assert [quote.text for quote in win.quotes] == ["I love it.", "We love it."]


def test_a_scorecard_weighs_what_could_be_answered() -> None:
    """3 of 5 by weight, for the question about replies cannot be asked of a call; threads have no such card."""
    report = report_of(call_on(0, 10, "Well."), thread_of([message("Ann", 1), message("Bob", 2)]))
    (card,) = report.scorecards
    assert (card.conversations, card.score) == (1, pytest.approx(3 / 5))
    assert card.yes_shares == {"asks": 1, "praised": 0, "thanks": 0, "replies": None}
    assert [row.scores for row in report.rows] == [{"card": pytest.approx(0.6)}, {}]


def test_sentiment_is_the_customers() -> None:
    """Mean, worst tenth and quotes of what customers said."""
    found = report_of(call_on(0, 10, "Bad.", "Worse.")).sentiment
    assert (found.scored, found.mean, found.worst_tenth, found.rep_mean) == (2, -0.5, -0.5, None)
    assert [score for score, _ in found.worst] == [-0.5, -0.5]
    assert not found.best


def test_an_empty_period_says_so() -> None:
    """No conversation: a report without figures, that says what is missing."""
    report = report_of()
    assert headline(report) == (
        "Bob, from 2026-03-02 10:00 until 2026-03-09 10:00 (UTC): no conversation was found."
        " Compared with the period of the same length before it."
    )
    assert sections(report) == []
    assert "no conversation was found" in as_html(report)


def test_the_formulas_stand_in_the_report() -> None:
    """Each measure that is shown has its unit and formula in every form of the report."""
    report = report_of(call_on(0, 10, "Well."))
    for shown in (as_markdown(report), as_html(report), json.dumps(as_json(report), ensure_ascii=False)):
        assert "seconds of speech of the rep" in shown
    assert as_json(report)["measures"]["talk_ratio"]["unit"] == "share"  # type: ignore[index]


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_report() -> CoachingReport:
    """A report whose every text of others is hostile."""
    call = call_on(0, 400, f"Too expensive {HOSTILE}.", f"We love it {HOSTILE}", text=f"{HOSTILE}?")
    said = tuple(replace(each, utterance=replace(each.utterance, speaker=HOSTILE, source=HOSTILE)) for each in call.said)
    request = replace(REQUEST, rep=replace(REP, name=HOSTILE))
    return coaching_report(request, [replace(call, said=said, subject=HOSTILE)], RULES)


def test_hostile_text_is_text_on_the_page() -> None:
    """No element, attribute or address of theirs is in the HTML; the page fetches nothing and runs nothing."""
    page = as_html(hostile_report())
    found = Tags(page)
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "ul",
        "li",
    }
    assert found.tags <= allowed | {"svg", "text", "rect"}
    assert not any(name.startswith("on") or name in ("href", "src", "style") for name in found.attributes)
    assert "default-src 'none'" in page
    assert not set(page) & set("\x1b\x07\u200b\u202e")
    assert "<script>alert(1)</script>" in found.text


def test_hostile_text_is_text_in_markdown() -> None:
    """A reader of Markdown makes no link, image or element of it, and no table cell more."""
    written = as_markdown(hostile_report())
    page = Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(written))
    assert page.tags == {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"} - ({"ul", "li"} - page.tags)
    assert not set(written) & set("\x1b\x07\u200b\u202e")
    assert "http://" not in written


def test_hostile_text_is_plain_for_terminals_and_programs() -> None:
    """Rows and JSON carry no escape, no hidden mark."""
    report = hostile_report()
    cells = [cell for section in sections(report) for row in section.rows for cell in row]
    cells.append(json.dumps(as_json(report), ensure_ascii=False))
    assert all(cell.isprintable() for cell in cells)
    assert not set("".join(cells)) & set("\u200b\u202e")


def test_the_shipped_rules_load_and_serve() -> None:
    """`config/coaching` is valid, has every kind of objection, and finds in a call what it is for."""
    rules = load_coaching_rules(resource_path("config", "coaching"))
    kinds = {each.tracker_id for each in rules.trackers if each.group == "objection"}
    assert kinds == {"price", "timing", "competitor", "authority", "need", "trust"}
    assert all(each.reference for each in rules.rules)
    call = call_on(0, 400, "Honestly, this is too expensive for us.", "I'd have to check with my boss.", "And we are not ready yet.")
    report = coaching_report(REQUEST, [call], rules)
    assert [each.kind for each in report.objections] == ["price", "authority", "timing"]
    assert {each.finding_id for each in report.focus} >= {"talks_too_much", "long_monologues", "customers_unhappy"}
