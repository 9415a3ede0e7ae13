"""What a comparison finds in a pair: a level, and how common the value is that agrees."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pay_ready.resolve.linkage.columns import Column, Rows

Levels = NDArray[np.int8]
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison over all pairs: level (0 is null) and share of the records that hold the value that agrees (1 where none does)."""

    levels: Levels
    shares: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A comparison's levels, the first of them null, and what is believed of them before any data is seen."""

    name: str
    levels: tuple[str, ...]
    matches: tuple[float, ...]  # share of each level among pairs of one person or company; 0 for null
    chances: tuple[float, ...]  # share of each level among pairs drawn at random
    by_value: frozenset[str] = frozenset()  # levels that chance reaches as often as the value is common
    by_rarity: frozenset[str] = frozenset()  # levels that chance reaches the less often, the rarer the value
    prior_strength: float = 0.25  # weight of `matches` beside what EM finds
    circumstance: bool = False  # neighbours (colleagues, people of one place) agree on it more than chance has it
    contradicts: bool = False  # disagreement says that these are two
    mirrors: Mapping[str, str] = field(default_factory=dict)  # level -> level whose chance it has (it says nothing new)


def equality(column: Column, left: Rows, right: Rows, common: Shares) -> Compared:
    """null, differ, same; `common` is by value how likely another record holds it by chance."""
    first, second = column.ids[left], column.ids[right]
    both = (first >= 0) & (second >= 0)
    levels = both.astype(np.int8)
    same = both & (first == second)
    levels[same] = 2
    shares = np.ones(len(left))
    shares[same] = common[first[same]]
    return Compared(levels, shares)
