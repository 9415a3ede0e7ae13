"""step_runs and leases say what ran, Prefect only shows it: whatever is killed, doubled or told wrong, the end is that of a plain run."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pay_ready.demo import EXPORTS
from pay_ready.failpoints import ENVIRONMENT_VARIABLE, HOLD_VARIABLE
from pay_ready.model.ids import tenant_id_of
from pay_ready.secrets import generate_key
from tests.flows.conftest import Ended, World, apply
from tests.prefect_support import ROOT, Prefect, flow_processes, own_server, wait_for, worker
from tests.scripted_source import ARGV

pytestmark = pytest.mark.prefect_server
Run = Callable[..., Ended]
HUBSPOT = EXPORTS / "acme-robotics" / "hubspot"

# A point inside each step, and after the commit of one: a run is killed at each of them, one run after the other.
KILLED_AT = (
    "land.after_rows", "stage.rows_written", "publish.versions_written", "publish.after_commit", "index.vectors_written", "analyse.kept",
)  # fmt: skip
# What stands of a tenant, in words that do not depend on its ids.
_STANDS = {
    "landed": "select stream, record_key, encode(content_hash, 'hex') from pay_ready.landed_records where tenant_id = %(tenant)s",
    "people": "select entity_type, name, email, record_count from pay_ready.entity_versions"
    " where tenant_id = %(tenant)s and closed_run_no is null",
    "interactions": "select record_key, interaction_type from pay_ready.interaction_records where tenant_id = %(tenant)s",
    "runs": "select run_no, kind from pay_ready.resolution_runs where tenant_id = %(tenant)s",
    "passages": "select chunk_text from pay_ready.memories where tenant_id = %(tenant)s",
    "sentences": "select sentence_labels::text from pay_ready.interaction_sentiment where tenant_id = %(tenant)s",
}


def stands(world: World, tenant: str) -> dict[str, list[str]]:
    """Everything that a run leaves of a tenant."""
    quoted = f"'{tenant_id_of('pay_ready', tenant)}'::uuid"
    return {name: sorted(map(str, world.rows(statement.replace("%(tenant)s", quoted)))) for name, statement in _STANDS.items()}


def oracle(world: World) -> dict[str, list[str]]:
    """What a plain run of the same export files leaves."""
    world.command("tenants", "create", "oracle")
    world.command("sources", "add", "-t", "oracle", "crm", "--kind", "hubspot", "--replay", str(HUBSPOT))
    world.command("run", "etl", "-t", "oracle")
    return stands(world, "oracle")


def test_a_run_is_killed_at_each_step_and_the_next_one_takes_over(run_flow: Run, world: World) -> None:
    """SIGKILL inside every step, run after run, with no waiting in between: the end is the oracle's, and no work was done twice."""
    world.command("tenants", "create", "acme")
    world.command("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(HUBSPOT))
    for point in KILLED_AT:
        ended = run_flow("etl", {"tenant": "acme", "wait_s": 0}, failpoints=f"{point}=kill")
        assert ended.status == -signal.SIGKILL, f"{point}: {ended}"
    last = run_flow("etl", {"tenant": "acme", "wait_s": 0})
    assert (last.name, last.summary["landed"]) == ("Completed", 0)
    assert stands(world, "acme") == oracle(world)
    running = world.rows("select step from pay_ready.step_runs where status = 'running' order by started_at, step_run_id")
    assert [row[0] for row in running] == ["sync", "stage", "resolve", "resolve", "index", "analyse"]
    done = world.rows("select step, count(*) from pay_ready.step_runs where status = 'complete' and row_count > 0 and tenant_id ="
                      f" '{tenant_id_of('pay_ready', 'acme')}' group by 1")  # fmt: skip
    assert all(count == 1 for step, count in done if step in ("index", "analyse", "stage")), done


def submit(server: Prefect, world: World, request: Mapping[str, Any], held_at: str = "", **more: object) -> str:
    """An etl run for the worker, in this world; one that is held at a point waits there until `let_go`."""
    held = world.folder / "held"
    environment = {**world.environment, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    if held_at:
        held.touch()
        environment |= {ENVIRONMENT_VARIABLE: f"{held_at}=hold", HOLD_VARIABLE: str(held)}
    return server.submit("etl/etl", {"wait_s": 0, **request}, environment, **more)


def let_go(world: World) -> None:
    """Whoever is held goes on."""
    (world.folder / "held").unlink()


def end_of(server: Prefect, *runs: str) -> list[str]:
    """The names of runs' last states, once they have one."""
    final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    for run_id in runs:
        wait_for(lambda run_id=run_id: server.run(run_id)["state_type"] in final, f"the end of {run_id}", 120)  # type: ignore[misc]
    return [server.state(run_id) for run_id in runs]


def in_step(world: World, step: str, tenant: str = "acme") -> None:
    """Wait until a tenant's step runs."""
    own = tenant_id_of("pay_ready", tenant)
    statement = f"select count(*) from pay_ready.step_runs where status = 'running' and step = '{step}' and tenant_id = '{own}'"
    wait_for(lambda: world.rows(statement)[0][0] > 0, f"{step} of {tenant}", 90)


def processes_of_runs(world: World) -> list[int]:
    """The processes of this world's flow runs."""
    return flow_processes(world.environment["PAY_READY_HOME"])


def process_of(world: World) -> int:
    """The process of the only one."""
    (found,) = processes_of_runs(world)
    return found


def test_a_long_run_keeps_nobody_waiting_and_is_doubled_by_nobody(working: Prefect, world: World, run_flow: Run) -> None:
    """While a tenant's run is slow (held in a step), its schedule overlaps, it is submitted twice, and Prefect is made to say
    that it crashed; another tenant's run goes through meanwhile, the double is skipped, and the slow one ends as if nothing was."""
    world.tenant("acme")
    world.tenant("globex")
    slow = submit(working, world, {"tenant": "acme"}, "stage.before_page", idempotency_key=f"one-{world.folder}")
    in_step(world, "stage")
    assert submit(working, world, {"tenant": "acme"}, idempotency_key=f"one-{world.folder}") == slow
    double = submit(working, world, {"tenant": "acme"})
    other = submit(working, world, {"tenant": "globex"})
    working.api("POST", f"/flow_runs/{slow}/set_state", {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True})
    assert end_of(working, other, double) == ["Completed", "Skipped"]
    own = tenant_id_of("pay_ready", "acme")
    assert world.rows(f"select count(*) from pay_ready.resolution_runs where tenant_id = '{own}'")[0][0] == 0  # the slow one is still at it
    let_go(world)
    wait_for(lambda: not processes_of_runs(world), "the end of the slow run", 90)
    steps = [step for step, subject, status in world.steps()]
    assert steps.count("resolve") == 2
    assert world.rows("select count(*) from pay_ready.resolution_runs")[0][0] == 2
    assert world.rows("select count(*) from pay_ready.sync_runs where status = 'complete'")[0][0] == 2
    after = run_flow("etl", {"tenant": "acme", "wait_s": 0})
    assert (after.name, after.summary["landed"], after.summary["published_run"]) == ("Completed", 0, None)


def test_a_killed_run_is_crashed_and_the_next_one_goes_on(working: Prefect, world: World, run_flow: Run) -> None:
    """kill -9 of a flow run: crashed within seconds, and the next run begins where it was."""
    world.tenant()
    killed = submit(working, world, {"tenant": "acme"}, "land.after_commit")
    in_step(world, "sync")
    wait_for(lambda: world.rows("select count(*) from pay_ready.landed_records")[0][0] == 20, "landed", 60)
    os.kill(process_of(world), signal.SIGKILL)
    assert end_of(working, killed) == ["Crashed"]
    after = run_flow("etl", {"tenant": "acme", "wait_s": 0})
    assert (after.name, after.summary["landed"], after.summary["published_run"]) == ("Completed", 0, 1)
    assert world.rows("select count(*) from pay_ready.person_records")[0][0] == 20


def test_cancelling_ends_the_connector_and_leaves_what_was_landed(working: Prefect, world: World, run_flow: Run) -> None:
    """A connector that hangs: cancelled, its process group is gone, the step is aborted, the lease free; the next run lands the rest."""
    script = install_scripted(world)
    config = world.folder / "config.json"
    hang = {"kind": "hang", "at": 180}
    config.write_text(json.dumps({"streams": {"people": 300}, "state_every": 50, "fault": hang, "once": str(world.folder / "hung")}))
    world.environment |= {"PAY_READY_SECRET_KEY": generate_key(), "PAY_READY_ETL__DEFAULT_BATCH_SIZE": "50"}
    world.command("tenants", "create", "acme")
    world.command("sources", "add", "-t", "acme", "api", "--kind", "hubspot", "--connector", "airbyte-source-scripted==1.0.0",
                  "--config", str(config))  # fmt: skip
    run_id = submit(working, world, {"tenant": "acme"})
    wait_for(lambda: world.rows("select count(*) from pay_ready.landed_records")[0][0] >= 100, "something landed", 90)
    assert processes_of(script)
    working.api("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    assert end_of(working, run_id) == ["Cancelled"]
    assert not processes_of(script)
    assert ("sync", "api", "aborted") in world.steps()
    assert world.rows("select count(*) from pay_ready.leases where expires_at > now()")[0][0] == 0
    assert world.rows("select status from pay_ready.sync_runs") == [("failed",)]
    there = world.rows("select count(*) from pay_ready.landed_records")[0][0]
    run_flow("sync", {"tenant": "acme", "wait_s": 0})
    assert (there, world.rows("select count(*) from pay_ready.landed_records")[0][0]) == (150, 300)
    emitted = world.rows("select sum(emitted) from pay_ready.stream_runs")[0][0]
    assert emitted == 300  # nothing was read twice


def test_neither_worker_nor_server_is_needed_to_finish(world: World, thrown_away: Path, run_flow: Run) -> None:
    """kill -9 of the worker, then of the server, in the middle of a run: it goes on, and is completed once the server is back.

    kill -9 of a run together with its worker, as when a machine dies: Prefect says running for ever, and the next run takes over at once.
    """
    world.tenant()
    with own_server(thrown_away, world.folder / "prefect") as server:
        apply(server)
        with worker(server, {"PAY_READY_CHECKOUT": str(ROOT)}) as started:
            run_id = submit(server, world, {"tenant": "acme"}, "stage.before_page")
            in_step(world, "stage")
            os.kill(started.pid, signal.SIGKILL)
            server.kill()
            let_go(world)
            wait_for(lambda: world.rows("select count(*) from pay_ready.person_records")[0][0] == 20, "it goes on", 60)
            server.start()
            assert end_of(server, run_id) == ["Completed"]
            wait_for(lambda: not processes_of_runs(world), "the end of its process")
        assert {status for _, _, status in world.steps()} == {"complete"}
        assert world.rows("select count(*) from pay_ready.resolution_runs")[0][0] == 1
        world.contacts(25, revision=1)
        with worker(server, {"PAY_READY_CHECKOUT": str(ROOT)}) as started:
            lost = submit(server, world, {"tenant": "acme"}, "stage.rows_written")
            in_step(world, "stage")
            os.kill(started.pid, signal.SIGKILL)
            os.kill(process_of(world), signal.SIGKILL)
        began = time.monotonic()
        after = run_flow("etl", {"tenant": "acme", "wait_s": 0})
        assert time.monotonic() - began < 60
        assert (after.name, after.summary["landed"], after.summary["published_run"]) == ("Completed", 0, 2), after
        assert server.state(lost) == "Running"  # wrong, and nothing depends on it


def install_scripted(world: World) -> str:
    """The scripted source as an installed connector; the path by which its processes are known."""
    folder = world.folder / "state" / "connectors" / "airbyte-source-scripted@1.0.0"
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "source-scripted"
    script.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({ARGV[1]!r}, run_name='__main__')\n")
    script.chmod(0o755)
    record = {
        "name": "airbyte-source-scripted",
        "version": "1.0.0",
        "python": "3.11",
        "licence": "",
        "scripts": ["source-scripted"],
        "packages": [],
    }
    (folder / "installed.json").write_text(json.dumps(record))
    return str(script)


def processes_of(script: str) -> list[int]:
    """Processes that run a script."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if script.encode() in (each / "cmdline").read_bytes():
                found.append(int(each.name))
    return found
