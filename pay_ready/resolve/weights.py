"""Evidence of every pair in whole thousandths of a bit: the prior plus the weight of each level.

Fellegi and Sunter, "A Theory for Record Linkage", JASA 64 (1969): evidence adds up as log2(m / u). Weights are integers, so that
every machine and every order of adding gives the same sum. The prior and the rarity of values are taken from the number of
records present, in whole bits: a fact moves only when a count doubles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from pay_ready.model.resolution import EntityRules, EntityType, LevelWeight, MatchModel
from pay_ready.resolve.comparisons import ComparedPairs, Comparison

Millibits = NDArray[np.int64]
_SMALLEST_TENANT = 256
# Records of one and the same person or company do not make its name common.
_OWN_RECORDS = 3
_PRIOR_BONUS_BITS = 1


@dataclass(frozen=True, slots=True)
class WeighedPairs:
    """The pairs with their evidence: all in all, and by comparison (without the prior)."""

    total: Millibits
    by_comparison: Mapping[str, Millibits]


def shipped_model(entity_type: EntityType, rules: EntityRules, records: int) -> MatchModel:
    """The model that is set by hand: weights from the configuration, the prior from the tenant's size."""
    return MatchModel(
        entity_type=entity_type,
        prior_millibits=1_000 * (_PRIOR_BONUS_BITS - size_bits(records)),
        threshold_millibits=round(rules.threshold_bits * 1_000),
        review_millibits=round(rules.review_bits * 1_000),
        weights=rules.weights,
    )


def size_bits(records: int) -> int:
    """log2 of the number of records, rounded up; at least 8."""
    return ceil(log2(max(records, _SMALLEST_TENANT)))


def rarity_millibits(model: MatchModel, holders: NDArray[np.int64]) -> Millibits:
    """log2(records / holders) in whole bits: what it says when two records agree on a value that so many hold."""
    others = np.maximum(holders - _OWN_RECORDS, 1)
    # frexp is exact where log2 may round: the exponent of a whole number is its bit length.
    held_bits = np.frexp(others.astype(np.float64))[1].astype(np.int64) - 1
    return np.maximum(_PRIOR_BONUS_BITS * 1_000 - model.prior_millibits - 1_000 * held_bits, 0)


def weigh(pairs: ComparedPairs, level_names: Mapping[str, tuple[str, ...]], model: MatchModel) -> WeighedPairs:
    """The evidence of every pair under the model; a null level, and one without a weight, adds nothing."""
    by_comparison = {
        name: _evidence(comparison, level_names[name], model.weights.get(name, {}), model) for name, comparison in pairs.comparisons.items()
    }
    total = np.full(len(pairs.left), model.prior_millibits, dtype=np.int64)
    for evidence in by_comparison.values():
        total = total + evidence
    return WeighedPairs(total, by_comparison)


def _evidence(comparison: Comparison, names: tuple[str, ...], weights: Mapping[str, LevelWeight], model: MatchModel) -> Millibits:
    rarity = rarity_millibits(model, comparison.holders)
    evidence = np.zeros(len(comparison.levels), dtype=np.int64)
    for code, level in enumerate(names):
        weight = weights.get(level)
        if weight is None:
            continue
        at_level = comparison.levels == code
        surprise = np.minimum(rarity[at_level], weight.ceiling_millibits) if weight.by_rarity else 0
        evidence[at_level] = weight.millibits + surprise
    return evidence


def match_probability(millibits: int) -> float:
    """The probability that the evidence stands for, from 0 to 1, in steps of 1/10,000 so that it compares equal wherever stored."""
    bits = max(min(millibits / 1_000, 60.0), -60.0)
    odds: float = 2.0**bits
    return round(odds / (1.0 + odds), 4)
