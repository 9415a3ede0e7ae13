"""A source that an Airbyte extracts, from its description to published people: job, tables, report."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import sources, tenants
from pay_ready.errors import CheckFailedError, ConfigError, ConflictError, DeniedError, HeldBackError, PartialError, RetryLaterError
from pay_ready.model.progress import no_progress
from pay_ready.pipeline.airbyte.catalog import cancel_job, list_connections, list_jobs, stored_platform
from pay_ready.pipeline.airbyte.job import JobOptions
from pay_ready.pipeline.airbyte.source import PlatformOptions, read_platform_config, run_platform_job
from pay_ready.pipeline.airbyte.watch import Intervals
from pay_ready.pipeline.backfill.plan import open_backfill_source
from pay_ready.pipeline.backfill.request import parse_request
from pay_ready.pipeline.backfill.run import run_backfill
from pay_ready.pipeline.etl import EtlReport, run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.work import TenantWork
from pay_ready.secrets import generate_key
from pay_ready.settings import Environment
from tests.airbyte_simulator.destination import SimulatedStream
from tests.airbyte_simulator.platform import Life, SimulatedConnection
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.conftest import Scratch

TIMES = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False}
COLUMNS = {"id": "varchar", "createdAt": "timestamptz", "updatedAt": "timestamptz", "archived": "boolean", "properties": "jsonb"}
KEY = generate_key()
QUICK = JobOptions(intervals=Intervals(first_s=0.01, most_s=0.02), look_for_s=1.0)


@dataclass(kw_only=True)
class Place:
    """An Airbyte with one connection, its destination's table of contacts, and a tenant of ours."""

    app: App
    simulator: AirbyteSimulator
    connection: SimulatedConnection
    contacts: SimulatedStream
    url: str

    @property
    def config(self) -> dict[str, Any]:
        """What a user writes down."""
        return {
            "api_url": self.simulator.url, "connection_id": self.connection.connection_id, "client_id": self.simulator.client_id,
            "client_secret": self.simulator.client_secret, "destination_url": self.url, "destination_schema": "crm",
        }  # fmt: skip

    @property
    def work(self) -> TenantWork:
        """The tenant's pipeline, impatient."""
        ready = self.app.work("acme")
        options = replace(ready.options, retry_wait_s=0.01, max_retries=1)
        return replace(ready, options=options, platform=lambda: PlatformOptions(job=QUICK))

    def add(self, **changed: Any) -> str:
        """Add the source; what the check found."""
        config = {key: value for key, value in {**self.config, **changed}.items() if value is not None}
        source = NewSource(name="crm", kind="hubspot", connector="airbyte", settings=config)
        _, found = add_source(
            self.app.database, self.app.tenant_id("acme"), source, self.app.feed, lambda: self.app.keyring, actor="tests"
        )  # fmt: skip
        return found

    def job_writes(self, rows: list[dict[str, Any]], **more: Any) -> None:
        """What the next jobs write while they run."""
        self.simulator.platform.on_job_running = lambda job, _: self.contacts.run(job, rows, **more)

    def run(self, **options: Any) -> EtlReport:
        """One run of the pipeline."""
        work = self.work
        return run_etl(replace(work, options=replace(work.options, **options)))

    def seen(self, query: str) -> list[tuple[Any, ...]]:
        """What the administrator sees."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


def person(number: int, **more: Any) -> dict[str, Any]:
    """A contact as HubSpot's connector emits it."""
    return {"id": str(number), **TIMES, "properties": {"email": f"p{number}@customer.example", "firstname": f"First{number}"}, **more}


def sync_of(report: EtlReport) -> SyncReport:
    """The sync of the only source."""
    sync = report.sources[0].sync
    assert sync is not None, report.sources[0].error
    return sync


