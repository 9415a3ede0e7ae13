"""How a tenant stands: what `pay-ready status` shows, metrics export and alerts look at."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pay_ready.db import alerts, embedders, status
from pay_ready.db.alerts import StandingAlert
from pay_ready.db.embedders import TenantEmbedder
from pay_ready.db.status import BreakerFound, Connections, Hold, LastStep, LeaseFound, ReviewQueue, StreamAge, TierLag
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """How old a stream may be, in hours."""

    hours: float = 3.0
    by_stream: Mapping[str, float] = field(default_factory=dict)  # "source/stream" or "source": hours

    def of(self, source: str, stream: str) -> float:
        """Seconds that a stream may be old: its own target, its source's, or the general one."""
        hours = self.by_stream.get(f"{source}/{stream}", self.by_stream.get(source, self.hours))
        return hours * HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A stream beside its target."""

    source: str
    stream: str  # empty: nothing of the source came yet
    finished_at: datetime | None
    age_s: float
    target_s: float

    @property
    def is_stale(self) -> bool:
        """Older than it may be."""
        return self.age_s > self.target_s

    @property
    def subject(self) -> str:
        """Its name in alerts."""
        return f"{self.source}/{self.stream}" if self.stream else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk that data grows on."""

    folder: str
    free_bytes: int
    total_bytes: int

    @property
    def share(self) -> float:
        """In use, from 0 to 1."""
        return 1 - self.free_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """Connections of this process's pool."""

    in_use: int
    most: int
    waiting: int  # who would like one

    @property
    def share(self) -> float:
        """In use, from 0 to 1."""
        return self.in_use / self.most if self.most else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """Everything at one moment."""

    tenant: str
    taken_at: datetime
    freshness: Sequence[Freshness]
    steps: Sequence[LastStep]
    review: ReviewQueue
    outbox: Sequence[TierLag]
    embedders: Sequence[TenantEmbedder]
    cold: str  # off, or how the outer store is reached
    breakers: Sequence[BreakerFound]
    leases: Sequence[LeaseFound]
    hold: Hold | None
    alerts: Sequence[StandingAlert]  # without those that are pending
    connections: Connections
    pool: PoolUse
    disks: Sequence[Disk]

    @property
    def missed(self) -> Sequence[Freshness]:
        """Streams that are older than they may be."""
        return [each for each in self.freshness if each.is_stale]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWork:
    """What a status is read with."""

    database: Database
    tenant: TenantId
    slug: str
    targets: Targets
    cache_prefix: str = "pay_ready"
    cold: str = "off"
    folders: Sequence[Path] = ()


def tenant_status(work: StatusWork) -> TenantStatus:
    """How a tenant stands now, in one transaction, of one statement a part."""
    with work.database.tenant_transaction(work.tenant) as tx:
        ages, steps, review, outbox = status.freshness(tx), status.last_steps(tx), status.review_queue(tx), status.outbox(tx)
        return TenantStatus(
            tenant=work.slug, taken_at=datetime.now(UTC), freshness=[_beside(each, work.targets) for each in ages], steps=steps,
            review=review, outbox=outbox, embedders=embedders.embedders(tx), cold=work.cold, breakers=status.breakers(tx),
            leases=status.leases(tx), hold=status.hold(tx), connections=status.connections(tx), pool=pool_use(work.database),
            alerts=[each for each in alerts.standing(tx) if each.status != "pending"], disks=disks(work.folders),
        )  # fmt: skip


def _beside(age: StreamAge, targets: Targets) -> Freshness:
    target_s = targets.of(age.source, age.stream)
    return Freshness(source=age.source, stream=age.stream, finished_at=age.finished_at, age_s=age.age_s, target_s=target_s)


def pool_use(database: Database) -> PoolUse:
    """How much of this process's pool is in use."""
    figures = database.pool_figures()
    in_use = figures.get("pool_size", 0) - figures.get("pool_available", 0)
    return PoolUse(in_use=max(in_use, 0), most=database.most_connections, waiting=figures.get("requests_waiting", 0))


def disks(folders: Sequence[Path]) -> Sequence[Disk]:
    """The disks that the folders are on, or will be; each once."""
    found: dict[int, Disk] = {}
    for folder in folders:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        usage = shutil.disk_usage(there)
        found.setdefault(there.stat().st_dev, Disk(folder=str(there), free_bytes=usage.free, total_bytes=usage.total))
    return list(found.values())
