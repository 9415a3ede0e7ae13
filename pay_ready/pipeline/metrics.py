"""Figures of every tenant for Prometheus, computed from the database when somebody asks: processes that live for a moment lose nothing.

A tenant is an opaque hash. No more series than `MOST_SERIES` are given out, whatever the number of tenants and streams: what comes last in
the order below is left out, in the same order each time, and `pay_ready_series_dropped` says how many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pay_ready.db import entities, status
from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError
from pay_ready.pipeline.status import StatusWork, TenantStatus, disks, tenant_status
from pay_ready.telemetry import tenant_hash

MOST_SERIES = 2_000
_OF_PROCESS = 150  # series that the process itself may add, and some air
_DRIFT_S = 14 * 86_400.0
_BREAKERS = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric: what it is, and its labels."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    says: str
    labels: tuple[str, ...] = ()

    @property
    def per_row(self) -> int:
        """Series that a set of labels makes."""
        return 2 if self.kind == "summary" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A family's figure under its labels; of a summary the sum and the count."""

    labels: tuple[str, ...]
    value: float
    count: int = 0


# In the order in which they are given out: what a page is sent for comes first.
FAMILIES: Sequence[Family] = (
    Family(name="pay_ready_tenants", kind="gauge", says="Tenants that are looked at.", labels=("state",)),
    Family(name="pay_ready_disk_free_bytes", kind="gauge", says="Free space where data grows.", labels=("folder",)),
    Family(name="pay_ready_disk_used_ratio", kind="gauge", says="Space in use, from 0 to 1.", labels=("folder",)),
    Family(name="pay_ready_db_connections", kind="gauge", says="Sessions of the database.", labels=("state",)),
    Family(name="pay_ready_alerts_firing", kind="gauge", says="Alerts that stand.", labels=("tenant", "alert")),
    Family(
        name="pay_ready_isolation_violations_total", kind="counter", says="Steps that a tenant's boundary ended.", labels=("tenant",)
    ),
    Family(
        name="pay_ready_freshness_seconds", kind="gauge", says="Since the last complete sync of a stream.",
        labels=("tenant", "source", "stream"),
    ),
    Family(
        name="pay_ready_freshness_target_seconds", kind="gauge", says="How old a stream may be.", labels=("tenant", "source", "stream")
    ),
    Family(
        name="pay_ready_last_step_timestamp_seconds", kind="gauge", says="When the last run of a step began, since 1970.",
        labels=("tenant", "step", "subject"),
    ),
    Family(
        name="pay_ready_last_step_failed", kind="gauge", says="Whether the last run of a step failed.", labels=("tenant", "step", "subject")
    ),
    Family(name="pay_ready_review_queue_depth", kind="gauge", says="Pairs that wait for a reviewer.", labels=("tenant",)),
    Family(name="pay_ready_review_age_seconds", kind="gauge", says="Age of the oldest of them.", labels=("tenant",)),
    Family(name="pay_ready_outbox_waiting", kind="gauge", says="Changes that a tier has yet to hear of.", labels=("tenant", "tier")),
    Family(name="pay_ready_outbox_lag_seconds", kind="gauge", says="Age of the oldest of them.", labels=("tenant", "tier")),
    Family(
        name="pay_ready_breaker_state", kind="gauge", says="0 closed, 1 half open, 2 open: the service is left alone.",
        labels=("tenant", "dependency"),
    ),
    Family(name="pay_ready_leases", kind="gauge", says="Leases that hold, and that ran out.", labels=("tenant", "state")),
    Family(name="pay_ready_on_hold", kind="gauge", says="Whether resolution rests after a rollback.", labels=("tenant",)),
    Family(name="pay_ready_entities", kind="gauge", says="People and companies, as published.", labels=("tenant", "kind")),
    Family(name="pay_ready_drift_severity", kind="gauge", says="The worst drift of two weeks, from 0 to 1.", labels=("tenant", "kind")),
    Family(
        name="pay_ready_step_duration_seconds", kind="summary", says="Finished steps: how many, and how long they took.",
        labels=("tenant", "step", "outcome"),
    ),
    Family(
        name="pay_ready_rows_total", kind="counter", says="Records that came, by what became of them.",
        labels=("tenant", "source", "stream", "result"),
    ),
)  # fmt: skip
DROPPED = Family(name="pay_ready_series_dropped", kind="gauge", says="Series that are left out, as there would be too many.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsWork:
    """Whose figures are read."""

    database: Database
    tenants: Sequence[StatusWork]
    folders: Sequence[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Rows by family, none of them too many."""

    rows: Mapping[str, Sequence[Row]]
    dropped: int


@dataclass(slots=True)
class _Rows:
    found: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, name: str, value: float, *labels: str, count: int = 0) -> None:
        self.found.setdefault(f"pay_ready_{name}", []).append(Row(labels=labels, value=float(value), count=count))


def all_figures(work: MetricsWork) -> Figures:
    """The figures of every tenant that can be read; the others are counted.

    Raises:
        TransientError: The database is away.
    """
    rows, away = _Rows(), 0
    for disk in disks(work.folders):
        rows.add("disk_free_bytes", disk.free_bytes, disk.folder)
        rows.add("disk_used_ratio", disk.share, disk.folder)
    connections = None
    for tenant in sorted(work.tenants, key=lambda each: tenant_hash(each.tenant)):
        try:
            found = tenant_status(tenant)
            _add_tenant(rows, tenant_hash(tenant.tenant), found)
            _add_totals(rows, tenant)
            connections = found.connections
        except PayReadyError:
            away += 1
            if away == len(work.tenants):
                raise
    if connections is not None:
        rows.add("db_connections", connections.in_use, "in_use")
        rows.add("db_connections", connections.most, "most")
    rows.add("tenants", len(work.tenants) - away, "read")
    rows.add("tenants", away, "away")
    return capped(rows.found)


def capped(rows: Mapping[str, Sequence[Row]], most: int = MOST_SERIES - _OF_PROCESS) -> Figures:
    """As many series as there may be, in the order of the families and then of their rows."""
    kept: dict[str, Sequence[Row]] = {}
    left, dropped = most, 0
    for family in FAMILIES:
        found = rows.get(family.name, ())
        kept[family.name] = found[: left // family.per_row]
        left -= len(kept[family.name]) * family.per_row
        dropped += (len(found) - len(kept[family.name])) * family.per_row
    return Figures(rows=kept, dropped=dropped)


def _add_tenant(rows: _Rows, label: str, found: TenantStatus) -> None:
    for name in sorted({each.alert for each in found.alerts}):
        rows.add("alerts_firing", sum(each.alert == name for each in found.alerts), label, name)
    for age in found.freshness:
        rows.add("freshness_seconds", age.age_s, label, age.source, age.stream)
        rows.add("freshness_target_seconds", age.target_s, label, age.source, age.stream)
    for step in found.steps:
        rows.add("last_step_timestamp_seconds", step.started_at.timestamp(), label, step.step, step.subject)
        rows.add("last_step_failed", step.status in ("failed", "aborted"), label, step.step, step.subject)
    rows.add("review_queue_depth", found.review.doubtful + found.review.second_opinions, label)
    rows.add("review_age_seconds", found.review.age_s, label)
    for lag in found.outbox:
        rows.add("outbox_waiting", lag.waiting, label, lag.tier)
        rows.add("outbox_lag_seconds", lag.age_s, label, lag.tier)
    for breaker in found.breakers:
        rows.add("breaker_state", _BREAKERS[breaker.state], label, breaker.target)
    for state, is_live in (("live", True), ("expired", False)):
        rows.add("leases", sum(each.is_live is is_live for each in found.leases), label, state)
    rows.add("on_hold", found.hold is not None, label)


def _add_totals(rows: _Rows, work: StatusWork) -> None:
    label = tenant_hash(work.tenant)
    with work.database.tenant_transaction(work.tenant) as tx:
        steps, records = status.step_totals(tx), status.row_totals(tx)
        drift, violations = status.drift(tx, _DRIFT_S), status.isolation_violations(tx)
        published = entities.cached_metric(tx, f"{work.cache_prefix}:published") or {}
    rows.add("isolation_violations_total", violations, label)
    for kind in ("people", "companies"):
        rows.add("entities", published.get(kind, 0), label, kind)
    for found in drift:
        rows.add("drift_severity", found.severity, label, found.metric_name)
    for total in steps:
        rows.add("step_duration_seconds", total.seconds, label, total.step, total.status, count=total.steps)
    for record in records:
        for result in ("landed", "unchanged", "quarantined"):
            rows.add("rows_total", getattr(record, result), label, record.source, record.stream, result)


class DatabaseCollector:
    """Gives the figures to a registry of prometheus_client; when the database is away, none but that."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read

    def describe(self) -> Iterator[object]:
        """Every family, without a row: registering asks the database nothing."""
        yield from (_prometheus(family, ()) for family in (*FAMILIES, DROPPED))

    def collect(self) -> Iterator[object]:
        """Every family with its rows."""
        figures = Figures(rows={}, dropped=0)
        is_there = 0.0
        with suppress(PayReadyError):
            figures, is_there = self._read(), 1.0
        yield _prometheus(Family(name="pay_ready_up", kind="gauge", says="Whether the database answers."), [Row(labels=(), value=is_there)])
        yield from (_prometheus(family, figures.rows.get(family.name, ())) for family in FAMILIES)
        yield _prometheus(DROPPED, [Row(labels=(), value=float(figures.dropped))])


def _prometheus(family: Family, rows: Sequence[Row]) -> object:
    from prometheus_client import core

    kinds = {"gauge": core.GaugeMetricFamily, "counter": core.CounterMetricFamily, "summary": core.SummaryMetricFamily}
    made = kinds[family.kind](family.name, family.says, labels=family.labels)
    for row in rows:
        if isinstance(made, core.SummaryMetricFamily):
            made.add_metric(row.labels, count_value=row.count, sum_value=row.value)
        else:
            made.add_metric(row.labels, row.value)
    return made