@pytest.fixture
def place(scratch: Scratch, tmp_path: Path) -> Iterator[Place]:
    """Everything ready; the destination is a schema of the same database."""
    environment = Environment(home=tmp_path / "state", database_url=scratch.app_url, admin_database_url=scratch.admin_url, secret_key=KEY)  # type: ignore[arg-type]
    with AirbyteSimulator() as simulator, open_app(environment) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        stream = {"name": "contacts", "syncMode": "incremental_deduped_history", "cursorField": ["updatedAt"], "primaryKey": [["id"]]}
        contacts = SimulatedStream(url=scratch.admin_url, name="contacts", columns=dict(COLUMNS), mode="dedup", cursor="updatedAt")
        connection = simulator.platform.add_connection(streams=[stream])
        yield Place(app=app, simulator=simulator, connection=connection, contacts=contacts, url=scratch.admin_url)


def test_a_connection_is_synced_read_and_published(place: Place) -> None:
    """The job runs, its rows land by their sync id, people are published, and the report names the job; a second run adds its news."""
    assert place.add() == "1 streams, 1 of them with a table, 1 mapped"
    place.job_writes([person(number) for number in range(30)])
    report = place.run()
    report.raise_for_failure()
    sync = sync_of(report)
    assert sync.job is not None
    assert (sync.job.outcome, sync.job.is_adopted, [each.landed for each in sync.streams]) == ("succeeded", False, [30])
    assert {"trigger", "watch", "read"} <= sync.seconds_by_step.keys()
    assert report.resolve is not None
    assert report.resolve.people.entities == 30
    later = {"updatedAt": "2026-02-01T00:00:00Z"}
    place.job_writes([person(3, **later), person(99, **later)])
    again = place.run()
    again.raise_for_failure()
    assert [(each.emitted, each.landed) for each in sync_of(again).streams] == [(2, 2)]
    assert len(place.simulator.started) == 2
    stored = place.seen("select report -> 'job' ->> 'outcome', report -> 'job' ->> 'job_id' from pay_ready.sync_runs order by started_at")
    assert stored == [("succeeded", "41"), ("succeeded", "42")]


def test_credentials_are_encrypted_and_show_nowhere(place: Place) -> None:
    """Neither in the source's row nor in plain in its credentials."""
    place.add()
    everything = repr(place.seen("select config::text, connector from pay_ready.data_sources")) + repr(
        place.seen("select envelope from pay_ready.source_credentials")
    )
    assert place.simulator.client_secret not in everything
    assert "postgresql://" not in everything
    with place.app.database.tenant_transaction(place.app.tenant_id("acme")) as tx:
        assert place.simulator.client_secret not in repr(sources.require(tx, "crm"))


def test_a_failed_job_is_read_all_the_same_and_the_run_is_partial(place: Place) -> None:
    """What Airbyte says is in the error; rows that the job left are landed."""
    place.add()
    place.simulator.platform.script(Life(statuses=("running", "incomplete", "running", "failed")))
    place.job_writes([person(1)])
    report = place.run()
    with pytest.raises(PartialError):
        report.raise_for_failure()
    assert "Airbyte's job 41 failed" in " ".join(sync_of(report).notes)
    assert [each.landed for each in sync_of(report).streams] == [1]


def test_an_emptied_table_is_not_published_until_it_is_accepted(place: Place) -> None:
    """A job that succeeds over an empty table: nothing is dropped, nothing is published, exit code 7; --accept-shrink believes it."""
    place.contacts.mode = "overwrite"
    place.connection.streams = [{"name": "contacts", "syncMode": "full_refresh_overwrite", "primaryKey": [["id"]]}]
    place.add()
    place.job_writes([person(number) for number in range(300)])
    place.run().raise_for_failure()
    place.job_writes([])
    for _ in range(2):  # it stays so
        report = place.run()
        assert report.resolve is None
        with pytest.raises(HeldBackError, match="contacts") as held:
            report.raise_for_failure()
        assert held.value.exit_code == 7
    alive = "select count(*) from pay_ready.landed_records where deleted_at is null"
    assert place.seen(alive) == [(300,)]
    accepted = place.run(guard=ShrinkGuard(accept=True))
    accepted.raise_for_failure()
    assert place.seen(alive) == [(0,)]
    assert accepted.resolve is not None
    assert accepted.resolve.people.entities == 0


