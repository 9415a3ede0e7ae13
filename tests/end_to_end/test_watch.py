"""Status, metrics, traces and profiles by command: what operators see of a pipeline that ran."""

import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from pay_ready.api.metrics import open_server, watch_alerts
from pay_ready.app import App, open_app
from pay_ready.db import alerts, operation
from pay_ready.db.admin import list_tenants
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline.alerts.webhook import secret_of, written_secret
from pay_ready.pipeline.metrics import MOST_SERIES
from pay_ready.pipeline.status import tenant_status
from pay_ready.secrets import generate_key
from pay_ready.settings import Environment
from pay_ready.telemetry import Measured, use_sinks
from tests.command_support import called
from tests.conftest import Scratch, make_tenant
from tests.demo_support import DemoRuns
from tests.watch_support import SECRET, receiving

SLUG = "acme-robotics"


def test_status_of_the_demo(demo: DemoRuns) -> None:
    """Everything is there, as a screen and as JSON, and nothing is missed."""
    screen = demo.command("status", "-t", SLUG).stdout
    for word in (
        "streams",
        "hubspot/",
        "runs",
        "review",
        "pairs wait",
        "memory",
        "breakers",
        "leases",
        "connections",
        "GiB free",
        "alerts",
    ):
        assert word in screen
    assert len(screen.splitlines()) <= 40, "one screen"
    data = json.loads(demo.command("status", "-t", SLUG, "--json").stdout)["data"]
    assert {each["source"] for each in data["freshness"]} == {"gong", "hubspot", "salesforce", "slack"}
    assert all(each["finished_at"] for each in data["freshness"])
    assert {each["step"] for each in data["steps"]} >= {"sync", "stage", "volume", "resolve", "index"}
    assert data["review"]["doubtful"] > 0
    assert data["review"]["age_s"] > 0
    assert [each["tier"] for each in data["outbox"]] == ["warm", "cold"]
    assert data["connections"]["in_use"] >= 1


def test_a_missed_target_is_exit_7(demo: DemoRuns) -> None:
    """A general target, and those of single streams on top of it; the error names the streams and the next command."""
    short = {**demo.environment, "PAY_READY_WATCH__FRESHNESS_HOURS": "0.000001"}
    missed = called(["status", "-t", SLUG], short, demo.folder)
    assert missed.returncode == 7
    assert f"pay-ready run etl -t {SLUG}" in missed.stderr
    generous = {
        **short,
        "PAY_READY_WATCH__STREAM_FRESHNESS_HOURS": json.dumps({"gong": 99, "hubspot": 99, "salesforce": 99, "slack/users": 99}),
    }
    data = json.loads(called(["status", "-t", SLUG, "--json"], generous, demo.folder).stdout)["data"]
    stale = {f"{each['source']}/{each['stream']}" for each in data["freshness"] if each["age_s"] > each["target_s"]}
    assert stale == {f"slack/{each}" for each in ("channel_members", "channel_messages", "channels", "threads")}


@contextmanager
def demo_app(demo: DemoRuns) -> Iterator[App]:
    """The app on the demo's database."""
    urls = {"database_url": SecretStr(demo.scratch.app_url), "admin_database_url": SecretStr(demo.scratch.admin_url)}
    with open_app(Environment(home=demo.folder / "state", **urls)) as app:
        yield app


