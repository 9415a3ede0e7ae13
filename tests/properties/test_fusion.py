"""Words and meaning in one order: rarer is heavier, ahead by both is first, and the order of the candidates does not matter."""

import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.db.memories import Candidate, WordCount
from pay_ready.memory.fusion import fused, looked_for, weighed_words

counts = st.lists(
    st.builds(WordCount, lexeme=st.text(min_size=1, max_size=8), passages=st.integers(0, 10_000), is_common=st.booleans()),
    unique_by=lambda count: count.lexeme, max_size=12,
)  # fmt: skip
ids = st.integers(0, 40).map(lambda number: UUID(int=number))
candidates = st.lists(
    st.builds(
        Candidate, memory_id=ids, interaction_id=st.just(UUID(int=99)), text_rank=st.floats(0, 50),
        beside=st.lists(ids, max_size=3).map(tuple),
    ),
    unique_by=lambda candidate: candidate.memory_id, max_size=20,
)  # fmt: skip
cosines = st.dictionaries(ids, st.floats(-1, 1))


@given(counts=counts, passages=st.integers(1, 10_000))
def test_rarer_is_heavier(counts: list[WordCount], passages: int) -> None:
    """Every word that some passage has weighs more than nothing, the rarest the most, whatever the number of passages is said to be."""
    words = weighed_words(counts, passages)
    assert {word.lexeme for word in words} == {count.lexeme for count in counts if count.passages}
    assert all(word.weight > 0 for word in words)
    having = {count.lexeme: count.passages for count in counts}
    for first, second in itertools.pairwise(words):
        assert having[first.lexeme] <= having[second.lexeme]
    total = max((passages, *having.values()), default=1)
    fair = weighed_words(counts, total)
    assert all(first.weight >= second.weight for first, second in itertools.pairwise(fair))


@given(counts=counts, wanted=st.integers(1, 500))
def test_common_words_are_looked_for_when_there_is_too_little(counts: list[WordCount], wanted: int) -> None:
    """Those in front are every rare word before the first that is left out, and bring enough wherever one is left out."""
    words, first = weighed_words(counts, 10_000), looked_for(counts, wanted)
    having = {count.lexeme: count for count in counts}
    taken = [having[word.lexeme] for word in words[:first]]
    if first < len(words):
        assert having[words[first].lexeme].is_common
        assert sum(count.passages for count in taken) >= wanted
    assert first or not words


@given(candidates=candidates, similarities=cosines, share=st.floats(0, 2), number=st.integers(0, 100))
def test_the_order_is_of_the_scores(candidates: list[Candidate], similarities: dict[UUID, float], share: float, number: int) -> None:
    """All of them, each once, by score and then id, in [0, 1 + share], however they came in."""
    ranked = fused(candidates, similarities, vector_share=share)
    assert {each.memory_id for each in ranked} == {each.memory_id for each in candidates}
    assert [(-each.score, each.memory_id) for each in ranked] == sorted((-each.score, each.memory_id) for each in ranked)
    assert all(0 <= each.score <= 1 + share + 1e-9 for each in ranked)
    turned = candidates[number % (len(candidates) or 1) :] + candidates[: number % (len(candidates) or 1)]
    assert fused(turned, similarities, vector_share=share) == ranked


@given(candidates=candidates, similarities=cosines)
def test_ahead_by_both_is_first(candidates: list[Candidate], similarities: dict[UUID, float]) -> None:
    """Whoever has the most of the words and is nearest, alone, comes first."""
    best = Candidate(memory_id=UUID(int=77), interaction_id=UUID(int=99), text_rank=60.0, beside=())
    ranked = fused([*candidates, best], {**similarities, best.memory_id: 1.5}, vector_share=0.5)
    assert ranked[0].memory_id == best.memory_id


def test_a_neighbour_lifts_a_passage() -> None:
    """Of two that are as near, the one beside a nearer one is ahead: half of its score is the best around it."""
    one, two = (
        Candidate(memory_id=UUID(int=number), interaction_id=UUID(int=9), text_rank=0.0, beside=beside)
        for number, beside in ((1, ()), (2, (UUID(int=3),)))
    )
    far = Candidate(memory_id=UUID(int=4), interaction_id=UUID(int=9), text_rank=0.0, beside=())
    ranked = fused([one, two, far], {one.memory_id: 0.4, two.memory_id: 0.4, UUID(int=3): 0.8, far.memory_id: 0.0}, vector_share=1.0)
    assert [each.memory_id for each in ranked] == [two.memory_id, one.memory_id, far.memory_id]
    assert ranked[1].score == pytest.approx((0.4 - 0.0) / (0.6 - 0.0))
