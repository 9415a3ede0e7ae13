"""Timelines: titles, groups, marks, pages, exports."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pay_ready.agent.cursor import Position, position_of, token_of
from pay_ready.agent.export import COLUMNS, ROW_COLUMNS, Form, as_csv, as_html, as_json, csv_form, html_form, json_form, rows
from pay_ready.agent.masking import KnownName, Masker
from pay_ready.agent.timeline import NAME_CHARACTERS, Line, Paging, grouped, lines_of, page_of, sentiment_mark
from pay_ready.agent.timeline_file import told
from pay_ready.agent.titles import NO_TITLE, Titled, keyphrases, title_of, titles_of
from pay_ready.errors import CursorError
from pay_ready.model.talk import MOST_NAMES, Entry

AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
KEY, SCOPE = b"the key of one tenant", b"acme, 2026"
MAIL = Entry(
    interaction_id=UUID(int=1), occurred_at=AT, source="hubspot", interaction_type="email", subject="Re: Offer", text="Hi.",
    participants=("Ann", "Bob"), sentiment=-0.4, thread_id="t1", url="https://crm.example/1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "text", "title"),
    [
        ("Re: Fwd: AW: The offer", "Hello.", "The offer"),
        ("  ", "Hi Bob,\nthe pump leaks. Please come.", "the pump leaks."),
        ("", "Hello Ann! We ship on Friday. Bye.", "We ship on Friday."),
        ("", "Thanks!", "Thanks!"),
        ("Re:", "", NO_TITLE),
        ("", "", NO_TITLE),
        ("x" * 100, "", "x" * 79 + "…"),
        ("a\u202eb\x1b[31m", "", "ab"),
    ],
)
def test_titles(subject: str, text: str, title: str) -> None:
    """The subject without marks of replies, else the first sentence after the greeting; one line of at most 80 characters, never empty."""
    assert title_of(subject, text) == title


class Pump:
    """An embedder for which everything about a pump is the same."""

    id, dim, max_tokens, is_lexical = "pump", 2, 256, False

    def embed(self, texts: Sequence[str]) -> Any:
        return np.array([(1.0, 0.0) if "pump" in text.lower() else (0.0, 1.0) for text in texts], np.float32)


def test_the_title_is_the_nearest_keyphrase() -> None:
    """With an embedder that knows meaning; short texts and those with a subject keep theirs."""
    long = "Hello Bob. We have seen since Monday that water leaks from the old pump in hall two and nobody knows why."
    titled = [Titled(subject="", text=long), Titled(subject="Offer", text=long), Titled(subject="", text="It leaks.")]
    assert titles_of(titled, Pump()) == ["Old pump", "Offer", "It leaks."]
    assert titles_of(titled)[0] == "We have seen since Monday that water leaks from the old pump in hall two and…"


def test_keyphrases() -> None:
    """Runs of 2 to 4 words within a sentence that neither begin nor end with a stop word, each once."""
    assert keyphrases("The old pump leaks, the Old pump!") == ["old pump", "pump leaks", "old pump leaks"]
    assert keyphrases("") == []


def test_groups_by_day_are_the_readers_days() -> None:
    """23:30 UTC is the next day in Berlin; within a day the earliest is first."""
    later = replace(MAIL, interaction_id=UUID(int=2), occurred_at=AT + timedelta(hours=1))
    found = lines_of([later, MAIL], ZoneInfo("Europe/Berlin"))
    assert [(group.key, len(group.lines)) for group in grouped(found, "day")] == [("2026-03-03", 2)]
    assert [group.key for group in grouped(lines_of([later, MAIL], UTC), "day")] == ["2026-03-02", "2026-03-03"]


def test_groups_by_thread() -> None:
    """A thread is named by its first title; the same id in another system is another thread; without a thread each stands alone."""
    others = [
        replace(MAIL, interaction_id=UUID(int=2), subject="Re: Offer, again", occurred_at=AT + timedelta(hours=1)),
        replace(MAIL, interaction_id=UUID(int=3), source="slack", occurred_at=AT + timedelta(hours=2)),
        replace(MAIL, interaction_id=UUID(int=4), thread_id=None, occurred_at=AT + timedelta(hours=3)),
    ]
    found = grouped(lines_of([*reversed(others), MAIL], UTC), "thread")
    assert [(group.title, len(group.lines)) for group in found] == [("Offer", 2), ("Offer", 1), ("Offer", 1)]


@pytest.mark.parametrize(("sentiment", "mark"), [(None, ""), (0.05, "+"), (0.04, "·"), (0.0, "·"), (-0.05, "-"), (1, "+")])
def test_marks(sentiment: float | None, mark: str) -> None:
    """The bounds are VADER's."""
    assert sentiment_mark(sentiment) == mark


