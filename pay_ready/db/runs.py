"""Runs as they are kept: listed, found by the beginning of their id, their reports, and their end by somebody's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId, SourceId

RunState = Literal["running", "complete", "partial", "failed", "aborted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are meant; None lets everything pass."""

    source_id: SourceId | None = None
    status: RunState | None = None
    since: datetime | None = None
    run_id: RunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of one source, with the sums over its streams."""

    run_id: RunId
    source_id: SourceId
    source: str
    ingest_mode: str
    status: RunState
    started_at: datetime
    finished_at: datetime | None
    error_class: str | None
    error_text: str | None
    lease_token: int
    holder: str | None  # host:pid:run of a running one whose lease is still its own
    is_alive: bool  # running, and its lease has not run out
    held_streams: int  # because of which nothing was published after it
    stream_count: int
    emitted: int
    landed: int
    quarantined: int  # in landing and in staging

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is running."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run in a choice of several."""

    run_id: RunId
    source: str
    status: RunState
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOf:
    """The plan that a backfill's run belongs to; its range is half-open."""

    plan_id: UUID
    streams: Sequence[str]  # none: all that the source had
    range_start: datetime
    range_end: datetime
    chunk: str  # 12h, 1d, 1mo
    dated_by: str


def list_runs(tx: TenantTransaction, wanted: RunFilter, most: int) -> list[Run]:
    """The newest `most` runs."""
    asked = {"source_id": wanted.source_id, "status": wanted.status, "since": wanted.since, "run_id": wanted.run_id, "most": most}
    return [Run(**row._asdict()) for row in tx.rows("runs.list", asked)]


def in_range(tx: TenantTransaction, lowest: UUID, highest: UUID, most: int) -> list[FoundRun]:
    """The newest `most` runs whose ids lie between the two, both included."""
    return [FoundRun(**row._asdict()) for row in tx.rows("runs.in_range", {"lowest": lowest, "highest": highest, "most": most})]


def of_pipeline_run(tx: TenantTransaction, lowest: UUID, highest: UUID, most: int) -> list[FoundRun]:
    """The newest `most` syncs of runs of the whole pipeline whose ids lie between the two."""
    asked = {"lowest": lowest, "highest": highest, "most": most}
    return [FoundRun(**row._asdict()) for row in tx.rows("runs.of_pipeline_run", asked)]


def watermarks(tx: TenantTransaction, run: RunId) -> dict[str, tuple[str, str]]:
    """The highest cursors before and after a run, by stream: sortable text that may be personal; empty where nobody knows."""
    return {row.stream: (row.watermark_before, row.watermark_after) for row in tx.rows("runs.watermarks", {"run_id": run})}


def report(tx: TenantTransaction, run: RunId) -> Mapping[str, Any] | None:
    """The stored report as it is; None when there is none."""
    row = tx.row("runs.report", {"run_id": run})
    return None if row is None else row.report


def lock_report(tx: TenantTransaction, run: RunId) -> Mapping[str, Any] | None:
    """As `report`; nobody else changes it until the end of the transaction."""
    row = tx.row("runs.lock_report", {"run_id": run})
    return None if row is None else row.report


def put_report(tx: TenantTransaction, run: RunId, column: Mapping[str, Any]) -> None:
    """Replace a stored report."""
    tx.execute("runs.put_report", {"run_id": run, "report": Jsonb(column)})


def recent_volumes(tx: TenantTransaction, source: SourceId, ingest_mode: str, run: RunId) -> dict[str, Sequence[int]]:
    """Records that each stream brought in its last complete runs but this one, ten at most, newest first."""
    found: dict[str, list[int]] = {}
    for row in tx.rows("runs.recent_volumes", {"source_id": source, "ingest_mode": ingest_mode, "run_id": run}):
        found.setdefault(row.stream, []).append(row.emitted)
    return dict(found)


def backfill_of(tx: TenantTransaction, run: RunId) -> BackfillOf | None:
    """The plan that the run brought a part of, if it was a backfill's."""
    row = tx.row("runs.backfill_of", {"run_id": run})
    return None if row is None else BackfillOf(**row._asdict())


def lock_status(tx: TenantTransaction, run: RunId) -> RunState | None:
    """The status of a run, which nobody else changes until the end of the transaction; None when there is no such run."""
    row = tx.row("runs.lock", {"run_id": run})
    return None if row is None else row.status


def abort(tx: TenantTransaction, run: Run, why: str, token: int) -> None:
    """Close a running run, and have its streams refuse whoever comes with a token below this one."""
    tx.execute("runs.abort", {"run_id": run.run_id, "error_text": why[:4000]})
    tx.execute("landing.abort_stream_runs", {"source_id": run.source_id})
    tx.execute("runs.fence_states", {"run_id": run.run_id, "source_id": run.source_id, "lease_token": token})
