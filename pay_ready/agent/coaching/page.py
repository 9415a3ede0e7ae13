"""The coaching report as one HTML page: self-contained, without scripts, with small bars, and fit to print."""

from collections.abc import Iterable

from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.rendering import Section, headline, objection_line, sections, sentiment_line
from pay_ready.agent.coaching.report import Average, CoachingReport
from pay_ready.agent.coaching.wording import figure
from pay_ready.agent.html_page import document
from pay_ready.agent.safe_text import for_html

_BAR_WIDTH = 200.0


def as_html(report: CoachingReport) -> str:
    """The report as a document of its own; what others wrote is text in it and nothing else."""
    title = for_html(f"Coaching report: {report.request.rep.name}")
    lines = [f"<p>{for_html(line)}</p>" for line in (headline(report), sentiment_line(report), objection_line(report))]
    bars = "".join(_bar(each) for each in report.averages)
    body = [
        f"<h1>{title}</h1>",
        *lines,
        f'<div class="bars">{bars}</div>' if bars else "",
        *map(html_table, sections(report)),
        _notes(report.notes),
    ]
    return document(title, "\n".join(filter(None, body)))


def html_table(section: Section) -> str:
    """A section with its heading."""
    head = "".join(f'<th scope="col">{for_html(column)}</th>' for column in section.columns)
    rows = "\n".join(f"<tr>{''.join(f'<td><bdi>{for_html(value)}</bdi></td>' for value in row)}</tr>" for row in section.rows)
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    return f'<h2>{for_html(section.title)}</h2>\n<div class="scroll">{table}</div>'


def _bar(average: Average) -> str:
    """The value, and below it that of the period before, on one scale: a share's is the whole, else the larger of the two."""
    values = [abs(value) for value in (average.value, average.previous) if value is not None]
    whole = 1.0 if MEASURES[average.name].unit in ("share", "-1…1") else max(values, default=0.0)
    now, before = (_width(value, whole) for value in (average.value, average.previous))
    label = f"{MEASURES[average.name].label}: {figure(average.name, average.value)}"
    told = f"{label}; before: {figure(average.name, average.previous)}"
    drawn = (
        f'<text x="0" y="11">{for_html(label)}</text>'
        f'<rect x="0" y="16" width="{now:.1f}" height="8" fill="#2f6fb2"/>'
        f'<rect x="0" y="26" width="{before:.1f}" height="4" fill="#999"/>'
    )
    return f'<svg viewBox="0 0 320 34" role="img" aria-label="{for_html(told)}">{drawn}</svg>'


def _width(value: float | None, whole: float) -> float:
    return 0.0 if value is None or not whole else _BAR_WIDTH * min(1.0, abs(value) / whole)


def _notes(notes: Iterable[str]) -> str:
    told = "".join(f"<li>{for_html(note)}</li>" for note in notes)
    return f"<h2>How to read this</h2>\n<ul>{told}</ul>" if told else ""
