"""The backfill flow: a range of a source's history; its plan is shown and kept, then its chunks are brought in one after the other.

Chunks are rows of the ledger (`pay_ready.pipeline.backfill`), finished in the transaction of their data; none of them is a task. The same
parameters find the same plan: running it again does what is left, the failed ones first of all.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from pydantic import Field

from flows.common import (
    Ending,
    Parameters,
    Slug,
    SourceName,
    Step,
    StepFailedError,
    Summary,
    attempted,
    begun,
    ended,
    ending,
    kept,
    skipped,
    table,
)
from flows.etl import HOUR_S, failure_of
from pay_ready.db.backfills import Chunk
from pay_ready.errors import LeaseHeldError, PayReadyError
from pay_ready.model.progress import Progress, ProgressEvent
from pay_ready.pipeline.backfill import run as steps
from pay_ready.pipeline.backfill.plan import BackfillSource, open_backfill_source
from pay_ready.pipeline.backfill.report import BackfillReport
from pay_ready.pipeline.backfill.request import parse_request
from pay_ready.pipeline.etl import TenantWork

PLAN, APPLY = Step(name="plan", timeout_s=HOUR_S), Step(name="apply", timeout_s=24 * HOUR_S)
_SHOWN_CHUNKS = 400
_TOLD_EVERY_S = 5.0


class BackfillParameters(Parameters):
    """Of one backfill; `start` up to and without `end`, in UTC where they say nothing else."""

    tenant: Slug
    source: SourceName
    start: datetime = Field(description="First moment wanted.")
    end: datetime = Field(description="First moment no longer wanted.")
    streams: tuple[str, ...] = Field(default=(), max_length=200, description="Only these; none for all that can be.")
    chunk: str = Field(default="1d", pattern=r"^[1-9][0-9]{0,3}(h|d|mo)$", description="Length of a chunk: 12h, 1d, 7d, 1mo.")
    by: Literal["cursor", "extracted"] = Field(default="cursor", description="What dates a record.")
    dry_run: bool = Field(default=False, description="Show the plan and change nothing.")
    again: bool = Field(default=False, description="Plan anew, whatever is complete or under way.")
    keep_going: bool = Field(default=True, description="After a chunk that fails go on with the others.")


class BackfillSummary(Summary):
    """What was brought in."""

    plan_id: str | None = None
    chunks: int = 0
    complete: int = 0
    landed: int = 0
    staged: int = 0


@flow(name="backfill", flow_run_name="backfill {request.tenant} {request.source}", timeout_seconds=25 * HOUR_S, persist_result=False)
async def backfill(request: BackfillParameters) -> Summary | Ending:
    """Bring a range of a source's history in, beside whatever else goes on."""
    return await ending(_backfill(request), BackfillSummary(status="failed"))


async def _backfill(request: BackfillParameters) -> Summary | Ending:
    async with begun(request.tenant, (request.source,)) as app:
        work = app.work(request.tenant)
        source, planned = await PLAN(partial(_plan, work, request), subject=request.source)
        await kept(f"backfill-plan-{request.tenant}", told_plan(request, planned), f"plan of a backfill of {request.source}")
        if request.dry_run:
            return ended(_summary(planned), None)
        async with _shown(f"backfill-{request.tenant}", f"backfill of {request.source}") as told:
            try:
                report = await attempted(APPLY(partial(_apply, source, request, told), subject=request.source, why_not=_why_not))
            except StepFailedError as error:
                if isinstance(error.reason, LeaseHeldError):
                    return skipped(_summary(planned).model_copy(update={"status": "skipped"}), error.reason)
                raise
        await kept(f"backfill-done-{request.tenant}", told_plan(request, report), f"backfill of {request.source}: {report.status}")
        return ended(_summary(report), _why_not(report))


def told_plan(request: BackfillParameters, report: BackfillReport) -> str:
    """The chunks: what is done, what will run."""
    done = sum(chunk.status == "complete" for chunk in report.chunks)
    expected = "" if report.totals.estimated_rows is None else f", about {report.totals.estimated_rows:,} rows"
    heads = ("from", "to", "state", "rows expected", "landed before", "landed", "staged", "refused")
    chunks = report.chunks if len(report.chunks) <= _SHOWN_CHUNKS else report.chunks[:_SHOWN_CHUNKS]
    more = "" if len(chunks) == len(report.chunks) else f"\n{len(report.chunks) - len(chunks):,} more are not shown.\n"
    head = f"# Backfill of {request.tenant}, {request.source}: {report.status}"
    what = f"plan `{report.plan_id or 'not kept'}`: {', '.join(report.streams)}; {len(report.chunks):,} chunks, {done:,} complete{expected}"
    return f"{head}\n\n{what}\n\n{table(heads, [_row(chunk) for chunk in chunks])}{more}"


def _row(chunk: Chunk) -> tuple[object, ...]:
    start, end = f"{chunk.start:%Y-%m-%d %H:%M}", f"{chunk.end:%Y-%m-%d %H:%M}"
    return (start, end, chunk.status, chunk.estimated_rows, chunk.landed_before, chunk.landed, chunk.staged, chunk.stage_quarantined)


@asynccontextmanager
async def _shown(key: str, description: str) -> AsyncIterator[Progress]:
    """An artifact that follows the progress; without the server the work goes on unseen."""
    latest: list[ProgressEvent] = []

    def told(event: ProgressEvent) -> None:
        latest[:] = [event]

    artifact: UUID | None = None
    with _unseen(key):
        artifact = await acreate_progress_artifact(progress=0.0, key=key, description=description)

    async def follow() -> None:
        while artifact is not None:
            await asyncio.sleep(_TOLD_EVERY_S)
            with _unseen(key):
                await aupdate_progress_artifact(artifact, _percent(latest))

    following = asyncio.create_task(follow())
    try:
        yield told
    finally:
        following.cancel()
    if artifact is not None:
        with _unseen(key):
            await aupdate_progress_artifact(artifact, _percent(latest))


@contextmanager
def _unseen(key: str) -> Iterator[None]:
    """What keeps the artifact behind ends nothing."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a server that is away
        get_run_logger().warning("artifact %s is behind: %s", key, type(error).__name__)


def _percent(latest: list[ProgressEvent]) -> float:
    return 100.0 * latest[0].done / latest[0].total if latest and latest[0].total else 0.0


def _plan(work: TenantWork, request: BackfillParameters, progress: Progress) -> tuple[BackfillSource, BackfillReport]:  # noqa: ARG001
    asked = parse_request(
        request.source, request.streams, start=request.start.isoformat(), end=request.end.isoformat(), chunk=request.chunk, by=request.by,
        now=datetime.now(UTC),
    )  # fmt: skip
    source = open_backfill_source(work, asked)
    return source, steps.show_plan(source, again=request.again)


def _apply(source: BackfillSource, request: BackfillParameters, told: Progress, logged: Progress) -> BackfillReport:
    def progress(event: ProgressEvent) -> None:
        told(event)
        logged(event)

    return steps.run_backfill(source, again=request.again, keep_going=request.keep_going, progress=progress)


def _why_not(report: BackfillReport) -> PayReadyError | None:
    return failure_of(report)


def _summary(report: BackfillReport) -> BackfillSummary:
    return BackfillSummary(
        status=report.status, plan_id=str(report.plan_id) if report.plan_id else None, chunks=len(report.chunks),
        complete=sum(chunk.status == "complete" for chunk in report.chunks), landed=report.totals.landed, staged=report.totals.staged,
    )  # fmt: skip
