"""What it is worth to ask about a pair: how uncertain the answer is, times what it would join or part."""

import math
from dataclasses import dataclass

_LEAST_BITS, _MOST_BITS = -60.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The entity on one side of a pair."""

    records: int
    interactions: int


def match_probability(weight_bits: float) -> float:
    """The probability that odds of 2^weight stand for: the weight has the prior in it."""
    return 1.0 / (1.0 + math.exp2(-min(max(weight_bits, _LEAST_BITS), _MOST_BITS)))


def binary_entropy(probability: float) -> float:
    """How uncertain a yes or no is, in bits: 1 at even odds, 0 where it is sure. Shannon, Bell System Technical Journal 27 (1948)."""
    if probability in (0.0, 1.0):
        return 0.0
    against = 1.0 - probability
    return -(probability * math.log2(probability) + against * math.log2(against))


def uncertainty(weight_bits: float, threshold_bits: float, *, together: bool) -> float:
    """How uncertain it is whether two records are one, in [0, 1].

    The entropy of the match probability (uncertainty sampling: Lewis and Gale, SIGIR 1994). Where the evidence of the two suffices and
    their clusters are apart all the same, two judges disagree, and the entropy of their votes is 1 bit (Dagan and Engelson, ICML 1995).
    """
    if weight_bits >= threshold_bits and not together:
        return 1.0
    return binary_entropy(match_probability(weight_bits))


def stake(left: Side, right: Side, *, together: bool) -> float:
    """What an answer would join or part: pairs of records, and interactions that would be somebody else's.

    Of two entities: every record of one meets every record of the other, and the interactions of the one with fewer records change hands.
    Of one (both sides are the same): at least one record leaves all others, with its mean share of the interactions.
    """
    if together:
        return left.records - 1 + left.interactions / max(left.records, 1)
    smaller = min((left.records, left.interactions), (right.records, right.interactions))
    return left.records * right.records + smaller[1]


def value_of_asking(uncertain: float, at_stake: float) -> float:
    """Uncertainty times stake: the pairs and interactions that an answer is expected to put right, up to a factor."""
    return uncertain * at_stake
