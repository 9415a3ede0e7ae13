"""How two words of names are related: the same, a nickname, a typing error, an initial, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from pay_ready.resolve.linkage.columns import (
    FEW,
    Distinct,
    Ids,
    Keys,
    Texts,
    by_distinct_pair,
    column_of,
    filled,
    key_numbers,
    key_of,
    lengths,
    texts_at,
    utf8_of,
)
from pay_ready.resolve.linkage.counts import Counts

_GROUPS_A_WORD = 6
ESTABLISHED = 8
SHORTEST_SLIP, _SHORTEST_TWO_SLIPS = 4, 6
SHORTEST_ALIKE, LARGEST_GAP = 3, 3
_ROUNDING = 1e-3  # of similarities in single precision


class Relation(IntEnum):
    """What one word of a name is to another; a higher one is the closer."""

    NULL = 0
    OTHER = 1  # two words that both are names: no slip makes one of the other
    DIFFER = 2
    INITIAL = 3
    SIMILAR = 4  # two slips, or alike from the configured threshold up
    TYPO = 5  # one slip of the finger
    NICKNAME = 6  # forms of one given name
    SAME = 7


RELATIONS = tuple(relation.name.lower() for relation in Relation)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of all names: text, length, number of the first letter, nickname groups, and what each word is as a key."""

    distinct: Distinct
    holders: NDArray[np.int64]  # names that have it
    held: int  # words of all names
    number_of: Mapping[str, int]
    lengths: NDArray[np.int32]
    signs: NDArray[np.uint32]  # the set of its ASCII letters and digits (`_signs_of`)
    initials: Ids
    letters: Texts  # by number of `initials`
    finals: Ids  # number of the last letter
    established: NDArray[np.bool_]  # a known given name, or one that many records have
    groups: NDArray[np.int16]  # word x `_GROUPS_A_WORD`, -1 for none
    group_bits: NDArray[np.uint64]  # the set of them, 64 bits for all: some share one
    keys: Keys  # numbers that are the same whatever other words there are: of the word itself,
    canonical: Keys  # the same one for forms of one given name, as far as a word can tell,
    heads: Keys  # and of the first three letters

    @property
    def texts(self) -> Texts:
        """The words."""
        return self.distinct.texts

    def extended(self, new: Sequence[str], nicknames: Sequence[frozenset[str]], counts: Counts) -> "Words":
        """With words that no name here has; those that are here keep their numbers."""
        if not new:
            return self
        texts = pa.array(new, pa.string())
        holders = np.concatenate((self.holders, counts.elsewhere("name.word", Distinct(texts), 0)))
        return _words(Distinct(pa.concat_arrays([self.texts, texts])), holders, self.held, nicknames)


def words_from(texts: Texts, holders: NDArray[np.int64], nicknames: Sequence[frozenset[str]], counts: Counts | None = None) -> Words:
    """What there is to know of each distinct word; `holders` are the names that have it."""
    words = Distinct(texts)
    found, held = (counts or Counts()).of("name.word", words, holders, usual=1, total=int(holders.sum()))
    return _words(words, found, held, nicknames)


