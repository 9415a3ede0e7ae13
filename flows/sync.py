"""The sync flow: a tenant's sources brought in and staged, and nothing resolved."""

import time

from prefect import flow
from pydantic import Field

from flows.common import TAKEOVER_S, Ending, Parameters, Slug, SourceName, Summary, begun, ended, ending, kept
from flows.etl import HOUR_S, brought_in, failure_of
from flows.telling import told_guards, told_rows
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline import etl as steps
from pay_ready.pipeline.etl import Published


class SyncParameters(Parameters):
    """Of one sync of a tenant's sources."""

    tenant: Slug
    sources: tuple[SourceName, ...] = Field(default=(), max_length=100, description="Only these; none for all that are active.")
    accept_shrink: bool = Field(default=False, description="Believe that much of a stream is gone.")
    wait_s: float = Field(default=TAKEOVER_S, ge=0, le=3600, description="For another run of a source; one that died lets go by then.")


class SyncSummary(Summary):
    """What a sync brought."""

    run_id: str
    emitted: int = 0
    landed: int = 0
    staged: int = 0


@flow(name="sync", flow_run_name="sync {request.tenant}", timeout_seconds=6 * HOUR_S, persist_result=False)
async def sync(request: SyncParameters) -> Summary | Ending:
    """Bring a tenant's sources in. Each waits for its own lease: a run of the whole pipeline may go on beside it."""
    run_id = RunId(new_id())
    return await ending(_sync(request, run_id), SyncSummary(status="failed", run_id=str(run_id)))


async def _sync(request: SyncParameters, run_id: RunId) -> Summary | Ending:
    started = time.monotonic()
    async with begun(request.tenant, request.sources) as app:
        work = app.work(request.tenant, accept_shrink=request.accept_shrink, wait_s=request.wait_s)
        report = steps.concluded(work, run_id, await brought_in(work, run_id, request.sources), Published(), started)
        rows = [outcome.rows for outcome in report.sources]
        parts = (f"# sync of {request.tenant}: {report.status}", told_rows(report.sources), told_guards(report))
        await kept(f"sync-{request.tenant}", "\n\n".join(parts), f"sync of {request.tenant}: {report.status}")
        summary = SyncSummary(
            status=report.status,
            run_id=str(run_id),
            emitted=sum(each["emitted"] for each in rows),
            landed=sum(each["landed"] for each in rows),
            staged=sum(each["staged"] for each in rows),
        )
        return ended(summary, failure_of(report))