def test_a_token_says_nothing_and_comes_back() -> None:
    """It holds the position and nothing of the tenant; the same position has the same token."""
    position = Position(occurred_at=AT + timedelta(microseconds=1), interaction_id=UUID(int=9))
    token = token_of(position, KEY, SCOPE)
    assert position_of(token, KEY, SCOPE) == position
    assert len(token) == 55
    assert token == token_of(position, KEY, SCOPE)


@pytest.mark.parametrize("token", ["", "a", "é", "=" * 55, "A" * 55, "A" * 10_000, "../../x"])
def test_what_is_no_token_is_refused(token: str) -> None:
    """By name, and without a word about why."""
    with pytest.raises(CursorError, match="ask again without it"):
        position_of(token, KEY, SCOPE)


def test_a_token_has_one_spelling() -> None:
    """Two bits of the last letter carry nothing: a token that differs in them alone is refused too."""
    token = token_of(Position(occurred_at=AT, interaction_id=UUID(int=9)), KEY, SCOPE)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + "0123456789-_"
    with pytest.raises(CursorError):
        position_of(token[:-1] + letters[letters.index(token[-1]) + 1], KEY, SCOPE)


def test_a_token_of_another_tenant_or_question_is_refused() -> None:
    """Key and scope are part of what is signed."""
    token = token_of(Position(occurred_at=AT, interaction_id=UUID(int=9)), KEY, SCOPE)
    for key, scope in ((b"another key", SCOPE), (KEY, b"globex, 2026")):
        with pytest.raises(CursorError):
            position_of(token, key, scope)


def test_the_last_page_has_no_token() -> None:
    """One row more than the page tells that there is more."""
    lines = lines_of([replace(MAIL, interaction_id=UUID(int=number)) for number in range(3)], UTC)
    assert page_of(lines, Paging(size=3, key=KEY, scope=SCOPE)).next_token is None
    page = page_of(lines, Paging(size=2, key=KEY, scope=SCOPE))
    assert position_of(page.next_token or "", KEY, SCOPE).interaction_id == UUID(int=1)


def test_exports_of_one_line() -> None:
    """CSV, JSON, rows and HTML show the same."""
    lines = lines_of([MAIL], UTC)
    (read,) = csv.DictReader(io.StringIO(as_csv(lines)))
    assert read == {
        "interaction_id": str(MAIL.interaction_id), "occurred_at": "2026-03-02T23:30:00+00:00", "source": "hubspot", "type": "email",
        "title": "Offer", "participants": "Ann; Bob", "more_participants": "0", "sentiment": "-0.400", "mark": "negative",
        "thread_id": "t1", "url": "https://crm.example/1",
    }  # fmt: skip
    assert tuple(read) == COLUMNS
    (told,) = json.loads(json.dumps(as_json(lines)))
    assert (told["title"], told["participants"], told["mark"]) == ("Offer", ["Ann", "Bob"], "-")
    (row,) = rows(lines)
    assert len(row) == len(ROW_COLUMNS)
    assert row[:4] == ("2026-03-02 23:30", "-", "Offer", "Ann, Bob")
    page = as_html(grouped(lines, "day"), "Timeline of <Acme>")
    assert "<title>Timeline of &lt;Acme&gt;</title>" in page
    assert "<bdi>Offer</bdi>" in page
    assert "Nothing was found" in as_html([], "Timeline")


def test_the_first_sentence_of_a_long_text() -> None:
    """However far behind its beginning it ends, and wherever the text is looked at first."""
    for words in (5, 90, 700):
        long = "word " * words
        assert title_of("", f"{long}ends. Then more.") == title_of("", f"{long}ends.")
    assert title_of("", f"{'- ' * 300}We ship. Bye.") == "We ship."


