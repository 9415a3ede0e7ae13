"""The summary of what was said with somebody: overview, topics, decisions, promises, requests, sentiment, contact and next steps.

Everything is quoted or counted, nothing is made up; every line cites the interactions that it rests on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pay_ready.agent.extract import ExtractOptions, Line, check_rows, content_words, extract, quote_line
from pay_ready.agent.periods import trend_of
from pay_ready.agent.promises import Act, acts_of
from pay_ready.agent.sentences import Citation, Sentence
from pay_ready.agent.sentiment import ScoredSentence, SentimentReading, interaction_points, worst_tenth
from pay_ready.agent.topics import Topic
from pay_ready.model.talk import Side

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

SECTIONS = ("overview", "topics", "decisions", "promises", "requests", "sentiment", "contact", "next_steps")
_SIDES: tuple[tuple[Side, str], ...] = (("external", "the other side"), ("internal", "us"), ("unknown", "speakers of no known side"))
_WEEK_S = 7 * 24 * 3600
_REPEATS = 0.9  # cosine from which one sentence says another again


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """How long a summary is."""

    overview: ExtractOptions = field(default_factory=ExtractOptions)
    most_topics: int = 5
    most_acts: int = 5  # decisions, promises, requests and next steps, each
    least_act_words: int = 3  # content words: "Can you?" asks for nothing that can be told
    open_interactions: int = 3  # the latest ones with a promise or request: what they hold is a next step
    act_words: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The sections of a summary; one about which nothing was found is empty."""

    overview: tuple[Line, ...] = ()
    topics: tuple[Line, ...] = ()
    decisions: tuple[Line, ...] = ()
    promises: tuple[Line, ...] = ()
    requests: tuple[Line, ...] = ()
    sentiment: tuple[Line, ...] = ()
    contact: tuple[Line, ...] = ()  # channels and how often
    next_steps: tuple[Line, ...] = ()

    def sections(self) -> Iterator[tuple[str, tuple[Line, ...]]]:
        """Name and lines of the sections that hold something, in the order in which they are read."""
        yield from ((name, lines) for name in SECTIONS if (lines := getattr(self, name)))

    def __str__(self) -> str:
        titles = ((name.replace("_", " ").capitalize(), lines) for name, lines in self.sections())
        return "\n\n".join("\n".join((title, *(f"- {line}" for line in lines))) for title, lines in titles)


def summarise(
    sentences: Sequence[Sentence],
    vectors: "Vectors",
    *,
    options: SummaryOptions | None = None,
    reading: SentimentReading | None = None,
    topics: Sequence[Topic] = (),
) -> Summary:
    """What was said, in a few lines that each cite their interaction.

    Args:
        sentences: In the order they were said, as `sentences_of` gives them.
        vectors: Their unit rows, shape (len(sentences), dimensions), float32.
        reading: The sentiment of these sentences; None leaves that section out.
        topics: Of the same period, the most frequent first.

    Raises:
        EmbeddingError: There is not one vector for each sentence.
    """
    options = options or SummaryOptions()
    check_rows(vectors, len(sentences))
    if not sentences:
        return Summary()
    acts = _acts(sentences, vectors, options)
    return Summary(
        overview=tuple(extract(sentences, vectors, options.overview)),
        topics=tuple(_topic_line(topic) for topic in topics[: options.most_topics]),
        decisions=_act_lines((act for act in acts if act.kind == "decision"), options),
        promises=_act_lines((act for act in acts if act.kind == "promise"), options),
        requests=_act_lines((act for act in acts if act.kind == "request"), options),
        sentiment=tuple(_sentiment_lines(reading)) if reading else (),
        contact=_contact_lines(sentences),
        next_steps=_next_steps(acts, options),
    )


def _acts(sentences: Sequence[Sentence], vectors: "Vectors", options: SummaryOptions) -> list[Act]:
    """Requests, promises and decisions with content, the latest first, none that says a later one of its kind again."""
    place = {id(sentence): number for number, sentence in enumerate(sentences)}
    kept: list[Act] = []
    for act in sorted(acts_of(sentences), key=lambda act: act.sentence.utterance.occurred_at, reverse=True):
        if len(content_words(act.sentence.text)) < options.least_act_words:
            continue
        row = vectors[place[id(act.sentence)]]
        same_kind = [vectors[place[id(other.sentence)]] for other in kept[-50:] if other.kind == act.kind]
        if not any(float(row @ other) >= _REPEATS for other in same_kind):
            kept.append(act)
    return kept


