"""Names of people and companies, made comparable; how alike two of them are, from 0 to 100."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from pay_ready.resolve.company_words import ABBREVIATIONS, FORMS_OF_ONE_WORD, ORDINARY_WORDS_TOO
from pay_ready.resolve.hosts import registrable_domain
from pay_ready.resolve.normalize import fold

_TITLES = frozenset([
    "mr", "mrs", "ms", "miss", "dr", "prof", "sir", "herr", "frau", "dipl", "ing", "jr", "sr", "ii", "iii", "iv", "phd", "md", "mba",
    "esq",
])  # fmt: skip
# Removed wherever they stand; of those that are words too, only these are more often a form.
LEGAL_FORMS_OF_ONE_WORD = FORMS_OF_ONE_WORD - ORDINARY_WORDS_TOO | {"spa", "as", "se", "sl"}

_SAME, _NICKNAME, _INITIAL, _ONE_TYPO, _TWO_TYPOS, _UNLIKE_CEILING = 100.0, 96.0, 90.0, 92.0, 84.0, 65.0
_CONFLICTING_MIDDLE = 16.0


class NameLevel(IntEnum):
    """How two person names compare; NULL when one side has none."""

    NULL = 0
    DISAGREE = 1
    FAMILY = 2  # the family name agrees, the given name does not: a household
    GIVEN = 3  # the given name agrees, the family name is another or missing: a marriage, a first-name-only row
    INITIAL = 4  # agree, one side being an initial
    CLOSE = 5  # agree by a nickname or a typing error
    EXACT = 6


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in folded tokens; `family` is empty for a name of one word."""

    given: str
    middle: tuple[str, ...]
    family: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for every order of the words; middle names left out."""
        return " ".join(sorted((self.given, *self.family)))

    @property
    def initial_key(self) -> str:
        """Initial and family name, as most shortened forms keep them."""
        return f"{self.given[:1]} {' '.join(self.family)}"


@cache
def folded(text: str) -> str:
    """Lower case without accents; hyphens and stops are blanks, apostrophes vanish."""
    return re.sub(r"[\W_]+", " ", re.sub(r"['’`´]", "", fold(text))).strip()


def person_name(full: str | None, first: str | None, last: str | None) -> PersonName | None:
    """The comparable name; given and family name where the source tells them apart, else from the full name ("Last, First" too)."""
    if first and last:
        return _name(_words(first), _words(last))
    text = full or " ".join(filter(None, (first, last)))
    family, comma, rest = text.partition(",")
    if comma and _words(rest):
        return _name(_words(rest), _words(family))
    words = _words(text)
    return _name(words[:-1], words[-1:]) if len(words) > 1 else _name(words, [])


def _words(text: str) -> list[str]:
    return [word for word in folded(text).split() if word not in _TITLES]


def _name(given: Sequence[str], family: Sequence[str]) -> PersonName | None:
    if not given and not family:
        return None
    if not given:
        return PersonName(family[0], (), tuple(family[1:]))
    return PersonName(given[0], tuple(given[1:]), tuple(family))


class NameComparison:
    """Compares person names with the nicknames of a language community; remembers words it has seen."""

    def __init__(self, nicknames: Sequence[frozenset[str]], threshold: float) -> None:
        self._threshold = threshold
        self._groups: dict[str, set[int]] = {}
        for number, group in enumerate(nicknames):
            for word in group:
                self._groups.setdefault(word, set()).add(number)
        self._known: dict[tuple[str, str], float] = {}

    def canonical_given(self, word: str) -> str:
        """A key that the forms of a nickname share, as far as one word can tell."""
        groups = self._groups.get(word)
        return f"#{min(groups)}" if groups else word

    def similarity(self, left: PersonName, right: PersonName) -> float:
        """From 0 to 100: the mean over given and family name, in the order given or swapped, whichever is more alike."""
        given, family = self._parts(left, right)
        return max(0.0, (given + family) / 2 - self._middle_penalty(left, right))

    def level(self, left: PersonName, right: PersonName) -> NameLevel:
        """The grade that two names reach; `name_threshold` is where they agree."""
        if left == right and left.family:
            return NameLevel.EXACT if len(left.given) > 1 else NameLevel.INITIAL
        if not left.family or not right.family:
            return self._level_of_one_word(left, right)
        given, family = self._parts(left, right)
        agree = (given + family) / 2 - self._middle_penalty(left, right) >= self._threshold
        if agree and given >= _SAME and family >= _SAME and min(len(left.given), len(right.given)) > 1:
            return NameLevel.EXACT
        if agree:
            short = 1 in (len(left.given), len(right.given)) or _INITIAL in (given, family)
            return NameLevel.INITIAL if short else NameLevel.CLOSE
        # Words that only agree crosswise say nothing of one part alone.
        given, family = self._straight(left, right)
        if family >= _TWO_TYPOS and given < _INITIAL:
            return NameLevel.FAMILY
        return NameLevel.GIVEN if given >= _ONE_TYPO else NameLevel.DISAGREE

    def _level_of_one_word(self, left: PersonName, right: PersonName) -> NameLevel:
        short, long = sorted((left, right), key=lambda name: (bool(name.family), len(name.given)))
        if len(short.given) == 1:
            return NameLevel.GIVEN if long.given.startswith(short.given) else NameLevel.DISAGREE
        if self._word(short.given, long.given) >= _ONE_TYPO:
            return NameLevel.GIVEN
        return NameLevel.FAMILY if any(self._word(short.given, word) >= _ONE_TYPO for word in long.family) else NameLevel.DISAGREE

    def _parts(self, left: PersonName, right: PersonName) -> tuple[float, float]:
        straight = self._straight(left, right)
        if len(left.family) != 1 or len(right.family) != 1:
            return straight
        swapped = (self._word(left.given, right.family[0]), self._word(left.family[0], right.given))
        return swapped if sum(swapped) > sum(straight) else straight

    def _straight(self, left: PersonName, right: PersonName) -> tuple[float, float]:
        return self._given(left, right), self._family(left.family, right.family)

    def _given(self, left: PersonName, right: PersonName) -> float:
        found = self._word(left.given, right.given)
        if found < _ONE_TYPO and left.middle and right.given == left.middle[0]:
            return _ONE_TYPO
        if found < _ONE_TYPO and right.middle and left.given == right.middle[0]:
            return _ONE_TYPO
        return found

    def _family(self, left: tuple[str, ...], right: tuple[str, ...]) -> float:
        if left == right:
            return _SAME if left else 0.0
        if len(left) == len(right) == 1:
            return self._word(left[0], right[0])
        if set(left) & set(right) and (set(left) <= set(right) or set(right) <= set(left)):
            return _NICKNAME
        return self._word("".join(left), "".join(right)) if left and right else 0.0

    def _middle_penalty(self, left: PersonName, right: PersonName) -> float:
        if not left.middle or not right.middle:
            return 0.0
        compatible = left.middle[0].startswith(right.middle[0]) or right.middle[0].startswith(left.middle[0])
        return 0.0 if compatible else _CONFLICTING_MIDDLE

    def _word(self, left: str, right: str) -> float:
        if left == right:
            return _SAME
        pair = (left, right) if left < right else (right, left)
        found = self._known.get(pair)
        if found is None:
            found = self._known[pair] = self._compare_words(*pair)
        return found

    def _compare_words(self, left: str, right: str) -> float:
        if min(len(left), len(right)) <= 1:
            return _INITIAL if left[:1] == right[:1] and left else 0.0
        left_groups, right_groups = self._groups.get(left), self._groups.get(right)
        if left_groups and right_groups:
            # Two names that both exist are two names, however few letters tell them apart (Joan, John).
            return _NICKNAME if left_groups & right_groups else min(_UNLIKE_CEILING, fuzz.ratio(left, right))
        edits, length = OSA.distance(left, right, score_cutoff=2), min(len(left), len(right))
        if edits == 1 and length >= 4:
            return _ONE_TYPO if length >= 5 else _TWO_TYPOS
        return _TWO_TYPOS if edits == 2 and length >= 7 else min(_UNLIKE_CEILING, fuzz.ratio(left, right))


@dataclass(frozen=True, slots=True)
class CompanyName:
    """A company's name without its legal form; `core` joins the words, as domains do."""

    words: tuple[str, ...]

    @property
    def core(self) -> str:
        return "".join(self.words)

    @property
    def acronym(self) -> str:
        return "".join(word[0] for word in self.words)


