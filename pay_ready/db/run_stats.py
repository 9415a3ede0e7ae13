"""How a tenant's runs went, and its figures over time; each report is one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How often something ran, how it ended, and how long it took, in seconds."""

    runs: int
    complete: int
    partial: int
    failed: int
    running: int
    p50: float | None
    p95: float | None
    p99: float | None

    @property
    def success_rate(self) -> float | None:
        """Complete ones among those that ended, in [0, 1]; None where none did."""
        ended = self.runs - self.running
        return self.complete / ended if ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFigures:
    """Runs of a flow; of one step of it, and of one day, where these are named."""

    flow: str
    figures: Figures
    step: str = ""
    row_count: int | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStep:
    """One step of one run."""

    run_id: RunId
    step: str
    subject: str
    status: str
    started_at: datetime
    row_count: int | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFigures:
    """A class of errors that ended a step."""

    step: str
    error_class: str
    times: int
    runs: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A figure at a time."""

    metric_name: str
    subject_id: str
    taken_at: datetime
    metric_value: float
    run_id: RunId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, half-open."""

    since: datetime
    until: datetime

    @property
    def params(self) -> dict[str, object]:
        """As the statements take them."""
        return {"since": self.since, "until": self.until}


def by_flow(tx: TenantTransaction, span: Span) -> list[FlowFigures]:
    """Runs by flow."""
    return [FlowFigures(flow=row.flow, figures=_figures(row)) for row in tx.rows("run_stats.by_flow", span.params)]


def by_step(tx: TenantTransaction, span: Span) -> list[FlowFigures]:
    """Steps by flow, in their order."""
    rows = tx.rows("run_stats.by_step", span.params)
    return [FlowFigures(flow=row.flow, step=row.step, row_count=row.row_count, figures=_figures(row)) for row in rows]


def by_day(tx: TenantTransaction, span: Span) -> list[FlowFigures]:
    """Runs by day (UTC) and flow."""
    return [FlowFigures(flow=row.flow, day=row.day, figures=_figures(row)) for row in tx.rows("run_stats.by_day", span.params)]


def slowest(tx: TenantTransaction, span: Span, most: int) -> list[SlowStep]:
    """The steps that took longest."""
    return [SlowStep(**row._asdict()) for row in tx.rows("run_stats.slowest", {**span.params, "most": most})]


def errors(tx: TenantTransaction, span: Span) -> list[ErrorFigures]:
    """What ended steps, the most frequent first."""
    return [ErrorFigures(**row._asdict()) for row in tx.rows("run_stats.errors", span.params)]


def snapshot(tx: TenantTransaction, run: RunId, taken_at: datetime, rows: Mapping[str, int]) -> None:
    """Keep what stands at the end of a run, and the rows of streams that were counted ("source/stream")."""
    counts: Sequence[float] = [float(count) for count in rows.values()]
    tx.execute("run_stats.snapshot", {"run_id": run, "taken_at": taken_at, "subjects": list(rows), "row_counts": counts})


def trend(tx: TenantTransaction, metric: str | None, since: datetime, most: int) -> list[Point]:
    """Points of the time series, the newest first."""
    return [Point(**row._asdict()) for row in tx.rows("run_stats.trend", {"metric_name": metric, "since": since, "most": most})]


def _figures(row: object) -> Figures:
    seconds = getattr(row, "seconds", None) or [None, None, None]
    counts = {name: getattr(row, name) for name in ("runs", "complete", "partial", "failed", "running")}
    return Figures(**counts, p50=seconds[0], p95=seconds[1], p99=seconds[2])
