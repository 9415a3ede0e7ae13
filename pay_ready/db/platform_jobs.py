"""Jobs of the Airbyte platform: the row is there before the request, the job's id before the first poll."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError
from pay_ready.model.ids import SourceId

JobOutcome = Literal["succeeded", "failed", "cancelled", "lost"]  # lost: Airbyte knows the job no longer
Outcome = JobOutcome | Literal["not_started"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request for a job, of whose end nobody knows yet."""

    request_id: UUID
    connection_id: str
    job_id: int | None  # None while the answer to the request is not known
    job_type: str
    started_by_us: bool
    after_job_id: int  # the connection's newest job before the request
    seen_status: str
    attempts: int  # at least
    left_s: float  # until its deadline, by the database's clock; negative when it passed
    was_waited_out: bool  # a run watched until the deadline; else it ended before


def open_requests(tx: TenantTransaction, source: SourceId) -> list[JobRequest]:
    """Requests of a source that a run left open, the newest first."""
    return [JobRequest(**row._asdict()) for row in tx.rows("platform_jobs.open_requests", {"source_id": source})]


def begin(
    tx: TenantTransaction, request: UUID, source: SourceId, *, connection_id: str, job_type: str, after_job_id: int, timeout_s: float
) -> None:
    """A job is about to be asked for."""
    tx.execute("platform_jobs.begin", {
        "request_id": request, "source_id": source, "connection_id": connection_id, "job_type": job_type, "after_job_id": after_job_id,
        "timeout_s": timeout_s,
    })  # fmt: skip


def attach(tx: TenantTransaction, request: UUID, job_id: int, *, started_by_us: bool, status: str) -> None:
    """The job of a request is known.

    Raises:
        ConflictError: The request was closed meanwhile.
    """
    known = {"request_id": request, "job_id": job_id, "started_by_us": started_by_us, "seen_status": status[:100]}
    if tx.execute("platform_jobs.attach", known) == 0:
        raise _closed(request)


def give_time(tx: TenantTransaction, request: UUID, timeout_s: float) -> bool:
    """Give a request whose deadline passed while nobody watched a new one; False when it has time left."""
    return tx.execute("platform_jobs.give_time", {"request_id": request, "timeout_s": timeout_s}) > 0


def seen(tx: TenantTransaction, request: UUID, *, status: str, attempts: int, rows_synced: int | None, bytes_synced: int | None) -> float:
    """Note what Airbyte says of a job; the seconds left until its deadline, negative when it passed.

    Raises:
        ConflictError: The request was closed meanwhile.
    """
    row = tx.row("platform_jobs.seen", {
        "request_id": request, "seen_status": status[:100], "attempts": attempts, "rows_synced": rows_synced, "bytes_synced": bytes_synced,
    })  # fmt: skip
    if row is None:
        raise _closed(request)
    return float(row.left_s)


def waited_out(tx: TenantTransaction, request: UUID) -> None:
    """A run has watched the job until its deadline, and leaves it running."""
    tx.execute("platform_jobs.waited_out", {"request_id": request})


def finish(tx: TenantTransaction, request: UUID, outcome: Outcome, failure: str | None = None) -> None:
    """The end of a request is known; `failure` is masked."""
    tx.execute("platform_jobs.finish", {"request_id": request, "outcome": outcome, "failure": failure[:4000] if failure else None})


def started_by_us(tx: TenantTransaction, source: SourceId, job_ids: Sequence[int]) -> set[int]:
    """Those of some jobs that surely our requests started."""
    return {row.job_id for row in tx.rows("platform_jobs.started_by_us", {"source_id": source, "job_ids": list(job_ids)})}


def _closed(request: UUID) -> ConflictError:
    return ConflictError("the request for a job was closed by another run", "let the newer run finish", request=request)
