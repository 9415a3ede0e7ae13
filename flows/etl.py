"""The etl flow: one tenant's sources in parallel, each synced and staged; then resolve, publish, index, analyse, answers.

The steps are those of `pay_ready.pipeline.etl`, in its order. step_runs and leases say what ran; every run may be started twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from prefect import flow
from pydantic import Field

from flows.common import TAKEOVER_S, Ending, Parameters, Slug, SourceName, Summary, begun, ended, ending, kept, skipped, tell_operators
from flows.steps import AIRBYTE, DATABASE, Step, attempted, in_thread
from flows.telling import told_run
from pay_ready.errors import LeaseHeldError, PayReadyError
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress
from pay_ready.pipeline import bring_in as source_steps
from pay_ready.pipeline import etl as steps
from pay_ready.pipeline.bring_in import SourceOutcome
from pay_ready.pipeline.etl import EtlReport, Published
from pay_ready.pipeline.figures import TenantFigures, tenant_figures
from pay_ready.pipeline.work import TenantWork
from pay_ready.pipeline.work import alone as only_run

HOUR_S = 3600.0
SYNC, SYNC_BY_AIRBYTE = Step(name="sync", timeout_s=4 * HOUR_S), Step(name="sync", timeout_s=4 * HOUR_S, limit=AIRBYTE)
STAGE = Step(name="stage", timeout_s=2 * HOUR_S, limit=DATABASE)
PUBLISH = Step(name="resolve and publish", timeout_s=2 * HOUR_S, limit=DATABASE)
FOLLOW = {
    "index": Step(name="index", timeout_s=2 * HOUR_S, limit=DATABASE), "analyse": Step(name="analyse", timeout_s=HOUR_S, limit=DATABASE),
    "caches": Step(name="caches", timeout_s=HOUR_S),
}  # fmt: skip
# Of one run at once: fewer than the slots of the limits, so that one tenant's run never has them all.
SYNCS_AT_ONCE, STAGES_AT_ONCE = 3, 2


class EtlParameters(Parameters):
    """Of one run of the pipeline."""

    tenant: Slug
    sources: tuple[SourceName, ...] = Field(default=(), max_length=100, description="Only these; none for all that are active.")
    accept_shrink: bool = Field(default=False, description="Believe that much of a stream is gone.")
    wait_s: float = Field(default=TAKEOVER_S, ge=0, le=3600, description="For another run of the tenant; one that died lets go by then.")


class EtlSummary(Summary):
    """What a run brought and published."""

    run_id: str
    landed: int = 0
    staged: int = 0
    quarantined: int = 0
    published_run: int | None = None
    indexed: int | None = None  # passages that got their vectors
    to_review: int | None = None  # pairs


@flow(name="etl", flow_run_name="etl {request.tenant}", timeout_seconds=8 * HOUR_S, persist_result=False)
async def etl(request: EtlParameters) -> Summary | Ending:
    """Sync, stage, resolve, publish, index, analyse one tenant, and make its answers."""
    run_id = RunId(new_id())
    return await ending(_etl(request, run_id), EtlSummary(status="failed", run_id=str(run_id)))


async def _etl(request: EtlParameters, run_id: RunId) -> Summary | Ending:
    started = time.monotonic()
    async with begun(request.tenant, request.sources) as app:
        work = app.work(request.tenant, accept_shrink=request.accept_shrink, wait_s=request.wait_s)
        try:
            async with alone(work, run_id):
                outcomes = await brought_in(work, run_id, request.sources)
                published = await published_of(work, run_id, outcomes)
        except LeaseHeldError as error:
            return skipped(EtlSummary(status="skipped", run_id=str(run_id)), error)
        report = steps.concluded(work, run_id, outcomes, published, started)
        for name in steps.FOLLOWING:
            report = await followed(work, report, name)
        figures = await in_thread(partial(tenant_figures, app.desk(request.tenant)))
        await kept(f"etl-{request.tenant}", told_run(report, figures), f"etl of {request.tenant}: {report.status}")
        await tell_operators(app, request.tenant)
        return ended(_summary(report, figures), failure_of(report))


@asynccontextmanager
async def alone(work: TenantWork, run_id: RunId) -> AsyncIterator[None]:
    """The only run of a tenant, as `pay_ready.pipeline.work.alone`."""
    with ExitStack() as stack:
        await in_thread(lambda: stack.enter_context(only_run(work, run_id)))
        yield


async def brought_in(work: TenantWork, run_id: RunId, only: Sequence[str]) -> tuple[SourceOutcome, ...]:
    """Each source synced and staged, several at once; what fails of one is its outcome."""
    syncing, staging = asyncio.Semaphore(SYNCS_AT_ONCE), asyncio.Semaphore(STAGES_AT_ONCE)
    by_airbyte = source_steps.airbyte_names(work)

    async def bring_in(name: str) -> SourceOutcome:
        sync = SYNC_BY_AIRBYTE if name in by_airbyte else SYNC
        async with syncing:
            outcome = await attempted(
                sync(partial(_sync, work, name, run_id), subject=name, why_not=_not_synced),
                lambda error: SourceOutcome(source=name, error=error),
            )
        if outcome.sync is None:
            return outcome
        async with staging:
            return await attempted(
                STAGE(partial(_stage, work, outcome, run_id), subject=name, why_not=_not_staged),
                lambda error: replace(outcome, error=error),
            )

    return tuple(await asyncio.gather(*map(bring_in, source_steps.source_names(work, only))))


class Reported(Protocol):
    """A report that says what failed."""

    def raise_for_failure(self) -> None:
        """Raise it."""


def failure_of(report: Reported) -> PayReadyError | None:
    """What `raise_for_failure` raises."""
    try:
        report.raise_for_failure()
    except PayReadyError as error:
        return error
    return None


def _sync(work: TenantWork, name: str, run_id: RunId, progress: Progress) -> SourceOutcome:
    return source_steps.synced(work, name, run_id, progress=progress)


def _stage(work: TenantWork, outcome: SourceOutcome, run_id: RunId, progress: Progress) -> SourceOutcome:
    return source_steps.staged(work, outcome, run_id, progress=progress)


async def published_of(work: TenantWork, run_id: RunId, outcomes: Sequence[SourceOutcome] = (), *, refresh: bool = False) -> Published:
    """Resolved and published, or what kept it from that."""
    return await attempted(PUBLISH(partial(_publish, work, run_id, outcomes, refresh), why_not=_held))


async def followed(work: TenantWork, report: EtlReport, name: str) -> EtlReport:
    """The report with one of the steps after the publish."""
    return await attempted(FOLLOW[name](partial(_follow, work, report, name), why_not=_behind))


def _publish(work: TenantWork, run_id: RunId, outcomes: Sequence[SourceOutcome], refresh: bool, progress: Progress) -> Published:
    return steps.publish_step(work, run_id, outcomes, refresh=refresh, progress=progress)


def _follow(work: TenantWork, report: EtlReport, name: str, progress: Progress) -> EtlReport:
    return steps.followed(work, report, name, progress=progress)


def _not_synced(outcome: SourceOutcome) -> PayReadyError | None:
    """What ended a sync, also one that landed something: it is staged all the same."""
    return outcome.error or (outcome.sync.error if outcome.sync else None)


def _not_staged(outcome: SourceOutcome) -> PayReadyError | None:
    """What failed of staging; a sync that failed is no news any more."""
    return outcome.error if outcome.stage is None or not outcome.equations else None


def _held(published: Published) -> PayReadyError | None:
    return published.held


def _behind(report: EtlReport) -> PayReadyError | None:
    return report.index_error


def _summary(report: EtlReport, figures: TenantFigures) -> EtlSummary:
    rows = [outcome.rows for outcome in report.sources]
    return EtlSummary(
        status=report.status,
        run_id=str(report.run_id),
        landed=sum(each["landed"] for each in rows),
        staged=sum(each["staged"] for each in rows),
        quarantined=sum(each["quarantined"] + each["stage_quarantined"] for each in rows),
        published_run=report.resolve.run_no if report.resolve else None,
        indexed=report.index.vectors if report.index else None,
        to_review=figures.to_review,
    )
