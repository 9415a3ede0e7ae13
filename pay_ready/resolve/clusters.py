"""Clusters from matches: components, with must-link and cannot-link honoured and a guard against chains.

Links are taken in the order (decisions, then weight falling, then pair id), so that clusters depend on which links there
are and never on when they arrived.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Clustering:
    """A label per row (the smallest row of its cluster), the links that were cut, and decisions that contradict earlier ones."""

    labels: NDArray[np.int64]
    cut: NDArray[np.bool_]  # by link, in the order given
    ignored_decisions: int


@dataclass(slots=True)
class _Forest:
    """Union-find with, for every root, its smallest row, the kinds of its rows, and the roots that it must stay apart from."""

    parents: list[int]
    kinds: list[set[int]]
    sizes: list[int]
    smallest: list[int]
    apart: dict[int, set[int]] = field(default_factory=dict)

    def root(self, row: int) -> int:
        while self.parents[row] != row:
            self.parents[row] = self.parents[self.parents[row]]
            row = self.parents[row]
        return row

    def are_apart(self, left: int, right: int) -> bool:
        return right in self.apart.get(left, ())

    def join(self, left: int, right: int) -> None:
        """Join two roots; the larger takes the smaller in."""
        keep, gone = (left, right) if self.sizes[left] >= self.sizes[right] else (right, left)
        self.parents[gone] = keep
        self.sizes[keep] += self.sizes[gone]
        self.smallest[keep] = min(self.smallest[keep], self.smallest[gone])
        self.kinds[keep] |= self.kinds[gone]
        for other in self.apart.pop(gone, set()):
            self.apart[other].discard(gone)
            self.separate(keep, other)

    def separate(self, left: int, right: int) -> None:
        self.apart.setdefault(left, set()).add(right)
        self.apart.setdefault(right, set()).add(left)


def cluster(
    rows: int,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    weights: NDArray[np.int64],
    *,
    must_link: Sequence[Pair] = (),
    cannot_link: Sequence[Pair] = (),
    may_chain: NDArray[np.bool_] | None = None,
    kinds: NDArray[np.int32] | None = None,
    incompatible: Callable[[int, int], bool] | None = None,
) -> Clustering:
    """Cluster `rows` by the links `left[i] - right[i]`.

    Args:
        rows: How many rows there are.
        left, right: Links, each pair once.
        weights: Evidence of each link; the strongest are taken first.
        must_link: Pairs that belong together whatever the evidence.
        cannot_link: Pairs that are kept apart whatever the evidence; one that contradicts the must-links is ignored and counted.
        may_chain: Links that join two clusters whatever else is in them.
        kinds: What the guard looks at in each row, such as the number of its name; -1 for nothing.
        incompatible: Whether two kinds speak against being one; a link that is not `may_chain` joins no clusters that hold such.
    """
    chain = np.ones(len(left), dtype=np.bool_) if may_chain is None else may_chain
    labels = _components(rows, left, right, must_link)
    contested = _contested(labels, left, chain, cannot_link, guarded=incompatible is not None)
    forest = _forest(rows, kinds)
    for first, second in must_link:
        _join_rows(forest, first, second)
    ignored = _separate(forest, cannot_link)
    cut = np.zeros(len(left), dtype=np.bool_)
    in_question = np.flatnonzero(np.isin(labels[left], contested))
    order = in_question[np.lexsort((right[in_question], left[in_question], -weights[in_question]))]
    for link in order.tolist():
        cut[link] = not _take(forest, int(left[link]), int(right[link]), bool(chain[link]), incompatible)
    torn = np.isin(labels, contested)
    labels[torn] = [forest.smallest[forest.root(row)] for row in np.flatnonzero(torn).tolist()]
    return Clustering(labels, cut, ignored)


def _components(rows: int, left: NDArray[np.int64], right: NDArray[np.int64], must_link: Sequence[Pair]) -> NDArray[np.int64]:
    """Connected components, each named by its smallest row."""
    if rows == 0:
        return np.empty(0, dtype=np.int64)
    extra = np.array(must_link, dtype=np.int64).reshape(-1, 2)
    heads, tails = np.concatenate((left, extra[:, 0])), np.concatenate((right, extra[:, 1]))
    graph = coo_array((np.ones(len(heads), dtype=np.int8), (heads, tails)), shape=(rows, rows))
    numbers = connected_components(graph, directed=False)[1]
    smallest = np.full(int(numbers.max()) + 1, rows, dtype=np.int64)
    np.minimum.at(smallest, numbers, np.arange(rows))
    labels: NDArray[np.int64] = smallest[numbers]
    return labels


def _contested(
    labels: NDArray[np.int64], left: NDArray[np.int64], chain: NDArray[np.bool_], cannot_link: Sequence[Pair], *, guarded: bool
) -> NDArray[np.int64]:
    """Components in which a link may have to be cut; the others stand as they are."""
    forbidden = [int(labels[first]) for first, second in cannot_link if labels[first] == labels[second]]
    weak = labels[left[~chain]] if guarded else labels[:0]
    return np.unique(np.concatenate((weak, np.array(forbidden, dtype=np.int64))))


def _forest(rows: int, kinds: NDArray[np.int32] | None) -> _Forest:
    held = [-1] * rows if kinds is None else kinds.tolist()
    return _Forest(list(range(rows)), [{kind} - {-1} for kind in held], [1] * rows, list(range(rows)))


def _join_rows(forest: _Forest, first: int, second: int) -> None:
    left, right = forest.root(first), forest.root(second)
    if left != right:
        forest.join(left, right)


def _separate(forest: _Forest, cannot_link: Iterable[Pair]) -> int:
    ignored = 0
    for first, second in cannot_link:
        left, right = forest.root(first), forest.root(second)
        if left == right:
            ignored += 1
        else:
            forest.separate(left, right)
    return ignored


def _take(forest: _Forest, first: int, second: int, chain: bool, incompatible: Callable[[int, int], bool] | None) -> bool:
    left, right = forest.root(first), forest.root(second)
    if left == right:
        return True
    if forest.are_apart(left, right):
        return False
    if not chain and incompatible is not None and _clash(forest.kinds[left], forest.kinds[right], incompatible):
        return False
    forest.join(left, right)
    return True


def _clash(left: Iterable[int], right: Collection[int], incompatible: Callable[[int, int], bool]) -> bool:
    return any(incompatible(first, second) for first in left for second in right)
