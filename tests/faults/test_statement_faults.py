"""Every statement of a sync fails once, before or after the server carried it out: the end is the same, and each record counts once.

PAY_READY_FAULT_SAMPLES sets how many pairs of statement and fault are tried (all under PAY_READY_TEST_DEEP=1),
PAY_READY_FAULT_SEED which.
"""

import gc
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from pay_ready.app import App, open_app
from pay_ready.db import audit as db_audit
from pay_ready.db import sources, tenants
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import TransientError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.etl import run_etl
from pay_ready.pipeline.feed import NewSource
from pay_ready.pipeline.feed import add_source as add_feed
from pay_ready.pipeline.land import commit_queue
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from pay_ready.pipeline.stage import check_equations
from pay_ready.pipeline.work import TenantWork
from pay_ready.settings import Environment
from pay_ready.sources.catalog import ConfiguredCatalog
from tests.conftest import Scratch
from tests.faults.landed_oracle import Saved, landed, scripted_here
from tests.faults.proxy import PostgresProxy, Rule, postgres_proxy
from tests.faults.support import opened
from tests.faults.test_stage_crash import prepare, stage, wipe
from tests.landing_support import add_source, catalog, stream_of
from tests.staging_support import desk_mapping, dump, make_desk

SEED = int(os.environ.get("PAY_READY_FAULT_SEED", "20261125"))
IS_DEEP = os.environ.get("PAY_READY_TEST_DEEP") == "1"
SAMPLES = int(os.environ.get("PAY_READY_FAULT_SAMPLES", "12"))
FAULTS = ("cut", "torn", "reset", "swallow")
OPTIONS = SyncOptions(limits=FlushLimits(rows=30), retry_wait_s=0.01)
# One connection, so that statement N is the same one each time.
POOL = PoolOptions(max_size=1, overflow=0)

# An incremental stream and a refresh that drops what is gone, before and after; each n-th row changes, some come twice.
BEFORE: dict[str, Any] = {"streams": {"people": 60, "companies": 30}, "state_every": 20, "duplicate_every": 15}
AFTER: dict[str, Any] = {**BEFORE, "streams": {"people": 140, "companies": 24}, "revision": 1}


