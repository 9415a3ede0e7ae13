"""What a model may word: the offline answer's quotes and table rows, plain, masked, numbered, between boundaries that nobody can guess."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pay_ready.agent.extract import Line
from pay_ready.agent.safe_text import clip, plain
from pay_ready.agent.sentences import Citation

LONGEST_EVIDENCE = 600  # characters
_BOUNDARY_BYTES = 12

Mask = Callable[[str], str]


class AnswerSection(Protocol):
    """A part of an offline answer: lines that cite, or a table."""

    @property
    def title(self) -> str:
        """Of the section."""
        ...

    @property
    def lines(self) -> Sequence[Line]:
        """In order."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Of the table; empty where there is none."""
        ...

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """Of the table."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that an answer may rest on."""

    number: int  # from 1
    text: str  # plain and masked
    citations: tuple[Citation, ...]  # none of a figure of our own


def evidence_of(sections: Iterable[AnswerSection], mask: Mask, most: int) -> tuple[Evidence, ...]:
    """The first `most` lines and table rows as evidence; ids of interactions stay here."""
    found = []
    for number, (text, citations) in enumerate(_told(sections), start=1):
        if number > most:
            break
        # Plain before masked: no invisible character may hide a value from the mask.
        found.append(Evidence(number=number, text=clip(mask(plain(text)), LONGEST_EVIDENCE), citations=citations))
    return tuple(found)


def quoted(evidence: Sequence[Evidence]) -> tuple[str, str]:
    """The evidence as a model sees it, and the boundary around each piece: random, so that no stored text can close it."""
    boundary = secrets.token_hex(_BOUNDARY_BYTES)
    return "\n".join(f"<<{boundary} {each.number}>> {each.text} <</{boundary}>>" for each in evidence), boundary


def _told(sections: Iterable[AnswerSection]) -> Iterator[tuple[str, tuple[Citation, ...]]]:
    for section in sections:
        for line in section.lines:
            dates = ", ".join(f"{each.occurred_at:%Y-%m-%d} {each.source}" for each in line.citations)
            yield f"{section.title}: {line.text}" + (f" ({dates})" if dates else ""), line.citations
        for row in section.rows:
            cells = [f"{name} {cell}" for name, cell in zip(section.columns, row, strict=False) if name not in _IDS and str(cell).strip()]
            yield f"{section.title}: {'; '.join(cells)}", ()


_IDS = frozenset({"id", "interaction", ""})  # columns that are no words: ids, bars
