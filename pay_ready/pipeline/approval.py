"""A rollback in two steps: one asks for it, looking at what would change; another one, or the same where that is enough, approves it.

Who asked and who approved is kept in the database and in the audit, with the reasons; what schedules the rollback knows neither. What was
approved is what was looked at: when another run published meanwhile, it has to be asked for anew.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import resolution as db_resolution
from pay_ready.db import rollback_requests, tenants
from pay_ready.db.rollback_requests import NewRequest, RollbackRequest
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, DeniedError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.pipeline.rollback import RollbackReport, rollback

Verdict = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks for a rollback, and for which."""

    to: str  # name or id of a checkpoint
    actor: str
    reason: str | None = None
    apply_decisions: bool = False
    four_eyes: bool = False  # somebody else must approve
    flow_run_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request and what it would change."""

    request: RollbackRequest
    preview: RollbackReport


def ask(database: Database, tenant: TenantId, asking: Asking, *, examples: int = 0, progress: Progress = no_progress) -> Asked:
    """Ask for a rollback. An orchestrator's run that comes again gets the request it made.

    Raises:
        NotFoundError: No such checkpoint.
        CheckFailedError: The rows are not those of the checkpoint any more.
    """
    preview = rollback(
        database, tenant, asking.to, actor=asking.actor, run_id=RunId(new_id()), dry_run=True, examples=examples, progress=progress
    )  # fmt: skip
    with database.tenant_transaction(tenant) as tx:
        point = db_checkpoints.checkpoint(tx, asking.to)
        new = NewRequest(
            request_id=new_id(), checkpoint_id=point.checkpoint_id, to_run_no=preview.to_run_no, base_run_no=preview.from_run_no,
            apply_decisions=asking.apply_decisions, four_eyes=asking.four_eyes, flow_run_id=asking.flow_run_id,
            requested_by=asking.actor, reason=asking.reason,
        )  # fmt: skip
        request = rollback_requests.add(tx, new)
        if request.request_id == new.request_id:
            _audit(tx, request, asking.actor, "rollback.requested", asking.reason)
    return Asked(request=request, preview=preview)


def refuse_alone(*, four_eyes: bool) -> None:
    """Whether one may roll back alone.

    Raises:
        DeniedError: It takes two.
    """
    if four_eyes:
        hint = "ask for it: add --ask; a colleague approves it (setting checkpoints.four_eyes)"
        raise DeniedError("a rollback of this tenant takes two", hint)


def decide(
    database: Database, tenant: TenantId, request_id: UUID, verdict: Verdict, *, actor: str, reason: str | None = None
) -> RollbackRequest:  # fmt: skip
    """Approve or refuse a request; said again by the same one it stays as it is.

    Raises:
        NotFoundError: Nobody asked for that.
        DeniedError: It takes four eyes, and it was the same one who asked.
        ConflictError: It was decided otherwise, or by somebody else.
    """
    with database.tenant_transaction(tenant) as tx:
        found = rollback_requests.lock(tx, request_id)
        if found.status != "waiting":
            said: Verdict = "refused" if found.status == "refused" else "approved"
            if (said, found.decided_by) == (verdict, actor):
                return found
            raise ConflictError("it is decided already", "ask anew: pay-ready rollback --to CHECKPOINT --ask", request=request_id)
        if verdict == "approved" and found.four_eyes and actor == found.requested_by:
            hint = f"let a colleague say: pay-ready rollback --approve {request_id}"
            raise DeniedError("this rollback takes two: who asked for it may not approve it", hint, request=request_id)
        rollback_requests.decide(tx, request_id, verdict, actor, reason)
        _audit(tx, found, actor, f"rollback.{verdict}", reason)
        return rollback_requests.lock(tx, request_id)


def carry_out(
    database: Database,
    tenant: TenantId,
    request_id: UUID,
    *,
    actor: str,
    config: ResolutionConfig,
    examples: int = 0,
    progress: Progress = no_progress,
) -> RollbackReport:
    """Do what was approved, once: said again it tells that it is there.

    Args:
        config: By which decisions made since are applied, where that was asked for.

    Raises:
        ConflictError: It is not approved; or another run published since it was asked for.
    """

    def begin(tx: TenantTransaction) -> None:
        found = rollback_requests.lock(tx, request_id)
        if found.status not in ("approved", "done"):
            hint = f"pay-ready rollback --approve {request_id}"
            raise ConflictError(f"the rollback is not approved: {found.status}", hint, request=request_id)
        standing = db_resolution.standing(tx).run_no
        if found.status == "approved" and standing != found.base_run_no:
            hint = "ask for it anew, and look at what would change now: pay-ready rollback --to CHECKPOINT --ask"
            raise ConflictError("another run published since it was asked for", hint, run_no=standing, base_run_no=found.base_run_no)

    def end(tx: TenantTransaction, report: RollbackReport) -> None:
        rollback_requests.finish(tx, request_id, report.run_no)

    with database.tenant_transaction(tenant) as tx:
        found = rollback_requests.lock(tx, request_id)
    return rollback(
        database, tenant, str(found.checkpoint_id), actor=found.decided_by or actor, run_id=RunId(new_id()), reason=found.reason,
        dry_run=found.status == "done", apply_with=config if found.apply_decisions else None, examples=examples, progress=progress,
        begin=begin, end=end,
    )  # fmt: skip


def _audit(tx: TenantTransaction, request: NewRequest, actor: str, action: str, reason: str | None) -> None:
    tenants.audit(
        tx, actor=actor, action=action, subject_kind="rollback_request", subject_id=str(request.request_id), reason=reason
    )  # fmt: skip
