"""The coaching report as Markdown, and as rows for a terminal's tables. Every text of others passes `safe_text`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pay_ready.agent.coaching.conversations import SPOKEN, Quote, time_code
from pay_ready.agent.coaching.findings import Finding
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.objections import OUTCOMES, Objection
from pay_ready.agent.coaching.report import CardAverage, CoachingReport
from pay_ready.agent.coaching.wording import change, count, figure, seconds
from pay_ready.agent.safe_text import clip, for_markdown, plain

COLUMNS = ("talk_ratio", "longest_monologue", "interactivity", "patience", "question_rate", "first_response", "customer_sentiment")
TREND = {"better": "▲ better", "worse": "▼ worse", "up": "↑", "down": "↓", "the same": "=", "": ""}
_SUBJECT = 40  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table: plain text, a row a tuple."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sections(report: CoachingReport) -> list[Section]:
    """The report as tables, without what would be empty: figures, conversations, findings, objections, scorecards, formulas."""
    made = [
        Section(title="Figures", columns=("measure", "value", "of", "before", "change", "trend"), rows=tuple(_figure_rows(report))),
        Section(title="Conversations", columns=_conversation_columns(report), rows=tuple(_conversation_rows(report))),
        Section(title="Focus areas", columns=("focus", "figure", "what to do", "quote", "where"), rows=tuple(_finding_rows(report.focus))),
        Section(title="Wins", columns=("win", "figure", "", "quote", "where"), rows=tuple(_finding_rows(report.wins))),
        Section(title="What customers felt", columns=("", "sentiment", "quote", "where"), rows=tuple(_sentiment_rows(report))),
        Section(title="Objections", columns=("kind", "quote", "handling", "where"), rows=tuple(_objection_rows(report.objections))),
        Section(title="Scorecards", columns=("card", "question", "yes", "not met in"), rows=tuple(_card_rows(report.scorecards))),
        Section(title="Formulas", columns=("measure", "unit", "formula"), rows=tuple(formulas(report))),
    ]
    return [each for each in made if each.rows]


def headline(report: CoachingReport) -> str:
    """Whose report it is, the exact period, and how much it rests on."""
    request = report.request
    spoken = sum(row.interaction_type in SPOKEN for row in report.rows)
    kinds = ((spoken, "call or meeting", "calls and meetings"), (len(report.rows) - spoken, "thread", "threads"))
    what = ", ".join(f"{number:,} {one if number == 1 else many}" for number, one, many in kinds if number) or "no conversation was found"
    period = f"from {_moment(request.since.astimezone(request.zone))} until {_moment(request.until.astimezone(request.zone))}"
    return f"{plain(request.rep.name)}, {period} ({request.zone}): {what}. Compared with the period of the same length before it."


def sentiment_line(report: CoachingReport) -> str:
    """What the customers' words felt like, in a sentence."""
    found = report.sentiment
    if not found.scored:
        return "Customer sentiment: not measured, for no utterance of a customer was scored."
    rep = f"; the rep's side {figure('customer_sentiment', found.rep_mean)}" if found.rep_mean is not None else ""
    return (
        f"Customer sentiment: {figure('customer_sentiment', found.mean)} on a scale from -1 to 1, over {count(found.scored, 'utterance')};"
        f" the worst tenth {figure('customer_sentiment', found.worst_tenth)}{rep}."
    )


def objection_line(report: CoachingReport) -> str:
    """How many objections of which kind, and before."""
    if not report.objection_counts:
        return "Objections: none was heard."
    kinds = (f"{report.labels[kind]} {now} (before: {before})" for kind, (now, before) in report.objection_counts.items())
    return f"Objections: {', '.join(kinds)}."


def handling(objection: Objection) -> str:
    """What the rep made of an objection, in a sentence."""
    if objection.answer is None:
        return f"{OUTCOMES[objection.outcome]}."
    length = f", {seconds(objection.answer_s)}" if objection.answer_s is not None else ""
    pause = f" after {seconds(objection.pause_s)}" if objection.pause_s is not None else ""
    parts = [
        "acknowledged" if objection.is_acknowledged else "not acknowledged",
        "asked a question" if objection.is_asked_about else "asked nothing",
        f"answered in {count(objection.answer_words, 'word')}{length}{pause}",
    ]
    settled = f" {objection.settled_by.citation}" if objection.settled_by else ""
    return f"{', '.join(parts)}; {OUTCOMES[objection.outcome]}{settled}."


