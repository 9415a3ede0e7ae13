"""Formulas of linkage for any input: weights, probabilities, pairs, groups, quality."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.resolve.linkage.blocks import BlockRule, candidates_of, pairs_inside
from pay_ready.resolve.linkage.certainty import Evidence, joins_of, predicted_precision, predicted_recall
from pay_ready.resolve.linkage.grouping import components_of, group
from pay_ready.resolve.linkage.learning import probability
from pay_ready.resolve.linkage.link import self_set_threshold
from pay_ready.resolve.linkage.quality import quality_of

KEYS = st.lists(st.integers(-1, 6), min_size=1, max_size=30)
LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=30)


@given(KEYS, st.integers(1, 8))
def test_a_rule_finds_each_pair_of_its_small_blocks_once(keys: list[int], cap: int) -> None:
    """Candidates are exactly the pairs that share a key of a block within the cap; what was left out is counted."""
    found = candidates_of([BlockRule(name="key", keys=np.array(keys), cap=cap)], len(keys))
    sizes = {key: keys.count(key) for key in keys if key >= 0}
    expected = [(a, b) for a, b in itertools.combinations(range(len(keys)), 2) if keys[a] == keys[b] >= 0 and sizes[keys[a]] <= cap]
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected
    assert sum(each.pairs for each in found.hot) == sum(size * (size - 1) // 2 for size in sizes.values() if size > cap)


@given(KEYS, st.integers(1, 4))
def test_a_window_finds_the_neighbours_of_hot_blocks(keys: list[int], window: int) -> None:
    """In a block above the cap those are compared that are at most the window apart."""
    order = np.arange(len(keys))
    found = candidates_of([BlockRule(name="key", keys=np.array(keys), cap=1, window=window, order=order)], len(keys))
    expected = set()
    for key in {key for key in keys if key >= 0}:
        rows = [row for row, value in enumerate(keys) if value == key]
        expected |= {(a, b) for i, a in enumerate(rows) for b in rows[i + 1 : i + 1 + window]}
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected


@given(LABELS)
def test_pairs_inside_are_those_of_one_label(labels: list[int]) -> None:
    """Every pair of one cluster, each once."""
    left, right = pairs_inside(np.array(labels), 100)
    expected = {(a, b) for a, b in itertools.combinations(range(len(labels)), 2) if labels[a] == labels[b]}
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == expected


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=20))
def test_probabilities_rise_with_the_evidence(bits: list[float]) -> None:
    """A probability is a share, and more evidence never makes it smaller; zero bits are even odds."""
    likely = probability(np.sort(np.array(bits)))
    assert ((likely >= 0) & (likely <= 1)).all()
    assert (np.diff(likely) >= 0).all()
    assert probability(np.array([0.0]))[0] == 0.5


@st.composite
def _links(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    rows = draw(st.integers(2, 12))
    pairs = list(itertools.combinations(range(rows), 2))
    weighed = draw(st.lists(st.tuples(st.sampled_from(pairs), st.integers(-9_000, 20_000)), max_size=25, unique_by=lambda each: each[0]))
    return (
        rows,
        [(a, b, weight) for (a, b), weight in weighed if weight > 0],
        [(a, b, weight) for (a, b), weight in weighed if weight < 0],
    )


def _grouped(rows: int, links: list[tuple[int, int, int]], against: list[tuple[int, int, int]], **decisions: list[tuple[int, int]]):  # type: ignore[no-untyped-def]
    a, b = np.array(links, dtype=np.int64).reshape(-1, 3), np.array(against, dtype=np.int64).reshape(-1, 3)
    return group(rows, a[:, 0], a[:, 1], a[:, 2], (b[:, 0], b[:, 1], b[:, 2]), **decisions)


@given(_links(), st.randoms())
def test_groups_do_not_depend_on_the_order_of_links(case: tuple[int, list, list], shuffled: object) -> None:  # type: ignore[type-arg]
    """The same links and doubts in any order give the same clusters, and each is inside one component."""
    rows, links, against = case
    first = _grouped(rows, links, against).labels
    mixed_links, mixed_against = list(links), list(against)
    shuffled.shuffle(mixed_links)  # type: ignore[attr-defined]
    shuffled.shuffle(mixed_against)  # type: ignore[attr-defined]
    assert _grouped(rows, mixed_links, mixed_against).labels.tolist() == first.tolist()
    whole = components_of(rows, np.array([a for a, _, _ in links], dtype=np.int64), np.array([b for _, b, _ in links], dtype=np.int64))
    assert all(whole[row] == whole[label] for row, label in enumerate(first.tolist()))


@given(_links())
def test_without_doubts_groups_are_components(case: tuple[int, list, list]) -> None:  # type: ignore[type-arg]
    """Where nothing speaks against anything the guard does nothing."""
    rows, links, _ = case
    whole = components_of(rows, np.array([a for a, _, _ in links], dtype=np.int64), np.array([b for _, b, _ in links], dtype=np.int64))
    assert _grouped(rows, links, []).labels.tolist() == whole.tolist()


@given(_links(), st.data())
def test_decisions_hold_whatever_the_evidence(case: tuple[int, list, list], data: st.DataObject) -> None:  # type: ignore[type-arg]
    """Must-linked rows share a label; cannot-linked ones never do, unless the must-links force them to."""
    rows, links, against = case
    pairs = st.sampled_from(list(itertools.combinations(range(rows), 2)))
    must, cannot = data.draw(st.lists(pairs, max_size=3)), data.draw(st.lists(pairs, max_size=3))
    labels = _grouped(rows, links, against, must_link=must, cannot_link=cannot).labels
    forced = components_of(rows, np.array([a for a, _ in must], dtype=np.int64), np.array([b for _, b in must], dtype=np.int64))
    assert all(labels[a] == labels[b] for a, b in must)
    assert all(labels[a] != labels[b] for a, b in cannot if forced[a] != forced[b])


@given(LABELS, st.data())
def test_quality_is_that_of_the_definition(truth: list[int], data: st.DataObject) -> None:
    """Pair precision and recall, B-cubed and exact clusters as counted one by one."""
    found = data.draw(st.lists(st.integers(0, 5), min_size=len(truth), max_size=len(truth)))
    quality = quality_of(np.array(found), np.array(truth))
    pairs = list(itertools.combinations(range(len(truth)), 2))
    taken = {(a, b) for a, b in pairs if found[a] == found[b]}
    there = {(a, b) for a, b in pairs if truth[a] == truth[b]}
    assert quality.pair_precision == (len(taken & there) / len(taken) if taken else 1.0)
    assert quality.pair_recall == (len(taken & there) / len(there) if there else 1.0)
    rows = range(len(truth))
    overlap = [sum(found[a] == found[b] and truth[a] == truth[b] for b in rows) for a in rows]
    assert np.isclose(quality.bcubed_precision, np.mean([overlap[a] / found.count(found[a]) for a in rows]))
    assert np.isclose(quality.bcubed_recall, np.mean([overlap[a] / truth.count(truth[a]) for a in rows]))
    clusters = [{row for row in rows if truth[row] == label} for label in set(truth)]
    exact = [each for each in clusters if len(each) > 1 and {row for row in rows if found[row] == found[min(each)]} == each]
    larger = [each for each in clusters if len(each) > 1]
    assert quality.exact_clusters == (len(exact) / len(larger) if larger else 1.0)


@settings(max_examples=50)
@given(st.lists(st.integers(-20_000, 30_000), max_size=200))
def test_the_threshold_keeps_the_expected_precision(total: list[int]) -> None:
    """What is taken is expected to be right often enough, unless the highest threshold is not enough."""
    threshold = self_set_threshold(np.array(total, dtype=np.int64))
    taken = np.array([each for each in total if each >= threshold], dtype=np.float64)
    assert 1_000 <= threshold <= 12_000
    assert not len(taken) or threshold == 12_000 or probability(taken / 1_000).mean() >= 0.96


@st.composite
def _weighed_pairs(draw: st.DrawFn, lowest: int, highest: int) -> tuple[int, list[tuple[int, int, int]]]:
    rows = draw(st.integers(2, 10))
    pairs = st.sampled_from(list(itertools.combinations(range(rows), 2)))
    weighed = st.lists(st.tuples(pairs, st.integers(lowest, highest)), max_size=25, unique_by=lambda each: each[0])
    return rows, [(a, b, weight) for (a, b), weight in draw(weighed)]


def _evidence(pairs: list[tuple[int, int, int]]) -> Evidence:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    return Evidence(left=table[:, 0], right=table[:, 1], total=table[:, 2])


@given(_weighed_pairs(1_000, 13_999), st.data())
def test_joins_are_those_of_the_strongest_links(case: tuple[int, list[tuple[int, int, int]]], data: st.DataObject) -> None:
    """Each pair of a cluster is brought together by one join; that is as strong as the weakest link of the best way between the two."""
    rows, links = case
    known = data.draw(st.lists(st.sampled_from(list(itertools.combinations(range(rows), 2))), unique=True, max_size=20))
    told = [(a, b, data.draw(st.integers(-20_000, 20_000))) for a, b in known]
    joins = joins_of(rows, _evidence(links), _evidence(told))
    ways = {(a, b): weight for a, b, weight in links}
    best = np.full((rows, rows), -np.inf)
    for (a, b), weight in ways.items():
        best[a, b] = best[b, a] = weight
    for middle in range(rows):
        best = np.maximum(best, np.minimum(best[:, middle, None], best[None, middle, :]))
    expected = sorted(best[a, b] for a, b in itertools.combinations(range(rows), 2) if best[a, b] > -np.inf)
    assert sorted(np.repeat(joins.strongest, joins.pairs).tolist()) == expected
    assert (joins.average <= joins.strongest).all()
    assert (joins.average >= 0).all()


@given(_weighed_pairs(1_000, 30_000), _weighed_pairs(-30_000, 30_000))
def test_predictions_are_shares(case: tuple[int, list[tuple[int, int, int]]], known: tuple[int, list[tuple[int, int, int]]]) -> None:
    """Whatever the evidence, precision and recall lie from 0 to 1; knowing of no weaker pair never makes clusters less sure."""
    rows, links = case
    told = [(a, b, weight) for a, b, weight in known[1] if b < rows]
    labels = components_of(rows, _evidence(links).left, _evidence(links).right)
    known_of = predicted_precision(joins_of(rows, _evidence(links), _evidence(told)), labels)
    assert 0.0 <= known_of <= predicted_precision(joins_of(rows, _evidence(links), _evidence([])), labels) + 1e-9 <= 1.0 + 1e-9
    assert 0.0 <= predicted_recall(float(len(links)), _evidence(told), np.arange(rows)) <= 1.0


def test_one_pair_is_as_sure_as_its_link() -> None:
    """Two records of one cluster: the probability of their evidence; with nothing missed everything is found."""
    labels = np.array([0, 0])
    assert np.isclose(predicted_precision(joins_of(2, _evidence([(0, 1, 2_000)]), _evidence([])), labels), 0.8)
    assert predicted_recall(3.0, _evidence([]), labels) == 1.0


@given(_links(), st.randoms())
def test_what_speaks_between_groups_ignores_its_order(case: tuple[int, list, list], shuffled: object) -> None:  # type: ignore[type-arg]
    """The evidence of pairs in any order refuses the same joins."""
    rows, links, other = case
    linked = {(a, b) for a, b, _ in links}
    known = [*links, *(each for each in other if each[:2] not in linked)]
    mixed = list(known)
    shuffled.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = (
        _grouped(rows, links, [], between=tuple(np.array(each, dtype=np.int64).reshape(-1, 3).T))  # type: ignore[arg-type]
        for each in (known, mixed)
    )
    assert first.labels.tolist() == second.labels.tolist()


def test_a_record_belongs_to_one_cluster_at_most() -> None:
    """Even odds: one alternative is missed by half, three clusters share what is left of one record, two pairs with one cluster do not."""
    apart, together = np.arange(4), np.array([0, 1, 1, 1])
    assert np.isclose(predicted_recall(1.0, _evidence([(0, 1, 0)]), apart), 1 / (1 + 1 / 2))
    assert np.isclose(predicted_recall(1.0, _evidence([(0, 1, 0), (0, 2, 0), (0, 3, 0)]), apart), 1 / (1 + 3 / 4))
    assert np.isclose(predicted_recall(1.0, _evidence([(0, 1, 0), (0, 2, 0)]), together), 1 / (1 + 2 / 2))


@given(_weighed_pairs(-30_000, 30_000))
def test_rivals_never_make_a_pair_likelier(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    """What is taken for missed is at most what the pairs would be one by one."""
    rows, pairs = case
    evidence = _evidence(pairs)
    alone = float(probability(evidence.total / 1_000).sum())
    assert predicted_recall(1.0, evidence, np.arange(rows)) >= 1.0 / (1.0 + alone) - 1e-9
