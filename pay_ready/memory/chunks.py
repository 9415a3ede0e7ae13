"""Cuts an interaction into passages of about 120 words, the size that an embedding describes best. Pure.

A call is cut between turns, with one turn of overlap: the last whole turn of a passage opens the next one, so that a question
is not parted from its answer. A longer turn, and a mail, is cut at sentence ends, and a sentence that is too long between
words. A message, or a short mail, is one passage.

Where a script has no spaces, two of its letters count as a word; of an endless word, each 24 letters.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.model.ids import TenantId
from pay_ready.model.memory import memory_id_of

CHUNK_WORDS = 120  # a passage that holds more takes nothing further
OVERLAP_WORDS = 40  # a turn of up to so many words is said again in the next passage
_NAME_WORDS = 8  # of a speaker's name, which is said before each of the turns
MOST_WORDS = CHUNK_WORDS + OVERLAP_WORDS + _NAME_WORDS  # no passage is longer
_SMALL_TAIL = 20  # words: so short an end stays with what it ends

_WIDE = "\u2e80-\u2fff\u3001-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # Chinese, Japanese, their punctuation
_WORD = re.compile(rf"[{_WIDE}]{{1,2}}|[^\s{_WIDE}]{{1,24}}")
# A line's end is none, for mails are broken at 72 letters: a blank line or a list's next item is.
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?=\s|$)|[。！？]|\n\s*\n|\n(?=\s*[-*•\d])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One uninterrupted stretch of speech; times are seconds from the interaction's start."""

    speaker: str  # as people are to read it; may be empty
    text: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionText:
    """What there is to read of one interaction; every part may be empty."""

    tenant: TenantId
    interaction_id: UUID
    subject: str = ""
    body: str = ""
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage. Turns are counted from 0 among the interaction's; None where the passage holds none."""

    memory_id: UUID
    chunk_no: int  # from 0
    text: str
    content_hash: bytes  # sha256 of the text
    start_s: float | None = None  # of its first turn
    end_s: float | None = None  # of its last turn
    first_turn: int | None = None
    last_turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """What is never cut: a whole turn, a sentence, or a piece of one; `text[start:end]` of the line that it stands in."""

    line: int
    prefix: str
    text: str
    start: int
    end: int
    words: int
    turn: int | None = None
    is_whole: bool = False  # a whole turn


def chunks_of(interaction: InteractionText) -> list[Chunk]:
    """The passages, in order: subject and body first, then the turns; none when there is nothing to read.

    The same interaction gives the same passages, with the same ids. Every word of it is in one of them.
    """
    written = list(_written_units((interaction.subject, interaction.body)))
    spoken = list(_spoken_units(interaction.turns, first_line=2))
    # What was said follows its subject at once; a body stands alone.
    parts = [written, spoken] if interaction.body.strip() else [written + spoken]
    texts = [units[first:end] for units in parts for first, end in _ranges(units)]
    return [_chunk(interaction, chunk_no, units) for chunk_no, units in enumerate(texts)]


def count_words(text: str) -> int:
    """Words, as passages are measured in."""
    return sum(1 for _ in _WORD.finditer(text))


def _written_units(texts: Sequence[str]) -> Iterator[_Unit]:
    """The sentences of subject and body."""
    for line, text in enumerate(texts):
        for start, end, words in _sentences(text, CHUNK_WORDS):
            yield _Unit(line=line, prefix="", text=text, start=start, end=end, words=words)


def _spoken_units(turns: Sequence[Turn], *, first_line: int) -> Iterator[_Unit]:
    """Whole turns where they fit into a passage, else their sentences."""
    for number, turn in enumerate(turns):
        name = _name(turn.speaker)
        most = CHUNK_WORDS - count_words(name)
        spans = list(_sentences(turn.text, most))
        total = sum(words for _, _, words in spans)
        is_whole = 0 < total <= most
        if is_whole:
            spans = [(spans[0][0], spans[-1][1], total)]
        for start, end, words in spans:
            # The name is said once a passage: of a turn that is cut, it counts with the first sentence.
            said = words + (count_words(name) if start == spans[0][0] else 0)
            yield _Unit(
                line=first_line + number, prefix=name, text=turn.text, start=start, end=end, words=said, turn=number, is_whole=is_whole
            )


def _name(speaker: str) -> str:
    words = list(_WORD.finditer(speaker))[:_NAME_WORDS]
    return f"{' '.join(speaker[words[0].start() : words[-1].end()].split())}: " if words else ""


def _sentences(text: str, most: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and words of each sentence; one of more than `most` words comes in pieces."""
    ends = iter([*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)])
    end = next(ends)
    begun: list[re.Match[str]] = []
    for word in _WORD.finditer(text):
        if begun and (word.start() >= end or len(begun) == most):
            yield begun[0].start(), begun[-1].end(), len(begun)
            begun = []
        while word.start() >= end:
            end = next(ends)
        begun.append(word)
    if begun:
        yield begun[0].start(), begun[-1].end(), len(begun)


def _ranges(units: Sequence[_Unit]) -> list[tuple[int, int]]:
    """Which units make a passage: from, to (exclusive)."""
    ranges: list[tuple[int, int]] = []
    first = new = 0
    while new < len(units):
        end, words = new, sum(unit.words for unit in units[first:new])
        while end < len(units) and (words + units[end].words <= CHUNK_WORDS or words <= OVERLAP_WORDS):
            words += units[end].words
            end += 1
        ranges.append((first, end))
        last = units[end - 1]
        first = end - 1 if last.is_whole and last.words <= OVERLAP_WORDS else end
        new = end
    return _with_tail(units, ranges)


def _with_tail(units: Sequence[_Unit], ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges, a very short last one joined to the one before it."""
    if len(ranges) > 1:
        (first, middle), (_, end) = ranges[-2:]
        tail = sum(unit.words for unit in units[middle:end])
        if tail <= _SMALL_TAIL and sum(unit.words for unit in units[first:end]) <= CHUNK_WORDS + OVERLAP_WORDS:
            return [*ranges[:-2], (first, end)]
    return ranges


def _chunk(interaction: InteractionText, chunk_no: int, units: Sequence[_Unit]) -> Chunk:
    text = "\n".join(_lines(units))
    spoken = [unit.turn for unit in units if unit.turn is not None]
    return Chunk(
        memory_id=memory_id_of(interaction.tenant, interaction.interaction_id, chunk_no),
        chunk_no=chunk_no,
        text=text,
        content_hash=hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(),
        start_s=interaction.turns[spoken[0]].start_s if spoken else None,
        end_s=interaction.turns[spoken[-1]].end_s if spoken else None,
        first_turn=spoken[0] if spoken else None,
        last_turn=spoken[-1] if spoken else None,
    )


def _lines(units: Sequence[_Unit]) -> Iterator[str]:
    """The units as they stand in their lines, with what is between them there; of one line, one line."""
    begun = units[0]
    for unit, following in zip(units, [*units[1:], None], strict=True):
        if following is None or following.line != unit.line:
            yield begun.prefix + begun.text[begun.start : unit.end]
            begun = following or begun
