"""Reading a destination's tables: deletions, damage, changed shapes, rows of no job, and connections that are cut."""

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import psycopg
import pytest

from pay_ready.db import sources
from pay_ready.db.destination import open_destination
from pay_ready.db.destination_rows import Wanted, read_rows
from pay_ready.db.sources import SourceConfigV1, StreamConfigV1
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.sources import landing_read
from pay_ready.sources.landing_streams import shape_of
from pay_ready.sources.landing_tables import LandingTables
from pay_ready.sources.protocol import Message, Record, State
from tests.airbyte_simulator.destination import SimulatedStream
from tests.integration.landing_tables.conftest import MakeStream
from tests.landing_support import QUICK
from tests.tables_support import COLUMNS, Reader, cut_once, expected, moment, people, person, table_stream, without_empty


def messages_of(tables: LandingTables) -> list[Message]:
    """Everything that a first reading says."""
    catalog = tables.plan({})
    with tables({}, catalog, []) as reading:
        return [message for batch in reading.batches() for message in batch]


def test_rows_that_say_they_are_deleted(reader: Reader, make_stream: MakeStream) -> None:
    """The CDC column always counts; the user's own soft-delete column beside it, where one is named."""
    columns = {**COLUMNS, "_ab_cdc_deleted_at": "timestamptz", "archived": "boolean"}
    simulated = make_stream(columns=columns, mode="dedup")
    with reader.database.tenant_transaction(reader.tenant) as tx:
        config = SourceConfigV1(streams={"people": StreamConfigV1(deleted_flag=("archived",))})
        sources.change_config(tx, sources.require(tx, "crm"), config, actor="tests")
    simulated.run(1, people(1, 10), at=moment(0))
    reader.sync(simulated, upto=1)
    gone = [person(2, 12) | {"_ab_cdc_deleted_at": moment(1)}, person(3, 13) | {"archived": True}, person(4, 14) | {"archived": False}]
    simulated.run(2, gone, at=moment(1))
    synced = reader.sync(simulated, upto=2)
    assert synced.stream().deleted == 2
    assert sorted(reader.landed(), key=int) == ["1", "4", "5", "6", "7", "8", "9", "10"]


