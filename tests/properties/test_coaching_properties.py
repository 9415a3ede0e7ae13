"""Measures, trackers and reports for any conversation, against an oracle that counts seconds one by one."""

import json
import math
import statistics
from datetime import UTC, timedelta
from itertools import pairwise
from random import Random
from types import MappingProxyType

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.agent.coaching.conversations import Said
from pay_ready.agent.coaching.floor import Span, handovers_of, runs_of, shares, speech_seconds
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.keywords import keywords_of, pieces_of
from pay_ready.agent.coaching.measures import measure
from pay_ready.agent.coaching.page import as_html
from pay_ready.agent.coaching.rendering import as_markdown, sections
from pay_ready.agent.coaching.report import Request, coaching_report
from pay_ready.agent.coaching.report_json import as_json
from pay_ready.pipeline.coaching_config import load_coaching_rules
from pay_ready.resources import resource_path
from tests.coaching_support import DAY, REP, call_of, message, thread_of, turn

ANY_LOAD = settings(deadline=None)  # the machine may be busy with other tests
RULES = load_coaching_rules(resource_path("config", "coaching"))
SPEAKERS = st.sampled_from(["Bob", "Carl", "Eve", "Ann", "Dan", "?"])
TEXTS = st.lists(st.sampled_from(["too expensive", "why", "I understand", "next year", "love it", "that works", "a"]), max_size=6).map(
    ". ".join
)
SCORES = st.none() | st.floats(-1, 1)
SHARES = frozenset(name for name, each in MEASURES.items() if each.unit == "share")


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Spans at whole seconds, so that seconds can be counted."""
    made = []
    for index in range(draw(st.integers(1, 12))):
        start, party = draw(st.integers(0, 40)), draw(st.sampled_from("ab"))
        speaker = party + draw(st.sampled_from("12"))
        made.append(Span(start_s=start, end_s=start + draw(st.integers(0, 12)), party=party, speaker=speaker, index=index))
    return made


@st.composite
def turns(draw: st.DrawFn) -> list[Said]:
    """Turns of a call: overlapping, without ends or starts, with times that are none."""
    times = st.none() | st.floats(0, 300) | st.sampled_from([math.nan, math.inf, -math.inf])
    return [
        turn(draw(SPEAKERS), draw(times), draw(times), draw(TEXTS), turn_no=number, sentiment=draw(SCORES))
        for number in range(draw(st.integers(1, 10)))
    ]


@ANY_LOAD
@given(spans())
def test_seconds_are_those_on_the_clock(found: list[Span]) -> None:
    """A party speaks in as many whole seconds as at least one of its spans covers; the shares add up to 1."""
    counted = {
        party: len({second for span in found if span.party == party for second in range(int(span.start_s), int(span.end_s))})
        for party in {span.party for span in found}
    }
    seconds = speech_seconds(found)
    assert seconds == counted
    assert not shares(seconds) or math.isclose(sum(shares(seconds).values()), 1)


@ANY_LOAD
@given(spans())
def test_runs_and_handovers_by_a_plain_loop(found: list[Span]) -> None:
    """Longest run, changes of side and gaps are those of a loop that remembers one span."""
    ordered = sorted(found, key=lambda span: (span.start_s, span.end_s, span.party, span.speaker, span.index))
    longest, begin, end, gaps = 0.0, ordered[0].start_s, ordered[0].end_s, []
    for before, after in pairwise(ordered):
        if before.party != after.party:
            gaps.append(after.start_s - before.end_s)
        if before.speaker == after.speaker and after.start_s - end < 2:
            end = max(end, after.end_s)
        else:
            longest, begin, end = max(longest, end - begin), after.start_s, after.end_s
    assert max(run.seconds for run in runs_of(found)) == max(longest, end - begin)
    assert [each.gap_s for each in handovers_of(found)] == gaps
    assert sorted(index for run in runs_of(found) for index in run.indexes) == list(range(len(found)))


@ANY_LOAD
@given(spans(), st.randoms(use_true_random=False))
def test_the_order_of_spans_does_not_matter(found: list[Span], order: Random) -> None:
    """Nothing depends on what came first."""
    mixed = order.sample(found, len(found))
    assert runs_of(mixed) == runs_of(found)
    assert handovers_of(mixed) == handovers_of(found)
    assert speech_seconds(mixed) == speech_seconds(found)


@ANY_LOAD
@given(turns(), st.randoms(use_true_random=False))
def test_figures_are_in_their_ranges(said: list[Said], order: Random) -> None:
    """Shares lie in [0, 1] and those of the sides add up to 1; seconds, rates and counts are no less than 0; order does not matter."""
    found = measure(call_of(said), REP)
    assert found == measure(call_of(order.sample(said, len(said))), REP)
    assert all(math.isfinite(value) for value in found.figures.values())
    assert not found.shares or math.isclose(sum(found.shares.values()), 1)
    for name, value in found.figures.items():
        if name in SHARES:
            assert 0 <= value <= 1
        elif name == "customer_sentiment":
            assert -1 <= value <= 1
        elif name != "patience":
            assert value >= 0
    assert found.figures.get("rep_share", 0) <= found.figures.get("talk_ratio", 1) + 1e-9
    if found.basis == "times":
        assert found.figures.get("longest_monologue", 0) <= found.length_s
    assert all(0 <= index < len(said) for indexes in found.evidence.values() for index in indexes)


@ANY_LOAD
@given(st.lists(st.tuples(SPEAKERS, st.integers(0, 10_000)), min_size=1, max_size=12))
def test_waiting_is_never_negative(said: list[tuple[str, int]]) -> None:
    """Delays are no less than 0, and the median of those that a plain loop finds."""
    found = measure(thread_of([message(who, minutes) for who, minutes in said])).figures
    ordered = thread_of([message(who, minutes) for who, minutes in said]).said
    waits, since = [], None
    for each in ordered:
        side, at = each.utterance.side, each.utterance.occurred_at
        if side == "external":
            since = since or at
        elif side == "internal" and since:
            waits.append((at - since).total_seconds())
            since = None
    assert found.get("reply_delay") == (statistics.median(waits) if waits else None)
    assert found.get("first_response") == (waits[0] if waits else None)


@ANY_LOAD
@given(
    st.lists(st.text("ab*'. ", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4).map(tuple),
    st.text("abc '.,", max_size=60),
)
def test_any_keyword_is_an_expression(keywords: tuple[str, ...], text: str) -> None:
    """Whatever a keyword holds, it compiles; what it finds begins where a word begins, and no sentence with it is passed over."""
    found = keywords_of(keywords)
    if hit := found.pattern.search(text):
        assert hit.start() == 0 or not (text[hit.start() - 1].isalnum() or text[hit.start() - 1] in "_'’")
        assert found.is_in(text, pieces_of(text))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(turns(), max_size=4), st.text(max_size=30))
def test_any_report_can_be_shown(calls: list[list[Said]], subject: str) -> None:
    """Every finding has quotes and citations, scores lie in [0, 1], and every form of the report is made of printable text."""
    conversations = [call_of(said, subject) for said in calls]
    report = coaching_report(Request(rep=REP, since=DAY, until=DAY + timedelta(days=1), zone=UTC), conversations, RULES)
    for finding in (*report.wins, *report.focus):
        assert finding.quotes
        assert finding.reference
        assert all(str(quote.interaction_id) in quote.citation for quote in finding.quotes)
    assert all(score is None or 0 <= score <= 1 for row in report.rows for score in row.scores.values())
    assert all(cell.isprintable() for section in sections(report) for row in section.rows for cell in row)
    assert json.loads(json.dumps(as_json(report), allow_nan=False))["conversations"] == as_json(report)["conversations"]
    assert all(line.isprintable() for line in as_markdown(report).split("\n"))
    assert "<script" not in as_html(report)


def test_the_measures_cannot_be_changed() -> None:
    """What is defined once is not altered by a caller."""
    assert isinstance(MEASURES, MappingProxyType)