def test_names_do_not_blow_a_line_up() -> None:
    """Hundreds of participants with endless names in any script: twelve beginnings and a number; four in a row of the terminal."""
    names = tuple(f"{'Ж' * 500} {number}" for number in range(300))
    (line,) = lines_of([replace(MAIL, participants=names, more_participants=7)], UTC)
    assert len(line.participants) == MOST_NAMES
    assert max(map(len, line.participants)) == NAME_CHARACTERS
    assert line.more_participants == 300 + 7 - MOST_NAMES
    assert line.who(4)[4:] == ["+303"]
    (row,) = rows([line])
    assert len(row[3]) < 5 * NAME_CHARACTERS
    (read,) = csv.DictReader(io.StringIO(as_csv([line])))
    assert (len(read["participants"].split("; ")), read["more_participants"]) == (MOST_NAMES, "295")


def test_what_nobody_sees_is_no_name() -> None:
    """A name of marks alone is left out; a line may have no names at all."""
    (line,) = lines_of([replace(MAIL, participants=("\u200b", "", "Ann\u202e"))], UTC)
    assert line.who() == ["Ann"]
    (line,) = lines_of([replace(MAIL, participants=())], UTC)
    assert rows([line])[0][3] == ""


def test_values_are_masked_before_texts_are_cut() -> None:
    """Half an address at the end of a title would be no address any more, and stay; participants and links are masked, too."""
    masker = Masker(b"key", "all", [KnownName(text="Robert Fitzgerald", kind="person", entity_id=UUID(int=5))])
    for length in range(40, 80):
        entry = replace(
            MAIL, subject=f"{'x' * length} robert.fitzgerald@customer.example", participants=("Robert Fitzgerald",),
            url="https://crm.example/?who=robert@customer.example",
        )  # fmt: skip
        (line,) = lines_of([entry], UTC, masked=masker)
        assert "robert" not in f"{line.title} {line.participants} {line.url}".lower()
        assert len(line.title) <= 80
    assert line.participants[0].startswith("<person:")


def written(lines: Sequence[Line], form: Form, by: Literal["day", "thread"] | None) -> str:
    """As `told` writes it, which takes lines the latest first."""
    ordered = sorted(lines, key=lambda line: (line.occurred_at, line.interaction_id), reverse=True)
    return "".join(told(ordered, form, by, io.BytesIO()))


def test_a_whole_timeline_is_written_the_earliest_first() -> None:
    """As one list, by day and by thread, whatever order it is read in; and none at all is a document, too."""
    at = [AT + timedelta(hours=hours) for hours in (0, 1, 2, 30)]
    threads = ("t1", None, "t1", "t2")
    lines = lines_of(
        [replace(MAIL, interaction_id=UUID(int=n), occurred_at=at[n], thread_id=threads[n], subject=f"S{n}") for n in range(4)], UTC
    )
    titles = [each["title"] for each in json.loads(written(lines, json_form({"name": "Acme"}, is_grouped=False), None))["entries"]]
    assert titles == ["S0", "S1", "S2", "S3"]
    threads_told = json.loads(written(lines, json_form({"name": "Acme"}, is_grouped=True), "thread"))
    assert threads_told["name"] == "Acme"
    assert [(group["title"], [each["title"] for each in group["entries"]]) for group in threads_told["groups"]] == [
        ("S0", ["S0", "S2"]), ("S1", ["S1"]), ("S3", ["S3"]),
    ]  # fmt: skip
    days = json.loads(written(lines, json_form({"name": "Acme"}, is_grouped=True), "day"))["groups"]
    assert [(group["title"], len(group["entries"])) for group in days] == [("2026-03-02", 1), ("2026-03-03", 2), ("2026-03-04", 1)]
    assert written([], csv_form(), None) == as_csv([])
    assert json.loads(written([], json_form({"name": "Acme"}, is_grouped=False), None)) == {"name": "Acme", "entries": []}
    assert "Nothing was found" in written([], html_form("Timeline"), "day")
