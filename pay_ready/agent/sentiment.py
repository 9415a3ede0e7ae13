"""Sentiment of what was said: per sentence, per turn, and by day, week or month and side, with the sentences that it rests on.

Scores are in [-1, 1]. What is in a language outside the model is skipped and counted, with the reason.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pay_ready.agent.extract import Line, check_rows, quote_line
from pay_ready.agent.periods import Period, period_of
from pay_ready.agent.sentences import Sentence, words_of
from pay_ready.agent.sentiment_model import LABELS, LANGUAGES, Label, Scorer
from pay_ready.model.talk import Side, Utterance

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSentence:
    """A sentence and how it sounds."""

    sentence: Sentence
    score: float  # in [-1, 1]
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Sentences that were not scored."""

    language: str  # ISO 639-1, as stored; empty where unknown
    sentences: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentReading:
    """Sentences as they were scored, by what, and what was left out."""

    scorer_id: str
    reason: str  # why VADER alone scored; empty when the model did
    scored: tuple[ScoredSentence, ...]  # in the order given
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSentiment:
    """How a turn sounds: the mean of its sentences, each weighted by its words."""

    utterance: Utterance
    score: float
    label: Label  # of the sentence furthest from 0; neutral when none is labelled otherwise
    sentences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSentiment:
    """One side's sentiment in one period, half-open: [start, end) in the tenant's time zone."""

    start: date
    end: date
    side: Side | None  # None: all sides
    interactions: int
    sentences: int
    labels: Mapping[Label, int]
    mean: float  # of the sentences' scores
    worst_tenth: float  # mean of the lowest tenth of the scores, one at least
    worst: tuple[Line, ...]  # negative sentences, the lowest first
    best: tuple[Line, ...]  # positive sentences, the highest first


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingOptions:
    """How sentiment is put together."""

    period: Period = "week"
    time_zone: str = "UTC"  # IANA
    week_start: int = 0  # 0 is Monday, 6 Sunday
    examples: int = 2  # of each kind in each period
    example_words: int = 30


def score_sentences(sentences: Sequence[Sentence], vectors: "Vectors | None", scorer: Scorer) -> SentimentReading:
    """Score the sentences whose language the scorer knows.

    Args:
        sentences: In any order.
        vectors: Their unit rows, shape (len(sentences), dimensions), of the embedder the scorer was opened for; None: VADER alone.

    Raises:
        EmbeddingError: There is not one vector for each sentence.
    """
    if vectors is not None:
        check_rows(vectors, len(sentences))
    known = [place for place, each in enumerate(sentences) if each.utterance.language in LANGUAGES]
    scores, labels = scorer.score([sentences[place].text for place in known], None if vectors is None else vectors[known])
    others = Counter(each.utterance.language for each in sentences if each.utterance.language not in LANGUAGES)
    return SentimentReading(
        scorer_id=scorer.id,
        reason=scorer.reason,
        scored=tuple(
            ScoredSentence(sentence=sentences[place], score=float(score), label=label)
            for place, score, label in zip(known, scores, labels, strict=True)
        ),
        skipped=tuple(
            Skipped(language=language, sentences=count, reason=f"sentiment is read in {', '.join(sorted(LANGUAGES))} only")
            for language, count in sorted(others.items())
        ),
    )


def turn_sentiment(scored: Sequence[ScoredSentence]) -> list[TurnSentiment]:
    """Sentiment of each utterance, in their order; the sentences of one utterance stand together, as `sentences_of` gives them."""
    turns = []
    for _, group in groupby(scored, key=lambda each: id(each.sentence.utterance)):
        said = list(group)
        weights = [max(1, len(words_of(each.sentence.text))) for each in said]
        score = sum(weight * each.score for weight, each in zip(weights, said, strict=True)) / sum(weights)
        loudest = max((each for each in said if each.label != "neutral"), key=lambda each: abs(each.score), default=said[0])
        turns.append(TurnSentiment(utterance=said[0].sentence.utterance, score=score, label=loudest.label, sentences=len(said)))
    return turns


def sentiment_by_period(
    scored: Sequence[ScoredSentence], options: GroupingOptions | None = None, *, by_side: bool = True
) -> list[PeriodSentiment]:
    """Sentiment of each period in which something was said, earliest first; a period counts by when its interactions took place.

    With `by_side` there is one for each side that spoke, else one for all.

    Raises:
        ConfigError: The time zone or the week's first day is unknown.
    """
    options = options or GroupingOptions()
    found: dict[tuple[date, date, Side | None], list[ScoredSentence]] = defaultdict(list)
    bounds: dict[datetime, tuple[date, date]] = {}
    for each in scored:
        said = each.sentence.utterance
        if said.occurred_at not in bounds:
            bounds[said.occurred_at] = period_of(said.occurred_at, options.period, options.time_zone, options.week_start)
        found[*bounds[said.occurred_at], said.side if by_side else None].append(each)
    return [_period(*key, found[key], options) for key in sorted(found, key=lambda key: (key[0], key[2] or ""))]


def worst_tenth(scores: Sequence[float]) -> float:
    """The mean of the lowest tenth of the scores, rounded up to whole ones; NaN without any."""
    lowest = sorted(scores)[: math.ceil(len(scores) / 10)]
    return math.fsum(lowest) / len(lowest) if lowest else math.nan


def interaction_points(scored: Sequence[ScoredSentence], time_zone: str = "UTC") -> list[tuple[datetime, float]]:
    """When each interaction took place, and the mean score of its sentences, earliest first: what a trend is drawn through."""
    scores: dict[tuple[datetime, str], list[float]] = defaultdict(list)
    for each in scored:
        scores[each.sentence.utterance.occurred_at, str(each.sentence.utterance.interaction_id)].append(each.score)
    return [(at.astimezone(ZoneInfo(time_zone)), math.fsum(values) / len(values)) for (at, _), values in sorted(scores.items())]


def _period(start: date, end: date, side: Side | None, scored: Sequence[ScoredSentence], options: GroupingOptions) -> PeriodSentiment:
    scores = [each.score for each in scored]
    labels = Counter(each.label for each in scored)
    return PeriodSentiment(
        start=start,
        end=end,
        side=side,
        interactions=len({each.sentence.utterance.interaction_id for each in scored}),
        sentences=len(scored),
        labels={label: labels[label] for label in LABELS},
        mean=math.fsum(scores) / len(scores),
        worst_tenth=worst_tenth(scores),
        worst=_examples(scored, "negative", options),
        best=_examples(scored, "positive", options),
    )


def _examples(scored: Sequence[ScoredSentence], label: Label, options: GroupingOptions) -> tuple[Line, ...]:
    sign = 1 if label == "negative" else -1
    # sorted keeps the order of equals: the earliest said of them comes first, on every run
    found = sorted((each for each in scored if each.label == label), key=lambda each: sign * each.score)[: options.examples]
    return tuple(quote_line(each.sentence, options.example_words) for each in found)
