"""Our own record of what ran: an orchestrator's states can be wrong both ways."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.lineage import QualityResult

StepStatus = Literal["complete", "partial", "failed", "aborted"]


def begin_step(tx: TenantTransaction, run_id: RunId, step: str, subject: str, *, step_run_id: UUID | None = None) -> UUID:
    """A step has begun; the id to finish it by. With an id of the caller's it may be said twice."""
    step_run_id = step_run_id or new_id()
    tx.execute("operation.begin_step", {"step_run_id": step_run_id, "run_id": run_id, "step": step, "subject": subject})
    return step_run_id


def finish_step(
    tx: TenantTransaction, step_run_id: UUID, status: StepStatus, *, row_count: int | None = None, error_class: str | None = None
) -> None:
    """A step has ended. May be said twice: the first time counts."""
    tx.execute(
        "operation.finish_step",
        {"step_run_id": step_run_id, "status": status, "row_count": row_count, "error_class": error_class},
    )


def keep_log_partitions(tx: TenantTransaction, months: int) -> int:
    """Make this month's partition of log lines and those of so many months to come; how many were made. It is nobody's rows."""
    return int(tx.value("operation.keep_log_partitions", {"months": months}))


def quality_of_run(tx: TenantTransaction, run_id: RunId) -> Sequence[QualityResult]:
    """Results of the checks that a run has made so far."""
    rows = tx.rows("lineage.quality", {"run_id": run_id})
    return [
        QualityResult(
            check=row.check_name, subject=row.subject, severity=row.severity, passed=row.passed, expected=row.expected,
            measured=row.measured,
        )
        for row in rows
    ]  # fmt: skip
