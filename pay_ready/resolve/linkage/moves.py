"""Which pairs become worth comparing, and which may cease to be, when records come, change and go.

What is stored of a record are its blocks: rule and key in one number, with the place that it takes in a block too large to be compared
whole. Of all other records only those matter that share a block with one that moved. The answer is that of `blocks.candidates_of` before
and after.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pay_ready.resolve.linkage.blocks import KEY_BITS, BlockRule, counted, held_by, name_number, with_copies
from pay_ready.resolve.linkage.columns import Keys, Mask, Rows, distinct

# Ids are 16 bytes and compare as such.
PAIR = np.dtype([("left", "S16"), ("right", "S16")])  # the lower id on the left
# A record in a block at its place.
MEMBER = np.dtype([("block", "<i8"), ("place", "<i8"), ("record", "S16")])
# One of the nearest others before or after the `number`-th place that was asked about; the nearest first.
NEAR = np.dtype([("number", "<i8"), ("after", "<i8"), ("block", "<i8"), ("place", "<i8"), ("record", "S16")])
Members = NDArray[np.void]
Codes = NDArray[np.int64]
_NO_CODES: Codes = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How large a block of a rule may be, and how far apart records of larger ones are still compared."""

    cap: int
    window: int


Bounds = Mapping[int, Bound]  # by number of the rule


def bounds_of(kind: str, rules: Sequence[BlockRule]) -> dict[int, Bound]:
    """The bounds of rules and of copies, by number; `kind` is what the records are about: people share no block with companies."""
    return {_rule_number(kind, rule): Bound(cap=rule.cap, window=rule.window) for rule in with_copies(rules)}


def _rule_number(kind: str, rule: BlockRule) -> int:
    return name_number(f"{kind}.{rule.name}")


def members_of(kind: str, rules: Sequence[BlockRule], ids: NDArray[np.bytes_]) -> Members:
    """Every record with each of its blocks, once, by record; `ids` are those of the rows, `kind` as in `bounds_of`."""
    blocks, places, rows = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for rule in with_copies(rules):
        held, keys = held_by(rule)
        rows.append(held)
        blocks.append(keys | _rule_number(kind, rule) << KEY_BITS)
        places.append(rule.order[held] if rule.window and rule.order is not None else np.zeros(len(held), dtype=np.int64))
    row, block, place = np.concatenate(rows), np.concatenate(blocks), np.concatenate(places)
    order = np.lexsort((block, row))
    row, block, place = row[order], block[order], place[order]
    once = np.ones(len(row), dtype=np.bool_)
    once[1:] = (row[1:] != row[:-1]) | (block[1:] != block[:-1])
    found = np.empty(int(np.count_nonzero(once)), dtype=MEMBER)
    found["block"], found["place"], found["record"] = block[once], place[once], ids[row[once]]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The blocks that moved records were in and are in, and how full they are beside them."""

    blocks: Keys  # ascending
    caps: NDArray[np.int64]
    windows: NDArray[np.int64]
    old: Members
    new: Members

    @property
    def limits(self) -> NDArray[np.int64]:
        """How many others of each block must be known: one more than may be there."""
        return self.caps + 1

    def counts(self, members: Members) -> NDArray[np.int64]:
        """Members of each block."""
        return np.bincount(np.searchsorted(self.blocks, members["block"]), minlength=len(self.blocks)).astype(np.int64)

    def was_hot(self, others: Members) -> Mask:
        """Blocks that were too large; `others` are all who did not move, or one more than may be there."""
        return np.asarray(self.counts(others) + self.counts(self.old) > self.caps)

    def is_hot(self, others: Members) -> Mask:
        """Blocks that are too large now."""
        return np.asarray(self.counts(others) + self.counts(self.new) > self.caps)

    def grown(self, blocks: Keys, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sizes of blocks without those who moved, with those of them who are there now."""
        at = np.minimum(np.searchsorted(self.blocks, blocks), max(len(self.blocks) - 1, 0))
        known = self.blocks[at] == blocks if len(self.blocks) else np.zeros(len(blocks), dtype=np.bool_)
        return sizes + np.where(known, self.counts(self.new)[at] if len(self.blocks) else 0, 0)

    def arrived_between(self, first: Members, last: Members) -> NDArray[np.int64]:
        """How many of those who moved are now between two places of a block."""
        line = np.unique(self.new)
        return np.searchsorted(line, last, side="left") - np.searchsorted(line, first, side="right")

    def places_to_ask(self, others: Members) -> Members:
        """Places of which the neighbours decide: old and new ones in blocks with others that are compared in a window."""
        windowed = self.is_hot(others) & (self.windows > 0) & (self.counts(others) > 0)
        both = np.concatenate((self.old, self.new))
        return np.unique(both[windowed[np.searchsorted(self.blocks, both["block"])]])


