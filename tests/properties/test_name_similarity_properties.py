"""What holds of the similarity of any two names."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.resolve.name_similarity import NameSimilarity
from pay_ready.resolve.word_similarity import spelled, word_similarity
from tests.publish_support import config

NAMES = NameSimilarity(config().nicknames)
SYLLABLES = ("ka", "ro", "mel", "tin", "bor", "sul", "vek", "lam", "dri", "gos")

texts = st.text(max_size=40)
latin_words = st.text(alphabet="abcdefghiklmnoprstuvz", min_size=1, max_size=12)
# Invented words of two and three syllables: no title, particle, nickname or legal form among them.
invented = st.lists(st.sampled_from(SYLLABLES), min_size=2, max_size=3).map("".join)
plain_names = st.lists(invented, min_size=1, max_size=4).map(" ".join)
known_words = st.sampled_from(
    [
        "bob",
        "robert",
        "j",
        "von",
        "bin",
        "al",
        "jr",
        "III",
        "dr",
        "Müller",
        "ООО",
        "Юрий",
        "محمد",
        "王小明",
        "ltd",
        "gmbh",
        "star",
        "2",
        "bank",
        "the",
        "group",
    ]
)
mixed_names = st.lists(st.one_of(known_words, invented, latin_words), min_size=1, max_size=6).map(" ".join)
any_name = st.one_of(texts, mixed_names)


@given(left=any_name, right=any_name)
def test_similarity_is_symmetric_and_bounded(left: str, right: str) -> None:
    """Neither side comes first, and 0 to 100 is never left, whatever was typed."""
    for compare in (NAMES.person, NAMES.organisation):
        found = compare(left, right)
        assert 0 <= found <= 100
        assert compare(right, left) == pytest.approx(found, abs=1e-9)


@given(name=any_name)
def test_a_name_is_entirely_like_itself(name: str) -> None:
    """100 for equal names, also for names of nothing but signs, titles or legal forms."""
    assert NAMES.person(name, "".join(name)) == 100
    assert NAMES.organisation(name, "".join(name)) == 100
    assert NAMES.person(name, f" {name} ") == 100
    assert NAMES.organisation(name, f" {name} ") == 100


@given(name=plain_names, other=plain_names, order=st.randoms(use_true_random=False))
def test_the_order_of_a_persons_words_does_not_matter(name: str, other: str, order: random.Random) -> None:
    """A source may write the family name first."""
    words = name.split()
    shuffled = " ".join(order.sample(words, len(words)))
    assert NAMES.person(name, shuffled) == 100
    assert NAMES.person(shuffled, other) == pytest.approx(NAMES.person(name, other), abs=1e-9)


@given(name=plain_names, accents=st.lists(st.sampled_from(["", "\u0301", "\u0308"]), min_size=60, max_size=60))
def test_case_accents_and_spacing_do_not_matter(name: str, accents: list[str]) -> None:
    """Typed in capitals, with accents or stray blanks, it is the same name."""
    accented = "".join(letter + accent if letter in "aeiou" else letter for letter, accent in zip(name, accents, strict=False))
    for variant in (name.upper(), name.title(), accented, f"  {name.replace(' ', '   ')} "):
        assert NAMES.person(name, variant) == 100
        assert NAMES.organisation(name, variant) == 100


@given(name=plain_names, number=st.integers(1, 500), other=st.integers(1, 500))
def test_another_number_is_another_thing(name: str, number: int, other: int) -> None:
    """ "Star 1" and "Star 2" never agree at the shipped level, and "Star 1" is itself."""
    found = NAMES.organisation(f"{name} {number}", f"{name} {other}")
    assert found == 100 if number == other else found < 80


@given(left=latin_words, right=latin_words)
def test_words_compare_symmetrically_and_one_spelling_stays(left: str, right: str) -> None:
    """Word similarity is symmetric within 0 to 1, and 1 only for equal words."""
    found = word_similarity(left, right)
    assert found == word_similarity(right, left)
    assert 0 <= found <= 1
    assert (found == 1) == (left == right)
    assert spelled(left)[:1] or not left
