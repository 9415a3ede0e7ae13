"""`pay-ready deploy`: the files are checked for what Prefect would swallow, applied once and for all, and a worker is drained."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_support import called
from tests.flows.conftest import World
from tests.prefect_support import ROOT, Prefect, own_server

Edit = Callable[[dict[str, Any]], None]
CHECKOUT = {"PAY_READY_CHECKOUT": str(ROOT)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that are checked; the flows are those of this checkout."""
    folder = tmp_path / "checkout"
    (folder / "deploy" / "automations").mkdir(parents=True)
    for name in ("prefect.yaml", "deploy/automations/lost-runs.yaml"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "flows").symlink_to(ROOT / "flows")
    return folder


def edited(folder: Path, edit: Edit, name: str = "prefect.yaml") -> None:
    """Change a file."""
    path = folder / name
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))


def checked(folder: Path, code: int = 7, **environment: str) -> list[dict[str, str]]:
    """The findings."""
    done = called(["deploy", "check", "--json"], {**CHECKOUT, **environment}, folder)
    assert done.returncode == code, done.stdout + done.stderr
    return list(json.loads(done.stdout)["data"])


def deployment(content: dict[str, Any], name: str = "etl") -> dict[str, Any]:
    """One of the file's deployments."""
    (found,) = [each for each in content["deployments"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


def test_our_own_files_are_fine(checkout: Path) -> None:
    """Nothing is off; said in a line."""
    assert checked(checkout, 0) == []
    done = called(["deploy", "check"], CHECKOUT, ROOT)
    assert (done.returncode, done.stdout) == (0, "prefect.yaml: nothing is off\n")


WRONG: dict[str, tuple[Edit, str, str]] = {
    "a misspelt key": (lambda c: deployment(c).update(concurency_limit=1), "deployments.etl.concurency_limit", "unknown key"),
    "a key of nobody": (lambda c: c.update(deployment=[]), "deployment", "unknown key"),
    "a parameter that no flow has": (
        lambda c: deployment(c).update(parameters={"tenant": "acme"}), "deployments.etl.parameters.tenant", "no such parameter"
    ),
    "one that the model does not have": (
        lambda c: deployment(c)["parameters"]["request"].update(sorces=[1]), "deployments.etl.parameters.request.sorces", "not permitted"
    ),
    "a value that it refuses": (
        lambda c: deployment(c)["parameters"]["request"].update(tenant="Acme"), "deployments.etl.parameters.request.tenant", "pattern"
    ),
    "an entry point without a file": (
        lambda c: deployment(c).update(entrypoint="flows/elt.py:etl"), "deployments.etl.entrypoint", "no such file"
    ),
    "one without a flow": (lambda c: deployment(c).update(entrypoint="flows/etl.py:alone"), "deployments.etl.entrypoint", "no flow"),
    "CANCEL_NEW": (
        lambda c: deployment(c).update(concurrency_limit={"limit": 1, "collision_strategy": "CANCEL_NEW"}),
        "deployments.etl.concurrency_limit.collision_strategy", "not allowed",
    ),
    "a time that is none": (
        lambda c: deployment(c).update(schedules=[{"slug": "s", "cron": "61 * * * *"}]), "deployments.etl.schedules[0]", "no time"
    ),
    "two times": (
        lambda c: deployment(c).update(schedules=[{"slug": "s", "cron": "1 * * * *", "interval": 60}]),
        "deployments.etl.schedules[0]", "more",
    ),
    "a schedule without a slug": (
        lambda c: deployment(c).update(schedules=[{"cron": "1 * * * *"}]), "deployments.etl.schedules[0]", "no slug"
    ),
    "a schedule of a run that could not begin": (
        lambda c: deployment(c, "backfill").update(schedules=[{"slug": "s", "cron": "1 * * * *"}]),
        "deployments.backfill.schedules[0].request", "missing",
    ),
    "a time zone": (
        lambda c: deployment(c).update(schedules=[{"slug": "s", "cron": "1 * * * *", "timezone": "Mars"}]),
        "deployments.etl.schedules[0].timezone", "no such time zone",
    ),
    "a queue": (
        lambda c: deployment(c)["work_pool"].update(work_queue_name="fast"), "deployments.etl.work_pool.work_queue_name", "no such queue"
    ),
    "two of a name": (lambda c: c["deployments"].append(deployment(c)), "deployments.etl", "two deployments"),
    "a limit that a step needs": (
        lambda c: c["definitions"]["limits"].pop("pay-ready-database"), "definitions.limits", "pay-ready-database"
    ),
    "a limit that one run could use up": (
        lambda c: c["definitions"]["limits"].update({"pay-ready-airbyte": 3}), "definitions.limits.pay-ready-airbyte", "one tenant"
    ),
    "schedules of tenants for nothing": (
        lambda c: c["definitions"]["tenant_schedules"].update(elt=[]), "definitions.tenant_schedules.elt", "no such deployment"
    ),
    "a variable": (
        lambda c: deployment(c).update(description="of {{ $NOT_SET_ANYWHERE }}"), "deployments.etl.description", "NOT_SET_ANYWHERE is not"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_prefect_would_swallow_is_a_finding(checkout: Path, what: str) -> None:
    """One line with file, key and choices; exit 7."""
    edit, key, said = WRONG[what]
    edited(checkout, edit)
    findings = checked(checkout)
    assert [each for each in findings if each["key"] == key and said in each["what"] and each["file"] == "prefect.yaml"], findings


def test_automations_are_checked_too(checkout: Path) -> None:
    """Unknown keys, of the trigger and of an action too."""
    name = "deploy/automations/lost-runs.yaml"

    def edit(content: dict[str, Any]) -> None:
        content["enbled"] = True
        content["trigger"]["treshold"] = 1
        content["actions"][0]["sate"] = "CRASHED"

    edited(checkout, edit, name)
    assert {each["key"] for each in checked(checkout) if each["file"] == name} == {"enbled", "trigger.treshold", "actions[0].sate"}


def test_a_missing_variable_or_file_is_said_in_a_line(checkout: Path, tmp_path: Path) -> None:
    """Without PAY_READY_CHECKOUT a worker would look for the flows in a folder of that name."""
    done = called(["deploy", "check"], {}, checkout)
    assert done.returncode == 7
    assert "PAY_READY_CHECKOUT is not set" in done.stdout
    absent = called(["deploy", "check", "--file", str(tmp_path / "none.yaml")], CHECKOUT, tmp_path)
    assert (absent.returncode, absent.stderr.count("\n")) == (2, 1)
    assert "cannot read the file" in absent.stderr


@pytest.mark.parametrize("words", [["apply"], ["drain", "--wait", "0"], ["resume"]])
def test_without_a_server_it_is_said_how_to_go_on(words: list[str], tmp_path: Path) -> None:
    """Nobody named one, or it is away: one line, exit 75; nothing is started in its place."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    places = {**CHECKOUT, "PAY_READY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    for url, said in ((None, "no Prefect server is named"), ("http://127.0.0.1:9/api", "does not answer")):
        with temporary_settings({PREFECT_API_URL: url}):
            done = called(["deploy", *words], places, ROOT)
        assert (done.returncode, done.stderr.count("\n")) == (75, 1), done.stderr
        assert said in done.stderr
        assert "pay-ready run etl" in done.stderr


@pytest.fixture(scope="module")
def fresh(thrown_away: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A server that has nothing yet."""
    with own_server(thrown_away, tmp_path_factory.mktemp("fresh")) as server:
        yield server


def applied(server: Prefect, world: World, folder: Path, *words: str) -> dict[str, list[str]]:
    """What an application did: names by what was done."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    world.environment |= CHECKOUT
    with temporary_settings({PREFECT_API_URL: server.url}):
        done = called(["deploy", "apply", "--json", *words], world.environment, folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for each in json.loads(done.stdout)["data"]["changes"]:
        found.setdefault(each["what"], []).append(f"{each['kind']} {each['name']}")
    return found


def schedules(server: Prefect, name: str) -> dict[str, dict[str, Any]]:
    """The schedules of a deployment, by slug."""
    return {each["slug"]: each for each in server.api("GET", f"/deployments/name/{name}")["schedules"]}


@pytest.mark.prefect_server
def test_prefects_own_command_registers_all(fresh: Prefect) -> None:
    """`prefect deploy --all` on a new server: every deployment, none of the schedules that need a tenant; bad runs are refused there."""
    words = [sys.executable, "-m", "prefect"]
    environment = {**fresh.environment, **CHECKOUT}
    for command in (["work-pool", "create", "pay-ready", "--type", "process"], ["deploy", "--all"]):
        done = subprocess.run([*words, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = fresh.api("POST", "/deployments/filter", {})
    assert sorted(each["name"] for each in found) == ["analyse", "backfill", "etl", "index", "maintenance", "resolve", "rollback", "sync"]
    assert {each["slug"] for one in found for each in one["schedules"]} == {"house-nightly"}
    (etl,) = [each for each in found if each["name"] == "etl"]
    for request in ({"tenant": "Acme"}, {"tenant": "acme", "waits": 1}, {"sources": ["crm"]}):
        with pytest.raises(AssertionError, match=r"409|422"):
            fresh.api("POST", f"/deployments/{etl['id']}/create_flow_run", {"parameters": {"request": request}})


@pytest.mark.prefect_server
def test_apply_makes_the_server_as_the_files_say(fresh: Prefect, world: World, checkout: Path) -> None:
    """Pool, queues, limits, automation, deployments, a schedule for each active tenant. Again: nothing. A tenant more, one suspended, one
    schedule switched off by hand, one deployment gone from the file: just that. `--prune` removes what is in no file."""
    for slug in ("acme", "globex"):
        world.command("tenants", "create", slug)
    first = applied(fresh, world, checkout)
    assert {"limit pay-ready-airbyte", "limit pay-ready-database", "automation pay-ready: lost runs"} <= set(first["made"])
    assert set(schedules(fresh, "etl/etl")) == {"every-2-hours-acme", "every-2-hours-globex"}
    assert schedules(fresh, "etl/etl")["every-2-hours-acme"]["parameters"] == {"request": {"tenant": "acme"}}
    assert set(schedules(fresh, "maintenance/maintenance")) == {"house-nightly", "nightly-acme", "nightly-globex"}
    anchors = {each["schedule"]["anchor_date"] for each in schedules(fresh, "etl/etl").values()}
    assert len(anchors) == 2  # not all tenants at once
    again = applied(fresh, world, checkout)
    assert set(again) == {"as it was"}, again
    pool = fresh.api("GET", "/work_pools/pay-ready")
    assert (pool["type"], pool["is_paused"]) == ("process", False)

    world.command("tenants", "create", "initech")
    world.command("tenants", "suspend", "globex")
    etl = fresh.api("GET", "/deployments/name/etl/etl")
    acme = schedules(fresh, "etl/etl")["every-2-hours-acme"]
    fresh.api("PATCH", f"/deployments/{etl['id']}/schedules/{acme['id']}", {"active": False})
    edited(checkout, lambda c: c["deployments"].remove(deployment(c, "analyse")))
    changed = applied(fresh, world, checkout)
    assert set(changed["made"]) == {"schedule etl/etl/every-2-hours-initech", "schedule maintenance/maintenance/nightly-initech"}
    assert set(changed["removed"]) == {"schedule etl/etl/every-2-hours-globex", "schedule maintenance/maintenance/nightly-globex"}
    assert changed["left over"] == ["deployment analyse"]
    assert schedules(fresh, "etl/etl")["every-2-hours-acme"]["active"] is False
    assert applied(fresh, world, checkout, "--prune")["removed"] == ["deployment analyse"]
    again = applied(fresh, world, checkout, "--prune")
    assert set(again) == {"as it was"}, again

    edited(checkout, lambda c: deployment(c).update(description="another one"))
    del world.environment["PAY_READY_ADMIN_DATABASE_URL"]  # who may not see the tenants leaves their schedules alone
    again = applied(fresh, world, checkout)
    assert "deployment etl/etl" in again["changed"]
    assert set(schedules(fresh, "etl/etl")) == {"every-2-hours-acme", "every-2-hours-initech"}
    assert schedules(fresh, "etl/etl")["every-2-hours-acme"]["active"] is False


async def freed(server: Prefect) -> int:
    """What the maintenance of the house does about lost slots."""
    from prefect import get_client
    from prefect.logging import disable_run_logger
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.maintenance import free_lost_slots

    with temporary_settings({PREFECT_API_URL: server.url}), disable_run_logger():
        async with get_client() as client:
            return await free_lost_slots(client)


@pytest.mark.prefect_server
def test_drain_pauses_and_resume_goes_on(fresh: Prefect, world: World) -> None:
    """A pool without runs is drained at once; with one it is waited for, then exit 75; a pool paused by hand is left so."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    applied(fresh, world, ROOT)
    (database,) = [
        each for each in fresh.api("POST", "/v2/concurrency_limits/filter", {"limit": 50}) if each["name"] == "pay-ready-database"
    ]  # fmt: skip
    fresh.api("PATCH", f"/v2/concurrency_limits/{database['id']}", {"active_slots": 2})
    assert asyncio.run(freed(fresh)) == 2  # by night, where nobody can hold them
    assert fresh.api("GET", f"/v2/concurrency_limits/{database['id']}")["active_slots"] == 0
    pool = fresh.api("GET", "/work_pools/pay-ready")

    def said(*words: str, code: int = 0) -> Any:
        with temporary_settings({PREFECT_API_URL: fresh.url}):
            done = called(["deploy", *words, "--json"], world.environment, ROOT)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)["data"]

    assert said("drain", "--wait", "0") == {"pool": "pay-ready", "left": 0}
    assert fresh.api("GET", "/work_pools/pay-ready")["is_paused"] is True
    assert said("drain", "--wait", "0")["left"] == 0
    assert said("resume")["how"] == "goes on"
    assert said("resume")["how"] == "was not paused"
    run_id = fresh.submit("etl/etl", {"tenant": "acme"})
    fresh.api("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "RUNNING", "name": "Running"}, "force": True})
    assert said("drain", "--wait", "0", code=75) == {"pool": "pay-ready", "left": 1}
    said("resume")
    fresh.api("PATCH", "/work_pools/pay-ready", {"is_paused": True})
    assert said("resume")["how"] == "was paused by hand"
    assert pool["name"] == "pay-ready"
