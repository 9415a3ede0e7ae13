"""What a backfill did, in figures: a row for each chunk, and both equations."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from pay_ready.db.backfills import Chunk
from pay_ready.errors import CheckFailedError, PartialError, PayReadyError
from pay_ready.model.backfill import ChunkStatus
from pay_ready.model.ids import PlanId
from pay_ready.model.rows import ROW_FIGURES
from pay_ready.pipeline.backfill.plan import BackfillPlan, PlanState

BackfillStatus = Literal["planned", "complete", "partial", "failed"]
_FIGURES = (*ROW_FIGURES, "skipped", "landed_before", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """A backfill, or its plan. `state`: whether the plan is new, went on, or was complete already; `error` is what stopped it."""

    plan_id: PlanId | None  # None: it was not kept
    source: str
    streams: tuple[str, ...]
    left_out: tuple[str, ...]  # streams without a date
    dated_by: str
    start: datetime
    end: datetime
    chunk: str
    state: PlanState
    status: BackfillStatus
    chunks: tuple[Chunk, ...]
    totals: Chunk
    notes: tuple[str, ...]
    seconds: float  # of this command
    error: PayReadyError | None = None

    def raise_for_failure(self) -> None:
        """Raise what kept it from being complete.

        Raises:
            PayReadyError: What stopped it, where it stopped at a chunk.
            PartialError: It went on with the other chunks.
        """
        if self.status == "failed" and self.error:
            raise self.error
        if self.status == "partial":
            failed = [f"{chunk.start:%Y-%m-%dT%H:%M}" for chunk in self.chunks if chunk.status != "complete"]
            why = f": {self.error.what}" if self.error else ""
            raise PartialError(
                f"{len(failed)} of {len(self.chunks)} chunks are not complete{why}", "the same command tries them again",
                source=self.source, plan=self.plan_id, first=failed[0] if failed else None,
            )  # fmt: skip


def report_of(
    plan: BackfillPlan, status: BackfillStatus, *, seconds: float = 0.0, notes: Sequence[str] = (), error: PayReadyError | None = None
) -> BackfillReport:
    """The report of a plan as it stands."""
    scope = plan.scope
    return BackfillReport(
        plan_id=plan.plan_id if plan.is_kept else None, source=plan.source, streams=scope.streams, left_out=plan.left_out,
        dated_by=scope.dated_by, start=scope.start, end=scope.end, chunk=str(scope.length), state=plan.state, status=status,
        chunks=plan.chunks, totals=totals_of(plan), notes=(*plan.notes, *_undated(plan.chunks), *notes), seconds=round(seconds, 3),
        error=error,
    )  # fmt: skip


def totals_of(plan: BackfillPlan) -> Chunk:
    """The chunks of a plan as one."""
    estimates = [chunk.estimated_rows for chunk in plan.chunks]
    known = [rows for rows in estimates if rows is not None]
    return Chunk(
        start=plan.scope.start,
        end=plan.scope.end,
        status=_common_status([chunk.status for chunk in plan.chunks]),
        attempts=sum(chunk.attempts for chunk in plan.chunks),
        estimated_rows=sum(known) if len(known) == len(estimates) else None,
        undated=max((chunk.undated for chunk in plan.chunks), default=0),  # each chunk may have met the same ones
        **{name: sum(getattr(chunk, name) for chunk in plan.chunks) for name in _FIGURES},
    )


def check_chunks(chunks: Sequence[Chunk], *, all_staged: bool) -> None:
    """Both equations, for each chunk over all its runs.

    Args:
        all_staged: Whether staging is through, so that no row may wait for it.

    Raises:
        CheckFailedError: One does not hold; names the chunk and its counts.
    """
    for chunk in chunks:
        if not chunk.landing_holds or chunk.waiting_rows < 0 or (all_staged and chunk.waiting_rows):
            counts = {each.name: getattr(chunk, each.name) for each in fields(chunk) if each.name in _FIGURES[:9]}
            raise CheckFailedError("the counts of a chunk do not add up", "check it with: pay-ready verify", chunk=chunk.start, **counts)


def _undated(chunks: Sequence[Chunk]) -> list[str]:
    most = max((chunk.undated for chunk in chunks), default=0)
    return [f"{most:,} records of the source have no date and belong to no chunk: a sync brings them in"] if most else []


def _common_status(statuses: Sequence[ChunkStatus]) -> ChunkStatus:
    """What the chunks are together."""
    order: tuple[ChunkStatus, ...] = ("failed", "interrupted", "running", "planned", "complete")
    return next((status for status in order if status in statuses), "complete")
