"""How sure clusters are: what each join of two groups of records rests on.

A cluster comes about by joins, the strongest link first (Kruskal 1956). If a join is wrong, so is every pair of records that it brings
together. How likely it is right is told by two figures that err in opposite ways. The strongest link between the two groups
is the best of many, and so says too much; the pairs between them on average say too little, for many records are poor. A join is
taken to be as sure as the mean of the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from pay_ready.resolve.linkage.columns import Rows
from pay_ready.resolve.linkage.grouping import components_of
from pay_ready.resolve.linkage.learning import probability

Millibits = NDArray[np.int64]
_SURE = 14_000  # from here on a link is right for all that matters (2^-14), and its records are taken as one
_HARDLY = -6_000  # up to here a pair is so unlikely a match that its rivals do not matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """The joins that made clusters, strongest first; those by links that are sure are left out."""

    strongest: NDArray[np.float64]  # millibits of the strongest link between the two groups
    average: NDArray[np.float64]  # mean millibits of the known pairs between them, at most those of the strongest
    pairs: NDArray[np.int64]  # records of one group times records of the other

    @property
    def doubt(self) -> NDArray[np.float64]:
        """The probability that each join is wrong."""
        doubt: NDArray[np.float64] = probability(-(self.strongest + self.average) / 2_000)
        return doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Pairs of records with the evidence that they are one."""

    left: Rows
    right: Rows
    total: Millibits


def joins_of(rows: int, links: Evidence, known: Evidence) -> Joins:
    """The joins that the links bring about.

    Args:
        rows: How many records there are.
        links: What clusters hold by, each pair once.
        known: Further pairs of which the evidence is known; those of two clusters say nothing here.
    """
    sure = links.total >= _SURE
    nodes, sizes = _numbered(components_of(rows, links.left[sure], links.right[sure]))
    left, right, weights = _strongest_tree(nodes[links.left[~sure]], nodes[links.right[~sure]], links.total[~sure], len(sizes))
    parents, products = _merged(left, right, sizes)
    join = _join_of(parents, nodes[known.left], nodes[known.right]) - len(sizes)
    told = join >= 0
    counts = np.bincount(join[told], minlength=len(weights))
    sums = np.bincount(join[told], weights=known.total[told], minlength=len(weights))
    average = np.where(counts > 0, sums / np.maximum(counts, 1), weights)
    return Joins(strongest=weights, average=np.clip(average, 0.0, weights), pairs=products)


def predicted_precision(joins: Joins, labels: NDArray[np.int64]) -> float:
    """The share of the pairs in one cluster that are expected to be right: a wrong join spoils every pair that it makes."""
    sizes = np.bincount(labels).astype(np.float64)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    return max(1.0 - float((joins.doubt * joins.pairs).sum()) / pairs, 0.0) if pairs else 1.0


def predicted_recall(right: float, missed: Evidence, labels: NDArray[np.int64]) -> float:
    """The share of the matches among the pairs compared that are found.

    A record that is like several clusters belongs to one of them at most: what speaks for the others speaks against each. With odds o
    of a pair, and odds r of the best pair of each rival cluster, the pair is a match with probability o / (1 + o + sum of r).

    Args:
        right: Pairs in one cluster that are expected to be right.
        missed: Candidate pairs in two clusters.
        labels: By record its cluster.
    """
    near = missed.total > _HARDLY
    left, right_rows = missed.left[near], missed.right[near]
    odds = np.exp2(np.minimum(missed.total[near], _SURE) / 1_000)
    rivals = np.maximum(_rivals(left, labels[right_rows], odds, len(labels)), _rivals(right_rows, labels[left], odds, len(labels)))
    lost = float((odds / (1.0 + odds + rivals)).sum()) + float(probability(missed.total[~near] / 1_000).sum())
    return right / (right + lost) if right + lost else 1.0


def _rivals(rows: Rows, clusters: NDArray[np.int64], odds: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """By pair of a row and a cluster: the best odds of every other cluster that the row is compared with, added up."""
    order = np.lexsort((-odds, rows * size + clusters))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (rows[order][1:] != rows[order][:-1]) | (clusters[order][1:] != clusters[order][:-1])
    best = odds[order[first]]
    all_best = np.bincount(rows[order[first]], weights=best, minlength=size)
    rivals = np.empty(len(order))
    rivals[order] = all_best[rows[order]] - best[np.cumsum(first) - 1]
    return np.maximum(rivals, 0.0)


def _numbered(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels that are the first row of each group, as 0, 1, ...; and the rows of each group."""
    sizes = np.bincount(labels, minlength=len(labels))
    return (np.cumsum(sizes > 0) - 1)[labels], sizes[sizes > 0]


def _strongest_tree(left: Rows, right: Rows, total: Millibits, size: int) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """The spanning forest of the strongest links, strongest first; of several links between two nodes the strongest counts."""
    low, high = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((-total, low * size + high))
    low, high, ordered = low[order], high[order], total[order].astype(np.float64)
    first = np.ones(len(low), dtype=np.bool_)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first &= low != high
    low, high, ordered = low[first], high[first], ordered[first]
    if not len(low):
        return low, high, ordered
    # The least spanning tree of costs that are all above 0, for scipy takes 0 as no edge.
    highest = float(ordered.max()) + 1.0
    tree = minimum_spanning_tree(coo_array((highest - ordered, (low, high)), shape=(size, size)).tocsr()).tocoo()
    found = np.lexsort((tree.col, tree.row, tree.data))
    weights: NDArray[np.float64] = highest - tree.data[found]
    return tree.row[found].astype(np.int64), tree.col[found].astype(np.int64), weights


def _merged(left: Rows, right: Rows, sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Joins in their order as a forest: the parent of every node (join i is node `len(sizes) + i`, -1 for a root), pairs by join."""
    leaves = len(sizes)
    parents = np.full(leaves + len(left), -1, dtype=np.int64)
    products = np.zeros(len(left), dtype=np.int64)
    # Union-find over the nodes that are joined: the node that each group has become, and its records.
    top: dict[int, int] = {}
    held: dict[int, int] = {}

    def find(node: int) -> int:
        path = []
        while node in top:
            path.append(node)
            node = top[node]
        for each in path:
            top[each] = node
        return node

    for number, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        first, second = find(one), find(other)
        records = [held.pop(root) if root >= leaves else int(sizes[root]) for root in (first, second)]
        joined = leaves + number
        top[first] = top[second] = joined
        parents[first] = parents[second] = joined
        held[joined] = records[0] + records[1]
        products[number] = records[0] * records[1]
    return parents, products


def _join_of(parents: NDArray[np.int64], left: Rows, right: Rows) -> Rows:
    """The node that each pair of leaves is first together in, -1 where they never are; -1 too where both are one leaf."""
    found = np.full(len(left), -1, dtype=np.int64)
    at = np.flatnonzero(left != right)
    one, other = left[at], right[at]
    while len(at):
        # Parents have higher numbers than their children: of two different nodes the lower cannot hold the higher.
        low, high = parents[np.minimum(one, other)], np.maximum(one, other)
        met = low == high
        found[at[met]] = low[met]
        going = ~met & (low >= 0)
        at, one, other = at[going], low[going], high[going]
    return found
