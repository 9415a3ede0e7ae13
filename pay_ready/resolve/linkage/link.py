"""From records to clusters: candidate pairs, evidence, a learnt model, a threshold, groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.resolve.linkage.blocks import Candidates, HotBlocks, candidates_of, pairs_inside
from pay_ready.resolve.linkage.columns import Mask, Rows
from pay_ready.resolve.linkage.evidence import Compared
from pay_ready.resolve.linkage.grouping import Pair, components_of, group
from pay_ready.resolve.linkage.learning import LearntModel, Records, Weighed, learn, probability, weigh

PHASES = ("block", "compare", "learn", "weigh", "cluster")
_LARGEST_CHECKED = 120  # records of a component of which every pair is compared
_STEPS = np.arange(1_000, 12_001, 250)
_WANTED_PRECISION, _IMAGINED_PAIRS = 0.96, 20.0
_NO_DOUBT = 1e-4  # no link is surer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """Who is who."""

    labels: NDArray[np.int64]  # by record: the first record of its cluster
    left: Rows  # candidate pairs
    right: Rows
    compared: Mapping[str, Compared]
    weighed: Weighed
    is_match: Mask  # by candidate pair: from the threshold up
    is_cut: Mask  # a match that the guard against chains did not take
    model: LearntModel
    threshold_millibits: int
    predicted_precision: float  # of pairs in one cluster
    predicted_recall: float  # of the matches among the candidate pairs
    hot: tuple[HotBlocks, ...]
    pairs_by_rule: Mapping[str, int]
    ignored_decisions: int
    cpu_seconds: Mapping[str, float]  # by phase


def link(
    records: Records,
    *,
    model: LearntModel | None = None,
    threshold_millibits: int | None = None,
    must_link: Sequence[Pair] = (),
    cannot_link: Sequence[Pair] = (),
    clock: Callable[[], float] = lambda: 0.0,
    progress: Progress = no_progress,
) -> Linkage:
    """Cluster records.

    Args:
        records: People or companies.
        model: A trained model; None trains one on these records.
        threshold_millibits: Evidence from which a pair matches; None sets it from the estimated precision.
        must_link, cannot_link: Rows that a reviewer joined or told apart.
        clock: CPU seconds so far, for the report alone.
        progress: Told of each phase that is done.
    """
    laps = _Laps(clock, progress)
    candidates = candidates_of(records.rules(), records.size)
    laps.lap("block")
    compared = records.compare(candidates.left, candidates.right)
    laps.lap("compare")
    trained = model or learn(records, candidates, compared)
    laps.lap("learn")
    weighed = weigh(records, candidates.left, candidates.right, compared, trained)
    threshold = self_set_threshold(weighed.total) if threshold_millibits is None else threshold_millibits
    match = weighed.total >= threshold
    laps.lap("weigh")
    left, right, above = candidates.left[match], candidates.right[match], weighed.total[match]
    against = _against(records, trained, candidates, weighed, match, components_of(records.size, left, right))
    groups = group(records.size, left, right, above, against, must_link=must_link, cannot_link=cannot_link)
    cut = np.zeros(len(match), dtype=np.bool_)
    cut[np.flatnonzero(match)] = groups.cut
    laps.lap("cluster")
    kept = match & ~cut
    precision = predicted_precision(
        records.size, candidates.left[kept], candidates.right[kept], weighed.total[kept], groups.labels, against
    )
    likely = probability(weighed.total / 1_000)
    recall = float(likely[match].sum() / max(likely.sum(), 1e-9))
    return Linkage(
        labels=groups.labels,
        left=candidates.left,
        right=candidates.right,
        compared=compared,
        weighed=weighed,
        is_match=match,
        is_cut=cut,
        model=trained,
        threshold_millibits=threshold,
        predicted_precision=precision,
        predicted_recall=recall,
        hot=candidates.hot,
        pairs_by_rule=candidates.by_rule,
        ignored_decisions=groups.ignored_decisions,
        cpu_seconds=laps.spans,
    )


class _Laps:
    def __init__(self, clock: Callable[[], float], progress: Progress) -> None:
        self._clock, self._last, self._progress = clock, clock(), progress
        self.spans: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        now = self._clock()
        self.spans[phase] = round(now - self._last, 3)
        self._progress(ProgressEvent(step="link", subject="records", done=len(self.spans), total=len(PHASES), detail=phase))
        self._last = now


def self_set_threshold(total: NDArray[np.int64]) -> int:
    """The lowest evidence, from 1 bit up, at which the pairs taken are expected to be right often enough.

    One wrong pair joins two clusters and so makes many wrong ones; the larger the tenant, the more doubtful pairs there are.
    """
    order = np.sort(total[total >= _STEPS[0]])[::-1]
    sums = np.concatenate(([0.0], np.cumsum(probability(order / 1_000))))
    for step in _STEPS.tolist():
        taken = int(np.searchsorted(-order, -step, side="right"))
        # Few pairs prove little: so many more are imagined, none of them better than it must be.
        imagined = _IMAGINED_PAIRS * float(probability(np.array([step / 1_000]))[0])
        if (sums[taken] + imagined) / (taken + _IMAGINED_PAIRS) >= _WANTED_PRECISION:
            return int(step)
    return int(_STEPS[-1])


def _against(
    records: Records, model: LearntModel, candidates: Candidates, weighed: Weighed, match: Mask, labels: NDArray[np.int64]
) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """The pairs inside components that do not match, with what speaks against each."""
    sizes = np.bincount(labels, minlength=records.size)
    open_labels = np.where(sizes[labels] > 2, labels, -1)
    left, right = pairs_inside(open_labels, _LARGEST_CHECKED)
    codes = left * records.size + right
    known = candidates.left * records.size + candidates.right
    position = np.searchsorted(known, codes)
    found = np.append(known, -1)[np.minimum(position, len(known))]
    seen = found == codes
    new = ~seen
    doubt = np.zeros(len(codes), dtype=np.int64)
    at = position[seen]
    doubt[seen] = np.where(match[at], 0, weighed.contradiction[at])
    if new.any():
        compared = records.compare(left[new], right[new])
        doubt[new] = weigh(records, left[new], right[new], compared, model).contradiction
    speaking = doubt < 0
    return left[speaking], right[speaking], doubt[speaking]


def predicted_precision(
    rows: int,
    left: Rows,
    right: Rows,
    total: NDArray[np.int64],
    labels: NDArray[np.int64],
    against: tuple[Rows, Rows, NDArray[np.int64]],
) -> float:
    """The share of the pairs in one cluster that are expected to be right.

    A cluster holds by the links of its strongest tree: a pair without anything against it is as likely as these are on average.
    What speaks against a pair counts on top of that, by Bayes' rule: odds(pair) = odds(tree) * 2^bits.
    """
    sizes = np.bincount(labels, minlength=rows).astype(np.float64)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    if not len(left) or not pairs:
        return 1.0
    doubts = 1.0 - probability(total / 1_000)
    tree = minimum_spanning_tree(coo_array((doubts + _NO_DOUBT, (left, right)), shape=(rows, rows)).tocsr()).tocoo()
    links = np.bincount(labels[tree.row], minlength=rows)
    doubt = np.bincount(labels[tree.row], weights=tree.data, minlength=rows) / np.maximum(links, 1)
    wrong = float((sizes * (sizes - 1) / 2 * doubt).sum())
    first, second, bits = against
    inside = labels[first] == labels[second]
    base = np.clip(1.0 - doubt[labels[first[inside]]], _NO_DOUBT, 1.0 - _NO_DOUBT)
    odds = base / (1.0 - base) * np.exp2(bits[inside] / 1_000)
    wrong += float((base - odds / (1.0 + odds)).sum())
    return max(1.0 - wrong / pairs, 0.0)