class Statements:
    """Counts statements."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begun(self, measured: Measured) -> object:
        """Note its name."""
        if measured.kind == "statement":
            self.names.append(measured.name)
        return None

    def ended(self, *_: object) -> None:
        """Nothing."""


def test_a_status_is_one_statement_a_part(demo: DemoRuns) -> None:
    """However many streams and steps there are."""
    counted = Statements()
    with demo_app(demo) as app:
        work = app.status(SLUG)
        use_sinks(counted)
        try:
            tenant_status(work)
        finally:
            use_sinks()
    assert len(counted.names) == len(set(counted.names)) == 10


@contextmanager
def served(app: App, tenants: Mapping[str, Any]) -> Iterator[str]:
    """The three addresses."""
    server = open_server(app, lambda: tenants, "127.0.0.1", 0)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
        use_sinks()


def got(url: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_of_every_tenant(demo: DemoRuns) -> None:
    """What the database says of both tenants, under opaque names, and few; ready, and healthy."""
    with demo_app(demo) as app:
        listed = list_tenants(app.admin_url)
        with served(app, {each.slug: each.tenant_id for each in listed}) as url:
            status, text = got(f"{url}/metrics")
            ready, healthy, other = got(f"{url}/readyz"), got(f"{url}/healthz"), got(f"{url}/")
    assert (status, ready[0], healthy, other[0]) == (200, 200, (200, "ok\n"), 404)
    assert json.loads(ready[1]) == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "disk": "ok"}}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) <= MOST_SERIES
    names = {sample.name for sample in samples}
    assert {"pay_ready_freshness_seconds", "pay_ready_step_duration_seconds_count", "pay_ready_rows_total"} <= names
    assert len({sample.labels["tenant"] for sample in samples if sample.name == "pay_ready_freshness_seconds"}) == len(listed)
    for each in listed:
        assert each.slug not in text
        assert str(each.tenant_id) not in text
    with psycopg.connect(demo.admin_url) as admin:
        (landed,) = admin.execute("select sum(landed) from pay_ready.stream_runs").fetchone()  # type: ignore[misc]
    assert (
        sum(sample.value for sample in samples if sample.name == "pay_ready_rows_total" and sample.labels["result"] == "landed") == landed
    )


def test_a_database_that_is_away(scratch: Scratch, tmp_path: Path) -> None:
    """/readyz is 503 and says why, /healthz stays 200, /metrics answers that the database does not."""
    urls = {"database_url": SecretStr(scratch.app_url), "admin_database_url": SecretStr(scratch.admin_url)}
    with open_app(Environment(home=tmp_path / "state", **urls)) as app, served(app, {"acme": app.tenant_id("acme")}) as url:
        assert got(f"{url}/readyz")[0] == 200
        with psycopg.connect(scratch.admin_url, autocommit=True, dbname="postgres") as admin:
            name = psycopg.conninfo.conninfo_to_dict(scratch.admin_url)["dbname"]
            admin.execute(f"alter database {name} allow_connections false")  # type: ignore[arg-type]
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            try:
                status, body = got(f"{url}/readyz")
                metrics = got(f"{url}/metrics")
            finally:
                admin.execute(f"alter database {name} allow_connections true")  # type: ignore[arg-type]
        assert (status, got(f"{url}/healthz")[0]) == (503, 200)
        assert json.loads(body)["checks"]["database"] == "fail"
        assert metrics[0] == 200
        assert "pay_ready_up 0.0" in metrics[1]


def test_alerts_are_looked_at_beside_the_metrics(scratch: Scratch, tmp_path: Path) -> None:
    """Every so often, of every tenant, until it is ended; a tenant that is not there holds up no other."""
    urls = {"database_url": SecretStr(scratch.app_url), "admin_database_url": SecretStr(scratch.admin_url)}
    ended = threading.Event()
    with open_app(Environment(home=tmp_path / "state", **urls)) as app:
        tenant = make_tenant(app.database, "acme")
        with app.database.tenant_transaction(tenant) as tx:
            operation.finish_step(tx, operation.begin_step(tx, RunId(new_id()), "resolve", ""), "failed", error_class="SourceError")
        tenants = {"absent": app.tenant_id("absent"), "acme": tenant}
        looking = threading.Thread(target=watch_alerts, args=(app, lambda: tenants, 0.01, ended))
        looking.start()
        try:
            for _ in range(1_000):
                with app.database.tenant_transaction(tenant) as tx:
                    if found := [each.alert for each in alerts.standing(tx)]:
                        break
                ended.wait(0.01)
        finally:
            ended.set()
            looking.join()
    assert found == ["run_failed"]


@pytest.fixture
def places(scratch: Scratch, tmp_path: Path) -> dict[str, str]:
    """A tenant with a source, nothing of it read yet."""
    folder = tmp_path / "exports"
    folder.mkdir()
    row = {"id": "1", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
           "properties": {"email": "ann.abel@customer.example", "firstname": "Ann", "lastname": "Abel"}}  # fmt: skip
    (folder / "contacts.jsonl").write_text(json.dumps(row) + "\n")
    found = {"HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"), "PAY_READY_DATABASE_URL": scratch.app_url,
             "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url}  # fmt: skip
    for words in (["tenants", "create", "acme"], ["sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(folder)]):
        assert called(words, found, tmp_path).returncode == 0
    return found


def test_spans_from_the_run_to_the_statement(places: dict[str, str], scratch: Scratch, tmp_path: Path) -> None:
    """Every step of step_runs has a span below the run's, with statements and the connector below it; nobody's name is in the file."""
    pytest.importorskip("opentelemetry.sdk", reason="of the extra telemetry")
    file = tmp_path / "spans.jsonl"
    done = called(["--trace", str(file), "run", "etl", "-t", "acme"], places, tmp_path)
    assert done.returncode == 0, done.stderr
    spans = {each["span_id"]: each for each in map(json.loads, file.read_text().splitlines())}
    with psycopg.connect(scratch.admin_url) as admin:
        steps = {(str(run), step) for run, step in admin.execute("select run_id, step from pay_ready.step_runs")}

    def above(span: Mapping[str, Any]) -> list[str]:
        chain = []
        while span["parent_id"]:
            span = spans[span["parent_id"]]
            chain.append(str(span["name"]))
        return chain

    told = {(each["attributes"]["pay_ready.run_id"], each["attributes"]["pay_ready.step"]): each
            for each in spans.values() if "pay_ready.step" in each["attributes"]}  # fmt: skip
    assert told.keys() == steps
    assert all(above(each) == ["etl"] for each in told.values())
    inside = [each for each in spans.values() if above(each)[-2:] == ["sync crm", "etl"]]
    assert any(each["attributes"].get("db.query.summary", "").startswith("landing.") for each in inside)
    assert any(each["attributes"].get("pay_ready.service") == "connector" for each in inside)
    assert len({each["trace_id"] for each in inside}) == 1
    assert not re.search(r"\bann\b|abel|acme", file.read_text(), re.IGNORECASE)


def test_a_failed_step_says_so_in_its_span(places: dict[str, str], tmp_path: Path) -> None:
    """The class of its error, never its words."""
    pytest.importorskip("opentelemetry.sdk", reason="of the extra telemetry")
    file = tmp_path / "spans.jsonl"
    (tmp_path / "exports" / "contacts.jsonl").unlink()
    (tmp_path / "exports").rmdir()
    assert called(["--trace", str(file), "run", "sync", "-t", "acme"], places, tmp_path).returncode != 0
    (step,) = [each for each in map(json.loads, file.read_text().splitlines()) if each["name"] == "sync crm"]
    assert step["status"] == "error"
    assert step["attributes"]["error.type"].endswith("Error")
    assert "exports" not in file.read_text()


@pytest.mark.filterwarnings("default")  # of pyinstrument, about the machine's clock
def test_a_profile_of_any_step(places: dict[str, str], tmp_path: Path) -> None:
    """A flame graph that speedscope reads, or a page, with the memory peak; another ending is refused before anything is done."""
    pytest.importorskip("pyinstrument", reason="of the extra telemetry")
    for step in ("sync", "stage", "resolve"):
        file = tmp_path / f"{step}.json"
        done = called(["run", step, "-t", "acme", "--profile", str(file)], places, tmp_path)
        assert done.returncode == 0, done.stderr
        profile = json.loads(file.read_text())
        assert profile["profiles"][0]["type"] in ("sampled", "evented")
        assert profile["memory_peak_bytes"] > 10 * 2**20
        assert "memory peak" in done.stderr
    page = tmp_path / "stage.html"
    assert called(["run", "stage", "-t", "acme", "--profile", str(page)], places, tmp_path).returncode == 0
    assert 'id="memory-peak"' in page.read_text()
    refused = called(["run", "stage", "-t", "acme", "--profile", "x.txt"], places, tmp_path)
    assert (refused.returncode, ".html or .json" in refused.stderr) == (2, True)


def test_alerts_by_command(places: dict[str, str], tmp_path: Path) -> None:
    """A failed run tells the webhook at its end; check is exit 7 while it stands; acknowledged; mended, it is over, and that is told."""
    export = tmp_path / "exports" / "contacts.jsonl"
    kept = export.read_text()
    with receiving() as receiver:
        told = {**places, "PAY_READY_WATCH__WEBHOOK_URL": receiver.url, "PAY_READY_WATCH__WEBHOOK_PRIVATE": "true",
                "PAY_READY_WEBHOOK_SECRET": written_secret(SECRET)}  # fmt: skip

        def command(*words: str) -> "subprocess.CompletedProcess[str]":
            return called(words, told, tmp_path)

        assert command("alerts", "test", "-t", "acme").returncode == 0
        export.unlink()
        export.parent.rmdir()
        assert command("run", "etl", "-t", "acme").returncode != 0
        assert command("alerts", "check", "-t", "acme").returncode == 7
        (alert,) = [each for each in json.loads(command("alerts", "list", "-t", "acme", "--json").stdout)["data"]["alerts"]
                    if each["alert"] == "run_failed"]  # fmt: skip
        assert (alert["subject_id"], alert["status"]) == ("sync:crm", "firing")
        assert command("alerts", "acknowledge", "-t", "acme", alert["alert_id"]).returncode == 0
        assert command("alerts", "acknowledge", "-t", "acme", alert["alert_id"]).returncode == 4
        export.parent.mkdir()
        export.write_text(kept)
        assert command("run", "etl", "-t", "acme").returncode == 0
        assert command("alerts", "check", "-t", "acme").returncode == 0
        assert command("alerts", "deliver", "-t", "acme").returncode == 0
        assert receiver.kinds == ["alert.test", "alert.fired", "alert.cleared"]
        assert command("alerts", "secret", "-t", "acme").stdout.strip() == told["PAY_READY_WEBHOOK_SECRET"]
    assert called(["alerts", "test", "-t", "acme"], places, tmp_path).returncode == 2


def test_a_tenants_own_webhook(places: dict[str, str], tmp_path: Path) -> None:
    """It names its receiver, but opens no inner network; its secret is derived from the secret key, another tenant's is another."""
    keyed = {**places, "PAY_READY_SECRET_KEY": generate_key()}

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return called(words, keyed, tmp_path)

    assert command("tenants", "create", "other").returncode == 0
    secrets = [command("alerts", "secret", "-t", slug).stdout.strip() for slug in ("acme", "other", "acme")]
    assert secrets[0] == secrets[2] != secrets[1]
    assert len(secret_of(secrets[0])) == 32
    with receiving() as receiver:
        own = ("--set", f"watch.webhook_url={receiver.url}", "--set", "watch.webhook_private=true")
        assert command("tenants", "settings", "acme", *own).returncode == 0
        refused = command("alerts", "test", "-t", "acme")
        assert (refused.returncode, receiver.got) == (5, [])
        assert receiver.url not in refused.stderr
