"""Data quality: what a rule finds, what holds a publish back, what an operator's own statement may do; and how runs are looked back at."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import entities, quality, tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConfigError, IsolationError, QualityError, RetryLaterError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.etl import EtlReport, run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.pipeline.quality.check import QualityReport, check_entities, check_streams
from pay_ready.pipeline.quality.rules import Rule, load_rules
from pay_ready.pipeline.run_stats import stats_of, trend_of
from pay_ready.resources import resource_path
from pay_ready.settings import Environment
from tests.command_support import called
from tests.conftest import Scratch, Server, cloned

SHIPPED = resource_path("config", "quality")
RUNS = 1000


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
    """A tenant with HubSpot export files."""

    def __init__(self, app: App, slug: str, folder: Path) -> None:
        self.app, self.slug, self.tenant = app, slug, app.tenant_id(slug)
        self.exports = folder / slug
        self.exports.mkdir()
        with app.database.tenant_transaction(self.tenant) as tx:
            tenants.create(tx, slug=slug, name=slug, settings={"schema_version": 1}, actor="tests")
        source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(self.exports)})
        self.brings(contacts=[])
        add_source(app.database, self.tenant, source, app.feed, lambda: app.keyring, actor="tests")

    def brings(self, **streams: Sequence[Mapping[str, Any]]) -> None:
        """What the export files hold from now on."""
        for stream, rows in streams.items():
            (self.exports / f"{stream}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def rules_are(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        """The tenant's own rules."""
        with self.app.database.tenant_transaction(self.tenant) as tx:
            tenants.change_settings(tx, {"schema_version": 1, "quality": {"rules": rules}}, actor="tests", reason=None)

    def ran(self) -> EtlReport:
        """A run up to its publish."""
        return run_etl(replace(self.app.work(self.slug), memory=None))

    def people(self) -> int:
        """That are published."""
        with self.app.database.tenant_transaction(self.tenant) as tx:
            return entities.counts(tx).people

    def checked(self, *rules: Rule, now: datetime | None = None) -> QualityReport:
        """What these rules find of the streams."""
        return check_streams(self.app.database, self.tenant, self.slug, rules, is_whole=True, now=now)


@pytest.fixture
def house(app: App, tmp_path: Path, request: pytest.FixtureRequest) -> House:
    """A tenant named after the test."""
    slug = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    return House(app, slug, tmp_path)


def contact(number: int, **properties: object) -> dict[str, Any]:
    """A HubSpot contact with an address, unless that is None."""
    times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": f"2026-01-02T00:00:{number % 60:02}Z"}
    own = {"email": f"p{number}@b{number}.example", "firstname": "Ann", "lastname": f"Abel{number}", **properties}
    return {"id": str(number), **times, "archived": False, "properties": own}


STRICT = {"hubspot.contacts.email": {"severity": "error", "max_percent": 10}}


def test_an_error_keeps_a_run_from_publishing_until_it_is_mended(house: House) -> None:
    """Held the first time, held again where nothing changed, published once the rows are whole; each run's results are stored."""
    house.brings(contacts=[contact(n) for n in range(60)])
    house.rules_are(STRICT)
    house.ran().raise_for_failure()
    assert house.people() == 60
    house.brings(contacts=[contact(n, email=None if n < 20 else f"q{n}@c{n}.example", phone=f"+1202555{n:04}") for n in range(90)])
    for _ in range(2):
        report = house.ran()
        with pytest.raises(QualityError, match=r"hubspot\.contacts\.email.*measured=22\.22") as caught:
            report.raise_for_failure()
        assert (caught.value.exit_code, report.status, report.resolve, house.people()) == (7, "failed", None, 60)
    with house.app.database.tenant_transaction(house.tenant) as tx:
        runs = quality.history(tx, 10)
        first = quality.results(tx, runs[0].run_id)[0]
    assert [each.errors for each in runs] == [1, 1, 0]
    assert (first.check_name, first.subject, first.passed) == ("hubspot.contacts.email", "crm/contacts.email", False)
    house.rules_are({"hubspot.contacts.email": {"severity": "warn", "max_percent": 10}})
    report = house.ran()
    report.raise_for_failure()
    assert report.quality is not None
    assert [each.rule_id for each in report.quality.failed] == ["hubspot.contacts.email"]
    assert house.people() == 90


def rule(check: str, **keys: object) -> str:
    """A rule as a file says it."""
    words = {"id": "own", "check": check, **keys}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in words.items())


