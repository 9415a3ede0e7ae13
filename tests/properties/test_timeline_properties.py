"""Timelines and safe text, for any input."""

import csv
import html
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pay_ready.agent.cursor import Position, position_of, token_of
from pay_ready.agent.export import as_csv, as_html, as_json, csv_form, html_form, json_form, rows
from pay_ready.agent.safe_text import clip, for_csv, for_html, for_markdown, plain
from pay_ready.agent.timeline import GroupBy, Line, Paging, grouped, lines_of, page_of
from pay_ready.agent.timeline_file import told
from pay_ready.agent.titles import keyphrases, title_of
from pay_ready.errors import CursorError
from pay_ready.model.talk import Entry

ANY_LOAD = settings(deadline=None)  # the machine may be busy with other tests
KEY, SCOPE = b"the key of one tenant", b"acme"
HOSTILE = st.text() | st.text("<>&\"'=+-@[](){}!`*_#|~\\:/.1 \x1b\x9b\x07;]8m\u200b\u202eaw", max_size=40)
MOMENTS = st.integers(0, 5).map(lambda hours: datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=9 * hours))  # ties, and several days
ENTRIES = st.builds(
    Entry,
    interaction_id=st.uuids(),
    occurred_at=MOMENTS,
    source=HOSTILE,
    interaction_type=st.sampled_from(["call", "email", "message"]),
    subject=HOSTILE,
    text=HOSTILE,
    participants=st.lists(HOSTILE, max_size=3).map(tuple),
    more_participants=st.integers(0, 2),
    url=st.none() | HOSTILE,
    sentiment=st.none() | st.floats(-1, 1),
    thread_id=st.none() | st.sampled_from(["t1", "t2"]) | HOSTILE,
)
LINES = st.lists(ENTRIES, max_size=8, unique_by=lambda entry: entry.interaction_id).map(lambda entries: lines_of(entries, UTC))
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@ANY_LOAD
@given(HOSTILE)
def test_plain_text_is_one_visible_line(text: str) -> None:
    """Printable, encodable, trimmed, without marks that nobody sees; and plain text is its own plain text."""
    line = plain(text)
    assert line.isprintable()
    assert line == line.strip()
    assert plain(line) == line
    assert len(line.encode()) >= len(line)


@ANY_LOAD
@given(HOSTILE)
def test_each_output_reads_back_as_the_plain_text(text: str) -> None:
    """A browser, a reader of Markdown and a spreadsheet show the text, and find nothing else in it."""
    line = plain(text)
    assert html.unescape(for_html(text)) == line
    page = Page(f"<p>{for_html(text)}</p>")
    assert (page.tags, page.text) == (["p"], line)
    cell = for_csv(text)
    assert cell.removeprefix("'") == line or cell == line
    assert cell[:1] not in {*"=+-@\t\r＝＋－＠"}
    written = for_markdown(text)
    shown = Page(MARKDOWN.render(f"x {written}"))
    assert set(shown.tags) <= {"p"}
    assert shown.text.strip() == f"x {line}".strip()


@ANY_LOAD
@given(HOSTILE)
def test_markdown_at_the_beginning_of_a_line_is_text(text: str) -> None:
    """Neither a heading, list, quote, table, rule nor code."""
    shown = Page(MARKDOWN.render(for_markdown(text)))
    assert set(shown.tags) <= {"p"}
    assert shown.text.strip() == plain(text)


@ANY_LOAD
@given(HOSTILE, st.integers(1, 100))
def test_a_clip_is_short_and_a_beginning(text: str, most: int) -> None:
    """At most so many characters; what is left of it begins the text."""
    cut = clip(text, most)
    assert len(cut) <= most
    assert plain(text).startswith(cut.removesuffix("…"))


@ANY_LOAD
@given(HOSTILE, HOSTILE)
def test_a_title_is_one_short_line(subject: str, text: str) -> None:
    """Never empty, at most 80 characters, plain."""
    title = title_of(subject, text)
    assert 1 <= len(title) <= 80
    assert plain(title) == title
    assert all(2 <= len(phrase.split()) <= 4 for phrase in keyphrases(text))


@ANY_LOAD
@given(LINES, st.sampled_from(["day", "thread"]))
def test_groups_hold_every_line_once(lines: list[Line], by: str) -> None:
    """Grouping loses nothing; within a group, and between groups, the earliest is first."""
    groups = grouped(lines, by)  # type: ignore[arg-type]
    held = [line for group in groups for line in group.lines]
    assert sorted(line.interaction_id for line in held) == sorted(line.interaction_id for line in lines)
    places = [[(line.occurred_at, line.interaction_id) for line in group.lines] for group in groups]
    assert all(own == sorted(own) for own in places)
    assert [own[0] for own in places] == sorted(own[0] for own in places)
    if by == "day":
        assert held == sorted(lines, key=lambda line: (line.occurred_at, line.interaction_id))


