"""Masks personal values in texts that go out: known names of people and companies, and what its form gives away.

A value is replaced by a token that is the same wherever it stands and tells nothing without the tenant's key: `<person:7f3a91c2>`, the
first 32 bits of HMAC-SHA256. Known names are found by Aho and Corasick's automaton ("Efficient string matching", CACM 18 (1975)), whole
words only, whatever their case, accents, blanks and invisible characters.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pay_ready.agent.personal import MASKED, PersonalKind, PersonalSpan, personal_spans
from pay_ready.agent.stopwords import STOP_WORDS

if TYPE_CHECKING:  # loads a compiled library
    from ahocorasick import Automaton

MaskPolicy = Literal["none", "contacts", "all"]  # nothing; addresses and numbers; names, too

_TOKENS = re.compile(MASKED)
_TOKEN_DIGITS = 8
_LEAST_NAME = 2  # letters and digits; a shorter name would blot out the text
_SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI")  # scripts that set no blank between words
_ALSO_WORDS = frozenset({  # names that are words as well
    "art", "bill", "chase", "crown", "dale", "dawn", "dean", "drew", "faith", "frank", "gene", "grace", "grant", "hope", "iris",
    "jack", "june", "lance", "mark", "may", "pat", "ray", "rich", "rob", "rose", "skip", "sky", "sue", "target", "visa", "wade",
    "ward",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownName:
    """A name, alias or address of a person or company of the tenant."""

    text: str = field(repr=False)
    kind: Literal["person", "company"]
    entity_id: UUID  # every name of one entity has the same token


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text as names are compared, and where each of its characters stands in the text; one place more for the end."""

    text: str
    places: Sequence[int]


class Masker:
    """Masks for one tenant under one policy. Built once; may be used by several threads."""

    def __init__(self, key: bytes, policy: MaskPolicy, names: Iterable[KnownName] = ()) -> None:
        """
        Args:
            key: The tenant's own secret; with another key the tokens are others.
            policy: none, contacts (e-mail, phone, card, IBAN, SSN, IP address) or all (known names, too).
            names: Those of the tenant; read under `all` only.
        """
        self._key = key
        self._policy = policy
        self._automaton = _automaton(names) if policy == "all" else None

    def __call__(self, text: str) -> str:
        """The text with each personal value replaced by its token. Masking again changes nothing."""
        if self._policy == "none" or not text:
            return text
        parts, place = [], 0
        tokens = [found.span() for found in _TOKENS.finditer(text)]
        names = [span for span in self._names(text) if not any(start < span.end and span.start < end for start, end in tokens)]
        for span in _first_longest([*personal_spans(text), *names]):
            parts += [text[place : span.start], self.token(span.kind, span.value)]
            place = span.end
        return "".join((*parts, text[place:]))

    def token(self, kind: PersonalKind, value: str) -> str:
        """What stands for a value: `<kind:8 hexadecimal digits>`, the same for the same tenant, kind and value."""
        digest = hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()
        return f"<{kind}:{digest[:_TOKEN_DIGITS]}>"

    def _names(self, text: str) -> list[PersonalSpan]:
        if self._automaton is None:
            return []
        folded = _fold(text)
        found = []
        for last, (length, kind, entity, capital) in self._automaton.iter(folded.text):
            first = last + 1 - length
            if _is_whole(folded.text, first, last + 1):
                start, end = folded.places[first], folded.places[last] + 1
                if not capital or text[start].isupper():
                    found.append(PersonalSpan(start, end, kind, entity))
        return found


def _automaton(names: Iterable[KnownName]) -> "Automaton | None":
    """The automaton of folded names; None without any. A name of two entities gets the token of the smaller id, on every run."""
    import ahocorasick

    words: Automaton = ahocorasick.Automaton()
    for name in sorted(names, key=lambda name: (str(name.entity_id), name.text)):
        folded = _fold(name.text).text.strip()
        if sum(map(str.isalnum, folded)) < _LEAST_NAME:
            continue
        # A name that is also a word ("Will", "May Day" is not) counts only where it begins with a capital.
        entry = (len(folded), name.kind, str(name.entity_id), folded in STOP_WORDS or folded in _ALSO_WORDS)
        if folded not in words:
            words.add_word(folded, entry)
    if not len(words):
        return None
    words.make_automaton()
    return words


def _first_longest(spans: Iterable[PersonalSpan]) -> list[PersonalSpan]:
    """Spans that do not overlap: at each place the one that begins first, of those the longest."""
    kept: list[PersonalSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether no word goes on across the ends of `text[start:end]`."""
    return not (start and _joins(text[start - 1], text[start])) and not (end < len(text) and _joins(text[end - 1], text[end]))


def _joins(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and not (_is_spaceless(left) or _is_spaceless(right))


@lru_cache(maxsize=4_096)
def _is_spaceless(letter: str) -> bool:
    return not letter.isascii() and unicodedata.name(letter, "").startswith(_SPACELESS)


def _fold(text: str) -> _Folded:
    """In lower case, without accents and invisible characters, runs of blanks as one."""
    if text.isascii() and "  " not in text and text.isprintable():
        return _Folded(text.lower(), range(len(text)))
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        if letter.isspace():
            if letters and letters[-1] == " ":
                continue
            folded = " "
        else:
            folded = _fold_letter(letter)
        letters += folded
        places += [place] * len(folded)
    return _Folded("".join(letters), places)


@lru_cache(maxsize=8_192)
def _fold_letter(letter: str) -> str:
    if unicodedata.category(letter) in {"Cf", "Cc"}:
        return ""
    return "".join(part for part in unicodedata.normalize("NFKD", letter).casefold() if not unicodedata.combining(part))
