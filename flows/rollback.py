"""The rollback flow: what would change is shown, somebody approves it, then it is done.

Who asked, who approved and why is kept by `pay_ready.pipeline.approval`, in the database and the audit; what was typed into Prefect's form
is deleted from Prefect as soon as it is there. A run that starts again finds its request, and waits or goes on.
"""

from contextlib import suppress
from functools import partial
from typing import Annotated
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger, runtime
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.states import Completed
from pydantic import Field, StringConstraints

from flows.common import Ending, Parameters, Slug, Summary, begun, ended, ending, kept, run_link, table
from flows.etl import HOUR_S
from flows.steps import Step
from pay_ready.db.rollback_requests import RollbackRequest
from pay_ready.model.progress import Progress
from pay_ready.pipeline import approval
from pay_ready.pipeline.approval import Asked, Asking
from pay_ready.pipeline.rollback import RollbackReport
from pay_ready.pipeline.work import TenantWork

ASK, DECIDE, RESTORE = (
    Step(name="ask", timeout_s=HOUR_S),
    Step(name="decide", timeout_s=300),
    Step(name="restore", timeout_s=HOUR_S),
)
# A login, never an address: parameters are shown to everybody who sees the run.
Login = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
CheckpointName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
WAIT_S = 24 * 3600  # for an answer
_KEY, _LOOK_S = "approval", 2


class RollbackParameters(Parameters):
    """Of one rollback."""

    tenant: Slug
    checkpoint: CheckpointName = Field(description="Where to: its name or id (pay-ready checkpoint list).")
    requested_by: Login = Field(description="Who asks for it.")
    apply_decisions: bool = Field(default=False, description="Apply the decisions made since at once, not at the next resolve.")
    four_eyes: bool = Field(default=True, description="Somebody else must approve; also where the tenant's settings say so.")


class Approval(RunInput):
    """What somebody says to a rollback: yes or no, who, and why."""

    approve: bool = Field(default=False, description="Whether to roll back.")
    who: Login = Field(description="Your login; with four eyes another one than the requester's.")
    reason: str = Field(default="", max_length=500, description="Why; kept in the audit of pay_ready, and not here.")


class RollbackSummary(Summary):
    """What became of it."""

    request_id: str = ""
    published_run: int | None = None


@flow(name="rollback", flow_run_name="rollback {request.tenant} to {request.checkpoint}", timeout_seconds=30 * HOUR_S, persist_result=False)
async def rollback(request: RollbackParameters) -> Summary | Ending:
    """Show what a return to a checkpoint would change, wait for somebody's word, and do it."""
    return await ending(_rollback(request), RollbackSummary(status="failed"))


async def _rollback(request: RollbackParameters) -> Summary | Ending:
    async with begun(request.tenant) as app:
        work = app.work(request.tenant)
        asked = await ASK(partial(_ask, work, request, _flow_run_id()))
        await kept(f"rollback-{request.tenant}", told_preview(request, asked), f"rollback of {request.tenant} to {request.checkpoint}")
        waiting = asked.request.status == "waiting"
    # Nothing is held while somebody thinks: neither a connection nor a lease. With a deployment the process ends here.
    word = await _word(asked.request) if waiting else None
    async with begun(request.tenant) as app:
        work = app.work(request.tenant)
        decided = asked.request if word is None else await DECIDE(partial(_decide, work, asked.request.request_id, word))
        await _forget_word()
        summary = RollbackSummary(status=decided.status, request_id=str(decided.request_id))
        if decided.status == "refused":
            return Completed(name="Refused", message="refused: nothing was changed", data=summary)
        report = await RESTORE(partial(_restore, work, decided.request_id))
        done = summary.model_copy(update={"status": "complete", "published_run": report.run_no})
        await kept(f"rollback-{request.tenant}-done", told_done(request, report), f"rollback of {request.tenant}: done")
        return ended(done, None)