def moved(old: Members, new: Members, bounds: Bounds) -> Moved:
    """The blocks of moved records, before and after."""
    blocks = distinct(np.concatenate((old["block"], new["block"])))
    rules, at = np.unique(blocks >> KEY_BITS, return_inverse=True)
    caps = np.array([bounds[number].cap for number in rules.tolist()], dtype=np.int64)
    windows = np.array([bounds[number].window for number in rules.tolist()], dtype=np.int64)
    return Moved(blocks=blocks, caps=caps[at], windows=windows[at], old=old, new=new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What moved between pairs: as codes `low * len(ids) + high` of positions in `ids`."""

    ids: NDArray[np.bytes_]  # ascending
    gained: Codes  # pairs worth comparing: all with a record that moved, and those of others that may be new
    doubtful: Codes  # pairs of others that may no longer be worth comparing

    def sides(self, codes: Codes) -> tuple[Rows, Rows]:
        """Positions in `ids`, the lower id first."""
        return codes // max(len(self.ids), 1), codes % max(len(self.ids), 1)

    def pairs(self, codes: Codes) -> NDArray[np.void]:
        """The ids (`PAIR`)."""
        left, right = self.sides(codes)
        found = np.empty(len(codes), dtype=PAIR)
        found["left"], found["right"] = self.ids[left], self.ids[right]
        return found


def moves_of(moved: Moved, others: Members, near: Members) -> Moves:
    """The pairs that change.

    Args:
        moved: The blocks in question.
        others: Who is in them and did not move: all, or as many as `Moved.limits` say.
        near: The nearest others on both sides of each of `Moved.places_to_ask`, as many as its block's window (`NEAR`).
    """
    ids = np.unique(np.concatenate([each["record"] for each in (moved.old, moved.new, others, near)]))
    was_hot, is_hot = moved.was_hot(others), moved.is_hot(others)
    size = max(len(ids), 1)

    def entries(members: Members, of: Mask) -> "_Entries":
        at = np.searchsorted(moved.blocks, members["block"])
        kept = of[at]
        chosen = members[kept]
        order = np.argsort(at[kept], kind="stable")
        return _Entries(at[kept][order], np.searchsorted(ids, chosen["record"])[order])

    new = entries(moved.new, ~is_hot)
    beside = entries(others, ~is_hot)
    freed = entries(others, ~is_hot & was_hot)
    closed = entries(others, is_hot & ~was_hot)
    windows = _windows(moved, ids, near, is_hot)
    gained = [_across(new, beside, size), _within(new, size), _within(freed, size), windows.gained]
    doubtful = distinct(np.concatenate((_within(closed, size), windows.doubtful)))
    everything = distinct(np.concatenate(gained))
    return Moves(ids=ids, gained=everything, doubtful=doubtful[~np.isin(doubtful, everything)])


@dataclass(frozen=True, slots=True)
class _Entries:
    """Records in blocks, sorted by block; both by position."""

    blocks: Rows
    records: Rows


def _across(first: _Entries, second: _Entries, size: int) -> Codes:
    """Every pair of one of the first and one of the second in the same block."""
    starts = np.searchsorted(second.blocks, first.blocks, side="left")
    partners = np.searchsorted(second.blocks, first.blocks, side="right") - starts
    left = np.repeat(first.records, partners)
    right = second.records[np.repeat(starts, partners) + counted(partners)]
    return _codes(left, right, size)


def _within(entries: _Entries, size: int) -> Codes:
    """Every pair of the same block."""
    position = np.arange(len(entries.blocks))
    partners = np.searchsorted(entries.blocks, entries.blocks, side="right") - position - 1
    left = np.repeat(entries.records, partners)
    right = entries.records[np.repeat(position, partners) + 1 + counted(partners)]
    return _codes(left, right, size)


def _codes(left: Rows, right: Rows, size: int) -> Codes:
    apart = left != right
    codes: Codes = (np.minimum(left, right) * size + np.maximum(left, right))[apart]
    return codes


@dataclass(frozen=True, slots=True)
class _Windows:
    gained: Codes
    doubtful: Codes


def _windows(moved: Moved, ids: NDArray[np.bytes_], near: Members, is_hot: Mask) -> _Windows:
    """Pairs of blocks that are compared in a window, as far as they lie near a place that was left or taken."""
    at = np.searchsorted(moved.blocks, moved.new["block"])
    new = moved.new[is_hot[at] & (moved.windows[at] > 0)]
    if not len(near) and not len(new):
        return _Windows(_NO_CODES, _NO_CODES)
    size = max(len(ids), 1)
    adjacent = _adjacent(near)
    known = np.unique(np.concatenate((near[["block", "place", "record"]].astype(MEMBER), new)))
    is_new = np.isin(known, new)
    line = _Line.of(moved, ids, known, is_new, adjacent)
    left_of = distinct(moved.old["block"])
    straddled = np.isin(line.block, left_of)
    now = line.pairs(size, lambda first, second: line.is_new[first] | line.is_new[second] | straddled[first])
    stayed = known[~is_new]
    before = _Line.of(moved, ids, stayed, np.zeros(len(stayed), dtype=np.bool_), adjacent)
    taken = np.isin(before.block, distinct(new["block"]))
    then = before.pairs(size, lambda first, _: taken[first])
    return _Windows(gained=now, doubtful=then[~np.isin(then, line.pairs(size, lambda first, _: np.ones(len(first), dtype=np.bool_)))])


def _adjacent(near: Members) -> Members:
    """Others of which the next in their block was told with them: the two members one after the other."""
    # By place: those before it from the farthest on, then those after it.
    order = np.lexsort((near["record"], near["place"], near["number"]))
    sorted_near = near[order]
    if len(sorted_near) < 2:
        return np.empty(0, dtype=[("first", MEMBER), ("second", MEMBER)])
    together = sorted_near["number"][1:] == sorted_near["number"][:-1]
    members = sorted_near[["block", "place", "record"]].astype(MEMBER)
    found = np.empty(int(np.count_nonzero(together)), dtype=[("first", MEMBER), ("second", MEMBER)])
    found["first"], found["second"] = members[:-1][together], members[1:][together]
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """Members of blocks by place, in runs without a gap."""

    block: Keys
    window: NDArray[np.int64]
    record: Rows
    is_new: Mask
    run: Rows

    @classmethod
    def of(cls, moved: Moved, ids: NDArray[np.bytes_], members: Members, is_new: Mask, adjacent: Members) -> "_Line":
        """`members` sorted, each once. Two others are next to each other if they are known to be; who is new knows its neighbours."""
        linked = np.empty(max(len(members) - 1, 0), dtype=adjacent.dtype)
        linked["first"], linked["second"] = members[:-1], members[1:]
        joined = is_new[1:] | is_new[:-1] | _is_among(linked, adjacent)
        joined &= members["block"][1:] == members["block"][:-1]
        run = np.concatenate((np.zeros(1 if len(members) else 0, dtype=np.int64), np.cumsum(~joined, dtype=np.int64)))
        window = moved.windows[np.searchsorted(moved.blocks, members["block"])]
        return cls(members["block"], window, np.searchsorted(ids, members["record"]), is_new, run)

    def pairs(self, size: int, of: Callable[[Rows, Rows], Mask]) -> Codes:
        """Pairs at most a window apart."""
        found = [np.empty(0, dtype=np.int64)]
        for step in range(1, int(self.window.max(initial=0)) + 1):
            first = np.arange(max(len(self.run) - step, 0))
            second = first + step
            kept = (self.run[first] == self.run[second]) & (self.window[first] >= step)
            first, second = first[kept], second[kept]
            chosen = of(first, second)
            found.append(_codes(self.record[first[chosen]], self.record[second[chosen]], size))
        return distinct(np.concatenate(found))


def _is_among(pairs: Members, known: Members) -> Mask:
    """Which of these pairs of members are among the known ones."""
    numbers, at = np.unique(np.concatenate((pairs["first"], pairs["second"], known["first"], known["second"])), return_inverse=True)
    size = max(len(numbers), 1)
    first, second = at[: len(pairs)], at[len(pairs) : 2 * len(pairs)]
    one, other = at[2 * len(pairs) : 2 * len(pairs) + len(known)], at[2 * len(pairs) + len(known) :]
    return np.isin(first * size + second, one * size + other)


class Standing(Protocol):
    """Those who did not move, in their blocks."""

    def others(self, blocks: Keys, limits: NDArray[np.int64]) -> Members:
        """The members of blocks, of each as many as its limit says."""

    def near(self, asked: Members, windows: NDArray[np.int64]) -> Members:
        """The nearest members on both sides of places, as many as each window says (`NEAR`); the first place is number 1."""

    def sizes(self, blocks: Keys, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many members blocks have, counted up to a limit each."""

    def between(self, first: Members, last: Members, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many members lie between two places of a block, counted up to a window each."""


def found_moves(moved: Moved, standing: Standing) -> Moves:
    """`moves_of` those who stand."""
    others = standing.others(moved.blocks, moved.limits)
    asked = moved.places_to_ask(others)
    return moves_of(moved, others, standing.near(asked, moved.windows[np.searchsorted(moved.blocks, asked["block"])]))


def is_compared(pairs: NDArray[np.void], members: Members, moved: Moved, bounds: Bounds, standing: Standing) -> Mask:
    """Which pairs (`left`, `right`) of those who stand are worth comparing now; `members` are the blocks of all of them."""
    shared = _shared_blocks(pairs, members, bounds)
    blocks, first_of, at = np.unique(shared.blocks, return_index=True, return_inverse=True)  # many pairs share a block
    caps = shared.caps[first_of]
    is_cold = (moved.grown(blocks, standing.sizes(blocks, caps + 1)) <= caps)[at]
    compared = np.zeros(len(pairs), dtype=np.bool_)
    compared[shared.pairs[is_cold]] = True
    asked = ~is_cold & (shared.windows > 0) & ~compared[shared.pairs]
    first, last, windows = shared.first[asked], shared.last[asked], shared.windows[asked]
    apart = standing.between(first, last, windows) + moved.arrived_between(first, last)
    compared[shared.pairs[asked][apart < windows]] = True
    return compared


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """Blocks that both records of a pair are in, with their places, the earlier first."""

    pairs: Rows  # position of the pair
    blocks: Keys
    caps: NDArray[np.int64]
    windows: NDArray[np.int64]
    first: Members
    last: Members


def _shared_blocks(pairs: NDArray[np.void], members: Members, bounds: Bounds) -> _Shared:
    """The blocks that both sides (`left`, `right`) of pairs are in; `members` are those of all these records."""
    held: dict[bytes, dict[int, int]] = {}
    for block, place, record in members.tolist():
        held.setdefault(record, {})[block] = place
    numbers: list[int] = []
    ends: list[list[tuple[int, int, bytes]]] = []
    for number, (left, right) in enumerate(pairs.tolist()):
        one, other = held.get(left, {}), held.get(right, {})
        for block in sorted(one.keys() & other.keys()):
            numbers.append(number)
            ends.append(sorted(((block, one[block], left), (block, other[block], right))))
    first, last = (np.array([each[side] for each in ends], dtype=MEMBER) for side in (0, 1))
    rules = [bounds[block >> KEY_BITS] for block in first["block"].tolist()]
    return _Shared(
        pairs=np.array(numbers, dtype=np.int64),
        blocks=first["block"],
        caps=np.array([each.cap for each in rules], dtype=np.int64),
        windows=np.array([each.window for each in rules], dtype=np.int64),
        first=first,
        last=last,
    )
