"""Which pairs are worth comparing: records that share a key of some rule, each pair once.

A block larger than its rule's cap is compared in a sorted window or left out, and reported; its records stay reachable through
other rules. Records of hot blocks that share every key are one another's copies: each is compared with the next, however many there are.
Whether a block is hot depends on its present size alone, so that increments and a full run agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pay_ready.resolve.linkage.columns import Keys, Rows, distinct, key_of

KEY_BITS = 38  # of a key that are told apart: with them 33 million rows fit beside a key in one number
_CODES_AT_ONCE = 40_000_000
KEYS_OF_A_COPY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRule:
    """One rule: record `rows[i]` (every record, if None) holds key `keys[i]`, -1 for none.

    Of a block above `cap` records only those are compared that are at most `window` apart when sorted by `order`: the sorted
    neighbourhood (Hernandez and Stolfo 1995).
    """

    name: str
    keys: Keys
    cap: int
    rows: Rows | None = None
    window: int = 0
    order: Keys | None = None  # by record: what neighbours in a window have in common
    extra: bool = False  # hot blocks of a rule that only adds to others are no loss, and not reported


@dataclass(frozen=True, slots=True, kw_only=True)
class HotBlocks:
    """What a rule's cap left out."""

    rule: str
    blocks: int
    records: int
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Pairs of rows, `left < right`, sorted, each once."""

    left: Rows
    right: Rows
    hot: tuple[HotBlocks, ...]
    by_rule: dict[str, int]  # pairs of each rule, before those of several rules are counted once


def candidates_of(rules: Sequence[BlockRule], records: int) -> Candidates:
    """The pairs of all rules together (`with_copies`)."""
    codes: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    hot: list[HotBlocks] = []
    by_rule: dict[str, int] = {}
    for rule in rules:
        rows, starts, sizes = _blocks(rule)
        large = sizes > rule.cap
        if large.any():
            held = sizes[large]
            near = _pairs_near(rows, starts[large], held, rule, records)
            codes.append(near)
            by_rule[rule.name] = by_rule.get(rule.name, 0) + len(near)
            lost = int((held * (held - 1) // 2).sum()) - len(near)
            if not rule.extra:
                hot.append(HotBlocks(rule=rule.name, blocks=len(held), records=int(held.sum()), pairs=lost))
        usable = (sizes > 1) & ~large
        within = _pairs_within(rows, starts[usable], sizes[usable], records)
        by_rule[rule.name] = by_rule.get(rule.name, 0) + len(within)
        codes.append(within)
        if sum(map(len, codes)) > _CODES_AT_ONCE:
            codes = [distinct(np.concatenate(codes))]
    found = distinct(np.concatenate(codes))
    left, right = _sides(found, records)
    return Candidates(left=left, right=right, hot=tuple(hot), by_rule=by_rule)


def _sides(codes: NDArray[np.int64], records: int) -> tuple[Rows, Rows]:
    """The rows of left * records + right; one division is cheaper than two."""
    left = codes // max(records, 1)
    return left, codes - left * max(records, 1)


def copies_rule(rules: Sequence[BlockRule]) -> BlockRule | None:
    """Each record with the next that has the same key by every rule, and at least two of them: they are compared above every cap."""
    kept = [rule for rule in rules if rule.rows is None and not rule.extra]
    if len(kept) < KEYS_OF_A_COPY:
        return None
    # A sum: a rule by which no record here has a key leaves no trace.
    held = [np.where(rule.keys >= 0, key_of(rule.keys, np.full(len(rule.keys), name_number(rule.name))), 0) for rule in kept]
    known = np.add.reduce([rule.keys >= 0 for rule in kept], dtype=np.int64)
    together = np.add.reduce([each.view(np.uint64) for each in held]) >> np.uint64(1)
    keys = np.where(known >= KEYS_OF_A_COPY, together.astype(np.int64), -1)
    return BlockRule(name="copies", keys=keys, cap=1, window=1, extra=True)


def with_copies(rules: Sequence[BlockRule]) -> list[BlockRule]:
    """The rules and that of copies, where there is one."""
    copies = copies_rule(rules)
    return [*rules, *([copies] if copies else [])]


def name_number(name: str) -> int:
    """A number of 25 bits for the name of a rule, the same everywhere."""
    return crc32(name.encode()) & ((1 << (63 - KEY_BITS)) - 1)


def cut(keys: Keys) -> Keys:
    """Keys (>= 0) as far as they are told apart. Two that fall together cost a few comparisons more, the same ones every time."""
    return keys & ((1 << KEY_BITS) - 1)


def held_by(rule: BlockRule) -> tuple[Rows, Keys]:
    """The rows that have a key by a rule, and their keys, cut."""
    held = np.flatnonzero(rule.keys >= 0)
    return held if rule.rows is None else rule.rows[held], cut(rule.keys[held])


def _blocks(rule: BlockRule) -> tuple[Rows, Rows, Rows]:
    """Rows grouped by key, each row once per key, ascending; start and size of every block."""
    rows, keys = held_by(rule)
    if not len(rows):
        return rows, rows, rows
    bits = 63 - KEY_BITS
    if int(rows.max()).bit_length() <= bits:
        # Key and row in one number: sorting numbers is many times faster than sorting positions.
        packed = keys << bits | rows
        packed.sort()
        rows, keys = packed & ((1 << bits) - 1), packed >> bits
    else:
        order = np.lexsort((rows, keys))
        rows, keys = rows[order], keys[order]
    if rule.rows is not None:
        once = np.concatenate(([True], (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])))
        rows, keys = rows[once], keys[once]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return rows, starts, np.diff(np.append(starts, len(keys)))


def _pairs_within(rows: Rows, starts: Rows, sizes: Rows, records: int) -> NDArray[np.int64]:
    """Every pair of each block as left * records + right; rows ascend within a block."""
    member = np.repeat(starts, sizes) + counted(sizes)
    partners = np.repeat(starts + sizes, sizes) - member - 1
    codes: NDArray[np.int64] = np.repeat(rows[member], partners) * records + rows[np.repeat(member, partners) + 1 + counted(partners)]
    return codes


def _pairs_near(rows: Rows, starts: Rows, sizes: Rows, rule: BlockRule, records: int) -> NDArray[np.int64]:
    """Pairs of each block that are at most the rule's window apart."""
    if not rule.window:
        return np.empty(0, dtype=np.int64)
    member = rows[np.repeat(starts, sizes) + counted(sizes)]
    block = np.repeat(np.arange(len(starts)), sizes)
    order = np.lexsort((member, member if rule.order is None else rule.order[member], block))
    member, block = member[order], block[order]
    found = []
    for step in range(1, rule.window + 1):
        first, second = member[:-step], member[step:]
        same = block[:-step] == block[step:]
        found.append(np.minimum(first, second)[same] * records + np.maximum(first, second)[same])
    return np.concatenate(found)


def counted(lengths: Rows) -> Rows:
    """0, 1, ... within each run of the given lengths."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def joined_rule(name: str, parts: Sequence[Keys], cap: int, window: int = 0, order: Keys | None = None) -> BlockRule:
    """Several keys by record as one rule."""
    rows = np.tile(np.arange(len(parts[0])), len(parts))
    return BlockRule(name=name, keys=np.concatenate(parts), cap=cap, rows=rows, window=window, order=order)


def pairs_inside(labels: NDArray[np.int64], largest: int) -> tuple[Rows, Rows]:
    """Every pair of records of one cluster, of clusters up to a size."""
    rule = BlockRule(name="cluster", keys=labels.astype(np.int64), cap=largest)
    rows, starts, sizes = _blocks(rule)
    usable = (sizes > 1) & (sizes <= largest)
    codes = _pairs_within(rows, starts[usable], sizes[usable], len(labels))
    return _sides(codes, len(labels))
