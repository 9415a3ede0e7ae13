"""Weights and clusters of the handful of records that one decision reads: what `learning.weigh` and `link.link` say of many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from pay_ready.resolve.linkage import companies, people
from pay_ready.resolve.linkage.evidence import Comparison
from pay_ready.resolve.linkage.grouping import DOUBT, Pair, Weighted, group
from pay_ready.resolve.linkage.learning import COMMONER, RARER, SMALLEST_SHARE, Chances, LearntModel, probability
from pay_ready.resolve.linkage.mapping import EntityKind
from pay_ready.resolve.linkage.plain_people import CATEGORIES
from pay_ready.resolve.linkage.plain_values import Said
from pay_ready.resolve.linkage.values import category_comparison

# None of them is one that both a circumstance and a contradiction is of, which `link` looks at more closely.
COMPARISONS: Mapping[EntityKind, Sequence[Comparison]] = {
    "person": (
        people.GIVEN, people.FAMILY, people.MIDDLE, people.EMAIL, people.PHONE, people.EMPLOYER,
        *map(category_comparison, CATEGORIES),
    ),
    "company": (companies.NAME, companies.DOMAIN, companies.PHONE, category_comparison("city")),
}  # fmt: skip
Record = TypeVar("Record")
Compared = TypeVar("Compared", contravariant=True)


class Reader(Protocol[Record]):
    """Reads records of one type."""

    def record(self, row: Mapping[str, Any]) -> Record:
        """A record from its staged values, texts by column (`staged.PERSON_COLUMNS`, `staged.COMPANY_COLUMNS`)."""
        ...

    def places(self, record: Record) -> dict[int, int]:
        """By block that a record is in, its place (`moves.members_of`)."""
        ...


class Comparer(Protocol[Compared]):
    """Compares records of one type."""

    def compare(self, one: Compared, other: Compared) -> Mapping[str, Said]:
        """What each comparison reached (`learning.Records.compare`)."""
        ...

    def contexts(self, one: Compared, other: Compared) -> Sequence[str]:
        """In which contexts two records are neighbours (`learning.Records.contexts`)."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a pair says, in millibits: all together with the prior, and what of it speaks against one person or company (<= 0)."""

    total: int
    doubt: int


class Weights:
    """A model's weights, level by level, made once for many decisions."""

    def __init__(self, entity_type: EntityKind, model: LearntModel) -> None:
        self._prior = round(model.prior_bits * 1_000)
        known = [each for each in COMPARISONS[entity_type] if len(model.matches.get(each.name, ())) == len(each.levels)]
        self._scales = [(each.name, each.contradicts, _Scale(each, model)) for each in known]

    def evidence(self, said: Mapping[str, Said], contexts: Sequence[str]) -> Evidence:
        """`learning.weigh` of one pair: what its comparisons reached, and in which contexts the two are neighbours."""
        total, doubt = self._prior, 0
        for name, contradicts, scale in self._scales:
            level, share = said[name]
            if level:
                millibits = scale.millibits(level, share, contexts)
                total += millibits
                if contradicts and millibits < 0:
                    doubt += millibits
        return Evidence(total, doubt)


class _Scale:
    """What the levels of one comparison weigh (`learning.chance_bits`, `learning.evidence_bits`)."""

    def __init__(self, comparison: Comparison, model: LearntModel) -> None:
        chances: Chances = model.chances[comparison.name]
        self._matches = [_log2(share) for share in model.matches[comparison.name].tolist()]
        self._chances = [_log2(share) for share in chances.shares.tolist()]
        self._near = {name: [_log2(share) for share in shares.tolist()] for name, shares in chances.in_context.items()}
        self._rarity, self._value = chances.rarity_bits.tolist(), chances.value_bits
        self._by_value = [level in comparison.by_value for level in comparison.levels]
        self._by_rarity = [level in comparison.by_rarity and level not in comparison.by_value for level in comparison.levels]
        told = zip(self._matches, self._chances, self._by_value, self._by_rarity, strict=True)
        self._fixed = [None if value or rarity else _millibits(match - chance) for match, chance, value, rarity in told]

    def millibits(self, level: int, share: float, contexts: Sequence[str]) -> int:
        if not contexts and (fixed := self._fixed[level]) is not None:
            return fixed
        by_chance = self._chances[level]
        if self._by_value[level]:
            by_chance = min(_log2(share) + self._value, 0.0)
        elif self._by_rarity[level]:
            by_chance += min(max(_log2(share) - self._rarity[level], RARER), COMMONER)
        for context in contexts:
            if context in self._near:
                by_chance = max(by_chance, self._near[context][level])
        return _millibits(self._matches[level] - by_chance)


