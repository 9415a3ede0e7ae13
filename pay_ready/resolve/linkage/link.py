"""From records to clusters: candidate pairs, evidence, a learnt model, a threshold, groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.resolve.linkage.blocks import Candidates, HotBlocks, candidates_of, pairs_inside, with_copies
from pay_ready.resolve.linkage.certainty import Evidence, joins_of, predicted_precision, predicted_recall
from pay_ready.resolve.linkage.columns import Mask, Rows
from pay_ready.resolve.linkage.evidence import Compared, Levels
from pay_ready.resolve.linkage.grouping import Groups, Pair, components_of, group
from pay_ready.resolve.linkage.learning import (
    LearntModel,
    Records,
    Weighed,
    known_comparisons,
    learn,
    learn_from,
    probability,
    training_pairs,
    weigh,
)

PHASES = ("block", "compare", "learn", "weigh", "cluster")
_PAIRS_AT_ONCE = 500_000  # compared and weighed together: so many fit in a processor's cache
_PAIRS_KEPT = 6_000_000  # of so many it is kept what they compare as; of more it would take too much memory until they are weighed
_LARGEST_CHECKED = 120  # records of a component of which every pair is compared
_STEPS = np.arange(1_000, 12_001, 250)
_WANTED_PRECISION, _IMAGINED_PAIRS = 0.96, 20.0


@dataclass(frozen=True, slots=True)
class Reached:
    """The level that one comparison reached in each pair; 0 is null."""

    levels: Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Pairs and what they say, before anything is decided."""

    candidates: Candidates
    reached: Mapping[str, Reached]  # comparison -> by pair
    weighed: Weighed
    model: LearntModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """Who is who."""

    labels: NDArray[np.int64]  # by record: the first record of its cluster
    left: Rows  # candidate pairs
    right: Rows
    compared: Mapping[str, Reached]  # comparison -> by candidate pair
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
    scored: Scored | None = None,
    predicts: bool = True,
    clock: Callable[[], float] = lambda: 0.0,
    progress: Progress = no_progress,
) -> Linkage:
    """Cluster records.

    Args:
        records: People or companies.
        model: A trained model; None trains one on these records.
        threshold_millibits: Evidence from which a pair matches; None sets it from the estimated precision.
        must_link, cannot_link: Rows that a reviewer joined or told apart.
        scored: Pairs that were scored elsewhere, under this model; None finds and scores them here.
        predicts: Whether precision and recall are worked out; else both are told as 1.
        clock: CPU seconds so far, for the report alone.
        progress: Told of each phase that is done.
    """
    laps = Laps(clock, progress)
    if scored is None:
        scored = score(records, model=model, laps=laps)
    candidates, weighed = scored.candidates, scored.weighed
    left, right, total = candidates.left, candidates.right, weighed.total
    threshold = self_set_threshold(total) if threshold_millibits is None else threshold_millibits
    match = total >= threshold
    laps.lap("weigh")
    links = Evidence(left=left[match], right=right[match], total=total[match])
    inside = _inside(records, scored.model, candidates, weighed, match, components_of(records.size, links.left, links.right))
    speaking = inside.doubt < 0
    against = (inside.left[speaking], inside.right[speaking], inside.doubt[speaking])
    groups = group(
        records.size, links.left, links.right, links.total, against,
        between=(inside.left, inside.right, inside.total), must_link=must_link, cannot_link=cannot_link,
    )  # fmt: skip
    cut = np.zeros(len(match), dtype=np.bool_)
    cut[np.flatnonzero(match)] = groups.cut
    laps.lap("cluster")
    precision, recall = _predicted(candidates, total, links, inside, groups) if predicts else (1.0, 1.0)
    return Linkage(
        labels=groups.labels,
        left=left,
        right=right,
        compared=scored.reached,
        weighed=weighed,
        is_match=match,
        is_cut=cut,
        model=scored.model,
        threshold_millibits=threshold,
        predicted_precision=precision,
        predicted_recall=recall,
        hot=candidates.hot,
        pairs_by_rule=candidates.by_rule,
        ignored_decisions=groups.ignored_decisions,
        cpu_seconds=laps.spans,
    )


def score(records: Records, *, model: LearntModel | None, laps: "Laps") -> Scored:
    """Find the pairs worth comparing, and weigh them under a model; None trains one on them."""
    candidates = candidates_of(with_copies(records.rules()), records.size)
    left, right = candidates.left, candidates.right
    laps.lap("block")
    compared = _compared_in_parts(records, left, right) if len(left) <= _PAIRS_KEPT else None
    laps.lap("compare")
    trained = model or (learn(records, candidates, compared) if compared else _learn_from_sample(records, candidates))
    laps.lap("learn")
    reached, weighed = _weighed_in_parts(records, left, right, trained, compared)
    return Scored(candidates=candidates, reached=reached, weighed=weighed, model=trained)


def scored_pairs(records: Records, left: Rows, right: Rows, model: LearntModel) -> Scored:
    """Weigh pairs (left < right, sorted, each once) that were found elsewhere."""
    reached, weighed = _weighed_in_parts(records, left, right, model)
    return Scored(candidates=Candidates(left=left, right=right, hot=(), by_rule={}), reached=reached, weighed=weighed, model=model)


class Laps:
    """CPU seconds by phase, and who is told of each."""

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


def _learn_from_sample(records: Records, candidates: Candidates) -> LearntModel:
    """`learn` where there are too many pairs to compare them all at once."""
    sample = training_pairs(len(candidates.left))
    left, right = candidates.left[sample], candidates.right[sample]
    return learn_from(records, left, right, records.compare(left, right), len(candidates.left))


