"""Which pairs come and go when records move: the same as all pairs before and after, told from the blocks concerned alone."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pay_ready.resolve.linkage.blocks import BlockRule, candidates_of, joined_rule, with_copies
from pay_ready.resolve.linkage.moves import MEMBER, NEAR, PAIR, Members, bounds_of, found_moves, is_compared, members_of, moved
from pay_ready.resolve.linkage.plain_moves import Place, arrival

CAP = 3
WINDOW = 2


@dataclass
class Blocks:
    """The members of blocks, as a table would have them; counts what it was asked for."""

    rows: Members
    told: int = field(default=0)

    def others(self, blocks: NDArray[np.int64], limits: NDArray[np.int64]) -> Members:
        found = [self.rows[self.rows["block"] == block][:limit] for block, limit in zip(blocks, limits, strict=True)]
        return self._told(np.concatenate([np.empty(0, dtype=MEMBER), *found]))

    def near(self, asked: Members, windows: NDArray[np.int64]) -> Members:
        found = []
        for number, (place, window) in enumerate(zip(asked, windows, strict=True), start=1):
            block = np.sort(self.rows[self.rows["block"] == place["block"]])
            before = [each for each in block.tolist() if each < tuple(place.tolist())][-window:]
            after = [each for each in block.tolist() if each > tuple(place.tolist())][:window]
            found += [(number, 0, *each) for each in before] + [(number, 1, *each) for each in after]
        return self._told(np.array(found, dtype=NEAR))

    def sizes(self, blocks: NDArray[np.int64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
        sizes = [int((self.rows["block"] == block).sum()) for block in blocks]
        return np.minimum(np.array(sizes, dtype=np.int64), limits)

    def between(self, first: Members, last: Members, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        line = sorted(self.rows.tolist())
        found = [sum(1 for each in line if tuple(a) < each < tuple(b)) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return np.minimum(np.array(found, dtype=np.int64), windows)

    def few_others(self, limits: Mapping[int, int]) -> dict[int, list[bytes]]:
        asked = np.array(list(limits), dtype=np.int64), np.array(list(limits.values()), dtype=np.int64)
        found: dict[int, list[bytes]] = {}
        for block, _, record in self.others(*asked).tolist():
            found.setdefault(block, []).append(record)
        return found

    def few_near(self, record: bytes, asked: Mapping[int, Place]) -> dict[int, tuple[list[bytes], list[bytes]]]:
        places = np.array([(block, each.place, record) for block, each in asked.items()], dtype=MEMBER)
        found: dict[int, tuple[list[bytes], list[bytes]]] = {block: ([], []) for block in asked}
        for _, is_after, block, _, other in self.near(places, np.array([each.window for each in asked.values()])).tolist():
            found[block][is_after].append(other)
        for before, _ in found.values():
            before.reverse()
        return found

    def _told(self, rows: Members) -> Members:
        self.told += len(rows)
        return rows


def _rules(records: list[tuple[int, ...]]) -> list[BlockRule]:
    """A rule with a cap, one with two keys, one with a window and one that adds to others; -1 is no key."""
    columns = np.array(records, dtype=np.int64).reshape(-1, 5).T
    return [
        BlockRule(name="plain", keys=columns[0], cap=CAP),
        joined_rule("joined", [columns[0], columns[1]], CAP),
        BlockRule(name="near", keys=columns[2], cap=CAP, window=WINDOW, order=columns[3]),
        BlockRule(name="chain", keys=columns[1], cap=1, window=1, order=columns[3]),
        BlockRule(name="weak", keys=columns[4], cap=CAP + 1, extra=True),
    ]


def _pairs(records: dict[bytes, tuple[int, ...]]) -> set[tuple[bytes, bytes]]:
    ids = sorted(records)
    found = candidates_of(with_copies(_rules([records[each] for each in ids])), len(ids))
    return {(ids[left], ids[right]) for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True)}


def _members(records: dict[bytes, tuple[int, ...]]) -> Members:
    ids = sorted(records)
    return members_of("person", _rules([records[each] for each in ids]), np.array(ids, dtype="S16"))


RECORDS = st.tuples(*(st.integers(-1, most) for most in (3, 2, 1, 2, 3)))


def _check(before: dict[bytes, tuple[int, ...]], after: dict[bytes, tuple[int, ...]], changed: set[bytes]) -> int:
    """Every pair that comes and goes is found; how many rows of others that took."""
    standing = {each: record for each, record in before.items() if each not in changed}
    blocks = Blocks(_members(standing))
    old = _members({each: record for each, record in before.items() if each in changed})
    new = _members({each: record for each, record in after.items() if each in changed})
    bounds = bounds_of("person", _rules([]))
    place = moved(old, new, bounds)
    moves = found_moves(place, blocks)

    def pairs(codes: NDArray[np.int64]) -> list[tuple[bytes, bytes]]:
        left, right = moves.sides(codes)
        return list(zip(moves.ids[left].tolist(), moves.ids[right].tolist(), strict=True))

    was, now = _pairs(before), _pairs(after)
    gained, doubtful = set(pairs(moves.gained)), set(pairs(moves.doubtful))
    assert gained <= now
    assert {pair for pair in now if changed & set(pair)} <= gained
    assert now - was <= gained
    lost = {pair for pair in was - now if not changed & set(pair)}
    assert lost <= doubtful
    kept = np.array(sorted(doubtful & was), dtype=[("left", "S16"), ("right", "S16")])
    still = is_compared(kept, blocks.rows, place, bounds, blocks)
    assert {tuple(pair) for pair, holds in zip(kept.tolist(), still.tolist(), strict=True) if not holds} == lost
    return blocks.told


@given(
    st.lists(RECORDS, max_size=24), st.lists(RECORDS, max_size=8), st.lists(st.integers(0, 23), max_size=8),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_what_moves_is_what_all_pairs_before_and_after_differ_in(
    stood: list[tuple[int, ...]], come: list[tuple[int, ...]], going: list[int], order: random.Random
) -> None:
    ids = [bytes([value]) * 3 for value in order.sample(range(1, 200), len(stood) + len(come))]
    before = dict(zip(ids, stood, strict=False))
    after = dict(before)
    changed = set(ids[len(stood) :])
    for position, record in zip(ids[len(stood) :], come, strict=True):
        after[position] = record
    for position in {each for each in going if each < len(stood)}:
        changed.add(ids[position])
        if order.random() < 0.5:
            del after[ids[position]]
        else:
            after[ids[position]] = order.choice(stood)
    _check(before, after, changed)


@given(st.lists(RECORDS, max_size=24), RECORDS, st.randoms(use_true_random=False))
def test_one_that_comes_is_compared_with_whom_many_would_be(
    stood: list[tuple[int, ...]], new: tuple[int, ...], order: random.Random
) -> None:  # fmt: skip
    """Its partners are those of `found_moves`, and so is who may be parted."""
    own, *ids = (bytes([value]) * 16 for value in order.sample(range(1, 200), len(stood) + 1))
    blocks, members = Blocks(_members(dict(zip(ids, stood, strict=True)))), _members({own: new})
    bounds = bounds_of("person", _rules([]))
    place = moved(np.empty(0, dtype=MEMBER), members, bounds)
    moves = found_moves(place, blocks)
    wanted, doubtful = ({tuple(pair) for pair in moves.pairs(codes).tolist()} for codes in (moves.gained, moves.doubtful))
    found = arrival(own, dict(zip(members["block"].tolist(), members["place"].tolist(), strict=True)), bounds, blocks)
    assert {(min(own, each), max(own, each)) for each in found.partners} == wanted
    # Some that a window of another block holds together are told, too: they are looked at more closely.
    assert doubtful <= found.doubtful
    kept = np.array(sorted(found.doubtful - doubtful), dtype=PAIR)
    assert is_compared(kept, blocks.rows, place, bounds, blocks).all()


def test_a_block_far_beyond_its_cap_is_not_read() -> None:
    large = {f"{number:016d}".encode(): (0, 0, 0, number, 0) for number in range(2_000)}
    new = {b"0000000000000500x"[:16]: (0, 0, 0, 500, 0), b"1500new": (0, 0, 0, 1_500, 0)}
    assert _check(large, large | new, set(new)) < 120


def test_nothing_moves_where_nobody_does() -> None:
    stood = {bytes([number]): (0, 1, 1, number, 2) for number in range(1, 9)}
    assert _check(stood, stood, set()) == 0


def test_people_share_no_block_with_companies() -> None:
    """Rules of one name and keys of one value, such as a phone's: still no block in common."""
    rules = _rules([(0, 1, 1, 0, 2)])
    ids = np.array([b"1"], dtype="S16")
    people, companies = (members_of(kind, rules, ids)["block"] for kind in ("person", "company"))
    assert not np.isin(people, companies).any()
    assert bounds_of("person", rules).keys().isdisjoint(bounds_of("company", rules))
