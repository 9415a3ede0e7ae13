#!/usr/bin/env python3
"""Let a worker's flow runs end before it is stopped, and let its pool go on when it starts again.

A process worker that is told to stop kills the runs it started, and Prefect shows them as running from then on. Nothing is lost by
that: step_runs and leases say what is done, and the next run goes on from there. But a run that ends in peace need not be repeated.

    drain.py stop POOL [--limit SECONDS]    pause the pool, wait until no flow run is left on this machine
    drain.py resume POOL                    let the pool go on, if it was drained; a pool that somebody paused by hand stays paused

Needs nothing but Python. Reads PREFECT_API_URL and PREFECT_API_AUTH_STRING. Pausing holds for the whole pool: other workers of it take
nothing new meanwhile. Whatever goes wrong is said in a line, and the exit code stays 0: a server that is away must not keep a machine up.
"""

import argparse
import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# A variable on Prefect's server says that a pool was paused by a drain, and not by a person.
MARK = "pay_ready_drained"
FLOW_RUNS = ("prefect.engine", "prefect.flow_engine")
LOOK_S, ANSWER_S = 1.0, 10.0
TRIES, PAUSE_S = 4, 1.0
NOT_THERE, THERE_ALREADY = 404, 409


class AwayError(Exception):
    """The server did not answer, or refused."""


def api(method: str, path: str, body: object = None) -> object:
    """An answer of Prefect's API, asked a few times while it is busy; None where there is no such thing."""
    base = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise AwayError("PREFECT_API_URL is not set")
    headers = {"Content-Type": "application/json"}
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers=headers, method=method)  # noqa: S310 - http or https, see above
    problem = ""
    for tried in range(TRIES):
        if tried:
            time.sleep(PAUSE_S)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                said = answer.read()
                return json.loads(said) if said else {}
        except urllib.error.HTTPError as error:
            # The same word twice, because the first answer was lost, is as once.
            if error.code in (NOT_THERE, THERE_ALREADY):
                return None if error.code == NOT_THERE else {}
            problem = str(error.code)
        except (OSError, ValueError) as error:
            problem = str(error)
    raise AwayError(f"{method} {path}: {problem}")


def is_paused(pool: str) -> bool | None:
    """Whether a pool is paused; None when there is none of that name."""
    found = api("GET", f"/work_pools/{pool}")
    return bool(found.get("is_paused")) if isinstance(found, dict) else None


def marked(pool: str) -> bool:
    """Whether a drain paused it."""
    found = api("GET", f"/variables/name/{MARK}")
    return isinstance(found, dict) and found.get("value") == pool


def pause(pool: str) -> str:
    """Pause a pool, and note that a drain did it; what to say of it."""
    paused = is_paused(pool)
    if paused is None:
        return f"there is no pool {pool}"
    if paused:
        return f"pool {pool} is paused already"
    if not marked(pool):
        api("DELETE", f"/variables/name/{MARK}")
        api("POST", "/variables/", {"name": MARK, "value": pool})
    api("PATCH", f"/work_pools/{pool}", {"is_paused": True})
    return f"pool {pool} is paused"


def resume(pool: str) -> str:
    """Let a drained pool go on; what to say of it."""
    paused = is_paused(pool)
    if paused is None:
        return f"there is no pool {pool} yet"
    if not marked(pool):
        return f"pool {pool} was paused by hand and stays so: prefect work-pool resume {pool}" if paused else f"pool {pool} is not paused"
    api("PATCH", f"/work_pools/{pool}", {"is_paused": False})
    api("DELETE", f"/variables/name/{MARK}")
    return f"pool {pool} goes on"


def flow_runs(proc: Path = Path("/proc")) -> list[int]:
    """Process ids of flow runs on this machine (in this container)."""
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:  # it ended meanwhile
            continue
        if any(word in FLOW_RUNS or word.endswith("/prefect/flow_engine.py") for word in words):
            found.append(int(folder.name))
    return found


def wait(limit_s: float) -> str:
    """Wait until the flow runs have ended; what to say of it."""
    until = time.monotonic() + limit_s
    while left := flow_runs():
        if time.monotonic() >= until:
            return f"{len(left)} flow runs did not end within {limit_s:g} s: they are cut, the next run goes on from what they committed"
        time.sleep(LOOK_S)
    return "no flow run is left"


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description="Let a worker's flow runs end before it is stopped.")
    parser.add_argument("action", choices=["stop", "resume"])
    parser.add_argument("pool")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds to wait at most")
    asked = parser.parse_args()
    try:
        said = pause(asked.pool) if asked.action == "stop" else resume(asked.pool)
    except AwayError as error:
        said = f"Prefect's server was not reached: {error}"
    sys.stderr.write(f"drain: {said}\n")
    if asked.action == "stop":
        sys.stderr.write(f"drain: {wait(asked.limit)}\n")


if __name__ == "__main__":
    main()
