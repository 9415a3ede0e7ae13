"""Values by tenant: a room for each, over one shelf that all share. Knows no lock and no load; HotTier has both."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from pay_ready.errors import IsolationError
from pay_ready.memory.hot_shelf import Entry, Shelf
from pay_ready.memory.hot_values import HotFigures, HotKey, HotOptions, TenantFigures

V = TypeVar("V")

MOST_VERSIONS = 16  # of one key, in all scopes: one goes when another comes
SWEEPS = 24  # in the lifetime of a value: what expired and is not asked for goes then
_LONGEST_REACH = 37.0  # loads before expiry: -ln of the smallest step of a draw (53 bits)


@dataclass(slots=True)
class Room(Generic[V]):
    """What is kept of one tenant, and when its data changed last, on the tier's count of changes."""

    tenant: UUID
    kept: dict[str, tuple[Entry[V], ...]] = field(default_factory=dict)  # by key; scopes and versions are few
    changed_at: int = 0
    epoch: int | None = None
    items: int = 0
    size_bytes: int = 0
    hits: int = 0
    misses: int = 0


class Rooms(Generic[V]):
    """Finds a value within the room of its tenant and nowhere else."""

    def __init__(self, options: HotOptions, now: float) -> None:
        self._options = options
        self._shelf = Shelf[V](options.most_items, options.most_bytes)
        self._rooms: dict[int, Room[V]] = {}  # by the number of the tenant's id: Python hashes and compares a UUID slowly
        self._swept_at = now
        self.count = HotFigures()

    def of(self, tenant: UUID) -> Room[V]:
        """The tenant's room.

        Raises:
            IsolationError: That is no tenant's id (a name, None): whose data it would be is unknown.
        """
        if not isinstance(tenant, UUID):
            raise IsolationError("the hot tier was asked without a tenant's id", "pass the TenantId", kind=type(tenant).__name__)
        room = self._rooms.get(tenant.int)
        if room is None:
            room = self._rooms[tenant.int] = Room(tenant)
        return room

    def find(self, key: HotKey, now: float) -> Entry[V] | None:
        """The entry, if it has not expired; asking counts, whether or not it is here."""
        room = self.of(key.tenant)
        for entry in room.kept.get(key.key, ()):
            if entry.version == key.version and entry.scope == key.scope:
                if now < entry.expires_at:
                    room.hits += 1
                    self._shelf.touch(entry)
                    return entry
                self.remove(entry)
                self.count.expired += 1
                break
        room.misses += 1
        self._shelf.want(hash(key))
        return None

    def store(self, key: HotKey, value: V, size_bytes: int, *, now: float, load_s: float = 0.0) -> None:
        """Keep a value, unless those that it would drive out are in more demand."""
        self._sweep(now)
        room = self.of(key.tenant)
        same = [entry for entry in room.kept.get(key.key, ()) if entry.version == key.version and entry.scope == key.scope]
        for entry in same or room.kept.get(key.key, ())[: 1 - MOST_VERSIONS]:
            self.remove(entry)
        expires_at = now + self._options.ttl_s
        entry = Entry(
            tenant=key.tenant, scope=key.scope, key=key.key, version=key.version, hashed=hash(key), value=value, size_bytes=size_bytes,
            expires_at=expires_at, early_at=expires_at - load_s * self._options.eagerness * _LONGEST_REACH, load_s=load_s,
        )  # fmt: skip
        room.kept[key.key] = (*room.kept.get(key.key, ()), entry)
        room.items += 1
        room.size_bytes += size_bytes
        left = self._shelf.add(entry)
        self.count.evictions += len(left.evicted)
        self.count.rejected += len(left.rejected)
        for each in (*left.evicted, *left.rejected):
            self._unlist(each)

    def remove(self, entry: Entry[V]) -> None:
        """Take an entry out, if it is still in."""
        if entry.segment is not None:
            self._shelf.remove(entry)
            self._unlist(entry)

    def forget(self, room: Room[V], keys: Iterable[str]) -> int:
        """Take out all scopes and versions of keys of one tenant; says how many values there were."""
        entries = [entry for key in set(keys) for entry in room.kept.get(key, ())]
        for entry in entries:
            self.remove(entry)
        self.count.forgotten += len(entries)
        return len(entries)

    def figures(self) -> HotFigures:
        """As they are now."""
        rooms = self._rooms.values()
        return dataclasses.replace(
            self.count, items=len(self._shelf), size_bytes=self._shelf.size_bytes,
            hits=sum(room.hits for room in rooms), misses=sum(room.misses for room in rooms),
        )  # fmt: skip

    def figures_by_tenant(self) -> dict[UUID, TenantFigures]:
        """Of every tenant that was asked for."""
        return {
            room.tenant: TenantFigures(items=room.items, size_bytes=room.size_bytes, hits=room.hits, misses=room.misses)
            for room in self._rooms.values()
        }

    def _unlist(self, entry: Entry[V]) -> None:
        room = self._rooms[entry.tenant.int]
        others = tuple(each for each in room.kept[entry.key] if each is not entry)
        if others:
            room.kept[entry.key] = others
        else:
            del room.kept[entry.key]
        room.items -= 1
        room.size_bytes -= entry.size_bytes

    def _sweep(self, now: float) -> None:
        """What expired leaves the memory, asked for or not."""
        if now - self._swept_at < self._options.ttl_s / SWEEPS:
            return
        self._swept_at = now
        for entry in [entry for entry in self._shelf if entry.expires_at <= now]:
            self.remove(entry)
            self.count.expired += 1
