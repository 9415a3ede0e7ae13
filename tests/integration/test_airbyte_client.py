"""Our client against a real socket: its token, its patience, its breaker, and credentials that show nowhere."""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from pay_ready.breaker import BreakerOpenError
from pay_ready.errors import (
    ConfigError,
    ContractError,
    DeniedError,
    NotFoundError,
    PayReadyError,
    TransientError,
    UsageError,
)
from pay_ready.sources import airbyte_token
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import open_access
from pay_ready.sources.airbyte_errors import BusyError, UnknownOutcomeError
from tests.airbyte_simulator.platform import Life
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.airbyte_support import ONCE, QUICK, carried, client_of, leaks, secrets_of

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def simulator() -> Iterator[AirbyteSimulator]:
    """A server of this test's own."""
    with AirbyteSimulator() as simulator:
        yield simulator


@pytest.fixture
def connection(simulator: AirbyteSimulator) -> str:
    """A connection's id."""
    return simulator.platform.add_connection().connection_id


def done(client: AirbyteClient, work: Callable[[AirbyteClient], Awaitable[T]]) -> T:
    """What the work gives, with the client open."""

    async def run() -> T:
        async with client:
            return await work(client)

    return asyncio.run(run())


async def listed(client: AirbyteClient, **filters: Any) -> list[int]:
    """Ids of jobs."""
    return [job.job_id async for job in client.jobs(**filters)]


def failure_of(work: Callable[[], object]) -> Exception | None:
    """The error that it raises, with its traceback; None when it raises none."""
    try:
        work()
    except Exception as error:
        return error
    return None


# Token


