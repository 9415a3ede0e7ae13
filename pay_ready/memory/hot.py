"""The hot tier: interactions and contexts in use, in this process.

A value is shared by all who ask for it: it is to be read, never changed.
"""

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from pay_ready.errors import TransientError
from pay_ready.memory.hot_flights import Failures, Flight, LoadAbandonedError
from pay_ready.memory.hot_rooms import Room, Rooms
from pay_ready.memory.hot_shelf import Entry
from pay_ready.memory.hot_size import estimated_bytes
from pay_ready.memory.hot_values import HotFigures, HotKey, HotOptions, TenantFigures
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Clock

__all__ = ["ENTRY_BYTES", "HotFigures", "HotKey", "HotOptions", "HotTier", "TenantFigures"]

V = TypeVar("V")

ENTRY_BYTES = 700  # of an entry and its key beside the value: tests/benchmarks/hot.py measures it

log = structlog.get_logger()


class HotTier(Generic[V]):
    """A cache for all threads and tenants of one process, bounded in items, bytes and age; a scan does not empty it (see Shelf).

    Whatever may be out of date is not stored. Every change of a tenant's data (`advance`, `forget`, `forget_tenant`) moves the
    tier's count of changes, and a value whose load began before it goes to its callers alone; who asks after it waits for no
    load that began before it. A forked child starts empty.

    Shortly before a value expires one caller loads it anew, while the others get the old one: the longer a load takes, the earlier.
    When is XFetch's rule, now - load time × eagerness × ln(random) >= expiry: Vattani, Chierichetti and Lowenstein, "Optimal
    Probabilistic Cache Stampede Prevention", PVLDB 8 (2015).

    Args:
        options: The bounds.
        cost: Bytes of a value; called without the lock.
        clock: Seconds, never backwards.
        draw: A number in [0, 1) for the early refresh.
    """

    def __init__(
        self,
        options: HotOptions | None = None,
        *,
        cost: Callable[[V], int] = estimated_bytes,
        clock: Clock = time.monotonic,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self.options = options or HotOptions()
        self._cost, self._clock = cost, clock
        self._draw = draw or random.Random().random  # noqa: S311 - spreads work over time, keeps nothing secret
        self._changes = 0
        self.start_empty()
        _TIERS.add(self)

    def start_empty(self) -> None:
        """Begin anew, as a forked child does; only while no other thread uses the tier."""
        self._lock = threading.Lock()  # never held while code of the caller runs, but for the hash of its key
        self._changes += 1
        self._born_at = self._changes
        self._rooms = Rooms[V](self.options, self._clock())
        self._flights: dict[HotKey, Flight[V]] = {}
        self._failures = Failures(self.options.failure_ttl_s)

    @property
    def moment(self) -> int:
        """The tier's count of changes: take it before you read what you will `put`."""
        return self._changes

    def get(self, key: HotKey) -> V | None:
        """The value, or None where it is not here.

        Raises:
            IsolationError: The key has no tenant's id.
        """
        with self._lock:
            entry = self._rooms.find(key, self._clock())
            return None if entry is None else entry.value

    def get_or_load(self, key: HotKey, load: Callable[[], V]) -> V:
        """The value; where it is not here, loaded once for all who ask at the same time.

        An error reaches everybody who waits for that load, and an error of ours answers for `failure_ttl_s` more. Where an early
        refresh fails for now (TransientError), the old value stays and is returned.

        Raises:
            RetryLaterError: Another thread's load of this value does not end within `longest_wait_s`.
            IsolationError: The key has no tenant's id.
            Exception: Whatever the load raised.
        """
        while True:
            with self._lock:
                now = self._clock()
                entry = self._rooms.find(key, now)
                if entry is not None and (now < entry.early_at or not self._is_due(key, entry, now)):
                    return entry.value
                flight, is_mine = self._board(key, now, is_refresh=entry is not None)
            if is_mine:
                return self._fly(flight, key, load, entry)
            try:
                return flight.wait(self.options.longest_wait_s)
            except LoadAbandonedError:
                continue

    def put(self, key: HotKey, value: V, since: int) -> bool:
        """Keep a value that was read at or after the moment `since`; False, and not kept, where the tenant's data changed after it.

        Raises:
            IsolationError: The key has no tenant's id.
        """
        size_bytes = self._cost(value) + ENTRY_BYTES
        with self._lock:
            return self._store(key, value, size_bytes, since)

    def forget(self, tenant: TenantId, keys: Iterable[str]) -> int:
        """Take out all scopes and versions of these keys; says how many values there were. No load under way brings them back."""
        wanted = frozenset(keys)
        with self._lock:
            return self._rooms.forget(self._change(tenant), wanted)

    def forget_tenant(self, tenant: TenantId) -> int:
        """Take out everything of a tenant, and of nobody else; says how many values there were."""
        with self._lock:
            room = self._change(tenant)
            return self._rooms.forget(room, tuple(room.kept))

    def advance(self, tenant: TenantId, epoch: int) -> bool:
        """A publish, rollback or erasure made this the tenant's epoch: no load that began before is stored any more.

        What is kept stays, for its key says of which version it is; what must be gone as well is `forget`'s. An epoch that is known,
        or older, changes nothing; says whether it was news.
        """
        with self._lock:
            room = self._rooms.of(tenant)
            if room.epoch is not None and epoch <= room.epoch:
                return False
            self._change(tenant).epoch = epoch
            return True

    def figures(self) -> HotFigures:
        """Counts of this process, and what it holds."""
        with self._lock:
            return self._rooms.figures()

    def figures_by_tenant(self) -> dict[UUID, TenantFigures]:
        """The same of every tenant that was asked for."""
        with self._lock:
            return self._rooms.figures_by_tenant()

    def _is_due(self, key: HotKey, entry: Entry[V], now: float) -> bool:
        flight = self._flights.get(key)
        if flight is not None and self._is_current(flight.moment, key.tenant):
            return False  # somebody is at it
        if self._failures.of(key, now, self._changed_at(key.tenant)) is not None:
            return False
        return now - entry.load_s * self.options.eagerness * math.log(1.0 - self._draw()) >= entry.expires_at

    def _board(self, key: HotKey, now: float, *, is_refresh: bool) -> tuple[Flight[V], bool]:
        """The load to wait for, and whether it is this thread's to do."""
        flight = self._flights.get(key)
        if flight is not None and self._is_current(flight.moment, key.tenant):
            self._rooms.count.waits += 1
            return flight, False
        failure = self._failures.of(key, now, self._changed_at(key.tenant))
        if failure is not None:
            raise failure
        self._rooms.count.loads += 1
        self._rooms.count.refreshes += is_refresh
        flight = self._flights[key] = Flight(self._changes)
        return flight, True

    def _fly(self, flight: Flight[V], key: HotKey, load: Callable[[], V], old: Entry[V] | None) -> V:
        began = self._clock()
        try:
            value = load()
            load_s, size_bytes = self._clock() - began, self._cost(value) + ENTRY_BYTES
        except BaseException as error:
            is_good_still = self._crash(flight, key, error, old)
            if old is None or not is_good_still:
                raise
            log.warning("hot_value.refresh_failed", tenant=key.tenant, error_class=type(error).__name__)
            return old.value
        with self._lock:
            self._end(flight, key)
            self._store(key, value, size_bytes, flight.moment, load_s)
        flight.land(value)
        return value

    def _crash(self, flight: Flight[V], key: HotKey, error: BaseException, old: Entry[V] | None) -> bool:
        """A load failed; whether the value that it was to replace may be used until it expires."""
        is_for_now = isinstance(error, TransientError)
        with self._lock:
            self._end(flight, key)
            now = self._clock()
            self._rooms.count.failures += 1
            self._failures.keep(key, error, now, flight.moment)
            if old is not None and isinstance(error, Exception) and not is_for_now and self._is_current(flight.moment, key.tenant):
                self._rooms.remove(old)
        flight.crash(error)
        return is_for_now and old is not None and now < old.expires_at

    def _end(self, flight: Flight[V], key: HotKey) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _store(self, key: HotKey, value: V, size_bytes: int, since: int, load_s: float = 0.0) -> bool:
        if not self._is_current(since, key.tenant):
            self._rooms.count.stale += 1
            return False
        self._failures.drop(key)
        self._rooms.store(key, value, size_bytes, now=self._clock(), load_s=load_s)
        return True

    def _change(self, tenant: TenantId) -> Room[V]:
        room = self._rooms.of(tenant)
        self._changes += 1
        room.changed_at = self._changes
        return room

    def _is_current(self, moment: int, tenant: TenantId) -> bool:
        return moment >= self._changed_at(tenant)

    def _changed_at(self, tenant: TenantId) -> int:
        return max(self._born_at, self._rooms.of(tenant).changed_at)


_TIERS: "weakref.WeakSet[HotTier[Any]]" = weakref.WeakSet()


def _start_empty_in_child() -> None:
    """What another thread was doing at the fork stays undone in the child, and its lock would be held for ever."""
    for tier in tuple(_TIERS):
        tier.start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_empty_in_child)
