"""Runs: found by the beginning of an id, listed, shown whole, taken up again, aborted."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db import landing as rows_of
from pay_ready.db import leases
from pay_ready.db.landing import Landing
from pay_ready.db.runs import RunFilter
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.runs import abort_run, find_run, list_runs, require_retryable, show_run
from tests.conftest import Scratch
from tests.faults.children import started
from tests.faults.waiting_child import sync_and_wait
from tests.landing_support import QUICK, add_source, catalog, complete, record, says, state


@pytest.fixture
def source(database: Database, tenant: TenantId) -> DataSource:
    """The source crm."""
    return add_source(database, tenant)


@pytest.fixture
def open_run(database: Database, tenant: TenantId, source: DataSource) -> Callable[..., RunId]:
    """Opens a run as a process would that is gone, or that lives on another host, and leaves it open."""

    def made(holder: str = "gone", mode: str = "connector", ttl_s: float = 60) -> RunId:
        run = RunId(new_id())
        mine = leases.holder_name(run)
        holders = {"gone": mine.split(":")[0] + ":999999999:r", "far": "elsewhere:1:r", "here": mine}
        with database.tenant_transaction(tenant) as tx:
            lease = leases.acquire(tx, f"source:{source.source_id}", holders[holder], ttl_s=ttl_s)
            here = Landing(source_id=source.source_id, run_id=run, lease=lease)
            rows_of.open_run(tx, here, mode)
            rows_of.begin_stream(tx, here, "people", generation=0, pass_run=None, keep_state=True)
        return run

    return made


def sync(database: Database, tenant: TenantId, count: int = 3) -> RunId:
    """A complete run."""
    rows = (record({"id": number, "seq": number}) for number in range(1, count + 1))
    report = sync_source(database, tenant, "crm", says(*rows, state(seq=count), complete()), catalog(), options=QUICK)
    assert report.status == "complete", report.error
    return report.run_id


def seen(scratch: Scratch, text: str) -> list[tuple[Any, ...]]:
    """What the administrator sees."""
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(text.encode()).fetchall()


@pytest.mark.usefixtures("source")
class TestFinding:
    """A run by its id, or the beginning of it."""

    def test_a_beginning_is_enough_when_it_is_the_only_one(self, database: Database, tenant: TenantId) -> None:
        """With or without hyphens, in any case; more runs that begin so are named, none is a guess."""
        first, second = sync(database, tenant), sync(database, tenant)
        length = next(place for place in range(36) if str(first)[place] != str(second)[place])
        shared, unique = str(second)[:length], str(second)[: length + 1]
        with database.tenant_transaction(tenant) as tx:
            for given in (str(second), unique, unique.upper(), unique.replace("-", "")):
                assert find_run(tx, given).run_id == second
            with pytest.raises(UsageError, match=f"more than one run begins so .* did you mean {second} .*; {first}"):
                find_run(tx, shared)

    def test_what_is_not_there_is_said_with_the_likest(self, database: Database, tenant: TenantId) -> None:
        """A slip of the finger; another tenant's run is no run."""
        run = sync(database, tenant)
        wrong = str(run)[:-1] + ("0" if str(run)[-1] != "0" else "1")
        with database.tenant_transaction(tenant) as tx:
            with pytest.raises(NotFoundError, match=f"did you mean {run}"):
                find_run(tx, wrong)
            with pytest.raises(NotFoundError, match="runs list"):
                find_run(tx, "ffffffff")
            for given in ("", "crm", "x" * 40, str(run) + "00"):
                with pytest.raises(UsageError, match="not the id of a run"):
                    find_run(tx, given)

    def test_another_tenants_run_is_absent(self, database: Database, tenant: TenantId, new_tenant: Callable[[str], TenantId]) -> None:
        """Neither shown nor named among the likest."""
        run = sync(database, tenant)
        with pytest.raises(NotFoundError) as refused:
            show_run(database, new_tenant("other"), str(run))
        assert "did you mean" not in str(refused.value)


class TestListing:
    """The newest first."""

    def test_filters(self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], source: DataSource) -> None:
        """By source, status, time and number; a running one says whether its lease holds."""
        done = sync(database, tenant)
        running = open_run("far")
        found = list_runs(database, tenant, RunFilter(), most=10)
        assert [(each.run_id, each.status, each.is_alive) for each in found] == [(running, "running", True), (done, "complete", False)]
        assert (found[1].source, found[1].emitted, found[1].landed, found[1].stream_count) == ("crm", 3, 3, 1)
        assert list_runs(database, tenant, RunFilter(), most=1) == found[:1]
        assert [each.run_id for each in list_runs(database, tenant, RunFilter(status="complete"), most=10)] == [done]
        assert list_runs(database, tenant, RunFilter(source_id=source.source_id), most=10) == found
        assert list_runs(database, tenant, RunFilter(source_id=rows_of.SourceId(new_id())), most=10) == []
        later = datetime.now(UTC) + timedelta(hours=1)
        assert list_runs(database, tenant, RunFilter(since=later), most=10) == []

    def test_a_lease_that_ran_out_is_not_alive(self, database: Database, tenant: TenantId, open_run: Callable[..., RunId]) -> None:
        """Its process died, or is cut off; the run says running until somebody takes over."""
        open_run("far", ttl_s=0.001)
        time.sleep(0.01)
        (run,) = list_runs(database, tenant, RunFilter(), most=10)
        assert (run.status, run.is_alive) == ("running", False)