def test_a_job_under_way_is_adopted_and_one_past_its_time_is_left(place: Place) -> None:
    """One run gives up waiting (exit 75), the next adopts the same job; no second one is started."""
    place.add()
    place.simulator.platform.script(Life(statuses=("running",)))
    place.job_writes([person(1)])
    work = place.work
    report = run_etl(replace(work, platform=lambda: PlatformOptions(job=replace(QUICK, timeout_s=0.2))))
    error = report.sources[0].error
    assert isinstance(error, RetryLaterError)
    assert "41" in str(error)
    place.simulator.platform.end(41)
    sync = sync_of(place.run())
    assert sync.job is not None
    assert (sync.job.is_adopted, [each.landed for each in sync.streams]) == (True, [1])
    assert len(place.simulator.started) == 1


def test_tables_alone_need_no_airbyte(place: Place) -> None:
    """Without a connection the destination's tables are the streams, no job is run, and the report says so."""
    assert place.add(connection_id=None, client_id=None, client_secret=None, api_url=None) == "1 streams, 1 of them with a table, 1 mapped"
    place.contacts.run(7, [person(number) for number in range(5)])
    report = place.run()
    report.raise_for_failure()
    sync = sync_of(report)
    assert (sync.job, [each.landed for each in sync.streams], place.simulator.started) == (None, [5], [])
    assert any("no connection is named" in text for text in sync.remarks)


def test_drift_and_cast_damage_are_in_the_report(place: Place) -> None:
    """A new column is taken over, a value that the destination nulled is flagged."""
    place.add()
    place.job_writes([person(1)])
    place.run().raise_for_failure()
    place.contacts.add_column("segment", "varchar")
    flags = [{"field": "segment", "change": "NULLED", "reason": "DESTINATION_FIELD_SIZE_LIMITATION"}]
    place.job_writes([person(2, updatedAt="2026-03-01T00:00:00Z")], changes=flags)
    sync = sync_of(place.run())
    assert sync.schema_changes == {"contacts": ("field segment is new (string)",)}
    assert [each.flagged for each in sync.streams] == [1]


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"destinatoin_url": "x"}, ConfigError, "the keys here are"),
        ({"destination_url": None}, ConfigError, "destination_url"),
        ({"client_secret": None}, ConfigError, "client_id"),
        ({"connection_id": None}, ConfigError, "connection_id"),
        ({"api_url": "https://cloud.airbyte.com/workspaces/1"}, ConfigError, "api.airbyte.com"),
    ],
)
def test_a_wrong_description_names_the_key_and_no_value(place: Place, changed: dict[str, Any], kind: type[Exception], said: str) -> None:
    """Before anybody is called."""
    config = {key: value for key, value in {**place.config, **changed}.items() if value is not None}
    with pytest.raises(kind, match=said) as error:
        read_platform_config(config)
    assert place.simulator.client_secret not in str(error.value)
    assert place.simulator.seen == []


def test_what_cannot_be_read_is_not_kept(place: Place) -> None:
    """An inactive connection, and a schema without tables: exit code 7, nothing is kept."""
    place.connection.status = "inactive"
    with pytest.raises(CheckFailedError, match="inactive"):
        place.add()
    assert place.seen("select count(*) from pay_ready.data_sources") == [(0,)]
    with pytest.raises(CheckFailedError, match="no table"):
        place.add(connection_id=None, client_id=None, client_secret=None, destination_schema="elsewhere")


def test_json_is_what_a_file_holds(place: Place, tmp_path: Path) -> None:
    """The description survives its way through a file."""
    path = tmp_path / "airbyte.json"
    path.write_text(json.dumps(place.config))
    assert read_platform_config(json.loads(path.read_text())).settings()["destination_schema"] == "crm"


