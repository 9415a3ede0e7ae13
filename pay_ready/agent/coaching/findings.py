"""Wins and focus areas: where a figure lies within what a rule says, with the conversations that show it best."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from pay_ready.agent.coaching.conversations import Conversation, Quote, quote_of
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.measures import CallMeasures
from pay_ready.agent.coaching.objections import HANDLED, Objection
from pay_ready.agent.coaching.scorecards import Scored
from pay_ready.agent.coaching.trackers import Hit, Tracker, of_group
from pay_ready.agent.coaching.wording import count, figure

Kind = Literal["focus", "win"]
MOST_SHOWN = 3  # conversations that back a finding
_PER_CONVERSATION = 2  # quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When the average of a measure is worth a word: it lies above one bound and below the other, where they are given."""

    rule_id: str
    kind: Kind
    title: str
    measure: str
    above: float | None = None
    below: float | None = None
    least_minutes: float = 0.0  # shorter conversations tell nothing here
    advice: str = ""
    reference: str  # where the bounds come from, as the reader can look it up

    def holds(self, value: float) -> bool:
        """Whether a value lies within."""
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A win or a focus area."""

    finding_id: str
    kind: Kind
    title: str
    says: str  # one sentence with the figure, its unit and the bound
    advice: str
    reference: str
    value: float
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One conversation and everything that was found in it."""

    conversation: Conversation
    measures: CallMeasures  # with those of its objections
    hits: tuple[Hit, ...]
    objections: tuple[Objection, ...]
    scored: tuple[Scored, ...]


def findings_of(rules: Sequence[Rule], trackers: Sequence[Tracker], examined: Sequence[Examined], zone: tzinfo) -> list[Finding]:
    """The findings in the order of the rules, then what trackers of the group "win" heard. Each has a quote; without one it is left out."""
    found = [_finding(rule, examined, zone) for rule in rules] + [_heard(tracker, examined, zone) for tracker in of_group(trackers, "win")]
    return [each for each in found if each is not None and each.quotes]


def quotes_for(rule: Rule, examined: Examined, zone: tzinfo) -> list[Quote]:
    """What shows the rule's measure in one conversation."""
    if is_so := HANDLED.get(rule.measure):
        wanted = rule.kind == "win"
        return [quote for each in examined.objections if is_so(each) == wanted for quote in (each.quote, each.answer) if quote]
    said, measures = examined.conversation.said, examined.measures
    indexes = measures.evidence.get(rule.measure, ())
    if rule.above is not None and rule.below is None:
        indexes = measures.high_evidence.get(rule.measure, indexes)
    return [quote_of(said[index].utterance, zone, end_s=measures.until.get(index)) for index in indexes]


def _finding(rule: Rule, examined: Sequence[Examined], zone: tzinfo) -> Finding | None:
    measured = [
        (each.measures.figures[rule.measure], each)
        for each in examined
        if rule.measure in each.measures.figures and each.measures.length_s >= 60 * rule.least_minutes
    ]
    if not measured or not rule.holds(value := statistics.fmean(figure for figure, _ in measured)):
        return None
    # Where the average alone crosses the bound, all conversations show it.
    showing = [pair for pair in measured if rule.holds(pair[0])] or measured
    showing.sort(key=lambda pair: pair[0], reverse=rule.above is not None)
    quotes = [quote for _, each in showing for quote in quotes_for(rule, each, zone)[:_PER_CONVERSATION]]
    return Finding(
        finding_id=rule.rule_id,
        kind=rule.kind,
        title=rule.title,
        says=_says(rule, value, len(measured)),
        advice=rule.advice,
        reference=rule.reference,
        value=value,
        quotes=tuple(quotes[: MOST_SHOWN * _PER_CONVERSATION]),
    )


def _says(rule: Rule, value: float, conversations: int) -> str:
    least = f" of at least {rule.least_minutes:g} min" if rule.least_minutes else ""
    over = f"over {count(conversations, 'conversation')}{least}"
    return f"{MEASURES[rule.measure].label}: {figure(rule.measure, value)} on average {over} ({_bounds(rule)})"


def _bounds(rule: Rule) -> str:
    low = f"above {figure(rule.measure, rule.above)}" if rule.above is not None else ""
    high = f"below {figure(rule.measure, rule.below)}" if rule.below is not None else ""
    return " and ".join(filter(None, (low, high)))


def _heard(tracker: Tracker, examined: Sequence[Examined], zone: tzinfo) -> Finding:
    hits = [
        (each.conversation.said[hit.index].utterance, hit.sentence)
        for each in reversed(examined)
        for hit in each.hits
        if hit.tracker_id == tracker.tracker_id
    ]
    heard_in = len({utterance.interaction_id for utterance, _ in hits})
    return Finding(
        finding_id=tracker.tracker_id,
        kind="win",
        title=tracker.label,
        says=f"heard {count(len(hits), 'time')} in {count(heard_in, 'interaction')}",
        advice="",
        reference=f"tracker {tracker.tracker_id}",
        value=float(len(hits)),
        quotes=tuple(quote_of(utterance, zone, text=sentence) for utterance, sentence in hits[:MOST_SHOWN]),
    )
