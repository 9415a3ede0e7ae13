"""The formulas of review: agreement, intervals, the value of asking, and contradictions against every partition."""

from collections import Counter
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pay_ready.model.ids import new_id
from pay_ready.resolve.agreement import agreement_of, weighed_by_band, wilson
from pay_ready.resolve.contradictions import Step, Word, contradicted, told_path
from pay_ready.resolve.review_value import Side, binary_entropy, match_probability, stake, uncertainty, value_of_asking

verdicts = st.sampled_from(["match", "no_match", "unsure"])
judged = st.lists(st.tuples(verdicts, verdicts), max_size=40)
bits = st.floats(-40, 40)
sides = st.builds(Side, records=st.integers(1, 500), interactions=st.integers(0, 5_000))


@given(judged)
def test_kappa_has_its_bounds_and_does_not_ask_who_was_first(pairs: list[tuple[str, str]]) -> None:
    """At most 1, reached where all agree; the same the other way round; undefined only where chance agrees throughout."""
    found = agreement_of(pairs)
    assert found == agreement_of([(other, one) for one, other in pairs])
    assert found.agreed == sum(one == other for one, other in pairs)
    if found.kappa is None:
        assert found.remark
        assert len({verdict for pair in pairs for verdict in pair}) <= 1
    else:
        assert -1 <= found.kappa <= 1
        assert (found.kappa == 1) == (found.agreed == found.pairs)


@given(judged.filter(bool))
def test_kappa_is_that_of_its_definition(pairs: list[tuple[str, str]]) -> None:
    """(observed - expected) / (1 - expected), from shares."""
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    expected = sum(first[each] / len(pairs) * second[each] / len(pairs) for each in first)
    assume(expected < 1)
    observed = sum(one == other for one, other in pairs) / len(pairs)
    assert agreement_of(pairs).kappa == pytest.approx((observed - expected) / (1 - expected))


def test_kappa_of_a_known_table() -> None:
    """20 yes by both, 15 no by both, 5 and 10 apart: kappa .4 (worked by hand)."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert agreement_of(pairs).kappa == pytest.approx(0.4)


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_holds_the_share_and_narrows(right: int, seen: int) -> None:
    """The interval lies in [0, 1] around the share, and four times the answers of one share make it narrower."""
    assume(right <= seen)
    found = wilson(right, seen)
    assert found.value == pytest.approx(right / seen)
    assert 0 <= found.low <= right / seen + 1e-12
    assert right / seen - 1e-12 <= found.high <= 1
    more = wilson(right * 4, seen * 4)
    assert more.high - more.low < found.high - found.low


def test_wilson_of_known_figures() -> None:
    """8 of 10: .490 to .943; none of 10: up to .278; nothing seen: nothing known."""
    assert (wilson(8, 10).low, wilson(8, 10).high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert (wilson(0, 10).low, wilson(0, 10).high) == (pytest.approx(0.0), pytest.approx(0.2775, abs=1e-4))
    assert (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high) == (None, 0.0, 1.0)


bands = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda each: (min(each), max(each))))
links = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 1_000))


@given(bands, links)
def test_bands_count_as_many_links_as_there_are(answers: dict[str, tuple[int, int]], there: dict[str, int]) -> None:
    """The estimate is the mean of the bands' shares by their links; what nobody asked about is told apart."""
    found, unseen = weighed_by_band(answers, there)
    asked = [band for band in there if answers.get(band, (0, 0))[1]]
    covered = sum(there[band] for band in asked)
    assert unseen == pytest.approx(1 - covered / sum(there.values()) if there else 0.0)
    if not asked:
        assert found.value is None
        return
    mean = sum(there[band] * answers[band][0] / answers[band][1] for band in asked) / covered
    assert found.value == pytest.approx(mean)
    assert 0 <= found.low <= mean + 1e-9
    assert mean - 1e-9 <= found.high <= 1


