"""Backfills beside others: a live sync of the same stream in both orders, a second backfill, and a lease that is lost."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, RetryLaterError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.backfill import turns
from pay_ready.pipeline.backfill.report import BackfillReport
from pay_ready.pipeline.backfill.run import run_backfill
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.work import TenantWork
from tests.backfill_support import OPTIONS, Listing, add_crm, of_messages, request, rows, seen, tenant_work
from tests.conftest import Scratch
from tests.landing_support import catalog, state, stream_of

PATIENT = replace(OPTIONS, lease_wait_s=60.0)
DATED = catalog(replace(stream_of(), cursor_field=("updated_at",)))
# Runs in the order of their starts, and whether each began after the one before had ended.
RUNS = (
    "select ingest_mode, status, coalesce(started_at >= lag(finished_at) over (order by started_at), true) as is_alone"
    " from pay_ready.sync_runs order by started_at"
)
LANDED = "select count(*), count(distinct record_key) from pay_ready.landed_records"


@pytest.fixture
def work(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """A tenant's work with the source crm, which waits for leases."""
    made = tenant_work(database, tenant, tmp_path, options=PATIENT)
    add_crm(made)
    return made


class Beside:
    """A function in a thread of its own, and what it gave."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self._function = function
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.result = self._function()

    def start(self, admin_url: str, waits_for: str = "") -> None:
        """Start it once; with the name of a lease (like), go on when somebody holds that."""
        if self._thread.ident is None:
            self._thread.start()
            while waits_for and not seen(admin_url, f"select from pay_ready.leases where lease like '{waits_for}'"):
                time.sleep(0.02)

    def join(self) -> Any:
        """Its result; None when it was not started."""
        if self._thread.ident is not None:
            self._thread.join(120)
        return self.result


def test_a_live_sync_starts_while_a_chunk_runs(work: TenantWork, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the chunk, has its turn between two chunks, and both end complete with every row there once."""

    def live() -> SyncReport:
        return sync_source(work.database, work.tenant, "crm", Listing([*rows(40), state(seq=40)]), DATED, options=PATIENT)

    syncing = Beside(live)
    source = of_messages(work, request(), Listing(rows(24), trouble=lambda _: syncing.start(scratch.admin_url)), DATED)
    monkeypatch.setattr(turns, "_TURN_AFTER_S", 0.0)
    monkeypatch.setattr(turns, "leave_free", lambda _: syncing.join())
    report = run_backfill(source)
    assert (report.status, syncing.join().status) == ("complete", "complete")
    assert seen(scratch.admin_url, RUNS) == [
        ("backfill", "complete", True), ("connector", "complete", True), *[("backfill", "complete", True)] * 3,
    ]  # fmt: skip
    assert seen(scratch.admin_url, LANDED) == [(40, 40)]
    assert [(chunk.landed, chunk.unchanged) for chunk in report.chunks] == [(6, 0), (0, 6), (0, 6), (0, 6)]
    states = seen(scratch.admin_url, "select state::jsonb #>> '{stream,stream_state,seq}' from pay_ready.stream_states")
    assert states == [("40",)]


def test_a_backfill_starts_while_a_live_sync_runs(work: TenantWork, scratch: Scratch) -> None:
    """It waits for the sync's end, and finds what that landed."""
    source = of_messages(work, request(), Listing(rows(24)), DATED)
    running = Beside(lambda: run_backfill(source))
    messages = [*rows(9), state(seq=9)]
    busy = Listing(messages, trouble=lambda _: running.start(scratch.admin_url, "backfill:%"))
    live = sync_source(work.database, work.tenant, "crm", busy, DATED, options=PATIENT)
    report: BackfillReport = running.join()
    assert (live.status, report.status) == ("complete", "complete")
    assert seen(scratch.admin_url, RUNS) == [("connector", "complete", True), *[("backfill", "complete", True)] * 4]
    assert [(chunk.landed, chunk.unchanged) for chunk in report.chunks] == [(0, 6), (3, 3), (6, 0), (6, 0)]
    assert seen(scratch.admin_url, LANDED) == [(24, 24)]
    after = seen(scratch.admin_url, "select watermark, state::jsonb #>> '{stream,stream_state,seq}' from pay_ready.stream_states")
    assert after == [("t2026-01-02T08:00:00.000000", "9")]


def test_a_backfill_gives_up_waiting_and_names_the_holder(work: TenantWork, scratch: Scratch) -> None:
    """A sync that holds the source for longer than a sync may take: exit 75, no chunk begun."""
    source = of_messages(replace(work, options=replace(OPTIONS, timeout_s=0.3)), request(), Listing(rows(24)), DATED)
    told: list[BackfillReport] = []
    busy = Listing(rows(3), trouble=lambda _: told.append(run_backfill(source)))
    sync_source(work.database, work.tenant, "crm", busy, DATED, options=OPTIONS)
    assert [chunk.attempts for chunk in told[0].chunks] == [0, 0, 0, 0]
    with pytest.raises(RetryLaterError, match="another run is at work - lease=source:"):
        told[0].raise_for_failure()


def test_a_second_backfill_is_told_who_is_at_work(work: TenantWork, scratch: Scratch) -> None:
    """Of the same plan or another of the source: exit 75, the holder's name, nothing done; the first completes."""
    source = of_messages(work, request(), Listing(rows(24)), DATED)
    refused: list[RetryLaterError] = []

    def meanwhile(_: object) -> None:
        for asked in (request(), request("2026-01-03")):
            with pytest.raises(RetryLaterError, match="another run is at work - lease=backfill:") as caught:
                run_backfill(of_messages(work, asked, Listing(rows(24)), DATED))
            refused.append(caught.value)

    assert run_backfill(source, on_plan=meanwhile).status == "complete"
    assert [error.exit_code for error in refused] == [75, 75]
    assert seen(scratch.admin_url, "select count(*) from pay_ready.backfill_plans") == [(1,)]
    assert run_backfill(of_messages(work, request("2026-01-03"), Listing(rows(24)), DATED)).totals.unchanged == 12


def test_a_chunk_whose_lease_was_taken_writes_nothing_more(work: TenantWork, scratch: Scratch) -> None:
    """Its writes are refused, the plan stops, and the same command goes on in that chunk."""
    robbed: list[int] = []

    def rob(start: int) -> None:
        if start >= 10 and not robbed:
            robbed.append(start)
            seen(scratch.admin_url, "update pay_ready.leases set token = token + 100, expires_at = acquired_at + interval '1 ms'"
                 " where lease like 'source:%' returning 1")  # fmt: skip

    source = of_messages(work, request("2026-01-05", chunk="4d"), Listing(rows(24), batch=10, trouble=rob), DATED)
    report = run_backfill(source, keep_going=True)
    with pytest.raises(ConflictError, match="the lease was taken over by another run"):
        report.raise_for_failure()
    assert seen(scratch.admin_url, LANDED) == [(0, 0)]
    again = run_backfill(source)
    assert (again.status, again.plan_id, again.chunks[0].attempts) == ("complete", report.plan_id, 2)
    assert seen(scratch.admin_url, LANDED) == [(24, 24)]
    assert seen(scratch.admin_url, "select status from pay_ready.sync_runs order by run_id") == [("aborted",), ("complete",)]
