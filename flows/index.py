"""The index flow: memory catches up with what was staged, published, rolled back and erased."""

from functools import partial

from prefect import flow
from pydantic import Field

from flows.common import Ending, Parameters, Slug, Summary, begun, ended, ending, kept, table
from flows.etl import HOUR_S
from flows.steps import DATABASE, Step
from pay_ready.app import App
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress
from pay_ready.pipeline.index import IndexReport, index_tenant, rebuild
from pay_ready.pipeline.work import TenantWork, recorded

INDEX = Step(name="index", timeout_s=6 * HOUR_S, limit=DATABASE)


class IndexParameters(Parameters):
    """Of one indexing."""

    tenant: Slug
    rebuild: bool = Field(default=False, description="Make every passage and vector anew from what is staged.")
    wait_s: float = Field(default=60, ge=0, le=3600, description="For another process that is at it.")


class IndexSummary(Summary):
    """What memory heard of."""

    run_id: str
    interactions: int = 0
    passages: int = 0
    vectors: int = 0
    waiting: int = 0  # interactions that the outer store has yet to hear of


@flow(name="index", flow_run_name="index {request.tenant}", timeout_seconds=7 * HOUR_S, persist_result=False)
async def index(request: IndexParameters) -> Summary | Ending:
    """Bring a tenant's memory up to date."""
    run_id = RunId(new_id())
    return await ending(_index(request, run_id), IndexSummary(status="failed", run_id=str(run_id)))


async def _index(request: IndexParameters, run_id: RunId) -> Summary | Ending:
    async with begun(request.tenant) as app:
        done = await INDEX(partial(_indexed, app, app.work(request.tenant), request, run_id))
        figures = IndexSummary(
            status="partial" if done.outer_away or done.told.failed else "complete", run_id=str(run_id), vectors=done.vectors,
            interactions=done.heard.interactions, passages=done.heard.passages, waiting=done.waiting.interactions,
        )  # fmt: skip
        rows = [(name, value) for name, value in figures.model_dump().items()]
        await kept(
            f"index-{request.tenant}", f"# index of {request.tenant}\n\n" + table(("figure", ""), rows), f"index of {request.tenant}"
        )
        return ended(figures, None)


def _indexed(app: App, work: TenantWork, request: IndexParameters, run_id: RunId, progress: Progress) -> IndexReport:
    step = rebuild if request.rebuild else index_tenant
    with recorded(work, run_id, "index", "") as done:
        report = step(work.database, work.tenant, app.memory, run_id=run_id, wait_s=request.wait_s, progress=progress)
        done(report.heard.interactions, "partial" if report.outer_away or report.told.failed else "complete")
        return report