def streams() -> ConfiguredCatalog:
    """How they are read."""
    return catalog(stream_of("people"), stream_of("companies", mode="full_refresh", write="overwrite"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sync that is to be disturbed, and how it ends when it is not."""

    tenant: TenantId
    scratch: Scratch
    saved: Saved
    proxy: PostgresProxy
    expected: str
    units: tuple[str, ...]

    def end(self) -> str:
        """How it ended."""
        return landed(self.scratch, resumable=["people"])


def sync(url: str, tenant: TenantId) -> SyncReport:
    """One run with a pool of its own."""
    with opened(url, POOL) as database:
        return sync_source(database, tenant, "crm", scripted_here(broken=[b'"id":77,']), streams(), options=OPTIONS)


@pytest.fixture
def case(database: Database, tenant: TenantId, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """The second sync of a source, over a proxy."""
    monkeypatch.setattr(commit_queue, "MOST_WAITING", 0)  # else it is chance which flushes go together
    source = add_source(database, tenant, settings=BEFORE)
    assert sync(scratch.app_url, tenant).status == "complete"
    with database.tenant_transaction(tenant) as tx:
        sources.change_config(tx, source, source.config.model_copy(update={"settings": AFTER}), actor="tests")
    saved = Saved(scratch)
    with postgres_proxy(scratch.app_url) as proxy:
        report = sync(proxy.url, tenant)
        assert report.status == "complete"
        assert {each.stream: (each.emitted, each.quarantined, each.tombstoned) for each in report.streams} == {
            "people": (85, 1, 0), "companies": (25, 0, 6),
        }  # fmt: skip
        yield Case(
            tenant=tenant, scratch=scratch, saved=saved, proxy=proxy, units=tuple(proxy.units),
            expected=landed(scratch, resumable=["people"]),
        )  # fmt: skip


def sample(units: int, samples: int, *, most: int = 1_000_000) -> list[tuple[int, str]]:
    """Pairs of statement and fault: some, or all (at most so many); the first and the last statement are always among them."""
    pairs = list(product(range(1, units + 1), FAULTS))
    count = min(len(pairs) - 2, most) if IS_DEEP else samples
    chosen = [pairs[0], pairs[-1], *random.Random(SEED).sample(pairs[1:-1], count)]
    sys.stdout.write(f"seed {SEED}, {len(chosen)} of {len(pairs)} pairs of statement and fault\n")
    return chosen


@pytest.mark.timeout(3_600)
def test_any_statement_of_a_sync_may_fail(case: Case) -> None:
    """Cut, torn, reset or its answer swallowed: the run goes on by itself, and what it leaves equals an undisturbed run's.

    Each commit whose answer is lost is among those tried. Only what comes before the run (the look at the database when its
    pool is opened) is said to the caller: retry later.
    """
    begins = next(number for number, text in enumerate(case.units) if text.startswith("set ") and ";" in text)
    commits = [(number, "swallow") for number, text in enumerate(case.units, 1) if text == "COMMIT"]
    pairs = list(dict.fromkeys([*commits, *sample(len(case.units), SAMPLES)]))
    wrong = []
    for unit, fault in pairs:
        case.saved.restore()
        case.proxy.forget()
        case.proxy.fail(Rule(fault=fault, unit=unit))  # type: ignore[arg-type]
        calls = calls_until_complete(case)
        if case.end() != case.expected or not case.proxy.happened or calls != (1 if unit > begins else 2):
            wrong.append((unit, fault, case.units[unit - 1][:60], calls))
    assert wrong == []


def calls_until_complete(case: Case) -> int:
    """How often the sync is called until it is complete; each time before, it says that it may be tried again."""
    for call in range(1, 4):
        try:
            report = sync(case.proxy.url, case.tenant)
        except TransientError:
            continue
        if report.status == "complete":
            return call
        assert isinstance(report.error, TransientError), report.error
    raise AssertionError("never complete")


def test_pages_whose_end_is_lost_leave_nothing_open(scratch: Scratch, tenant: TenantId) -> None:
    """The CLOSE of a server's cursor is cut off: it is said once, and psycopg warns of no cursor that was left."""
    with postgres_proxy(scratch.app_url) as proxy, opened(proxy.url, POOL) as database:
        proxy.fail(Rule(fault="cut", text="CLOSE"))
        with pytest.raises(TransientError), database.tenant_transaction(tenant) as tx:
            list(db_audit.stream(tx, first_seq=1))
        assert proxy.happened
        gc.collect()
        with database.tenant_transaction(tenant) as tx:
            assert list(db_audit.stream(tx, first_seq=1))


@pytest.mark.timeout(3_600)
def test_any_statement_of_staging_may_fail(database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path) -> None:
    """A page that was lost is done again at once: typed rows, quarantine and counts equal those of an undisturbed staging."""
    desk, mapping = make_desk(database, tenant), desk_mapping(tmp_path)
    with postgres_proxy(scratch.app_url) as proxy:

        def disturbed(rule: Rule | None) -> list[str]:
            runs = prepare(desk, mapping)
            with opened(proxy.url, POOL) as through:
                proxy.forget()
                if rule:
                    proxy.fail(rule)
                stage(replace(desk, database=through), mapping)
            with database.tenant_transaction(tenant) as tx:
                waiting = sum(each.waiting for run in runs for each in check_equations(tx, run))
            found = [*dump(scratch.admin_url, tenant), f"waiting: {waiting}"]
            wipe(scratch.admin_url)
            return found

        expected = disturbed(None)
        units = tuple(proxy.units)
        wrong = []
        for unit, fault in sample(len(units), SAMPLES // 4, most=400):
            if disturbed(Rule(fault=fault, unit=unit)) != expected or not proxy.happened:  # type: ignore[arg-type]
                wrong.append((unit, fault, units[unit - 1][:60]))
    assert wrong == []


@pytest.mark.timeout(3_600)
def test_any_statement_of_a_whole_run_may_fail(scratch: Scratch, tmp_path: Path) -> None:
    """Sync, stage, resolve, publish: the run goes on by itself, and what it published equals an undisturbed run's."""
    make_export(tmp_path)
    with postgres_proxy(scratch.app_url) as proxy:
        environment = Environment(home=tmp_path / "state", database_url=SecretStr(proxy.url))
        with open_app(environment) as app:

            def disturbed(slug: str, rule: Rule | None) -> list[Any]:
                proxy.forget()
                work = make_work(app, slug, tmp_path / "exports")
                proxy.forget()
                if rule:
                    proxy.fail(rule)
                report = run_etl(work)
                assert report.status == "complete", report
                return published(scratch, work.tenant)

            expected = disturbed("undisturbed", None)
            units = tuple(proxy.units)
            bulk = next(number for number, text in enumerate(units, 1) if text.lower().startswith("copy ("))
            published_at = next(number for number, text in enumerate(units, 1) if "pay_ready.memory_embedders" in text)
            after = sample(len(units) - published_at, SAMPLES // 6, most=200)  # the steps that follow, too
            pairs = [
                (bulk, "cut"),
                *sample(len(units), SAMPLES // 8, most=200),
                *((published_at + number, fault) for number, fault in after),
            ]
            wrong = []
            for unit, fault in dict.fromkeys(pairs):
                if disturbed(f"at-{unit}-{fault}", Rule(fault=fault, unit=unit)) != expected:  # type: ignore[arg-type]
                    wrong.append((unit, fault, units[unit - 1][:60]))
    assert wrong == []


def make_export(folder: Path) -> None:
    """Three contacts of two companies and two notes about them, as export files."""
    exports = folder / "exports"
    exports.mkdir()
    times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False}
    for stream, count in (("contacts", 3), ("companies", 2)):
        rows = [{"id": str(n), **times, "properties": {"email": f"p{n}@customer.example", "name": f"Firm {n}"}} for n in range(count)]
        (exports / f"{stream}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = {"hs_timestamp": "2026-01-01T10:00:00Z", "hs_note_body": "They love the new product. The price is a problem."}
    notes = [{"id": f"9{n}", **times, "properties": said, "contacts": [str(n)]} for n in range(2)]
    (exports / "engagements_notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in notes))


def make_work(app: App, slug: str, exports: Path) -> TenantWork:
    """A new tenant that has these export files as a source."""
    tenant = app.tenant_id(slug)
    with app.database.tenant_transaction(tenant) as tx:
        tenants.create(tx, slug=slug, name="Acme", settings={"schema_version": 1}, actor="tests")
    source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(exports)})
    add_feed(app.database, tenant, source, app.feed, lambda: app.keyring, actor="tests")
    work = app.work(slug)
    return replace(work, options=replace(work.options, retry_wait_s=0.01))


def published(scratch: Scratch, tenant: TenantId) -> list[Any]:
    """What stands of a tenant, and that no step looks alive."""
    counts = """
        select
            (select count(*) from pay_ready.landed_records where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.person_records where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.company_records where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.assignments where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.entities where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.memories where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.interaction_sentiment where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.memory_outbox where tenant_id = %(tenant)s),
            (select count(*) from pay_ready.step_runs where tenant_id = %(tenant)s and status <> 'complete'),
            (select count(*) from pay_ready.leases where tenant_id = %(tenant)s)
    """
    with psycopg.connect(scratch.admin_url) as admin:
        return admin.execute(counts, {"tenant": tenant}).fetchall()
