"""Drift of a tenant: what is found by account, source and tenant, told once, judged, ended; another tenant's figures play no part."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import drift
from pay_ready.errors import CheckFailedError, NotFoundError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.drift.find import DriftReport, judge_finding, look_for_drift, windows_of
from pay_ready.pipeline.drift.options import METRICS, DriftOptions
from pay_ready.pipeline.drift.step import find_drift
from pay_ready.settings import Environment
from tests.command_support import called
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.drift_support import NOW, fill_drift

ACCOUNTS, INTERACTIONS = 4, 2_080  # five a day and account
OPTIONS = DriftOptions()


@pytest.fixture(scope="module")
def scratch(server: Server, template: str) -> Iterator[Scratch]:  # type: ignore[override]
    """One database for all tests here; each has a tenant of its own."""
    with cloned(server, template) as database:
        yield database


@pytest.fixture(scope="module")
def app(scratch: Scratch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app on it."""
    home = tmp_path_factory.mktemp("state")
    environment = Environment(home=home, database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
    with open_app(environment) as opened:
        yield opened


class House:
    """A tenant whose figures stand still until something is done to them."""

    def __init__(self, app: App, scratch: Scratch, slug: str) -> None:
        self.app, self.slug, self.scratch = app, slug, scratch
        self.tenant: TenantId = make_tenant(app.database, slug)
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            fill_drift(admin, self.tenant, accounts=ACCOUNTS, interactions=INTERACTIONS)
            (row,) = admin.execute(
                "select entity_id::text from pay_ready.entity_versions where tenant_id = %s and name = 'Account 0'", (self.tenant,)
            ).fetchall()
        self.account: str = row[0]

    def changes(self, statement: str, since: datetime = NOW - timedelta(days=15)) -> None:
        """Something is done to the rows of the current days."""
        with psycopg.connect(self.scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute(statement, {"tenant": self.tenant, "since": since, "account": self.account})  # type: ignore[arg-type]

    def looked(self, now: datetime = NOW, options: DriftOptions = OPTIONS) -> DriftReport:
        """A look that is kept."""
        return look_for_drift(self.app.database, self.tenant, self.slug, options, now=now)


@pytest.fixture
def house(app: App, scratch: Scratch, request: pytest.FixtureRequest) -> House:
    """A tenant named after the test."""
    return House(app, scratch, request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-"))


def found(report: DriftReport) -> set[tuple[str, str, str]]:
    """What drifts, of whom, where to."""
    return {(each.finding.metric_name, each.finding.subject_kind, each.finding.direction) for each in report.found}


OF_ACCOUNT = """
    update pay_ready.interaction_sentiment as moods set sentiment = greatest(-1, sentiment - 0.9)
    from pay_ready.interaction_records as records
    join pay_ready.interaction_entities as links on links.tenant_id = records.tenant_id and links.interaction_id = records.interaction_id
    where records.tenant_id = %(tenant)s and moods.tenant_id = records.tenant_id and moods.interaction_id = records.interaction_id
      and records.occurred_at >= %(since)s and links.entity_id = %(account)s::uuid
"""


def test_still_figures_are_still(house: House) -> None:
    """All six figures are looked at, of accounts, the source and the tenant; a second look at a later hour of the day is the same."""
    report = house.looked()
    assert report.found == ()
    assert report.looked == 6 * 2 + 4 * ACCOUNTS  # of an account too few talks, and nobody's records broken
    assert set(report.seconds_by_metric) == set(METRICS)


def test_windows_are_half_open_and_share_nothing() -> None:
    """Fourteen whole days up to midnight, and the ninety before them."""
    windows = windows_of(NOW, OPTIONS)
    assert (windows.since.date(), windows.split.date(), windows.until.date()) == (date(2026, 2, 17), date(2026, 5, 18), date(2026, 6, 1))


def test_a_finding_is_of_its_account_and_is_told_once(house: House, scratch: Scratch) -> None:
    """Found, stored, told; seen again the next day it is the same row; another tenant has none; gone it ends; back, it is not told anew."""
    other = House(house.app, scratch, "other-of-told")
    house.changes(OF_ACCOUNT)
    first = house.looked()
    assert found(first) == {("sentiment", "account", "down")}
    assert [(each.finding.subject_id, each.name, each.level) for each in first.fresh] == [(house.account, "Account 0", "critical")]
    again, tomorrow = house.looked(), house.looked(NOW + timedelta(days=1))
    assert (again.fresh, tomorrow.fresh) == ((), ())
    assert {each.finding.finding_id for each in tomorrow.found} == {each.finding.finding_id for each in first.found}
    assert other.looked().found == ()
    house.changes(OF_ACCOUNT.replace("greatest(-1, sentiment - 0.9)", "sin(hashtext(moods.interaction_id::text)) * 0.2"))
    assert (house.looked().ended, house.looked().found) == (1, ())
    house.changes(OF_ACCOUNT)
    back = house.looked()
    assert (found(back), back.fresh) == ({("sentiment", "account", "down")}, ())


_OF_PEOPLE = """
    update pay_ready.entity_versions as versions set record_count = 1
    from pay_ready.person_records as people
    join pay_ready.landed_records as landed
        on landed.tenant_id = people.tenant_id and landed.record_key = people.record_key and landed.stream = people.stream
    join pay_ready.assignments as assigned on assigned.tenant_id = people.tenant_id and assigned.record_id = people.record_id
    where people.tenant_id = %(tenant)s and versions.tenant_id = people.tenant_id and versions.entity_id = assigned.entity_id
      and landed.first_landed_at >= %(since)s
"""
_OF_TALKS = """
    update pay_ready.interaction_turns as turns set end_s = turns.start_s + 60 from pay_ready.interaction_records as records
    where records.tenant_id = %(tenant)s and turns.tenant_id = records.tenant_id and turns.record_id = records.record_id
      and records.occurred_at >= %(since)s and turns.speaker_key = 's0'
"""
_OF_SYNCS = """
    update pay_ready.stream_runs as streams set staged = 440, stage_quarantined = 60 from pay_ready.sync_runs as runs
    where runs.tenant_id = %(tenant)s and streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
      and runs.started_at >= %(since)s
"""
_OF_ANSWERS = """
    update pay_ready.interaction_records set occurred_at = occurred_at + interval '1 hour'
    where tenant_id = %(tenant)s and occurred_at >= %(since)s and direction = 'outbound'
"""
_OF_MESSAGES = """
    delete from pay_ready.interaction_records
    where tenant_id = %(tenant)s and occurred_at >= %(since)s and record_key::int / 4 %% 2 = 0
"""
# The statement that moves a figure, whose it is then, and where it goes.
CHANGES = {
    "response_time": (_OF_ANSWERS, {"tenant", "source", "account"}, "up"),
    "talk_ratio": (_OF_TALKS, {"tenant", "source"}, "up"),
    "volume": (_OF_MESSAGES, {"tenant", "source", "account"}, "down"),
    "match_rate": (_OF_PEOPLE, {"tenant", "source", "account"}, "down"),
    "quarantine_rate": (_OF_SYNCS, {"tenant", "source"}, "up"),
}


def test_each_figure_drifts_alone(house: House) -> None:
    """Each of the other five, moved by itself: found of those that it is of, and of nobody else's figure."""
    assert house.looked().found == ()
    for metric, (statement, of, direction) in CHANGES.items():
        house.changes(statement, NOW - timedelta(days=14.5))
        report = house.looked(options=replace(OPTIONS, metrics=(metric,)))  # type: ignore[arg-type]
        assert {each.finding.subject_kind for each in report.found} == of, metric
        assert {each.finding.direction for each in report.found} == {direction}, metric


def test_what_an_operator_says_stays(house: House) -> None:
    """Critical: exit 7, until it is called expected; said of the row, kept with its reason, in the audit, through further looks."""
    house.changes(OF_ACCOUNT)
    report = find_drift(replace(house.app.work(house.slug), drift=OPTIONS), RunId(new_id()), now=NOW)
    with pytest.raises(CheckFailedError, match="drift judge") as caught:
        report.raise_for_failure()
    assert caught.value.exit_code == 7
    finding = report.found[0].finding.finding_id
    judge_finding(house.app.database, house.tenant, house.slug, str(finding)[:8], "expected", reason="new contract", actor="ann")
    later = house.looked(NOW + timedelta(days=1))
    later.raise_for_failure()
    assert later.found[0].finding.judgement == "expected"
    with house.app.database.tenant_transaction(house.tenant) as tx:
        assert [(each.judgement, each.reason, each.judged_by) for each in drift.judgements(tx, finding)] == [
            ("expected", "new contract", "ann")
        ]
    with pytest.raises(NotFoundError):
        judge_finding(house.app.database, house.tenant, house.slug, "ffff", "real", reason="x", actor="ann")
    with psycopg.connect(house.scratch.admin_url) as admin:
        steps = admin.execute("select status from pay_ready.step_runs where tenant_id = %s and step = 'drift'", (house.tenant,)).fetchall()
        said = admin.execute(
            "select count(*) from pay_ready.audit_events where tenant_id = %s and action = 'drift.judged'", (house.tenant,)
        )
        assert (steps, said.fetchall()) == ([("complete",)], [(1,)])


def test_commands(house: House, tmp_path: Path) -> None:
    """check (exit 7), report with a line of weeks, a plot and its filters, judge, bounds of the tenant's own."""
    house.changes(OF_ACCOUNT)
    environment = {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "PAY_READY_HOME": str(tmp_path / "state"),
        "PAY_READY_DATABASE_URL": house.scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": house.scratch.admin_url,
    }  # fmt: skip

    def command(*words: str, code: int = 0, **more: str) -> str:
        done = called(["drift", *words, "-t", house.slug], {**environment, **more}, tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout

    day = ("--as-of", "2026-06-01")
    strict = {"PAY_READY_DRIFT__CRITICAL_SEVERITY": "0.99", "PAY_READY_DRIFT__HIGH_SEVERITY": "0.98"}
    assert "nothing drifts" in command("report", *day, **strict)
    assert "new: 1, ended: 0" in command("check", *day, code=7)
    told = command("report", *day, "--plot", "drift.svg")
    assert "Account 0" in told
    assert "|▁" in told
    assert (tmp_path / "drift.svg").read_text().startswith("<svg")
    assert "nothing drifts" in command("report", *day, "--account", "Account 1")
    assert "nothing drifts" in command("report", *day, "--metric", "volume")
    command("report", "--metric", "moods", code=2)
    (one,) = json.loads(command("report", *day, "--json"))["data"]["found"]
    command("judge", one["finding"]["finding_id"][:8], "--as", "expected", "--reason", "they moved")
    assert "new: 0, ended: 0" in command("check", *day)