@pytest.mark.usefixtures("source")
class TestShowing:
    """Everything that is kept about a run."""

    def test_a_run_whole(self, database: Database, tenant: TenantId) -> None:
        """Equations, quarantine by reason, volume and watermarks; what waits to be staged is said."""
        rows = [record({"id": 1, "seq": 1}), record({"seq": 2}), record({"seq": 3}), state(), complete()]
        report = sync_source(database, tenant, "crm", says(*rows), catalog(), options=QUICK)
        detail = show_run(database, tenant, str(report.run_id))
        (stream,) = detail.streams
        assert (stream.emitted, stream.landed, stream.quarantined, stream.waiting) == (3, 1, 2, 1)
        assert (stream.landing_holds, stream.staging_holds) == (True, True)
        assert (stream.watermark_before, stream.watermark_after) == ("", "1")
        assert stream.volume is not None
        assert stream.volume.word == "first"
        assert [(each.reason, each.row_count, each.step) for each in detail.quarantine] == [("key.missing", 2, "land")]

    def test_texts_among_watermarks_are_shown_to_who_asks(self, database: Database, tenant: TenantId) -> None:
        """They may be about people."""
        rows = [record({"id": 1, "seq": "ann@customer.example"}), state(), complete()]
        run = str(sync_source(database, tenant, "crm", says(*rows), catalog(), options=QUICK).run_id)
        assert show_run(database, tenant, run).streams[0].watermark_after == "(text)"
        assert show_run(database, tenant, run, show_text=True).streams[0].watermark_after == "ann@customer.example"

    def test_a_running_one(self, database: Database, tenant: TenantId, open_run: Callable[..., RunId]) -> None:
        """It has no report yet; its counts are shown as they stand."""
        detail = show_run(database, tenant, str(open_run()))
        assert (detail.run.status, detail.report, detail.streams[0].status) == ("running", None, "running")


class TestRetrying:
    """Which runs may be taken up again."""

    def test_a_complete_one_only_by_force(self, database: Database, tenant: TenantId, source: DataSource) -> None:
        """There is nothing to retry."""
        run = sync(database, tenant)
        with database.tenant_transaction(tenant) as tx:
            with pytest.raises(ConflictError, match="say --force"):
                require_retryable(tx, str(run), "acme", force=False)
            assert require_retryable(tx, str(run), "acme", force=True).source == source.name

    @pytest.mark.parametrize("holder", ["here", "far"])
    def test_a_running_one_is_left_alone(self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], holder: str) -> None:
        """Also by force: it says how to end it."""
        run = open_run(holder)
        with database.tenant_transaction(tenant) as tx, pytest.raises(ConflictError, match=f"runs abort {run} --tenant acme"):
            require_retryable(tx, str(run), "acme", force=True)

    def test_one_whose_process_is_gone_may_be_retried(self, database: Database, tenant: TenantId, open_run: Callable[..., RunId]) -> None:
        """It only says that it is running: the next sync closes it."""
        run = open_run("gone")
        with database.tenant_transaction(tenant) as tx:
            assert require_retryable(tx, str(run), "acme", force=False).run_id == run
        sync(database, tenant)
        assert show_run(database, tenant, str(run)).run.status == "aborted"

    def test_a_backfills_goes_on_by_its_own_command(
        self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], scratch: Scratch, source: DataSource
    ) -> None:
        """Which is named with the range of its plan, where there is one."""
        run = open_run(mode="backfill")
        with database.tenant_transaction(tenant) as tx, pytest.raises(UsageError, match="backfill --tenant acme --source crm, with"):
            require_retryable(tx, str(run), "acme", force=False)
        plan = new_id()
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute(
                "insert into pay_ready.backfill_plans (tenant_id, plan_id, source_id, stream, streams, all_streams, dated_by, range_start,"
                " range_end, chunk, status)"
                " values (%s, %s, %s, 'people', '{people}', false, 'cursor', '2026-01-01Z', '2026-02-01T12:00Z', '1 mon', 'running')",
                (tenant, plan, source.source_id),
            )
            admin.execute(
                "insert into pay_ready.backfill_batches (tenant_id, plan_id, chunk_start, chunk_end, source_id, status, run_id)"
                " values (%s, %s, '2026-01-01Z', '2026-02-01Z', %s, 'running', %s)",
                (tenant, plan, source.source_id, run),
            )
            admin.execute(
                "insert into pay_ready.backfill_runs (tenant_id, run_id, source_id, plan_id, chunk_start)"
                " values (%s, %s, %s, %s, '2026-01-01Z')",
                (tenant, run, source.source_id, plan),
            )
        wanted = "backfill --tenant acme --source crm --stream people --from 2026-01-01 --to 2026-02-01T12:00:00 --chunk 1mo"
        with database.tenant_transaction(tenant) as tx, pytest.raises(UsageError, match=wanted):
            require_retryable(tx, str(run), "acme", force=False)


