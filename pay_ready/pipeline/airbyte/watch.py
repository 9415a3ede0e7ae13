"""A job from its stored id to its end: polled at growing intervals, until a deadline that leaves it running.

What is not known to be an end is none: queued, incomplete (between two attempts), and words that nobody has heard yet.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pay_ready.db.platform_jobs import JobOutcome
from pay_ready.errors import ConflictError, RetryLaterError, TransientError
from pay_ready.failpoints import failpoint
from pay_ready.pipeline.airbyte.ledger import JobLedger
from pay_ready.pipeline.airbyte.trigger import LOST, OUTCOMES, FoundJob, Pause, look_up
from pay_ready.sources.airbyte import ENDED, AirbyteClient, Job

log = structlog.get_logger()

_BETWEEN_ATTEMPTS = "incomplete"
_NOT_BEGUN = frozenset({"", "pending", "queued"})
_SHORTEST_POLL_S = 1.0
_CHANCE = random.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Seconds between polls: from `first_s`, half as much again each time, to `most_s`; each up to `jitter` of itself longer."""

    first_s: float = 5.0
    most_s: float = 30.0
    jitter: float = 0.2

    def nth_s(self, n: int) -> float:
        """Before the n-th repetition, counted from 0. Many runs that began together spread out."""
        grown = min(self.first_s * 1.5 ** min(n, 50), self.most_s)
        return grown * (1 + _CHANCE.uniform(0, self.jitter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ended, as far as anybody knows."""

    outcome: JobOutcome
    failure: str = ""


@dataclass(slots=True, kw_only=True)
class Watch:
    """Watches one job."""

    client: AirbyteClient
    ledger: JobLedger
    connection_id: str
    found: FoundJob
    pause: Pause
    tell: Callable[[Job], None]
    cancels: bool  # at the deadline, if the job is ours
    cancel_grace_s: float
    statuses: list[str] = field(default_factory=list)  # in the order in which they came
    attempts: int = 0  # at least
    asked_s: float = 0.0  # how long Airbyte asked to be left alone, in its last answer
    last: Job | None = None

    async def until_end(self) -> Ending:
        """Watch until the job has ended; the end is stored.

        Raises:
            RetryLaterError: The deadline came first. The job goes on, and the next run takes it on.
            ConflictError: Another run took the lease over.
            DeniedError: The credentials are refused; the job goes on.
        """
        self.attempts = self.found.attempts
        if self.found.seen_status:
            self.statuses.append(self.found.seen_status)
        said: Job | Ending | None = self.found.job
        polls = 0
        while True:
            if said is None:
                failpoint("platform.in_poll")
                said = await self._polled()
            if (ending := self._noted(said)) is None and self.ledger.left_s <= 0:
                ending = await self._past_deadline()
            if ending is not None:
                self.ledger.finish(ending.outcome, ending.failure or None)
                return ending
            await self.pause(polls, self.asked_s, self.ledger.left_s)
            said, polls = None, polls + 1

    async def _polled(self) -> Job | Ending | None:
        """What Airbyte says now; None when it says nothing: that is tolerated until the deadline."""
        self.asked_s = 0.0
        try:
            self.ledger.consult(self.client.breaker)
            async with asyncio.timeout(max(self.ledger.left_s, _SHORTEST_POLL_S)):
                job = await look_up(self.client, self.connection_id, self.found.job_id)
        except (TransientError, TimeoutError) as error:
            log.warning("job.not_polled", error_class=type(error).__name__)
            asked_s = error.where.get("retry_after_s") if isinstance(error, TransientError) else None
            self.asked_s = asked_s if isinstance(asked_s, float) else 0.0
            return None
        return Ending(outcome="lost", failure=LOST) if job is None else job

    def _noted(self, said: Job | Ending | None) -> Ending | None:
        """Note what Airbyte said; the job's end, if it is one."""
        if said is None or isinstance(said, Ending):
            return said
        before = self.statuses[-1] if self.statuses else ""
        if said.status != before:
            self.attempts = attempts_after(self.attempts, before, said.status)
            self.statuses.append(said.status)
        self.last = said
        self.ledger.seen(said, self.attempts)
        self.tell(said)
        return Ending(outcome=OUTCOMES[said.status], failure=self._failure(said)) if said.is_ended else None

    def _failure(self, job: Job) -> str:
        if job.status == "succeeded":
            return ""
        seen = f"{self.attempts} attempts or more" if self.attempts > 1 else "one attempt or more"
        why = "the public API gives no reason: see the connection's timeline in Airbyte"
        return f"Airbyte says {job.status} after {seen}; {why}"

    async def _past_deadline(self) -> Ending:
        """The job's end, if it is cancelled or has just ended.

        Raises:
            RetryLaterError: It goes on.
        """
        if self.cancels and self.found.started_by_us and (ending := await self._cancelled()) is not None:
            return ending
        self.ledger.waited_out()
        status = self.statuses[-1] if self.statuses else "unknown"
        hint = "it goes on in Airbyte and the next run takes it on; to wait longer raise etl.sync_timeout_minutes"
        where = {"job": self.found.job_id, "connection": self.connection_id, "status": status}
        raise RetryLaterError("the job takes longer than a sync may", hint, **where)

    async def _cancelled(self) -> Ending | None:
        """The end of the job after we asked to cancel it; None when it does not come."""
        try:
            said: Job | Ending | None = await self.client.cancel_job(self.found.job_id)
        except ConflictError:
            said = None  # it has just ended
        except TransientError as error:
            log.warning("job.not_cancelled", error_class=type(error).__name__)
            return None
        log.info("job.cancelled", job=self.found.job_id)
        loop = asyncio.get_running_loop()
        until, polls = loop.time() + self.cancel_grace_s, 0
        while (ending := self._noted(said or await self._polled())) is None and loop.time() < until:
            await self.pause(polls, self.asked_s, until - loop.time())
            said, polls = None, polls + 1
        if ending is not None and ending.outcome == "cancelled":
            return Ending(outcome="cancelled", failure="it ran past its deadline, and this run had it cancelled")
        return ending


def attempts_after(attempts: int, before: str, status: str) -> int:
    """How many attempts a job had at least, when its status went from `before` to `status`."""
    if status in _NOT_BEGUN or (attempts == 0 and status == "cancelled"):
        return attempts
    begins = before == _BETWEEN_ATTEMPTS and status != _BETWEEN_ATTEMPTS and status not in ENDED
    return attempts + begins if attempts else 1
