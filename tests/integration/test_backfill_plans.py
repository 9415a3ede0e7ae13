"""Plans of backfills: made and applied apart, never changed; chunks claimed by several readers, in either direction, once each."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from pay_ready.db import backfills, leases
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, NotFoundError, PartialError
from pay_ready.model.backfill import Reprocess
from pay_ready.model.ids import PlanId, TenantId, new_id
from pay_ready.pipeline.backfill import run as steps
from pay_ready.pipeline.backfill import turns
from pay_ready.pipeline.backfill.plan import BackfillSource, list_plans, open_plan, partitions
from pay_ready.pipeline.backfill.run import make_plan, run_backfill, run_backfills, stored_report
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.work import TenantWork
from tests.backfill_support import OPTIONS, Listing, add_crm, add_exports, of_messages, of_source, request, row, rows, seen, tenant_work
from tests.conftest import Scratch
from tests.landing_support import catalog, state, stream_of

DATED = catalog(replace(stream_of(), cursor_field=("updated_at",)))
PATIENT = replace(OPTIONS, lease_wait_s=60.0)
BEGUN = (
    "select b.chunk_start::date::text from pay_ready.backfill_runs as b join pay_ready.sync_runs as s using (tenant_id, run_id)"
    " order by s.started_at"
)
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]


@pytest.fixture
def work(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """A tenant's work with the source crm."""
    made = tenant_work(database, tenant, tmp_path, options=PATIENT)
    add_crm(made)
    return made


