"""A model from the data itself: how often each level comes about by chance, how often among matches, and what that weighs.

Fellegi and Sunter, "A Theory for Record Linkage", JASA 64 (1969): evidence adds up as log2(m / u). Chance (u) is counted on pairs
drawn at random; the shares among matches (m) and the odds that two records match come from expectation maximisation over the
candidate pairs with u held fixed (Winkler, "Using the EM Algorithm for Weight Computation", 1988). What is believed beforehand counts as
pseudo-observations, so that few records do not swing it. Values weigh by how common they are (Winkler 1989, frequency-based matching).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pay_ready.resolve.linkage.blocks import BlockRule, Candidates
from pay_ready.resolve.linkage.columns import BELIEVED_RECORDS, Ids, Mask, Rows
from pay_ready.resolve.linkage.evidence import Compared, Comparison, Levels

Bits = NDArray[np.float64]

_RANDOM_PAIRS, _NEIGHBOUR_PAIRS, _TRAINING_PAIRS = 200_000, 60_000, 400_000
_ROUNDS, _SETTLED = 40, 1e-4
_PSEUDO_PAIRS = 50.0
_BELIEVED_PAIRS = 500.0  # drawn at random, of which the shares are as believed
# So many records of one, in so many pairs, are believed before any is seen: a handful of records come from a world of many people.
_BELIEVED_MATCHES, _BELIEVED_POSSIBLE = 100.0, 100_000.0
RARER, COMMONER = -8.0, 4.0  # bits that rarity may move a level which is not the value itself
_LEAST_NEIGHBOURS, _MOSTLY_OTHERS = 200, 0.6
_LEAST_DRAWN = 1_000
_LEAST_AGREEING = 100  # pairs drawn that agree on a value, for their number to tell anything
SMALLEST_SHARE = 1e-12
_SEED = 20_261_125


class Records(Protocol):
    """The records of one entity type, ready to be compared."""

    @property
    def size(self) -> int: ...

    @property
    def comparisons(self) -> tuple[Comparison, ...]: ...

    def compare(self, left: Rows, right: Rows, *, thorough: bool = False) -> Mapping[str, Compared]:
        """All comparisons of some pairs; `thorough` leaves nothing out that does not matter for the pair but for chance."""
        ...

    def rules(self) -> list[BlockRule]:
        """Blocking rules."""
        ...

    def contexts(self) -> Mapping[str, Ids]:
        """Values that make records neighbours (an employer, a postcode): two neighbours agree on more than chance has it."""
        ...

    def differ(self, compared: Mapping[str, Compared]) -> Mask:
        """Pairs whose names say that they are two."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often each level of a comparison comes about between two records that do not match."""

    shares: NDArray[np.float64]  # by level
    rarity_bits: NDArray[np.float64]  # by level: mean log2 share of the values that agree
    in_context: Mapping[str, NDArray[np.float64]]  # context -> by level, between neighbours
    value_bits: float = 0.0  # what values are more common, by and large, than their shares say


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntModel:
    """What decides about the pairs of one entity type."""

    prior_bits: float  # log2 of the odds that two records drawn at random match
    matches: Mapping[str, NDArray[np.float64]]  # comparison -> share by level among matches
    chances: Mapping[str, Chances]
    rounds: int  # of expectation maximisation; 0 when it fell back to the prior
    training_pairs: int
    fallback: str | None  # why nothing was learnt


def learn(records: Records, candidates: Candidates, compared: Mapping[str, Compared]) -> LearntModel:
    """Train on the candidate pairs; never fails: what the data cannot tell is taken from the comparisons' prior."""
    chosen = training_pairs(len(candidates.left))
    part = {name: Compared(each.levels[chosen], each.shares[chosen]) for name, each in compared.items()}
    return learn_from(records, candidates.left[chosen], candidates.right[chosen], part, len(candidates.left))


def training_pairs(pairs: int) -> NDArray[np.int64]:
    """Positions of the candidate pairs that a model is trained on: all, or so many drawn at random, ascending."""
    return _sample(pairs, _TRAINING_PAIRS)


