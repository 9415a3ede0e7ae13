"""The backfill flow: a range of a source's history; its plan is shown and kept, then its chunks are brought in one after the other.

Chunks are rows of the ledger (`pay_ready.pipeline.backfill`), finished in the transaction of their data; none of them is a task. The same
parameters find the same plan: running it again does what is left, the failed ones first of all.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from pydantic import Field, model_validator

from flows.common import Ending, Parameters, Slug, SourceName, Summary, begun, ended, ending, kept, skipped, table
from flows.etl import HOUR_S, failure_of
from flows.steps import Step, StepFailedError, attempted
from pay_ready.db.backfills import Chunk, Partition
from pay_ready.errors import LeaseHeldError, PayReadyError
from pay_ready.model.backfill import Reprocess
from pay_ready.model.ids import PlanId
from pay_ready.model.progress import Progress, ProgressEvent
from pay_ready.pipeline.backfill import run as steps
from pay_ready.pipeline.backfill.plan import BackfillSource, open_backfill_source, open_plan, partitions
from pay_ready.pipeline.backfill.report import BackfillReport
from pay_ready.pipeline.backfill.request import parse_request
from pay_ready.pipeline.work import TenantWork

PLAN, APPLY = Step(name="plan", timeout_s=HOUR_S), Step(name="apply", timeout_s=24 * HOUR_S)
_SHOWN = 400  # rows of a table
_TOLD_EVERY_S = 5.0


class BackfillParameters(Parameters):
    """Of one backfill: a range of some sources (`start` up to and without `end`, in UTC where they say nothing else), or plans."""

    tenant: Slug
    sources: tuple[SourceName, ...] = Field(default=(), max_length=50)
    start: datetime | None = Field(default=None, description="First moment wanted.")
    end: datetime | None = Field(default=None, description="First moment no longer wanted.")
    streams: tuple[str, ...] = Field(default=(), max_length=200, description="Only these; none for all that can be.")
    chunk: str = Field(default="1d", pattern=r"^[1-9][0-9]{0,3}(h|d|w|mo|y)$", description="Length of a chunk: 12h, 1d, 7d, 1mo.")
    by: Literal["cursor", "extracted"] = Field(default="cursor", description="What dates a record.")
    plans: tuple[UUID, ...] = Field(default=(), max_length=50, description="Apply these (pay-ready backfill plan) instead of a range.")
    dry_run: bool = Field(default=False, description="Show the plan and change nothing.")
    reprocess: Literal["none", "failed", "completed"] = Field(
        default="failed",
        description="none: leave chunks alone that failed; failed: try them again; completed: all, in a plan of their own.",
    )
    max_active: int = Field(default=1, ge=1, le=64, description="Chunks read at once, of all sources; of a connector one.")
    run_backwards: bool = Field(default=False, description="The latest chunk first.")
    keep_going: bool = Field(default=True, description="After a chunk that fails go on with the others.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "BackfillParameters":
        is_range = bool(self.sources) and self.start is not None and self.end is not None
        if bool(self.plans) == is_range or (self.plans and (self.sources or self.start or self.end)):
            raise ValueError("name either sources, start and end, or plans")
        return self


class BackfillSummary(Summary):
    """What was brought in."""

    plans: tuple[str, ...] = ()
    chunks: int = 0
    complete: int = 0
    landed: int = 0
    staged: int = 0


def _called() -> str:
    request = runtime.flow_run.parameters.get("request")
    given = request if isinstance(request, dict) else getattr(request, "__dict__", {})
    names = ", ".join(given.get("sources") or ()) or f"{len(given.get('plans') or ())} plans"
    return f"backfill {given.get('tenant')} {names}"


@flow(name="backfill", flow_run_name=_called, timeout_seconds=25 * HOUR_S, persist_result=False)
async def backfill(request: BackfillParameters) -> Summary | Ending:
    """Bring a range of the history of some sources in, beside whatever else goes on."""
    return await ending(_backfill(request), BackfillSummary(status="failed"))


async def _backfill(request: BackfillParameters) -> Summary | Ending:
    async with begun(request.tenant, request.sources) as app:
        work = app.work(request.tenant)
        reprocess = _reprocess(request)
        ready, planned = await PLAN(partial(_plan, work, request, reprocess))
        for report in planned:
            await kept(_key("plan", request.tenant, report), told_plan(work, report), f"plan of a backfill of {report.source}")
        if request.dry_run:
            return ended(_summary(planned), None)
        async with _shown(f"backfill-{request.tenant}", f"backfill of {request.tenant}") as told:
            try:
                reports = await attempted(APPLY(partial(_apply, ready, request, reprocess, told), why_not=_why_not))
            except StepFailedError as error:
                if isinstance(error.reason, LeaseHeldError):
                    return skipped(_summary(planned).model_copy(update={"status": "skipped"}), error.reason)
                raise
        for report in reports:
            await kept(_key("done", request.tenant, report), told_plan(work, report), f"backfill of {report.source}: {report.status}")
        return ended(_summary(reports), _why_not(reports))


def _reprocess(request: BackfillParameters) -> Reprocess:
    """What was asked for; a run that is retried (one click on "Retry") goes on with the plan that it made."""
    return "failed" if request.reprocess == "completed" and (runtime.flow_run.run_count or 0) > 1 else request.reprocess


def told_plan(work: TenantWork, report: BackfillReport) -> str:
    """The chunks, then each stream of them: what is done, what will run."""
    done = sum(chunk.status == "complete" for chunk in report.chunks)
    expected = "" if report.totals.estimated_rows is None else f", about {report.totals.estimated_rows:,} rows"
    heads = ("from", "to", "state", "rows expected", "landed before", "landed", "staged", "refused")
    head = f"# Backfill of {report.source}: {report.status}"
    what = f"plan `{report.plan_id or 'not kept'}`: {', '.join(report.streams)}; {len(report.chunks):,} chunks, {done:,} complete{expected}"
    chunks = table(heads, [_row(chunk) for chunk in report.chunks[:_SHOWN]]) + _more(len(report.chunks))
    parts = partitions(work, report.plan_id) if report.plan_id else []
    matrix = table(("from", *report.streams), _matrix(parts, report.streams)[:_SHOWN]) if parts else ""
    return "\n\n".join(filter(None, (head, what, chunks, matrix)))


def _matrix(parts: Sequence[Partition], streams: Sequence[str]) -> list[tuple[object, ...]]:
    """A row for each chunk, a column for each stream: how it stands, and what it landed."""
    rows: dict[datetime, dict[str, str]] = {}
    for each in parts:
        rows.setdefault(each.start, {})[each.stream] = f"{each.status} {each.landed:,}" if each.emitted else each.status
    return [(f"{start:%Y-%m-%d %H:%M}", *(row.get(name, "") for name in streams)) for start, row in rows.items()]


def _more(count: int) -> str:
    return f"\n{count - _SHOWN:,} more are not shown: pay-ready backfill show PLAN" if count > _SHOWN else ""


def _key(what: str, tenant: str, report: BackfillReport) -> str:
    return f"backfill-{what}-{tenant}-{report.source.replace('_', '-')}"


def _row(chunk: Chunk) -> tuple[object, ...]:
    start, end = f"{chunk.start:%Y-%m-%d %H:%M}", f"{chunk.end:%Y-%m-%d %H:%M}"
    return (start, end, chunk.status, chunk.estimated_rows, chunk.landed_before, chunk.landed, chunk.staged, chunk.stage_quarantined)


@asynccontextmanager
async def _shown(key: str, description: str) -> AsyncIterator[Progress]:
    """An artifact that follows the progress; without the server the work goes on unseen."""
    latest: dict[str, ProgressEvent] = {}

    def told(event: ProgressEvent) -> None:
        latest[event.subject] = event

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


def _percent(latest: Mapping[str, ProgressEvent]) -> float:
    total = sum(event.total or 0 for event in list(latest.values()))
    return 100.0 * sum(event.done for event in list(latest.values())) / total if total else 0.0


def _plan(
    work: TenantWork,
    request: BackfillParameters,
    reprocess: Reprocess,
    progress: Progress,  # noqa: ARG001 - every step is told where to report
) -> tuple[list[BackfillSource], list[BackfillReport]]:
    """The sources, opened, and their plans: kept, but in a dry run."""
    ready = [open_plan(work, PlanId(plan)) for plan in request.plans] or [_opened(work, request, name) for name in request.sources]
    again = reprocess == "completed"
    return ready, [steps.show_plan(each, again=again) if request.dry_run or again else steps.make_plan(each) for each in ready]


def _opened(work: TenantWork, request: BackfillParameters, name: str) -> BackfillSource:
    start, end = (moment.isoformat() if moment else "" for moment in (request.start, request.end))
    asked = parse_request(name, request.streams, start=start, end=end, chunk=request.chunk, by=request.by, now=datetime.now(UTC))
    return open_backfill_source(work, asked)


def _apply(
    ready: Sequence[BackfillSource], request: BackfillParameters, reprocess: Reprocess, told: Progress, logged: Progress
) -> list[BackfillReport]:
    def progress(event: ProgressEvent) -> None:
        told(event)
        logged(event)

    return steps.run_backfills(
        ready, reprocess=reprocess, max_active=request.max_active, backwards=request.run_backwards, keep_going=request.keep_going,
        progress=progress,
    )  # fmt: skip


def _why_not(reports: Sequence[BackfillReport]) -> PayReadyError | None:
    return next(filter(None, map(failure_of, reports)), None)


def _summary(reports: Sequence[BackfillReport]) -> BackfillSummary:
    statuses = [report.status for report in reports]
    return BackfillSummary(
        status=next((each for each in ("failed", "partial", "planned") if each in statuses), "complete"),
        plans=tuple(str(report.plan_id) for report in reports if report.plan_id),
        chunks=sum(len(report.chunks) for report in reports),
        complete=sum(chunk.status == "complete" for report in reports for chunk in report.chunks),
        landed=sum(report.totals.landed for report in reports),
        staged=sum(report.totals.staged for report in reports),
    )
