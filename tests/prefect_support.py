"""A Prefect server and a process worker of the tests' own: nobody is phoned, nothing is left running."""

import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import only_one
from tests.faults.support import wait_until

ROOT = Path(__file__).parents[1]
# Of every process that loads Prefect.
QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_CLI_PROMPT": "false", "NO_COLOR": "1", "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
_START_S = 120.0
_STARTED: dict[int, "subprocess.Popen[bytes]"] = {}  # by process id: reaped when they are ended
_SERVER: Mapping[str, str] = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_INSERT_BATCH_SIZE": "50",
}


@dataclass(slots=True, kw_only=True)
class Prefect:
    """A server on its port, with everything it keeps below `home`."""

    home: Path
    port: int
    pid: int = 0
    migrated: bool = False  # its database is a copy of one that was
    _api: httpx.Client | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """What PREFECT_API_URL is set to."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that asks it."""
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(self.home), "PREFECT_API_URL": self.url, **QUIET}

    def start(self) -> None:
        """Start it and wait until it is ready; as Prefect's own command does, without that command's process around it."""
        command = [
            sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1",
            "--port", str(self.port), "--lifespan", "on", "--log-level", "error", "--timeout-keep-alive", "5",
        ]  # fmt: skip
        environment = {**self.environment, **_SERVER, "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(not self.migrated).lower()}
        with (self.home / "server.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, cwd=self.home, stdout=log, stderr=log, start_new_session=True)
        self.pid = process.pid
        _STARTED[process.pid] = process
        wait_for(self.is_ready, "Prefect's server is ready", _START_S)
        self.migrated = True

    def is_ready(self) -> bool:
        """Whether it answers, its database too."""
        try:
            return httpx.get(f"{self.url}/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """As a machine that goes away would."""
        end_group(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ask it no more; it goes on."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def stop(self) -> None:
        """End it, and see that it has ended."""
        self.close()
        end_group(self.pid, signal.SIGTERM)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """An answer of its API."""
        self._api = self._api or httpx.Client(timeout=30)
        for pause_s in (0.1, 0.5, 1.0, 2.0, 4.0, 0.0):
            answer = self._api.request(method, f"{self.url}{path}", json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause_s)  # SQLite is locked: what Prefect's own client does
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def run(self, run_id: str) -> dict[str, Any]:
        """A flow run."""
        return dict(self.api("GET", f"/flow_runs/{run_id}"))

    def state(self, run_id: str) -> str:
        """Its state's name."""
        return str(self.run(run_id)["state_name"])

    def submit(self, deployment: str, request: Mapping[str, Any], environment: Mapping[str, str] | None = None, **more: object) -> str:
        """Create a run of a deployment; its id."""
        found = self.api("GET", f"/deployments/name/{deployment}")
        variables = {"job_variables": {"env": dict(environment)}} if environment else {}
        body = {"parameters": {"request": dict(request)}, "state": {"type": "SCHEDULED"}, **variables, **more}
        return str(self.api("POST", f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def artifacts(self, run_id: str) -> dict[str, str]:
        """What a run kept, by key."""
        found = self.api("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        return {str(each["key"]): str(each["data"]) for each in sorted(found, key=lambda each: str(each["created"]))}

    def tasks(self, run_id: str) -> list[dict[str, Any]]:
        """Its task runs, in the order of their start."""
        found = self.api("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200})
        return sorted(found, key=lambda each: each["start_time"] or "")


# A server, a connection or a look at all processes a time: asked fifty times a second they would leave nothing for who is waited for.
wait_for = partial(wait_until, every_s=0.25)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group, then make sure that nothing of it is left."""
    if not pid:
        return
    for each in (number, signal.SIGKILL):
        try:
            os.killpg(pid, each)
        except ProcessLookupError:
            break
        until = time.monotonic() + 10
        while time.monotonic() < until and group_exists(pid):
            time.sleep(0.05)
    assert not group_exists(pid), f"processes of group {pid} are left"


def group_exists(group: int) -> bool:
    """Whether a process of the group lives; one that has ended and that nobody asked how (another worker's child) does not."""
    if group in _STARTED:
        _STARTED[group].poll()
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text("ascii", "replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(of_group) == group and state != "Z":
            return True
    return False


@contextmanager
def own_server(run_folder: Path, home: Path) -> Iterator[Prefect]:
    """A server of one test: on a copy of a migrated database, where there is one."""
    server = _new_server(run_folder, home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def shared_server(run_folder: Path) -> Iterator[Prefect]:
    """One server for all workers of a run; the last one who leaves stops it."""
    info, lock = run_folder / "prefect.json", run_folder / "prefect.lock"
    with (run_folder / "prefect.users").open("a") as users:
        with only_one(lock):
            fcntl.flock(users, fcntl.LOCK_SH)
            if info.exists():
                server = Prefect(home=run_folder / "prefect", migrated=True, **json.loads(info.read_text()))
            else:
                server = _new_server(run_folder, run_folder / "prefect")
                server.start()
                _keep_template(run_folder, server)
                info.write_text(json.dumps({"port": server.port, "pid": server.pid}))
        yield server
        server.close()
        with only_one(lock):
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for beside in run_folder.glob("prefect-beside-*"):
                end_group(int(beside.read_text()), signal.SIGTERM)
                beside.unlink()
            server.stop()
            info.unlink()


def start_beside(run_folder: Path, name: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    """Start a process that all workers of a run share, unless one of them did; it ends before the shared server does."""
    info = run_folder / f"prefect-beside-{name}"
    with only_one(run_folder / f"{name}.lock"):
        if not info.exists():
            process = start()
            _STARTED[process.pid] = process
            info.write_text(str(process.pid))


def _new_server(run_folder: Path, home: Path) -> Prefect:
    home.mkdir(parents=True, exist_ok=True)
    template = run_folder / "prefect-template.db"
    if template.exists():
        shutil.copy(template, home / "prefect.db")
    return Prefect(home=home, port=free_port(), migrated=template.exists())


def _keep_template(run_folder: Path, server: Prefect) -> None:
    """Migrating takes Prefect longer than anything else: once a run is enough."""
    made = run_folder / "prefect-template.new"
    with closing(sqlite3.connect(server.home / "prefect.db")) as there, closing(sqlite3.connect(made)) as copy:
        there.backup(copy)
    made.rename(run_folder / "prefect-template.db")


@contextmanager
def worker(server: Prefect, environment: Mapping[str, str], *, limit: int = 3) -> Iterator["subprocess.Popen[bytes]"]:
    """A process worker of the pool `pay-ready`, ended with every flow run that it started."""
    process = start_worker(server, environment, limit=limit)
    try:
        yield process
    finally:
        end_group(process.pid, signal.SIGTERM)
        process.wait(10)


def start_worker(server: Prefect, environment: Mapping[str, str], *, limit: int) -> "subprocess.Popen[bytes]":
    """A process worker of the pool `pay-ready`."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "pay-ready", "--type", "process", "--limit", str(limit)]
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_HEARTBEAT_SECONDS": "5"}
    with (server.home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command, env={**server.environment, **environment, **settings}, cwd=server.home, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    _STARTED[process.pid] = process
    return process


def flow_processes(home: str) -> list[int]:
    """Process ids of flow runs whose PAY_READY_HOME this is, whoever started them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            if b"prefect.engine" in words or b"flow_engine" in words:
                environment = (folder / "environ").read_bytes()
                if f"PAY_READY_HOME={home}".encode() in environment.split(b"\0") and (folder / "stat").read_text().split()[2] != "Z":
                    found.append(int(folder.name))
        except OSError:
            continue
    return found
