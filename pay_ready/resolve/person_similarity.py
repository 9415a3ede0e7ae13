"""How alike two names of persons are: their words matched one to one, and what each leftover or half match costs."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from rapidfuzz.distance import OSA

from pay_ready.resolve.name_words import (
    ALL_TITLES,
    FORMS_AFTER_PERSONS,
    GENERATIONS,
    MORE_TITLES,
    NOBLE_WORDS,
    PARTICLES,
    PATRONYMIC_MARKS,
    SERVANTS,
    SUFFIXES,
)
from pay_ready.resolve.transliterate import MARKS, bare, ideograms, latin_words
from pay_ready.resolve.word_similarity import AGREES, best_matching, word_similarity

INITIAL = 0.86  # one word is the first letter of the other
_JOINED = 0.97  # two words on one side are one on the other

# Costs in points of 100.
_UNLIKE_WORD = 50.0  # a word of each side, nothing alike
_UNLIKE_ONLY_WORD = 100.0
_EXTRA_WORD, _EXTRA_COMMON_WORD, _EXTRA_PATRONYMIC = 3.0, 1.5, 1.0
_LIGHT = 0.15  # how much a particle weighs against a word
_OTHER_GENERATION, _ONE_GENERATION = 30.0, 2.0
_OTHER_FATHER = 10.0  # "Omar bin Ali" and "Ali bin Omar"
_MIDDLE_INITIAL = 12.0
_TOO_LITTLE = 70.0  # the most that names reach with one word, or initials alone, in common
_MOST_LEFTOVERS = 4
_SHORTEST_JOINED_MISTYPED, _SHORTEST_JOINED_SCRIPT = 8, 5  # letters
_ALIKE_JOINED = 0.8
_PATRONYMIC_ENDINGS = ("ovich", "evich", "ovitch", "evitch", "ovna", "evna", "ovych", "yovych", "oglu", "qizi")
_COMMON_EVERYWHERE = frozenset(
    ["mohammed", "mohamed", "muhammad", "mohammad", "mohamad", "muhammed", "ahmed", "ahmad", "ali", "maria", "abdul"]
)

_LIGHT_WORDS = PARTICLES | NOBLE_WORDS | MORE_TITLES
_GENERATION_WORDS = {"junior": "jr", "senior": "sr"}

WordSimilarity = Callable[[str, str], float]


@dataclass(frozen=True, slots=True)
class PersonWords:
    """The words of a person's name; titles are gone."""

    words: tuple[str, ...]
    light: frozenset[str]  # particles: they tell little
    fathers: frozenset[str]  # words after bin, ibn, ben
    generation: str
    signs: str  # Chinese and Korean signs

    @property
    def plain(self) -> bool:
        """Two different words, one of them in full, and nothing to mind."""
        if len(self.words) != 2 or self.light or self.generation or self.signs:
            return False
        return self.words[0] != self.words[1] and max(map(len, self.words)) > 1


@lru_cache(maxsize=65_536)
def person_words(text: str) -> PersonWords:
    """A name's words; something always stays while the text has a letter or digit."""
    words = list(latin_words(text))
    words = _without_suffixes(_without_titles(words))
    generations = [word for word in words[1:] if word in GENERATIONS]
    if len(words) - len(generations) > 1:
        words = [words[0], *(word for word in words[1:] if word not in GENERATIONS)]
    fathers = _fathers(words)
    words = [part for word in words for part in _without_servant(word)]
    light = frozenset(word for word in words if len(word) > 1 and word in _LIGHT_WORDS)
    if len([word for word in words if word not in light]) < 2:
        light = frozenset()
    return PersonWords(
        tuple(words), light, fathers, _GENERATION_WORDS.get(generations[0], generations[0]) if generations else "", ideograms(text)
    )


def person_similarity(left: PersonWords, right: PersonWords, similarity: WordSimilarity) -> float:
    """From 0 to 100; `similarity` compares two words.

    100 less what differs. One-sided words cost little (a middle name left out), a word on each side that are not one another's cost
    half of everything: names agree word by word or not at all, however long they are.
    """
    if left.plain and right.plain:
        return _of_plain(left.words, right.words, similarity)
    if left.signs and right.signs:
        return _of_signs(left.signs, right.signs)
    if not left.words or not right.words:
        return 100.0 if left == right else 0.0
    # The same way round whichever side comes first.
    first, second = (left, right) if (len(left.words), sorted(left.words)) <= (len(right.words), sorted(right.words)) else (right, left)
    found = _Alignment(first, second, similarity)
    return max(0.0, min(found.ceiling(), 100.0 - found.cost()))


def _fathers(words: Sequence[str]) -> frozenset[str]:
    """The next name after each "son of"."""
    found = set()
    expected = False
    for word in words:
        if word in PATRONYMIC_MARKS:
            expected = True
        elif expected and word not in PARTICLES:
            found.add(word)
            expected = False
    return frozenset(found)


