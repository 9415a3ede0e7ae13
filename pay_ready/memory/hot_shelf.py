"""What the hot tier keeps and what it lets go: a window for the new, and behind it an LRU that lets in only what is asked for more."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, TypeVar
from uuid import UUID

from pay_ready.memory.hot_sketch import MOST, FrequencySketch

V = TypeVar("V")

WINDOW_SHARE = 0.1  # more than the usual 0.01: what is new here is read again soon (tests/benchmarks/hot.py, mixed)
PROTECTED_SHARE = 0.8  # of what lies behind the window


@dataclass(slots=True, eq=False, kw_only=True)
class Entry(Generic[V]):
    """One value that is kept, with what it takes to find and to judge it."""

    tenant: UUID
    scope: str
    key: str
    version: str
    hashed: int  # of tenant, scope, key and version
    value: V
    size_bytes: int
    expires_at: float  # on the tier's clock, in seconds
    early_at: float  # from here on it may be loaded anew
    load_s: float  # how long its load took
    uses: int = 0  # how often it was asked for, in [0, 15], as of `ages` of the sketch
    ages: int = 0
    serial: int = 0  # its place in a segment
    segment: "Segment[V] | None" = None


class Segment(Generic[V]):
    """Entries in the order of their use, the oldest first, bounded in items and bytes."""

    def __init__(self, most_items: int, most_bytes: int) -> None:
        self.most_items, self.most_bytes = most_items, most_bytes
        self.size_bytes = 0
        self.order: OrderedDict[int, Entry[V]] = OrderedDict()

    def push(self, entry: Entry[V]) -> None:
        """Take it in as the one used last."""
        self.order[entry.serial] = entry
        self.size_bytes += entry.size_bytes
        entry.segment = self

    def pop(self, entry: Entry[V]) -> None:
        """Let it go."""
        del self.order[entry.serial]
        self.size_bytes -= entry.size_bytes
        entry.segment = None

    def oldest(self) -> Entry[V]:
        """The one that was not used for longest."""
        return next(iter(self.order.values()))

    @property
    def is_over(self) -> bool:
        """Whether it holds more than it may."""
        return len(self.order) > self.most_items or self.size_bytes > self.most_bytes


@dataclass(slots=True, kw_only=True)
class Left(Generic[V]):
    """What a new entry drove out: `evicted` were kept before, `rejected` were not asked for often enough to be let in."""

    evicted: list[Entry[V]] = field(default_factory=list)
    rejected: list[Entry[V]] = field(default_factory=list)


class Shelf(Generic[V]):
    """W-TinyLFU (Einziger, Friedman and Manes, ACM TOS 13, 2017): what is new waits in a small LRU window; who leaves it gets a
    place behind it only if it was asked for more often than those who would have to go, all of them together (sizes differ:
    "Lightweight Robust Size Aware Cache Management", ACM TOS 18, 2022). So a scan passes through the window alone.

    Behind the window is a segmented LRU: on probation until the second use, protected after it. The uses of what is kept are counted
    on the entry (a hit takes half the time so), those of all else in the sketch. No lock of its own.
    """

    def __init__(self, most_items: int, most_bytes: int, *, window_share: float = WINDOW_SHARE) -> None:
        window_items, window_bytes = max(1, round(most_items * window_share)), max(1, round(most_bytes * window_share))
        self._main_items, self._main_bytes = most_items - window_items, most_bytes - window_bytes
        self._window = Segment[V](window_items, window_bytes)
        self._probation = Segment[V](self._main_items, self._main_bytes)
        self._protected = Segment[V](round(self._main_items * PROTECTED_SHARE), round(self._main_bytes * PROTECTED_SHARE))
        self._sketch = FrequencySketch(most_items)
        self._serial = 0

    def __len__(self) -> int:
        return sum(len(each.order) for each in (self._window, self._probation, self._protected))

    @property
    def size_bytes(self) -> int:
        """Of all entries."""
        return self._window.size_bytes + self._probation.size_bytes + self._protected.size_bytes

    def __iter__(self) -> Iterator[Entry[V]]:
        return chain(*(each.order.values() for each in (self._window, self._probation, self._protected)))

    def want(self, hashed: int) -> None:
        """Something that is not here was asked for: it has a better chance next time."""
        self._sketch.add(hashed)

    def touch(self, entry: Entry[V]) -> None:
        """An entry was asked for."""
        uses = self._uses(entry)
        if uses < MOST:
            entry.uses = uses + 1
        self._sketch.tick()
        segment = entry.segment
        if segment is self._probation:
            segment.pop(entry)
            self._protected.push(entry)
            while self._protected.is_over:
                oldest = self._protected.oldest()
                self._protected.pop(oldest)
                self._probation.push(oldest)
        elif segment is not None:
            segment.order.move_to_end(entry.serial)

    def add(self, entry: Entry[V]) -> Left[V]:
        """Take an entry in, and say who left for it; that may be the entry itself."""
        self._serial += 1
        entry.serial = self._serial
        entry.uses, entry.ages = self._sketch.frequency(entry.hashed), self._sketch.ages
        left = Left[V]()
        if entry.size_bytes > self._window.most_bytes:  # it would drive out all that is new, and then itself
            self._admit(entry, left)
            return left
        self._window.push(entry)
        while self._window.is_over:
            oldest = self._window.oldest()
            self._window.pop(oldest)
            self._admit(oldest, left)
        return left

    def remove(self, entry: Entry[V]) -> None:
        """Let an entry go."""
        if entry.segment is not None:
            entry.segment.pop(entry)
            self._sketch.raise_to(entry.hashed, self._uses(entry))

    def _uses(self, entry: Entry[V]) -> int:
        ages = self._sketch.ages
        if entry.ages != ages:
            entry.uses, entry.ages = entry.uses >> ages - entry.ages, ages
        return entry.uses

    def _admit(self, candidate: Entry[V], left: Left[V]) -> None:
        victims = self._victims(candidate)
        if victims is None:
            left.rejected.append(candidate)
            self._sketch.raise_to(candidate.hashed, self._uses(candidate))
            return
        for victim in victims:
            self.remove(victim)
        left.evicted += victims
        self._probation.push(candidate)

    def _victims(self, candidate: Entry[V]) -> list[Entry[V]] | None:
        """Who has to go for a candidate; None where they are asked for as often as it is, or it does not fit at all."""
        items = len(self._probation.order) + len(self._protected.order) + 1 - self._main_items
        size_bytes = self._probation.size_bytes + self._protected.size_bytes + candidate.size_bytes - self._main_bytes
        if candidate.size_bytes > self._main_bytes or not self._main_items:
            return None
        victims: list[Entry[V]] = []
        if items <= 0 and size_bytes <= 0:
            return victims
        demand = self._uses(candidate)
        if demand < 2:
            return None
        for victim in chain(self._probation.order.values(), self._protected.order.values()):
            demand -= self._uses(victim)
            if demand <= 0:
                return None
            victims.append(victim)
            items, size_bytes = items - 1, size_bytes - victim.size_bytes
            if items <= 0 and size_bytes <= 0:
                break
        return victims
