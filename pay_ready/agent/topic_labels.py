"""What a group of texts is about, in words: c-TF-IDF over words and pairs of words, without the names of people and companies."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from pay_ready.agent.sentences import words_of
from pay_ready.agent.stopwords import STOP_WORDS

Term = tuple[str, ...]  # one word, or two that stand beside each other

_PAIR_POWER = 0.3
_BREAK = ""  # where a name or a stop word stood: no pair reaches across it


class NameFilter:
    """Names that may not stand in a label. Of people every word is left out, of companies the whole name: "ready" may stay though
    "Pay Ready" goes."""

    def __init__(self, people: Iterable[str] = (), companies: Iterable[str] = ()) -> None:
        self._words = {word for name in people for word in _folded(name)}
        self._names: dict[str, list[list[str]]] = {}
        for name in companies:
            if words := _folded(name):
                self._names.setdefault(words[0], []).append(words)
        for same_start in self._names.values():
            same_start.sort(key=len, reverse=True)

    def without_names(self, words: Sequence[str]) -> list[str]:
        """The words in lower case with a break in the place of each name."""
        kept, place = [], 0
        while place < len(words):
            found = next((name for name in self._names.get(words[place], ()) if list(words[place : place + len(name)]) == name), None)
            kept.append(_BREAK if found or words[place] in self._words else words[place])
            place += len(found) if found else 1
        return kept


def label_terms(groups: Sequence[Sequence[str]], names: NameFilter | None = None, most: int = 3) -> list[list[str]]:
    """The terms that tell each group of texts from the others, the most telling first, at most `most`; none says a word twice.

    c-TF-IDF(term, group) = tf * log(1 + A / f): tf texts of the group hold the term, f of all groups, and A is the mean number of terms
    of a group (Grootendorst, "BERTopic", arXiv 2203.05794). Equals are in alphabetical order.
    """
    names = names or NameFilter()
    counts = [Counter(term for text in texts for term in set(_terms(text, names))) for texts in groups]
    everywhere: Counter[Term] = Counter()
    for each in counts:
        everywhere.update(each)
    mean = sum(everywhere.values()) / max(1, len(groups))
    return [_best(each, everywhere, mean, most) for each in counts]


def _terms(text: str, names: NameFilter) -> list[Term]:
    words = [_BREAK if word in STOP_WORDS or not word.isalpha() or len(word) < 2 else word for word in names.without_names(_folded(text))]
    singles: list[Term] = [(word,) for word in words if word]
    pairs: list[Term] = [(left, right) for left, right in pairwise(words) if left and right and left != right]
    return singles + pairs


def _best(counts: Counter[Term], everywhere: Counter[Term], mean: float, most: int) -> list[str]:
    least = min(2, max(counts.values(), default=0))  # what one text alone says tells the group from nothing
    weight = {term: count * math.log1p(mean / everywhere[term]) for term, count in counts.items() if count >= least}
    chosen: list[str] = []
    said: set[str] = set()
    # A pair says more than either of its words, which are at least as frequent.
    for term in sorted(weight, key=lambda term: (-weight[term] * len(term) ** _PAIR_POWER, term)):
        stems = {_stem(word) for word in term}
        if not stems & said:
            chosen.append(" ".join(term))
            said |= stems
        if len(chosen) == most:
            break
    return chosen


def _stem(word: str) -> str:
    """Enough to see that "refunds" repeats "refund"."""
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word.rstrip("ey") if len(word) > 4 else word


def _folded(text: str) -> list[str]:
    return [word.removesuffix("'s").removesuffix("’s") for word in map(str.casefold, words_of(text))]
