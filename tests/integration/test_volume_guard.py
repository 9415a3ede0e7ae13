"""The volume guard: what would publish an empty or far smaller stream stops before it is published."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import entities, sources, tenants, volume
from pay_ready.db.sources import SourceConfigV1, StreamConfigV1
from pay_ready.errors import HeldBackError
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline.bring_in import bring_in
from pay_ready.pipeline.etl import EtlReport, resolve_step, run_etl
from pay_ready.pipeline.feed import Feed, NewSource, add_source
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.runs import show_run
from pay_ready.pipeline.work import TenantWork
from pay_ready.secrets import Keyring, generate_key
from pay_ready.settings import Environment
from pay_ready.sources.connector import ConnectorCommand
from tests.conftest import Scratch
from tests.scripted_source import ARGV

MAPPING = """
kind = "crm"
version = 1
title = "Scripted"

[streams.people]
reference = "user"
[streams.people.person]
id = "id"
full_name = "name"

[streams.few]
ignore = "not about anybody"
"""
REFRESH = StreamConfigV1(sync_mode="full_refresh", destination_sync_mode="overwrite")

Counts = dict[str, int]


@pytest.fixture
def app(scratch: Scratch, tmp_path: Path) -> Iterator[App]:
    """The app on this test's database."""
    environment = Environment(home=tmp_path / "state", database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
    with open_app(environment) as opened:
        yield opened


def make_work(app: App, slug: str) -> TenantWork:
    """A tenant's pipeline, made with the tenant."""
    with app.database.tenant_transaction(app.tenant_id(slug)) as tx:
        tenants.create(tx, slug=slug, name=slug, settings={"schema_version": 1}, actor="tests")
    work = app.work(slug)
    return replace(work, options=replace(work.options, retry_wait_s=0.01))


def accepting(work: TenantWork) -> TenantWork:
    """The same with --accept-shrink."""
    return replace(work, options=replace(work.options, guard=ShrinkGuard(accept=True)))


class Refreshing:
    """A tenant with the scripted connector as its source crm, whose streams are refreshed each night."""

    def __init__(self, app: App, folder: Path, slug: str = "acme") -> None:
        mapping = folder / "crm.toml"
        mapping.write_text(MAPPING)
        command = ConnectorCommand(argv=ARGV, name="scripted", version="1", home=folder)
        feed = Feed(command=command, mapping=load_mapping(mapping), is_replay=False)
        keyring = Keyring.from_text(generate_key())
        self.work = replace(make_work(app, slug), feed=lambda _: feed, keyring=lambda: keyring)
        with self.work.database.tenant_transaction(self.work.tenant) as tx:
            sources.add(
                tx, name="crm", kind="crm", ingest_mode="connector", connector="scripted", config=_config({"people": 1}), actor="tests"
            )

    def offers(self, **rows: int) -> None:
        """What the source has tonight."""
        with self.work.database.tenant_transaction(self.work.tenant) as tx:
            sources.change_config(tx, sources.require(tx, "crm"), _config(rows), actor="tests")

    def night(self, work: TenantWork | None = None, **rows: int) -> EtlReport:
        """A run of the whole pipeline."""
        self.offers(**rows)
        return run_etl(work or self.work)


def _config(rows: Counts) -> SourceConfigV1:
    return SourceConfigV1(settings={"streams": rows, "state_every": 0}, streams=dict.fromkeys(rows, REFRESH))


def baselines(work: TenantWork, scratch: Scratch) -> dict[str, int | None]:
    """Rows of each stream when it was published last."""
    with psycopg.connect(scratch.admin_url) as connection:
        found = connection.execute(
            "select stream, published_rows from pay_ready.stream_states where tenant_id = %s and stream <> ''", (work.tenant,)
        )
        return dict(found.fetchall())


def published_people(work: TenantWork) -> tuple[int, int]:
    """People as readers see them, and the published version."""
    with work.database.tenant_transaction(work.tenant) as tx:
        counts = entities.counts(tx)
        return counts.people, counts.run_no


def seen(scratch: Scratch, text: str) -> list[tuple[Any, ...]]:
    """What the administrator sees."""
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(text.encode()).fetchall()


def test_a_refresh_that_empties_a_stream_is_not_published(app: App, scratch: Scratch, tmp_path: Path) -> None:
    """1,000 rows, then none: nothing is dropped, resolved or published, night after night, until somebody says that it is right."""
    crm = Refreshing(app, tmp_path)
    assert crm.night(people=1000).status == "complete"
    assert baselines(crm.work, scratch) == {"people": 1000}
    before = published_people(crm.work)
    for _ in range(2):
        report = crm.night(people=0)
        assert (report.status, report.resolve, published_people(crm.work)) == ("failed", None, before)
        with pytest.raises(HeldBackError, match="source=crm, stream=people, before=1000, now=0") as held:
            report.raise_for_failure()
        assert held.value.hint.endswith("pay-ready run etl --tenant acme --accept-shrink")
        assert baselines(crm.work, scratch) == {"people": 1000}
    steps = seen(scratch, f"select step, status, error_class from pay_ready.step_runs where run_id = '{report.run_id}' order by started_at")
    assert steps == [
        ("sync", "partial", None), ("stage", "complete", None), ("quality", "complete", None), ("volume", "failed", "HeldBackError"),
    ]  # fmt: skip
    checked = seen(scratch, "select check_name, subject, passed, measured from pay_ready.quality_results order by checked_at desc limit 1")
    assert checked == [("volume", "crm/people", False, 0.0)]
    assert report.sources[0].sync is not None
    shown = show_run(crm.work.database, crm.work.tenant, str(report.sources[0].sync.run_id))
    assert shown.report is not None
    assert [(each.stream, each.before, each.now, each.reason) for each in shown.report.held] == [
        ("people", 1000, 0, "refresh_not_believed")
    ]
    assert "stage" in shown.report.seconds_by_step
    accepted = crm.night(accepting(crm.work), people=0)
    assert (accepted.status, published_people(crm.work)[0], baselines(crm.work, scratch)) == ("complete", 0, {"people": 0})
    assert crm.night(people=0).status == "complete"


def test_a_small_stream_does_not_halt_a_night(app: App, scratch: Scratch, tmp_path: Path) -> None:
    """A first load has nothing to be compared with, and twenty rows may go as they like; the baseline follows them."""
    crm = Refreshing(app, tmp_path)
    assert crm.night(people=20, few=199).status == "complete"
    report = crm.night(people=0, few=0)
    assert (report.status, report.held, published_people(crm.work)[0]) == ("complete", None, 0)
    assert baselines(crm.work, scratch) == {"people": 0, "few": 0}


def test_losses_that_the_brake_lets_pass_add_up(app: App, scratch: Scratch, tmp_path: Path) -> None:
    """Nine percent a sync: twice without a publish between them is more than ten, and `run resolve` alone stops, too."""
    crm = Refreshing(app, tmp_path)
    crm.night(few=300)
    for rows in (275, 252):
        crm.offers(few=rows)
        assert bring_in(crm.work, "crm", RunId(new_id())).error is None
    with pytest.raises(HeldBackError, match="stream=few, before=300, now=252"):
        resolve_step(crm.work, RunId(new_id()))
    assert resolve_step(accepting(crm.work), RunId(new_id())).run_no is None  # nothing to change: the baseline moves even so
    assert baselines(crm.work, scratch) == {"few": 252}
    assert resolve_step(crm.work, RunId(new_id())).run_no is None


def test_another_tenant_is_published_as_ever(app: App, scratch: Scratch, tmp_path: Path) -> None:
    """What holds one tenant back is no business of another's, nor is its baseline."""
    acme, other = Refreshing(app, tmp_path), Refreshing(app, tmp_path, "other")
    for each in (acme, other):
        each.night(few=250)
    assert acme.night(few=0).held is not None
    assert other.night(few=251).status == "complete"
    assert (baselines(acme.work, scratch), baselines(other.work, scratch)) == ({"few": 250}, {"few": 251})


Export = Callable[..., None]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes HubSpot contacts to a source's export file; deleted ones say so themselves."""

    def write(name: str, count: int, *, day: int, deleted: bool = False) -> None:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": f"2026-01-{day:02}T00:00:00Z", "archived": False}
        gone = {"_ab_cdc_deleted_at": f"2026-01-{day:02}T00:00:00Z"} if deleted else {}
        rows = [
            {"id": str(n), **times, **gone, "properties": {"email": f"p{n}@{name}.example" if n else "no address"}} for n in range(count)
        ]
        (folder / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write


@pytest.fixture
def exported(app: App, export: Export, tmp_path: Path) -> TenantWork:
    """A tenant with two sources of export files: crm (250 contacts) and shop (3)."""
    work = make_work(app, "acme")
    for name, count in (("crm", 250), ("shop", 3)):
        export(name, count, day=2)
        source = NewSource(name=name, kind="hubspot", connector=None, settings={"path": str(tmp_path / name)})
        add_source(app.database, work.tenant, source, app.feed, lambda: app.keyring, actor="tests")
    return work


def test_records_that_delete_a_stream_are_not_published(exported: TenantWork, export: Export, scratch: Scratch) -> None:
    """The rows are gone in landing; whichever way it is published, it is not, until they are back or their loss is accepted."""
    export("crm", 1000, day=2)
    assert run_etl(exported).status == "complete"
    before = published_people(exported)
    export("crm", 1000, day=3, deleted=True)
    report = run_etl(exported)
    assert (report.status, report.sources[0].equations[0].deleted) == ("failed", 1000)
    for attempt in (lambda: run_etl(exported, ["shop"]).raise_for_failure(), lambda: resolve_step(exported, RunId(new_id()))):
        with pytest.raises(HeldBackError, match="source=crm, stream=contacts, before=1000, now=0"):
            attempt()
    assert published_people(exported) == before
    export("crm", 950, day=4)
    back = run_etl(exported)
    assert (back.status, published_people(exported)[0]) == ("complete", 949 + 2)
    assert seen(scratch, "select published_rows from pay_ready.stream_states where stream = 'contacts' order by 1 desc") == [(950,), (3,)]


def test_only_streams_that_changed_are_counted(exported: TenantWork, export: Export) -> None:
    """After a publish none; after a sync those whose rows it changed, also when nothing of it was worth publishing."""
    run_etl(exported)
    assert _changed(exported) == []
    export("shop", 1, day=5)  # the one whose address is none: quarantined before, and again
    report = run_etl(exported)
    assert report.resolve is not None
    assert report.resolve.run_no is None
    assert _changed(exported) == []
    bring_in(exported, "crm", RunId(new_id()))
    export("shop", 4, day=6)
    bring_in(exported, "shop", RunId(new_id()))
    assert _changed(exported) == [("shop", "contacts", 3, 4)]


def _changed(work: TenantWork) -> list[tuple[str, str, int | None, int]]:
    with work.database.tenant_transaction(work.tenant) as tx:
        return [(each.source, each.stream, each.before, each.now) for each in volume.changed_streams(tx)]
