"""One suite over two clients: ours, and the `airbyte-api` SDK, which knows neither us nor our simulator.

What the SDK understands of the simulator's answers, our client must understand, too, and the other way round.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import pytest
from airbyte_api import AirbyteAPI, api, errors, models

from pay_ready.errors import PayReadyError
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import open_access
from tests.airbyte_simulator.platform import Life
from tests.airbyte_simulator.server import AirbyteSimulator

T = TypeVar("T")
STREAMS = (
    {"name": "people", "syncMode": "incremental_deduped_history", "cursorField": ["updated_at"], "primaryKey": [["id"]]},
    {"name": "notes", "namespace": "crm", "syncMode": "full_refresh_overwrite"},
)


class RefusalError(Exception):
    """A status of 400 or more, whichever client met it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class SeenJob:
    """What both clients know of a job."""

    job_id: int
    status: str
    job_type: str
    connection_id: str
    rows: int | None


class Client(Protocol):
    """A client of the API, as far as the suite goes."""

    def health(self) -> bool: ...
    def workspaces(self) -> list[tuple[str, str]]: ...
    def connections(self, *workspaces: str) -> list[str]: ...
    def connection(self, connection_id: str) -> tuple[Any, ...]: ...
    def start(self, connection_id: str, job_type: str = "sync") -> SeenJob: ...
    def job(self, job_id: int) -> SeenJob: ...
    def cancel(self, job_id: int) -> SeenJob: ...
    def jobs(self, **filters: Any) -> list[int]: ...


class Ours:
    """Our client, a session for each call."""

    def __init__(self, simulator: AirbyteSimulator) -> None:
        self._access = open_access(simulator.url, simulator.credentials)

    def _do(self, work: Callable[[AirbyteClient], Awaitable[T]]) -> T:
        async def once() -> T:
            async with AirbyteClient(self._access) as client:
                return await work(client)

        try:
            return asyncio.run(once())
        except PayReadyError as error:
            raise RefusalError(int(str(error.where["status"]))) from error

    def health(self) -> bool:
        return "Successful" in self._do(lambda client: client.health())

    def workspaces(self) -> list[tuple[str, str]]:
        return [(each.workspace_id, each.name) for each in self._do(lambda client: client.workspaces())]

    def connections(self, *workspaces: str) -> list[str]:
        return [each.connection_id for each in self._do(lambda client: client.connections(workspaces))]

    def connection(self, connection_id: str) -> tuple[Any, ...]:
        each = self._do(lambda client: client.connection(connection_id))
        streams = [
            (s.name, s.namespace, s.sync_mode, list(s.cursor_field or ()), [list(k) for k in s.primary_key or ()]) for s in each.streams
        ]
        schedule = each.schedule.schedule_type if each.schedule else None
        return (
            each.name, each.status, each.workspace_id, each.source_id, each.destination_id, each.prefix, each.namespace_definition,
            each.namespace_format, schedule, streams,
        )  # fmt: skip

    def start(self, connection_id: str, job_type: str = "sync") -> SeenJob:
        return self._seen(lambda client: client.start_job(connection_id, job_type))  # type: ignore[arg-type]

    def job(self, job_id: int) -> SeenJob:
        return self._seen(lambda client: client.job(job_id))

    def cancel(self, job_id: int) -> SeenJob:
        return self._seen(lambda client: client.cancel_job(job_id))

    def jobs(self, **filters: Any) -> list[int]:
        async def listed(client: AirbyteClient) -> list[int]:
            return [job.job_id async for job in client.jobs(**filters)]

        return self._do(listed)

    def _seen(self, work: Callable[[AirbyteClient], Awaitable[Any]]) -> SeenJob:
        job = self._do(work)
        return SeenJob(job.job_id, job.status, job.job_type, job.connection_id, job.rows_synced)


