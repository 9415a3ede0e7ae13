"""Each flow under a real Prefect server gives what the plain steps give, and shows it."""

import json
from collections.abc import Callable

import psycopg
import pytest

from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline.work import alone
from tests.flows.conftest import Ended, World
from tests.prefect_support import Prefect

pytestmark = pytest.mark.prefect_server
Run = Callable[..., Ended]


def test_the_etl_flow_runs_the_pipeline(run_flow: Run, prefect: Prefect, world: World) -> None:
    """Landed, staged, published, indexed; a second run lands and publishes nothing; named, tagged, its steps tasks, a summary kept."""

    world.tenant(sources=("crm", "mail"))
    first = run_flow("etl", {"tenant": "acme"})
    told = first.summary
    assert first.name == "Completed"
    assert (told["status"], told["landed"], told["staged"], told["published_run"]) == ("complete", 40, 40, 1)
    run = prefect.run(first.run_id)
    assert (run["name"], run["tags"]) == ("etl acme", ["tenant:acme"])
    tasks = prefect.tasks(run["id"])
    assert sorted(each["name"] for each in tasks) == [
        "analyse", "caches", "index", "resolve and publish", "stage crm", "stage mail", "sync crm", "sync mail",
    ]  # fmt: skip
    assert not any(each["tags"] for each in tasks)
    shown = prefect.artifacts(run["id"])["etl-acme"]
    for part in (
        "## Rows",
        "## Entities",
        "## Queue",
        "## Guards",
        "## Links",
        "| crm | 20 | 20 |",
        "published run 1",
        "runs list -t acme",
    ):
        assert part in shown
    again = run_flow("etl", {"tenant": "acme", "sources": ["crm"]})
    assert (again.summary["status"], again.summary["landed"], again.summary["published_run"]) == ("complete", 0, None)
    assert prefect.run(again.run_id)["tags"] == ["source:crm", "tenant:acme"]
    done = [(step, status) for step, subject, status in world.steps() if subject != "mail"]
    assert done.count(("sync", "complete")) == 2
    assert {status for _, status in done} == {"complete"}


def test_what_holds_back_is_a_state_with_that_name(run_flow: Run, prefect: Prefect, world: World) -> None:
    """A stream that vanished holds the publish back until it is accepted; the summary says why; what is on hold is complete."""

    world.tenant(count=200)
    world.command("run", "etl", "-t", "acme")
    folder = world.contacts(200, revision=1)
    path = folder / "contacts.jsonl"
    path.write_text(path.read_text().replace('"archived": false', '"archived": false, "_ab_cdc_deleted_at": "2026-02-01"'))
    held = run_flow("etl", {"tenant": "acme"})
    assert (held.type, held.name) == ("FAILED", "HeldBack")
    assert "stream=contacts" in held.message
    assert "held back" in prefect.artifacts(held.run_id)["etl-acme"]
    world.command("run", "etl", "-t", "acme", "--accept-shrink")
    world.command("rollback", "-t", "acme", "--to", "before-run-2")
    world.contacts(210, revision=2)
    resting = run_flow("etl", {"tenant": "acme", "accept_shrink": True})
    assert (resting.name, resting.summary["published_run"]) == ("Completed", None)
    assert "on hold" in prefect.artifacts(resting.run_id)["etl-acme"]


def test_a_source_that_fails_does_not_hold_the_others_back(run_flow: Run, prefect: Prefect, world: World) -> None:
    """Partial: its task is red, the others landed and published."""

    world.tenant(sources=("crm", "mail"))
    (world.folder / "exports" / "acme" / "mail" / "contacts.jsonl").unlink()
    state = run_flow("etl", {"tenant": "acme"})
    assert (state.type, state.name) == ("FAILED", "Partial")
    run_id = state.run_id
    states = {each["name"]: each["state_type"] for each in prefect.tasks(run_id)}
    assert (states["sync crm"], states["stage crm"], states["resolve and publish"]) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert "FAILED" in (states["sync mail"], states.get("stage mail"))
    assert world.rows("select count(*) from pay_ready.entity_versions where entity_type = 'person'")[0][0] == 20


