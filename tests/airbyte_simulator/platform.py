"""What an Airbyte platform knows and does, without the HTTP: connections, and jobs that live as a test scripts them.

Written from the public description of the API and from what its maintainers and users say of it; none of its code.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The states that a job goes through, one further each time it is asked for by its id (`reads` times each)."""

    statuses: tuple[str, ...] = ("pending", "running", "succeeded")
    reads: int = 1
    rows: int = 0
    size_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class SimulatedConnection:
    """A connection. `streams` as the API writes them: name, namespace, syncMode, cursorField, primaryKey."""

    connection_id: str = field(default_factory=lambda: str(uuid4()))
    name: str = "crm to warehouse"
    status: str = "active"
    workspace_id: str
    source_id: str = field(default_factory=lambda: str(uuid4()))
    destination_id: str = field(default_factory=lambda: str(uuid4()))
    prefix: str = ""
    namespace_definition: str = "destination"
    namespace_format: str | None = None
    streams: Sequence[Mapping[str, Any]] = ()

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        body: dict[str, Any] = {
            "connectionId": self.connection_id, "name": self.name, "status": self.status, "workspaceId": self.workspace_id,
            "sourceId": self.source_id, "destinationId": self.destination_id, "prefix": self.prefix,
            "namespaceDefinition": self.namespace_definition, "schedule": {"scheduleType": "manual"},
            "configurations": {"streams": [dict(stream) for stream in self.streams]}, "createdAt": 1_700_000_000, "tags": [],
            "nonBreakingSchemaUpdatesBehavior": "ignore",
        }  # fmt: skip
        return body | ({"namespaceFormat": self.namespace_format} if self.namespace_format else {})


@dataclass(slots=True, kw_only=True)
class SimulatedJob:
    """A job. `started_by` says who asked: api or schedule."""

    job_id: int
    connection_id: str
    job_type: str
    life: Life
    created_at: datetime
    started_by: str = "api"
    step: int = 0
    reads: int = 0
    forced: str | None = None
    is_zombie: bool = False  # ended, and shown as running all the same
    ended_at: datetime | None = None
    work: Future[None] | None = None  # what `on_job_running` does meanwhile

    @property
    def status(self) -> str:
        return self.forced or self.life.statuses[self.step]

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED

    def shown(self) -> dict[str, Any]:
        """As the API shows it: times of an ended job alone, no attempts, no reason."""
        body: dict[str, Any] = {
            "jobId": self.job_id, "status": "running" if self.is_zombie else self.status, "jobType": self.job_type,
            "connectionId": self.connection_id, "startTime": java_time(self.created_at),
        }  # fmt: skip
        if self.status != "pending":
            body["duration"] = "PT0S"
        if self.is_ended:
            body["lastUpdatedAt"] = java_time(self.ended_at or self.created_at)
        if self.step > 0 or self.is_ended:
            body |= {"rowsSynced": self.life.rows, "bytesSynced": self.life.size_bytes}
        return body