def learn_from(records: Records, left: Rows, right: Rows, compared: Mapping[str, Compared], pairs: int) -> LearntModel:
    """`learn` on the training pairs alone, compared already, of `pairs` candidates."""
    chances = chances_of(records)
    shipped = {each.name: np.array(each.matches) for each in records.comparisons}
    possible = max(records.size * (records.size - 1) / 2, 1.0)
    odds = _match_share(0.5 * records.size, possible)
    if not pairs:
        return LearntModel(
            prior_bits=_bits(odds), matches=shipped, chances=chances, rounds=0, training_pairs=0, fallback="no two records share a key"
        )
    scale = pairs / len(left)
    context = {name: _same(ids, left, right) for name, ids in records.contexts().items()}
    by_chance = {each.name: chance_bits(each, compared[each.name], chances[each.name], context) for each in records.comparisons}
    matches, rounds, settled = dict(shipped), 0, False
    while rounds < _ROUNDS and not settled:
        rounds += 1
        bits = np.full(len(left), _bits(odds))
        for each in records.comparisons:
            bits += evidence_bits(compared[each.name], matches[each.name], by_chance[each.name])
        weights = probability(bits)
        for each in records.comparisons:
            matches[each.name] = _matches(each, compared[each.name], weights * scale)
        found = _match_share(float(weights.sum()) * scale, possible)
        settled = abs(np.log(found / odds)) < _SETTLED
        odds = found
    return LearntModel(prior_bits=_bits(odds), matches=matches, chances=chances, rounds=rounds, training_pairs=len(left), fallback=None)


def _match_share(matches: float, possible: float) -> float:
    """The share of the possible pairs that match, drawn to what is believed while there are few."""
    return min((matches + _BELIEVED_MATCHES) / (possible + _BELIEVED_POSSIBLE), 0.5)