@ANY_LOAD
@given(LINES, st.integers(1, 4))
def test_pages_neither_skip_nor_repeat(lines: list[Line], size: int) -> None:
    """Reading page after page, as the query does, gives every line once and in order, whatever has the same time."""
    ordered = sorted(lines, key=lambda line: (line.occurred_at, line.interaction_id))
    paging, read, token = Paging(size=size, key=KEY, scope=SCOPE), list[Line](), ""
    while True:
        after = position_of(token, KEY, SCOPE) if token else None
        waiting = [
            line for line in ordered if after is None or Position(occurred_at=line.occurred_at, interaction_id=line.interaction_id) > after
        ]
        page = page_of(waiting[: size + 1], paging)
        read += page.lines
        if page.next_token is None:
            break
        token = page.next_token
    assert read == ordered


@ANY_LOAD
@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])), st.uuids())
def test_tokens_come_back(at: datetime, interaction_id: UUID) -> None:
    """For any time and id, to the microsecond."""
    position = Position(occurred_at=at, interaction_id=interaction_id)
    assert position_of(token_of(position, KEY, SCOPE), KEY, SCOPE) == position


@ANY_LOAD
@given(st.uuids(), st.integers(0, 54), st.characters())
def test_a_changed_token_is_refused(interaction_id: UUID, place: int, letter: str) -> None:
    """Whichever letter is changed, cut off or added."""
    token = token_of(Position(occurred_at=datetime(2026, 1, 1, tzinfo=UTC), interaction_id=interaction_id), KEY, SCOPE)
    for changed in (token[:place] + letter + token[place + 1 :], token[:place], token + letter):
        if changed != token:
            with pytest.raises(CursorError):
                position_of(changed, KEY, SCOPE)


@ANY_LOAD
@given(LINES)
def test_exports_read_back(lines: list[Line]) -> None:
    """CSV and JSON give back every line; no cell of CSV that others wrote is a formula."""
    read = list(csv.DictReader(io.StringIO(as_csv(lines), newline="")))
    told = json.loads(json.dumps(as_json(lines)))
    assert len(read) == len(told) == len(rows(lines)) == len(lines)
    for line, cells, values in zip(lines, read, told, strict=True):
        texts = {
            "source": line.source,
            "title": line.title,
            "participants": "; ".join(line.participants),
            "thread_id": line.thread_id or "",
            "url": line.url or "",
        }
        assert {name: cells[name].removeprefix("'") for name in texts} == texts
        assert not any(cells[name][:1] in {*"=+-@＝＋－＠"} for name in (*texts, "mark", "type"))
        assert datetime.fromisoformat(cells["occurred_at"]) == line.occurred_at
        assert UUID(values["interaction_id"]) == line.interaction_id
        assert (values["title"], values["participants"], values["sentiment"]) == (line.title, list(line.participants), line.sentiment)
        assert (int(cells["more_participants"]), values["more_participants"]) == (line.more_participants, line.more_participants)


def reversed_order(lines: list[Line]) -> list[Line]:
    """As they are read: the latest first."""
    return sorted(lines, key=lambda line: (line.occurred_at, line.interaction_id), reverse=True)


@ANY_LOAD
@given(LINES, st.sampled_from(["day", "thread", None]))
def test_a_file_holds_what_a_page_of_everything_shows(lines: list[Line], by: GroupBy | None) -> None:
    """CSV, JSON and HTML, written piece by piece while memory holds numbers: the same groups in the same order as those of all lines."""
    ordered = reversed_order(lines)[::-1]
    groups = grouped(lines, by) if by else []
    in_groups = [line for group in groups for line in group.lines] if by else ordered
    assert "".join(told(reversed_order(lines), csv_form(), by, io.BytesIO())) == as_csv(in_groups)
    found = json.loads("".join(told(reversed_order(lines), json_form({"about": "\n<"}, is_grouped=by is not None), by, io.BytesIO())))
    entries = {"entries": as_json(ordered)}
    wanted = {"groups": [{"title": each.title, "entries": as_json(each.lines)} for each in groups]} if by else entries
    assert found == json.loads(json.dumps({"about": "\n<"} | wanted))
    if by:
        assert "".join(told(reversed_order(lines), html_form("<Timeline>"), by, io.BytesIO())) == as_html(groups, "<Timeline>")


@ANY_LOAD
@given(LINES)
def test_the_page_shows_every_line_and_runs_nothing(lines: list[Line]) -> None:
    """Titles are text; the only elements are ours."""
    page = Page(as_html(grouped(lines, "day"), "Timeline"))
    assert set(page.tags) <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "div",
        "table",
        "tbody",
        "tr",
        "td",
        "time",
        "bdi",
    }
    assert page.tags.count("tr") == len(lines)
    assert all(line.title in page.text for line in lines)
