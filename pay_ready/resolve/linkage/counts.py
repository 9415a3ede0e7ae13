"""How often values occur: counted on the records at hand, or as a trained model has them.

A model pins these counts with its weights, so that what two records say of each other depends on the two and the model alone, never
on which records came before or after. Values are kept as hashes: a model holds nobody's data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.resolve.linkage.columns import Column, Distinct, chance_share, hashes_of

Counted = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTable:
    """Counts by the hash of a value."""

    total: int  # what the counts are shares of
    usual: int  # the count of a value that is not here
    keys: NDArray[np.uint64]  # ascending
    counts: NDArray[np.int32]

    def counts_of(self, values: Distinct) -> Counted:
        """The count of each value."""
        found = np.full(len(values.texts), self.usual, dtype=np.int64)
        if not len(self.keys):
            return found
        hashes = values.hashes
        at = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        known = self.keys[at] == hashes
        found[known] = self.counts[at[known]]
        return found


def table_of(values: Distinct, counts: Counted, *, usual: int, total: int) -> CountTable:
    """The table of what was counted; values of the usual count need no row."""
    told = np.flatnonzero(counts != usual)
    hashes = hashes_of(values.texts.take(pa.array(told))) if len(told) else np.empty(0, dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    return CountTable(total=total, usual=usual, keys=hashes[order], counts=counts[told][order].astype(np.int32))


class Counts:
    """Counts of the records at hand; with `pinned`, those of a model in their place."""

    def __init__(self, pinned: Mapping[str, CountTable] | None = None) -> None:
        self._pinned = pinned
        self._seen: dict[str, tuple[Distinct, Counted, int, int]] = {}

    @property
    def are_pinned(self) -> bool:
        """Whether they are a model's."""
        return self._pinned is not None

    def of(self, name: str, values: Distinct, counted: Counted, *, usual: int, total: int) -> tuple[Counted, int]:
        """The counts of distinct values, and what they are shares of.

        Args:
            name: What is counted; each name once.
            values: The values.
            counted: Their counts among the records at hand.
            usual: The count of a value that no record of the model's had.
            total: What these counts are shares of.
        """
        if self._pinned is None:
            self._seen[name] = (values, counted, usual, total)
            return counted, total
        table = self._pinned.get(name)
        return (np.full(len(values.texts), usual, dtype=np.int64), 0) if table is None else (table.counts_of(values), table.total)

    def elsewhere(self, name: str, values: Distinct, usual: int) -> Counted:
        """The counts of values that the records at hand do not have: a model's; without one `usual`."""
        table = None if self._pinned is None else self._pinned.get(name)
        return np.full(len(values.texts), usual, dtype=np.int64) if table is None else table.counts_of(values)

    def shares(self, name: str, column: Column, usual: float) -> NDArray[np.float64]:
        """By value: how likely another record holds it by chance; `usual` is what is believed of a value before any record is seen."""
        holders, total = self.of(name, column.distinct, column.holders(), usual=1, total=column.filled)
        return chance_share(holders - 1, total, usual)

    def tables(self) -> dict[str, CountTable]:
        """What was counted, to be pinned by a model."""
        if self._pinned is not None:
            return dict(self._pinned)
        return {name: table_of(values, counted, usual=usual, total=total) for name, (values, counted, usual, total) in self._seen.items()}
