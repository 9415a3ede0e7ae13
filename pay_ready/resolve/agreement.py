"""How far reviewers agree, and how right matches are as far as reviewers can tell."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_Z = 1.959964  # of a two-sided interval of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of pairs that two have judged."""

    pairs: int
    agreed: int
    kappa: float | None  # None where it is not defined; `remark` says why
    remark: str = ""


def agreement_of(judged: Sequence[tuple[str, str]]) -> Agreement:
    """Cohen's kappa, (observed - expected) / (1 - expected): Educational and Psychological Measurement 20 (1960).

    Expected is the agreement of two who gave each verdict as often as they did, but blindly.

    Args:
        judged: What the one and the other said, by pair.
    """
    if not judged:
        return Agreement(pairs=0, agreed=0, kappa=None, remark="no pair was judged by both")
    agreed = sum(one == other for one, other in judged)
    first, second = Counter(one for one, _ in judged), Counter(other for _, other in judged)
    # In whole numbers, so that 1 is 1.
    by_chance, all_pairs = sum(count * second[verdict] for verdict, count in first.items()), len(judged) ** 2
    if by_chance == all_pairs:
        return Agreement(pairs=len(judged), agreed=agreed, kappa=None, remark="both gave one and the same verdict throughout")
    kappa = (agreed * len(judged) - by_chance) / (all_pairs - by_chance)
    return Agreement(pairs=len(judged), agreed=agreed, kappa=kappa)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its interval of 95 %; None where nothing was seen."""

    right: float
    seen: float
    value: float | None
    low: float
    high: float


def wilson(right: float, seen: float) -> Share:
    """A share of what was seen with Wilson's score interval: Journal of the American Statistical Association 22 (1927).

    Args:
        right: How many were right; in a weighted sample as many as its effective size has.
        seen: How many were looked at.
    """
    if seen <= 0:
        return Share(right=0, seen=0, value=None, low=0.0, high=1.0)
    share, square = right / seen, _Z * _Z
    middle = share + square / (2 * seen)
    width = _Z * math.sqrt(share * (1 - share) / seen + square / (4 * seen * seen))
    scale = 1 + square / seen
    return Share(right=right, seen=seen, value=share, low=max((middle - width) / scale, 0.0), high=min((middle + width) / scale, 1.0))


def weighed_by_band(judged: Mapping[str, tuple[int, int]], links: Mapping[str, int]) -> tuple[Share, float]:
    """The share of right links over all bands of evidence, each band counting as many links as there are of it; and the share of the
    links that lie in bands where nobody was asked, of which it says nothing.

    Stratified estimate sum(W p), variance sum(W^2 p (1 - p) / n) with half a right and half a wrong answer added to each band
    (Cochran, Sampling Techniques, 1977, chapter 5); Wilson's interval at the sample size that has this variance.

    Args:
        judged: By band: right answers, and answers.
        links: By band: links of the model.
    """
    asked = {band: links[band] for band, (_, seen) in judged.items() if seen and links.get(band)}
    covered, every = sum(asked.values()), sum(links.values())
    unseen = 1.0 - covered / every if every else 0.0
    if not covered:
        return wilson(0, 0), unseen
    weights = {band: count / covered for band, count in asked.items()}
    value = sum(weight * judged[band][0] / judged[band][1] for band, weight in weights.items())
    near = {band: (judged[band][0] + 0.5) / (judged[band][1] + 1) for band in asked}
    middle = sum(weight * near[band] for band, weight in weights.items())
    variance = sum(weight**2 * near[band] * (1 - near[band]) / judged[band][1] for band, weight in weights.items())
    size = middle * (1 - middle) / variance
    return wilson(value * size, size), unseen
