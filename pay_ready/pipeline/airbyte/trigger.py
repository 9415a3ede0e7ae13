"""From nothing to a job whose id is stored: a crashed run's job is found again, a running one is adopted, else one is started.

Airbyte runs one job of a connection at a time and numbers jobs upwards. So the number of the connection's newest job is
stored with a request before it is sent: whatever becomes of the answer, a job that it started has a higher one.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import structlog

from pay_ready.breaker import BreakerOpenError
from pay_ready.db.platform_jobs import JobOutcome, JobRequest
from pay_ready.errors import ConflictError, DeniedError, NotFoundError, PayReadyError, RetryLaterError, TransientError
from pay_ready.failpoints import failpoint
from pay_ready.pipeline.airbyte.ledger import JobLedger
from pay_ready.sources.airbyte import AirbyteClient, Job, JobType
from pay_ready.sources.airbyte_errors import BusyError, UnknownOutcomeError

log = structlog.get_logger()

OUTCOMES: Mapping[str, JobOutcome] = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}
# What counts as the job that was asked for: a refresh is a sync that reads everything anew, a clear is a reset by its newer name.
LOST = "Airbyte knows the job no longer"
_SAME: Mapping[str, frozenset[str]] = {"sync": frozenset({"sync", "refresh"}), "reset": frozenset({"reset", "clear"})}
_POSTS = 3  # requests whose fate may stay unknown, each after a look that found no job of the one before
_BUSY_ANSWERS = 5  # in a row, with no running job to be seen
_LOOK_AT = 20  # newest jobs of a connection among which the running one is

Pause = Callable[[int, float, float], Awaitable[None]]  # waits before the n-th repetition (from 0): so many seconds at least, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundJob:
    """The job to watch; `job` is what Airbyte said of it just now, None when it was not asked."""

    job_id: int
    adopted: bool
    started_by_us: bool  # surely
    job: Job | None = None
    seen_status: str = ""  # by an earlier run
    attempts: int = 0  # seen by an earlier run


async def look_up(client: AirbyteClient, connection_id: str, job_id: int) -> Job | None:
    """A job as it is now; None when Airbyte knows it no longer.

    A number without a job is 404 in the API's description; by the platform's code it may as well be 409 or, as nobody has
    a right to what is not there, 403. Then the connection's list decides.

    Raises:
        DeniedError: Neither the job nor the list may be seen.
    """
    try:
        return await client.job(job_id)
    except (NotFoundError, ConflictError):
        return None
    except DeniedError:
        async for job in client.jobs(connection_id=connection_id):
            if job.job_id <= job_id:
                return job if job.job_id == job_id else None
        return None


class Trigger:
    """Finds, adopts or starts the job of a connection."""

    def __init__(
        self, client: AirbyteClient, ledger: JobLedger, connection_id: str, job_type: JobType, *, look_for_s: float,
        pause: Pause,
    ) -> None:  # fmt: skip
        """A trigger.

        Args:
            look_for_s: How long a job is looked for whose start was asked for without an answer.
        """
        self._client, self._ledger = client, ledger
        self._connection_id, self._job_type = connection_id, job_type
        self._look_for_s, self._pause = look_for_s, pause
        self._may_run = False  # a request was sent whose fate is unknown, or known to be a job

    async def obtain(self) -> FoundJob:
        """The job to watch; its id is stored.

        Raises:
            ConflictError: The connection cannot be run as it is.
            RetryLaterError: It is busy with something else until the deadline.
            UnknownOutcomeError: Airbyte never said whether a job began; the next run looks for it.
            PayReadyError: Airbyte refused or is away; nothing was started.
        """
        request = self._ledger.open_request(self._job_type)
        if request is not None and (found := await self._taken_on(request)):
            return found
        newest = await self._newest()
        self._ledger.begin(self._job_type, newest)
        try:
            return await self._started(newest)
        except PayReadyError as error:
            if not self._may_run:
                with suppress(PayReadyError):
                    self._ledger.finish("not_started", str(error))
            raise

    async def _taken_on(self, request: JobRequest) -> FoundJob | None:
        """The job of a request that an earlier run left open; None when it came to nothing, or is over and done with.

        A job that ended stands for the one asked for now if its run was cut off within its time, or had waited for it in
        vain: nobody has read its rows. One that ended after a run was cut off long ago does not.
        """
        is_recent = request.left_s > 0 or request.was_waited_out
        job: Job | None = None
        if request.job_id is None:
            if (job := await self._since(request.after_job_id)) is None:
                self._ledger.finish("not_started", "the run ended, and Airbyte has no job of it")
                return None
            self._ledger.attach(job, started_by_us=False)
        elif not is_recent and (job := await look_up(self._client, self._connection_id, request.job_id)) is None:
            self._ledger.finish("lost", LOST)
            return None
        if job is not None and job.is_ended and not is_recent:
            self._ledger.seen(job, request.attempts)
            self._ledger.finish(OUTCOMES[job.status], "it ended while no run was watching")
            return None
        self._ledger.take_on(request)
        job_id = request.job_id or (job.job_id if job else 0)
        return FoundJob(
            job_id=job_id, adopted=True, started_by_us=request.started_by_us, job=job, seen_status=request.seen_status,
            attempts=request.attempts,
        )  # fmt: skip

    async def _started(self, newest: int) -> FoundJob:
        unknown = busy = waits = 0
        while True:
            if self._ledger.left_s <= 0:
                hint = "try again later, or raise etl.sync_timeout_minutes"
                raise RetryLaterError("the connection was busy with something else all the time", hint, connection=self._connection_id)
            failpoint("platform.before_post")
            try:
                job = await self._client.start_job(self._connection_id, self._job_type)
            except BusyError as error:
                running = await self._running()
                if running is not None and self._is_wanted(running):
                    return self._adopted(running)
                busy = busy + 1 if running is None else 0
                if running is None:
                    await self._refuse_unready(error, is_final=busy >= _BUSY_ANSWERS)
            except ConflictError as error:
                running = await self._running()
                if running is not None and self._is_wanted(running):
                    return self._adopted(running)
                await self._refuse_unready(error, is_final=True)
            except UnknownOutcomeError:
                self._may_run = True
                if (found := await self._looked_for(newest)) is not None:
                    return self._adopted(found)
                if (unknown := unknown + 1) >= _POSTS:
                    raise
            else:
                self._may_run = True
                failpoint("platform.after_post")
                self._ledger.attach(job, started_by_us=True)
                failpoint("platform.after_id_stored")
                return FoundJob(job_id=job.job_id, adopted=False, started_by_us=True, job=job)
            await self._pause(waits, 0.0, self._ledger.left_s)
            waits += 1

    def _adopted(self, job: Job) -> FoundJob:
        """Somebody started it, perhaps we: it is not ours to cancel."""
        self._may_run = True
        self._ledger.attach(job, started_by_us=False)
        failpoint("platform.after_id_stored")
        return FoundJob(job_id=job.job_id, adopted=True, started_by_us=False, job=job)

    async def _refuse_unready(self, error: ConflictError, *, is_final: bool) -> None:
        """Say why a connection cannot be run: as it is switched off, or else in Airbyte's own words when they are final.

        Raises:
            ConflictError: It cannot be run.
        """
        connection = await self._client.connection(self._connection_id)
        if connection.status != "active":
            hint = "switch it on in Airbyte, or give the source another connection"
            raise ConflictError(f"the connection is {connection.status} in Airbyte", hint, connection=self._connection_id)
        if is_final and isinstance(error, BusyError):
            raise RetryLaterError("Airbyte says that the connection is at work, but shows no job of it", "try again later", **error.where)
        if is_final:
            raise error

    async def _looked_for(self, newest: int) -> Job | None:
        """A job that our request may have started: it may show up late.

        Raises:
            BreakerOpenError: Airbyte is left alone for now; the next run looks.
        """
        until, looks = monotonic() + self._look_for_s, 0
        while True:
            try:
                if (found := await self._since(newest)) is not None:
                    return found
            except BreakerOpenError:
                raise
            except TransientError:
                log.warning("job.not_found_yet", error_class="TransientError")
            if monotonic() >= until:
                return None
            await self._pause(looks, 0.0, until - monotonic())
            looks += 1

    async def _newest(self) -> int:
        """The number of the connection's newest job; 0 when it never had one."""
        async for job in self._client.jobs(connection_id=self._connection_id, page=1):
            return job.job_id
        return 0

    async def _running(self) -> Job | None:
        """The job that the connection is at, of whatever kind."""
        looked_at = 0
        async for job in self._client.jobs(connection_id=self._connection_id, page=_LOOK_AT):
            if not job.is_ended:
                return job
            if (looked_at := looked_at + 1) >= _LOOK_AT:
                break
        return None

    async def _since(self, newest: int) -> Job | None:
        """A job of the wanted kind with a higher number: the one that runs, else the newest."""
        found: Job | None = None
        async for job in self._client.jobs(connection_id=self._connection_id, page=_LOOK_AT):
            if job.job_id <= newest:
                break
            if self._is_wanted(job) and (found is None or (found.is_ended and not job.is_ended)):
                found = job
        return found

    def _is_wanted(self, job: Job) -> bool:
        return job.job_type in _SAME[self._job_type]