class Sdk:
    """The SDK, as its documentation has it used."""

    def __init__(self, simulator: AirbyteSimulator) -> None:
        base = f"{simulator.url}/api/public/v1"
        application = models.SchemeClientCredentials(
            client_id=simulator.client_id, client_secret=simulator.client_secret, token_url=f"{base}/applications/token"
        )
        self._sdk = AirbyteAPI(server_url=base, security=models.Security(client_credentials=application))

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except errors.SDKError as error:
            raise RefusalError(error.status_code) from error

    def health(self) -> bool:
        return self._do(lambda: self._sdk.health.get_health_check()).status_code == 200

    def workspaces(self) -> list[tuple[str, str]]:
        answer = self._do(lambda: self._sdk.workspaces.list_workspaces(request=api.ListWorkspacesRequest()))
        assert answer.workspaces_response is not None
        return [(each.workspace_id, each.name) for each in answer.workspaces_response.data]

    def connections(self, *workspaces: str) -> list[str]:
        request = api.ListConnectionsRequest(limit=100, workspace_ids=list(workspaces) or None)
        answer = self._do(lambda: self._sdk.connections.list_connections(request=request))
        assert answer.connections_response is not None
        return [each.connection_id for each in answer.connections_response.data]

    def connection(self, connection_id: str) -> tuple[Any, ...]:
        request = api.GetConnectionRequest(connection_id=connection_id)
        each = self._do(lambda: self._sdk.connections.get_connection(request=request)).connection_response
        assert each is not None
        streams = [
            (s.name, s.namespace, s.sync_mode.value if s.sync_mode else None, list(s.cursor_field or ()), list(s.primary_key or ()))
            for s in each.configurations.streams or []
        ]
        return (
            each.name, each.status.value, each.workspace_id, each.source_id, each.destination_id, each.prefix,
            each.namespace_definition.value if each.namespace_definition else None, each.namespace_format,
            each.schedule.schedule_type.value, streams,
        )  # fmt: skip

    def start(self, connection_id: str, job_type: str = "sync") -> SeenJob:
        request = models.JobCreateRequest(connection_id=connection_id, job_type=models.JobTypeEnum(job_type))
        return self._seen(lambda: self._sdk.jobs.create_job(request=request))

    def job(self, job_id: int) -> SeenJob:
        return self._seen(lambda: self._sdk.jobs.get_job(request=api.GetJobRequest(job_id=job_id)))

    def cancel(self, job_id: int) -> SeenJob:
        return self._seen(lambda: self._sdk.jobs.cancel_job(request=api.CancelJobRequest(job_id=job_id)))

    def jobs(self, **filters: Any) -> list[int]:
        wanted = {"order_by": "createdAt|DESC", "limit": 100} | filters
        request = api.ListJobsRequest(**wanted)
        answer = self._do(lambda: self._sdk.jobs.list_jobs(request=request))
        assert answer.jobs_response is not None
        return [each.job_id for each in answer.jobs_response.data]

    def _seen(self, work: Callable[[], Any]) -> SeenJob:
        job = self._do(work).job_response
        return SeenJob(job.job_id, job.status.value, job.job_type.value, job.connection_id, job.rows_synced)


@pytest.fixture
def simulator() -> Iterator[AirbyteSimulator]:
    """A server of this test's own."""
    with AirbyteSimulator() as simulator:
        yield simulator


@pytest.fixture(params=[Ours, Sdk], ids=["ours", "sdk"])
def client(request: pytest.FixtureRequest, simulator: AirbyteSimulator) -> Client:
    """Each client in turn."""
    made: Client = request.param(simulator)
    return made


def test_the_server_is_up(client: Client) -> None:
    """Health needs no credentials and says so in plain text."""
    assert client.health()


def test_workspaces_and_connections(client: Client, simulator: AirbyteSimulator) -> None:
    """Both list what there is, and a workspace's own connections when asked for it."""
    platform = simulator.platform
    platform.workspaces["0b1c9e6e-6a3f-4c06-9b53-3c1b6d3d3a11"] = "Second"
    first = platform.add_connection()
    second = platform.add_connection(workspace_id="0b1c9e6e-6a3f-4c06-9b53-3c1b6d3d3a11")
    assert client.workspaces() == list(platform.workspaces.items())
    assert client.connections() == [first.connection_id, second.connection_id]
    assert client.connections(second.workspace_id) == [second.connection_id]