def loaded(folder: Path, *rules: str) -> tuple[Rule, ...]:
    """Rules of a folder that holds nothing else."""
    own = folder / "rules"
    own.mkdir(exist_ok=True)
    (own / "default.toml").write_text(
        "schema_version = 1\n" + "".join(f"[[rule]]\n{each}".replace('"own"', f'"own{number}"') for number, each in enumerate(rules))
    )
    return load_rules(own)


def test_each_check_measures_what_it_says(house: House, tmp_path: Path) -> None:
    """One statement a kind of row, whatever the number of rules; each figure by hand."""
    rows = [contact(n, jobtitle="CEO" if n < 5 else "CFO", lastname="Same" if n < 4 else f"Abel{n}") for n in range(8)]
    house.brings(contacts=[*rows, contact(8, email=None, phone="+12025550108", city="X" * 40)], companies=[])
    house.ran().raise_for_failure()
    on = {"of": "people", "streams": ["contacts"]}
    wanted = {
        rule("null_rate", field="email", max_percent=0, **on): 100 / 9,
        rule("distinct_rate", field="title", min_percent=50, **on): 25.0,
        rule("length", field="city", max_length=39, **on): 100 / 9,
        rule("accepted_values", field="title", values=["CEO"], **on): 100 * 3 / 9,
        rule("unique", fields=["first_name", "last_name"], **on): 100 * 3 / 9,
        rule("relationship", to="company", **on): 0.0,
        rule("volume", min_rows=10, streams=["contacts"]): 9.0,
        rule("schema_change"): 0.0,
        rule("freshness", max_age_hours=1, field="updated_at", **on): 24.0,
        rule("null_rate", field="more.nothing", max_percent=50, **on): 100.0,
    }
    report = house.checked(*loaded(tmp_path, *wanted), now=datetime(2026, 1, 3, 0, 0, 8, tzinfo=UTC))
    found = {each.rule_id: each for each in report.results if each.subject.startswith("crm/contacts")}
    assert [found[f"own{number}"].measured for number in range(len(wanted))] == pytest.approx(list(wanted.values()), abs=1e-3)
    held = {5, 7}
    assert [found[f"own{number}"].is_failed for number in range(len(wanted))] == [number not in held for number in range(len(wanted))]
    assert report.statements == 2 + 3  # the streams, the schemas, and people, companies and interactions of the one source
    assert house.checked(*loaded(tmp_path, *[next(iter(wanted))] * 50)).statements == 2


def test_freshness_and_few_rows(house: House, tmp_path: Path) -> None:
    """A stream that was not read for two days is stale; five rows are too few to be judged where ten are wanted."""
    house.brings(contacts=[contact(n, email=None, phone=f"+1202555{n:04}") for n in range(5)])
    house.ran().raise_for_failure()
    fresh = rule("freshness", max_age_hours=48)
    few = rule("null_rate", of="people", field="email", max_percent=0, from_rows=10)
    for hours, states in ((47, ["passed", "skipped"]), (49, ["warn", "skipped"])):
        report = house.checked(*loaded(tmp_path, fresh, few), now=datetime.now(UTC) + timedelta(hours=hours))
        assert [each.state for each in sorted(report.results, key=lambda each: each.rule_id)] == states


def test_entities_are_looked_at_after_a_publish(house: House, tmp_path: Path) -> None:
    """Sizes, singletons, probabilities, over-merging; too few reviews say nothing."""
    same = [contact(n, email="one@b.example", firstname="Ann", lastname="Abel") for n in range(4)]
    house.brings(contacts=[*same, *(contact(n) for n in range(10, 16))])
    report = house.ran()
    assert report.entities is not None
    assert report.entities.histograms["person"][-1] == 4
    rules = loaded(
        tmp_path,
        rule("cluster_max", entity="person", at_most=3),
        rule("singleton_share", entity="person", max_percent=50),
        rule("match_probability", entity="person", below=0.5, max_percent=0),
        rule("over_merge", entity="person", max_values=1),
        rule("review_agreement", min_percent=80),
        rule("cluster_p99", entity="company", at_most=1, from_rows=1000),
    )
    found = check_entities(house.app.database, house.tenant, house.slug, rules).results
    assert [(each.measured, each.state) for each in found] == [
        (4.0, "warn"), (pytest.approx(100 * 6 / 7, abs=1e-3), "warn"), (0.0, "passed"), (0.0, "passed"), (None, "skipped"),
        (None, "skipped"),
    ]  # fmt: skip


def own(app: App, tenant: TenantId, statement: str, timeout_s: float = 5.0) -> float | None:
    """What a statement of one's own gives."""
    return quality.own_figure(app.database, tenant, statement, timeout_s)


