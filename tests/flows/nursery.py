"""Flow runs as processes that begin with everything loaded: forked from one that never runs a flow itself.

Listens on a socket in the file system, for all workers of a run. A connection is a run; it sends a JSON object in a line: the flow, its
request, variables of its environment, failpoints. The answer is a line: the pid, how the process ended (a negative number is the signal),
its final state and what it gave back.
"""

import asyncio
import importlib
import json
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

FLOWS = ("etl", "sync", "resolve", "index", "analyse", "backfill", "rollback", "maintenance")
LOADED = (
    "fastapi.encoders",
    "pay_ready.pipeline.resolve",
    "pay_ready.pipeline.increment",
    "pay_ready.pipeline.warm",
    "pay_ready.app_agent",
    "duckdb",
    "scipy",
)


def main() -> None:
    """Load, then fork a process for each connection, which forks the run and sees how that ends."""
    for name in (*(f"flows.{each}" for each in FLOWS), *LOADED):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    listening.close()
                    _answer(connection)


def _answer(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rw") as lines:
        asked = json.loads(lines.readline())
        told = Path(asked["told"])
        pid = os.fork()
        if pid == 0:
            _run(asked, told)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        result = json.loads(told.read_text()) if told.exists() else None
        lines.write(json.dumps({"pid": pid, "status": status, "result": result}) + "\n")
    os._exit(0)


def _run(asked: dict[str, Any], told: Path) -> None:
    from pay_ready import failpoints

    with (told.parent / "flows.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(asked["environment"])
    os.chdir(told.parent)
    failpoints._armed.update(failpoints.parse_failpoints(asked["failpoints"]))
    if canary := os.environ.get("PAY_READY_CANARY"):
        failpoints._fail = partial(_blurt_out, canary)  # type: ignore[assignment]
    flow = getattr(sys.modules[f"flows.{asked['flow']}"], asked["flow"])
    settings = {PREFECT_API_URL: asked["url"], PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(settings):
        state = asyncio.run(flow(flow.validate_parameters({"request": asked["request"]})["request"], return_state=True))
    result = getattr(state.data, "result", None)
    summary = result.model_dump() if hasattr(result, "model_dump") else None
    said = {"name": state.name, "type": state.type.value, "message": state.message, "run_id": str(state.state_details.flow_run_id)}
    told.write_text(json.dumps({**said, "summary": summary}))
    sys.stdout.flush()
    os._exit(0)


def _blurt_out(canary: str, point: str, mode: str) -> None:
    """An error that nobody foresaw, with somebody's name in its words."""
    raise ValueError(f"{canary} does not fit at {point} ({mode})")


if __name__ == "__main__":
    main()