def _of_plain(left: Sequence[str], right: Sequence[str], similarity: WordSimilarity) -> float:
    (a, b), (c, d) = left, right
    straight = (similarity(a, c), similarity(b, d))
    swapped = (similarity(a, d), similarity(b, c))
    pair = max(straight, swapped, key=lambda pair: (pair[0] + pair[1], max(pair)))
    found = 100.0 - _UNLIKE_WORD * (2 - pair[0] - pair[1])
    return min(found, _TOO_LITTLE) if pair == (INITIAL, INITIAL) else found


def _of_signs(left: str, right: str) -> float:
    """By signs that differ: one of three is another name, one of eight a slip."""
    return 100.0 * (1 - OSA.distance(left, right) / max(len(left), len(right)))


class _Alignment:
    """The words of two names, matched one to one."""

    def __init__(self, left: PersonWords, right: PersonWords, similarity: WordSimilarity) -> None:
        self._left, self._right, self._similarity = left, right, similarity
        self._pairs: list[tuple[str, str, float]] = []
        self._joined = 0  # words that only match joined with others
        rest, other_rest = self._take_equal(sorted(left.words), sorted(right.words))
        rest, other_rest = self._take_joined(rest, other_rest)
        rest, other_rest = self._take_alike(rest, other_rest, AGREES, initials=False)
        rest, other_rest = self._take_alike(rest, other_rest, AGREES)
        rest, other_rest = self._take_initials(rest, other_rest)
        if not rest or not other_rest:
            rest, other_rest = _unrepeated(rest, left.words), _unrepeated(other_rest, right.words)
        core, other_core = self._core(rest), self._core(other_rest)
        self._extra = (*self._take_alike(core, other_core, -1.0), _less(rest, core), _less(other_rest, other_core))

    def cost(self) -> float:
        """Points of 100 that the names lose."""
        only = max(self._core_count(self._left), self._core_count(self._right)) == 1
        unlike = _UNLIKE_ONLY_WORD if only else _UNLIKE_WORD
        words = sum(unlike * (1 - alike) * self._weight(left, right) for left, right, alike in self._pairs)
        extra = sum(_extra_cost(word) * (_LIGHT if self._is_light(word) else 1.0) for rest in self._extra for word in rest)
        # "Henry S. Lee" is hardly "Samuel Lee".
        words += _MIDDLE_INITIAL * self._middle_initials()
        # The third name left out tells more than the first.
        growing = _EXTRA_WORD * math.pow(extra / _EXTRA_WORD, 1.5)
        return words + growing + self._generation_cost() + self._father_cost()

    def ceiling(self) -> float:
        """The most that so few words in common may reach."""
        core = [(left, right) for left, right, alike in self._pairs if alike >= AGREES and self._weight(left, right) == 1.0]
        full = sum(min(len(left), len(right)) > 1 for left, right in core) + self._joined
        longest = max(self._core_count(self._left), self._core_count(self._right))
        if full == 0 and sorted(self._left.words) != sorted(self._right.words):
            return _TOO_LITTLE
        return _TOO_LITTLE if longest > 1 and len(core) + self._joined < 2 else 100.0

    def _middle_initials(self) -> int:
        """Initials that match a full name while a full name on their own side matches nothing."""
        left_alone, right_alone = (any(len(word) > 1 and not self._is_light(word) for word in self._extra[side]) for side in (0, 1))
        return sum(
            alike == INITIAL and ((left_alone and len(left) == 1 < len(right)) or (right_alone and len(right) == 1 < len(left)))
            for left, right, alike in self._pairs
        )

    def _core_count(self, name: PersonWords) -> int:
        return len({word for word in name.words if word not in name.light})

    def _is_light(self, word: str) -> bool:
        return word in self._left.light or word in self._right.light

    def _weight(self, left: str, right: str) -> float:
        return _LIGHT if self._is_light(left) or self._is_light(right) else 1.0

    def _generation_cost(self) -> float:
        one, other = self._left.generation, self._right.generation
        if one == other:
            return 0.0
        return _OTHER_GENERATION if one and other else _ONE_GENERATION

    def _father_cost(self) -> float:
        if not self._left.fathers or not self._right.fathers:
            return 0.0
        crossed = [
            1 for left, right, alike in self._pairs if alike >= AGREES and (left in self._left.fathers) != (right in self._right.fathers)
        ]
        return _OTHER_FATHER * len(crossed)

    def _take_equal(self, left: list[str], right: list[str]) -> tuple[list[str], list[str]]:
        rest, other_rest = [], list(right)
        for word in left:
            if word in other_rest:
                other_rest.remove(word)
                self._pairs.append((word, word, 1.0))
            else:
                rest.append(word)
        return rest, other_rest

    def _take_alike(self, left: list[str], right: list[str], least: float, *, initials: bool = True) -> tuple[list[str], list[str]]:
        if not left or not right:
            return left, right
        alike = {
            (one, other): found
            for one, word in enumerate(left)
            for other, other_word in enumerate(right)
            if (found := self._similarity(word, other_word)) >= least and (initials or min(len(word), len(other_word)) > 1)
        }
        taken = best_matching(left, right, alike)
        self._pairs.extend((left[one], right[other], alike[one, other]) for one, other in taken)
        used, other_used = {one for one, _ in taken}, {other for _, other in taken}
        return (
            [word for place, word in enumerate(left) if place not in used],
            [word for place, word in enumerate(right) if place not in other_used],
        )

    def _take_joined(self, left: list[str], right: list[str]) -> tuple[list[str], list[str]]:
        """Words that one side writes as one ("Buchberg", "Buch Berg")."""
        for parts, whole in _joins(left, right):
            rest, other_rest = _less(left, parts), _less(right, (whole,))
            return self._count_joined(parts, whole, rest, other_rest)
        for parts, whole in _joins(right, left):
            other_rest, rest = _less(right, parts), _less(left, (whole,))
            return self._count_joined(parts, whole, rest, other_rest)
        return left, right

    def _count_joined(self, parts: Sequence[str], whole: str, left: list[str], right: list[str]) -> tuple[list[str], list[str]]:
        self._pairs.append((whole, whole, _JOINED))
        # "AnnLee" is the whole name: as good as two words.
        self._joined += len(parts) - 1
        return left, right

    def _take_initials(self, left: list[str], right: list[str]) -> tuple[list[str], list[str]]:
        """Initials that stand together: "JC" for "Jean Claude"."""
        for short, long, swapped in ((left, right, False), (right, left, True)):
            for word in short:
                meant = _spelled_out(word, long)
                if meant:
                    self._pairs.append((word, meant[0], INITIAL))
                    rest, other_rest = _less(short, (word,)), _less(long, meant)
                    return (other_rest, rest) if swapped else (rest, other_rest)
        return left, right

    def _core(self, words: list[str]) -> list[str]:
        return [word for word in words if not self._is_light(word)]


