"""Answers told in sections: lines that cite what they rest on, and tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pay_ready.agent.answers import CoachingAnswer, CountAnswer, SentimentAnswer, SummaryAnswer, TimelineAnswer, TopicsAnswer, WhoAnswer
from pay_ready.agent.chart import sparkline
from pay_ready.agent.export import ROW_COLUMNS
from pay_ready.agent.export import rows as timeline_rows
from pay_ready.agent.extract import Line
from pay_ready.agent.safe_text import clip, plain
from pay_ready.agent.sentences import Citation
from pay_ready.memory.search import SearchAnswer

_PASSAGE = 240  # characters that are shown of one
_NAMELESS = "(no name)"  # whose name no source knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of an answer: lines that cite, or a table."""

    title: str
    lines: tuple[Line, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def summary_sections(answer: SummaryAnswer, *, only_owed: bool = False) -> list[Section]:
    """The sections of a summary; of promises alone those that somebody owes."""
    wanted = ("promises", "requests", "next_steps") if only_owed else None
    return [
        Section(title=name.replace("_", " ").capitalize(), lines=_plain_lines(lines))
        for name, lines in answer.summary.sections()
        if wanted is None or name in wanted
    ]


def timeline_sections(answer: TimelineAnswer) -> list[Section]:
    """One table, the latest first."""
    return [Section(title="Timeline", columns=ROW_COLUMNS, rows=tuple(timeline_rows(answer.page.lines)))] if answer.page.lines else []


def sentiment_sections(answer: SentimentAnswer) -> list[Section]:
    """A row a period and side, and the sentences that stand for them."""
    if not answer.periods:
        return []
    rows = tuple(
        (
            str(each.start), {"internal": "us", "external": "them"}.get(each.side or "", "unknown"), f"{each.mean:+.2f}",
            f"{each.worst_tenth:+.2f}", str(each.interactions), str(each.sentences),
        )
        for each in answer.periods
    )  # fmt: skip
    theirs = [each for each in answer.periods if each.side == "external"] or list(answer.periods)
    course = f"{answer.trend.direction}, {answer.trend.slope_per_week:+.3f} a week" if answer.trend.direction else "too little for a trend"
    by = f"by {answer.scorer_id}" + (f" ({answer.reason})" if answer.reason else "")
    head = f"{sparkline([each.mean for each in theirs])}  {course}; {by}"
    columns = ("from", "side", "mean", "worst tenth", "talks", "sentences")
    worst = [line for each in theirs for line in each.worst]
    best = [line for each in theirs for line in each.best]
    return [
        Section(title="Sentiment", lines=(Line(text=head, citations=()),), columns=columns, rows=rows),
        *_spread_sections(answer),
        Section(title="Lowest", lines=_plain_lines(worst[:5])),
        Section(title="Highest", lines=_plain_lines(best[:5])),
    ]  # fmt: skip


def _spread_sections(answer: SentimentAnswer) -> list[Section]:
    rows = tuple(
        (str(each.start), str(each.interactions), f"{each.p10:+.2f}", f"{each.p50:+.2f}", f"{each.p90:+.2f}") for each in answer.spread
    )
    return [Section(title="By interaction", columns=("from", "talks", "p10", "median", "p90"), rows=rows)] if rows else []


def topic_sections(answer: TopicsAnswer, most: int) -> list[Section]:
    """A line a topic."""
    return [
        Section(title="Topics", lines=_plain_lines([
            Line(
                text=f"{each.label}: {each.passages} passages in {each.interactions} interactions"
                + (f", {each.trend} (before {each.passages_before})" if each.trend else "") + f". {each.quote.text}",
                citations=each.quote.citations,
            )
            for each in answer.topics[:most]
        ]))
    ] if answer.topics else []  # fmt: skip


def coaching_tables(answer: CoachingAnswer) -> list[Section]:
    """The report's tables."""
    from pay_ready.agent.coaching.rendering import headline  # heavy, and few ask for it
    from pay_ready.agent.coaching.rendering import sections as coaching_sections

    made = [Section(title=each.title, columns=each.columns, rows=each.rows) for each in coaching_sections(answer.report)]
    return [Section(title=headline(answer.report)), *made] if answer.report.rows else []


def count_sections(answer: CountAnswer) -> list[Section]:
    """A row a group, with a bar."""
    most = max((each.interactions for each in answer.buckets), default=1)
    rows = tuple((each.bucket, f"{each.interactions:,}", "█" * max(1, math.ceil(20 * each.interactions / most))) for each in answer.buckets)
    spread = answer.spread
    usual = f"; half of the {answer.grouping}s have {spread.p50:g} or fewer, a twentieth more than {spread.p95:g}" if spread else ""
    return (
        [Section(title=f"{answer.total:,} interactions{usual}", columns=(answer.grouping, "interactions", ""), rows=rows)] if rows else []
    )


def who_sections(answer: WhoAnswer) -> list[Section]:
    """A row a person or company."""
    rows = tuple(
        (
            plain(each.name or each.email or _NAMELESS),
            plain(each.title or ""),
            f"{each.interactions:,}",
            f"{each.last_at:%Y-%m-%d}",
            str(each.entity_id),
        )
        for each in answer.people
    )
    return [Section(title="Who", columns=("name", "title", "interactions", "last", "id"), rows=rows)] if rows else []


def hit_sections(answer: SearchAnswer) -> list[Section]:
    """A line a passage."""
    lines = [
        Line(
            text=f"{hit.passage.interaction_type}: {clip(hit.passage.chunk_text, _PASSAGE)}",
            citations=(
                Citation(
                    interaction_id=hit.passage.interaction_id, occurred_at=hit.passage.occurred_at, source=hit.passage.source,
                    start_s=hit.passage.start_s,
                ),
            ),
        )
        for hit in answer.hits
    ]  # fmt: skip
    return [Section(title="Found", lines=_plain_lines(lines))] if lines else []


def compared_sections(name: str, answer: SummaryAnswer) -> list[Section]:
    """The sections that two are compared by, a few lines each."""
    kept = [each for each in summary_sections(answer) if each.title in ("Overview", "Topics", "Sentiment", "Contact", "Next steps")]
    return [replace(each, title=f"{plain(name)}: {each.title.lower()}", lines=each.lines[:4]) for each in kept]


def _plain_lines(lines: Sequence[Line]) -> tuple[Line, ...]:
    return tuple(replace(line, text=plain(line.text)) for line in lines)