def _millibits(bits: float) -> int:
    return round(bits * 1_000)


def _log2(share: float) -> float:
    return float(np.log2(max(share, SMALLEST_SHARE)))  # not math's: its last digit may be another


@dataclass(frozen=True, slots=True)
class Clusters:
    """By record, in the order given: the first record of its cluster, and how sure it is to be in it."""

    labels: list[int]
    confidences: list[float]


class Pairs(Generic[Record]):
    """What each two of some records say of each other, worked out when it is asked for, as each record is read then."""

    def __init__(self, record: Callable[[bytes], Record], comparer: Comparer[Record], weights: Weights) -> None:
        """`record` reads the record of an id."""
        self._record, self._comparer, self._weights = cache(record), comparer, weights
        self._known: dict[tuple[bytes, bytes], Evidence] = {}

    def of(self, left: bytes, right: bytes) -> Evidence:
        """The evidence of two records, left < right."""
        if (found := self._known.get((left, right))) is None:
            one, other = self._record(left), self._record(right)
            said, contexts = self._comparer.compare(one, other), self._comparer.contexts(one, other)
            self._known[left, right] = found = self._weights.evidence(said, contexts)
        return found


def clustered(
    size: int, links: Sequence[Pair], evidence: Callable[[int, int], Evidence], must_link: Sequence[Pair], cannot_link: Sequence[Pair]
) -> Clusters:  # fmt: skip
    """Cluster records (`link.link` with its pairs given); components stay below the size from which not all of their pairs are compared.

    Args:
        size: How many records there are, in the order of ids.
        links: Pairs that match, left < right, each once.
        evidence: Of any pair, left < right.
        must_link, cannot_link: Pairs that a reviewer joined or told apart.
    """
    components = _components(links)
    inside = [pair for members in components if len(members) > 2 for pair in combinations(members, 2)]
    linked, weights = set(links), [evidence(*pair).total for pair in links]
    speaking = [pair for pair in inside if pair not in linked and evidence(*pair).doubt < 0]
    against = _figures(speaking, [evidence(*pair).doubt for pair in speaking])
    between = _figures(inside, [evidence(*pair).total for pair in inside])
    labels, cut = _labels(size, components), [False] * len(links)
    if must_link or cannot_link or _is_contested(components, links, weights, against, between):
        groups = group(size, *_figures(links, weights), against, between=between, must_link=must_link, cannot_link=cannot_link)
        labels, cut = groups.labels.tolist(), groups.cut.tolist()
    strongest: dict[int, int] = {}
    for pair, weight, is_cut in zip(links, weights, cut, strict=True):
        for row in () if is_cut else pair:
            strongest[row] = max(strongest.get(row, weight), weight)
    confidences = [1.0] * size
    likely = np.round(probability(np.array(list(strongest.values())) / 1_000), 4).tolist()
    told = zip(strongest, likely, strict=True)
    for row, confidence in (*told, *((row, 1.0) for pair in must_link for row in pair)):
        confidences[row] = confidence
    return Clusters(labels, confidences)


def _components(links: Sequence[Pair]) -> list[list[int]]:
    """Connected components of more than one record, ascending in themselves."""
    held: dict[int, list[int]] = {}
    for left, right in links:
        one, other = held.setdefault(left, [left]), held.setdefault(right, [right])
        if one is not other:
            one.extend(other)
            for row in other:
                held[row] = one
    return [sorted(members) for row, members in held.items() if row == min(members)]


def _labels(size: int, components: Sequence[Sequence[int]]) -> list[int]:
    labels = list(range(size))
    for members in components:
        for row in members:
            labels[row] = members[0]
    return labels


def _is_contested(
    components: Sequence[Sequence[int]],
    links: Sequence[Pair],
    weights: Sequence[int],
    against: Weighted,
    between: Weighted,
) -> bool:
    """Whether a join may be refused (`grouping.group`): a mean outweighs no link unless one of its pairs does."""
    of_row = {row: number for number, members in enumerate(components) for row in members}
    weakest: dict[int, int] = {}
    for (left, _), weight in zip(links, weights, strict=True):
        weakest[of_row[left]] = min(weakest.get(of_row[left], weight), weight)
    told = ((against, DOUBT), (between, 1))
    return any(
        factor * said < -weakest[of_row[left]]
        for (lefts, _, saids), factor in told
        for left, said in zip(lefts.tolist(), saids.tolist(), strict=True)
    )


def _figures(pairs: Sequence[Pair], figures: Sequence[int]) -> Weighted:
    sides = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return sides[:, 0], sides[:, 1], np.array(figures, dtype=np.int64)
