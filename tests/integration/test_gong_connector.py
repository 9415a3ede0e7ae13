"""The shipped Gong connector, as airbyte-cdk runs it, against a Gong of our own over real sockets.

Its environment comes from the package registry, once per run; without the registry these tests are skipped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import sources, tenants
from pay_ready.db.sources import SourceConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError, NotFoundError, TransientError
from pay_ready.model.ids import RunId, TenantId, new_id, source_id_of
from pay_ready.pipeline.bring_in import bring_in
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import Reading, SyncOptions, sync_source
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.stage import stage_source
from pay_ready.resources import resource_path
from pay_ready.secrets import Keyring, generate_key
from pay_ready.settings import Environment
from pay_ready.sources import connector, manifest_installs
from pay_ready.sources.catalog import ConfiguredCatalog, configure
from pay_ready.sources.connector import ConnectorCommand, ConnectorRun
from pay_ready.sources.installs import InstalledConnector
from pay_ready.sources.manifest_installs import install_manifest
from pay_ready.sources.manifests import CDK_VERSION, read_manifest, shipped_manifest
from tests.conftest import Scratch
from tests.fake_gong import ACCESS_KEY, FakeGong, GongData, Json, listed_at

EXPORTS = resource_path("demo", "exports", "acme-robotics", "gong")
FIRST, BEFORE = "2026-10-12", "2026-10-22"
PERIOD = {"start_date": FIRST, "end_date": BEFORE}
ANY_KEY = dict.fromkeys(("access_key", "access_key_secret"), "any-of-them")
ANY_CONFIG = {"credentials": {"auth_type": "access_key", **ANY_KEY}, **PERIOD}
CALL_STREAMS = ("calls", "extensiveCalls", "callTranscripts")
QUICK = SyncOptions(limits=FlushLimits(rows=1), retry_wait_s=0.01)

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def installed(run_folder: Path) -> InstalledConnector:
    """The shipped manifest, installed once for all workers of the run."""
    try:
        return install_manifest(shipped_manifest("gong"), run_folder / "connectors")
    except (TransientError, NotFoundError) as error:
        pytest.skip(f"airbyte-cdk cannot be installed here: {error.what}")


@pytest.fixture
def command(installed: InstalledConnector, tmp_path: Path) -> ConnectorCommand:
    return installed.command(tmp_path / "runs")


@pytest.fixture(scope="module")
def catalog(installed: InstalledConnector, tmp_path_factory: pytest.TempPathFactory) -> ConfiguredCatalog:
    """All that the connector offers. It asks nobody for that."""
    return configure(connector.discover(installed.command(tmp_path_factory.mktemp("runs")), ANY_CONFIG))


@pytest.fixture
def ring() -> Keyring:
    return Keyring.from_text(generate_key())


@pytest.fixture
def data() -> GongData:
    """Ten days of a company: with calls at both sides of the moment where two windows meet, and their scorecards."""
    found = GongData.of_exports(EXPORTS, f"{FIRST}T00:00:00Z", f"{BEFORE}T00:00:00Z")
    found.add_call(7000000000000000071, scheduled="2026-10-18T23:59:59.400Z", started="2026-10-19T00:00:07.250Z")
    found.add_call(7000000000000000072, scheduled="2026-10-19T00:00:00Z", started="2026-10-18T23:59:41Z")
    found.scorecards = [{"scorecardId": 6843152929075440037, "scorecardName": "Discovery", "enabled": True}]
    # The first review is of the evening before, where the company is; the last one of the last day.
    reviews = ["2026-10-12T03:00:00.123Z", *(f"2026-10-{day}T18:30:00-07:00" for day in range(13, 22))]
    found.answered = [{"answeredScorecardId": str(100 + n), "callId": "1", "reviewTime": at} for n, at in enumerate(reviews)]
    return found


@pytest.fixture
def seen(scratch: Scratch) -> Query:
    """What the administrator sees of this test's database."""

    def query(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(scratch.admin_url) as connection:
            return connection.execute(text.encode()).fetchall()

    return query


def configure_source(database: Database, tenant: TenantId, config: Json, ring: Keyring) -> None:
    """The source `gong` with this configuration, encrypted."""
    with database.tenant_transaction(tenant) as tx:
        if (source := sources.find(tx, "gong")) is None:
            settings = SourceConfigV1()
            source = sources.add(tx, name="gong", kind="gong", ingest_mode="connector", connector="gong", config=settings, actor="tests")
        sources.put_credential(tx, source.source_id, "config", json.dumps(config).encode(), ring)


def sync(
    database: Database, tenant: TenantId, command: ConnectorCommand, catalog: ConfiguredCatalog, ring: Keyring, **options: Any
) -> SyncReport:
    """One sync of the source `gong`."""

    def read(config: Mapping[str, object], configured: ConfiguredCatalog, state: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return ConnectorRun(command, config, configured, state)

    return sync_source(database, tenant, "gong", read, catalog, keyring=ring, options=replace(QUICK, **options))


def counted(report: SyncReport, what: str) -> dict[str, int]:
    """A count of each stream."""
    return {stream.stream: getattr(stream, what) for stream in report.streams}


def expected(data: GongData) -> dict[str, dict[str, Json]]:
    """What the connector must emit, by stream and key: Gong's rows, with key and cursor at the top where they are not."""
    calls = {call["metaData"]["id"]: call for call in data.calls}
    days = {key: listed_at(call).astimezone(UTC).date().isoformat() for key, call in calls.items()}
    rows: dict[str, dict[str, Json]] = {
        "users": {user["id"]: user for user in data.users},
        "calls": {key: call["metaData"] for key, call in calls.items()},
        "extensiveCalls": {key: {**call, "id": key, "startdatetime": call["metaData"]["started"]} for key, call in calls.items()},
        "callTranscripts": {key: {"callId": key, "transcript": data.transcripts[key], "listedOn": days[key]} for key in calls},
        "scorecards": {str(card["scorecardId"]): card for card in data.scorecards},
        "answeredScorecards": {card["answeredScorecardId"]: card for card in data.answered},
    }
    # The CDK leaves out what is null at the top of a record.
    return {
        stream: {key: {name: value for name, value in row.items() if value is not None} for key, row in found.items()}
        for stream, found in rows.items()
    }


def landed(seen: Query) -> dict[str, dict[str, Json]]:
    """The landed rows by stream and key."""
    keys = {"callTranscripts": "callId", "answeredScorecards": "answeredScorecardId", "scorecards": "scorecardId"}
    rows: dict[str, dict[str, Json]] = {}
    for stream, data in seen("select stream, data from pay_ready.landed_records"):
        key = str(data[keys.get(stream, "id")])
        assert key not in rows.setdefault(stream, {}), "twice"
        rows[stream][key] = data
    return rows


def test_everything_arrives_exactly_once_and_is_staged(
    database: Database, tenant: TenantId, command: ConnectorCommand, catalog: ConfiguredCatalog, ring: Keyring, data: GongData, seen: Query
) -> None:
    """Pages, 3 requests a second, failures and empty windows: each record comes once, whole, and the mapping takes all of them."""
    with FakeGong(data, per_second=3, page_size=8, fail_every=9) as gong:
        configure_source(database, tenant, gong.access_key(**PERIOD), ring)
        report = sync(database, tenant, command, catalog, ring)
    assert (report.status, report.attempts) == ("complete", 1), report.error
    wanted = expected(data)
    assert counted(report, "emitted") == counted(report, "landed") == {stream: len(rows) for stream, rows in wanted.items()}
    assert landed(seen) == wanted
    assert {404, 200} < set(gong.statuses()), "empty windows and failures were among the answers"
    assert {500, 502, 503} & set(gong.statuses())
    # At most three a second, by the connector's own pace: slower is always possible, faster never.
    taken_s = gong.requests[-1].at_s - gong.requests[0].at_s
    assert taken_s > len(gong.requests) / 3 - 2
    source_id = source_id_of(tenant, "gong")
    mapping = load_mapping(resource_path("config", "sources", "gong.toml"))
    stage_source(database, tenant, source_id, mapping, MappingContext(now=datetime(2026, 11, 1, tzinfo=UTC)), run_id=RunId(new_id()))
    assert seen("select count(*) from pay_ready.quarantined_records") == [(0,)]
    calls = len(data.calls)
    assert seen("select stream, count(*) from pay_ready.interaction_records where is_primary group by 1") == [("extensiveCalls", calls)]
    assert seen("select count(distinct record_id) from pay_ready.interaction_turns") == [(calls,)]


def test_a_killed_sync_goes_on_and_a_later_one_brings_what_is_new(
    database: Database, tenant: TenantId, installed: InstalledConnector, catalog: ConfiguredCatalog, ring: Keyring, data: GongData,
    seen: Query, tmp_path: Path,
) -> None:  # fmt: skip
    """SIGKILL in the middle: the next sync begins where the state is. A later one looks back, for the call that Gong lists late."""
    pid_file = tmp_path / "pid"
    words = ("/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', str(pid_file))
    plain = installed.command(tmp_path / "runs")
    command = replace(plain, argv=(*words, *plain.argv))
    config = {**PERIOD, "lookback_days": 1, "requests_per_second": 50}

    def kill_late(asked: Any) -> None:
        if asked.path.endswith("/transcript") and asked.wanted["filter"]["fromDateTime"] > "2026-10-19":
            wait_for(lambda: state_day(seen, "callTranscripts") >= "2026-10-16")
            os.kill(int(pid_file.read_text()), signal.SIGKILL)

    with FakeGong(data, page_size=5) as gong:
        configure_source(database, tenant, gong.access_key(**config), ring)
        gong.before_answer = kill_late
        killed = sync(database, tenant, command, catalog, ring, max_retries=0)
        assert isinstance(killed.error, TransientError), killed.error
        assert "was killed" in str(killed.error)
        gong.before_answer = bool
        before = len(gong.requests)
        resumed = sync(database, tenant, plain, catalog, ring)
        assert resumed.status == "complete", resumed.error
        windows = [each.wanted["filter"]["fromDateTime"] for each in gong.requests[before:] if each.path.endswith("/transcript")]
        assert min(windows) >= "2026-10-15", "began at the state, less what it looks back"
        assert landed(seen) == expected(data)
        assert killed.landed + resumed.landed == sum(map(len, expected(data).values()))

        more = GongData.of_exports(EXPORTS, f"{BEFORE}T00:00:00Z", "2026-10-25T00:00:00Z")
        data.calls += more.calls
        data.add_call(7000000000000000073, scheduled="2026-10-20T09:00:00Z", started="2026-10-20T09:00:30Z")
        configure_source(database, tenant, gong.access_key(**{**config, "end_date": "2026-10-25"}), ring)
        gong.per_second = 6
        before = len(gong.requests)
        later = sync(database, tenant, plain, catalog, ring)
    assert later.status == "complete", later.error
    news = len(more.calls) + 1
    assert news > 1
    assert {stream: count for stream, count in counted(later, "landed").items() if count} == dict.fromkeys(CALL_STREAMS, news)
    assert all(counted(later, "emitted")[stream] < len(data.calls) for stream in CALL_STREAMS)
    assert landed(seen) == expected(data)
    assert 429 in [each.status for each in gong.requests[before:]], "asked too fast, it waited as long as it was told"


def test_oauth_tokens_expire_and_rotate(installed: InstalledConnector, scratch: Scratch, data: GongData, tmp_path: Path) -> None:
    """A user's whole way: added by the connector's name, checked, read. Each refresh token works once; the last one is what is kept."""
    data.calls = data.calls[:6]
    with FakeGong(data, token_uses=10) as gong, opened(installed, scratch, tmp_path) as app:
        work = app.work("acme")
        wanted = NewSource(name="gong", kind="gong", connector="gong", settings=gong.oauth(**PERIOD, requests_per_second=50))
        source, found = add_source(app.database, work.tenant, wanted, app.feed, lambda: app.keyring, actor="tests")
        assert found == "6 streams, 4 of them mapped"
        assert gong.refreshed == 1, "the check used up the token that the user gave"
        outcome = bring_in(work, "gong", RunId(new_id()))
        assert outcome.error is None
        assert outcome.sync is not None
        assert counted(outcome.sync, "landed") == {stream: len(rows) for stream, rows in expected(data).items()}
        assert gong.refreshed == 2, "a token expired in the middle"
        assert 401 in gong.statuses()
        assert gong.statuses("/oauth2/generate-customer-token") == [200] * gong.refreshed
        with app.database.tenant_transaction(work.tenant) as tx:
            kept = sources.connector_config(tx, source, app.keyring)
        assert kept["credentials"]["refresh_token"] == gong.refresh_token
        assert kept.keys() == wanted.settings.keys(), "the configuration is the user's, with nothing of the manifest in it"


def test_a_wrong_secret_is_said_in_a_line_and_shown_nowhere(
    database: Database, tenant: TenantId, command: ConnectorCommand, catalog: ConfiguredCatalog, ring: Keyring, data: GongData, seen: Query,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """By the check and by a sync, which does not try again: what to look at, and neither key nor secret in anything that leaves."""
    wrong = "wrong-secret-998877/66+z"
    with FakeGong(data) as gong:
        config = gong.access_key(**PERIOD)
        config["credentials"]["access_key_secret"] = wrong
        outcome = connector.check(command, config)
        configure_source(database, tenant, config, ring)
        report = sync(database, tenant, command, catalog, ring)
    assert not outcome.succeeded
    assert report.status == "failed"
    assert isinstance(report.error, ConfigError)
    assert report.attempts == 1
    for said in (outcome.message, str(report.error)):
        assert "Gong does not accept the credentials (401): check access_key and access_key_secret" in said
        assert "\n" not in said
    printed = capfd.readouterr()
    stored = seen("select error_text, report::text from pay_ready.sync_runs")
    for text in (outcome.message, str(report.error), printed.out, printed.err, str(stored)):
        assert not any(secret in text for secret in (wrong, ACCESS_KEY, "wrong-secret"))


def test_the_command_line_installs_and_lists_it(installed: InstalledConnector, tmp_path: Path) -> None:
    """By its name alone; it is there already, so nothing is built. Programs read the list as JSON."""
    (tmp_path / "connectors").symlink_to(installed.folder.parent)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path)}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "pay_ready.cli.main", "connectors", *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert f"gong=={installed.version} is installed" in run("install", "gong")
    (listed,) = json.loads(run("list", "--json"))["data"]
    assert (listed["name"], listed["version"], listed["script"]) == ("gong", installed.version, "source-gong")
    assert f"airbyte-cdk=={CDK_VERSION}" in listed["packages"]


def test_a_manifest_that_the_cdk_refuses_is_not_installed(
    installed: InstalledConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place is named, and nothing stays. The environment is the installed one's: building it is not what this is about."""

    def borrow(folder: Path, python: str, requirement: str) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{installed.folder}/bin/python" "$@"\n')
        (folder / "bin" / "python").chmod(0o755)

    monkeypatch.setattr(manifest_installs, "build_environment", borrow)
    path = tmp_path / "things.yaml"
    good = shipped_manifest("gong").content.decode()
    path.write_text(good.replace("condition:", "conditions:"))
    root = tmp_path / "connectors"
    with pytest.raises(
        ConfigError, match=r"the manifest is refused: \$\.streams\[\d\]: 'condition' is a required .*manifest=things=="
    ) as caught:
        install_manifest(read_manifest(path), root)
    assert "correct the manifest" in caught.value.hint
    assert [each.name for each in root.iterdir()] == [".lock"]


def test_a_manifest_never_runs_python_of_its_own(installed: InstalledConnector, tmp_path: Path) -> None:
    """Not even one that got past the reading of it: the CDK is told not to trust it."""
    sly = tmp_path / "sly.yaml"
    basic = "type: BasicHttpAuthenticator"
    sly.write_text(shipped_manifest("gong").content.decode().replace(basic, "type: CustomAuthenticator\n    class_name: pathlib.Path"))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(ANY_CONFIG))
    command = [str(installed.folder / "bin" / "python"), "-I", str(installed.folder / "declarative.py"), str(sly)]
    done = subprocess.run([*command, "discover", "--config", str(config)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "Custom connector code is not permitted" in done.stdout


def wait_for(done: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state_day(seen: Query, stream: str) -> str:
    """The day that a stream's stored state names, or nothing."""
    found = seen(f"select state::jsonb #>> '{{stream,stream_state,listedOn}}' from pay_ready.stream_states where stream = '{stream}'")
    return (found[0][0] or "")[:10] if found else ""


@contextmanager
def opened(installed: InstalledConnector, scratch: Scratch, folder: Path) -> Iterator[App]:
    """The app on this test's database, with the tenant acme and the connectors of this run."""
    (folder / "state").mkdir()
    (folder / "state" / "connectors").symlink_to(installed.folder.parent)
    urls = {"database_url": scratch.app_url, "admin_database_url": scratch.admin_url}
    environment = Environment(home=folder / "state", secret_key=generate_key(), **urls)  # type: ignore[arg-type]
    with open_app(environment) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        yield app