@cache
def company_name(text: str) -> CompanyName | None:
    """The comparable name; None when nothing is left of it."""
    # Dotted forms (L.L.C., S.A.) are one word.
    words = folded(re.sub(r"\b(?:\w\.){2,}", lambda dotted: dotted[0].replace(".", ""), text)).split()
    kept = [word for word in words if word not in LEGAL_FORMS_OF_ONE_WORD] or words
    spelled = [ABBREVIATIONS.get(word, word) for word in kept]
    named = tuple(word for word in spelled if word) or tuple(kept)
    return CompanyName(named) if named else None


def company_similarity(left: CompanyName, right: CompanyName) -> float:
    """From 0 to 100: the more alike of the words in any order and of the joined cores."""
    return max(fuzz.token_sort_ratio(" ".join(left.words), " ".join(right.words)), fuzz.ratio(left.core, right.core))


def is_acronym(left: CompanyName, right: CompanyName) -> bool:
    """One is the initials of the other, three letters or more."""
    short, long = (left, right) if len(left.words) == 1 else (right, left)
    return len(short.words) == 1 and len(long.words) >= 3 and short.core == long.acronym


def domain_root(domain: str) -> str:
    """The label that names the owner: "example" of shop.example.co.uk."""
    return registrable_domain(domain).partition(".")[0]