def test_a_run_beside_another_one_is_skipped(run_flow: Run, prefect: Prefect, world: World) -> None:
    """Who holds the tenant's lease works; a second run does nothing, says who, and is no failure."""
    world.tenant()
    with world.app() as app, alone(app.work("acme"), RunId(new_id())):
        state = run_flow("etl", {"tenant": "acme", "wait_s": 0})
    assert (state.type, state.name, state.summary["status"]) == ("COMPLETED", "Skipped", "skipped")
    assert "another run is at work" in state.message
    assert world.steps() == []


def test_the_steps_of_a_run_are_flows_of_their_own(run_flow: Run, prefect: Prefect, world: World) -> None:
    """Sync, resolve, index, analyse, one after the other: together the pipeline; each keeps a summary."""

    world.tenant()
    synced = run_flow("sync", {"tenant": "acme", "sources": ["crm"]})
    assert (synced.name, synced.summary["landed"], synced.summary["staged"]) == ("Completed", 20, 20)
    resolved = run_flow("resolve", {"tenant": "acme"})
    assert (resolved.summary["published_run"], resolved.summary["people"]) == (1, 20)
    indexed = run_flow("index", {"tenant": "acme"})
    analysed = run_flow("analyse", {"tenant": "acme", "answers": 3})
    assert [each.name for each in (resolved, indexed, analysed)] == ["Completed"] * 3
    for name, state in (("sync", synced), ("resolve", resolved), ("index", indexed), ("analyse", analysed)):
        assert f"{name}-acme" in prefect.artifacts(state.run_id)
    assert {step for step, _, _ in world.steps()} == {"sync", "stage", "quality", "volume", "resolve", "index", "analyse", "caches"}


def test_spans_of_a_flow(run_flow: Run, world: World) -> None:
    """Every step, in whatever thread, stands below its flow's span, with its statements below it."""
    pytest.importorskip("opentelemetry.sdk", reason="of the extra telemetry")
    world.tenant(sources=("crm", "mail"))
    file = world.folder / "spans.jsonl"
    assert run_flow("etl", {"tenant": "acme"}, PAY_READY_TRACE=str(file)).name == "Completed"
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    (flow,) = [each for each in spans if each["attributes"].get("pay_ready.flow") == "etl"]
    steps = {each["span_id"]: each for each in spans if "pay_ready.step" in each["attributes"]}
    told = sorted((each["attributes"]["pay_ready.step"], each["attributes"].get("pay_ready.subject", "")) for each in steps.values())
    assert told == sorted((step, subject) for step, subject, _ in world.steps())
    assert {each["parent_id"] for each in steps.values()} == {flow["span_id"]}
    transactions = {each["span_id"] for each in spans if each["parent_id"] in steps and each["name"].startswith("transaction")}
    assert any(each["parent_id"] in transactions and "db.query.summary" in each["attributes"] for each in spans)


def test_a_backfill_shows_its_plan_and_does_it_once(run_flow: Run, prefect: Prefect, world: World) -> None:
    """A dry run keeps nothing; the run lands each chunk of two sources; the same parameters again find the plans complete."""

    world.tenant(sources=("crm", "help_desk"))
    asked = {
        "tenant": "acme", "sources": ["crm", "help_desk"], "start": "2026-01-01", "end": "2026-01-05", "streams": ["contacts"],
        "max_active": 3, "run_backwards": True,
    }  # fmt: skip
    dry = run_flow("backfill", {**asked, "dry_run": True})
    assert (dry.summary["status"], dry.summary["plans"], dry.summary["chunks"]) == ("planned", [], 8)
    assert world.rows("select count(*) from pay_ready.backfill_plans")[0][0] == 0
    done = run_flow("backfill", asked)
    assert (done.name, done.summary["complete"], done.summary["landed"]) == ("Completed", 8, 40)
    kept = prefect.artifacts(done.run_id)
    assert "4 chunks, 0 complete" in kept["backfill-plan-acme-crm"]
    assert "4 chunks, 4 complete" in kept["backfill-done-acme-help-desk"]
    assert "complete 20" in kept["backfill-done-acme-crm"]  # of that stream on its day
    assert float(kept["backfill-acme"]) == 100
    assert prefect.run(done.run_id)["name"] == "backfill acme crm, help_desk"
    again = run_flow("backfill", asked)
    assert (again.summary["plans"], again.summary["status"]) == (done.summary["plans"], "complete")
    assert world.rows("select count(*) from pay_ready.backfill_plans")[0][0] == 2


