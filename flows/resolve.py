"""The resolve flow: who is who among the staged records, and its publication."""

import time

from prefect import flow
from pydantic import Field

from flows.common import Ending, Parameters, Slug, Summary, begun, ended, ending, kept
from flows.etl import HOUR_S, published_of
from flows.steps import in_thread
from flows.telling import told_entities, told_guards, told_links, told_queue
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline import etl as steps
from pay_ready.pipeline.figures import tenant_figures


class ResolveParameters(Parameters):
    """Of one resolution."""

    tenant: Slug
    refresh: bool = Field(default=False, description="Train the models anew.")
    accept_shrink: bool = Field(default=False, description="Believe that much of a stream is gone.")


class ResolveSummary(Summary):
    """What a resolution published."""

    run_id: str
    published_run: int | None = None
    people: int = 0
    companies: int = 0
    to_review: int = 0  # pairs


@flow(name="resolve", flow_run_name="resolve {request.tenant}", timeout_seconds=3 * HOUR_S, persist_result=False)
async def resolve(request: ResolveParameters) -> Summary | Ending:
    """Resolve a tenant's staged records and publish what changed."""
    run_id = RunId(new_id())
    return await ending(_resolve(request, run_id), ResolveSummary(status="failed", run_id=str(run_id)))


async def _resolve(request: ResolveParameters, run_id: RunId) -> Summary | Ending:
    started = time.monotonic()
    async with begun(request.tenant) as app:
        work = app.work(request.tenant, accept_shrink=request.accept_shrink)
        published = await published_of(work, run_id, refresh=request.refresh)
        report = steps.concluded(work, run_id, (), published, started)
        desk = app.desk(request.tenant)
        figures = await in_thread(lambda: tenant_figures(desk))
        parts = (
            f"# resolution of {request.tenant}", told_entities(published.resolve, figures), told_queue(figures),
            told_guards(report), told_links(request.tenant, published.resolve),
        )  # fmt: skip
        await kept(f"resolve-{request.tenant}", "\n\n".join(parts), f"resolution of {request.tenant}")
        error = published.held or published.on_hold
        summary = ResolveSummary(
            status="failed" if error else "complete", run_id=str(run_id), people=figures.counts.people, companies=figures.counts.companies,
            published_run=published.resolve.run_no if published.resolve else None, to_review=figures.to_review,
        )  # fmt: skip
        return ended(summary, error)
