"""One new record in its blocks, and whom it is worth comparing with: what `moves` says of many that move, for one that comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from pay_ready.resolve.linkage.blocks import KEY_BITS, KEYS_OF_A_COPY, name_number
from pay_ready.resolve.linkage.moves import Bounds
from pay_ready.resolve.linkage.plain_texts import key_of

IdPair = tuple[bytes, bytes]  # of 16 bytes each, the lower first
_ALL_BITS = (1 << 64) - 1


def places_of(
    kind: str, keys: Mapping[str, Sequence[int]], extra: Mapping[str, Sequence[int]] | None = None, places: Mapping[str, int] | None = None
) -> dict[int, int]:
    """By block that a record is in, its place (`moves.members_of`).

    Args:
        kind: What the record is about, as in `moves.bounds_of`.
        keys: By rule its keys, -1 for none.
        extra: Those by rules that only add to others.
        places: By rule of which large blocks are compared in an order, its place there.
    """
    found: dict[int, int] = {}
    for rule, held in {**keys, **(extra or {})}.items():
        place = (places or {}).get(rule, 0)
        found |= {_block(kind, rule, key): place for key in held if key >= 0}
    # What makes a copy are the rules of one key a record (`blocks.copies_rule`).
    alone = [key_of(held[0], name_number(rule)) for rule, held in keys.items() if len(held) == 1 and held[0] >= 0]
    if len(alone) >= KEYS_OF_A_COPY:
        found[_block(kind, "copies", (sum(alone) & _ALL_BITS) >> 1)] = 0
    return found


def _block(kind: str, rule: str, key: int) -> int:
    """A rule and its key, cut, in one number (`moves.MEMBER`)."""
    return name_number(f"{kind}.{rule}") << KEY_BITS | key & ((1 << KEY_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is in a block that is compared in a window."""

    place: int
    window: int


class FewStanding(Protocol):
    """Those who are there already, in their blocks (`moves.Standing`)."""

    def few_others(self, limits: Mapping[int, int]) -> Mapping[int, Sequence[bytes]]:
        """By block its members, of each as many as its limit says."""
        ...

    def few_near(self, record: bytes, asked: Mapping[int, Place]) -> Mapping[int, tuple[Sequence[bytes], Sequence[bytes]]]:
        """By block the nearest members before and after a record's place, as many as its window says, the nearest first."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a new record changes about who is compared."""

    partners: set[bytes]  # worth comparing with it
    doubtful: set[IdPair]  # pairs of others that may no longer be worth comparing


def arrival(record: bytes, places: Mapping[int, int], bounds: Bounds, standing: FewStanding) -> Arrival:
    """Find out whom a record that is in no block yet is compared with.

    Args:
        record: Its id.
        places: By block the place that it takes.
        bounds: Of every rule.
        standing: Who is there.
    """
    bound = {block: bounds[block >> KEY_BITS] for block in places}
    others = standing.few_others({block: each.cap + 1 for block, each in bound.items()})
    partners: set[bytes] = set()
    doubtful: set[IdPair] = set()
    windows: dict[int, Place] = {}
    for block, held in others.items():
        cap, window = bound[block].cap, bound[block].window
        if len(held) < cap:
            partners.update(held)
            continue
        if len(held) == cap:
            # It is too large from now on.
            doubtful.update(_pair(*pair) for pair in combinations(held, 2))
        if window and held:
            windows[block] = Place(places[block], window)
    for block, (before, after) in (standing.few_near(record, windows) if windows else {}).items():
        partners.update(before, after)
        # The record pushes those apart between whom it stands.
        last = windows[block].window + 1
        doubtful.update(_pair(one, after[last - steps - 1]) for steps, one in enumerate(before, 1) if 0 <= last - steps - 1 < len(after))
    return Arrival(partners, doubtful)


def _pair(one: bytes, other: bytes) -> IdPair:
    return (one, other) if one < other else (other, one)
