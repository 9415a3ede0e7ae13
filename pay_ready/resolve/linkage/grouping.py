"""Clusters from weighed pairs: components, and a guard against chains.

Links are taken from the strongest down. Two groups are joined when their strongest link outweighs what their records, pair by pair,
say against being one on average: one weak link cannot join two well-known people of one name, a strong one can join a
person's records before and after a change of jobs. The outcome depends on which links there are, never on their order of arrival.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pay_ready.resolve.linkage.columns import Mask, Rows

Pair = tuple[int, int]
# What speaks against a join counts double: a wrong join makes many wrong pairs, a missed one few.
_DOUBT = 2
Millibits = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """A label per row (the smallest row of its cluster), the links that were cut, and decisions that contradict earlier ones."""

    labels: NDArray[np.int64]
    cut: Mask  # by link, in the order given
    ignored_decisions: int


def components_of(rows: int, left: Rows, right: Rows) -> NDArray[np.int64]:
    """Connected components, each named by its smallest row."""
    if rows == 0:
        return np.empty(0, dtype=np.int64)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(rows, rows))
    count, numbers = connected_components(graph, directed=False)
    smallest = np.full(count, rows, dtype=np.int64)
    # Rows ascend, so the last written of the reversed order is the smallest.
    smallest[numbers[::-1]] = np.arange(rows - 1, -1, -1)
    labels: NDArray[np.int64] = smallest[numbers]
    return labels


@dataclass(slots=True)
class _Groups:
    """Union-find over the rows of contested components, with the members of every root and the roots it must stay apart from."""

    root_of: dict[int, int]
    members: dict[int, list[int]]
    apart: dict[int, set[int]]

    @classmethod
    def of(cls, rows: Sequence[int]) -> "_Groups":
        return cls({row: row for row in rows}, {row: [row] for row in rows}, {})

    def join(self, left: int, right: int) -> None:
        keep, gone = (left, right) if len(self.members[left]) >= len(self.members[right]) else (right, left)
        for row in self.members[gone]:
            self.root_of[row] = keep
        self.members[keep].extend(self.members.pop(gone))
        for other in self.apart.pop(gone, set()):
            self.apart[other].discard(gone)
            self.separate(keep, other)

    def separate(self, left: int, right: int) -> None:
        self.apart.setdefault(left, set()).add(right)
        self.apart.setdefault(right, set()).add(left)


def group(
    rows: int,
    left: Rows,
    right: Rows,
    weights: Millibits,
    against: tuple[Rows, Rows, Millibits],
    *,
    must_link: Sequence[Pair] = (),
    cannot_link: Sequence[Pair] = (),
) -> Groups:
    """Cluster `rows` by the links `left[i] - right[i]`.

    Args:
        rows: How many rows there are.
        left, right: Links, each pair once, left < right.
        weights: What each link has above the threshold; the strongest are taken first.
        against: Pairs (left < right, each once) with what speaks against them, < 0. Pairs that are not there say nothing.
        must_link: Pairs that belong together whatever the evidence.
        cannot_link: Pairs that are kept apart whatever the evidence; one that contradicts the must-links is ignored and counted.
    """
    must = np.array(must_link, dtype=np.int64).reshape(-1, 2)
    labels = components_of(rows, np.concatenate((left, must[:, 0])), np.concatenate((right, must[:, 1])))
    cut = np.zeros(len(left), dtype=np.bool_)
    first, second, doubts = against
    inside = labels[first] == labels[second]
    first, second, doubts = first[inside], second[inside], doubts[inside]
    forbidden = [(a, b) for a, b in cannot_link if labels[a] == labels[b]]
    contested = np.zeros(rows, dtype=np.bool_)
    contested[labels[first]] = True
    contested[[labels[a] for a, _ in forbidden]] = True
    torn = np.flatnonzero(contested[labels]) if rows else np.empty(0, dtype=np.int64)
    groups = _Groups.of(torn.tolist())
    for a, b in must_link:
        if contested[labels[a]] and groups.root_of[a] != groups.root_of[b]:
            groups.join(groups.root_of[a], groups.root_of[b])
    ignored = 0
    for a, b in forbidden:
        if groups.root_of[a] == groups.root_of[b]:
            ignored += 1
        else:
            groups.separate(groups.root_of[a], groups.root_of[b])
    doubt_of = dict(zip((first * rows + second).tolist(), doubts.tolist(), strict=True))
    in_question = np.flatnonzero(contested[labels[left]]) if len(left) else np.empty(0, dtype=np.int64)
    order = in_question[np.lexsort((right[in_question], left[in_question], -weights[in_question]))]
    for link, one, other, weight in zip(order.tolist(), left[order].tolist(), right[order].tolist(), weights[order].tolist(), strict=True):
        cut[link] = not _taken(groups, one, other, weight, doubt_of, rows)
    for members in groups.members.values():
        labels[members] = min(members)
    return Groups(labels=labels, cut=cut, ignored_decisions=ignored)


def _taken(groups: _Groups, one: int, other: int, weight: int, doubt_of: dict[int, int], rows: int) -> bool:
    left, right = groups.root_of[one], groups.root_of[other]
    if left == right:
        return True
    if right in groups.apart.get(left, ()):
        return False
    against, pairs = 0, 0
    for first in groups.members[left]:
        for second in groups.members[right]:
            against += doubt_of.get(first * rows + second if first < second else second * rows + first, 0)
            pairs += 1
    if weight * pairs + _DOUBT * against < 0:
        return False
    groups.join(left, right)
    return True
