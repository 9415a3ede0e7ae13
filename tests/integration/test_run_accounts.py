"""What a run says of itself: every record accounted for, and what is kept of volumes, watermarks, times and findings."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pay_ready.db import landing as rows_of
from pay_ready.db import leases
from pay_ready.db.landing import Landing
from pay_ready.db.tenancy import Database
from pay_ready.errors import CountError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.findings import JobReport, RunFindings
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.run_column import plain_report, read_report
from pay_ready.pipeline.runs import show_run
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import NotProtocol, StreamDescriptor, TraceError
from tests.conftest import Scratch
from tests.landing_support import QUICK, Script, add_source, catalog, complete, record, says, state, stream_of

PEOPLE = StreamDescriptor("people")
Sync = Callable[..., SyncReport]


@pytest.fixture
def sync(database: Database, tenant: TenantId) -> Sync:
    """A sync of the source crm."""
    source = add_source(database, tenant)

    def run(script: Script, *, streams: Any = None, **more: Any) -> SyncReport:
        return sync_source(database, tenant, source.name, script, streams or catalog(), **{"options": QUICK, **more})

    return run


def seen(scratch: Scratch, text: str) -> list[tuple[Any, ...]]:
    """What the administrator sees."""
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(text.encode()).fetchall()


def people(count: int) -> Script:
    """A reading of so many people."""
    return says(*(record({"id": number, "seq": number}) for number in range(1, count + 1)), state(seq=count), complete())


class TestAccounts:
    """What was read is what was landed."""

    @pytest.mark.parametrize("counted", [2, 4])
    def test_a_reader_that_counted_otherwise_fails_the_run(self, sync: Sync, scratch: Scratch, counted: int) -> None:
        """Exit 7, not tried again, though every stream is complete and every row is there; the run says which stream."""
        said = RunOutcome(connector="script", exit_code=0, statuses={PEOPLE: "COMPLETE"}, records={PEOPLE: counted})
        script = people(3)
        script.outcomes = [said]
        report = sync(script)
        assert (report.status, report.attempts, report.landed) == ("failed", 1, 3)
        with pytest.raises(CountError, match=f"stream=people, read={counted}, accounted=3, unreadable=0") as raised:
            report.raise_for_failure()
        assert raised.value.exit_code == 7
        assert seen(scratch, "select status, error_class from pay_ready.sync_runs") == [("failed", "CountError")]

    def test_counts_that_were_changed_in_the_tables_fail_the_run(self, sync: Sync, scratch: Scratch) -> None:
        """Should the constraint ever be gone: the code itself adds up what it is about to report."""
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("alter table pay_ready.stream_runs drop constraint every_record_accounted")

        def reading() -> Iterator[list[Any]]:
            yield [record({"id": 1, "seq": 1}), state(seq=1)]
            yield [record({"id": 2, "seq": 2}), state(seq=2)]
            with psycopg.connect(scratch.admin_url) as admin:
                admin.execute("update pay_ready.stream_runs set unchanged = unchanged + 1")
            yield [complete()]

        report = sync(Script([reading()]), options=replace(QUICK, limits=FlushLimits(rows=1)))
        assert report.status == "failed"
        with pytest.raises(CountError, match="the counts of a run do not add up"):
            report.raise_for_failure()

    def test_records_that_went_under_in_the_tables_fail_the_run(self, sync: Sync, scratch: Scratch) -> None:
        """The tables are asked, not our own memory of what we sent them."""

        def reading() -> Iterator[list[Any]]:
            yield [record({"id": 1, "seq": 1}), state(seq=1)]
            yield [record({"id": 2, "seq": 2}), state(seq=2)]
            with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
                while admin.execute("update pay_ready.stream_runs set emitted = 1, landed = 1 where landed = 2").rowcount == 0:
                    admin.execute("select pg_sleep(0.01)")
            yield [complete()]

        report = sync(Script([reading()]), options=replace(QUICK, limits=FlushLimits(rows=1)))
        assert isinstance(report.error, CountError)
        assert (report.error.where["read"], report.error.where["accounted"]) == (2, 1)

    def test_what_comes_again_after_an_interruption_is_no_difference(self, sync: Sync) -> None:
        """Each reading is compared with what it brought itself, unreadable lines and unexpected streams included."""
        broken = RunOutcome(connector="script", exit_code=1, errors=(TraceError("gone", "transient_error"),))
        line = b'{"type":"RECORD","record":{"stream":"people",'
        first = [
            record({"id": 1, "seq": 1}),
            state(seq=1),
            record({"id": 2, "seq": 2}),
            NotProtocol(line, "record.no_json", is_record=True),
        ]
        second = [record({"id": 2, "seq": 2}), record({"id": 3}, "others"), state(seq=2), complete()]
        report = sync(Script([[first], [second]], outcomes=[broken]))
        assert (report.status, report.attempts) == ("complete", 2), report.error
        assert {each.stream: each.emitted for each in report.streams} == {"people": 4, "others": 1}


class TestReport:
    """What is kept, and where."""

    def test_volumes_are_those_of_the_last_ten_complete_runs(
        self, sync: Sync, database: Database, tenant: TenantId, scratch: Scratch
    ) -> None:
        """Of the same stream and way of ingest: neither incomplete ones, nor backfills, nor replays of quarantined rows count."""
        for number in range(12):
            sync(people(number))
        dead = RunOutcome(connector="script", exit_code=1, errors=(TraceError("bad", "config_error"),))
        sync(Script([[[record({"id": n, "seq": n}) for n in range(500)]]], outcomes=[dead]))
        source = rows_of.SourceId(seen(scratch, "select source_id from pay_ready.data_sources")[0][0])
        for mode, note in (("connector", "replayed from quarantine"), ("backfill", "")):
            self._other_run(database, tenant, source, mode, note)
        volume = sync(people(23)).streams[0].volume
        assert volume is not None
        assert (volume.runs, volume.least, volume.most, volume.median, volume.word) == (10, 2, 11, 6.5, "usual")

    @staticmethod
    def _other_run(database: Database, tenant: TenantId, source: rows_of.SourceId, mode: str, note: str) -> None:
        run = RunId(new_id())
        with database.tenant_transaction(tenant) as tx:
            lease = leases.acquire(tx, "other", "me:1:r")
            here = Landing(source_id=source, run_id=run, lease=lease)
            rows_of.open_run(tx, here, mode)
            rows_of.add_counts(tx, here, {"people": rows_of.Counts(emitted=10_000, unchanged=10_000)})
            rows_of.end_stream(tx, here, "people", status="complete")
            rows_of.close_run(tx, run, status="complete", report=plain_report(note), error_class=None, error_text=None)
            leases.release(tx, lease)

    def test_watermarks_stand_beside_the_counts_and_nowhere_else(
        self, sync: Sync, scratch: Scratch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They may be about people: neither the report's column nor a log line has them."""
        streams = catalog(stream_of())
        sync(says(record({"id": 1, "seq": "ann@customer.example"}), state(), complete()), streams=streams)
        sync(says(record({"id": 1, "seq": "zoe@customer.example"}), state(), complete()), streams=streams)
        assert seen(scratch, "select watermark_before, watermark_after from pay_ready.stream_runs order by run_id") == [
            ("", "sann@customer.example"),
            ("sann@customer.example", "szoe@customer.example"),
        ]
        kept = json.dumps(seen(scratch, "select report from pay_ready.sync_runs"))
        assert "customer.example" not in kept + "".join(capsys.readouterr())

    def test_what_others_found_is_in_the_report(self, sync: Sync, scratch: Scratch) -> None:
        """Schema changes, the platform's job, times of steps before the sync; a note makes the run partial."""
        findings = RunFindings(schema_changes={"people": ["age: integer, was text"]}, notes=["stream calls: frozen"])
        findings.clock.add("watch", 2.5)
        findings.job = JobReport(job_id=4711, connection_id="c", outcome="succeeded", is_adopted=True)
        report = sync(people(2), findings=findings)
        assert (report.status, report.notes) == ("partial", ("stream calls: frozen",))
        column = read_report(seen(scratch, "select report from pay_ready.sync_runs")[0][0])
        assert column.schema_changes == {"people": ("age: integer, was text",)}
        assert column.seconds_by_step.keys() == {"watch", "plan", "read", "write"}
        assert (column.job and column.job.job_id, column.notes) == (4711, ("stream calls: frozen",))

    def test_a_report_of_an_older_version_is_shown(self, sync: Sync, database: Database, tenant: TenantId, scratch: Scratch) -> None:
        """Rows that were written before this version stay as they are, and are read."""
        report = sync(people(2))
        old = {"schema_version": 1, "seconds": 9.5, "attempts": 2, "streams": [], "notes": ["as it was"]}
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("update pay_ready.sync_runs set report = %s", (json.dumps(old),))
        shown = show_run(database, tenant, str(report.run_id))
        assert shown.report is not None
        assert (shown.report.seconds, shown.report.notes) == (9.5, ("as it was",))
        assert (shown.streams[0].emitted, shown.streams[0].volume) == (2, None)
