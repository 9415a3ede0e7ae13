"""What the hot tier is asked by, how it is bounded, and what it says of itself."""

from dataclasses import dataclass
from typing import NamedTuple

from pay_ready.errors import UsageError
from pay_ready.model.ids import TenantId


class HotKey(NamedTuple):
    """What a value is of: `version` says which state of it (content hash, entity version, run), `scope` who may see it."""

    tenant: TenantId
    scope: str  # "all" until there are roles
    key: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotOptions:
    """Bounds of the tier, in this process.

    Raises:
        UsageError: A bound is not positive.
    """

    most_items: int = 10_000
    most_bytes: int = 256 << 20
    ttl_s: float = 86_400.0
    failure_ttl_s: float = 1.0  # how long an error of a load answers for it
    longest_wait_s: float = 30.0  # for another thread's load
    eagerness: float = 1.0  # XFetch's beta: above 1 refreshes earlier, 0 not before expiry

    def __post_init__(self) -> None:
        if self.most_items < 1 or self.most_bytes < 1 or self.ttl_s <= 0:
            raise UsageError("the hot tier has no room", "raise the bound", items=self.most_items, bytes=self.most_bytes, ttl_s=self.ttl_s)


@dataclass(slots=True, kw_only=True)
class HotFigures:
    """Counts of one process since it began (a forked child begins anew), and what it holds now."""

    items: int = 0
    size_bytes: int = 0
    hits: int = 0
    misses: int = 0
    loads: int = 0  # begun, early refreshes among them
    refreshes: int = 0  # loads shortly before expiry
    failures: int = 0  # loads that raised
    waits: int = 0  # calls that waited for the load of another
    evictions: int = 0  # kept, and driven out by something in more demand
    rejected: int = 0  # not in enough demand to be kept
    expired: int = 0
    forgotten: int = 0
    stale: int = 0  # not stored, because the tenant's data changed meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFigures:
    """The part of one tenant."""

    items: int
    size_bytes: int
    hits: int
    misses: int
