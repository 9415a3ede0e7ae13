"""Masks personal values in texts that go out: known names of people and companies, and what its form gives away.

A value is replaced by a token that is the same wherever it stands and tells nothing without the tenant's key: `<person:7f3a91c2>`, the
first 32 bits of HMAC-SHA256. Known names are found by Aho and Corasick's automaton ("Efficient string matching", CACM 18 (1975)), whole
words only, whatever their case, accents, blanks and invisible characters. A first or last name alone is masked where it begins with a
capital letter; one that is a word of English as well ("Price") not at the beginning of a sentence, and those of months and days never.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

from pay_ready.agent.name_forms import GivenNames
from pay_ready.agent.name_parts import Rule, is_named, parts_of, rule_of_name, rule_of_part, without_legal_form
from pay_ready.agent.personal import MASKED, PersonalKind, PersonalSpan, personal_spans

if TYPE_CHECKING:  # loads a compiled library
    from ahocorasick import Automaton

MaskPolicy = Literal["none", "contacts", "all"]  # nothing; addresses and numbers; names, too

_TOKENS = re.compile(MASKED)
_TOKEN_DIGITS = 8
_LEAST_NAME = 2  # letters and digits; a shorter name would blot out the text
_SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI")  # scripts that set no blank between words


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownName:
    """A name, alias or address of a person or company of the tenant."""

    text: str = field(repr=False)
    kind: Literal["person", "company"]
    entity_id: UUID  # every name that is one entity's alone has the same token


class _Called(NamedTuple):
    """What somebody is called in texts, folded, and where it is taken for them."""

    text: str
    kind: Literal["person", "company"]
    rule: Rule


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text as names are compared, and where each of its characters stands in the text; one place more for the end."""

    text: str
    places: Sequence[int]


class Masker:
    """Masks for one tenant under one policy. Built once; may be used by several threads."""

    def __init__(
        self, key: bytes, policy: MaskPolicy, names: Iterable[KnownName] = (), given_names: GivenNames | None = None
    ) -> None:  # fmt: skip
        """
        Args:
            key: The tenant's own secret; with another key the tokens are others.
            policy: none, contacts (e-mail, phone, card, IBAN, SSN, IP address) or all (known names, too).
            names: Those of the tenant; read under `all` only.
            given_names: Other forms of given names: whoever is called Robert may be Bob in a text.
        """
        self._key = key
        self.policy = policy
        self._automaton = _automaton(names, given_names or {}) if policy == "all" else None

    def __call__(self, text: str) -> str:
        """The text with each personal value replaced by its token. Masking again changes nothing."""
        return self._masked(text, small=False)

    def label(self, text: str) -> str:
        """The same for words that have lost their capitals, as those of a topic's label: a first or last name counts without one."""
        return self._masked(text, small=True)

    def _masked(self, text: str, *, small: bool) -> str:
        if self.policy == "none" or not text:
            return text
        parts, place = [], 0
        tokens = [found.span() for found in _TOKENS.finditer(text)]
        names = [span for span in self._names(text, small=small) if not any(start < span.end and span.start < end for start, end in tokens)]
        for span in _first_longest([*personal_spans(text), *names]):
            parts += [text[place : span.start], self.token(span.kind, span.value)]
            place = span.end
        return "".join((*parts, text[place:]))

    def token(self, kind: PersonalKind, value: str) -> str:
        """What stands for a value: `<kind:8 hexadecimal digits>`, the same for the same tenant, kind and value."""
        digest = hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()
        return f"<{kind}:{digest[:_TOKEN_DIGITS]}>"

    def _names(self, text: str, *, small: bool) -> list[PersonalSpan]:
        if self._automaton is None:
            return []
        folded = _fold(text)
        found = []
        for last, (length, kind, value, rule) in self._automaton.iter(folded.text):
            first = last + 1 - length
            if _is_whole(folded.text, first, last + 1):
                start, end = folded.places[first], folded.places[last] + 1
                if (small and rule == Rule.CAPITAL) or is_named(text, start, end, Rule(rule)):
                    found.append(PersonalSpan(start, end, kind, value))
        return found


def _automaton(names: Iterable[KnownName], given_names: GivenNames) -> "Automaton | None":
    """The automaton of folded names and their parts; None without any. The token of what several are called is that of the words."""
    import ahocorasick

    whole, parts = dict[_Called, set[str]](), dict[_Called, set[str]]()
    for name in names:
        folded, value = _fold(name.text).text.strip(), str(name.entity_id)
        for text in filter(None, (folded, without_legal_form(folded) if name.kind == "company" else "")):
            whole.setdefault(_Called(text, name.kind, rule_of_name(text)), set()).add(value)
        for part in parts_of(folded) if name.kind == "person" else ():
            for form in (part, *given_names.get(part, ())):
                parts.setdefault(_Called(form, "person", rule_of_part(form)), set()).add(value)
    words: Automaton = ahocorasick.Automaton()
    for called, owners in (*sorted(whole.items()), *sorted(parts.items())):
        if sum(map(str.isalnum, called.text)) >= _LEAST_NAME and called.text not in words:
            value = next(iter(owners)) if len(owners) == 1 else f"name {called.text}"
            words.add_word(called.text, (len(called.text), called.kind, value, called.rule))
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
