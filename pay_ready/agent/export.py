"""A timeline as CSV that is safe to open in a spreadsheet, as JSON values, as an HTML page, and as rows for a terminal's table."""

import csv
import io
from collections.abc import Iterable, Sequence

from pay_ready.agent.html_page import document
from pay_ready.agent.safe_text import for_csv, for_html, plain
from pay_ready.agent.timeline import Group, Line

COLUMNS = ("interaction_id", "occurred_at", "source", "type", "title", "participants", "sentiment", "mark", "thread_id")
_WORDS = {"+": "positive", "·": "neutral", "-": "negative", "": ""}
ROW_COLUMNS = ("when", "", "title", "who", "source", "type", "interaction")


def as_csv(lines: Iterable[Line]) -> str:
    """RFC 4180 with a heading, UTF-8, times in ISO 8601; participants are parted by "; "."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for line in lines:
        # Numbers are ours: they need no guard, and "-0.4" must stay one. A lone + or - would look like a formula to who scans for them.
        sentiment = "" if line.sentiment is None else f"{line.sentiment:.3f}"
        texts = (line.source, line.interaction_type, line.title, "; ".join(line.participants))
        mark = _WORDS[line.mark]
        writer.writerow(
            (line.interaction_id, line.occurred_at.isoformat(), *map(for_csv, texts), sentiment, mark, for_csv(line.thread_id or ""))
        )
    return written.getvalue()


def as_json(lines: Iterable[Line]) -> list[dict[str, object]]:
    """The lines as JSON knows them, with keys that stay."""
    return [
        {
            "interaction_id": str(line.interaction_id),
            "occurred_at": line.occurred_at.isoformat(),
            "source": plain(line.source),
            "type": line.interaction_type,
            "title": plain(line.title),
            "participants": [plain(name) for name in line.participants],
            "sentiment": line.sentiment,
            "mark": line.mark,
            "thread_id": plain(line.thread_id) if line.thread_id else None,
        }
        for line in lines
    ]


def as_html(groups: Sequence[Group], heading: str) -> str:
    """A page of its own, without scripts; a section for each group."""
    body = [f"<h1>{for_html(heading)}</h1>"]
    for group in groups:
        rows = "\n".join(f"<tr>{_cells(line)}</tr>" for line in group.lines)
        body.append(f'<h2><bdi>{for_html(group.title)}</bdi></h2>\n<div class="scroll"><table><tbody>\n{rows}\n</tbody></table></div>')
    if not groups:
        body.append("<p>Nothing was found.</p>")
    return document(for_html(heading), "\n".join(body))


def rows(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Rows for a terminal's table, in the order of ROW_COLUMNS."""
    return [
        (
            f"{line.occurred_at:%Y-%m-%d %H:%M}",
            line.mark,
            plain(line.title),
            plain(", ".join(line.participants)),
            plain(line.source),
            line.interaction_type,
            str(line.interaction_id),
        )
        for line in lines
    ]


def _cells(line: Line) -> str:
    at = f'<td><time datetime="{line.occurred_at.isoformat()}">{line.occurred_at:%Y-%m-%d %H:%M}</time></td>'
    texts = (line.mark, line.title, ", ".join(line.participants), line.source, line.interaction_type, str(line.interaction_id))
    return at + "".join(f"<td><bdi>{for_html(text)}</bdi></td>" for text in texts)