def test_a_backfill_that_failed_is_retried_with_its_plan(run_flow: Run, world: World) -> None:
    """Every chunk fails, and each is tried; by its plan's id, what failed is done."""
    world.tenant()
    asked = {"tenant": "acme", "sources": ["crm"], "start": "2026-01-01", "end": "2026-01-04", "streams": ["contacts"]}
    failed = run_flow("backfill", asked, failpoints="land.before_commit=raise")
    assert failed.type == "FAILED"
    assert world.rows("select status, attempts from pay_ready.backfill_batches") == [("failed", 1)] * 3
    (plan,) = (str(row[0]) for row in world.rows("select plan_id from pay_ready.backfill_plans"))
    done = run_flow("backfill", {"tenant": "acme", "plans": [plan]})
    assert (done.name, done.summary["plans"], done.summary["landed"]) == ("Completed", [plan], 20)
    assert [row[0] for row in world.rows("select attempts from pay_ready.backfill_batches order by chunk_start")] == [2, 2, 2]


def test_maintenance_by_night(run_flow: Run, prefect: Prefect, world: World) -> None:
    """Of a tenant: what is due goes to an archive, every promise is looked at, one that is broken fails the run. Of the house: partitions
    ahead. Without the login that may delete, what is due is counted."""

    world.tenant()
    world.command("run", "etl", "-t", "acme")
    world.command("tenants", "settings", "acme", "--set", "retention.logs_days=1")
    with psycopg.connect(world.scratch.admin_url) as connection:
        connection.execute(
            "update pay_ready.step_runs set started_at = started_at - interval '3 days', finished_at = now() - interval '2 days'"
        )
    due = run_flow("maintenance", {"tenant": "acme"})
    erasing = {"PAY_READY_ERASURE_DATABASE_URL": world.scratch.erasure_url, "PAY_READY_ARCHIVES": str(world.folder / "archives")}
    fine = run_flow("maintenance", {"tenant": "acme"}, **erasing)
    assert due.summary["due"] == fine.summary["archived"] > 0
    assert (due.summary["archived"], fine.summary["due"]) == (0, 0)
    assert (fine.name, fine.summary["checks_failed"]) == ("Completed", 0)
    assert "## Promises" in prefect.artifacts(fine.run_id)["maintenance-acme"]
    with psycopg.connect(world.scratch.admin_url) as connection:
        connection.execute("update pay_ready.entity_versions set record_count = record_count + 1")
    broken = run_flow("maintenance", {"tenant": "acme"})
    assert (broken.type, broken.name) == ("FAILED", "CheckFailed")
    house = run_flow("maintenance", {})
    assert (house.name, house.summary["partitions_made"]) == ("Completed", 4)
    assert run_flow("maintenance", {}).summary["partitions_made"] == 0
    assert prefect.run(house.run_id)["name"].startswith("maintenance of the house 20")


@pytest.mark.parametrize("request_", [
    {"tenant": "Acme"}, {"tenant": "a_b"}, {"tenant": ""}, {}, {"tenant": "acme", "waits": 1}, {"tenant": "acme", "sources": ["Crm!"]},
])  # fmt: skip
def test_bad_parameters_are_refused_before_a_run_begins(request_: dict[str, object]) -> None:
    """The flow's own model says no; test_flows_deploy shows that the server does, too."""
    from flows.etl import etl

    with pytest.raises(Exception, match="request"):
        etl.validate_parameters({"request": request_})
