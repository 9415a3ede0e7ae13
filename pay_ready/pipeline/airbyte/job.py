"""Has Airbyte sync a connection and waits for the end: trigger and watch, as one step that can be cut off anywhere and run again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

import structlog

from pay_ready.db import leases
from pay_ready.db.leases import Lease
from pay_ready.db.platform_jobs import JobOutcome
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId, new_id
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.airbyte.ledger import JobLedger, JobPlace
from pay_ready.pipeline.airbyte.trigger import Trigger
from pay_ready.pipeline.airbyte.watch import Intervals, Watch
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.sources.airbyte import AirbyteClient, Job, JobType

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job is asked for and watched; the defaults are the shipped settings."""

    job_type: JobType = "sync"
    timeout_s: float = 3600.0  # etl.sync_timeout_minutes, by the wall clock: it goes on while no run is watching
    cancel_on_timeout: bool = False  # else the job is left running; one that somebody else started always is
    intervals: Intervals = field(default_factory=Intervals)
    look_for_s: float = 60.0  # how long to look for the job of a request that was never answered
    cancel_grace_s: float = 120.0  # how long to wait for the end of a job that was cancelled
    lease_ttl_s: float = leases.TTL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformJob:
    """A job that ended. Its rows are worth reading whatever the outcome: failed attempts leave some, too."""

    job_id: int  # what destinations write as sync_id
    connection_id: str
    job_type: JobType  # as asked for
    outcome: JobOutcome  # lost: Airbyte knows it no longer
    adopted: bool  # found, not started by this run
    started_by_us: bool  # surely, by this run or an earlier one
    rows_synced: int | None  # committed ones, as Airbyte counts them
    bytes_synced: int | None
    attempts: int  # at least: Airbyte names none, but polls see when a job stands between two
    failure: str  # why it did not succeed, as far as anybody says; "" when it did
    statuses: tuple[str, ...]  # seen, in their order
    seconds: Mapping[str, float]  # by step: trigger, watch


def run_job(
    database: Database,
    tenant: TenantId,
    source: DataSource,
    connect: Callable[[], AirbyteClient],
    connection_id: str,
    *,
    options: JobOptions | None = None,
    progress: Progress = no_progress,
) -> PlatformJob:
    """Have a connection synced, and wait for the end of its job; failed and cancelled jobs are returned, too.

    One run of a source at a time. A job that is at work already, whoever started it, is adopted. Ended at any point, even by
    kill -9, the next call finds the job of this one and goes on; Ctrl-C leaves the job running.

    Args:
        connect: Makes a client; called once, inside the event loop of this call.
        connection_id: Of the connection in Airbyte that feeds the source.

    Raises:
        RetryLaterError: Another run is at work on the source; Airbyte is left alone after failures (BreakerOpenError); or the
            job runs past the deadline: it goes on, and the next run adopts it.
        TransientError: Airbyte or the database is away. An UnknownOutcomeError when Airbyte never said whether a job began:
            the next run looks for it.
        ConflictError: The connection is inactive, locked or deleted; or another run took the lease over.
        DeniedError, NotFoundError, UsageError, ConfigError: Airbyte refuses the credentials or knows no such connection.
    """
    options = options or JobOptions()
    holder = leases.holder_name(new_id())
    with held_lease(database, tenant, f"platform:{source.source_id}", holder, ttl_s=options.lease_ttl_s) as lease:
        run = _Run(
            database=database, tenant=tenant, source=source, connect=connect, connection_id=connection_id.strip(), options=options,
            progress=progress, lease=lease,
        )  # fmt: skip
        return asyncio.run(run.go())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    database: Database
    tenant: TenantId
    source: DataSource
    connect: Callable[[], AirbyteClient]
    connection_id: str
    options: JobOptions
    progress: Progress
    lease: Lease

    async def go(self) -> PlatformJob:
        place = JobPlace(
            database=self.database, tenant=self.tenant, source_id=self.source.source_id, source=self.source.name,
            connection_id=self.connection_id, lease=self.lease,
        )  # fmt: skip
        ledger = JobLedger(place, timeout_s=self.options.timeout_s)
        async with self.connect() as client:
            ledger.admit(client.breaker)
            try:
                return await self._triggered_and_watched(client, ledger)
            finally:
                ledger.note_breaker(client.breaker)

    async def _triggered_and_watched(self, client: AirbyteClient, ledger: JobLedger) -> PlatformJob:
        options, begun_at = self.options, monotonic()

        async def pause(n: int, at_least_s: float, at_most_s: float) -> None:
            ledger.note_breaker(client.breaker)
            await asyncio.sleep(max(min(max(options.intervals.nth_s(n), at_least_s), at_most_s), 0.0))

        trigger = Trigger(client, ledger, self.connection_id, options.job_type, look_for_s=options.look_for_s, pause=pause)
        found = await trigger.obtain()
        triggered_at = monotonic()
        log.info(
            "job.adopted" if found.adopted else "job.started", tenant=self.tenant, source=self.source.name, job=found.job_id,
            elapsed_s=round(triggered_at - begun_at, 3),
        )  # fmt: skip
        watch = Watch(
            client=client, ledger=ledger, connection_id=self.connection_id, found=found, pause=pause, tell=self._tell,
            cancels=options.cancel_on_timeout, cancel_grace_s=options.cancel_grace_s,
        )  # fmt: skip
        ending = await watch.until_end()
        seconds = {"trigger": round(triggered_at - begun_at, 3), "watch": round(monotonic() - triggered_at, 3)}
        log.info(
            "job.ended", tenant=self.tenant, source=self.source.name, job=found.job_id, outcome=ending.outcome,
            elapsed_s=seconds["watch"],
        )  # fmt: skip
        return PlatformJob(
            job_id=found.job_id, connection_id=self.connection_id, job_type=options.job_type, outcome=ending.outcome,
            adopted=found.adopted, started_by_us=found.started_by_us, rows_synced=watch.last.rows_synced if watch.last else None,
            bytes_synced=watch.last.bytes_synced if watch.last else None, attempts=watch.attempts, failure=ending.failure,
            statuses=tuple(watch.statuses), seconds=seconds,
        )  # fmt: skip

    def _tell(self, job: Job) -> None:
        self.progress(ProgressEvent(step="job", subject=f"{self.source.name} {job.job_id} {job.status}", done=job.rows_synced or 0))
