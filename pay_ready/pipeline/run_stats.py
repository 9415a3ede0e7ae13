"""How a tenant's runs went: one statement for each part of the report, whatever the number of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pay_ready.db import run_stats
from pay_ready.db.run_stats import ErrorFigures, FlowFigures, Point, SlowStep, Span
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStats:
    """A tenant's runs from `since` until `until`."""

    since: datetime
    until: datetime
    flows: Sequence[FlowFigures]
    steps: Sequence[FlowFigures]
    slowest: Sequence[SlowStep]
    errors: Sequence[ErrorFigures]
    days: Sequence[FlowFigures]


def stats_of(database: Database, tenant: TenantId, days: float, *, slowest: int = 10, now: datetime | None = None) -> RunStats:
    """The figures of the last days, in one snapshot.

    Args:
        database: Where.
        tenant: Whose.
        days: How far back.
        slowest: Steps to name.
        now: Until then; None: this moment.
    """
    until = now or datetime.now(UTC)
    span = Span(since=until - timedelta(days=days), until=until)
    with database.tenant_transaction(tenant, snapshot=True) as tx:
        return RunStats(
            since=span.since, until=span.until, flows=run_stats.by_flow(tx, span), steps=run_stats.by_step(tx, span),
            slowest=run_stats.slowest(tx, span, slowest), errors=run_stats.errors(tx, span), days=run_stats.by_day(tx, span),
        )  # fmt: skip


def trend_of(database: Database, tenant: TenantId, metric: str | None, days: float, most: int) -> list[Point]:
    """What stood at the end of each run, the newest first; of one figure, where it is named."""
    with database.tenant_transaction(tenant) as tx:
        return run_stats.trend(tx, metric, datetime.now(UTC) - timedelta(days=days), most)