def test_a_statement_of_ones_own_reads_its_tenant_alone(house: House, tmp_path: Path) -> None:
    """Row security holds, also of a statement that names no tenant; it cannot write, run for ever, or leave its tenant."""
    house.brings(contacts=[contact(n) for n in range(3)])
    house.ran().raise_for_failure()
    other = House(house.app, "other-of-own", tmp_path)
    other.brings(contacts=[contact(n) for n in range(5)])
    other.ran().raise_for_failure()
    count = "select count(*) from pay_ready.person_records where tenant_id = %(tenant_id)s"
    assert own(house.app, house.tenant, count) == 3
    assert own(house.app, house.tenant, "select count(*) from pay_ready.person_records") == 3
    with pytest.raises(ConfigError, match="refuses"):
        own(house.app, house.tenant, "with gone as (delete from pay_ready.person_records returning 1) select count(*) from gone")
    with pytest.raises(RetryLaterError, match="too long"):
        own(house.app, house.tenant, "select count(*) from (select pg_sleep(5)) as slept", 0.05)
    with pytest.raises(ConfigError, match="no number"):
        own(house.app, house.tenant, "select 'seven'::text")
    with pytest.raises(IsolationError):
        own(house.app, house.tenant, f"select count(set_config('app.tenant_id', '{other.tenant}', true))")
    rules = loaded(tmp_path, rule("sql", statement=count, at_most=2, severity="error"))
    with pytest.raises(QualityError, match=r"measured=3"):
        house.checked(*rules).raise_for_failure()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (rule("nul_rate"), ("rule[0].check", 'did you mean "null_rate"?')),
        (rule("null_rate", of="people", field="emial", max_percent=1), ("rule[0].field", 'did you mean "email"?')),
        (rule("null_rate", of="people", field="email"), ("rule[0].max_percent", "needs the key")),
        (rule("null_rate", of="people", field="email", max_percent=101), ("rule[0].max_percent", "0 to 100")),
        (rule("null_rate", of="person", field="email", max_percent=1), ("rule[0].of", "people")),
        (rule("volume"), ("rule[0]", "min_rows")),
        (rule("volume", min_rows=1, severity="fatal"), ("rule[0].severity", "error, off, warn")),
        (rule("volume", min_rows=1, colour="red"), ("rule[0].colour", "min_rows")),
        (rule("schema_change", allowed=["renamed"]), ("rule[0].allowed", "retyped")),
        (rule("sql", statement="delete from x", at_most=0), ("rule[0].statement", "select")),
        (rule("sql", statement="select 1", at_most=0), ("rule[0].statement", "tenant_id = %(tenant_id)s")),
        (rule("sql", statement="select 1; select 2", at_most=0), ("rule[0].statement", ";")),
        (rule("sql", statement="select set_config('a', 'b', true) where tenant_id = %(tenant_id)s", at_most=0), ("set_config",)),
        (rule("sql", statement="select 1 where tenant_id = %(tenant_id)s and a like '%'", at_most=0), ("write %%",)),
    ],
)
def test_a_rule_that_is_off_is_named(written: str, said: tuple[str, ...], tmp_path: Path) -> None:
    """File, key, and what it may be."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, written)
    assert all(word in str(caught.value) for word in ("default.toml", *said)), str(caught.value)


def test_overrides_by_id(tmp_path: Path) -> None:
    """A tenant changes a key, leaves a rule out, has rules of its own; an id that is none is refused with the nearest."""
    by_id = {each.rule_id: each for each in load_rules(SHIPPED)}
    changed = {each.rule_id: each for each in load_rules(SHIPPED, None, {"stream.fresh": {"max_age_hours": 6}})}
    assert (by_id["stream.fresh"].max_age_hours, changed["stream.fresh"].max_age_hours) == (48, 6)
    assert "stream.fresh" not in {each.rule_id for each in load_rules(SHIPPED, None, {"stream.fresh": {"severity": "off"}})}
    with pytest.raises(ConfigError, match=r'tenant settings.*did you mean "stream\.fresh"'):
        load_rules(SHIPPED, None, {"stream.fresch": {}})
    (tmp_path / "hubspot.toml").write_text(
        'schema_version = 1\n[[rule]]\nid = "stream.fresh"\ncheck = "freshness"\nmax_age_hours = 1\n'
        '[[rule]]\nid = "mine"\ncheck = "volume"\nmin_rows = 1\n'
    )
    mixed = {each.rule_id: each for each in load_rules(SHIPPED, tmp_path)}
    assert (mixed["stream.fresh"].kind, mixed["stream.fresh"].max_age_hours, mixed["mine"].kind) == ("hubspot", 1, "hubspot")
    assert {each.kind for each in by_id.values()} == {"", "gong", "hubspot", "salesforce", "slack", "zendesk"}


def test_commands(house: House, scratch: Scratch, tmp_path: Path) -> None:
    """check with exit 7 and JUnit, show, list; stats and trend of the runs."""
    house.brings(contacts=[contact(n, email=None, phone=f"+1202555{n:04}") for n in range(60)])
    house.rules_are({"hubspot.contacts.email": {"severity": "error"}})
    environment = {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "PAY_READY_HOME": str(tmp_path / "state"),
        "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
    }  # fmt: skip

    def command(*words: str, code: int = 0) -> str:
        done = called([*words, "-t", house.slug], environment, tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout

    told = command("run", "etl", code=7)
    assert "quality error: hubspot.contacts.email of crm/contacts.email: 100.00 %, expected at most 50 %" in told
    command("resolve", code=7)
    command("quality", "check", "--junit", "q.xml", code=7)
    assert '<failure message="100.00 %, expected at most 50 %"/>' in (tmp_path / "q.xml").read_text()
    assert "hubspot.contacts.email" in command("quality", "show", "--junit", "s.xml")
    assert 'failures="1"' in (tmp_path / "s.xml").read_text()
    assert [each["errors"] for each in json.loads(command("quality", "show", "--history", "5", "--json"))["data"]] == [1, 1]
    assert "null_rate" in command("quality", "list")
    (etl, resolve) = json.loads(command("runs", "stats", "--json"))["data"]["flows"]
    assert (etl["flow"], etl["figures"]["failed"], resolve["flow"]) == ("etl", 1, "resolve")
    assert "crm/contacts" in command("runs", "trend", "--metric", "stream.rows")
    assert "entities" not in command("runs", "trend", "--metric", "quarantine.open")


def test_figures_of_runs_are_one_statement_each(
    house: House, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of a thousand runs: counts, rates and percentiles by hand, the last try of a step counting; five statements."""
    asked: list[str] = []
    run = TenantTransaction._run

    def counted(self: TenantTransaction, name: str, *rest: Any) -> Any:
        asked.append(name)
        return run(self, name, *rest)

    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(_STEPS_OF_RUNS, {"tenant": house.tenant, "runs": RUNS})  # type: ignore[arg-type]
    monkeypatch.setattr(TenantTransaction, "_run", counted)
    found = stats_of(house.app.database, house.tenant, 400, now=datetime(2026, 11, 1, tzinfo=UTC))
    assert sorted(asked) == [f"run_stats.{name}" for name in ("by_day", "by_flow", "by_step", "errors", "slowest")]
    (etl,) = found.flows
    assert (etl.flow, etl.figures.runs, etl.figures.failed, etl.figures.success_rate) == ("etl", RUNS, RUNS // 10, 0.9)
    quality_step = next(each for each in found.steps if each.step == "quality")
    assert (quality_step.figures.p50, quality_step.figures.p95, quality_step.figures.p99) == pytest.approx((500.5, 950.05, 990.01))
    assert (found.errors[0].error_class, found.errors[0].times, found.errors[0].runs) == ("TransientError", RUNS // 10, RUNS // 10)
    assert found.errors[1].error_class == "HeldBackError"
    assert found.slowest[0].seconds == RUNS
    assert sum(each.figures.runs for each in found.days) == RUNS
    asked.clear()
    trend_of(house.app.database, house.tenant, None, 30, 10)
    assert asked == ["run_stats.trend"]


# Run n: its sync fails once in ten and is tried again, its quality step takes n seconds, its volume step fails once in ten.
_STEPS_OF_RUNS = """
    insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, subject, status, started_at, finished_at, row_count, error_class)
    select %(tenant)s, gen_random_uuid(), md5('run' || n)::uuid, step, subject, status, began + offset_s * interval '1 s',
        began + (offset_s + length_s) * interval '1 s', 7, error_class
    from generate_series(1, %(runs)s) as n
    cross join lateral (select '2026-01-01'::timestamptz + n * interval '6 hours' as began) as times
    cross join lateral (
        select 'sync' as step, 'crm' as subject, 'failed' as status, 0 as offset_s, 1 as length_s, 'TransientError' as error_class
        where n %% 10 = 3
        union all select 'sync', 'crm', 'complete', 2, 1, null
        union all select 'quality', '', 'complete', 4, n, null
        union all select 'volume', '', 'failed', 4, 0, 'HeldBackError' where n %% 10 = 5
    ) as steps
"""
