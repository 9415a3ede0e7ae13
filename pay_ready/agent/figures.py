"""Figures of merit: how well labels are told, what is found, and how far two groupings agree. Pure."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence


def macro_f1(truth: Sequence[str], told: Sequence[str]) -> float:
    """The mean of F1 = 2 tp / (2 tp + fp + fn) over the labels that the truth holds; 0 without any.

    Raises:
        ValueError: The two are of different length.
    """
    hits = Counter(label for label, said in zip(truth, told, strict=True) if label == said)
    wanted, named = Counter(truth), Counter(told)
    return sum(2 * hits[label] / (wanted[label] + named[label]) for label in wanted) / len(wanted) if wanted else 0.0


def precision_recall(truth: Sequence[bool], told: Sequence[bool]) -> tuple[float, float]:
    """Of what was told the share that is true, and of what is true the share that was told; 1 where there is none to miss."""
    hits = sum(is_true and is_told for is_true, is_told in zip(truth, told, strict=True))
    return hits / sum(told) if any(told) else 1.0, hits / sum(truth) if any(truth) else 1.0


def normalized_mutual_information(left: Sequence[Hashable], right: Sequence[Hashable]) -> float:
    """How far two groupings of the same things agree, in [0, 1]: I(left; right) / mean(H(left), H(right)); 1 when both are one group.

    Strehl and Ghosh, "Cluster Ensembles", JMLR 3 (2002), with the arithmetic mean.
    """
    count = len(left)
    both, lefts, rights = Counter(zip(left, right, strict=True)), Counter(left), Counter(right)
    shared = sum(n / count * math.log(n * count / (lefts[a] * rights[b])) for (a, b), n in both.items())
    mean = (_entropy(lefts, count) + _entropy(rights, count)) / 2
    return min(1.0, max(0.0, shared / mean)) if mean > 0 else 1.0


def _entropy(sizes: Counter[Hashable], count: int) -> float:
    return -sum(n / count * math.log(n / count) for n in sizes.values())
