"""What the tests of the embedded server share: its client processes, and how to look at the server from outside."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pay_ready.db import embedded_locks
from pay_ready.db.embedded import EmbeddedServer, embedded_status, start_embedded, stop_embedded
from pay_ready.db.embedded_layout import state_root

SCRIPT = Path(__file__).with_name("faults") / "embedded_client.py"
REPOSITORY = SCRIPT.parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A process of `embedded_client.py`."""

    process: subprocess.Popen[str]

    def told(self) -> dict[str, object]:
        """Its next line; fails when it ended without one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the client ended without a word"
        facts: dict[str, object] = json.loads(line)
        return facts

    def leave(self) -> int:
        """Let it end the ordinary way; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def end(self, number: signal.Signals) -> int:
        """End it by a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


Starter = Callable[..., Client]


def sweep(home: Path) -> None:
    """Stop what a killed client left."""
    if embedded_status(home).pid is not None:
        start_embedded(home)
        stop_embedded(home)


def gone(home: Path) -> bool:
    """Whether no process of the server lives; waits for a stop in progress."""
    deadline = time.monotonic() + 30
    while embedded_locks.is_held(state_root(home) / "server.lock"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return not embedded_status(home).running


def scalar(url: str, query: str) -> object:
    """The first value of a query."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def commit_row(server: EmbeddedServer) -> None:
    """A committed row that is on disk."""
    with psycopg.connect(server.admin_url, options="-c synchronous_commit=on") as connection:
        connection.execute("create table if not exists kept as select 42 as answer")


def delete(home: Path) -> None:
    """Delete a state folder under its server, which may write into it meanwhile."""
    while home.exists():
        shutil.rmtree(home, ignore_errors=True)


def put_down(pid: int, socket_dir: Path) -> None:
    """End a server whose folder was deleted; it looks once a minute, and may have seen it already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    shutil.rmtree(socket_dir, ignore_errors=True)
