"""Rollbacks that somebody asked for, and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import NotFoundError

RequestStatus = Literal["waiting", "approved", "refused", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What somebody asks for. `base_run_no` is the published run that was looked at; `four_eyes`: somebody else must approve."""

    request_id: UUID
    checkpoint_id: UUID
    to_run_no: int
    base_run_no: int
    apply_decisions: bool
    four_eyes: bool
    flow_run_id: UUID | None
    requested_by: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest(NewRequest):
    """The same, and what became of it. `run_no` is what was published by it; None where nothing differed."""

    requested_at: datetime
    status: RequestStatus
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    run_no: int | None


def add(tx: TenantTransaction, request: NewRequest) -> RollbackRequest:
    """Keep a request; an orchestrator's run that comes again gets the one it made."""
    asked = {
        "request_id": request.request_id, "checkpoint_id": request.checkpoint_id, "to_run_no": request.to_run_no,
        "base_run_no": request.base_run_no, "apply_decisions": request.apply_decisions, "four_eyes": request.four_eyes,
        "flow_run_id": request.flow_run_id, "requested_by": request.requested_by, "reason": request.reason,
    }  # fmt: skip
    if tx.execute("rollback_requests.add", asked) == 0 and request.flow_run_id is not None:
        found = of_flow_run(tx, request.flow_run_id)
        if found is not None:
            return found
    return lock(tx, request.request_id)


def of_flow_run(tx: TenantTransaction, flow_run_id: UUID) -> RollbackRequest | None:
    """The request of an orchestrator's run."""
    row = tx.row("rollback_requests.of_flow_run", {"flow_run_id": flow_run_id})
    return None if row is None else RollbackRequest(**row._asdict())


def lock(tx: TenantTransaction, request_id: UUID) -> RollbackRequest:
    """A request, nobody else's until the end of the transaction.

    Raises:
        NotFoundError: There is none.
    """
    row = tx.row("rollback_requests.lock", {"request_id": request_id})
    if row is None:
        raise NotFoundError("nobody asked for that", "see what was asked for: pay-ready rollback --requests", request=request_id)
    return RollbackRequest(**row._asdict())


def newest(tx: TenantTransaction, most: int) -> list[RollbackRequest]:
    """The newest requests."""
    return [RollbackRequest(**row._asdict()) for row in tx.rows("rollback_requests.list", {"most": most})]


def decide(tx: TenantTransaction, request_id: UUID, status: Literal["approved", "refused"], actor: str, reason: str | None) -> None:
    """Say yes or no to a request that waits."""
    tx.execute(
        "rollback_requests.decide", {"request_id": request_id, "status": status, "decided_by": actor, "decision_reason": reason}
    )  # fmt: skip


def finish(tx: TenantTransaction, request_id: UUID, run_no: int | None) -> None:
    """An approved request was carried out."""
    tx.execute("rollback_requests.finish", {"request_id": request_id, "run_no": run_no})