def _words(words: Distinct, holders: NDArray[np.int64], held: int, nicknames: Sequence[frozenset[str]]) -> Words:
    texts = words.texts
    number_of = {text: number for number, text in enumerate(texts.to_pylist())}
    groups = np.full((len(texts), _GROUPS_A_WORD), -1, dtype=np.int16)
    known_forms = groups_of(tuple(nicknames))
    for word in number_of.keys() & known_forms.keys():
        groups[number_of[word], : len(known_forms[word])] = known_forms[word]
    bits = np.where(groups >= 0, np.uint64(1) << (groups & np.int16(63)).astype(np.uint64), np.uint64(0))
    group_bits = np.bitwise_or.reduce(bits, axis=1)
    keys = words.keys
    group_keys = key_of(groups[:, 0].astype(np.int32))
    canonical = np.where(groups[:, 0] >= 0, group_keys, keys)
    initials = column_of(pc.utf8_slice_codeunits(texts, 0, 1))
    finals = column_of(pc.utf8_slice_codeunits(pc.utf8_reverse(texts), 0, 1)).ids
    heads = key_numbers(pc.utf8_slice_codeunits(texts, 0, 3))
    long = lengths(texts)
    common = (holders >= max(ESTABLISHED, held // 20_000)) & (long >= 3)
    known = common | (groups[:, 0] >= 0)
    return Words(
        words, holders, held, number_of, long, _signs_of(texts), initials.ids, initials.values, finals, known, groups, group_bits, keys,
        canonical, heads,
    )  # fmt: skip


def _signs_of(texts: Texts) -> NDArray[np.uint32]:
    """By word the set of its ASCII signs, 32 bits for all of them: signs that share a bit count as one."""
    if len(texts) <= FEW:
        sets = [{1 << (ord(sign) & 31) for sign in text if sign.isascii()} for text in texts.to_pylist()]
        return np.array([sum(each) for each in sets], dtype=np.uint32)
    data, offsets = utf8_of(texts)
    found, there = np.zeros(len(texts), dtype=np.uint32), np.flatnonzero(np.diff(offsets))
    found[there] = np.bitwise_or.reduceat(np.where(data < 128, np.uint32(1) << (data & np.uint32(31)), np.uint32(0)), offsets[there])
    return found


@cache
def groups_of(nicknames: tuple[frozenset[str], ...]) -> Mapping[str, tuple[int, ...]]:
    """By given name the groups of its forms, ascending, `_GROUPS_A_WORD` at most."""
    found: dict[str, list[int]] = {}
    for group, members in enumerate(nicknames):
        for word in members:
            found.setdefault(word, []).append(group)
    return {word: tuple(groups[:_GROUPS_A_WORD]) for word, groups in found.items()}


def relations(words: Words, left: Ids, right: Ids, similar_from: float) -> NDArray[np.int8]:
    """The `Relation` of each pair of words (-1 for no word); `similar_from` is a similarity of 0 to 100."""
    found = np.full(len(left), Relation.DIFFER, dtype=np.int8)
    found[(left < 0) | (right < 0)] = Relation.NULL
    found[(left == right) & (left >= 0)] = Relation.SAME
    rest = np.flatnonzero(found == Relation.DIFFER)
    first, second = left[rest], right[rest]
    found[rest[words.established[first] & words.established[second]]] = Relation.OTHER
    rest = rest[_may_be_related(words, first, second, similar_from)]
    if len(rest):

        def graded(first: Ids, second: Ids) -> NDArray[np.int8]:
            return _related(words, first, second, similar_from)

        found[rest] = by_distinct_pair(left[rest], right[rest], graded)
    return found


def _may_be_related(words: Words, left: Ids, right: Ids, similar_from: float) -> NDArray[np.bool_]:
    """A quick look: forms of one name, an initial, or a slip that leaves the first or the last letter."""
    same_initial = words.initials[left] == words.initials[right]
    an_end = same_initial | (words.finals[left] == words.finals[right])
    first, second = words.lengths[left], words.lengths[right]
    short = np.minimum(first, second)
    forms, others = words.group_bits[left], words.group_bits[right]
    # Two names that both exist are two names, however alike they are (`_related`).
    slip = an_end & (short >= SHORTEST_ALIKE) & (np.abs(first - second) <= LARGEST_GAP) & ((forms == 0) | (others == 0))
    may: NDArray[np.bool_] = ((forms & others) != 0) | (same_initial & (short == 1))
    near = np.flatnonzero(slip & ~may)
    most = _most_alike(words, left[near], right[near], same_initial[near])
    may[near[most >= similar_from - _ROUNDING]] = True
    return may


def _most_alike(words: Words, left: Ids, right: Ids, same_initial: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What the Jaro-Winkler similarity (0 to 100) of two words is at most, by the letters that one of them has and the other has not.

    With m letters in common Jaro's similarity is at most (m / |a| + m / |b| + 1) / 3 (JASA 84, 1989), and a common beginning of four
    letters takes it four tenths of the way to 1 (Winkler 1990).
    """
    one, other = words.signs[left], words.signs[right]
    first, second = words.lengths[left], words.lengths[right]
    common = np.minimum(first - np.bitwise_count(one & ~other), second - np.bitwise_count(other & ~one))
    jaro = np.where(common > 0, (common / first + common / second + 1) / 3, 0.0)
    most: NDArray[np.float64] = 100 * np.where(same_initial, 0.6 * jaro + 0.4, jaro)
    return most


def _related(words: Words, left: Ids, right: Ids, similar_from: float) -> NDArray[np.int8]:
    found = np.full(len(left), Relation.DIFFER, dtype=np.int8)
    short = np.minimum(words.lengths[left], words.lengths[right])
    gap = np.abs(words.lengths[left] - words.lengths[right])
    initial = (short == 1) & (words.initials[left] == words.initials[right])
    nickname = shares_group(words.groups[left], words.groups[right])
    # Two names that both exist are two names, however few letters tell them apart (Joan, John).
    both_known = (words.groups[left, 0] >= 0) & (words.groups[right, 0] >= 0)
    # Slips that change the first and the last letter are too rare to look for.
    an_end = (words.initials[left] == words.initials[right]) | (words.finals[left] == words.finals[right])
    spelled = np.flatnonzero(an_end & ~initial & ~nickname & ~both_known & (short >= SHORTEST_ALIKE) & (gap <= LARGEST_GAP))
    if len(spelled):
        first, second = texts_at(words.texts, left[spelled]), texts_at(words.texts, right[spelled])
        slips = process.cpdist(first, second, scorer=OSA.distance, score_cutoff=2, dtype=np.int32)
        one = (slips == 1) & (short[spelled] >= SHORTEST_SLIP)
        two = ((slips == 1) & ~one) | ((slips == 2) & (short[spelled] >= _SHORTEST_TWO_SLIPS))
        slipped = np.flatnonzero(one | two)
        near = process.cpdist(
            [first[i] for i in slipped.tolist()], [second[i] for i in slipped.tolist()],
            scorer=JaroWinkler.normalized_similarity, dtype=np.float32,
        )  # fmt: skip
        unlike = slipped[near * 100 < similar_from]
        one[unlike] = two[unlike] = False
        found[spelled[two]] = Relation.SIMILAR
        found[spelled[one]] = Relation.TYPO
        rest = np.flatnonzero(~one & ~two & (short[spelled] >= SHORTEST_SLIP))
        if len(rest):
            alike = process.cpdist(
                [first[i] for i in rest.tolist()], [second[i] for i in rest.tolist()],
                scorer=JaroWinkler.normalized_similarity, dtype=np.float32,
            )  # fmt: skip
            found[spelled[rest[alike * 100 >= similar_from]]] = Relation.SIMILAR
    found[(found == Relation.DIFFER) & words.established[left] & words.established[right]] = Relation.OTHER
    found[nickname] = Relation.NICKNAME
    found[initial] = Relation.INITIAL
    return found


def shares_group(left: NDArray[np.int16], right: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether two rows of group numbers have one in common; -1 is none."""
    shared = np.zeros(len(left), dtype=np.bool_)
    for first in range(left.shape[1]):
        held = left[:, first] >= 0
        if not held.any():
            break
        for second in range(right.shape[1]):
            shared |= held & (left[:, first] == right[:, second])
    return shared


def flattened(texts: Texts) -> tuple[NDArray[np.int64], Ids, Texts]:
    """The words of each text: row and word number of every word, in order, and the distinct words."""
    lists = pc.split_pattern(texts, " ")
    sizes = filled(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    words = column_of(pc.list_flatten(lists)) if len(texts) else column_of(pa.array([], pa.string()))
    return np.repeat(np.arange(len(texts)), sizes), words.ids, words.values
