"""A timeline: what happened with a company or person, in order, by day or thread, a line each; in pages that neither skip nor repeat."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from operator import attrgetter
from typing import Literal
from uuid import UUID

from pay_ready.agent.cursor import Position, token_of
from pay_ready.agent.safe_text import clip, plain
from pay_ready.agent.titles import Masked, Titled, as_it_is, titles_of
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import MOST_NAMES, Entry

POSITIVE_FROM, NEGATIVE_TO = 0.05, -0.05  # Hutto and Gilbert, "VADER", ICWSM 2014
NAME_CHARACTERS = 60
GroupBy = Literal["day", "thread"]
Mark = Literal["+", "·", "-", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One interaction, as it is shown; times in the reader's zone, texts of one line and masked."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    title: str  # at most 80 characters, never empty
    participants: tuple[str, ...]  # at most MOST_NAMES, of at most NAME_CHARACTERS
    more_participants: int
    sentiment: float | None
    thread_id: str | None
    url: str | None
    thread: str = field(repr=False)  # what it is part of, itself where nothing else: to group by, not masked, never shown

    @property
    def mark(self) -> Mark:
        """How it felt: +, · or -; empty where it was not scored."""
        return sentiment_mark(self.sentiment)

    @property
    def is_alone(self) -> bool:
        """Whether no thread holds it."""
        return self.thread == str(self.interaction_id)

    def who(self, most: int = MOST_NAMES) -> list[str]:
        """The first names, and "+88" in place of all others."""
        others = max(len(self.participants) - most, 0) + self.more_participants
        return [*self.participants[:most], *([f"+{others:,}"] if others else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The lines of a day ("2026-03-02") or of a thread (its first title), the earliest first."""

    key: str  # the day, or what tells the thread from others
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


def lines_of(entries: Sequence[Entry], zone: tzinfo, embedder: Embedder | None = None, masked: Masked = as_it_is) -> list[Line]:
    """The entries as lines, in their order; see `titles` for what an embedder does to titles, and what it costs.

    Args:
        entries: As they were read.
        zone: The reader's.
        embedder: Finds keyphrases; None to do without.
        masked: What personal values become; asked before a text is cut, so that no half of a value stays.

    Raises:
        EmbeddingError, TransientError: From the embedder.
    """
    titles = titles_of([Titled(subject=each.subject, text=each.text) for each in entries], embedder, masked)
    return [_line(each, title, zone, masked) for each, title in zip(entries, titles, strict=True)]


def _line(entry: Entry, title: str, zone: tzinfo, masked: Masked) -> Line:
    names = [clip(masked(name), NAME_CHARACTERS) for name in map(plain, entry.participants) if name]
    return Line(
        interaction_id=entry.interaction_id,
        occurred_at=entry.occurred_at.astimezone(zone),
        source=plain(entry.source),
        interaction_type=entry.interaction_type,
        title=title,
        participants=tuple(names[:MOST_NAMES]),
        more_participants=max(len(names) - MOST_NAMES, 0) + entry.more_participants,
        sentiment=entry.sentiment,
        thread_id=masked(plain(entry.thread_id)) if entry.thread_id else None,
        url=masked(plain(entry.url)) if entry.url else None,
        # The source is part of it: two systems may use the same id.
        thread=f"{entry.source}:{entry.thread_id}" if entry.thread_id else str(entry.interaction_id),
    )


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
    key: Callable[[Line], str] = day_of if by == "day" else attrgetter("thread")
    groups: dict[str, list[Line]] = {}
    for line in ordered:
        groups.setdefault(key(line), []).append(line)
    return [Group(key=name, title=name if by == "day" else members[0].title, lines=tuple(members)) for name, members in groups.items()]


def day_of(line: Line) -> str:
    """The reader's day."""
    return f"{line.occurred_at:%Y-%m-%d}"
