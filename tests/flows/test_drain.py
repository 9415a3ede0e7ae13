"""A worker is drained: its pool paused and waited for, on the tests' Prefect server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prefect_support import Prefect

ROOT = Path(__file__).parents[2]
DRAIN = [sys.executable, str(ROOT / "deploy" / "drain.py")]
POOL = "of-the-drain-test"


@pytest.mark.prefect_server
def test_a_pool_is_paused_and_goes_on_unless_somebody_paused_it_by_hand(prefect: Prefect) -> None:
    """A drain undoes its own pause and no other; it may be repeated; a pool that is not there stops nothing."""
    environment = {"PATH": os.environ["PATH"], "PREFECT_API_URL": prefect.url}
    said: list[tuple[int, str, bool | None, str | None]] = []

    def drain(action: str) -> None:
        done = subprocess.run([*DRAIN, action, POOL, "--limit", "0"], env=environment, capture_output=True, text=True, check=False)
        pools = prefect.api("POST", "/work_pools/filter", {"work_pools": {"name": {"any_": [POOL]}}})
        marks = prefect.api("POST", "/variables/filter", {"variables": {"name": {"any_": ["pay_ready_drained"]}}})
        said.append((done.returncode, done.stderr, pools[0]["is_paused"] if pools else None, marks[0]["value"] if marks else None))

    for action in ("resume", "stop"):
        drain(action)
    prefect.api("POST", "/work_pools/", {"name": POOL, "type": "process"})
    for action in ("resume", "stop", "stop", "resume"):
        drain(action)
    prefect.api("PATCH", f"/work_pools/{POOL}", {"is_paused": True})
    for action in ("stop", "resume"):
        drain(action)
    assert {code for code, *_ in said} == {0}
    assert [(is_paused, mark) for _, _, is_paused, mark in said] == [
        (None, None), (None, None),
        (False, None), (True, POOL), (True, POOL), (False, None),
        (True, None), (True, None),
    ], said  # fmt: skip
    assert f"there is no pool {POOL}" in said[0][1]
    assert f"stays so: prefect work-pool resume {POOL}" in said[7][1]


def test_a_stop_waits_for_the_runs_of_this_machine(tmp_path: Path) -> None:
    """Until they ended, or so long as it may; a server that is away is said, and keeps nothing up."""
    environment = {"PATH": os.environ["PATH"], "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    # As a flow run of a process worker shows itself: the interpreter and the engine's name.
    run = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", "-m", "prefect.engine"], stdin=subprocess.PIPE)
    try:
        cut = subprocess.run([*DRAIN, "stop", "pay-ready", "--limit", "0.1"], env=environment, capture_output=True, text=True, check=False)
        assert cut.returncode == 0
        assert "Prefect's server was not reached" in cut.stderr
        assert "did not end within 0.1 s" in cut.stderr
        command = [*DRAIN, "stop", "pay-ready", "--limit", "200"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "not reached" in waiting.stderr.readline()
            assert waiting.poll() is None
            run.communicate()
            assert "no flow run is left" in waiting.stderr.read()
        assert waiting.returncode == 0
    finally:
        run.kill()
        run.wait()


def test_an_address_that_is_none_is_said(tmp_path: Path) -> None:
    """Without PREFECT_API_URL there is no server to tell; what is no address of one is never opened."""
    for url in ("", "file:///etc/passwd"):
        done = subprocess.run([*DRAIN, "resume", "pay-ready"], env={"PREFECT_API_URL": url}, capture_output=True, text=True, check=False)
        assert (done.returncode, "PREFECT_API_URL is not set" in done.stderr) == (0, True)
