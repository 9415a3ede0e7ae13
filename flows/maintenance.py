"""The maintenance flow, by night: of a tenant its checkpoints, old rows, tiers and promises; of the house partitions and lost slots."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

from prefect import flow, get_client, get_run_logger, runtime
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed
from pydantic import Field

from flows.common import Ending, Parameters, Slug, Summary, begun, ended, ending, kept, table, tell_operators
from flows.etl import HOUR_S
from flows.steps import AIRBYTE, DATABASE, Step, attempted  # fmt: skip
from pay_ready.app import App
from pay_ready.errors import CheckFailedError, PayReadyError
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress
from pay_ready.pipeline import maintenance as house
from pay_ready.pipeline.checkpoint import prune
from pay_ready.pipeline.drift.find import DriftReport
from pay_ready.pipeline.drift.step import find_drift
from pay_ready.pipeline.index import ReconcileReport, reconcile
from pay_ready.pipeline.maintenance import HouseReport
from pay_ready.pipeline.retention.apply import run_retention
from pay_ready.pipeline.verify import Verification, verify_tenant
from pay_ready.pipeline.work import TenantWork, recorded

HOUSE = Step(name="partitions and statistics", timeout_s=HOUR_S, limit=DATABASE)
PRUNE = Step(name="prune checkpoints", timeout_s=600)
RETENTION = Step(name="retention", timeout_s=4 * HOUR_S, limit=DATABASE)
RECONCILE = Step(name="reconcile", timeout_s=2 * HOUR_S, limit=DATABASE)
DRIFT = Step(name="drift", timeout_s=HOUR_S, limit=DATABASE)
VERIFY = Step(name="verify", timeout_s=2 * HOUR_S, limit=DATABASE)
FLOWS = ("etl", "sync", "resolve", "index", "analyse", "backfill", "rollback", "maintenance")
_LONGEST_RUN = timedelta(hours=32)  # longer than any flow may take: whatever still says running then is not
_LOOK_AGAIN_S = 5.0
_RETENTION_WAIT_S = 60.0  # for an erasure, or a restore


class MaintenanceParameters(Parameters):
    """Of one night."""

    tenant: Slug | None = Field(default=None, description="None: what belongs to nobody (partitions, statistics, lost slots).")
    deep: bool = Field(default=False, description="Verify history too.")
    repair: bool = Field(default=True, description="Mend what differs between the tiers of memory.")


class MaintenanceSummary(Summary):
    """What was found and done."""

    partitions_made: int = 0
    slots_freed: int = 0
    runs_closed: int = 0  # that said running and were not
    checkpoints_dropped: int = 0
    archived: int = 0  # rows that went to an archive
    due: int = 0  # rows that are to go and cannot: the worker has no PAY_READY_ERASURE_DATABASE_URL
    mended: int = 0  # objects of the vector store, passages without a vector
    checks_failed: int = 0
    drifted: int = 0  # figures of which nobody was told before


def _called() -> str:
    request = runtime.flow_run.parameters.get("request")
    tenant = request.get("tenant") if isinstance(request, dict) else getattr(request, "tenant", None)
    return f"maintenance {tenant or 'of the house'} {datetime.now(UTC):%Y-%m-%d}"


@flow(name="maintenance", flow_run_name=_called, timeout_seconds=6 * HOUR_S, persist_result=False)
async def maintenance(request: MaintenanceParameters) -> Summary | Ending:
    """Look after one tenant, or after what belongs to nobody."""
    body = _of_house() if request.tenant is None else _of_tenant(request, request.tenant)
    return await ending(body, MaintenanceSummary(status="failed"))


async def _of_house() -> Summary | Ending:
    async with begun() as app:
        report = await HOUSE(partial(_keep_house, app))
        async with get_client() as client:
            closed = await close_lost_runs(client)
            freed = await free_lost_slots(client)
        summary = MaintenanceSummary(
            status="complete", partitions_made=report.partitions_made, slots_freed=freed, runs_closed=closed
        )  # fmt: skip
        await _kept("house", summary)
        return ended(summary, None)


async def _of_tenant(request: MaintenanceParameters, tenant: str) -> Summary | Ending:
    run_id = RunId(new_id())
    async with begun(tenant) as app:
        work = app.work(tenant)
        dropped = await PRUNE(partial(_prune, work, run_id))
        gone, due, kept_back = await RETENTION(partial(_retain, app, tenant, run_id))
        compared = await RECONCILE(partial(_reconcile, app, work, run_id, request.repair)) if work.memory else None
        drifted = await DRIFT(partial(_drift, work, run_id))
        found = await attempted(VERIFY(partial(_verify, app, work, run_id, request.deep), why_not=_failed))
        wrong = 0 if compared is None else compared.found.missing + compared.found.orphans + compared.found.stale + compared.unindexed
        why_not = _failed(found) or kept_back
        summary = MaintenanceSummary(
            status="failed" if why_not else "complete",
            checkpoints_dropped=dropped,
            archived=gone,
            due=due,
            mended=wrong if request.repair else 0,
            checks_failed=len(found.failed),
            drifted=len(drifted.fresh),
        )
        await _kept(tenant, summary, f"{told_checks(found)}\n\n{told_drift(drifted)}")
        await tell_operators(app, tenant)
        return ended(summary, why_not)


def told_checks(found: Verification) -> str:
    """Each check: how much was looked at, what is off, what to do."""
    heads = ("check", "what holds", "checked", "waiting", "off", "state", "next")
    rows = [
        (each.check, each.says, each.checked, each.pending, each.wrong, each.state, f"`{each.fix}`" if each.fix else "")
        for each in found.results
    ]
    return f"## Promises, as of run {found.run_no}\n\n{table(heads, rows)}"


def told_drift(found: DriftReport) -> str:
    """What drifts: figure, of whom by id, how far. Names of ours and numbers."""
    heads = ("figure", "of", "level", "severity", "before", "now", "moved", "judged")
    rows = [
        (
            each.finding.metric_name, f"{each.finding.subject_kind} {each.finding.subject_id}", each.level, f"{each.finding.severity:.2f}",
            f"{each.finding.baseline_value:.2f}", f"{each.finding.current_value:.2f}", f"{each.finding.effect:+.1f} sd",
            each.finding.judgement or "",
        )
        for each in found.found
    ]  # fmt: skip
    return f"## Drift\n\n{table(heads, rows)}" if rows else "## Drift\n\nNothing drifts."


async def close_lost_runs(client: PrefectClient) -> int:
    """Runs of ours that say running for longer than any may take are closed as crashed; how many. Our tables know what they did."""
    closed = 0
    for run in await _running(client):
        if run.start_time is not None and datetime.now(UTC) - run.start_time > _LONGEST_RUN:
            message = "said running for longer than any run may take"
            await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            closed += 1
    return closed


async def free_lost_slots(client: PrefectClient) -> int:
    """Slots of our limits that nobody can hold, for no other run of ours is under way, are free again; how many.

    Looked at twice: who began in between is seen the second time.
    """
    lost: dict[str, int] = {}
    for look in range(2):
        limits = {each.name: each.active_slots for each in await client.read_global_concurrency_limits(limit=200)}
        busy = [run for run in await _running(client) if run.id != _own_id()]
        held = {name: slots for name, slots in limits.items() if name in (AIRBYTE, DATABASE) and slots and not busy}
        lost = held if look == 0 else {name: slots for name, slots in lost.items() if held.get(name) == slots}
        if not lost:
            return 0
        await asyncio.sleep(_LOOK_AGAIN_S if look == 0 else 0)
    for name, slots in lost.items():
        get_run_logger().warning("limit %s: %s slots were held by nobody", name, slots)
        await client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=0))
    return sum(lost.values())


def _own_id() -> object:
    context = FlowRunContext.get()
    return context.flow_run.id if context and context.flow_run else None


async def _running(client: PrefectClient) -> list[FlowRun]:
    """Runs of our flows that are under way, or say so."""
    states = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))),
            limit=200, offset=len(found),
        )  # fmt: skip
        found += page
        if len(page) < 200:
            return found


async def _kept(whose: str, summary: MaintenanceSummary, more: str = "") -> None:
    rows = table(("figure", ""), list(summary.model_dump().items()))
    await kept(f"maintenance-{whose}", f"# maintenance: {whose}\n\n{rows}\n{more}", f"maintenance: {whose}, {summary.status}")


def _keep_house(app: App, progress: Progress) -> HouseReport:  # noqa: ARG001 - a step's signature
    return house.keep_house(app.database, app.tenant_id("house"))


def _prune(work: TenantWork, run_id: RunId, progress: Progress) -> int:  # noqa: ARG001
    with recorded(work, run_id, "prune", "") as done:
        gone = prune(work.database, work.tenant, keep_count=work.keep_count, keep_days=work.keep_days, actor=work.actor)
        done(len(gone), "complete")
        return len(gone)


def _retain(app: App, tenant: str, run_id: RunId, progress: Progress) -> tuple[int, int, PayReadyError | None]:
    """Rows that went, rows that are due and stay, and why an archive could not be finished."""
    may_delete = app.urls.erasure is not None
    with app.retention(tenant, may_delete=may_delete, wait_s=_RETENTION_WAIT_S) as work:
        report = run_retention(work, run_id=run_id, dry_run=not may_delete, progress=progress)
    return report.deleted, 0 if may_delete else report.plan.rows, next(iter(report.errors), None)


def _reconcile(app: App, work: TenantWork, run_id: RunId, repair: bool, progress: Progress) -> ReconcileReport:  # noqa: ARG001
    with recorded(work, run_id, "reconcile", "") as done:
        report = reconcile(work.database, work.tenant, app.memory, run_id=run_id, repair=repair, wait_s=60)
        done(report.found.passages, "complete")
        return report


def _drift(work: TenantWork, run_id: RunId, progress: Progress) -> DriftReport:  # noqa: ARG001
    return find_drift(work, run_id)


def _verify(app: App, work: TenantWork, run_id: RunId, deep: bool, progress: Progress) -> Verification:
    with recorded(work, run_id, "verify", "") as done:
        found = verify_tenant(work.database, work.tenant, name=work.slug, deep=deep, outer=app.outer_store, progress=progress)
        done(len(found.results), "partial" if found.failed else "complete")
        return found


def _failed(found: Verification) -> PayReadyError | None:
    if not found.failed:
        return None
    checks = ", ".join(each.check for each in found.failed)
    return CheckFailedError("promises do not hold", f"pay-ready verify -t {found.tenant}", tenant=found.tenant, rule=checks)