def test_a_connection_in_full(client: Client, simulator: AirbyteSimulator) -> None:
    """Name, state, places, namespace, prefix, schedule, and the streams with their modes, cursors and keys."""
    made = simulator.platform.add_connection(
        name="CRM → lake", prefix="crm_", namespace_definition="custom_format", namespace_format="raw_${SOURCE_NAMESPACE}", streams=STREAMS
    )
    assert client.connection(made.connection_id) == (
        "CRM → lake", "active", made.workspace_id, made.source_id, made.destination_id, "crm_", "custom_format",
        "raw_${SOURCE_NAMESPACE}", "manual",
        [
            ("people", None, "incremental_deduped_history", ["updated_at"], [["id"]]),
            ("notes", "crm", "full_refresh_overwrite", [], []),
        ],
    )  # fmt: skip


def test_the_life_of_a_job(client: Client, simulator: AirbyteSimulator) -> None:
    """Started, queued, between attempts, ended; with the rows that were committed."""
    simulator.platform.script(Life(statuses=("queued", "running", "incomplete", "running", "succeeded"), rows=120, size_bytes=9_000))
    connection = simulator.platform.add_connection()
    job = client.start(connection.connection_id)
    assert (job.status, job.job_type, job.connection_id) == ("queued", "sync", connection.connection_id)
    seen = [client.job(job.job_id) for _ in range(5)]
    assert [each.status for each in seen] == ["queued", "running", "incomplete", "running", "succeeded"]
    assert (seen[0].rows, seen[-1].rows) == (None, 120)


@pytest.mark.parametrize("job_type", ["sync", "reset"])
def test_a_job_is_cancelled_once(job_type: str, client: Client, simulator: AirbyteSimulator) -> None:
    """A running job is cancelled; one that has ended conflicts."""
    connection = simulator.platform.add_connection()
    job = client.start(connection.connection_id, job_type)
    assert client.cancel(job.job_id).status == "cancelled"
    with pytest.raises(RefusalError, match="409"):
        client.cancel(job.job_id)


def test_what_is_refused(client: Client, simulator: AirbyteSimulator) -> None:
    """A second job of a connection, a connection that is off or unknown, a job that never was."""
    connection = simulator.platform.add_connection()
    client.start(connection.connection_id)
    with pytest.raises(RefusalError, match="409"):
        client.start(connection.connection_id)
    off = simulator.platform.add_connection(status="inactive")
    with pytest.raises(RefusalError, match="409"):
        client.start(off.connection_id)
    with pytest.raises(RefusalError, match="404"):
        client.start("11111111-2222-3333-4444-555555555555")
    with pytest.raises(RefusalError, match="404"):
        client.job(7)
    assert len(simulator.started) == 1


def test_jobs_are_found_by_what_they_are(client: Client, simulator: AirbyteSimulator) -> None:
    """By connection, kind, state and time; newest first."""
    platform = simulator.platform
    one, other = platform.add_connection(), platform.add_connection()
    first = client.start(one.connection_id)
    platform.end(first.job_id)
    second = client.start(one.connection_id, "reset")
    third = client.start(other.connection_id)
    assert client.jobs() == [third.job_id, second.job_id, first.job_id]
    assert client.jobs(connection_id=one.connection_id) == [second.job_id, first.job_id]
    assert client.jobs(job_type="reset") == [second.job_id]
    assert client.jobs(status="succeeded") == [first.job_id]
    assert client.jobs(order_by="createdAt|ASC")[0] == first.job_id
    assert client.jobs(created_at_start=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(client.jobs(created_at_start=datetime.now(UTC) - timedelta(hours=1))) == 3


def test_a_refresh_is_not_for_the_public_api(simulator: AirbyteSimulator) -> None:
    """The kind is in the API's list, and answered with 422 (the SDK's enumeration has it; our client does not ask for one)."""
    connection = simulator.platform.add_connection()
    with pytest.raises(RefusalError, match="422"):
        Sdk(simulator).start(connection.connection_id, "refresh")


def test_pages_of_the_sdk(simulator: AirbyteSimulator) -> None:
    """A limit is honoured and bounded, an offset goes on, and `next` stays set until a page is empty."""
    connection = simulator.platform.add_connection()
    for _ in range(5):
        job = simulator.platform.start_job(connection.connection_id, "sync")
        simulator.platform.end(job.job_id)
    client = Sdk(simulator)
    assert client.jobs(limit=2) == [45, 44]
    assert client.jobs(limit=2, offset=4) == [41]
    assert client.jobs(limit=2, offset=6) == []
    for limit in (0, 101):
        with pytest.raises(RefusalError, match="400"):
            client.jobs(limit=limit)
