"""What tests of flows share: a server, and tenants with sources."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.settings import Environment
from tests.command_support import EMBEDS, called
from tests.conftest import Scratch
from tests.faults.support import wait_until
from tests.prefect_support import QUIET, ROOT, Prefect, only_one, shared_server, start_beside, start_worker

# Prefect reads these when it is first imported; without a home of its own it would write into the user's.
_HOME = tempfile.TemporaryDirectory(prefix="pay-ready-prefect-")
os.environ.update({**QUIET, "PREFECT_HOME": _HOME.name})


@pytest.fixture(scope="session")
def prefect(thrown_away: Path) -> Iterator[Prefect]:
    """One Prefect server for all tests, with the limits that steps take slots of."""
    with shared_server(thrown_away) as server:
        with only_one(thrown_away / "limits.lock"):
            there = {each["name"] for each in server.api("POST", "/v2/concurrency_limits/filter", {"limit": 50})}
            for name in {"pay-ready-airbyte", "pay-ready-database"} - there:
                server.api("POST", "/v2/concurrency_limits/", {"name": name, "limit": 30})
        yield server


class World:
    """Tenants on a database of this test's own, worked on by commands and by flows."""

    def __init__(self, scratch: Scratch, folder: Path) -> None:
        self.scratch, self.folder, self.slug = scratch, folder, "acme"
        self.environment = {
            "PAY_READY_HOME": str(folder / "state"), "PAY_READY_DATABASE_URL": scratch.app_url,
            "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url, **EMBEDS,
        }  # fmt: skip

    def command(self, *words: str, code: int = 0) -> Any:
        """What a command printed: its JSON data where it was asked for, else its text."""
        done = called(words, self.environment, self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)["data"] if "--json" in words else done.stdout + done.stderr

    def contacts(self, count: int, *, source: str = "crm", tenant: str = "acme", revision: int = 0, **properties: object) -> Path:
        """Export files of so many contacts for a source."""
        folder = self.folder / "exports" / tenant / source
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"id": str(n), "createdAt": "2026-01-01T00:00:00Z", "updatedAt": f"2026-01-{2 + revision:02}T00:00:00Z", "archived": False,
             "properties": {"email": f"p{n}@customer.example", "firstname": "P", "lastname": f"{n}-{revision}", **properties}}
            for n in range(count)
        ]  # fmt: skip
        (folder / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    def tenant(self, slug: str = "acme", sources: Sequence[str] = ("crm",), count: int = 20) -> None:
        """A tenant with sources of so many contacts each."""
        self.command("tenants", "create", slug)
        for name in sources:
            folder = self.contacts(count, source=name, tenant=slug)
            self.command("sources", "add", "-t", slug, name, "--kind", "hubspot", "--replay", str(folder))

    def app(self) -> "AbstractContextManager[App]":
        """The app of this process."""
        environment = Environment(
            home=self.folder / "state",
            database_url=self.scratch.app_url,
            admin_database_url=self.scratch.admin_url,  # type: ignore[arg-type]
        )
        return open_app(environment)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows as the administrator sees them."""
        with psycopg.connect(self.scratch.admin_url) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def steps(self) -> list[tuple[str, str, str]]:
        """What step_runs says: step, subject, status, in order."""
        return [(row[0], row[1], row[2]) for row in self.rows(
            "select step, subject, status from pay_ready.step_runs order by started_at, step_run_id"
        )]  # fmt: skip


@pytest.fixture
def world(scratch: Scratch, tmp_path: Path) -> World:
    """An empty world."""
    return World(scratch, tmp_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A flow run that has ended, or was killed: then it has no state."""

    pid: int
    status: int  # of its process; negative: the signal that ended it
    name: str = ""
    type: str = ""
    message: str = ""
    run_id: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Nursery:
    """Runs flows in processes of their own that begin with everything loaded; one for all workers of a run."""

    prefect: Prefect
    place: Path  # of its socket

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it; who asks it before it listens waits."""
        environment = {**self.prefect.environment, "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.flows.nursery", str(self.place)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)

    def run(self, world: World, flow: str, request: Mapping[str, Any], *, failpoints: str = "", **environment: str) -> Ended:
        """One run of a flow."""
        asked = {
            "flow": flow, "request": dict(request), "environment": {**world.environment, **environment}, "failpoints": failpoints,
            "told": str(world.folder / f"told-{uuid.uuid4().hex}.json"), "url": self.prefect.url,
        }  # fmt: skip
        wait_until(self.place.exists, "the nursery listens", 60)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.place))
            with connection.makefile("rw") as lines:
                lines.write(json.dumps(asked) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
        assert answer["result"] or answer["status"], (world.folder / "flows.log").read_text()[-4000:]
        return Ended(pid=answer["pid"], status=answer["status"], **(answer["result"] or {}))


@pytest.fixture(scope="session")
def nursery(prefect: Prefect, thrown_away: Path) -> Nursery:
    """The one of this run; it ends with the shared server."""
    nursery = Nursery(prefect, thrown_away / "nursery.socket")
    start_beside(thrown_away, "nursery", nursery.start)
    return nursery


def apply(server: Prefect) -> None:
    """`pay-ready deploy apply`, in this process; no tenant gets a schedule, for none is known."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    places = {"PAY_READY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "PAY_READY_CHECKOUT": str(ROOT)}
    with temporary_settings({PREFECT_API_URL: server.url}):
        done = called(["deploy", "apply", "--json"], places, ROOT)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def working(prefect: Prefect, thrown_away: Path) -> Prefect:
    """The shared server with everything deployed, and a worker; its runs are told by their job variables which world is theirs."""

    def start() -> "subprocess.Popen[bytes]":
        apply(prefect)
        return start_worker(prefect, {"PAY_READY_CHECKOUT": str(ROOT)}, limit=6)

    start_beside(thrown_away, "worker", start)
    return prefect


@pytest.fixture
def run_flow(nursery: Nursery, world: World) -> Callable[..., Ended]:
    """Runs a flow under the shared server."""
    return partial(nursery.run, world)