def _unrepeated(rest: list[str], words: Sequence[str]) -> list[str]:
    return [word for word in rest if words.count(word) == 1]


def _joins(parts: Sequence[str], wholes: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    if not wholes or not 1 < len(parts) <= _MOST_LEFTOVERS or max(map(len, wholes)) + 1 < sum(sorted(map(len, parts))[:2]):
        return
    for chosen in (*permutations(parts, 2), *permutations(parts, 3)):
        joined = "".join(map(bare, chosen))
        for whole in wholes:
            if _is_joined(joined, whole):
                yield chosen, whole


def _is_joined(joined: str, whole: str) -> bool:
    if whole[0] in MARKS:
        return len(whole) > _SHORTEST_JOINED_SCRIPT and word_similarity(joined, whole) >= _ALIKE_JOINED
    slips = int(len(whole) >= _SHORTEST_JOINED_MISTYPED)
    return abs(len(whole) - len(joined)) <= slips and OSA.distance(joined, whole, score_cutoff=1) <= slips


def _spelled_out(initials: str, words: Sequence[str]) -> tuple[str, ...]:
    if not 2 <= len(initials) <= 3 or len(words) > _MOST_LEFTOVERS:
        return ()
    for chosen in permutations(words, len(initials)):
        if "".join(word[0] for word in chosen) == initials and all(len(word) > 1 for word in chosen):
            return chosen
    return ()


def _less(words: Sequence[str], gone: Sequence[str]) -> list[str]:
    rest = list(words)
    for word in gone:
        rest.remove(word)
    return rest


def _extra_cost(word: str) -> float:
    if word.endswith(_PATRONYMIC_ENDINGS):
        return _EXTRA_PATRONYMIC
    return _EXTRA_COMMON_WORD if word in _COMMON_EVERYWHERE or len(word) == 1 else _EXTRA_WORD


def _without_titles(words: list[str]) -> list[str]:
    while len(words) > 1 and words[0] in ALL_TITLES:
        words = words[1:]
    return words


def _without_suffixes(words: list[str]) -> list[str]:
    while len(words) > 2 and (words[-1] in FORMS_AFTER_PERSONS or (words[-1] in SUFFIXES and words[-1] not in GENERATIONS)):
        words = words[:-1]
    return words


def _without_servant(word: str) -> list[str]:
    """ "Abdulrahman" is "Abd al-Rahman": servant of the merciful."""
    if word in SERVANTS:
        return ["abdul"]
    for servant in SERVANTS - {"abd"}:
        if word.startswith(servant) and len(word) >= len(servant) + 4:
            return ["abdul", word[len(servant) :]]
    return [word]