def java_time(moment: datetime) -> str:
    """A time as Java's OffsetDateTime prints it: no seconds when they are 0."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ" if moment.second == 0 else "%Y-%m-%dT%H:%M:%SZ")


class RefusedError(Exception):
    """The platform refuses; told as a problem."""

    def __init__(self, status: int, title: str, message: str) -> None:
        super().__init__(message)
        self.status, self.title, self.message = status, title, message


class Platform:
    """The state; every method may be called from any thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.workspace_id = str(uuid4())
        self.workspaces: dict[str, str] = {self.workspace_id: "Default Workspace"}
        self.connections: dict[str, SimulatedConnection] = {}
        self.jobs: dict[int, SimulatedJob] = {}
        self.lives: deque[Life] = deque()
        self.default_life = Life()
        self.next_job_id = 41
        self.clock_ahead_s = 0.0
        self.missing_job_status = 404  # the platform's code suggests 403 or 409 as well
        self.cancel_reads = 0  # how often a cancelled job is still shown as running
        # Called with a job's id and its connection when it begins to run, in a thread; the job does not end before it returns.
        self.on_job_running: Callable[[int, SimulatedConnection], None] | None = None
        self.errors: list[BaseException] = []  # of on_job_running
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="job")

    def close(self) -> None:
        """Wait for what runs in threads."""
        self._threads.shutdown(wait=True)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s)

    def add_connection(self, **values: Any) -> SimulatedConnection:
        """A further connection."""
        with self.lock:
            connection = SimulatedConnection(workspace_id=values.pop("workspace_id", self.workspace_id), **values)
            self.connections[connection.connection_id] = connection
            return connection

    def script(self, *lives: Life) -> None:
        """The lives of the next jobs; those after them live as usual."""
        self.lives.extend(lives)

    def connection(self, connection_id: str) -> SimulatedConnection:
        try:
            return self.connections[str(UUID(connection_id))]
        except ValueError:
            raise RefusedError(400, "bad-request", "The provided input is invalid.") from None
        except KeyError:
            raise RefusedError(404, "resource-not-found", f"connection {connection_id} not found") from None

    def start_job(self, connection_id: str, job_type: str, *, started_by: str = "api") -> SimulatedJob:
        """Begin a job, as the API and the schedule do."""
        with self.lock:
            connection = self.connection(connection_id)
            if job_type == "refresh":
                raise RefusedError(422, "unprocessable-entity", "Refreshes are not supported in the public API")
            if job_type not in ("sync", "reset", "clear"):
                raise RefusedError(400, "bad-request", f"unknown job type {job_type}")
            if connection.status != "active":
                raise RefusedError(409, "state-conflict", "Could not fulfill request")
            if any(not job.is_ended for job in self.jobs.values() if job.connection_id == connection.connection_id):
                raise RefusedError(409, "try-again-later", f"A sync is already running for: {connection_id}")
            life = self.lives.popleft() if self.lives else self.default_life
            job = SimulatedJob(
                job_id=self.next_job_id, connection_id=connection.connection_id, job_type=job_type, life=life, created_at=self.now(),
                started_by=started_by,
            )  # fmt: skip
            self.next_job_id += 1
            self.jobs[job.job_id] = job
            self._begin_work(job)
            return job

    def job(self, job_id: int) -> SimulatedJob:
        with self.lock:
            if job_id not in self.jobs:
                titles = {404: "resource-not-found", 403: "forbidden", 409: "state-conflict"}
                raise RefusedError(self.missing_job_status, titles[self.missing_job_status], "Job is not currently running")
            return self.jobs[job_id]

    def read_job(self, job_id: int) -> dict[str, Any]:
        """Show a job, then let it go on."""
        with self.lock:
            job = self.job(job_id)
            shown = job.shown()
            job.reads += 1
            if job.reads % job.life.reads == 0:
                self._go_on(job)
            return shown

    def cancel(self, job_id: int) -> SimulatedJob:
        with self.lock:
            job = self.job(job_id)
            if job.is_ended:
                raise RefusedError(409, "state-conflict", "Job is not currently running")
            if self.cancel_reads:
                job.life = Life(statuses=(*["running"] * self.cancel_reads, "cancelled"), rows=job.life.rows)
                job.step = 0
            else:
                self.end(job_id, "cancelled")
            return job

    def end(self, job_id: int, status: str = "succeeded") -> None:
        """Have a job end now."""
        with self.lock:
            job = self.jobs[job_id]
            job.forced, job.ended_at = status, self.now()

    def _go_on(self, job: SimulatedJob) -> None:
        if job.forced or job.step + 1 >= len(job.life.statuses):
            return
        if job.life.statuses[job.step + 1] in ENDED and job.work is not None and not job.work.done():
            return
        job.step += 1
        job.ended_at = self.now() if job.is_ended else None
        self._begin_work(job)

    def _begin_work(self, job: SimulatedJob) -> None:
        if job.status == "running" and job.work is None and self.on_job_running is not None:
            job.work = self._threads.submit(self._work, self.on_job_running, job.job_id, self.connections[job.connection_id])

    def _work(self, hook: Callable[[int, SimulatedConnection], None], job_id: int, connection: SimulatedConnection) -> None:
        try:
            hook(job_id, connection)
        except BaseException as error:
            self.errors.append(error)
