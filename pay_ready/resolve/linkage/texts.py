"""Names of things, addresses and other texts, compared by the words that they share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from scipy.sparse import csr_array

from pay_ready.resolve.linkage.columns import Column, Distinct, Ids, Keys, Rows, by_distinct_pair, key_of, lengths
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.evidence import Compared, Comparison, Shares, equality
from pay_ready.resolve.linkage.values import cleaned_column
from pay_ready.resolve.linkage.words import flattened

_MATCHED = (0.0, 0.1, 0.1, 0.12, 0.18, 0.5)
_SAME_HOUSE = (0.0, 0.15, 0.1, 0.1, 0.2, 0.45)
_NUMBER = re.compile(r"\b(\d+)[a-z]?\b")  # "35th" is a name
# Of the weight of the shorter and of the longer text's words, and in similarities of 0 to 100: what makes two texts share so much.
CONTAINED_SOME, CONTAINED_MOST, SHARED_MOST, SHARED_CLOSE = 0.4, 0.75, 0.3, 0.75
SPELLED_MOST, SPELLED_CLOSE = 80.0, 90.0
_USUAL_TEXT = 5e-4  # share of a text before any record is seen


@dataclass(frozen=True, slots=True)
class TextValues:
    """Names of things, addresses and other texts: how much of their telling words they share, rare words telling more.

    The weight of a word is log(records / records that hold it), Sparck Jones, Journal of Documentation 28 (1972).
    """

    name: str
    column: Column
    words: csr_array  # value x word: weights
    totals: NDArray[np.float64]  # by value
    rare: NDArray[np.int64]  # value x 2: keys of its rarest words, -1 for none
    common: Shares  # by value: how likely another record holds it by chance
    matched: tuple[float, ...] = _MATCHED
    contradicts: bool = False
    numbers: Sequence[frozenset[str]] = ()  # by value: its numbers, where two texts of other numbers are two (houses of one street)
    alike_from: float = 80.0  # similarity of 0 to 100 below which two texts are alike by their words alone

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            name=self.name,
            levels=("null", "differ", "some", "most", "close", "same"),
            matches=self.matched,
            chances=(0.0, 0.97, 0.02, 0.005, 0.003, 0.002),
            by_value=frozenset({"same"}),
            by_rarity=frozenset({"close"}),
            circumstance=True,
            contradicts=self.contradicts,
        )

    def compare(self, left: Rows, right: Rows) -> Compared:
        base = equality(self.column, left, right, self.common)
        levels = base.levels.copy()
        levels[base.levels == 2] = 5
        rest = np.flatnonzero(base.levels == 1)
        if len(rest):
            ids = self.column.ids
            levels[rest] = by_distinct_pair(ids[left[rest]], ids[right[rest]], self._graded)
        shares = base.shares.copy()
        close = levels == 4
        shares[close] = np.maximum(self.common[self.column.ids[left[close]]], self.common[self.column.ids[right[close]]])
        return Compared(levels, shares)

    def _graded(self, left: Ids, right: Ids) -> NDArray[np.int8]:
        shared = np.asarray(self.words[left].minimum(self.words[right]).sum(axis=1)).ravel()
        smaller = np.minimum(self.totals[left], self.totals[right])
        larger = np.maximum(self.totals[left], self.totals[right])
        contained = shared / np.maximum(smaller, 1e-9)
        of_all = shared / np.maximum(larger, 1e-9)
        texts = self.column.values.to_pylist()
        spelled = process.cpdist(
            [texts[i] for i in left.tolist()], [texts[i] for i in right.tolist()], scorer=fuzz.token_sort_ratio, dtype=np.float32
        )
        grades = np.ones(len(left), dtype=np.int8)
        grades[(contained >= CONTAINED_SOME) | (spelled >= spelled_some(self.alike_from))] = 2
        is_most = (contained >= CONTAINED_MOST) & (of_all >= SHARED_MOST)
        grades[is_most | (spelled >= max(SPELLED_MOST, self.alike_from))] = 3
        grades[(of_all >= SHARED_CLOSE) | (spelled >= max(SPELLED_CLOSE, self.alike_from))] = 4
        if self.numbers:
            pairs = zip(left.tolist(), right.tolist(), strict=True)
            apart = [bool(self.numbers[a] and self.numbers[b] and not self.numbers[a] & self.numbers[b]) for a, b in pairs]
            grades[np.array(apart, dtype=np.bool_)] = 1
        return grades

    def block_keys(self) -> list[Keys]:
        ids = self.column.ids
        rare = np.vstack((self.rare, np.full((1, self.rare.shape[1]), -1, dtype=np.int64)))
        return [rare[ids, 0], rare[ids, 1], key_of(rare[ids, 0], rare[ids, 1])]


def spelled_some(alike_from: float) -> float:
    """What has something in common is spelled half as far again from being the same."""
    return 100.0 - 1.5 * (100.0 - alike_from)


def texts_of(
    name: str, array: pa.Array, matched: tuple[float, ...] | None = None, *, contradicts: bool = False, counts: Counts | None = None
) -> TextValues:
    """Texts as weighed words."""
    return text_values(name, cleaned_column(array), matched, contradicts=contradicts, counts=counts)


def addresses_of(name: str, array: pa.Array, *, contradicts: bool = False, counts: Counts | None = None) -> TextValues:
    """Street addresses: texts, of which two with numbers and none in common are two houses, however alike the rest is."""
    found = texts_of(name, array, _SAME_HOUSE, contradicts=contradicts, counts=counts)
    return replace(found, numbers=[frozenset(_NUMBER.findall(text)) for text in found.column.values.to_pylist()])


def text_values(
    name: str, column: Column, matched: tuple[float, ...] | None = None, *, contradicts: bool = False, counts: Counts | None = None
) -> TextValues:
    """Weighed words of a column of folded texts."""
    row, numbers, words = flattened(column.values)
    count = max(len(column.values), 1)
    # A word counts once in a text.
    pairs = np.unique(row * max(len(words), 1) + numbers)
    row, numbers = pairs // max(len(words), 1), pairs % max(len(words), 1)
    counted = counts or Counts()
    distinct_words = Distinct(words)
    held_by = np.bincount(numbers, minlength=len(words))
    frequency, texts = counted.of(f"word.{name}", distinct_words, held_by, usual=1, total=len(column.values))
    weights = np.zeros(max(len(words), 1))
    weights[: len(words)] = np.log((max(texts, 1) + 1) / np.minimum(np.maximum(frequency, 1), max(texts, 1)))
    size = lengths(words)
    weights[: len(words)][size == 1] *= 0.5
    matrix = csr_array((weights[numbers], (row, numbers)), shape=(count, max(len(words), 1)))
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    rare = np.full((len(column.values), 2), -1, dtype=np.int64)
    # Of equally rare words the one of the lower key, so that a text has the same ones whatever other texts there are.
    keys = distinct_words.keys
    order = np.lexsort((keys[numbers], -weights[numbers], row))
    row, numbers = row[order], numbers[order]
    starts = np.searchsorted(row, np.arange(len(column.values)))
    held = np.bincount(row, minlength=len(column.values))
    for position in range(2):
        there = held > position
        rare[there, position] = keys[numbers[starts[there] + position]]
    return TextValues(
        name, column, matrix, totals, rare, counted.shares(f"value.{name}", column, _USUAL_TEXT), matched or _MATCHED, contradicts
    )
