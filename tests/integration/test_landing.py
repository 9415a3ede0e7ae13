"""Landing: what becomes of each record, and what is stored when."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from pay_ready.db import landing as rows_of
from pay_ready.db import leases, sources
from pay_ready.db.landing import Landing, LandingRow
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError, ConflictError, DeniedError, NotFoundError, PartialError, RetryLaterError, SecretError
from pay_ready.model.ids import RunId, SourceId, TenantId, new_id
from pay_ready.pipeline.land.buffer import BegunStream, Flush, FlushLimits, StreamFlush
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.rows import StreamPlan
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from pay_ready.pipeline.land.write import ShrinkGuard, write_flushes
from pay_ready.pipeline.run_column import read_report
from pay_ready.secrets import Keyring, generate_key
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Control, LenientRecord, Message, NotProtocol, State, StreamDescriptor, StreamStatus, TraceError
from tests.conftest import Scratch
from tests.landing_support import (
    QUICK,
    Script,
    add_source,
    catalog,
    complete,
    record,
    says,
    scripted,
    scripted_catalog,
    state,
    stream_of,
)

Query = Callable[[str], list[tuple[Any, ...]]]
REFRESH = catalog(stream_of(mode="full_refresh", write="overwrite"))
KEYLESS = catalog(stream_of(key=False))


@pytest.fixture
def seen(scratch: Scratch) -> Query:
    """What the administrator sees of this test's database."""

    def query(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(scratch.admin_url) as connection:
            return connection.execute(text.encode()).fetchall()

    return query


@pytest.fixture
def sync(database: Database, tenant: TenantId) -> Callable[..., SyncReport]:
    """A sync of the source crm with a connector, or with messages to say."""
    add_source(database, tenant)

    def run(*messages: Message | Script, streams: Any = None, **more: Any) -> SyncReport:
        connector = messages[0] if len(messages) == 1 and isinstance(messages[0], Script) else says(*messages)  # type: ignore[arg-type]
        return sync_source(database, tenant, "crm", connector, streams or catalog(), **{"options": QUICK, **more})

    return run


def person(number: int, seq: int | None = None, **more: object) -> dict[str, object]:
    """A row with a key and a cursor."""
    return {"id": number, "seq": number if seq is None else seq, **more}


def counts(report: SyncReport, stream: str = "people") -> tuple[int, ...]:
    """emitted, landed, unchanged, superseded, deleted, quarantined of one stream."""
    found = next(each for each in report.streams if each.stream == stream)
    return found.emitted, found.landed, found.unchanged, found.superseded, found.deleted, found.quarantined


def test_a_whole_read_of_a_process_lands(database: Database, tenant: TenantId, seen: Query, tmp_path: Path) -> None:
    """All rows there, every stream complete, the last states stored; the next read goes on after them."""
    config = {"streams": {"people": 230, "companies": 40}, "state_every": 20}
    add_source(database, tenant, settings=config)
    report = sync_source(database, tenant, "crm", scripted(tmp_path), scripted_catalog(config), options=QUICK)
    assert (report.status, report.emitted, report.landed) == ("complete", 270, 270)
    assert seen("select stream, count(*) from pay_ready.landed_records group by 1 order by 1") == [("companies", 40), ("people", 230)]
    assert seen("select stream, state::jsonb #>> '{stream,stream_state,seq}' from pay_ready.stream_states order by 1") == [
        ("companies", "40"),
        ("people", "230"),
    ]
    again = sync_source(database, tenant, "crm", scripted(tmp_path), scripted_catalog(config), options=QUICK)
    assert (again.status, again.emitted) == ("complete", 0)
    assert [each.watermark_before for each in again.streams] == [each.watermark_after for each in report.streams]


def test_each_record_is_counted_once(sync: Callable[..., SyncReport]) -> None:
    """New, equal, older, deleted and unusable records are told apart, and add up."""
    sync(record(person(1, 5, name="a")), record(person(2, 5, name="b")), record(person(3, 5)), state(), complete())
    report = sync(
        record(person(1, 5, name="a")),  # equal
        record(person(2, 4, name="older")),  # older
        record(person(2, 6, name="newer")),
        record(person(3, 7, _ab_cdc_deleted_at="2026-01-01")),
        record({"seq": 9}),  # no key
        record(b'{"id": 7, "seq": [1,}'),  # no JSON
        record(person(4, 1)),
        state(seq=9),
        complete(),
    )
    assert counts(report) == (7, 2, 1, 1, 1, 2)
    assert report.status == "complete", report.error


def test_unchanged_rows_are_not_written(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A record equal to the row that stands leaves it untouched, and makes no batch."""
    messages: list[Message] = [*(record(person(number)) for number in range(120)), state(), complete()]
    sync(*messages)
    before = seen("select ctid, xmin, record_key from pay_ready.landed_records order by record_key")
    report = sync(*messages)
    assert counts(report) == (120, 0, 120, 0, 0, 0)
    assert seen("select ctid, xmin, record_key from pay_ready.landed_records order by record_key") == before
    assert seen("select count(*) from pay_ready.landing_batches where landed = 0") == [(0,)]


def test_batches_are_numbered_without_gaps_in_commit_order(sync: Callable[..., SyncReport], seen: Query) -> None:
    """commit_seq counts from 1, one for each stream of each transaction, and every row knows its batch."""
    both = catalog(stream_of(), stream_of("companies"))
    messages: list[Message] = []
    for number in range(300):
        messages += [record(person(number)), record(person(number), "companies"), state(seq=number), state("companies", number)]
    sync(*messages, complete(), complete("companies"), streams=both)
    numbers = [number for (number,) in seen("select commit_seq from pay_ready.landing_batches order by batch_id, commit_seq")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) > 4
    mismatched = """select batch_id from pay_ready.landing_batches join pay_ready.landed_records using (tenant_id, batch_id)
        group by batch_id, landed having count(*) <> landed"""
    assert seen(mismatched) == []


@pytest.mark.parametrize(("staged", "expected"), [(False, [(2, 1, 1), (1, 1, 0)]), (True, [(2, 2, 0), (1, 1, 0)])])
def test_a_row_overtaken_before_staging_is_superseded(
    sync: Callable[..., SyncReport], seen: Query, scratch: Scratch, *, staged: bool, expected: list[tuple[int, int, int]]
) -> None:
    """What was landed and never staged moves to superseded in the run that landed it; what was staged stays landed."""
    sync(record(person(1, 1)), record(person(2, 1)), state(), complete())
    if staged:
        with psycopg.connect(scratch.admin_url) as connection:
            connection.execute("update pay_ready.stream_states set staged_commit_seq = 1")
    sync(record(person(1, 2)), state(seq=2), complete())
    assert seen("select emitted, landed, superseded from pay_ready.stream_runs order by run_id") == expected
    assert seen("select landed from pay_ready.landing_batches order by commit_seq") == [(expected[0][1],), (1,)]


def test_a_deleted_row_is_a_tombstone_and_may_come_back(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A delete empties the row; an older version does not wake it, a newer one does, even with the old content."""
    row = "select data is null, deleted_at is not null from pay_ready.landed_records"
    sync(record(person(1, 1)), state(), complete())
    deleted = sync(record(person(1, 5, _ab_cdc_deleted_at="now")), state(), complete())
    assert (counts(deleted), seen(row)) == ((1, 0, 0, 0, 1, 0), [(True, True)])
    again = sync(record(person(1, 5, _ab_cdc_deleted_at="now"), emitted_at=1_770_000_000_000), state(), complete())
    assert counts(again) == (1, 0, 1, 0, 0, 0)
    older = sync(record(person(1, 2)), state(), complete())
    assert (counts(older), seen(row)) == ((1, 0, 0, 1, 0, 0), [(True, True)])
    newer = sync(record(person(1, 6)), state(), complete())
    assert (counts(newer), seen(row)) == ((1, 1, 0, 0, 0, 0), [(False, False)])


def test_a_delete_of_an_unknown_row_keeps_older_versions_out(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A tombstone is kept even where there was no row: its older versions may still be on their way."""
    sync(record(person(1, 5, _ab_cdc_deleted_at="now")), state(), complete())
    assert counts(sync(record(person(1, 2)), state(), complete())) == (1, 0, 0, 1, 0, 0)
    assert seen("select count(*) from pay_ready.landed_records where deleted_at is null") == [(0,)]


def test_rows_are_stored_with_the_state_that_covers_them(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A source that dies after a state keeps all before it, and lands what came after it without moving the state."""
    dead = RunOutcome(connector="script", exit_code=1, errors=(TraceError("bad", "system_error"),))
    messages: list[Message] = [record(person(1)), state(seq=1), record(person(2))]
    report = sync(Script([[messages]], outcomes=[dead]))
    assert (report.status, type(report.error).__name__) == ("failed", "PayReadyError")
    assert seen("select count(*) from pay_ready.landed_records") == [(2,)]
    script = says(complete())
    sync(script)
    assert [msgspec.json.decode(each)["stream"]["stream_state"] for each in script.states[0]] == [{"seq": 1}]


def test_a_source_without_states_lands_in_bounded_memory(sync: Callable[..., SyncReport], seen: Query) -> None:
    """Rows go out before any state comes; no state is made up; COMPLETE completes."""
    script = says(*(record(person(number)) for number in range(1_000)), complete())
    report = sync(script)
    assert (report.status, counts(report)) == ("complete", (1000, 1000, 0, 0, 0, 0))
    assert seen("select count(*) from pay_ready.landing_batches")[0][0] > 3
    assert seen("select state from pay_ready.stream_states") == [(None,)]


def test_a_global_state_is_kept_for_all_streams(sync: Callable[..., SyncReport], seen: Query) -> None:
    """It stands under the empty name, is handed back alone, and ends with the first state of a single stream."""
    both = catalog(stream_of(), stream_of("companies"))
    raw = b'{"type":"GLOBAL","global":{"shared_state":{"lsn":7},"stream_states":[]}}'
    script = says(record(person(1)), State("GLOBAL", (), None, raw), complete(), complete("companies"))
    sync(script, streams=both)
    second = says(record(person(2)), state(seq=2), complete(), complete("companies"))
    sync(second, streams=both)
    assert second.states == [[raw]]
    third = says(complete(), complete("companies"))
    sync(third, streams=both)
    assert third.states == [[state(seq=2).raw]]
    stored = seen("select stream, state is null from pay_ready.stream_states order by 1")
    assert stored == [("", True), ("companies", True), ("people", False)]


def test_rotated_credentials_are_stored_before_what_follows(
    sync: Callable[..., SyncReport], database: Database, tenant: TenantId, seen: Query
) -> None:
    """A CONTROL is kept, encrypted, even when the source dies right after it; the next read is given it."""
    keyring = Keyring.from_text(generate_key())
    new = {"api_key": "rotated-canary-0001"}  # pragma: allowlist secret
    dead = RunOutcome(connector="script", exit_code=1, errors=(TraceError("bad", "config_error"),))
    messages: list[Message] = [record(person(1)), Control(msgspec.json.encode(new), 0)]
    report = sync(Script([[messages]], outcomes=[dead]), keyring=keyring)
    assert isinstance(report.error, ConfigError)
    assert b"rotated-canary" not in bytes(seen("select envelope from pay_ready.source_credentials")[0][0])
    script = says(complete())
    sync(script, keyring=keyring)
    assert script.configs == [new]
    with database.tenant_transaction(tenant) as tx:
        assert sources.connector_config(tx, sources.require(tx, "crm"), keyring) == new


def test_rotated_credentials_without_a_key_end_the_run(sync: Callable[..., SyncReport]) -> None:
    """Going on would lose the only token that still works."""
    report = sync(record(person(1)), Control(b'{"api_key":"new"}', 0), record(person(2)), complete())
    assert isinstance(report.error, SecretError)
    assert report.status == "failed"


def test_an_incomplete_stream_makes_a_partial_run(database: Database, tenant: TenantId, seen: Query, tmp_path: Path) -> None:
    """Exit code 0 is not believed: the stream that did not say COMPLETE is incomplete, the other keeps its rows."""
    config = {"streams": {"people": 100, "companies": 40}, "state_every": 20, "fault": {"kind": "incomplete", "stream": "people"}}
    add_source(database, tenant, settings=config)
    report = sync_source(database, tenant, "crm", scripted(tmp_path), scripted_catalog(config), options=QUICK)
    assert report.status == "partial"
    assert seen("select stream, status from pay_ready.stream_runs order by 1") == [("companies", "complete"), ("people", "incomplete")]
    with pytest.raises(PartialError):
        report.raise_for_failure()
    assert read_report(seen("select report from pay_ready.sync_runs")[0][0]).attempts == 1


def test_a_transient_failure_is_taken_up_from_the_committed_state(
    database: Database, tenant: TenantId, seen: Query, tmp_path: Path
) -> None:
    """A connector killed in the middle is started again after the last state: one run, every record counted once."""
    fault = {"kind": "crash", "at": 700, "cut": True}
    config = {"streams": {"people": 1000}, "state_every": 20, "fault": fault, "once": str(tmp_path / "once")}
    add_source(database, tenant, settings=config)
    report = sync_source(database, tenant, "crm", scripted(tmp_path), scripted_catalog(config), options=QUICK)
    assert (report.status, report.attempts) == ("complete", 2)
    assert seen("select count(*), max((data ->> 'seq')::int) from pay_ready.landed_records") == [(1000, 1000)]
    # What came after the last state was landed when the connector died, and came again: equal, so not written.
    found = report.streams[0]
    assert (found.landed, found.emitted) == (1000, 1000 + found.unchanged)
    assert found.unchanged < 20


def test_a_wrong_configuration_is_not_tried_again(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A config_error ends the run at once, with its class in the run's row."""
    dead = RunOutcome(connector="script", exit_code=1, errors=(TraceError("bad key", "config_error"),))
    report = sync(Script([[[]]], outcomes=[dead]))
    assert (report.status, report.attempts) == ("failed", 1)
    assert seen("select status, error_class, error_text from pay_ready.sync_runs")[0][:2] == ("failed", "ConfigError")


def test_retries_end(sync: Callable[..., SyncReport]) -> None:
    """After max_retries further attempts a transient failure is the run's failure."""
    dead = RunOutcome(connector="script", exit_code=-9)
    report = sync(Script([[[]]] * 3, outcomes=[dead] * 3), options=replace(QUICK, max_retries=2))
    assert (report.status, report.attempts, type(report.error).__name__) == ("failed", 3, "TransientError")


def test_a_sync_that_takes_too_long_is_stopped(sync: Callable[..., SyncReport], seen: Query) -> None:
    """What is committed stays; the run is closed and says so."""
    flushed: list[Message] = [*(record(person(number)) for number in range(60)), state(seq=60)]
    report = sync(Script([[flushed, [record(person(61))], [record(person(62))]]]), options=replace(QUICK, timeout_s=0.0))
    assert "too long" in str(report.error)
    assert seen("select count(*) from pay_ready.landed_records") == [(60,)]


def test_what_jsonb_cannot_hold_is_kept_by_reference(sync: Callable[..., SyncReport], seen: Query) -> None:
    """NUL, half a surrogate pair, NaN, numbers beyond numeric, long integers: landed under their keys, bytes whole."""
    odd = {
        b"nul": rb'{"id":"nul","text":"a\u0000b"}',
        b"half": rb'{"id":"half","text":"\ud83d"}',
        b"big": b'{"id":"big","x":1e999999}',
        b"long": b'{"id":"long","x":' + b"9" * 5_000 + b"}",
    }
    nan = b'{"id":"nan","x":NaN}'
    fine = rb'{"id":"fine","text":"a\\u0000b","x":1e300,"deep":' + b"[" * 900 + b"]" * 900 + b"}"
    lenient = LenientRecord("people", msgspec.Raw(nan), 1)
    report = sync(*(record(data) for data in odd.values()), lenient, record(fine), state(), complete())
    assert counts(report) == (6, 6, 0, 0, 0, 0)
    kept = seen("select record_key, content from pay_ready.landed_records join pay_ready.large_payloads using (tenant_id, payload_id)")
    assert {key.encode(): bytes(content) for key, content in kept} == {**odd, b"nan": nan}
    assert seen("select data ->> 'text' from pay_ready.landed_records where record_key = 'fine'") == [("a\\u0000b",)]
    again = sync(*(record(data) for data in odd.values()), lenient, record(fine), state(), complete())
    assert counts(again) == (6, 0, 6, 0, 0, 0)


def test_bytes_that_nothing_refers_to_are_dropped(sync: Callable[..., SyncReport], seen: Query) -> None:
    """A row that is replaced or deleted takes its bytes with it; bytes that another row shares stay."""
    nul = rb'{"id":%d,"seq":%d,"text":"\u0000"}'
    sync(record(nul % (1, 1)), record(nul % (2, 1)), state(), complete())
    sync(record(person(1, 2)), record(person(2, 2, _ab_cdc_deleted_at="x")), state(), complete())
    assert seen("select count(*) from pay_ready.large_payloads") == [(0,)]


def test_a_value_that_the_server_refuses_does_not_stop_the_source(database: Database, tenant: TenantId, seen: Query) -> None:
    """Whatever we did not foresee is kept by reference instead of failing on every retry."""
    source = add_source(database, tenant)
    run = RunId(new_id())
    with database.tenant_transaction(tenant) as tx:
        lease = leases.acquire(tx, "source:crm", leases.holder_name(run))
        landing = Landing(source_id=source.source_id, run_id=run, lease=lease)
        rows_of.open_run(tx, landing, "connector")
    begun = BegunStream(plan=StreamPlan(stream="people", primary_key=(("id",),)))
    bad = LandingRow(b"1", b'{"id": unforeseen}', bytes(32), b"", 0)
    flush = Flush(streams=[StreamFlush(stream="people", begun=begun, rows=[bad])])
    write_flushes(database, tenant, landing, [flush], ShrinkGuard())
    assert seen("select content from pay_ready.large_payloads") == [(b'{"id": unforeseen}',)]


def test_unusable_lines_go_to_quarantine_whole(sync: Callable[..., SyncReport], seen: Query) -> None:
    """With their stream when they name it; records of streams that nobody asked for, too. The same bytes once."""
    broken = b'{"type":"RECORD","record":{"stream":"people","data":{"id":1'
    messages: list[Message] = [
        NotProtocol(broken, "line.not_json", is_record=True),
        NotProtocol(broken, "line.not_json", is_record=True),
        NotProtocol(b"RECORD \xff", "line.not_utf8", is_record=True),
        NotProtocol(b"a banner", "line.not_json"),
        record(person(1), "strangers"),
        record(b"[1]"),
        record({"id": None}),
        complete(),
    ]
    report = sync(*messages)
    assert report.status == "complete", report.error
    assert counts(report) == (4, 0, 0, 0, 0, 4)
    assert seen("select stream, reason, status from pay_ready.quarantined_records order by 1, 2") == [
        ("(unknown)", "line.not_utf8", "open"),
        ("people", "json.malformed", "open"),
        ("people", "key.missing", "open"),
        ("people", "line.not_json", "open"),
        ("strangers", "stream.unexpected", "open"),
    ]
    assert seen("select stream from pay_ready.stream_states") == [("people",)]


def test_faults_of_a_real_process_lose_nothing(database: Database, tenant: TenantId, seen: Query, tmp_path: Path) -> None:
    """Garbage, broken, odd, deep and 34 MiB records in one read: all there, and the run complete."""
    kinds = ("garbage", "broken_record", "not_utf8", "odd_record", "deep_record", "unknown", "stale_state", "wrong_count")
    faults = [{"kind": kind, "at": 30} for kind in kinds]
    faults += [
        {"kind": "big_line", "at": 50, "size_bytes": 34 << 20},
        {"kind": "big_line", "at": 60, "size_bytes": 34 << 20, "broken": True},
    ]
    config = {"streams": {"people": 100}, "state_every": 10, "fault": faults}
    add_source(database, tenant, settings=config)
    report = sync_source(database, tenant, "crm", scripted(tmp_path), scripted_catalog(config), options=QUICK)
    assert report.status == "complete", report.error
    found = report.streams[0]
    assert found.landed == 100 + 3 + 1
    assert found.quarantined == 4
    kept = seen("""select record_key, size_bytes > 34000000
        from pay_ready.landed_records join pay_ready.large_payloads using (tenant_id, payload_id)""")
    assert set(kept) == {("big", True), ("odd-1", False), ("odd-2", False), ("odd-3", False)}


class TestRefresh:
    """A full refresh that overwrites."""

    def test_what_it_no_longer_lists_is_gone(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """Rows of older generations that were not seen become tombstones; unchanged ones cost no write; they may come back."""
        sync(*(record(person(number)) for number in range(10)), complete(), streams=REFRESH)
        report = sync(*(record(person(number)) for number in range(9)), complete(), streams=REFRESH)
        assert (counts(report), report.streams[0].tombstoned) == ((9, 0, 9, 0, 0, 0), 1)
        assert seen("select record_key from pay_ready.landed_records where deleted_at is not null and data is null") == [("9",)]
        assert seen("select count(*) from pay_ready.seen_keys") == [(0,)]
        back = sync(*(record(person(number)) for number in range(10)), complete(), streams=REFRESH)
        assert (counts(back), back.streams[0].tombstoned) == ((10, 1, 9, 0, 0, 0), 0)

    def test_an_incomplete_one_drops_nothing(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """INCOMPLETE, or no word at all: every row stays."""
        sync(*(record(person(number)) for number in range(10)), complete(), streams=REFRESH)
        report = sync(record(person(1)), StreamStatus(StreamDescriptor("people"), "INCOMPLETE"), streams=REFRESH)
        assert report.status == "failed"
        assert seen("select count(*) from pay_ready.landed_records where deleted_at is not null") == [(0,)]

    def test_a_great_loss_is_not_believed(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """More than 10 % of 200 rows or more: nothing is dropped and the run is partial, unless the loss is accepted."""
        gone = "select count(*) from pay_ready.landed_records where deleted_at is not null"
        sync(*(record(person(number)) for number in range(200)), complete(), streams=REFRESH)
        few: list[Message] = [*(record(person(number)) for number in range(179)), complete()]
        report = sync(*few, streams=REFRESH)
        assert (report.status, seen(gone)) == ("partial", [(0,)])
        assert "21 of 200" in report.notes[0]
        assert [(each.stream, each.live, each.gone, each.reason) for each in report.unbelieved] == [("people", 200, 21, "shrink")]
        accepted = sync(*few, streams=REFRESH, options=replace(QUICK, guard=ShrinkGuard(accept=True)))
        assert (accepted.status, seen(gone)) == ("complete", [(21,)])

    def test_unreadable_records_keep_rows_alive(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """A record that nobody can read may be the row that seems to be gone."""
        sync(record(person(1)), record(person(2)), complete(), streams=REFRESH)
        report = sync(record(person(1)), record(b"{broken"), complete(), streams=REFRESH)
        assert report.status == "partial"
        assert [each.reason for each in report.unbelieved] == ["unreadable"]
        assert seen("select count(*) from pay_ready.landed_records where deleted_at is not null") == [(0,)]

    def test_an_interrupted_one_goes_on(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """With its state, in its generation: what it listed before the interruption is not gone."""
        sync(*(record(person(number)) for number in range(4)), complete(), streams=REFRESH)
        dead = RunOutcome(connector="script", exit_code=1)
        half: list[Message] = [record(person(0)), record(person(1)), state(seq=1)]
        script = Script([[half], [[record(person(2)), complete()]]], outcomes=[dead])
        sync(script, streams=REFRESH)
        report = sync(script, streams=REFRESH)
        assert script.states == [[], [state(seq=1).raw]]
        assert [each.streams[0].generation_id for each in script.catalogs] == [2, 2]
        assert report.streams[0].tombstoned == 1
        assert seen("select record_key from pay_ready.landed_records where deleted_at is not null") == [("3",)]

    def test_a_tombstone_overtakes_what_was_never_staged(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """The row that was landed, not staged, and is gone, counts as superseded."""
        sync(record(person(1)), record(person(2)), complete(), streams=REFRESH)
        sync(record(person(1)), complete(), streams=REFRESH)
        assert seen("select landed, superseded from pay_ready.stream_runs order by run_id") == [(1, 1), (0, 0)]


class TestKeyless:
    """A stream without a primary key."""

    def test_equal_rows_are_rows_of_their_own(self, sync: Callable[..., SyncReport]) -> None:
        """Each equal row of a run has an ordinal; the next run finds them all."""
        rows = [record({"seq": 1}), record({"seq": 2}), record({"seq": 1}), record({"seq": 1})]
        assert counts(sync(*rows, state(), complete(), streams=KEYLESS)) == (4, 4, 0, 0, 0, 0)
        assert counts(sync(*rows, state(), complete(), streams=KEYLESS)) == (4, 0, 4, 0, 0, 0)

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_an_interrupted_read_numbers_on(self, sync: Callable[..., SyncReport], seen: Query, limit: int) -> None:
        """Rows before the state keep their numbers, rows after it come again and get the same ones."""
        equal = record({"seq": 1})
        dead = RunOutcome(connector="script", exit_code=1)
        options = replace(QUICK, limits=FlushLimits(rows=limit))
        first: list[Message] = [equal, equal, state(seq=1), *[equal] * 9]
        sync(Script([[first]], outcomes=[dead]), streams=KEYLESS, options=options)
        report = sync(*[equal] * 10, complete(), streams=KEYLESS, options=options)
        assert report.status == "complete", report.error
        assert seen("select count(*) from pay_ready.landed_records") == [(12,)]
        assert seen("select count(*) from pay_ready.seen_keys") == [(0,)]


class TestLease:
    """Who may land."""

    def test_a_second_run_is_told_who_is_at_work(self, sync: Callable[..., SyncReport], database: Database, tenant: TenantId) -> None:
        """It comes back later; once the first one is done it gets its turn, with a higher token."""
        refused: list[RetryLaterError] = []

        def meanwhile() -> Any:
            with pytest.raises(RetryLaterError) as caught:
                sync(complete())
            refused.append(caught.value)
            yield [complete()]

        sync(Script([meanwhile()]))
        assert "since" in refused[0].where
        with database.tenant_transaction(tenant) as tx:
            lease = leases.acquire(tx, "x", "me")
        assert lease.token == 2

    def test_a_zombie_writes_nothing(self, sync: Callable[..., SyncReport], scratch: Scratch, seen: Query) -> None:
        """A run whose lease was taken over fails at its next transaction, and its rows and state are not there."""

        def slept() -> Any:
            yield [record(person(1)), state(seq=1)]
            with psycopg.connect(scratch.admin_url, autocommit=True) as connection:
                # Flushes are committed by a thread of their own: the first one is there before the lease is lost.
                patience = time.monotonic() + 20
                while not connection.execute("select 1 from pay_ready.landed_records").fetchone():
                    assert time.monotonic() < patience, "the first flush never came"
                    time.sleep(0.01)
                connection.execute("update pay_ready.leases set token = token + 1, holder = 'another'")
            yield [record(person(2)), state(seq=2), complete()]

        with pytest.raises(ConflictError):
            sync(Script([slept()]), options=replace(QUICK, limits=FlushLimits(rows=1)))
        assert seen("select record_key from pay_ready.landed_records") == [("1",)]
        assert seen("select holder from pay_ready.leases") == [("another",)]

    def test_a_run_of_a_dead_process_is_closed(
        self, sync: Callable[..., SyncReport], database: Database, tenant: TenantId, seen: Query
    ) -> None:
        """Its lease is taken over at once, and the run it left is aborted, its streams incomplete."""
        source = SourceId(seen("select source_id from pay_ready.data_sources")[0][0])
        run = RunId(new_id())
        nobody = leases.holder_name(run).split(":")[0] + ":999999999:x"
        with database.tenant_transaction(tenant) as tx:
            lease = leases.acquire(tx, f"source:{source}", nobody)
            landing = Landing(source_id=source, run_id=run, lease=lease)
            rows_of.open_run(tx, landing, "connector")
            rows_of.begin_stream(tx, landing, "people", generation=0, pass_run=None, keep_state=True)
        report = sync(complete())
        assert report.aborted_runs == 1
        assert seen("select status from pay_ready.sync_runs order by run_id") == [("aborted",), ("complete",)]
        assert seen("select status from pay_ready.stream_runs order by run_id") == [("incomplete",), ("complete",)]

    def test_a_lease_is_renewed_while_the_source_is_silent(self, sync: Callable[..., SyncReport], seen: Query) -> None:
        """However long a read takes, its lease does not run out."""
        left: list[Any] = []

        def slow() -> Any:
            first = seen("select expires_at from pay_ready.leases")
            for _ in range(200):
                left[:] = seen("select expires_at from pay_ready.leases")
                if left > first:
                    break
                seen("select pg_sleep(0.02)")
            assert left > first
            yield [complete()]

        assert sync(Script([slow()]), options=replace(QUICK, lease_ttl_s=0.3)).status == "complete"

    def test_a_lease_that_ran_out_is_free(self, database: Database, tenant: TenantId) -> None:
        """Another host's holder is waited for until its time is over; then its token is refused."""
        with database.tenant_transaction(tenant) as tx:
            first = leases.acquire(tx, "x", "elsewhere:1:r", ttl_s=60)
        with pytest.raises(RetryLaterError), database.tenant_transaction(tenant) as tx:
            leases.acquire(tx, "x", "me:1:r")
        with database.tenant_transaction(tenant) as tx:
            leases.renew(tx, first, ttl_s=0.000_001)
        with database.tenant_transaction(tenant) as tx:
            second = leases.acquire(tx, "x", "me:1:r")
        assert second.token > first.token
        with database.tenant_transaction(tenant) as tx:
            for refused in (leases.guard, leases.renew):
                with pytest.raises(ConflictError):
                    refused(tx, first)
            assert leases.release(tx, first) is False
            assert leases.release(tx, second) is True


def test_sources_are_named_and_may_rest(database: Database, tenant: TenantId) -> None:
    """A missing or removed source is not found, a paused one refuses, a removed one comes back with its rows."""
    source = add_source(database, tenant)
    with pytest.raises(ConflictError):
        add_source(database, tenant)
    with database.tenant_transaction(tenant) as tx:
        sources.set_status(tx, source, "paused", actor="t")
    with pytest.raises(DeniedError):
        sync_source(database, tenant, "crm", says(complete()), catalog())
    with database.tenant_transaction(tenant) as tx:
        sources.put_credential(tx, source.source_id, "config", b"{}", Keyring.from_text(generate_key()))
        sources.set_status(tx, source, "removed", actor="t")
        assert sources.list_all(tx) == []
        assert tx.row("sources.credential", {"source_id": source.source_id, "credential": "config"}) is None
    with pytest.raises(NotFoundError):
        sync_source(database, tenant, "crm", says(complete()), catalog())
    assert add_source(database, tenant).status == "active"


def test_credentials_are_rotated_to_the_newest_key(database: Database, tenant: TenantId) -> None:
    """Only what an older key encrypted is encrypted anew; what is inside stays the same."""
    source, old, new = add_source(database, tenant), generate_key(), generate_key()
    both = Keyring.from_text(f"{new},{old}")
    with database.tenant_transaction(tenant) as tx:
        sources.put_credential(tx, source.source_id, "config", b'{"a":1}', Keyring.from_text(old))
        assert [sources.rotate_credentials(tx, both, actor="t") for _ in range(2)] == [1, 0]
        assert sources.connector_config(tx, source, Keyring.from_text(new)) == {"a": 1}
        with pytest.raises(SecretError):
            sources.connector_config(tx, source, None)


def test_two_tenants_land_side_by_side(
    sync: Callable[..., SyncReport], database: Database, new_tenant: Callable[[str], TenantId], seen: Query
) -> None:
    """The same source, stream and keys of another tenant are other rows."""
    other = new_tenant("bolt")
    add_source(database, other)
    messages: list[Message] = [record(person(1)), state(), complete()]
    sync(*messages)
    report = sync_source(database, other, "crm", says(*messages), catalog(), options=SyncOptions())
    assert counts(report) == (1, 1, 0, 0, 0, 0)
    assert seen("select count(*), count(distinct tenant_id) from pay_ready.landed_records") == [(2, 2)]