@given(st.integers(0, 30), st.integers(1, 30))
def test_one_band_is_a_plain_share(right: int, seen: int) -> None:
    """Weighing one band changes nothing of the share, and next to nothing of its interval."""
    assume(right <= seen)
    found, _ = weighed_by_band({"a": (right, seen)}, {"a": 7})
    plain = wilson(right, seen)
    assert (found.value, found.low, found.high) == (pytest.approx(plain.value), pytest.approx(plain.low), pytest.approx(plain.high))


@given(bits)
def test_uncertainty_is_largest_at_even_odds(weight: float) -> None:
    """Entropy of the probability: in [0, 1], the same for odds and their inverse, less the further from even; 1 where two judges differ."""
    found = uncertainty(weight, 100.0, together=False)
    assert 0 <= found <= 1
    assert found == pytest.approx(binary_entropy(match_probability(-weight)), abs=1e-9)
    assert found >= uncertainty(weight * 1.5, 100.0, together=False) - 1e-12
    assert uncertainty(0.0, 100.0, together=False) == 1
    assert uncertainty(weight, weight, together=False) == 1
    assert uncertainty(weight, weight, together=True) == pytest.approx(found)


@given(sides, sides, st.booleans())
def test_a_stake_grows_with_what_there_is(left: Side, right: Side, together: bool) -> None:
    """Never negative; of two entities the same the other way round, and more records or interactions on both sides are never less."""
    if together:
        assert stake(left, left, together=True) >= 0
        return
    found = stake(left, right, together=False)
    assert found == stake(right, left, together=False)
    assert found >= left.records * right.records >= 1
    grown = [Side(records=each.records + 1, interactions=each.interactions + 1) for each in (left, right)]
    assert stake(grown[0], grown[1], together=False) > found


@given(bits, sides, sides)
def test_asking_is_worth_at_most_what_is_at_stake(weight: float, left: Side, right: Side) -> None:
    """Uncertainty is a share of the stake."""
    at_stake = stake(left, right, together=False)
    assert 0 <= value_of_asking(uncertainty(weight, 50.0, together=False), at_stake) <= at_stake


RECORDS = 5
ends = st.sampled_from(list(combinations(range(RECORDS), 2)))
said = st.dictionaries(ends, st.sampled_from(["match", "no_match"]), max_size=9)


def possible(words: dict[tuple[int, int], str]) -> bool:
    """Whether some partition honours all words, by trying every one."""

    def assigned(parts: list[int]) -> bool:
        if len(parts) == RECORDS:
            return all((parts[one] == parts[other]) == (word == "match") for (one, other), word in words.items())
        return any(assigned([*parts, part]) for part in range(max(parts, default=-1) + 2))

    return assigned([])


@given(said, ends, st.sampled_from(["match", "no_match"]))
def test_a_contradiction_is_found_exactly_where_no_partition_is_left(
    told: dict[tuple[int, int], str], asked: tuple[int, int], verdict: str
) -> None:
    """The path leads from one record to the other over words that were said; against a match one of them is a no_match."""
    told.pop(asked, None)
    assume(possible(told))
    words = [
        Word(
            decision_id=new_id(), left_id=UUID(int=one), right_id=UUID(int=other), verdict=word, actor_type="human", actor="ann"  # type: ignore[arg-type]
        )
        for (one, other), word in told.items()
    ]  # fmt: skip
    left, right = (UUID(int=each) for each in asked)
    steps = contradicted(left, right, verdict, words)  # type: ignore[arg-type]
    assert bool(steps) == (not possible({**told, asked: verdict}))
    if steps:
        check_path(left, right, verdict, words, steps)


def check_path(left: UUID, right: UUID, verdict: str, words: list[Word], steps: tuple[Step, ...]) -> None:
    """The steps hang together."""
    at = left
    for step in steps:
        assert step.word in words
        assert {at, step.towards} == {step.word.left_id, step.word.right_id}
        at = step.towards
    assert at == right
    assert [step.word.verdict for step in steps].count("no_match") == (verdict == "match")
    assert told_path(left, steps).count("(ann)") == len(steps)
