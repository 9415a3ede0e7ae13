"""A timeline: what happened with a company or person, in order, by day or thread, a line each; in pages that neither skip nor repeat."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal
from uuid import UUID

from pay_ready.agent.cursor import Position, token_of
from pay_ready.agent.safe_text import plain
from pay_ready.agent.titles import Titled, titles_of
from pay_ready.model.memory import Embedder

POSITIVE_FROM, NEGATIVE_TO = 0.05, -0.05  # Hutto and Gilbert, "VADER", ICWSM 2014
GroupBy = Literal["day", "thread"]
Mark = Literal["+", "·", "-", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One interaction, as it was read."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    subject: str = ""
    text: str = ""  # its first text
    participants: tuple[str, ...] = ()
    sentiment: float | None = None  # in [-1, 1]; None where nobody scored it
    thread_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One interaction, as it is shown; times in the reader's zone, texts of one line."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    title: str  # at most 80 characters, never empty
    participants: tuple[str, ...]
    sentiment: float | None
    thread_id: str | None

    @property
    def mark(self) -> Mark:
        """How it felt: +, · or -; empty where it was not scored."""
        return sentiment_mark(self.sentiment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The lines of a day ("2026-03-02") or of a thread (its first title), the earliest first."""

    key: str  # the day, or the thread's id
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some lines in order, and the token of the page after them; None at the end."""

    lines: tuple[Line, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How pages are cut: lines a page, and what tokens are signed with (see `cursor`)."""

    size: int
    key: bytes
    scope: bytes


def sentiment_mark(sentiment: float | None) -> Mark:
    """+ from POSITIVE_FROM on, - up to NEGATIVE_TO, · between; empty for None."""
    if sentiment is None:
        return ""
    return "+" if sentiment >= POSITIVE_FROM else "-" if sentiment <= NEGATIVE_TO else "·"


def lines_of(entries: Sequence[Entry], zone: tzinfo, embedder: Embedder | None = None) -> list[Line]:
    """The entries as lines, in their order; see `titles` for what an embedder does to titles, and what it costs.

    Raises:
        EmbeddingError, TransientError: From the embedder.
    """
    titles = titles_of([Titled(subject=each.subject, text=each.text) for each in entries], embedder)
    return [
        Line(
            interaction_id=each.interaction_id,
            occurred_at=each.occurred_at.astimezone(zone),
            source=plain(each.source),
            interaction_type=each.interaction_type,
            title=title,
            participants=tuple(filter(None, map(plain, each.participants))),
            sentiment=each.sentiment,
            thread_id=plain(each.thread_id) if each.thread_id else None,
        )
        for each, title in zip(entries, titles, strict=True)
    ]


def page_of(lines: Sequence[Line], paging: Paging) -> Page:
    """One page of what a query gave: it asks for one row more than `paging.size`, which tells whether there is more.

    The query reads, for a token's position p: where (occurred_at, interaction_id) > p, in that order (or < p, the latest first).
    """
    shown = tuple(lines[: paging.size])
    if len(lines) <= paging.size or not shown:
        return Page(lines=shown, next_token=None)
    last = Position(occurred_at=shown[-1].occurred_at, interaction_id=shown[-1].interaction_id)
    return Page(lines=shown, next_token=token_of(last, paging.key, paging.scope))


def grouped(lines: Iterable[Line], by: GroupBy) -> list[Group]:
    """The lines by day or by thread, groups and lines with the earliest first; a line without a thread is a group of its own."""
    ordered = sorted(lines, key=lambda line: (line.occurred_at, line.interaction_id))
    key: Callable[[Line], str] = _day if by == "day" else _thread
    groups: dict[str, list[Line]] = {}
    for line in ordered:
        groups.setdefault(key(line), []).append(line)
    return [Group(key=name, title=name if by == "day" else members[0].title, lines=tuple(members)) for name, members in groups.items()]


def _day(line: Line) -> str:
    return f"{line.occurred_at:%Y-%m-%d}"


def _thread(line: Line) -> str:
    # The source is part of it: two systems may use the same id.
    return f"{line.source}:{line.thread_id}" if line.thread_id else str(line.interaction_id)
