"""The coaching report of one rep and period, as a value: `rendering` and `page` show it."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from pay_ready.agent.coaching.conversations import Conversation, Quote, Rep, quote_of, seen_from
from pay_ready.agent.coaching.findings import Examined, Finding, Rule, findings_of
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.measures import Basis, measure
from pay_ready.agent.coaching.objections import Objection, objections_of, with_objections
from pay_ready.agent.coaching.scorecards import Answered, Scorecard, Scored, fill
from pay_ready.agent.coaching.trackers import Hit, Tracker, listen
from pay_ready.agent.coaching.wording import count
from pay_ready.model.memory import Embedder

_EXAMPLES = 3  # of the worst and of the best that customers said


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachingRules:
    """What a report listens for and holds against the figures; read from `config/coaching`."""

    trackers: tuple[Tracker, ...] = ()
    scorecards: tuple[Scorecard, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which report: of whom, from when until when (exclusive), in whose time zone."""

    rep: Rep
    since: datetime
    until: datetime
    zone: tzinfo = UTC

    @property
    def previous_since(self) -> datetime:
        """Where the period of the same length before this one begins; it ends at `since`."""
        return self.since - (self.until - self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """The mean of a measure over the conversations in which it was measured, now and in the period before."""

    name: str
    value: float | None
    conversations: int
    previous: float | None
    previous_conversations: int

    @property
    def change(self) -> float | None:
        """From the period before to this one; None where one of them has no value."""
        return None if self.value is None or self.previous is None else self.value - self.previous

    @property
    def trend(self) -> str:
        """better, worse or the same; up or down where neither is good by itself; empty where there is nothing to compare."""
        if self.change is None:
            return ""
        if abs(self.change) < 1e-9:
            return "the same"
        way = "higher" if self.change > 0 else "lower"
        better = MEASURES[self.name].better
        return ("up" if way == "higher" else "down") if not better else "better" if way == better else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One conversation in the report's table."""

    conversation_id: str
    occurred_at: datetime  # in the report's zone
    source: str
    interaction_type: str
    subject: str
    basis: Basis
    length_s: float
    figures: Mapping[str, float]
    scores: Mapping[str, float | None]  # by scorecard that is for it
    objections: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentiment:
    """What the customers' words felt like; scores in [-1, 1]."""

    scored: int  # utterances of customers
    mean: float | None
    worst_tenth: float | None  # mean of the lowest tenth, at least one utterance
    rep_mean: float | None
    worst: tuple[tuple[float, Quote], ...]  # below 0, the lowest first
    best: tuple[tuple[float, Quote], ...]  # above 0, the highest first


@dataclass(frozen=True, slots=True, kw_only=True)
class CardAverage:
    """A scorecard over the period; by question the share of yes among its answers."""

    card: Scorecard
    conversations: int
    score: float | None
    previous: float | None
    yes_shares: Mapping[str, float | None]
    not_met: Mapping[str, Answered]  # by question, the latest no


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachingReport:
    """Everything that the report shows."""

    request: Request
    rows: tuple[Row, ...]  # the earliest first
    averages: tuple[Average, ...]  # in the order of MEASURES; those that were measured in one of the periods
    sentiment: Sentiment
    objections: tuple[Objection, ...]
    objection_counts: Mapping[str, tuple[int, int]]  # by kind: in this period and in the one before
    wins: tuple[Finding, ...]
    focus: tuple[Finding, ...]
    scorecards: tuple[CardAverage, ...]
    labels: Mapping[str, str]  # of kinds of objections
    notes: tuple[str, ...]


def coaching_report(
    request: Request, conversations: Iterable[Conversation], rules: CoachingRules, embedder: Embedder | None = None
) -> CoachingReport:
    """The report of a rep and period.

    Args:
        request: Whose, and when.
        conversations: Those in which the rep took part, of this period and of the one before; what lies outside both is left aside.
        rules: As loaded.
        embedder: For trackers by example; without one that knows meaning, keywords alone, and the report says so.
    """
    mine = [seen_from(each, request.rep) for each in conversations]
    mine.sort(key=lambda each: (each.occurred_at, each.conversation_id))
    now = [each for each in mine if request.since <= each.occurred_at < request.until]
    before = [each for each in mine if request.previous_since <= each.occurred_at < request.since]
    heard = listen(rules.trackers, [*before, *now], embedder)
    examined = [_examine(each, hits, rules, request) for each, hits in zip([*before, *now], heard.hits, strict=True)]
    earlier, current = examined[: len(before)], examined[len(before) :]
    averages = _averages(current, earlier)
    findings = findings_of(rules.rules, rules.trackers, current, request.zone)
    return CoachingReport(
        request=request,
        rows=tuple(_row(each, request.zone) for each in current),
        averages=averages,
        sentiment=_sentiment(now, request.zone),
        objections=tuple(objection for each in current for objection in each.objections),
        objection_counts=_objection_counts(current, earlier),
        wins=tuple(each for each in findings if each.kind == "win"),
        focus=tuple(each for each in findings if each.kind == "focus"),
        scorecards=tuple(_card_average(card, current, earlier) for card in rules.scorecards),
        labels={each.tracker_id: each.label for each in rules.trackers},
        notes=(*heard.notes, *_notes(current)),
    )


def _examine(conversation: Conversation, hits: Sequence[Hit], rules: CoachingRules, request: Request) -> Examined:
    objections = tuple(objections_of(conversation, hits, rules.trackers, request.zone))
    measures = with_objections(measure(conversation, request.rep), objections)
    cards = (fill(card, conversation, measures, hits, request.zone) for card in rules.scorecards)
    return Examined(
        conversation=conversation,
        measures=measures,
        hits=tuple(hits),
        objections=objections,
        scored=tuple(each for each in cards if each is not None),
    )


def _averages(current: Sequence[Examined], earlier: Sequence[Examined]) -> tuple[Average, ...]:
    made = []
    for name in MEASURES:
        now, before = ([each.measures.figures[name] for each in some if name in each.measures.figures] for some in (current, earlier))
        if now or before:
            made.append(
                Average(
                    name=name,
                    value=_mean(now),
                    conversations=len(now),
                    previous=_mean(before),
                    previous_conversations=len(before),
                )
            )
    return tuple(made)


def _row(examined: Examined, zone: tzinfo) -> Row:
    conversation = examined.conversation
    return Row(
        conversation_id=conversation.conversation_id,
        occurred_at=conversation.occurred_at.astimezone(zone),
        source=conversation.first.source,
        interaction_type=conversation.first.interaction_type,
        subject=conversation.subject,
        basis=examined.measures.basis,
        length_s=examined.measures.length_s,
        figures=examined.measures.figures,
        scores={each.scorecard_id: each.score for each in examined.scored},
        objections=len(examined.objections),
        notes=examined.measures.notes,
    )


def _sentiment(conversations: Sequence[Conversation], zone: tzinfo) -> Sentiment:
    said = [(each.sentiment, each.utterance) for conversation in conversations for each in conversation.said if each.sentiment is not None]
    customers = sorted((each for each in said if each[1].side == "external"), key=lambda each: each[0])
    scores = [score for score, _ in customers]
    return Sentiment(
        scored=len(scores),
        mean=_mean(scores),
        worst_tenth=_mean(scores[: max(1, len(scores) // 10)]),
        rep_mean=_mean([score for score, utterance in said if utterance.side == "internal"]),
        worst=tuple((score, quote_of(utterance, zone)) for score, utterance in customers[:_EXAMPLES] if score < 0),
        best=tuple((score, quote_of(utterance, zone)) for score, utterance in customers[: -_EXAMPLES - 1 : -1] if score > 0),
    )


def _objection_counts(current: Sequence[Examined], earlier: Sequence[Examined]) -> Mapping[str, tuple[int, int]]:
    now, before = (Counter(objection.kind for each in some for objection in each.objections) for some in (current, earlier))
    return {kind: (now[kind], before[kind]) for kind in sorted(now | before, key=lambda kind: (-now[kind], kind))}


def _card_average(card: Scorecard, current: Sequence[Examined], earlier: Sequence[Examined]) -> CardAverage:
    now, before = (
        [scored for each in some for scored in each.scored if scored.scorecard_id == card.scorecard_id] for some in (current, earlier)
    )
    answers: dict[str, list[Answered]] = {question.question_id: [] for question in card.questions}
    for scored in now:
        for answered in scored.answers:
            if answered.answer != "not measured":
                answers[answered.question_id].append(answered)
    return CardAverage(
        card=card,
        conversations=len(now),
        score=_mean(_scores(now)),
        previous=_mean(_scores(before)),
        yes_shares={name: _mean([each.answer == "yes" for each in given]) for name, given in answers.items()},
        not_met={name: missed[-1] for name, given in answers.items() if (missed := [each for each in given if each.answer == "no"])},
    )


def _scores(scored: Iterable[Scored]) -> list[float]:
    return [each.score for each in scored if each.score is not None]


def _notes(current: Sequence[Examined]) -> list[str]:
    """What a reader must know of the figures, each once with the number of conversations that it is about."""
    told = Counter(note for each in current for note in each.measures.notes)
    return [f"{count(number, 'conversation')}: {note}" for note, number in sorted(told.items(), key=lambda item: (-item[1], item[0]))]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