def told_preview(request: RollbackParameters, asked: Asked) -> str:
    """What would change, in numbers, and how to answer."""
    eyes = "somebody else than the requester approves it" if asked.request.four_eyes else "one person is enough"
    cli = f"`pay-ready rollback -t {request.tenant} --approve {asked.request.request_id}`"
    states = f"state of run {asked.preview.to_run_no}; published now is run {asked.preview.from_run_no}"
    lines = (
        f"# Return of {request.tenant} to {request.checkpoint}",
        f"{states}. {eyes.capitalize()}: resume this run, or {cli}",
        told_differences(asked.preview),
        run_link(),
    )
    return "\n\n".join(filter(None, lines))


def told_done(request: RollbackParameters, report: RollbackReport) -> str:
    """What was done, and what follows."""
    what = "it was there already: nothing was written" if report.run_no is None else f"published as run {report.run_no}"
    follows = f"Resolution is on hold: `pay-ready resume -t {request.tenant}`, or take it back: `pay-ready redo -t {request.tenant}`"
    parts = (f"# {request.tenant} is back at {request.checkpoint}", what, told_differences(report), follows if report.is_on_hold else "")
    return "\n\n".join(filter(None, parts))


def told_differences(report: RollbackReport) -> str:
    """Entities by kind of change, records, links, memories."""
    found = report.differences
    changes = sorted({change for each in found.changes.values() for change in each})
    entities = table(("entities", *changes), [(kind, *(each.get(change, 0) for change in changes)) for kind, each in found.changes.items()])
    moved, back, gone = (sum(getattr(each, name) for each in found.records.values()) for name in ("moved", "assigned", "unassigned"))
    rows = (
        ("records that move", moved), ("records that come back", back), ("records that wait unassigned", gone),
        ("links to interactions opened", found.links.opening), ("links closed", found.links.closing), ("memories to move", found.memories),
        ("decisions not honoured then", len(found.decisions_since)), ("models come back", "yes" if report.models_change else "no"),
        ("settings come back", "yes" if report.settings_change else "no"),
    )  # fmt: skip
    return (entities + "\n" if changes else "") + table(("what changes", ""), rows)


async def _word(asked: RollbackRequest) -> Approval:
    """Somebody's word; the process of a deployment's run ends meanwhile, another one waits."""
    get_run_logger().info("waits for a word on request %s", asked.request_id)
    if runtime.deployment.id is None:
        return await apause_flow_run(wait_for_input=Approval, timeout=WAIT_S, poll_interval=_LOOK_S, key=_KEY)
    return await asuspend_flow_run(wait_for_input=Approval, timeout=WAIT_S, key=_KEY)


async def _forget_word() -> None:
    """Delete what was typed: it is in the audit by now. What was not typed cannot be deleted, and a rollback does not depend on it."""
    flow_run_id = _flow_run_id()
    if flow_run_id is None:
        return
    async with get_client() as client:
        for how in ("paused", "suspended"):
            with suppress(ObjectNotFound, httpx.HTTPError):
                await client.delete_flow_run_input(flow_run_id, f"{how}-{_KEY}-response")


def _flow_run_id() -> UUID | None:
    return UUID(runtime.flow_run.id) if runtime.flow_run.id else None


def _ask(work: TenantWork, request: RollbackParameters, flow_run_id: UUID | None, progress: Progress) -> Asked:
    asking = Asking(
        to=request.checkpoint, actor=request.requested_by, apply_decisions=request.apply_decisions, flow_run_id=flow_run_id,
        four_eyes=request.four_eyes or work.four_eyes,
    )  # fmt: skip
    return approval.ask(work.database, work.tenant, asking, progress=progress)


def _decide(work: TenantWork, request_id: UUID, word: Approval, progress: Progress) -> RollbackRequest:  # noqa: ARG001 - a step's signature
    verdict: approval.Verdict = "approved" if word.approve else "refused"
    return approval.decide(work.database, work.tenant, request_id, verdict, actor=word.who, reason=word.reason or None)


def _restore(work: TenantWork, request_id: UUID, progress: Progress) -> RollbackReport:
    return approval.carry_out(work.database, work.tenant, request_id, actor=work.actor, config=work.resolution, progress=progress)
