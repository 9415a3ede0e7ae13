"""How good clusters are against a truth: pairs, B-cubed (Bagga and Baldwin 1998), exact clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Shares from 0 to 1; counts of pairs."""

    pair_precision: float
    pair_recall: float
    pair_f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    exact_clusters: float  # share of the true clusters of two or more that are reproduced
    true_pairs: int
    found_pairs: int
    right_pairs: int


def quality_of(found: Labels, truth: Labels) -> Quality:
    """Compare two labellings of the same records."""
    found, truth = _numbered(found), _numbered(truth)
    both = _numbered(found * (int(truth.max(initial=0)) + 1) + truth)
    in_found, in_truth, in_both = np.bincount(found), np.bincount(truth), np.bincount(both)
    right, taken, there = _pairs(in_both), _pairs(in_found), _pairs(in_truth)
    shared = in_both[both]
    precision, recall = _share(right, taken), _share(right, there)
    bcubed = (_mean(shared / in_found[found]), _mean(shared / in_truth[truth]))
    exact = (shared == in_found[found]) & (shared == in_truth[truth]) & (shared > 1)
    reproduced = len(np.unique(truth[exact]))
    return Quality(
        pair_precision=precision,
        pair_recall=recall,
        pair_f1=harmonic(precision, recall),
        bcubed_precision=bcubed[0],
        bcubed_recall=bcubed[1],
        bcubed_f1=harmonic(*bcubed),
        exact_clusters=_share(reproduced, int(np.count_nonzero(in_truth > 1))),
        true_pairs=there,
        found_pairs=taken,
        right_pairs=right,
    )


def harmonic(precision: float, recall: float) -> float:
    """F1: the harmonic mean; 0 when both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _numbered(labels: Labels) -> Labels:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _mean(shares: NDArray[np.float64]) -> float:
    return float(shares.mean()) if len(shares) else 1.0