def formulas(report: CoachingReport) -> Iterable[tuple[str, str, str]]:
    """Label, unit and formula of each measure that the report shows."""
    for each in report.averages:
        shown = MEASURES[each.name]
        yield shown.label, shown.unit or "count", shown.formula


def as_markdown(report: CoachingReport) -> str:
    """The report as a Markdown document; what others wrote is text in it and nothing else."""
    lines = [f"# Coaching report: {for_markdown(report.request.rep.name)}", "", for_markdown(headline(report)), ""]
    lines += [for_markdown(sentiment_line(report)), "", for_markdown(objection_line(report)), ""]
    for section in sections(report):
        lines += [f"## {section.title}", "", *_table(section), ""]
    if report.notes:
        lines += ["## How to read this", "", *(f"- {for_markdown(note)}" for note in report.notes), ""]
    return "\n".join(lines)


def quoted(quote: Quote) -> str:
    """A quote in one line, with who said it and where in the call: 12:04 Ann: "…"."""
    speaker = f"{plain(quote.speaker)}: " if quote.speaker else ""
    until = f"-{time_code(quote.end_s)}" if quote.end_s is not None and quote.time_code else ""
    return f"{quote.time_code}{until} {speaker}“{plain(quote.text)}”".strip()


def _figure_rows(report: CoachingReport) -> Iterable[tuple[str, ...]]:
    for each in report.averages:
        before = figure(each.name, each.previous) if each.previous is not None else ""
        value, label = figure(each.name, each.value), MEASURES[each.name].label
        yield label, value, count(each.conversations, "conversation"), before, change(each.name, each.change), TREND[each.trend]


def _shown_columns(report: CoachingReport) -> list[str]:
    return [name for name in COLUMNS if any(name in row.figures for row in report.rows)]


def _conversation_columns(report: CoachingReport) -> tuple[str, ...]:
    cards = [plain(each.card.title) for each in report.scorecards if each.conversations]
    labels = [MEASURES[name].label for name in _shown_columns(report)]
    return ("when", "source", "type", "subject", "length", *labels, "objections", *cards, "interaction")


def _conversation_rows(report: CoachingReport) -> Iterable[tuple[str, ...]]:
    cards = [each.card.scorecard_id for each in report.scorecards if each.conversations]
    for row in report.rows:
        figures = (figure(name, row.figures[name]) if name in row.figures else "" for name in _shown_columns(report))
        scores = (_score(row.scores.get(card)) for card in cards)
        length = seconds(row.length_s) if row.length_s else ""
        place = (f"{row.occurred_at:%Y-%m-%d %H:%M}", plain(row.source), row.interaction_type, clip(row.subject, _SUBJECT), length)
        yield (*place, *figures, f"{row.objections}", *scores, plain(row.conversation_id))


def _finding_rows(findings: Sequence[Finding]) -> Iterable[tuple[str, ...]]:
    """A row for each quote; what a finding says stands in its first."""
    for each in findings:
        for number, quote in enumerate(each.quotes):
            said = (each.title, f"{each.says}; {each.reference}", each.advice) if number == 0 else ("", "", "")
            yield (*map(plain, said), quoted(quote), quote.citation)


def _sentiment_rows(report: CoachingReport) -> Iterable[tuple[str, ...]]:
    for label, examples in (("worst", report.sentiment.worst), ("best", report.sentiment.best)):
        for score, quote in examples:
            yield label, figure("customer_sentiment", score), quoted(quote), quote.citation


def _objection_rows(objections: Sequence[Objection]) -> Iterable[tuple[str, ...]]:
    for each in objections:
        yield plain(each.label), quoted(each.quote), handling(each), each.quote.citation


def _card_rows(cards: Sequence[CardAverage]) -> Iterable[tuple[str, ...]]:
    for each in cards:
        if not each.conversations:
            continue
        before = f" (before: {_score(each.previous)})" if each.previous is not None else ""
        yield plain(each.card.title), f"all, in {count(each.conversations, 'conversation')}", f"{_score(each.score)}{before}", ""
        for question in each.card.questions:
            missed = each.not_met.get(question.question_id)
            where = missed.quotes[0].citation if missed and missed.quotes else ""
            yield "", plain(question.text), _score(each.yes_shares[question.question_id]), where


def _score(value: float | None) -> str:
    return "not measured" if value is None else f"{value * 100:.0f} %"


def _table(section: Section) -> list[str]:
    head = " | ".join(section.columns)
    rows = (" | ".join(map(for_markdown, row)) for row in section.rows)
    return [f"| {head} |", f"|{' --- |' * len(section.columns)}", *(f"| {row} |" for row in rows)]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M}"
