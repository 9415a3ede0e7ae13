"""What is known of a source's job, kept in short transactions under the lease; none is open while Airbyte is waited for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

import structlog

from pay_ready.breaker import Breaker, BreakerState
from pay_ready.db import breakers, landing, leases, platform_jobs
from pay_ready.db.leases import Lease
from pay_ready.db.platform_jobs import JobRequest, Outcome
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import TransientError
from pay_ready.model.ids import SourceId, TenantId, new_id
from pay_ready.resilience import transient_retries
from pay_ready.sources.airbyte import Job

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlace:
    """Whose job it is, and where it is written down."""

    database: Database
    tenant: TenantId
    source_id: SourceId
    source: str
    connection_id: str
    lease: Lease


class JobLedger:
    """The row of one request, its deadline, and the breaker's state in the database."""

    def __init__(self, place: JobPlace, *, timeout_s: float) -> None:
        self._place, self._timeout_s = place, timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self._stored = BreakerState()
        self.request_id: UUID | None = None

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; corrected by the database's clock whenever it is asked."""
        return self._ends_at - time.monotonic()

    def admit(self, breaker: Breaker) -> None:
        """Have the breaker go on from what other processes know of the service.

        Raises:
            BreakerOpenError: The service is left alone for now.
        """
        self._written(lambda tx: breakers.admit(tx, breaker))
        self._stored = breaker.state

    def consult(self, breaker: Breaker) -> None:
        """Before a call: with an open breaker, ask for the probe, which one process gets.

        Raises:
            BreakerOpenError: The service is left alone for now.
        """
        self.note_breaker(breaker)
        if breaker.state.circuit == "open" and breaker.state == self._stored:
            self.admit(breaker)

    def note_breaker(self, breaker: Breaker) -> None:
        """Tell other processes how the service is, when that changed."""
        state = breaker.state
        if state == self._stored:
            return
        try:
            with self._place.database.tenant_transaction(self._place.tenant) as tx:
                breakers.store(tx, breaker)
        except TransientError:
            log.warning("breaker.not_stored", tenant=self._place.tenant, source=self._place.source)
            return
        if state.circuit != self._stored.circuit:
            log.warning("breaker.changed", tenant=self._place.tenant, source=self._place.source, status=state.circuit)
        self._stored = state

    def open_request(self, job_type: str) -> JobRequest | None:
        """The request that an earlier run left open, and which this one takes on.

        Requests to another connection that the source had before are closed: nobody will look after them any more.
        """

        def read(tx: TenantTransaction) -> JobRequest | None:
            found = None
            for request in platform_jobs.open_requests(tx, self._place.source_id):
                if request.connection_id != self._place.connection_id:
                    outcome: Outcome = "not_started" if request.job_id is None else "lost"
                    platform_jobs.finish(tx, request.request_id, outcome, "the source has another connection now")
                elif request.job_type == job_type and found is None:
                    found = request
            return found

        request = self._written(read)
        if request is not None:
            self.request_id, self._ends_at = request.request_id, time.monotonic() + request.left_s
        return request

    def take_on(self, request: JobRequest) -> JobRequest:
        """Go on with a request: a deadline that passed is set anew."""
        if self._written(lambda tx: platform_jobs.give_time(tx, request.request_id, self._timeout_s)):
            self._ends_at = time.monotonic() + self._timeout_s
            return replace(request, left_s=self._timeout_s)
        return request

    def begin(self, job_type: str, after_job_id: int) -> None:
        """A new request, before it is sent."""
        request_id = new_id()
        self._written(lambda tx: platform_jobs.begin(
            tx, request_id, self._place.source_id, connection_id=self._place.connection_id, job_type=job_type,
            after_job_id=after_job_id, timeout_s=self._timeout_s,
        ))  # fmt: skip
        self.request_id, self._ends_at = request_id, time.monotonic() + self._timeout_s

    def attach(self, job: Job, *, started_by_us: bool) -> None:
        """The job of the request is known."""
        request = self._open()
        self._written(lambda tx: platform_jobs.attach(tx, request, job.job_id, started_by_us=started_by_us, status=job.status))

    def seen(self, job: Job, attempts: int) -> None:
        """Note what Airbyte says of the job. A database that is away for a moment misses one entry and stops nothing.

        Raises:
            ConflictError: The lease was taken over.
        """
        request = self._open()
        try:
            with self._place.database.tenant_transaction(self._place.tenant) as tx:
                leases.guard(tx, self._place.lease)
                left_s = platform_jobs.seen(
                    tx, request, status=job.status, attempts=attempts, rows_synced=job.rows_synced, bytes_synced=job.bytes_synced
                )
        except TransientError:
            log.warning("job.not_noted", tenant=self._place.tenant, source=self._place.source)
            return
        self._ends_at = time.monotonic() + left_s

    def waited_out(self) -> None:
        """The deadline has come, and the job is left running for the next run to take on."""
        request = self._open()
        self._written(lambda tx: platform_jobs.waited_out(tx, request))

    def finish(self, outcome: Outcome, failure: str | None = None) -> None:
        """The end of the request is known."""
        request = self._open()
        self._written(lambda tx: platform_jobs.finish(tx, request, outcome, failure))
        self.request_id = None

    def _open(self) -> UUID:
        if self.request_id is None:
            raise RuntimeError("no request was begun")
        return self.request_id

    def _written(self, work: Callable[[TenantTransaction], T]) -> T:
        """Do it in a transaction that is fenced, durable, and tried again when the database is away for a moment.

        Raises:
            ConflictError: The lease was taken over; nothing was written.
            TransientError: The database stays away.
        """

        def transaction() -> T:
            with self._place.database.tenant_transaction(self._place.tenant) as tx:
                leases.guard(tx, self._place.lease)
                landing.be_durable(tx)
                return work(tx)

        retrying = transient_retries(
            transaction, attempts=6, timeout_s=30.0, wait_initial_s=0.2, wait_max_s=5.0, wait_jitter_s=0.2, again=_is_of_the_database
        )
        return retrying()


def _is_of_the_database(error: Exception) -> bool:
    """Whether to try again; an open breaker is an answer of the database, not its absence."""
    return type(error) is TransientError