def _matches(comparison: Comparison, compared: Compared, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(compared.levels, weights=weights, minlength=len(comparison.levels))[: len(comparison.levels)]
    counts[0] = 0.0
    prior = np.array(comparison.matches)
    blended = counts + prior * (_PSEUDO_PAIRS + comparison.prior_strength * counts.sum())
    shares: NDArray[np.float64] = blended / blended.sum()
    return shares


def chances_of(records: Records) -> dict[str, Chances]:
    """u of every level: between records drawn at random, and between neighbours of each context."""
    left, right = _random_pairs(records.size)
    compared = records.compare(left, right, thorough=True)
    neighbours = {name: _neighbour_chances(records, ids) for name, ids in records.contexts().items()}
    found: dict[str, Chances] = {}
    for each in records.comparisons:
        drawn = compared[each.name]
        shares = _level_shares(each, drawn.levels, records.size * (records.size - 1) / 2)
        for level, mirrored in each.mirrors.items():
            shares[each.levels.index(level)] = shares[each.levels.index(mirrored)]
        context = {
            name: by_name[each.name]
            for name, by_name in neighbours.items()
            if by_name is not None and name != each.name and each.circumstance
        }
        for by_level in context.values():
            for level, mirrored in each.mirrors.items():
                by_level[each.levels.index(level)] = max(by_level[each.levels.index(level)], by_level[each.levels.index(mirrored)])
        found[each.name] = Chances(
            shares=shares, rarity_bits=_rarity(each, drawn), in_context=context,
            value_bits=_value_bits(each, records, compared),
        )  # fmt: skip
    return found


def _value_bits(comparison: Comparison, records: Records, drawn: Mapping[str, Compared]) -> float:
    """log2 of the factor by which values' shares are too small, as far as what is believed beforehand can have made them so.

    Of records that have value v with share s(v), two agree on it with s(v)^2: over pairs that agree, 1 / s is on average
    1 / (sum of s^2), which is 1 / (the share of all pairs that agree). Few records' shares are drawn to what is usual, and where a handful
    of names is all there is, that is too rare. Pairs that agree on something else as well, or of which nothing else is known, may be
    matches, and are left out.
    """
    told_apart = np.zeros(len(drawn[comparison.name].levels), dtype=np.bool_)
    alike = told_apart.copy()
    for each in records.comparisons:
        if each.name != comparison.name and not each.circumstance:
            told_apart |= drawn[each.name].levels > 0
            alike |= _by_value(each, drawn[each.name].levels)
    counted = (drawn[comparison.name].levels > 0) & told_apart & ~alike
    agree = counted & _by_value(comparison, drawn[comparison.name].levels)
    # Of few records the same pairs are drawn again and again: each tells something once.
    once = min(1.0, records.size * (records.size - 1) / 2 / len(agree)) if len(agree) else 0.0
    if np.count_nonzero(agree) * once < _LEAST_AGREEING:
        return 0.0
    rarest = 1.0 / np.maximum(drawn[comparison.name].shares[agree], SMALLEST_SHARE)
    factor = np.count_nonzero(agree) / np.count_nonzero(counted) * float(rarest.mean())
    return float(np.log2(np.clip(factor, 1.0, 1.0 + BELIEVED_RECORDS / records.size)))


def _by_value(comparison: Comparison, levels: NDArray[np.int8]) -> Mask:
    return np.isin(levels, [code for code, level in enumerate(comparison.levels) if level in comparison.by_value])


def _level_shares(comparison: Comparison, levels: NDArray[np.int8], possible: float = np.inf) -> NDArray[np.float64]:
    """Shares of the levels drawn, beside what is believed; of few possible pairs each was drawn often, and counts once."""
    counts = np.bincount(levels, minlength=len(comparison.levels)).astype(np.float64)
    counts[0] = 0.0
    once = min(1.0, possible / max(len(levels), 1))
    believed = np.array(comparison.chances)
    blended = counts * once + _BELIEVED_PAIRS * believed
    shares: NDArray[np.float64] = blended / blended.sum()
    return shares


def _rarity(comparison: Comparison, drawn: Compared) -> NDArray[np.float64]:
    held = [drawn.shares[drawn.levels == code] for code in range(len(comparison.levels))]
    return np.array([np.log2(max(float(each.mean()), SMALLEST_SHARE)) if len(each) else -10.0 for each in held])


def _random_pairs(size: int) -> tuple[Rows, Rows]:
    if size < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    generator = np.random.default_rng(_SEED)
    # Of few records the same pairs would be drawn again and again.
    wanted = min(_RANDOM_PAIRS, max(_LEAST_DRAWN, 10 * size * (size - 1)))
    left = generator.integers(0, size, wanted)
    right = generator.integers(0, size - 1, wanted)
    right += right >= left
    return left, right


def _neighbour_chances(records: Records, ids: Ids) -> dict[str, NDArray[np.float64]] | None:
    """By comparison the level shares between neighbours of different names; None where neighbours are mostly the same person or few."""
    order = np.argsort(ids, kind="stable")
    order = order[ids[order] >= 0]
    place = ids[order]
    near = [(np.flatnonzero(place[:-step] == place[step:]), step) for step in (1, 2, 5, 11) if len(order) > step]
    if not near:
        return None
    left, right = np.concatenate([order[at] for at, _ in near]), np.concatenate([order[at + step] for at, step in near])
    chosen = _sample(len(left), _NEIGHBOUR_PAIRS)
    compared = records.compare(left[chosen], right[chosen], thorough=True)
    others = records.differ(compared)
    if np.count_nonzero(others) < max(_LEAST_NEIGHBOURS, _MOSTLY_OTHERS * len(chosen)):
        return None
    return {each.name: _level_shares(each, compared[each.name].levels[others]) for each in records.comparisons}


def _sample(size: int, wanted: int) -> NDArray[np.int64]:
    if size <= wanted:
        return np.arange(size)
    chosen: NDArray[np.int64] = np.sort(np.random.default_rng(_SEED).choice(size, wanted, replace=False))
    return chosen


def _same(ids: Ids, left: Rows, right: Rows) -> Mask:
    same: Mask = (ids[left] >= 0) & (ids[left] == ids[right])
    return same


def chance_bits(comparison: Comparison, compared: Compared, chances: Chances, context: Mapping[str, Mask]) -> Bits:
    """log2 u of each pair's level, by the value that agrees, and at least what neighbours have in common; 0 for null."""
    levels = compared.levels
    by_level = _log2(chances.shares)
    near = [(mask, _log2(chances.in_context[name])) for name, mask in context.items() if name in chances.in_context and mask.any()]
    bits = _looked_up(by_level, levels, near)
    for code, level in enumerate(comparison.levels):
        if level not in comparison.by_value | comparison.by_rarity:
            continue
        held = np.flatnonzero(levels == code)
        told = np.log2(np.maximum(compared.shares[held], SMALLEST_SHARE))
        if level in comparison.by_value:
            told = np.minimum(told + chances.value_bits, 0.0)
        else:
            told = by_level[code] + np.clip(told - chances.rarity_bits[code], RARER, COMMONER)
        for mask, shared in near:
            told = np.where(mask[held], np.maximum(told, shared[code]), told)
        bits[held] = told
    return bits


def _looked_up(by_level: Bits, levels: Levels, near: Sequence[tuple[Mask, Bits]]) -> Bits:
    """By pair the bits of its level, and of each context that it is in at least that one's; null has none."""
    tables, place = by_level[np.newaxis].copy(), levels
    for mask, shared in near:
        # Each context doubles the tables: the second half is for the pairs that are in it.
        place = place + mask * np.int32(tables.size)
        tables = np.concatenate((tables, np.maximum(tables, shared)))
    tables[:, 0] = 0.0
    found: Bits = tables.ravel().take(place)
    return found


def _log2(shares: NDArray[np.float64]) -> Bits:
    bits: Bits = np.log2(np.maximum(shares, SMALLEST_SHARE))
    return bits


def evidence_bits(compared: Compared, matches: NDArray[np.float64], by_chance: Bits) -> Bits:
    """log2(m / u) of each pair; null says nothing."""
    by_level = _log2(matches)
    by_level[0] = 0.0
    bits: Bits = by_level.take(compared.levels) - by_chance
    return bits


def probability(bits: Bits) -> NDArray[np.float64]:
    """The probability that odds of 2^bits stand for."""
    likely: NDArray[np.float64] = 1.0 / (1.0 + np.exp2(-np.clip(bits, -60.0, 60.0)))
    return likely


def _bits(probability_of: float) -> float:
    return float(np.log2(probability_of / (1.0 - probability_of)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The evidence of each pair in thousandths of a bit: by comparison, and together with the prior."""

    total: NDArray[np.int64]
    by_comparison: Mapping[str, NDArray[np.int32]]
    contradiction: NDArray[np.int64]  # what speaks against one person or company, <= 0


def weigh(records: Records, left: Rows, right: Rows, compared: Mapping[str, Compared], model: LearntModel) -> Weighed:
    """The evidence of pairs under a model, rounded to whole millibits so that every machine and order adds up the same."""
    context = {name: _same(ids, left, right) for name, ids in records.contexts().items()}
    total = np.full(len(left), round(model.prior_bits * 1_000), dtype=np.int64)
    contradiction = np.zeros(len(left), dtype=np.int64)
    by_comparison: dict[str, NDArray[np.int32]] = {}
    for each in known_comparisons(records, model):
        by_chance = chance_bits(each, compared[each.name], model.chances[each.name], context)
        bits = evidence_bits(compared[each.name], model.matches[each.name], by_chance)
        millibits = np.rint(bits * 1_000).astype(np.int32)
        by_comparison[each.name] = millibits
        total += millibits
        if each.contradicts:
            contradiction += np.minimum(millibits, 0)
    return Weighed(total=total, by_comparison=by_comparison, contradiction=contradiction)


def known_comparisons(records: Records, model: LearntModel) -> list[Comparison]:
    """The comparisons that a model has learnt, with the levels that it has learnt; others say nothing until it is trained anew."""
    return [each for each in records.comparisons if len(model.matches.get(each.name, ())) == len(each.levels)]


def level_table(records: Records, model: LearntModel) -> Sequence[tuple[str, str, float, float, float]]:
    """The model as rows: comparison, level, share among matches, share by chance, bits."""
    rows = []
    for each in known_comparisons(records, model):
        for code, level in enumerate(each.levels[1:], start=1):
            m, u = float(model.matches[each.name][code]), float(model.chances[each.name].shares[code])
            rows.append((each.name, level, m, u, float(np.log2(max(m, SMALLEST_SHARE) / max(u, SMALLEST_SHARE)))))
    return rows
