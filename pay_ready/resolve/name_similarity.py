"""Names alone: how alike two persons' or two organisations' names are, from 0 to 100."""

from collections.abc import Sequence

from rapidfuzz.distance import OSA

from pay_ready.resolve.company_similarity import organisation_similarity, organisation_words
from pay_ready.resolve.person_similarity import INITIAL, person_similarity, person_words
from pay_ready.resolve.word_similarity import AGREES, edit_similarity, spelled, word_similarity

_NICKNAME, _MISTYPED_NICKNAME = 0.95, 0.85
_OTHER_KNOWN_NAME = 0.62  # Joan and John: two names that both exist
_MOST_WORD_PAIRS = 1_000_000


class NameSimilarity:
    """Compares names with the nicknames of a language community; remembers word pairs, up to a bound."""

    def __init__(self, nicknames: Sequence[frozenset[str]]) -> None:
        self._nicknames = tuple(nicknames)
        self._groups: dict[str, set[int]] = {}
        for number, group in enumerate(nicknames):
            for word in group:
                self._groups.setdefault(word, set()).add(number)
        self._given: dict[tuple[str, str], float] = {}
        self._plain: dict[tuple[str, str], float] = {}

    def person(self, left: str, right: str) -> float:
        """Names of persons; "agree" from `entity_resolution.name_threshold` up. Symmetric, 100 for equal names."""
        return 100.0 if left == right else person_similarity(person_words(left), person_words(right), self._given_words)

    def organisation(self, left: str, right: str) -> float:
        """Names of organisations, vessels and things; "agree" from `company_threshold` up. Symmetric, 100 for equal names."""
        return 100.0 if left == right else organisation_similarity(organisation_words(left), organisation_words(right), self._plain_words)

    def _given_words(self, left: str, right: str) -> float:
        if left == right:
            return 1.0
        pair = (left, right) if left < right else (right, left)
        found = self._given.get(pair)
        if found is None:
            found = self._compare(*pair)
            _remember(self._given, pair, found)
        return found

    def _plain_words(self, left: str, right: str) -> float:
        pair = (left, right) if left < right else (right, left)
        found = self._plain.get(pair)
        if found is None:
            found = word_similarity(*pair)
            _remember(self._plain, pair, found)
        return found

    def _compare(self, left: str, right: str) -> float:
        if len(left) == 1 or len(right) == 1:
            return INITIAL if left[0] == right[0] else 0.0
        groups, other_groups = self._groups.get(left), self._groups.get(right)
        if groups and other_groups:
            if groups & other_groups:
                return _NICKNAME
            return min(_OTHER_KNOWN_NAME, edit_similarity(left, right)) if spelled(left) != spelled(right) else _NICKNAME
        found = word_similarity(left, right)
        if (
            found < AGREES
            and (groups or other_groups)
            and self._mistyped_nickname(left if other_groups else right, groups or other_groups or set())
        ):
            return _MISTYPED_NICKNAME
        return found

    def _mistyped_nickname(self, word: str, groups: set[int]) -> bool:
        """Whether a word is one slip from a name of these groups ("Josehp" beside "Joe")."""
        return len(word) >= 5 and any(
            len(name) >= 5 and name[0] == word[0] and OSA.distance(name, word, score_cutoff=1) <= 1
            for group in groups
            for name in self._nicknames[group]
        )


def _remember(known: dict[tuple[str, str], float], pair: tuple[str, str], found: float) -> None:
    if len(known) >= _MOST_WORD_PAIRS:
        known.clear()
    known[pair] = found
