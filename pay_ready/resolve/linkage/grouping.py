"""Clusters from weighed pairs: components, and a guard against chains.

Links are taken from the strongest down. Two groups are joined when their strongest link outweighs what their records, pair by pair,
say against being one on average, and all that is known of these pairs on average as well: one weak link cannot join two well-known
people of one name, a strong one can join a person's records before and after a change of jobs. The outcome depends on which links there
are, never on their order of arrival.
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
DOUBT = 2
_LINKS_AT_ONCE = 1_000_000
Millibits = NDArray[np.int64]
Weighted = tuple[Rows, Rows, Millibits]  # pairs, left < right, and a figure of each


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


@dataclass(frozen=True, slots=True)
class _Said:
    """What is known of pairs of rows, by left * rows + right: what speaks against them, and all evidence together."""

    rows: int
    doubt_of: dict[int, int]
    total_of: dict[int, int]

    def allows(self, weight: int, left: Sequence[int], right: Sequence[int]) -> bool:
        """Whether two groups may be joined by a link of this weight."""
        against, total, known = 0, 0, 0
        rows, doubt_of, total_of = self.rows, self.doubt_of.get, self.total_of.get
        for first in left:
            for second in right:
                code = first * rows + second if first < second else second * rows + first
                against += doubt_of(code, 0)
                if (said := total_of(code)) is not None:
                    total += said
                    known += 1
        return weight * len(left) * len(right) + DOUBT * against >= 0 and weight * known + total >= 0


def group(
    rows: int,
    left: Rows,
    right: Rows,
    weights: Millibits,
    against: Weighted,
    *,
    between: Weighted | None = None,
    must_link: Sequence[Pair] = (),
    cannot_link: Sequence[Pair] = (),
) -> Groups:
    """Cluster `rows` by the links `left[i] - right[i]`.

    Args:
        rows: How many rows there are.
        left, right: Links, each pair once, left < right.
        weights: The evidence of each link; the strongest are taken first.
        against: Pairs (left < right, each once) with what speaks against them, < 0. Pairs that are not there say nothing.
        between: Pairs (left < right, each once) with all their evidence, links among them. Pairs that are not there say nothing.
        must_link: Pairs that belong together whatever the evidence.
        cannot_link: Pairs that are kept apart whatever the evidence; one that contradicts the must-links is ignored and counted.
    """
    must = np.array(must_link, dtype=np.int64).reshape(-1, 2)
    labels = components_of(rows, np.concatenate((left, must[:, 0])), np.concatenate((right, must[:, 1])))
    cut = np.zeros(len(left), dtype=np.bool_)
    forbidden = [(a, b) for a, b in cannot_link if labels[a] == labels[b]]
    contested = _contested(labels, left, weights, against, between)
    contested[[labels[a] for a, _ in forbidden]] = True
    ignored = 0
    for part in _parts(labels, contested, links=left):
        ignored += _regroup(
            part,
            labels,
            cut,
            (left, right, weights),
            _Said(rows, _told(part, labels, against, rows), _told(part, labels, between, rows)),
            [pair for pair in must_link if part[labels[pair[0]]]],
            [pair for pair in forbidden if part[labels[pair[0]]]],
        )
    return Groups(labels=labels, cut=cut, ignored_decisions=ignored)


def _contested(labels: NDArray[np.int64], left: Rows, weights: Millibits, against: Weighted, between: Weighted | None) -> Mask:
    """By label, components in which a join may be refused: a mean outweighs no link unless one of its pairs does."""
    weakest = np.full(len(labels), np.iinfo(np.int64).max)
    np.minimum.at(weakest, labels[left], weights)
    contested = np.zeros(len(labels), dtype=np.bool_)
    for (first, second, said), factor in ((against, DOUBT), (between, 1)) if between is not None else ((against, DOUBT),):
        telling = (labels[first] == labels[second]) & (factor * said < -weakest[labels[first]])
        contested[labels[first[telling]]] = True
    return contested


def _parts(labels: NDArray[np.int64], contested: Mask, links: Rows) -> list[Mask]:
    """Contested components, so many at a time that what is known of their pairs fits in memory: by label."""
    if not contested.any():
        return []
    held = np.bincount(labels[links], minlength=len(labels)) * contested
    number = np.cumsum(held) // _LINKS_AT_ONCE
    return [contested & (number == each) for each in np.unique(number[contested]).tolist()]


def _told(part: Mask, labels: NDArray[np.int64], pairs: Weighted | None, rows: int) -> dict[int, int]:
    if pairs is None:
        return {}
    first, second, values = pairs
    held = part[labels[first]] & (labels[first] == labels[second])
    return dict(zip((first[held].astype(np.int64) * rows + second[held]).tolist(), values[held].tolist(), strict=True))


def _regroup(
    part: Mask,
    labels: NDArray[np.int64],
    cut: Mask,
    links: Weighted,
    said: _Said,
    must_link: Sequence[Pair],
    forbidden: Sequence[Pair],
) -> int:
    """Cluster the rows of some components anew, in `labels` and `cut`; how many decisions were ignored."""
    groups = _Groups.of(np.flatnonzero(part[labels]).tolist())
    for a, b in must_link:
        if groups.root_of[a] != groups.root_of[b]:
            groups.join(groups.root_of[a], groups.root_of[b])
    ignored = 0
    for a, b in forbidden:
        if groups.root_of[a] == groups.root_of[b]:
            ignored += 1
        else:
            groups.separate(groups.root_of[a], groups.root_of[b])
    left, right, weights = links
    inside = np.flatnonzero(part[labels[left]]) if len(left) else np.empty(0, dtype=np.int64)
    order = inside[np.lexsort((right[inside], left[inside], -weights[inside]))]
    refused, root_of = [], groups.root_of
    for link, one, other, weight in zip(order.tolist(), left[order].tolist(), right[order].tolist(), weights[order].tolist(), strict=True):
        if root_of[one] != root_of[other] and not _taken(groups, root_of[one], root_of[other], weight, said):
            refused.append(link)
    cut[refused] = True
    for members in groups.members.values():
        labels[members] = min(members)
    return ignored


def _taken(groups: _Groups, left: int, right: int, weight: int, said: _Said) -> bool:
    """Whether two groups, by their roots, were joined by a link."""
    if right in groups.apart.get(left, ()) or not said.allows(weight, groups.members[left], groups.members[right]):
        return False
    groups.join(left, right)
    return True