def _compared_in_parts(records: Records, left: Rows, right: Rows) -> Mapping[str, Compared]:
    """All comparisons of pairs, so many at a time."""
    whole = {each.name: Compared(np.empty(len(left), dtype=np.int8), np.empty(len(left))) for each in records.comparisons}
    for start in range(0, len(left), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        found = records.compare(left[part], right[part])
        for name, each in whole.items():
            each.levels[part], each.shares[part] = found[name].levels, found[name].shares
    return whole


def _part_of(whole: Mapping[str, Compared], part: slice) -> Mapping[str, Compared]:
    return {name: Compared(each.levels[part], each.shares[part]) for name, each in whole.items()}


def _weighed_in_parts(
    records: Records, left: Rows, right: Rows, model: LearntModel, whole: Mapping[str, Compared] | None = None
) -> tuple[Mapping[str, Reached], Weighed]:
    """The levels and the evidence of pairs, so many at a time that what it takes to compare them fits in memory.

    `whole` is what they compare as, where that is known.
    """
    size, names = len(left), [each.name for each in records.comparisons]
    levels = {name: np.empty(size, dtype=np.int8) for name in names}
    millibits = {each.name: np.empty(size, dtype=np.int32) for each in known_comparisons(records, model)}
    total, contradiction = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    for start in range(0, size, _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        compared = records.compare(left[part], right[part]) if whole is None else _part_of(whole, part)
        weighed = weigh(records, left[part], right[part], compared, model)
        total[part], contradiction[part] = weighed.total, weighed.contradiction
        for name in names:
            levels[name][part] = compared[name].levels
        for name, found in millibits.items():
            found[part] = weighed.by_comparison[name]
    reached = {name: Reached(each) for name, each in levels.items()}
    return reached, Weighed(total=total, by_comparison=millibits, contradiction=contradiction)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    """Every pair inside the components that are not too large: its evidence, and what speaks against it (<= 0)."""

    left: Rows
    right: Rows
    total: NDArray[np.int64]
    doubt: NDArray[np.int64]


def _inside(
    records: Records, model: LearntModel, candidates: Candidates, weighed: Weighed, match: Mask, labels: NDArray[np.int64]
) -> _Inside:
    """The pairs inside components of three and more. What speaks against a pair that matches counts only where it is confirmed."""
    sizes = np.bincount(labels, minlength=records.size)
    left, right = pairs_inside(np.where(sizes[labels] > 2, labels, -1), _LARGEST_CHECKED)
    total, doubt = np.empty(len(left), dtype=np.int64), np.empty(len(left), dtype=np.int64)
    near = np.flatnonzero(labels[candidates.left] == labels[candidates.right])
    compared = candidates.left[near] * records.size + candidates.right[near]
    codes = left * records.size + right
    position = np.searchsorted(compared, codes)
    seen = np.append(compared, -1)[np.minimum(position, len(compared))] == codes
    at = near[position[seen]]
    matches = np.zeros(len(left), dtype=np.bool_)
    matches[seen] = match[at]
    total[seen], doubt[seen] = weighed.total[at], np.where(match[at], 0, weighed.contradiction[at])
    _, new = _weighed_in_parts(records, left[~seen], right[~seen], model)
    total[~seen], doubt[~seen] = new.total, new.contradiction
    known = known_comparisons(records, model)
    for name in (each.name for each in known if each.contradicts and each.circumstance):
        said = np.empty(len(left), dtype=np.int64)
        said[seen], said[~seen] = weighed.by_comparison[name][at], new.by_comparison[name]
        confirmed = _confirmed(records.size, left, right, said)
        doubt += np.where(matches, 2, 1) * np.where(confirmed, said, 0)
    return _Inside(left=left, right=right, total=total, doubt=doubt)


def _confirmed(rows: int, left: Rows, right: Rows, said: NDArray[np.int64]) -> Mask:
    """Pairs that a place speaks against, both of whose values another record of the component has too: two places, and no slip."""
    agree = said > 0
    confirmed = np.bincount(left[agree], minlength=rows) + np.bincount(right[agree], minlength=rows) > 0
    found: Mask = (said < 0) & confirmed[left] & confirmed[right]
    return found


def _predicted(candidates: Candidates, total: NDArray[np.int64], links: Evidence, inside: _Inside, groups: Groups) -> tuple[float, float]:
    """Predicted precision of the pairs in one cluster, and predicted recall of the matches among the candidates."""
    labels, held = groups.labels, ~groups.cut
    holding = Evidence(left=links.left[held], right=links.right[held], total=links.total[held])
    joins = joins_of(len(labels), holding, _known(inside, candidates, total, labels))
    precision = predicted_precision(joins, labels)
    sizes = np.bincount(labels).astype(np.float64)
    found = float((sizes * (sizes - 1) / 2).sum()) * precision
    apart = labels[candidates.left] != labels[candidates.right]
    missed = Evidence(left=candidates.left[apart], right=candidates.right[apart], total=total[apart])
    return precision, predicted_recall(found, missed, labels)


def _known(inside: _Inside, candidates: Candidates, total: NDArray[np.int64], labels: NDArray[np.int64]) -> Evidence:
    """The pairs of one cluster whose evidence is known: all, or of a cluster too large for that those that were compared anyway."""
    large = (np.bincount(labels, minlength=len(labels)) > _LARGEST_CHECKED)[labels]
    if not large.any():
        return Evidence(left=inside.left, right=inside.right, total=inside.total)
    near = np.flatnonzero(large[candidates.left] & (labels[candidates.left] == labels[candidates.right]))
    return Evidence(
        left=np.concatenate((inside.left, candidates.left[near])),
        right=np.concatenate((inside.right, candidates.right[near])),
        total=np.concatenate((inside.total, total[near])),
    )
