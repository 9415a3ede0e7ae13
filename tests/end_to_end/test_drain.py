"""A worker is drained: its pool paused and waited for, on a Prefect server of this test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRAIN = [sys.executable, str(ROOT / "deploy" / "drain.py")]
# What the pool is, and what the server remembers of drains, after each call.
SCRIPT = """
import json, os, subprocess, sys
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness
from prefect.variables import Variable

def drain(*words):
    environment = {"PATH": os.environ["PATH"], "PREFECT_API_URL": PREFECT_API_URL.value()}
    done = subprocess.run([*sys.argv[1:], *words], env=environment, capture_output=True, text=True)
    pool = client.read_work_pool("pay-ready") if made else None
    return [done.returncode, done.stderr, pool and pool.is_paused, Variable.get("pay_ready_drained")]

with prefect_test_harness(server_startup_timeout=120), get_client(sync_client=True) as client:
    made = False
    said = [drain("resume", "pay-ready"), drain("stop", "pay-ready")]
    client.create_work_pool(WorkPoolCreate(name="pay-ready", type="process"))
    made = True
    said += [drain("resume", "pay-ready"), drain("stop", "pay-ready"), drain("stop", "pay-ready"), drain("resume", "pay-ready")]
    client.update_work_pool("pay-ready", WorkPoolUpdate(is_paused=True))
    said += [drain("stop", "pay-ready"), drain("resume", "pay-ready")]
print(json.dumps(said))
"""


def test_a_pool_is_paused_and_goes_on_unless_somebody_paused_it_by_hand(tmp_path: Path) -> None:
    """A drain undoes its own pause and no other; it may be repeated; a pool that is not there stops nothing."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "NO_COLOR": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *DRAIN], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert {code for code, *_ in said} == {0}
    assert [(is_paused, mark) for _, _, is_paused, mark in said] == [
        (None, None), (None, None),
        (False, None), (True, "pay-ready"), (True, "pay-ready"), (False, None),
        (True, None), (True, None),
    ], said  # fmt: skip
    assert "there is no pool pay-ready" in said[0][1]
    assert "no flow run is left" in said[3][1]
    assert "stays so: prefect work-pool resume pay-ready" in said[7][1]


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