@pytest.fixture
def exported(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """Four days of people in export files, twice a day."""
    made = tenant_work(database, tenant, tmp_path, replay=True, options=PATIENT)
    add_exports(made, tmp_path / "exports", {"people": [row(number, number * 12.0) for number in range(8)]})
    return made


class Trouble:
    """Called before each batch: how many readers are at work at once, and failures that are asked for."""

    def __init__(self, together: int = 1) -> None:
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        self._barrier = threading.Barrier(together)

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def __call__(self, start: int) -> None:
        """All readers wait for each other once: without several at once this would break the barrier."""
        with self.counted():
            if start == 0:
                self._barrier.wait(30)


def several(work: TenantWork, listing: Listing, readers: int, **asked: object) -> BackfillSource:
    """A source of messages that bears several readers."""
    return replace(of_messages(work, request(**asked), listing, DATED), most_readers=readers)  # type: ignore[arg-type]


def test_readers_work_at_once_and_land_what_one_would(work: TenantWork, scratch: Scratch) -> None:
    """Four chunks, all being read at the same moment; each once, each row once, and the counts of each chunk are its own."""
    trouble = Trouble(together=4)
    [report] = run_backfills([several(work, Listing(rows(24), trouble=trouble), 4)], max_active=4)
    assert (report.status, trouble.most) == ("complete", 4)
    assert [(chunk.emitted, chunk.landed, chunk.staged, chunk.attempts) for chunk in report.chunks] == [(6, 6, 6, 1)] * 4
    assert sorted(day for (day,) in seen(scratch.admin_url, BEGUN)) == DAYS
    assert seen(scratch.admin_url, "select count(*), count(distinct record_key) from pay_ready.landed_records") == [(24, 24)]
    assert seen(scratch.admin_url, "select count(*) from pay_ready.leases") == [(0,)]


def test_never_more_at_once_than_allowed_of_all_sources(database: Database, tenant: TenantId, tmp_path: Path) -> None:
    """Two sources of four chunks, each of which bears four readers, with --max-active 3."""
    work = tenant_work(database, tenant, tmp_path, options=PATIENT)
    for name in ("crm", "desk"):
        add_crm(work, name=name)
    trouble = Trouble()
    sources = [
        replace(of_messages(work, replace(request(), source=name), Listing(rows(24), trouble=trouble), DATED), most_readers=4)
        for name in ("crm", "desk")
    ]  # fmt: skip
    reports = run_backfills(sources, max_active=3)
    assert [(report.source, report.status) for report in reports] == [("crm", "complete"), ("desk", "complete")]
    assert trouble.most <= 3


def test_a_connector_has_one_reader_whatever_is_allowed(work: TenantWork) -> None:
    """Its rate limit and its tokens are one reader's."""
    trouble = Trouble()
    source = of_messages(work, request(), Listing(rows(24), trouble=trouble), DATED)
    assert (of_source(work, request()).most_readers, source.most_readers) == (1, 1)
    assert run_backfills([source], max_active=8)[0].status == "complete"
    assert trouble.most == 1


def test_a_live_sync_has_its_turn_among_several_readers(work: TenantWork, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readers finish their chunks and let the source go: nobody who waits is passed over for ever."""
    done = threading.Event()

    def live() -> None:
        sync_source(work.database, work.tenant, "crm", Listing([*rows(40), state(seq=40)]), DATED, options=PATIENT)
        done.set()

    syncing = threading.Thread(target=live)
    monkeypatch.setattr(turns, "_TURN_AFTER_S", 0.0)
    monkeypatch.setattr(turns, "leave_free", lambda _: syncing.ident is None or done.wait(60))

    def trouble(_: int) -> None:
        with lock:
            if syncing.ident is None:
                syncing.start()

    lock = threading.Lock()
    [report] = run_backfills([several(work, Listing(rows(24), trouble=trouble), 2)], max_active=2)
    syncing.join(60)
    assert report.status == "complete"
    order = [mode for (mode,) in seen(scratch.admin_url, "select ingest_mode from pay_ready.sync_runs order by started_at")]
    assert order.index("connector") < len(order) - 1


def test_backwards_begins_with_the_latest(work: TenantWork, scratch: Scratch) -> None:
    """--run-backwards."""
    assert run_backfill(of_messages(work, request(), Listing(rows(24)), DATED), backwards=True).status == "complete"
    assert [day for (day,) in seen(scratch.admin_url, BEGUN)] == DAYS[::-1]


@pytest.mark.parametrize(
    ("reprocess", "attempts", "status", "plans"),
    [("none", [1, 1, 1, 1], "partial", 1), ("failed", [1, 2, 1, 1], "complete", 1), ("completed", [1, 1, 1, 1], "complete", 2)],
)
def test_reprocess_says_which_chunks_are_run_again(
    work: TenantWork, scratch: Scratch, reprocess: Reprocess, attempts: list[int], status: str, plans: int
) -> None:
    """After a run in which the second chunk failed: none leaves it, failed tries it again, completed does all of a new plan."""
    source = of_messages(work, request(), Listing(rows(24)), DATED)
    failing = replace(source, ranged=_FailsOnce(source.opened.connector, DAYS[1]))
    assert run_backfill(failing, keep_going=True).status == "partial"
    report = run_backfill(source, reprocess=reprocess)
    assert ([chunk.attempts for chunk in report.chunks], report.status) == (attempts, status)
    assert seen(scratch.admin_url, "select count(*) from pay_ready.backfill_plans") == [(plans,)]
    if reprocess == "none":
        with pytest.raises(PartialError, match="1 of 4 chunks are not complete"):
            report.raise_for_failure()


class _FailsOnce:
    """Refuses to read one day."""

    notes: Sequence[str] = ()

    def __init__(self, connector: Listing, day: str) -> None:  # type: ignore[no-untyped-def]
        self._connector, self._day = connector, day

    def within(self, records):  # type: ignore[no-untyped-def]
        if f"{records.start:%Y-%m-%d}" == self._day:
            return Listing(rows(1), trouble=_refuse)
        return self._connector

    def count_rows(self, *_: object) -> dict[str, list[int]]:
        return {}


def _refuse(_: int) -> None:
    raise PartialError("no such day")


def test_a_plan_is_made_then_applied(exported: TenantWork, scratch: Scratch) -> None:
    """`plan` keeps it and reads nothing; `apply` finds it by its id and does it; then it is complete, whoever asks."""
    made = make_plan(of_source(exported, request()))
    assert (made.status, made.state, len(made.chunks)) == ("planned", "new", 4)
    assert seen(scratch.admin_url, "select count(*) from pay_ready.sync_runs") == [(0,)]
    assert make_plan(of_source(exported, request())).plan_id == made.plan_id
    assert made.plan_id
    [done] = run_backfills([open_plan(exported, made.plan_id)], max_active=2)
    assert (done.plan_id, done.status, done.totals.landed) == (made.plan_id, "complete", 8)
    listed = list_plans(exported, "crm", most=5)
    assert [(each.plan_id, each.status, each.chunks, each.complete, each.failed) for each in listed] == [
        (made.plan_id, "complete", 4, 4, 0)
    ]
    parts = partitions(exported, made.plan_id)
    assert [(f"{each.start:%Y-%m-%d}", each.stream, each.status, each.landed) for each in parts] == [
        (day, "people", "complete", 2) for day in DAYS
    ]  # fmt: skip
    assert stored_report(exported, made.plan_id).totals.landed == 8
    assert run_backfill(open_plan(exported, made.plan_id)).state == "complete"


def test_a_plan_that_is_gone_or_given_up_is_refused(exported: TenantWork) -> None:
    """By its id: there is none; and one that was planned anew is no longer to be applied."""
    with pytest.raises(NotFoundError, match="no such plan"):
        open_plan(exported, PlanId(new_id()))
    old = make_plan(of_source(exported, request())).plan_id
    assert old
    new = make_plan(of_source(exported, request()), again=True).plan_id
    assert new != old
    with pytest.raises(ConflictError, match="given up for a newer one"):
        open_plan(exported, old)


@pytest.mark.parametrize(
    "change",
    [
        "update pay_ready.backfill_plans set range_end = range_end + interval '1 day'",
        "update pay_ready.backfill_plans set streams = array['companies']",
        "update pay_ready.backfill_plans set chunk = interval '2 days'",
        "update pay_ready.backfill_batches set chunk_end = chunk_end + interval '1 day'",
        "update pay_ready.backfill_batches set estimated_rows = 1",
    ],
)
def test_the_database_lets_nobody_change_a_plan(exported: TenantWork, scratch: Scratch, change: str) -> None:
    """Not even the application's login; what a run says of it is another matter."""
    make_plan(of_source(exported, request()))
    with psycopg.connect(scratch.app_url) as connection:
        connection.execute("select set_config('app.tenant_id', %s, true)", [str(exported.tenant)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.encode())


def test_a_chunk_is_claimed_once_under_a_lease_and_anew_under_the_next(exported: TenantWork) -> None:
    """Claimers at the same time pass by what another one is claiming; whoever holds the lease next finds all that waits."""
    made = make_plan(of_source(exported, request())).plan_id
    assert made

    def claims(token: int) -> Callable[[], list[datetime]]:
        lease = leases.Lease(name="backfill:x", holder="t", token=token)

        def claim() -> list[datetime]:
            found = []
            while True:
                with exported.database.tenant_transaction(exported.tenant) as tx:
                    start = backfills.claim_chunk(tx, made, lease, with_failed=True, backwards=False)
                if start is None:
                    return found
                found.append(start)

        return claim

    starts = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    for token in (5, 6):
        claimed = steps.in_threads([claims(token)] * 3, name="claim")
        assert sorted(start for each in claimed for start in each) == starts
    assert claims(6)() == claims(4)() == []
