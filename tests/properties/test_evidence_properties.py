"""What two records say of each other, beside the plain formula: how words are related, what a level says, how pairs are told apart."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import JaroWinkler

from pay_ready.resolve.linkage import words as linkage_words
from pay_ready.resolve.linkage.columns import FEW, by_distinct_pair
from pay_ready.resolve.linkage.evidence import Compared, Comparison
from pay_ready.resolve.linkage.learning import Chances, chance_bits, evidence_bits
from pay_ready.resolve.linkage.names import names_of
from pay_ready.resolve.linkage.words import Relation, relations, words_from
from pay_ready.resolve.normalize import fold

NICKNAMES = (frozenset({"robert", "bob", "rob"}), frozenset({"roberta", "rob"}), frozenset({"joan", "joanna"}), frozenset({"john", "jon"}))
WORD = st.one_of(
    st.text("abrté中", min_size=1, max_size=9),
    st.sampled_from(["robert", "bob", "rob", "roberta", "joan", "john", "jon", "joanna", "j", "smith", "smyth", "smithe", "sánchez"]),
)
WORDS = st.lists(WORD, min_size=2, max_size=12, unique=True)
FILLERS = [f"filler{number}" for number in range(FEW + 1)]
THRESHOLD = st.sampled_from([60.0, 85.0, 95.0])


@given(WORDS, THRESHOLD, st.sampled_from([[], FILLERS]))
def test_a_quick_look_misses_no_relation(texts: list[str], similar_from: float, fillers: list[str]) -> None:
    """Words are related as they are when every pair is graded, few words or many."""
    listed = texts + fillers
    words = words_from(pa.array(listed), np.arange(len(listed), dtype=np.int64), NICKNAMES)
    left, right = (side.ravel().astype(np.int32) for side in np.meshgrid(np.arange(-1, len(texts)), np.arange(-1, len(texts))))
    found = relations(words, left, right, similar_from)
    expected, both = np.full(len(left), Relation.NULL, dtype=np.int8), (left >= 0) & (right >= 0)
    expected[both] = linkage_words._related(words, left[both], right[both], similar_from)
    expected[both & (left == right)] = Relation.SAME
    assert found.tolist() == expected.tolist()


@given(WORDS)
def test_no_two_words_are_more_alike_than_their_letters_allow(texts: list[str]) -> None:
    """The bound is one: Jaro-Winkler's similarity is never above it."""
    words = words_from(pa.array(texts), np.ones(len(texts), dtype=np.int64), ())
    left, right = (side.ravel().astype(np.int32) for side in np.meshgrid(np.arange(len(texts)), np.arange(len(texts))))
    most = linkage_words._most_alike(words, left, right, words.initials[left] == words.initials[right])
    for one, other, bound in zip(left.tolist(), right.tolist(), most.tolist(), strict=True):
        assert 100 * JaroWinkler.normalized_similarity(texts[one], texts[other]) <= bound + 1e-9


KNOWN = Comparison(
    name="known", levels=("null", "differ", "close", "same"), matches=(0.0, 0.2, 0.1, 0.7), chances=(0.0, 0.9, 0.06, 0.04),
    by_value=frozenset({"same"}), by_rarity=frozenset({"close"}),
)  # fmt: skip
SHARE = st.floats(1e-9, 1.0)
PAIR = st.tuples(st.integers(0, 3), SHARE, st.booleans(), st.booleans())


@given(st.lists(PAIR, max_size=20), st.lists(SHARE, min_size=12, max_size=12), st.floats(0.0, 3.0))
def test_the_bits_of_a_pair_are_those_of_the_formula(pairs: list[tuple[int, float, bool, bool]], shares: list[float], more: float) -> None:
    """log2(m / u): u of the level, of the value that agrees, or what neighbours have in common, whichever is the most."""
    levels = np.array([pair[0] for pair in pairs], dtype=np.int8)
    compared = Compared(levels, np.array([pair[1] for pair in pairs]))
    near = {"place": np.array(shares[4:8]), "employer": np.array(shares[8:12])}
    chances = Chances(shares=np.array(shares[:4]), rarity_bits=np.array([0.0, -1.0, -4.0, -9.0]), in_context=near, value_bits=more)
    context = {name: np.array([pair[at] for pair in pairs], dtype=np.bool_) for name, at in (("place", 2), ("employer", 3))}
    context["unheard of"] = np.ones(len(pairs), dtype=np.bool_)
    found = chance_bits(KNOWN, compared, chances, context)
    evidence = evidence_bits(compared, np.array(KNOWN.matches), found)
    for row, (level, share, *is_near) in enumerate(pairs):
        by_chance = float(np.log2(shares[level]))
        if level == 3:
            by_chance = min(float(np.log2(share)) + more, 0.0)
        elif level == 2:
            by_chance += min(max(float(np.log2(share)) + 4.0, -8.0), 4.0)  # the mean rarity is -4; so far it moves a level
        for name, here in zip(near, is_near, strict=True):
            by_chance = max(by_chance, float(np.log2(near[name][level]))) if here else by_chance
        said = (0.0, 0.0) if level == 0 else (by_chance, float(np.log2(KNOWN.matches[level])) - by_chance)
        assert (found[row], evidence[row]) == pytest.approx(said, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), max_size=30))
def test_a_pair_is_graded_once_whatever_its_order(pairs: list[tuple[int, int]]) -> None:
    """Every pair has the grade of its two values, and none is graded twice."""
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.int32) for side in (0, 1))
    graded: list[tuple[int, int]] = []

    def grade(first: np.ndarray, second: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        graded.extend(zip(first.tolist(), second.tolist(), strict=True))
        return first.astype(np.int64) + second

    assert by_distinct_pair(left, right, grade).tolist() == [one + other for one, other in pairs]
    assert sorted(graded) == sorted({(min(pair), max(pair)) for pair in pairs})


PART = st.one_of(st.none(), st.sampled_from(["", "Anna", "van der Berg", "Dr.", "Sir Baronet", "Berg, Anna", "O'Neil", "n/a", "José"]))


@given(st.lists(st.tuples(PART, PART, PART), min_size=1, max_size=6), st.sampled_from([[], FILLERS]))
def test_a_name_is_read_alike_whoever_stands_beside_it(
    rows: list[tuple[str | None, str | None, str | None]], fillers: list[str]
) -> None:  # fmt: skip
    """From both parts, else the full name, else one part."""

    def read(table: list[tuple[str | None, str | None, str | None]]) -> list[tuple[str | None, ...]]:
        full, given, family = (pa.array([row[at] for row in table], pa.string()) for at in range(3))
        names = names_of(full, given, family, NICKNAMES)
        texts = [*names.words.texts.to_pylist(), None]
        return [(texts[first], texts[last]) for first, last in zip(names.given.tolist(), names.family.tolist(), strict=True)]

    assert read([*rows, *((None, each, f"x{each}") for each in fillers)])[: len(rows)] == [read([row])[0] for row in rows]


@given(st.text(max_size=12))
def test_folding_takes_marks_away(text: str) -> None:
    """No combining mark is left, and to fold twice changes nothing more."""
    folded = fold(text)
    assert not any(unicodedata.combining(sign) for sign in unicodedata.normalize("NFKD", folded))
    assert fold(folded) == folded