class TestAborting:
    """A run is ended by somebody's word."""

    @pytest.fixture
    def child(self, scratch: Scratch, tenant: TenantId, source: DataSource, tmp_path: Path) -> Iterator[BaseProcess]:
        """A process in the middle of a sync: three rows are committed, three more will come when it is told to go on."""
        process = started(sync_and_wait, scratch.app_url, tenant, source.name, tmp_path)
        deadline = time.monotonic() + 60
        while seen(scratch, "select count(*) from pay_ready.landed_records") != [(3,)]:
            assert time.monotonic() < deadline
            assert process.is_alive()
            time.sleep(0.05)
        yield process
        if process.is_alive():
            process.kill()
        process.join(60)

    @pytest.mark.parametrize("paused", [False, True])
    def test_the_late_writes_of_a_living_process_are_refused(
        self, child: BaseProcess, database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path, paused: bool
    ) -> None:
        """Aborted in mid-sync, also while it is stopped: another run completes, and what the first one sends then changes nothing."""
        assert child.pid is not None
        if paused:
            os.kill(child.pid, signal.SIGSTOP)
        ((run,),) = seen(scratch, "select run_id from pay_ready.sync_runs where status = 'running'")
        ended = abort_run(database, tenant, str(run), actor="ann", reason="stuck")
        assert (ended.run_id, ended.source, ended.process_state) == (run, "crm", "alive")
        assert ended.process is not None
        assert ended.process.pid == child.pid
        after = sync(database, tenant, count=5)
        before = seen(scratch, "select record_key, batch_id from pay_ready.landed_records order by 1")
        (tmp_path / "go").touch()
        if paused:
            os.kill(child.pid, signal.SIGCONT)
        child.join(60)
        assert child.exitcode == ConflictError.exit_code
        assert "the lease was taken over" in (tmp_path / "error").read_text()
        assert seen(scratch, "select record_key, batch_id from pay_ready.landed_records order by 1") == before
        assert len(before) == 5
        statuses = dict(seen(scratch, "select run_id, status from pay_ready.sync_runs"))
        assert statuses == {run: "aborted", after: "complete"}
        assert seen(scratch, f"select status from pay_ready.stream_runs where run_id = '{run}'") == [("incomplete",)]
        kept = seen(scratch, f"select error_class, error_text from pay_ready.sync_runs where run_id = '{run}'")
        assert kept == [("Aborted", "aborted by ann: stuck")]
        audited = seen(scratch, "select actor, subject_id, reason from pay_ready.audit_events where action = 'run.aborted'")
        assert audited == [("ann", str(run), "stuck")]

    def test_streams_refuse_the_old_token_even_where_nobody_asks_for_the_lease(
        self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], source: DataSource
    ) -> None:
        """The states themselves know the higher token."""
        run = open_run("here")
        with database.tenant_transaction(tenant) as tx:
            token = list_runs_token(tx, run)
        abort_run(database, tenant, str(run), actor="ann", reason=None)
        zombie = Landing(source_id=source.source_id, run_id=run, lease=leases.Lease(name="x", holder="x", token=token))
        with pytest.raises(ConflictError), database.tenant_transaction(tenant) as tx:
            rows_of.move_states(tx, zombie, [rows_of.StreamMove(stream="people", state="{}")])

    @pytest.mark.parametrize(("holder", "state"), [("gone", "gone"), ("far", "unknown")])
    def test_it_says_what_it_knows_of_the_process(
        self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], holder: str, state: str
    ) -> None:
        """Gone, or on another host; the lease is free at once either way."""
        assert abort_run(database, tenant, str(open_run(holder)), actor="ann", reason=None).process_state == state
        sync(database, tenant)

    def test_a_lease_that_is_held_no_longer_is_no_hindrance(
        self, database: Database, tenant: TenantId, open_run: Callable[..., RunId], scratch: Scratch
    ) -> None:
        """A process that gave its lease back and could not close its run any more."""
        run = open_run("far")
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("delete from pay_ready.leases")
        assert abort_run(database, tenant, str(run), actor="ann", reason=None).process_state == "none"
        assert show_run(database, tenant, str(run)).run.status == "aborted"

    def test_what_is_not_running_cannot_be_aborted(
        self, database: Database, tenant: TenantId, source: DataSource, scratch: Scratch
    ) -> None:
        """It says what it is; nothing is changed or audited, and whoever holds the source's lease now keeps it."""
        run = sync(database, tenant)
        with database.tenant_transaction(tenant) as tx:
            lease = leases.acquire(tx, f"source:{source.source_id}", "elsewhere:1:r")
        with pytest.raises(ConflictError, match="status=complete"):
            abort_run(database, tenant, str(run), actor="ann", reason=None)
        with database.tenant_transaction(tenant) as tx:
            leases.guard(tx, lease)
        assert seen(scratch, "select count(*) from pay_ready.audit_events where action = 'run.aborted'") == [(0,)]


def list_runs_token(tx: Any, run: RunId) -> int:
    """The token that a run holds its lease under."""
    return find_run(tx, str(run)).lease_token
