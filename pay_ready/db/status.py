"""How a tenant stands, read in one statement a part; none reads more than is shown, however many runs and interactions there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction

Tier = Literal["warm", "cold"]
MOST_COUNTED = 10_000  # rows that are counted of what waits: more is not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAge:
    """A stream and when it was brought in last; `stream` is empty for a source of which nothing came yet."""

    source: str
    stream: str
    finished_at: datetime | None
    age_s: float  # since then, or since the source was made


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStep:
    """The last run of a step."""

    run_id: UUID
    step: str
    subject: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    row_count: int | None
    error_class: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQueue:
    """Pairs that wait for a reviewer."""

    doubtful: int  # at most MOST_COUNTED
    second_opinions: int
    age_s: float  # of the oldest; 0 when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLag:
    """What a tier of memory has yet to hear."""

    tier: Tier
    waiting: int  # at most MOST_COUNTED
    failing: int  # of these, told in vain
    age_s: float  # of the oldest; 0 when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerFound:
    """A breaker around a service."""

    target: str
    state: Literal["closed", "open", "half_open"]
    failures: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFound:
    """Who works on what."""

    lease: str
    holder: str
    acquired_at: datetime
    expires_at: datetime
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A tenant whose resolution rests."""

    run_no: int
    held_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Sessions of a database."""

    in_use: int
    most: int

    @property
    def share(self) -> float:
        """In use, from 0 to 1."""
        return self.in_use / self.most if self.most else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTotal:
    """Finished steps of a kind that ended alike."""

    step: str
    status: str
    steps: int
    seconds: float  # that they took together


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTotal:
    """What became of the records of a stream, over all its runs."""

    source: str
    stream: str
    landed: int
    unchanged: int
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFound:
    """The worst drift of a kind."""

    metric_name: str
    severity: float


def freshness(tx: TenantTransaction) -> Sequence[StreamAge]:
    """Every stream of the active sources."""
    return [StreamAge(**row._asdict()) for row in tx.rows("status.freshness")]


def last_steps(tx: TenantTransaction) -> Sequence[LastStep]:
    """The last run of each step and subject, the latest first."""
    return [LastStep(**row._asdict()) for row in tx.rows("status.last_steps")]


def review_queue(tx: TenantTransaction) -> ReviewQueue:
    """How many pairs wait, and how long."""
    row = tx.row("status.review", {"most": MOST_COUNTED})
    return ReviewQueue(doubtful=0, second_opinions=0, age_s=0.0) if row is None else ReviewQueue(**row._asdict())


def outbox(tx: TenantTransaction) -> Sequence[TierLag]:
    """How far the tiers are behind."""
    return [TierLag(**row._asdict()) for row in tx.rows("status.outbox", {"most": MOST_COUNTED})]


def breakers(tx: TenantTransaction) -> Sequence[BreakerFound]:
    """Every breaker that was ever told of a failure."""
    return [BreakerFound(**row._asdict()) for row in tx.rows("status.breakers")]


def leases(tx: TenantTransaction) -> Sequence[LeaseFound]:
    """Every lease, also those that ran out."""
    return [LeaseFound(**row._asdict()) for row in tx.rows("status.leases")]


def hold(tx: TenantTransaction) -> Hold | None:
    """Why nothing is resolved, if so."""
    row = tx.row("status.hold")
    return Hold(**row._asdict()) if row else None


def connections(tx: TenantTransaction) -> Connections:
    """The server's sessions on this database."""
    row = tx.row("status.connections")
    return Connections(in_use=0, most=0) if row is None else Connections(**row._asdict())


def step_totals(tx: TenantTransaction) -> Sequence[StepTotal]:
    """Every finished step, counted."""
    return [StepTotal(**row._asdict()) for row in tx.rows("status.step_totals")]


def row_totals(tx: TenantTransaction) -> Sequence[RowTotal]:
    """Every record that came, counted."""
    return [RowTotal(**row._asdict()) for row in tx.rows("status.row_totals")]


def drift(tx: TenantTransaction, window_s: float) -> Sequence[DriftFound]:
    """The worst finding of each kind that is not older than the window, in seconds."""
    return [DriftFound(**row._asdict()) for row in tx.rows("status.drift", {"window_s": window_s})]


def isolation_violations(tx: TenantTransaction) -> int:
    """Steps that a tenant boundary ended."""
    return int(tx.value("status.isolation"))