def _act_lines(acts: Iterable[Act], options: SummaryOptions) -> tuple[Line, ...]:
    return tuple(quote_line(act.sentence, options.act_words) for act, _ in zip(acts, range(options.most_acts), strict=False))


def _next_steps(acts: Sequence[Act], options: SummaryOptions) -> tuple[Line, ...]:
    """Promises and requests of the latest interactions that hold some, with who is to act."""
    owed = [act for act in acts if act.kind != "decision"]
    latest = list(dict.fromkeys(act.sentence.utterance.interaction_id for act in owed))[: options.open_interactions]
    lines = []
    for act in owed:
        if act.sentence.utterance.interaction_id in latest:
            line = quote_line(act.sentence, options.act_words)
            lines.append(replace(line, text=f"{_who_acts(act)}: {line.text}"))
    return tuple(lines[: options.most_acts])


def _who_acts(act: Act) -> str:
    side = act.sentence.utterance.side
    if side == "unknown":
        return "Promised" if act.kind == "promise" else "Asked for"
    return "For us" if (side == "internal") == (act.kind == "promise") else "For the other side"


def _topic_line(topic: Topic) -> Line:
    was = f", before {topic.passages_before} ({topic.trend})" if topic.trend else ""
    passages = "1 passage" if topic.passages == 1 else f"{topic.passages} passages"
    return Line(text=f"{topic.label}: {passages}{was}. {topic.quote.text}", citations=topic.quote.citations)


def _sentiment_lines(reading: SentimentReading) -> Iterator[Line]:
    for side, whose in _SIDES:
        scored = [each for each in reading.scored if each.sentence.utterance.side == side]
        if not scored:
            continue
        points = interaction_points(scored)
        trend = trend_of(points)
        mean = sum(each.score for each in scored) / len(scored)
        course = f"{trend.direction}, {trend.slope_per_week:+.3f} a week" if trend.direction else "too few interactions for a trend"
        low = worst_tenth([each.score for each in scored])
        text = (
            f"Sentiment of {whose}: mean {mean:+.2f} on a scale from -1 to +1, worst tenth {low:+.2f}, "
            f"{_count(len(scored), 'sentence')} in {_count(len(points), 'interaction')}, {course}."
        )
        yield Line(text=text, citations=_first_and_last(scored))
        lowest = min(scored, key=lambda each: each.score)
        if lowest.label == "negative":
            line = quote_line(lowest.sentence)
            yield replace(line, text=f"Lowest ({lowest.score:+.2f}): {line.text}")


def _contact_lines(sentences: Sequence[Sentence]) -> tuple[Line, ...]:
    """How often and where: interactions by type and source, and a week."""
    first_of = {each.utterance.interaction_id: each for each in reversed(sentences)}
    talks = sorted(first_of.values(), key=lambda each: (each.utterance.occurred_at, each.utterance.interaction_id))
    begin, end = talks[0].utterance.occurred_at, talks[-1].utterance.occurred_at
    channels = Counter(f"{each.utterance.interaction_type} ({each.utterance.source})" for each in talks)
    shown = ", ".join(f"{count} {channel}" for channel, count in sorted(channels.items(), key=lambda pair: (-pair[1], pair[0])))
    text = f"{_count(len(talks), 'interaction')} {_span(begin, end)}{_rate(len(talks), begin, end)}: {shown}."
    return (Line(text=text, citations=tuple(dict.fromkeys(replace(each.citation, start_s=None) for each in (talks[0], talks[-1])))),)


def _span(begin: datetime, end: datetime) -> str:
    return f"on {begin:%Y-%m-%d}" if begin.date() == end.date() else f"from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"


def _rate(count: int, begin: datetime, end: datetime) -> str:
    """Interactions a week between the first and the last; nothing when they lie within one week."""
    weeks = (end - begin).total_seconds() / _WEEK_S
    return f", {count / weeks:.1f} a week" if weeks >= 1 else ""


def _first_and_last(scored: Sequence[ScoredSentence]) -> tuple[Citation, ...]:
    cited = sorted((each.sentence.citation for each in scored), key=lambda each: each.occurred_at)
    return tuple(dict.fromkeys(replace(each, start_s=None) for each in (cited[0], cited[-1])))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
