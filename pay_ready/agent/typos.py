"""Words one typing error away from a given one, out of a fixed set: a letter left out, added, changed, or two neighbours swapped.

Two words are that near only if leaving out at most one letter of each can make them equal (Garbe, "SymSpell"); so the hash of every
word with one letter left out is kept, 12 bytes each, and what agrees is compared.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from rapidfuzz.distance import OSA

_SHORTEST, _LONGEST = 3, 24  # letters of a word that may be mistyped
_FAR_MORE = 20  # times as often
_MANY = 1_000  # words: a word that is not among them is more likely mistyped than one more name


class TypoIndex:
    """Finds the words of a set that a mistyped word may mean."""

    def __init__(self, uses: Mapping[str, int]) -> None:
        self._words = sorted(word for word in uses if _SHORTEST <= len(word) <= _LONGEST)
        self._uses = array("I", (uses[word] for word in self._words))
        pairs = sorted((hash(variant), number) for number, word in enumerate(self._words) for variant in set(_variants(word)))
        self._hashes = array("q", (each for each, _ in pairs))
        self._numbers = array("i", (number for _, number in pairs))

    def near(self, word: str) -> list[str]:
        """The other words at a distance of one, in alphabetical order.

        A word of the set is itself no error, but for those used far more often: some Dvid is in every address book, and means David. Where
        the set is small, so that most names of the world are not in it, nor is one whose first letter alone is another: Min is no mistyped
        Xin. Hands slip there least (Pollock and Zamora, "Collection and Characterization of Spelling Errors", JASIS 34 (1983)), and of
        invented people who were no others two in three had been taken for one by it.
        """
        if not _SHORTEST - 1 <= len(word) <= _LONGEST + 1:
            return []
        least = self._used(word) * _FAR_MORE
        numbers = {number for variant in _variants(word) for number in self._with(hash(variant)) if self._uses[number] >= least}
        found = [other for other in map(self._words.__getitem__, sorted(numbers)) if OSA.distance(word, other, score_cutoff=1) == 1]
        return found if len(self._words) >= _MANY else [other for other in found if other[1:] != word[1:]]

    def _used(self, word: str) -> int:
        place = bisect_left(self._words, word)
        return self._uses[place] if place < len(self._words) and self._words[place] == word else 0

    def _with(self, wanted: int) -> Iterator[int]:
        place = bisect_left(self._hashes, wanted)
        while place < len(self._hashes) and self._hashes[place] == wanted:
            yield self._numbers[place]
            place += 1


def _variants(word: str) -> Iterator[str]:
    yield word
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]
