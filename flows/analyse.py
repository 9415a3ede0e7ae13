"""The analyse flow: what was said and nobody has read yet is scored, and the answers most asked for are made anew."""

from functools import partial

from prefect import flow
from pydantic import Field

from flows.common import Ending, Parameters, Slug, Summary, begun, ended, ending, kept, table
from flows.etl import HOUR_S
from flows.steps import DATABASE, Step
from pay_ready.app import App
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress
from pay_ready.pipeline.analyse import AnalyseReport, analyse_tenant
from pay_ready.pipeline.warm import WarmReport, warm_tenant
from pay_ready.pipeline.work import TenantWork, recorded

ANALYSE, CACHES = Step(name="analyse", timeout_s=6 * HOUR_S, limit=DATABASE), Step(name="caches", timeout_s=HOUR_S)


class AnalyseParameters(Parameters):
    """Of one analysis."""

    tenant: Slug
    most_s: float | None = Field(default=None, ge=0, description="Stop after so long, the latest interactions read; else when all are.")
    answers: int = Field(default=20, ge=0, le=1000, description="That are made in advance; 0 for none.")
    wait_s: float = Field(default=60, ge=0, le=3600, description="For another process that is at it.")


class AnalyseSummary(Summary):
    """What was read, and made."""

    run_id: str
    interactions: int = 0
    sentences: int = 0
    left: int = 0  # interactions that nobody has read yet
    answers: int = 0


@flow(name="analyse", flow_run_name="analyse {request.tenant}", timeout_seconds=7 * HOUR_S, persist_result=False)
async def analyse(request: AnalyseParameters) -> Summary | Ending:
    """Score what was said to a tenant, and make the answers that are most asked for."""
    run_id = RunId(new_id())
    return await ending(_analyse(request, run_id), AnalyseSummary(status="failed", run_id=str(run_id)))


async def _analyse(request: AnalyseParameters, run_id: RunId) -> Summary | Ending:
    async with begun(request.tenant) as app:
        work = app.work(request.tenant)
        read = await ANALYSE(partial(_read, app, work, request, run_id))
        made = await CACHES(partial(_make, app, work, request, run_id)) if request.answers else None
        figures = AnalyseSummary(
            status="partial" if read.left else "complete",
            run_id=str(run_id),
            interactions=read.interactions,
            sentences=read.sentences,
            left=read.left,
            answers=made.answers if made else 0,
        )
        rows = list(figures.model_dump().items())
        text = f"# analysis of {request.tenant}\n\n" + table(("figure", ""), rows)
        await kept(f"analyse-{request.tenant}", text, f"analysis of {request.tenant}")
        return ended(figures, None)


def _read(app: App, work: TenantWork, request: AnalyseParameters, run_id: RunId, progress: Progress) -> AnalyseReport:
    with recorded(work, run_id, "analyse", "") as done:
        report = analyse_tenant(
            work.database, work.tenant, app.memory.embedder, run_id=run_id, most_s=request.most_s, wait_s=request.wait_s, progress=progress
        )
        done(report.interactions, "partial" if report.left else "complete")
        return report


def _make(app: App, work: TenantWork, request: AnalyseParameters, run_id: RunId, progress: Progress) -> WarmReport:
    from pay_ready.app_agent import open_toolbox  # heavy

    with recorded(work, run_id, "caches", "") as done:
        toolbox = open_toolbox(app, app.tenant(work.slug))
        report = warm_tenant(work.database, work.tenant, toolbox, most=request.answers, progress=progress)
        done(report.answers, "complete")
        return report