def test_connections_and_jobs_are_listed_and_only_our_own_are_cancelled(place: Place) -> None:
    """A user finds the connection's id; a job that Airbyte's schedule started is left alone (exit 5), ours is cancelled."""
    [listed] = list_connections({key: place.config[key] for key in ("api_url", "client_id", "client_secret")})
    assert (listed.connection_id, listed.workspace, listed.streams) == (place.connection.connection_id, "Default Workspace", ("contacts",))
    place.add()
    place.simulator.platform.script(Life(statuses=("running",)))
    work = place.work
    run_etl(replace(work, platform=lambda: PlatformOptions(job=replace(QUICK, timeout_s=0.1))))
    platform = stored_platform(work.database, work.tenant, "crm", place.app.mapping, work.keyring)
    place.simulator.platform.end(41)
    place.simulator.platform.script(Life(statuses=("running",)))
    theirs = place.simulator.platform.start_job(place.connection.connection_id, "sync", started_by="schedule").job_id
    assert [(job.job_id, job.is_ours) for job in list_jobs(work.database, work.tenant, platform, 10)] == [(theirs, False), (41, True)]
    with pytest.raises(DeniedError, match="not ours") as denied:
        cancel_job(work.database, work.tenant, platform, theirs, actor="tests")
    assert denied.value.exit_code == 5
    with pytest.raises(ConflictError):
        cancel_job(work.database, work.tenant, platform, 41, actor="tests")  # it is at its end
    place.simulator.platform.end(theirs)
    run_etl(work)  # takes note of the end of 41
    place.simulator.platform.script(Life(statuses=("running",)))
    run_etl(replace(work, platform=lambda: PlatformOptions(job=replace(QUICK, timeout_s=0.1))))
    ours = place.simulator.started[-1].job_id
    assert cancel_job(work.database, work.tenant, platform, ours, actor="tests").status == "cancelled"
    assert place.seen("select count(*) from pay_ready.audit_events where action = 'job.cancelled'") == [(1,)]


def test_a_reset_runs_as_a_job_of_its_own(place: Place) -> None:
    """Airbyte is asked for a reset, and its end is waited for."""
    place.add()
    work = place.work
    platform = stored_platform(work.database, work.tenant, "crm", place.app.mapping, work.keyring)
    options = PlatformOptions(job=replace(QUICK, job_type="reset"))
    job, findings = run_platform_job(work.database, work.tenant, platform, options, no_progress)
    assert job is not None
    assert findings.job is not None
    assert (job.job_type, findings.job.outcome) == ("reset", "succeeded")
    assert [each.job_type for each in place.simulator.started] == ["reset"]


@pytest.mark.parametrize("by", ["cursor", "extracted"])
def test_a_backfill_asks_the_destination_for_its_range_alone(place: Place, by: str) -> None:
    """The plan counts the rows of each chunk, and a chunk's read gets no others from the server."""
    place.add()
    days = {number: datetime(2026, 1, 1 + number, 12, tzinfo=UTC) for number in range(9)}
    for number, day in days.items():
        place.contacts.run(7, [person(number, updatedAt=day.isoformat())], at=day)
    request = parse_request("crm", (), start="2026-01-03", end="2026-01-06", chunk="1d", by=by, now=datetime(2026, 9, 9, tzinfo=UTC))
    source = open_backfill_source(place.work, request)
    report = run_backfill(source)
    report.raise_for_failure()
    assert [(chunk.estimated_rows, chunk.emitted, chunk.skipped) for chunk in report.chunks] == [(1, 1, 0)] * 3
    keys = place.seen("select record_key from pay_ready.landed_records order by record_key")
    assert keys == [("2",), ("3",), ("4",)]
    place.job_writes([])
    assert [each.landed for each in sync_of(place.run()).streams] == [6]  # the live sync still starts at its beginning
