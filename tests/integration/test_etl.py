"""A run of the whole pipeline is alone with its tenant, and what vanished from a source is never a success."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pay_ready.app import open_app
from pay_ready.db import leases, sources, tenants
from pay_ready.errors import CheckFailedError, PartialError, RetryLaterError
from pay_ready.model.ids import RunId, new_id, tenant_id_of
from pay_ready.model.progress import ProgressEvent
from pay_ready.pipeline.bring_in import bring_in
from pay_ready.pipeline.etl import EtlReport, resolve_step, run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.work import TenantWork, alone
from pay_ready.settings import Environment
from tests.conftest import Scratch

Export = Callable[[str, int], Path]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes HubSpot rows of a stream to its export file; none make it an empty file."""
    folder = tmp_path / "exports"
    folder.mkdir()

    def write(stream: str, count: int) -> Path:
        times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False}
        rows = [{"id": str(n), **times, "properties": {"email": f"p{n}@customer.example", "name": f"Firm {n}"}} for n in range(count)]
        path = folder / f"{stream}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def work(scratch: Scratch, tmp_path: Path, export: Export) -> Iterator[TenantWork]:
    """The pipeline of tenant `acme` with one source `crm`: contacts and companies as export files."""
    export("contacts", 3)
    export("companies", 2)
    environment = Environment(home=tmp_path / "state", database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
    with open_app(environment) as app:
        tenant = app.tenant_id("acme")
        with app.database.tenant_transaction(tenant) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(tmp_path / "exports")})
        add_source(app.database, tenant, source, app.feed, lambda: app.keyring, actor="tests")
        ready = app.work("acme")
        yield replace(ready, options=replace(ready.options, retry_wait_s=0.01))


def landed(report: EtlReport) -> int:
    """Rows that a run landed."""
    return sum(stream.landed for outcome in report.sources for stream in outcome.equations)


def test_a_second_run_is_told_who_is_at_work_and_the_first_completes(work: TenantWork) -> None:
    """It does nothing, names the holder and may be tried later; the first is complete, and after it others may run."""
    refused: list[RetryLaterError] = []

    def meanwhile(event: ProgressEvent) -> None:
        if not refused:
            with pytest.raises(RetryLaterError, match="another run is at work") as caught:
                run_etl(work)
            refused.append(caught.value)

    first = run_etl(work, progress=meanwhile)
    assert (first.status, landed(first)) == ("complete", 5)
    assert refused[0].where["holder"] == leases.holder_name(first.run_id)
    assert run_etl(work).status == "complete"


def test_runs_of_two_tenants_do_not_wait_for_each_other(work: TenantWork, scratch: Scratch) -> None:
    """Who is alone is alone within its tenant."""
    other = replace(work, tenant=tenant_id_of("pay_ready", "other"), slug="other")
    with work.database.tenant_transaction(other.tenant) as tx:
        tenants.create(tx, slug="other", name="Other", settings={"schema_version": 1}, actor="tests")
    with alone(other, RunId(new_id())):
        assert run_etl(work).status == "complete"


def test_a_resolution_overtaken_by_another_is_done_again(work: TenantWork) -> None:
    """Who finds that another run published meanwhile reads again; there is nothing left to change then."""
    published: list[int | None] = []

    def meanwhile(event: ProgressEvent) -> None:
        if event.subject == "person" and not published:
            published.append(None)
            published.append(resolve_step(work, RunId(new_id())).run_no)

    assert bring_in(work, "crm", RunId(new_id())).error is None
    assert resolve_step(work, RunId(new_id()), progress=meanwhile).run_no is None
    assert published == [None, 1]
    assert run_etl(work).status == "complete"


def test_a_resolution_that_is_always_overtaken_gives_up(work: TenantWork) -> None:
    """After etl.max_retries more tries it may be run again later."""
    bring_in(work, "crm", RunId(new_id()))
    own = replace(work, options=replace(work.options, max_retries=0))

    def meanwhile(event: ProgressEvent) -> None:
        if event.subject == "person":
            resolve_step(work, RunId(new_id()))

    with pytest.raises(RetryLaterError, match="another run published meanwhile"):
        resolve_step(own, RunId(new_id()), progress=meanwhile)


def test_a_vanished_export_is_no_success(work: TenantWork, export: Export) -> None:
    """Landed before, offered no more: partial and named in every run, until it is back or shrinking is accepted; the rest comes in."""
    run_etl(work)
    export("companies", 2).unlink()
    export("contacts", 4)
    for wanted in (1, 0):
        report = run_etl(work)
        assert (report.status, landed(report)) == ("partial", wanted)
        assert report.resolve is not None
        with pytest.raises(PartialError):
            report.raise_for_failure()
        (outcome,) = report.sources
        assert "stream companies is no longer offered" in str(outcome.error)
    accepting = replace(work, options=replace(work.options, guard=ShrinkGuard(accept=True)))
    assert run_etl(accepting).status == "complete"
    export("companies", 2)
    assert run_etl(work).status == "complete"


def test_a_stream_left_out_on_purpose_is_not_missed(work: TenantWork) -> None:
    """A source that names its streams was asked for those alone."""
    run_etl(work)
    with work.database.tenant_transaction(work.tenant) as tx:
        source = sources.require(tx, "crm")
        sources.set_status(tx, source, "removed", actor="tests")
    wanted = NewSource(name="crm", kind="hubspot", connector=None, settings=source.config.settings, streams=("contacts",))
    add_source(work.database, work.tenant, wanted, work.feed, work.keyring, actor="tests")
    assert run_etl(work).status == "complete"


def test_an_emptied_export_is_no_success_and_a_smaller_one_is_said(work: TenantWork, export: Export) -> None:
    """Replaced by nothing, the stream is incomplete until its file is back; replaced by less, a remark says so."""
    run_etl(work)
    export("contacts", 0)
    for _ in range(2):
        report = run_etl(work)
        assert report.status == "partial"
        assert "a file that had rows is empty" in str(report.sources[0].error)
        assert "contacts.jsonl" in str(report.sources[0].error)
    export("contacts", 2)
    report = run_etl(work)
    (outcome,) = report.sources
    assert report.status == "complete"
    assert outcome.sync is not None
    assert [text.split(" (")[0] for text in outcome.sync.remarks] == ["contacts.jsonl became smaller"]


def test_a_source_without_any_stream_is_a_failure(work: TenantWork, export: Export) -> None:
    """Every export gone: the run fails, before and after the first success."""
    run_etl(work)
    for stream in ("contacts", "companies"):
        export(stream, 0).unlink()
    report = run_etl(work)
    assert report.status == "failed"
    with pytest.raises(CheckFailedError, match="offers no stream at all"):
        report.raise_for_failure()
