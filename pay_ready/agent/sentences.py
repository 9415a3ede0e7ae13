"""Utterances as sentences that can be quoted: cut at sentence ends, without transcription marks; each knows what it was said in."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pay_ready.model.talk import Talk, Utterance

# Not after an abbreviation or an initial; a blank line or a list's next item ends a sentence, a line's end does not (mails are broken).
_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b(?:Mr|Ms|Dr|St|vs|no|No))(?<!\b(?:Mrs|Inc|Ltd|etc|e\.g|i\.e))[.!?…][\"'”’»)\]]*(?=\s|$)|[。！？]|\n\s*\n|\n(?=\s*[-*•\d])"
)
_MARK = re.compile(r"\{[a-z ]{2,20}\}|\[(?:inaudible|crosstalk|laughter|noise|music|silence)[^\]]{0,20}\]|<[a-z_/]{2,20}>", re.IGNORECASE)
_SPACED_POINT = re.compile(r"\s+([.,!?;:…])(?=\s|$)")
_SPACED_APOSTROPHE = re.compile(r"(?<=\w) (['’](?:s|t|m|d|ll|re|ve)\b)", re.IGNORECASE)
_QUOTED_MAIL = re.compile(r"^[ >]*(?:On\b.{4,200}\bwrote:|-{2,} ?(?:Original|Forwarded) [Mm]essage ?-{2,}|From: .{3,200}$)", re.MULTILINE)
_SIGN_OFF = re.compile(
    r"^\s*(?:(?:best|kind|warm|many|with kind|with best)\s+(?:regards|wishes|thanks)|regards|sincerely|cheers|"
    r"yours(?: truly| sincerely)?|best|thanks(?: and regards)?|thank you)\s*[,.!]?\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_SIGNATURE = 8  # lines behind the sign-off
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What a line rests on: where somebody can look it up."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    start_s: float | None = None  # seconds from the start of a call

    def __str__(self) -> str:
        return f"[{self.occurred_at:%Y-%m-%d}, {self.source}, {self.interaction_id}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of an utterance, as it can be quoted."""

    utterance: Utterance
    sentence_no: int  # its place in the utterance, from 0
    text: str

    @property
    def citation(self) -> Citation:
        """The interaction that it was said in."""
        said = self.utterance
        return Citation(interaction_id=said.interaction_id, occurred_at=said.occurred_at, source=said.source, start_s=said.start_s)


def own_words(text: str) -> str:
    """A mail without what it quotes of the mails before it (lines behind ">", and all behind "On … wrote:" or a forwarded head), and
    without its sign-off and signature: "Best regards" on a line of its own, with a few lines behind it."""
    head = _QUOTED_MAIL.search(text)
    lines = (text[: head.start()] if head else text).splitlines()
    own = "\n".join(line for line in lines if not line.lstrip().startswith(">"))
    ends = [each for each in _SIGN_OFF.finditer(own) if own.count("\n", each.end()) <= _LONGEST_SIGNATURE and own[: each.start()].strip()]
    return (own[: ends[0].start()].rstrip() if ends else own) or text


def told_sentences(talks: Iterable[Talk]) -> list[Sentence]:
    """The sentences of interactions; of mails without what they quote."""
    said = (each for talk in talks for each in talk.utterances)
    return sentences_of(replace(each, text=own_words(each.text)) if each.interaction_type == "email" else each for each in said)


def sentences_of(utterances: Iterable[Utterance]) -> list[Sentence]:
    """The sentences of utterances, in their order; an utterance without a word has none. Linear in the length of the texts."""
    return [
        Sentence(utterance=utterance, sentence_no=number, text=text)
        for utterance in utterances
        for number, text in enumerate(split_sentences(utterance.text))
    ]


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, on one line each; pieces without a letter or digit are left out."""
    return [piece for piece in map(_readable, _pieces(_MARK.sub(" ", text))) if _WORD.search(piece)]


def words_of(text: str) -> list[str]:
    """The words of a text as they stand, in order; an apostrophe does not part a word."""
    return _WORD.findall(text)


def cut_words(text: str, most: int) -> str:
    """The first `most` words (parted by blanks) of a text, with "…" where that cuts it."""
    words = text.split()
    return text if len(words) <= most else " ".join(words[:most]).rstrip(".,;:!?") + "…"


def _pieces(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        yield text[begin : end.end()]
        begin = end.end()
    yield text[begin:]


def _readable(piece: str) -> str:
    """On one line, and set as print is: a transcript's " ," and " 's" are closed up."""
    line = " ".join(piece.split())
    return _SPACED_APOSTROPHE.sub(r"\1", _SPACED_POINT.sub(r"\1", line)).lstrip(" ,;:-–—*•")
