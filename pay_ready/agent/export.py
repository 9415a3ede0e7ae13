"""A timeline as CSV that is safe to open in a spreadsheet, as JSON values, as an HTML page, and as rows for a terminal's table."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pay_ready.agent.html_page import TAIL, head
from pay_ready.agent.safe_text import for_csv, for_html, plain
from pay_ready.agent.timeline import Group, Line

COLUMNS = (
    "interaction_id", "occurred_at", "source", "type", "title", "participants", "more_participants", "sentiment", "mark", "thread_id",
    "url",
)  # fmt: skip
_WORDS = {"+": "positive", "·": "neutral", "-": "negative", "": ""}
ROW_COLUMNS = ("when", "mood", "what", "who", "source", "type", "interaction")
_SHOWN_NAMES = 4  # in a row and on a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a timeline is written piece by piece: a beginning, groups of lines, an end."""

    begin: str
    line: Callable[[Line], str]
    end: str = ""
    between_lines: str = ""
    group: Callable[[str], str] = lambda _: ""  # how one of this title begins
    group_end: str = ""
    between_groups: str = ""
    nothing: str = ""  # in place of groups


def csv_form() -> Form:
    """RFC 4180 with a heading, UTF-8, times in ISO 8601; participants are parted by "; ". Groups are told by the order alone."""
    return Form(begin=_csv([COLUMNS]), line=lambda line: _csv([_csv_cells(line)]))


def json_form(about: Mapping[str, object], *, is_grouped: bool) -> Form:
    """One object: what it is about, which is something, and "entries", or "groups" of them with a title."""
    name = "groups" if is_grouped else "entries"
    whole = Form(
        begin=f'{json.dumps(about, ensure_ascii=False)[:-1]}, "{name}": [\n', end="\n]}\n",
        line=lambda line: json.dumps(json_values(line), ensure_ascii=False), between_lines=",\n",
    )  # fmt: skip
    if not is_grouped:
        return whole
    return replace(
        whole, group=lambda title: f'{{"title": {json.dumps(title, ensure_ascii=False)}, "entries": [\n', group_end="\n]}",
        between_groups=",\n",
    )  # fmt: skip


def html_form(heading: str) -> Form:
    """A page of its own, without scripts; a section for each group."""
    return Form(
        begin=f"{head(for_html(heading))}<h1>{for_html(heading)}</h1>\n", line=lambda line: f"<tr>{_cells(line)}</tr>", between_lines="\n",
        group=lambda title: f'<h2><bdi>{for_html(title)}</bdi></h2>\n<div class="scroll"><table><tbody>\n',
        group_end="\n</tbody></table></div>", between_groups="\n", end=TAIL, nothing="<p>Nothing was found.</p>",
    )  # fmt: skip


def as_csv(lines: Iterable[Line]) -> str:
    """As `csv_form` has it."""
    return _csv([COLUMNS, *map(_csv_cells, lines)])


def as_json(lines: Iterable[Line]) -> list[dict[str, object]]:
    """The lines as JSON knows them, with keys that stay."""
    return list(map(json_values, lines))


def json_values(line: Line) -> dict[str, object]:
    """A line as JSON knows it."""
    return {
        "interaction_id": str(line.interaction_id),
        "occurred_at": line.occurred_at.isoformat(),
        "source": plain(line.source),
        "type": line.interaction_type,
        "title": plain(line.title),
        "participants": [plain(name) for name in line.participants],
        "more_participants": line.more_participants,
        "sentiment": line.sentiment,
        "mark": line.mark,
        "thread_id": plain(line.thread_id) if line.thread_id else None,
        "url": plain(line.url) if line.url else None,
    }


def as_html(groups: Sequence[Group], heading: str) -> str:
    """As `html_form` has it."""
    form = html_form(heading)
    body = [form.group(each.title) + form.between_lines.join(map(form.line, each.lines)) + form.group_end for each in groups]
    return form.begin + form.between_groups.join(body or [form.nothing]) + form.end


def rows(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Rows for a terminal's table, in the order of ROW_COLUMNS."""
    return [
        (
            f"{line.occurred_at:%Y-%m-%d %H:%M}",
            line.mark,
            plain(line.title),
            plain(", ".join(line.who(_SHOWN_NAMES))),
            plain(line.source),
            line.interaction_type,
            str(line.interaction_id),
        )
        for line in lines
    ]


def _csv(table: Iterable[Iterable[object]]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(table)
    return written.getvalue()


def _csv_cells(line: Line) -> tuple[object, ...]:
    # Numbers are ours: they need no guard, and "-0.4" must stay one. A lone + or - would look like a formula to who scans for them.
    sentiment = "" if line.sentiment is None else f"{line.sentiment:.3f}"
    texts = (line.source, line.interaction_type, line.title, "; ".join(line.participants))
    return (
        line.interaction_id, line.occurred_at.isoformat(), *map(for_csv, texts), line.more_participants, sentiment, _WORDS[line.mark],
        for_csv(line.thread_id or ""), for_csv(line.url or ""),
    )  # fmt: skip


def _cells(line: Line) -> str:
    at = f'<td><time datetime="{line.occurred_at.isoformat()}">{line.occurred_at:%Y-%m-%d %H:%M}</time></td>'
    who = ", ".join(line.who(_SHOWN_NAMES))
    texts = (line.mark, line.title, who, line.source, line.interaction_type, str(line.interaction_id))
    return at + "".join(f"<td><bdi>{for_html(text)}</bdi></td>" for text in texts)