def test_damage_travels_with_its_row(reader: Reader, simulated: SimulatedStream) -> None:
    """What the destination had to change in a row is the record's meta; a row without damage has none."""
    damage = {"field": "name", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
    with simulated.begin(1) as attempt:
        attempt.write([person(1)], at=moment(0))
        attempt.write([person(2) | {"name": None}], at=moment(1), changes=[damage])
        attempt.finish()
    said = messages_of(LandingTables(reader.admin_url, [table_stream(simulated)], upto_sync=1))
    metas = [message.meta for message in said if isinstance(message, Record)]
    assert metas[0] is None
    assert msgspec.json.decode(metas[1] or b"") == {"changes": [damage]}
    assert [message.emitted_at for message in said if isinstance(message, Record)] == [
        int(at.timestamp() * 1000) for at in (moment(0), moment(1))
    ]


def test_a_new_column_is_kept(reader: Reader, simulated: SimulatedStream) -> None:
    """Rows from then on have it; the catalog says so; a column that is gone is in new rows no longer."""
    simulated.run(1, people(1, 5), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.add_column("city", "varchar")
    simulated.run(2, [person(6) | {"city": "Ulm"}], at=moment(1))
    assert reader.sync(simulated, upto=2).counts() == (1, 1, 0, 0)
    assert reader.landed()["6"] == person(6) | {"city": "Ulm"}
    assert without_empty(reader.landed()) == without_empty(expected(simulated))
    simulated.drop_column("city")
    simulated.run(3, [person(7)], at=moment(2))
    assert reader.sync(simulated, upto=3).counts() == (1, 1, 0, 0)
    assert reader.landed()["7"] == person(7)


def test_a_column_of_another_type_is_read_anew(reader: Reader, simulated: SimulatedStream) -> None:
    """The rows that are there have another form by now, so all of them are read."""
    simulated.run(1, people(1, 5), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.retype_column("seq", "varchar")
    simulated.run(2, [person(6) | {"seq": "6"}], at=moment(1))
    synced = reader.sync(simulated, upto=2)
    assert synced.counts() == (6, 6, 0, 0)
    assert "columns have another type: seq" in synced.remarks[0]
    assert reader.landed() == {str(n): person(n) | {"seq": str(n)} for n in range(1, 7)}


def test_the_catalog_describes_the_columns(reader: Reader, make_stream: MakeStream) -> None:
    """Types as the protocol writes them, and the source's own names where they are known; a raw table describes nothing."""
    columns = {"id": "bigint", "createdat": "timestamptz", "amount": "numeric(38,9)", "tags": "jsonb", "is_new_": "boolean", "day": "date"}
    simulated = make_stream("deals", columns=columns, cursor="createdat", mode="dedup")
    stream = table_stream(simulated, fields=("id", "createdAt", "amount", "tags", "is new?"), cursor_field=("createdAt",))
    configured = LandingTables(reader.admin_url, [stream], upto_sync=1).plan({}).streams[0]
    assert configured.cursor_field == ("createdAt",)
    assert configured.primary_key == (("id",),)
    described = msgspec.json.decode(bytes(configured.stream.json_schema))["properties"]
    assert {name: each["type"][1] for name, each in described.items()} == {
        "id": "integer", "createdAt": "string", "amount": "number", "tags": "object", "is new?": "boolean", "day": "string",
    }  # fmt: skip
    assert described["createdAt"]["format"] == "date-time"
    raw = make_stream("notes", columns=columns, layout="raw")
    configured = LandingTables(reader.admin_url, [table_stream(raw, cursor_field=())], upto_sync=1).plan({}).streams[0]
    assert bytes(configured.stream.json_schema) == b'{"type":"object"}'


def test_rows_of_no_job_are_read_with_a_lag(reader: Reader, simulated: SimulatedStream) -> None:
    """Those that came before the destination said its jobs: read by their moment, a day back each time, and the run says so."""
    simulated.run(1, people(1, 10), at=moment(0))
    simulated.run(1, people(11, 20), at=moment(2_000))
    simulated.execute("update {} set _airbyte_meta = _airbyte_meta - 'sync_id'")
    synced = reader.sync(simulated, upto=4)
    assert synced.counts() == (20, 20, 0, 0)
    assert "people: 20 rows do not say by which job they came" in synced.remarks[0]
    assert "going back 24 h each time" in synced.remarks[0]
    simulated.run(2, people(21, 25), at=moment(1_000))
    simulated.run(5, people(26, 30), at=moment(2_100))
    simulated.execute("update {} set _airbyte_meta = _airbyte_meta - 'sync_id' where id between 21 and 25")
    assert reader.sync(simulated, upto=5).counts() == (20, 10, 10, 0)
    assert reader.landed() == expected(simulated)
    assert reader.sync(simulated, upto=5, lag_s=60).counts() == (10, 0, 10, 0)


def test_without_jobs_the_newest_one_is_read_again(reader: Reader, simulated: SimulatedStream) -> None:
    """Nobody says whether it is at its end: what it adds later is not lost, and the run says so."""
    simulated.run(1, people(1, 10), at=moment(0))
    with simulated.begin(2) as running:
        running.write(people(11, 15), at=moment(1))
        synced = reader.sync(simulated, upto=None)
        assert synced.counts() == (15, 15, 0, 0)
        assert synced.remarks == ["people: no job is known to be at its end: rows of job 2 and newer will be read again"]
        running.write(people(16, 20), at=moment(0.5))
        running.finish()
    assert reader.sync(simulated, upto=None).counts() == (10, 5, 5, 0)
    simulated.run(3, people(21, 22), at=moment(2))
    assert reader.sync(simulated, upto=3).counts() == (12, 2, 10, 0)
    assert reader.landed() == expected(simulated)


def test_an_older_job_adds_nothing(reader: Reader, simulated: SimulatedStream) -> None:
    """A late run for a job before the last one finds nothing, says so, and moves nothing back."""
    for job in (1, 2, 3):
        simulated.run(job, people(10 * job, 10 * job + 5), at=moment(job))
    reader.sync(simulated, upto=3)
    synced = reader.sync(simulated, upto=2)
    assert synced.counts() == (0, 0, 0, 0)
    assert "people: job 2 is older than what was read before (up to 3)" in synced.remarks
    assert reader.sync(simulated, upto=3).counts() == (0, 0, 0, 0)


@pytest.mark.parametrize("has_index", [True, False])
def test_pages_part_nothing(has_index: bool, reader: Reader, make_stream: MakeStream) -> None:
    """Pages smaller than a tie, with and without an index that leads into the table: every row is read once."""
    simulated = make_stream(has_index=has_index)
    with simulated.begin(1) as attempt:
        attempt.write(people(1, 40), at=moment(0), raw_id="the same")
        attempt.write(people(41, 60), at=moment(0))
        attempt.write(people(61, 90), at=moment(1))
        attempt.finish()
    assert reader.sync(simulated, upto=1, page_rows=7).counts() == (90, 90, 0, 0)
    assert reader.landed() == expected(simulated)


def test_an_index_on_the_job_is_used_or_hinted_at(reader: Reader, simulated: SimulatedStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large table without one is scanned each time: the run says which statement makes it; with it, the hint is gone."""
    monkeypatch.setattr(landing_read, "LARGE_BYTES", 1)
    simulated.run(1, people(1, 20), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.run(2, people(21, 25), at=moment(1))
    hint = next(remark for remark in reader.sync(simulated, upto=2).remarks if "an index spares that" in remark)
    with psycopg.connect(reader.admin_url, autocommit=True) as connection:
        connection.execute(hint.split("spares that: ")[1].encode())
    with open_destination(reader.admin_url, setting="tests") as destination:
        assert [table.has_sync_index for table in destination.tables([simulated.schema])] == [True]
    simulated.run(3, people(26, 28), at=moment(2))
    synced = reader.sync(simulated, upto=3)
    assert synced.counts() == (3, 3, 0, 0)
    assert not synced.remarks


def end_readers(admin_url: str) -> None:
    """The server ends the sessions that read a destination."""
    with psycopg.connect(admin_url) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy (select%' and datname = current_database()"
        )


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_connection_that_is_cut(mode: Any, reader: Reader, monkeypatch: pytest.MonkeyPatch, make_stream: MakeStream) -> None:
    """News go on after the last state; a refresh begins anew; neither loses a row or drops one."""
    monkeypatch.setattr(landing_read, "STATE_ROWS", 1_000)
    simulated = make_stream(mode=mode)
    rows = 9_000
    if mode == "overwrite":
        simulated.run(1, people(1, 50))
        reader.sync(simulated, upto=1)
        simulated.run(2, [])
    simulated.execute(
        "insert into {} select n, n, repeat('x', 1000), gen_random_uuid(), timestamptz '2026-11-01' + n * interval '1 ms',"
        ' \'{{"sync_id": 2, "changes": []}}\', 1 from generate_series(1, %s) as n',
        rows,
    )
    options = replace(QUICK, limits=FlushLimits(rows=1_000))
    cut = partial(cut_once, at=5, happening=partial(end_readers, reader.admin_url))
    synced = reader.sync(simulated, upto=2, connector=cut, options=options)
    assert (synced.report.status, synced.report.attempts) == ("complete", 2), synced.report.error
    assert reader.landed() == expected(simulated)
    repeated = synced.stream().emitted - rows
    # News go on exactly after the last stored state; of a refresh, all that was read before comes again.
    assert synced.stream().unchanged == repeated
    assert (repeated > 1_000) if mode == "overwrite" else (repeated == 0)
    assert synced.stream().tombstoned == 0


def test_an_interrupted_refresh_stays_due(reader: Reader, make_stream: MakeStream) -> None:
    """Stopped in the middle of it: nothing is dropped by then, and the next run does it whole, whatever it is asked for."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 30))
    reader.sync(simulated, upto=1)
    simulated.run(2, people(5, 30))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.sync(simulated, upto=2, connector=lambda tables: cut_once(tables, 0, stop))
    assert len(reader.landed()) == 30
    simulated.run(3, people(6, 30))
    waiting = reader.sync(simulated, upto=2)
    assert (waiting.counts(), len(reader.landed())) == ((0, 0, 0, 0), 30)
    synced = reader.sync(simulated, upto=3)
    assert synced.counts() == (25, 0, 25, 5)
    assert reader.landed() == expected(simulated)


def test_four_writers_that_commit_late_lose_nothing(reader: Reader, simulated: SimulatedStream) -> None:
    """6,000 rows of four connections whose commits come in any order: all are landed, though reading went on meanwhile.

    Polling for what was extracted after the newest row seen, on the same rows, loses some: so the order does hurt.
    """
    polled: set[int] = set()
    newest = [moment(-1)]
    barrier = threading.Barrier(5, timeout=60)

    def write(writer: int) -> None:
        with simulated.begin(1) as attempt:
            for part in range(5):
                # The later a writer began, the older are the rows that it shows last.
                first = writer * 1_500 + part * 300
                at = moment(10 * part - 7 * writer)
                attempt.write(people(first, first + 299), at=at, commit=False)
                barrier.wait()
                if (part + writer) % 2:
                    attempt.commit()
                barrier.wait()
            attempt.commit()

    def poll() -> None:
        for number, at in simulated.execute("select id, _airbyte_extracted_at from {} where _airbyte_extracted_at > %s", newest[0]):
            polled.add(number)
            newest[0] = max(newest[0], at)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in writers:
        each.start()
    for _ in range(5):
        barrier.wait()
        reader.sync(simulated, upto=None)
        poll()
        barrier.wait()
    for each in writers:
        each.join()
    poll()
    synced = reader.sync(simulated, upto=1)
    assert synced.report.status == "complete"
    assert len(reader.landed()) == 6_000
    assert reader.landed() == expected(simulated)
    assert len(polled) < 6_000
    assert timedelta(0) < newest[0] - moment(-1)


def test_states_cover_whole_places(reader: Reader, simulated: SimulatedStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state stands where the place in the order changes, never among rows that share one: resuming there leaves none out."""
    monkeypatch.setattr(landing_read, "STATE_ROWS", 1)
    with simulated.begin(1) as attempt:
        attempt.write(people(1, 2_500), at=moment(0), raw_id="one")
        for number in range(2_501, 3_601):
            attempt.write([person(number)], at=moment(number), raw_id=f"{number}", commit=False)
        attempt.finish()
    said = messages_of(LandingTables(reader.admin_url, [table_stream(simulated)], upto_sync=1))
    states = [(index, message) for index, message in enumerate(said) if isinstance(message, State)]
    reached = [msgspec.json.decode(message.raw)["stream"]["stream_state"]["reached"] for _, message in states]
    assert [each and each["raw_id"] for each in reached] == ["3000", None]
    assert [index for index, _ in states] == [3_000, 3_601]
    assert [message.record_count for _, message in states] == [3_000, 600]


def test_pages_of_a_table_without_statistics_go_by_its_index(reader: Reader, make_stream: MakeStream) -> None:
    """A table that was just swapped in has none: its pages are entered by the index on the moment, and none sorts the table."""
    simulated = make_stream(columns={**COLUMNS, "name": "text"})
    simulated.run(1, people(1, 600), at=moment(0))
    with psycopg.connect(reader.admin_url) as connection:
        pages = connection.execute(
            "select reltuples from pg_class where oid = %s::regclass", [f"{simulated.schema}.{simulated.name}"]
        ).fetchone()
        assert pages == (-1,)  # never analyzed
    with open_destination(reader.admin_url, setting="destination") as destination:
        (table,) = destination.tables([simulated.schema])
        shape = shape_of(table_stream(simulated), table)
        # What the planner thinks of a large table: to follow the index from row to row costs more than to read all and sort.
        destination.session.execute("set local random_page_cost = 1000")
        rows = [row for chunk in read_rows(destination, table, Wanted(), shape, page_rows=250) for row in chunk]
        scans = destination.session.execute(
            "select seq_scan, idx_scan from pg_stat_xact_user_tables where relid = %s", [table.oid]
        ).fetchone()
    assert len(rows) == 600
    assert scans == (0, 3)