def test_a_token_is_renewed_ahead_of_its_end(simulator: AirbyteSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Life 900 s: the same token until 60 s before the end, then another; a short life leaves a fifth of itself."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(airbyte_token, "time", SimpleNamespace(monotonic=lambda: clock.now))

    async def work(client: AirbyteClient) -> list[int]:
        given = []
        for second in (0, 839, 841, 841 + 839, 841 + 841):
            clock.now = 1_000.0 + second
            await client.workspaces()
            given.append(simulator.tokens_given)
        simulator.token_life_s = 100
        clock.now += 900
        for _ in range(3):
            await client.workspaces()
            given.append(simulator.tokens_given)
            clock.now += 70
        return given

    assert done(client_of(simulator), work) == [1, 1, 2, 2, 3, 4, 4, 5]


def test_many_calls_renew_once(simulator: AirbyteSimulator) -> None:
    """Twelve calls at once ask for one token; when it is revoked, all twelve are refused and one of them renews."""

    async def work(client: AirbyteClient) -> None:
        await asyncio.gather(*(client.workspaces() for _ in range(12)))
        assert simulator.tokens_given == 1
        simulator.revoke_tokens()
        await asyncio.gather(*(client.workspaces() for _ in range(12)))
        assert simulator.tokens_given == 2

    done(client_of(simulator), work)


def test_a_second_401_is_a_refusal(simulator: AirbyteSimulator) -> None:
    """One renewal a call: then it is denied, and not tried again."""
    simulator.fail("instead", path="/workspaces", times=9, status=401, body="{}")
    with pytest.raises(DeniedError, match=r"Airbyte refuses the credentials.*status=401"):
        done(client_of(simulator), lambda client: client.workspaces())
    assert len(simulator.requests("GET", "/workspaces")) == 2
    assert simulator.tokens_given == 2


def test_wrong_credentials(simulator: AirbyteSimulator) -> None:
    """They are denied by the token's endpoint, with the way out; nothing else is called."""
    access = open_access(simulator.url, json.dumps({"client_id": "canary-1", "client_secret": "canary-2"}).encode())
    with pytest.raises(DeniedError, match=r"refuses the credentials.*client_id and client_secret"):
        done(AirbyteClient(access, options=QUICK), lambda client: client.workspaces())
    assert [each.path for each in simulator.seen] == ["/api/public/v1/applications/token"]


def test_a_fixed_token_and_none(simulator: AirbyteSimulator) -> None:
    """A fixed token is sent as it is, and a 401 is final; without credentials none is sent, and a 401 says what is missing."""
    simulator.tokens["canary-fixed"] = float("inf")
    fixed = open_access(simulator.url, json.dumps({"access_token": "canary-fixed"}).encode())
    assert done(AirbyteClient(fixed), lambda client: client.workspaces())
    simulator.revoke_tokens()
    with pytest.raises(DeniedError, match="refuses the credentials"):
        done(AirbyteClient(fixed), lambda client: client.workspaces())
    nobody = open_access(simulator.url, None)
    with pytest.raises(DeniedError, match="asks for credentials"):
        done(AirbyteClient(nobody), lambda client: client.workspaces())
    simulator.auth = "none"
    assert done(AirbyteClient(nobody), lambda client: client.workspaces())
    sent = [each.authorization for each in simulator.requests("GET")]
    assert sent == [*["Bearer canary-fixed"] * 3, "", "", ""]
    assert not simulator.requests("POST")


def test_the_paths_of_cloud(simulator: AirbyteSimulator, connection: str) -> None:
    """Cloud's API is below /v1: token, lists and jobs."""
    access = replace(open_access(simulator.url, simulator.credentials), url=f"{simulator.url}/v1")
    assert done(AirbyteClient(access), lambda client: client.start_job(connection)).job_id == 41
    assert done(AirbyteClient(access), lambda client: listed(client, connection_id=connection)) == [41]
    assert {each.path for each in simulator.seen} == {"/v1/applications/token", "/v1/jobs"}


def test_no_token_in_the_answer(simulator: AirbyteSimulator) -> None:
    """An answer of another shape is said and not quoted: a token may stand in it under another name."""
    simulator.fail("instead", method="POST", path="/token", status=200, body='{"accessToken": "canary-x"}', content_type="application/json")
    with pytest.raises(ContractError, match="not what it should be") as caught:
        done(client_of(simulator), lambda client: client.workspaces())
    assert "canary" not in str(caught.value)


# Patience


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_tried_again(simulator: AirbyteSimulator, status: int) -> None:
    """Until it succeeds, or the attempts are used up; the log line has neither address nor argument."""
    simulator.fail("instead", path="/workspaces", times=2, status=status)
    with capture_logs() as lines:
        assert done(client_of(simulator), lambda client: client.workspaces())
    retries = [line for line in lines if line["event"] == "call.retried"]
    assert len(retries) == 2
    assert retries[0].keys() == {"event", "log_level", "step", "attempt", "wait_s", "error_class"}
    simulator.fail("instead", path="/workspaces", times=9, status=status)
    with pytest.raises(TransientError, match=f"status={status}"):
        done(client_of(simulator), lambda client: client.workspaces())
    assert len(simulator.requests("GET")) == (2 + 2) + 3


@pytest.mark.parametrize("kind", ["lost", "refused", "cut"])
def test_a_lost_answer_of_a_read_is_asked_for_again(simulator: AirbyteSimulator, kind: str) -> None:
    """The connection breaks before, after or in the middle of the answer."""
    simulator.fail(kind, path="/workspaces", times=2)
    assert done(client_of(simulator), lambda client: client.workspaces())
    simulator.fail(kind, method="POST", path="/token", times=1)
    assert done(client_of(simulator, replace(QUICK, attempts=2)), lambda client: client.workspaces()) if kind != "cut" else True


def test_lasting_refusals_are_not_tried_again(simulator: AirbyteSimulator) -> None:
    """Each is raised after one request."""
    for status in (400, 403, 404, 405, 409, 422, 302):
        simulator.fail("instead", path="/workspaces", status=status)
        with pytest.raises(PayReadyError) as caught:
            done(client_of(simulator), lambda client: client.workspaces())
        assert not isinstance(caught.value, TransientError)
    assert len(simulator.requests("GET")) == 7


@pytest.mark.parametrize(("form", "wait_s"), [("seconds", 0.2), ("date", 0.0)])
def test_retry_after_is_honoured(simulator: AirbyteSimulator, form: str, wait_s: float) -> None:
    """The wait is the one that was asked for, not ours."""
    header = str(wait_s) if form == "seconds" else format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
    simulator.fail("instead", path="/workspaces", status=429, headers={"Retry-After": header})
    with capture_logs() as lines:
        assert done(client_of(simulator, replace(QUICK, wait_initial_s=3.0, wait_max_s=3.0)), lambda client: client.workspaces())
    assert [line["wait_s"] for line in lines if line["event"] == "call.retried"] == [wait_s]


def test_a_long_retry_after_ends_the_call(simulator: AirbyteSimulator) -> None:
    """Asked to wait longer than anybody waits within a call, it gives up at once and says how long."""
    simulator.fail("instead", path="/workspaces", times=9, status=429, headers={"Retry-After": "3600"})
    with pytest.raises(TransientError, match=r"limits the requests.*retry_after_s=3600\.0"):
        done(client_of(simulator), lambda client: client.workspaces())
    assert len(simulator.requests("GET")) == 1


def test_a_call_has_a_deadline(simulator: AirbyteSimulator) -> None:
    """A server that does not answer in time is given up; starting a job has a longer one."""
    simulator.fail("late", path="/workspaces", times=9, delay_s=0.4)
    impatient = replace(ONCE, call_s=0.1)
    with pytest.raises(TransientError, match=r"did not answer within 0\.1 s - call=GET /workspaces"):
        done(client_of(simulator, impatient), lambda client: client.workspaces())
    connection = simulator.platform.add_connection().connection_id
    simulator.fail("late", method="POST", path="/jobs", delay_s=0.3)
    assert done(client_of(simulator, impatient), lambda client: client.start_job(connection)).job_id == 41


def test_nobody_there() -> None:
    """No server at that address: transient, for it may come up; a name that is none as well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://airbyte.invalid"):
        client = AirbyteClient(open_access(url, None), options=ONCE)
        with pytest.raises(TransientError, match="cannot be reached") as caught:
            done(client, lambda client: client.start_job("11111111-2222-3333-4444-555555555555"))
        assert not isinstance(caught.value, UnknownOutcomeError)


def test_no_trust_in_the_certificate(simulator: AirbyteSimulator) -> None:
    """A server that speaks no TLS, or none that we trust, is a matter of configuration: not tried again."""
    access = open_access(simulator.url.replace("http:", "https:"), None)
    with pytest.raises(ConfigError, match="no secure connection"):
        done(AirbyteClient(access, options=QUICK), lambda client: client.workspaces())


def test_a_page_instead_of_json(simulator: AirbyteSimulator) -> None:
    """A login page with status 200 is no answer of the API, and no retry makes it one."""
    page = "<!doctype html><title>Sign in</title>"
    simulator.fail("instead", path="/workspaces", times=9, status=200, body=page, content_type="text/html")
    with pytest.raises(ContractError, match=r"page instead of JSON.*login page"):
        done(client_of(simulator), lambda client: client.workspaces())
    assert len(simulator.requests("GET")) == 1


@pytest.mark.parametrize("body", ["[]", '{"data": {}}', '{"data": [{"name": "no id"}]}', '{"data": [7]}', "null", "12"])
def test_json_of_another_shape(simulator: AirbyteSimulator, body: str) -> None:
    """Is said with the place where it differs."""
    simulator.fail("instead", path="/workspaces", times=9, status=200, body=body, content_type="application/json")
    with pytest.raises((ContractError, TransientError), match=r"not of its shape|is no JSON"):
        done(client_of(simulator), lambda client: client.workspaces())


# Starting a job


def test_starting_is_tried_again_only_when_it_surely_did_not_happen(simulator: AirbyteSimulator, connection: str) -> None:
    """A 429 was not carried out: asked again, it starts one job."""
    simulator.fail("instead", method="POST", path="/jobs", times=2, status=429, headers={"Retry-After": "0"})
    assert done(client_of(simulator), lambda client: client.start_job(connection)).job_id == 41
    assert len(simulator.requests("POST", "/jobs")) == 3
    assert len(simulator.started) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost"},
        {"kind": "refused"},
        {"kind": "cut"},
        {"kind": "late", "delay_s": 0.4},
        {"kind": "instead", "status": 500},
        {"kind": "instead", "status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"},
        {"kind": "instead", "status": 503, "headers": {"Retry-After": "0"}},
        {"kind": "instead", "status": 200, "body": "<html>Sign in</html>", "content_type": "text/html"},
        {"kind": "instead", "status": 200, "body": '{"status": "running"}', "content_type": "application/json"},
    ],
    ids=lambda fault: "-".join(str(fault[key]) for key in ("kind", "status") if key in fault),
)
def test_starting_is_never_repeated_blindly(simulator: AirbyteSimulator, connection: str, fault: dict[str, Any]) -> None:
    """Whatever leaves it open whether a job began is said as such, after one request."""
    simulator.fail(method="POST", path="/jobs", times=9, **fault)
    is_late = fault["kind"] == "late"
    with pytest.raises(UnknownOutcomeError) as caught:  # the others answer at once, as soon as a busy machine lets them
        done(client_of(simulator, replace(QUICK, start_job_s=0.2 if is_late else 20.0)), lambda client: client.start_job(connection))
    assert len(simulator.requests("POST", "/jobs")) + (is_late and not simulator.requests("POST", "/jobs")) == 1
    assert caught.value.exit_code == 75


def test_conflicts_of_starting(simulator: AirbyteSimulator, connection: str) -> None:
    """Busy is told apart from inactive; an id that is none is not sent at all."""
    done(client_of(simulator), lambda client: client.start_job(connection))
    with pytest.raises(BusyError, match=r"already running.*problem=try-again-later"):
        done(client_of(simulator), lambda client: client.start_job(connection))
    requests = len(simulator.seen)
    for wrong in ("", "my connection", "../jobs", "https://airbyte.example/connections/1"):
        with pytest.raises(UsageError, match="not an id of Airbyte"):
            done(client_of(simulator), lambda client, wrong=wrong: client.start_job(wrong))  # type: ignore[misc]
    assert len(simulator.seen) == requests


# Lists


def test_pages_by_offset(simulator: AirbyteSimulator, connection: str) -> None:
    """Every job once, newest first, whatever `next` says; what comes meanwhile moves the pages and nothing comes twice."""
    platform = simulator.platform
    for _ in range(7):
        platform.end(platform.start_job(connection, "sync").job_id)

    async def work(client: AirbyteClient) -> list[int]:
        found = []
        async for job in client.jobs(connection_id=connection, page=3):
            if len(found) == 2:
                platform.end(platform.start_job(connection, "sync").job_id)
            found.append(job.job_id)
        return found

    assert done(client_of(simulator), work) == [47, 46, 45, 44, 43, 42, 41]
    assert {each.path for each in simulator.requests("GET")} == {"/api/public/v1/jobs"}
    for _ in range(120):
        simulator.platform.add_connection()
    assert len(done(client_of(simulator), lambda client: client.connections())) == 121
    assert done(client_of(simulator), lambda client: listed(client, connection_id=connection, status="running")) == []


def test_a_server_that_ignores_the_offset_ends_a_list(simulator: AirbyteSimulator) -> None:
    """The same page again brings nothing new, and that is the end."""
    body = json.dumps({"data": [{"workspaceId": "w", "name": "only"}], "next": "x"})
    simulator.fail("instead", path="/workspaces", times=9, status=200, body=body, content_type="application/json")
    assert [each.name for each in done(client_of(simulator), lambda client: client.workspaces())] == ["only"]
    assert len(simulator.requests("GET")) == 2


# Breaker


def test_failures_open_the_breaker(simulator: AirbyteSimulator) -> None:
    """Five requests fail, over several calls; the sixth is not sent. Refusals are answers and open nothing."""
    client = client_of(simulator, replace(QUICK, attempts=2))
    simulator.fail("instead", path="/workspaces", times=99, status=503)

    async def work(client: AirbyteClient) -> None:
        for _ in range(8):
            with pytest.raises(NotFoundError):
                await client.job(7)
        for error in (TransientError, TransientError, BreakerOpenError, BreakerOpenError):
            with pytest.raises(TransientError) as caught:
                await client.workspaces()
            assert isinstance(caught.value, error)
        with pytest.raises(BreakerOpenError, match=r"service=airbyte:127\.0\.0\.1:\d+"):
            await client.start_job("11111111-2222-3333-4444-555555555555")

    done(client, work)
    assert len(simulator.requests("GET", "/workspaces")) == 5
    assert not simulator.requests("POST", "/jobs")


def test_half_open_is_one_request(simulator: AirbyteSimulator) -> None:
    """Of many calls at a half-open breaker one is sent; when it succeeds, all go through again."""
    client = client_of(simulator, ONCE)
    client.breaker.open_s = 0.0
    simulator.fail("instead", path="/workspaces", times=5, status=503)

    async def work(client: AirbyteClient) -> None:
        for _ in range(5):
            with pytest.raises(TransientError):
                await client.workspaces()
        simulator.fail("late", path="/workspaces", delay_s=0.1)
        ends = await asyncio.gather(*(client.workspaces() for _ in range(6)), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["BreakerOpenError"] * 5 + ["list"]
        await asyncio.gather(*(client.workspaces() for _ in range(6)))

    client.breaker.restore(client.breaker.state)  # with the time set above
    done(client, work)


# Credentials


def _echo(status: int, content_type: str = "application/problem+json") -> dict[str, Any]:
    text = '{"title": "x", "detail": "got {authorization} {body}", "data": {"message": "{authorization}"}}'
    return {"kind": "instead", "status": status, "body": text, "content_type": content_type, "times": 9}


FAULTS: list[dict[str, Any]] = [
    *(_echo(status) for status in (302, 400, 401, 403, 404, 409, 422, 429, 500, 503)),
    _echo(500, "text/html"), _echo(200, "text/html"), _echo(200),
    {"kind": "instead", "status": 200, "body": "{authorization}{body}", "content_type": "application/json", "times": 9},
    {"kind": "lost", "times": 9}, {"kind": "refused", "times": 9}, {"kind": "cut", "times": 9},
    {"kind": "late", "delay_s": 0.3, "times": 9},
]  # fmt: skip
CALLS: dict[str, tuple[dict[str, Any], Callable[[AirbyteClient], Coroutine[Any, Any, Any]]]] = {
    "token": ({"method": "POST", "path": "/token"}, lambda client: client.workspaces()),
    "list": ({"path": "/workspaces"}, lambda client: client.workspaces()),
    "job": ({"path": "/jobs/7"}, lambda client: client.job(7)),
    "start": ({"method": "POST", "path": "/jobs"}, lambda client: client.start_job("11111111-2222-3333-4444-555555555555")),
    "health": ({"path": "/health"}, lambda client: client.health()),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_failure_shows_a_credential(simulator: AirbyteSimulator, call: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Every fault, echoing what was sent: nothing in texts, pickles, locals of frames, chained errors, logs or output."""
    where, work = CALLS[call]
    impatient = replace(QUICK, call_s=0.2, start_job_s=0.2, attempts=2, wait_initial_s=0.001, wait_max_s=0.001)
    failures = 0
    for fault in FAULTS:
        simulator.faults.clear()
        simulator.fail(**fault, **where)
        with capture_logs() as lines:
            error = failure_of(lambda: done(client_of(simulator, impatient), work))
        failures += error is not None
        assert leaks(carried(error or PayReadyError("none")), secrets_of(simulator)) == [], fault
        assert leaks(iter([("log", repr(lines))]), secrets_of(simulator)) == []
    assert failures >= len(FAULTS) - 5
    assert leaks(iter([("output", "".join(capfd.readouterr()))]), secrets_of(simulator)) == []


def test_the_search_for_credentials_finds_them() -> None:
    """The helper of the test above sees a secret in a local, an argument, a chained error and in Base64."""
    source = compile("def f(secret):\n    raise ValueError('plain')\ndef g(text):\n    raise KeyError(text)", "elsewhere.py", "exec")
    names: dict[str, Any] = {}
    exec(source, names)
    for name, value in (("f", "canary-secret"), ("g", "canary-secret"), ("g", "Y2FuYXJ5LXNlY3JldA==")):
        error = failure_of(lambda: names[name](value))  # noqa: B023 - called at once
        assert error
        assert leaks(carried(error), iter(["canary-secret"]))


@pytest.mark.parametrize("path", ["/token", "/workspaces"])
def test_an_interrupt_shows_no_credential(simulator: AirbyteSimulator, path: str) -> None:
    """A call cancelled while it waits, for the token or with it: the frames that held it are not in the traceback."""
    simulator.fail("late", method="POST" if path == "/token" else "GET", path=path, delay_s=5.0)

    async def run() -> BaseException:
        async with client_of(simulator) as client:
            task = asyncio.ensure_future(client.workspaces())
            await asyncio.sleep(0.1)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return error
        raise AssertionError("it was not cancelled")

    error = asyncio.run(run())
    assert leaks(carried(error), secrets_of(simulator)) == []
    assert any("_attempt" in place for place, _ in carried(error)), "the place where it waited is still said"


# One session


class Stop(BaseException):
    """No error of ours."""


@pytest.mark.parametrize("end", [None, PayReadyError("x"), ValueError("x"), KeyboardInterrupt(), Stop(), asyncio.CancelledError()])
def test_the_session_is_closed_on_every_way_out(simulator: AirbyteSimulator, end: BaseException | None) -> None:
    """Nothing is left open and nothing warns, however the block ends."""

    async def run() -> None:
        async with client_of(simulator) as client:
            await client.workspaces()
            if end is not None:
                raise end

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if end is None:
            asyncio.run(run())
        else:
            with pytest.raises(type(end)):
                asyncio.run(run())
        gc.collect()
    assert caught == []


def test_a_closed_client_says_so(simulator: AirbyteSimulator) -> None:
    """Before it is opened and after it is closed."""
    client = client_of(simulator)
    with pytest.raises(ConfigError, match="not open"):
        asyncio.run(client.workspaces())
    done(client, lambda client: client.workspaces())
    with pytest.raises(ConfigError, match="not open"):
        asyncio.run(client.workspaces())


def test_ctrl_c_closes_the_session(simulator: AirbyteSimulator) -> None:
    """A process is interrupted while it waits for an answer: it ends as interrupted, with no warning and no credential on its way."""
    simulator.fail("late", path="/workspaces", delay_s=20.0)
    code = textwrap.dedent("""
        import asyncio, os, sys, traceback
        from pay_ready.sources.airbyte import AirbyteClient
        from pay_ready.sources.airbyte_access import open_access
        async def main():
            async with AirbyteClient(open_access(sys.argv[1], os.environ["GIVEN"].encode())) as client:
                print("open", flush=True)
                await client.workspaces()
        asyncio.run(main())
    """)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "GIVEN": simulator.credentials.decode()}
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code, simulator.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        while not simulator.tokens_given:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert "Unclosed" not in errors
    assert "ResourceWarning" not in errors
    assert "canary" not in errors


def test_jobs_end_while_they_are_watched(simulator: AirbyteSimulator, connection: str) -> None:
    """What is done while a job runs is done before it ends: the simulator waits for it."""
    written: list[int] = []
    simulator.platform.on_job_running = lambda job_id, _: written.append(job_id)
    simulator.platform.script(Life(statuses=("queued", "running", "succeeded")))

    async def work(client: AirbyteClient) -> str:
        job = await client.start_job(connection)
        while not job.is_ended:
            job = await client.job(job.job_id)
        return job.status

    assert done(client_of(simulator), work) == "succeeded"
    assert written == [41]
