"""Reading a destination's tables: which rows are read, which are left, what is dropped, and what is said about it."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from pay_ready.errors import ConfigError, DeniedError, PartialError
from pay_ready.sources.landing_streams import TableStream
from pay_ready.sources.landing_tables import LandingTables
from tests.airbyte_simulator.destination import SimulatedLayout, SimulatedStream
from tests.conftest import Scratch
from tests.integration.landing_tables.conftest import MakeStream
from tests.tables_support import ACCEPTING, COLUMNS, Reader, expected, moment, people, person, table_stream


@pytest.mark.parametrize("layout", ["direct", "typed", "typed_old", "raw", "raw_old"])
def test_every_layout_lands_the_same_rows(layout: SimulatedLayout, reader: Reader, make_stream: MakeStream) -> None:
    """Columns or one JSON value, with or without generation and sync: the rows are the source's, without Airbyte's columns."""
    simulated = make_stream(layout=layout)
    simulated.run(1, people(1, 30), at=moment(0))
    simulated.run(2, [person(7, 100, "Bob"), person(31)], at=moment(5))
    synced = reader.sync(simulated, upto=2)
    assert synced.report.status == "complete", synced.report.error
    assert synced.counts() == (32, 31, 0, 0)
    rows = {str(each["id"]): each for each in [*people(1, 31), person(7, 100, "Bob")]}
    assert reader.landed() == rows
    says_so = any("do not say by which job" in remark for remark in synced.remarks)
    assert says_so == (layout in ("typed_old", "raw_old"))


def test_tables_of_another_database(reader: Reader, empty_database: Scratch) -> None:
    """The destination is somebody else's database, and the login may no more than read."""
    simulated = SimulatedStream(url=empty_database.admin_url, name="people", columns=dict(COLUMNS))
    simulated.run(1, people(1, 20))
    own = replace(reader, url=empty_database.app_url)
    refused = own.sync(simulated, upto=1)
    assert refused.report.status == "partial"
    assert "this login may not read crm.people" in refused.report.notes[0]
    login = psycopg.conninfo.conninfo_to_dict(empty_database.app_url)["user"]
    simulated.execute(f"grant usage on schema crm to {login}")
    simulated.execute(f"grant select on crm.people to {login}")
    assert own.sync(simulated, upto=1).counts() == (20, 20, 0, 0)
    assert own.landed() == expected(simulated)


def test_each_run_reads_the_news_alone(reader: Reader, make_stream: MakeStream) -> None:
    """Rows of jobs that are read already are not read again; where there are none, nothing is."""
    simulated = make_stream(mode="dedup")
    simulated.run(1, people(1, 50), at=moment(0))
    assert reader.sync(simulated, upto=1).counts() == (50, 50, 0, 0)
    simulated.run(2, [person(3, 60, "Bob"), person(51)], at=moment(-500))
    assert reader.sync(simulated, upto=2).counts() == (2, 2, 0, 0)
    assert reader.sync(simulated, upto=2).counts() == (0, 0, 0, 0)
    assert reader.landed() == expected(simulated)


def test_rows_of_a_job_under_way_are_left(reader: Reader, make_stream: MakeStream) -> None:
    """What a newer job has written so far waits for that job's end, and then is read whole."""
    simulated = make_stream()
    simulated.run(1, people(1, 20), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.run(2, people(21, 30), at=moment(1))
    with simulated.begin(3) as running:
        running.write(people(31, 35), at=moment(2))
        synced = reader.sync(simulated, upto=2)
        assert synced.counts() == (10, 10, 0, 0)
        assert "people: 5 rows of jobs after 2 are left for the next run" in synced.remarks
        running.write(people(36, 40), at=moment(1.5))
        running.finish()
    assert reader.sync(simulated, upto=3).counts() == (10, 10, 0, 0)
    assert reader.landed() == expected(simulated)


@pytest.mark.parametrize("mode", ["append", "dedup"])
def test_rows_of_a_failed_job_are_not_lost(mode: Any, reader: Reader, make_stream: MakeStream) -> None:
    """What a failed job left is read, and what it had prepared is read once a later job shows it, under the old number."""
    simulated = make_stream(mode=mode)
    simulated.run(1, people(1, 20), at=moment(0))
    reader.sync(simulated, upto=1)
    with simulated.begin(2) as failing:
        failing.write(people(21, 30), at=moment(1))
    shown = 10 if mode == "append" else 0
    assert reader.sync(simulated, upto=2, job_succeeded=False).counts() == (shown, shown, 0, 0)
    with simulated.begin(3) as attempt:
        attempt.write(people(31, 33), at=moment(2))
        attempt.finish()
    synced = reader.sync(simulated, upto=3)
    assert synced.counts() == (13, 13 - shown, shown, 0)
    assert reader.landed() == expected(simulated)
    assert reader.sync(simulated, upto=3).counts() == (0, 0, 0, 0)


def test_the_state_moves_with_the_rows(reader: Reader, scratch: Scratch, make_stream: MakeStream) -> None:
    """The stored state is the reading's own: the job, the table's oid, its oldest generation."""
    simulated = make_stream()
    simulated.run(7, people(1, 3))
    reader.sync(simulated, upto=7)
    with psycopg.connect(reader.admin_url) as connection:
        found = connection.execute(
            "select state::jsonb #> '{stream,stream_state}', (%s || '.people')::regclass::oid::bigint from pay_ready.stream_states"
            " where tenant_id = %s",
            (simulated.schema, reader.tenant),
        ).fetchone()
    assert found is not None
    assert (found[0]["done_sync"], found[0]["min_generation"], found[0]["oid"]) == (7, 1, found[1])


def test_overwritten_rows_that_went_are_dropped(reader: Reader, make_stream: MakeStream) -> None:
    """A swap is read whole: what is equal stays untouched, what is listed no longer is gone."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 40))
    reader.sync(simulated, upto=1)
    simulated.run(2, [*people(1, 37), person(38, name="Bob")])
    synced = reader.sync(simulated, upto=2)
    assert synced.counts() == (38, 1, 37, 2)
    assert "people: the table was replaced: all of it is read, and what it has no longer is dropped" in synced.remarks
    assert reader.landed() == expected(simulated)
    assert reader.sync(simulated, upto=2).counts() == (0, 0, 0, 0)


def test_a_row_that_comes_back_is_there(reader: Reader, make_stream: MakeStream) -> None:
    """Dropped by a refresh, then added again with a cursor below the one that it had: the table has it, so it is landed."""
    simulated = make_stream(mode="dedup")
    simulated.run(1, [person(1, 90), *people(2, 9)], at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.start_truncate_refresh()
    with simulated.begin(2) as attempt:
        attempt.write(people(2, 9), at=moment(1))
        attempt.finish_truncate_refresh()
    assert reader.sync(simulated, upto=2).counts() == (8, 0, 8, 1)
    simulated.run(3, [person(1, 50)], at=moment(2))
    assert reader.sync(simulated, upto=3).counts() == (1, 1, 0, 0)
    assert reader.landed() == expected(simulated)


@pytest.mark.parametrize("left", [0, 200])
def test_a_table_that_shrank_much_is_not_believed(left: int, reader: Reader, make_stream: MakeStream) -> None:
    """Emptied or far smaller: nothing is dropped and the run is partial, each time, until it is accepted."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 300))
    reader.sync(simulated, upto=1)
    simulated.run(2, people(1, left))
    for _ in range(2):
        refused = reader.sync(simulated, upto=2)
        assert refused.counts()[3] == 0
        assert refused.report.status == "partial"
        with pytest.raises(PartialError, match="accept-shrink"):
            refused.report.raise_for_failure()
        assert len(reader.landed()) == 300
    accepted = reader.sync(simulated, upto=2, options=ACCEPTING)
    assert accepted.report.status == "complete"
    assert accepted.counts()[3] == 300 - left
    assert reader.landed() == expected(simulated)


def test_a_new_generation_alone_drops_nothing(reader: Reader, make_stream: MakeStream) -> None:
    """Each sync of a stream may have one; only when no older row is left were rows removed."""
    simulated = make_stream()
    simulated.run(1, people(1, 50), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.generation += 1
    simulated.run(2, people(51, 60), at=moment(1))
    assert reader.sync(simulated, upto=2).counts() == (10, 10, 0, 0)
    simulated.start_truncate_refresh()
    with simulated.begin(3) as attempt:
        attempt.write(people(1, 57), at=moment(2))
        attempt.finish_truncate_refresh(in_place=True)
    synced = reader.sync(simulated, upto=3)
    assert synced.counts() == (57, 0, 57, 3)
    assert "people: rows were removed: all of it is read, and what it has no longer is dropped" in synced.remarks
    assert reader.landed() == expected(simulated)


@pytest.mark.parametrize("layout", ["typed_old", "raw_old"])
def test_rows_that_went_without_generations(layout: SimulatedLayout, reader: Reader, make_stream: MakeStream) -> None:
    """Where rows have no generation, the table's file and its first moment tell: TRUNCATE changes the one, DELETE the other."""
    simulated = make_stream(layout=layout)
    simulated.run(1, people(1, 20), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.execute("truncate {}")
    simulated.run(2, people(1, 19), at=moment(1))
    assert reader.sync(simulated, upto=2).counts() == (19, 0, 19, 1)
    simulated.run(3, people(20, 22), at=moment(2))
    simulated.execute(f"delete from {{}} where {'_airbyte_emitted_at' if layout == 'raw_old' else '_airbyte_extracted_at'} < %s", moment(2))
    assert reader.sync(simulated, upto=3).counts() == (3, 3, 0, 19)
    assert sorted(reader.landed()) == ["20", "21", "22"]


def test_a_swap_by_a_newer_job_drops_nothing(reader: Reader, make_stream: MakeStream) -> None:
    """All rows are of a job that is not to be read yet: the old facts stay, and the reading of that job drops what went."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 20))
    reader.sync(simulated, upto=1)
    simulated.run(2, people(1, 18))
    simulated.run(3, people(3, 19))
    synced = reader.sync(simulated, upto=2)
    assert (synced.counts(), synced.report.status) == ((0, 0, 0, 0), "complete")
    assert "people: the table was replaced, by a job after 2: left for the next run" in synced.remarks
    assert len(reader.landed()) == 20
    assert reader.sync(simulated, upto=3).counts() == (17, 0, 17, 3)
    assert reader.landed() == expected(simulated)


def test_rows_of_a_newer_job_are_not_held_to_be_gone(reader: Reader, make_stream: MakeStream) -> None:
    """A refresh reads them along: a row that a newer job has rewritten since is there, whatever its number."""
    simulated = make_stream(mode="dedup")
    simulated.run(1, people(1, 20), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.start_truncate_refresh()
    with simulated.begin(2) as attempt:
        attempt.write(people(1, 19), at=moment(1))
        attempt.finish_truncate_refresh()
    simulated.run(3, [person(5, 50, "Bob")], at=moment(2))
    assert reader.sync(simulated, upto=2).counts() == (19, 1, 18, 1)
    assert reader.sync(simulated, upto=3).counts() == (1, 0, 1, 0)
    assert reader.landed() == expected(simulated)


def test_a_swap_after_the_plan_is_planned_anew(reader: Reader, make_stream: MakeStream) -> None:
    """The table is replaced between planning and reading: the attempt fails, and the next one sees the new table."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 20))
    reader.sync(simulated, upto=1)
    swaps = iter([True])

    def late(tables: LandingTables) -> Any:
        def read(*given: Any) -> Any:
            if next(swaps, False):
                simulated.run(2, people(1, 19))
            return tables(*given)

        return read

    synced = reader.sync(simulated, upto=2, connector=late)
    assert (synced.report.status, synced.report.attempts) == ("complete", 2)
    assert synced.counts() == (19, 0, 19, 1)
    assert reader.landed() == expected(simulated)


def test_a_reading_keeps_its_tables(reader: Reader, scratch: Scratch, make_stream: MakeStream) -> None:
    """While it reads, no table is swapped under it; afterwards nothing holds them."""
    first, second = make_stream(mode="overwrite"), make_stream("companies", mode="overwrite")
    for simulated in (first, second):
        simulated.run(1, people(1, 5))
    tables = LandingTables(scratch.admin_url, [table_stream(first), table_stream(second)], upto_sync=1)
    catalog = tables.plan({})
    swap = f"set lock_timeout = '50ms'; drop table {second.schema}.companies"
    with tables({}, catalog, []) as reading:
        next(iter(reading.batches()))
        with psycopg.connect(scratch.admin_url) as other, pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(swap.encode())
    with psycopg.connect(scratch.admin_url) as other:
        other.execute(swap.encode())


def test_a_table_that_is_gone(reader: Reader, make_stream: MakeStream) -> None:
    """Said in a note; nothing of it is dropped, and the other streams are read."""
    first, second = make_stream(), make_stream("companies")
    for simulated in (first, second):
        simulated.run(1, people(1, 5))
    never = TableStream(name="deals", schema=first.schema)
    synced = reader.sync(first, second, never, upto=1)
    assert synced.report.notes == (f"stream deals: there is no table of it in schema {first.schema}; has it been synced yet?",)
    second.execute("drop table {}")
    first.run(2, people(6, 7))
    synced = reader.sync(first, second, upto=2)
    assert synced.report.status == "partial"
    assert synced.report.notes == (f"stream companies: its table is gone from schema {first.schema}; nothing of it was dropped",)
    assert synced.counts() == (2, 2, 0, 0)
    assert len(reader.landed("companies")) == 5


def test_errors_name_no_credentials(reader: Reader, scratch: Scratch, make_stream: MakeStream) -> None:
    """Wrong password, dead host, ambiguous tables: what, where, hint; the URL stays out of it."""
    make_stream("People"), make_stream("peoplE")
    one = table_stream(make_stream("other"), name="people")
    with pytest.raises(ConfigError, match=r"several tables may hold the stream - .* name the one to read: \w+\.People, \w+\.peoplE"):
        LandingTables(scratch.admin_url, [one], upto_sync=1).plan({})
    parts = urlsplit(scratch.app_url)
    wrong = replace(reader, url=urlunsplit(parts._replace(netloc=f"{parts.username}:canary@")))
    refused = wrong.sync(one, upto=1)
    assert isinstance(refused.report.error, DeniedError)
    assert "canary" not in str(refused.report.error)
    assert "setting=destination" in str(refused.report.error)


def test_rows_that_were_written_twice(reader: Reader, make_stream: MakeStream) -> None:
    """With a key, with Airbyte's id for a key, and known by their content alone: each row is there once."""
    keyed = make_stream("keyed")
    added = make_stream("added", primary_key="")
    replaced = make_stream("replaced", mode="overwrite", primary_key="")
    for simulated in (keyed, added, replaced):
        with simulated.begin(1) as attempt:
            attempt.write(people(1, 5), at=moment(0), copies=2)
            attempt.write([person(9), person(9)], at=moment(0))
            attempt.finish()
    synced = reader.sync(keyed, added, replaced, upto=1, page_rows=3)
    assert synced.report.status == "complete"
    assert [len(reader.landed(name)) for name in ("keyed", "added", "replaced")] == [6, 7, 7]
    assert synced.counts("replaced") == (7, 7, 0, 0)
    assert "added: 5 rows were there twice, with one _airbyte_raw_id: read once" in synced.remarks
    assert all("_airbyte_raw_id" in row for row in reader.landed("added").values())
    replaced.run(2, [*people(1, 4), person(9)])
    assert reader.sync(replaced, upto=2).counts("replaced") == (5, 0, 5, 2)


def test_bookkeeping_does_not_change_a_row(reader: Reader, make_stream: MakeStream) -> None:
    """Airbyte's id, moment, job, generation and column order differ, the row is the same: unchanged."""
    simulated = make_stream(mode="overwrite")
    simulated.run(1, people(1, 10), at=moment(0))
    reader.sync(simulated, upto=1)
    simulated.columns = dict(reversed(simulated.columns.items()))
    simulated.generation += 1
    simulated.run(2, people(1, 10), at=moment(90))
    assert reader.sync(simulated, upto=2).counts() == (10, 0, 10, 0)


@pytest.fixture
def typed(make_stream: MakeStream) -> SimulatedStream:
    """A table with every type that a destination writes, and some that a user may add."""
    columns = {
        "id": "bigint", "number": "numeric(38,9)", "wide": "numeric", "real": "double precision", "flag": "boolean", "day": "date",
        "at": "timestamptz", "local": "timestamp", "clock": "time", "zoned": "timetz", "object": "jsonb", "list": "text[]",
        "raw": "bytea", "text": "varchar", "Mixed Case": "varchar", "json_text": "json",
    }  # fmt: skip
    return make_stream("typed", columns=columns, cursor=None)


def test_values_come_as_they_are(typed: SimulatedStream, reader: Reader, scratch: Scratch) -> None:
    """Numbers with all their digits, times as ISO 8601 in UTC, JSON as JSON, text with whatever it holds."""
    text = 'quote " backslash \\ tab \t newline \n null-like \\N \u2028 \x7f \U0001f600 \\u0000'
    typed.execute("set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'")
    with typed.begin(1) as attempt:
        attempt.write([{
            "id": 9_007_199_254_740_993, "number": "12345678901234567890123456789.123456789", "wide": "NaN", "real": 0.1, "flag": True,
            "day": "2026-02-03", "at": "2026-02-03 04:05:06.789+05:30", "local": "2026-02-03 04:05:06", "clock": "04:05:06.5",
            "zoned": "04:05:06+02", "object": {"b": [1, {"a": None}], "a": "x"}, "list": ["a", 'b"'], "raw": b"\x00\xff", "text": text,
            "Mixed Case": "kept",
        }])  # fmt: skip
        attempt.finish()
    typed.execute("update {} set json_text = %s", '{"z": 1,  "a": ["\\u00e9"]}')
    assert reader.sync(typed, upto=1).report.status == "complete"
    with psycopg.connect(scratch.admin_url) as connection:
        query = "select data::text, data from pay_ready.landed_records where tenant_id = %s"
        found = connection.execute(query, (reader.tenant,)).fetchone()
    assert found is not None
    assert '"number": 12345678901234567890123456789.123456789' in found[0]
    assert found[1] == {
        "id": 9_007_199_254_740_993, "number": found[1]["number"], "wide": "NaN", "real": 0.1, "flag": True, "day": "2026-02-03",
        "at": "2026-02-02T22:35:06.789+00:00", "local": "2026-02-03T04:05:06", "clock": "04:05:06.5", "zoned": "04:05:06+02",
        "object": {"b": [1, {"a": None}], "a": "x"}, "list": ["a", 'b"'], "raw": "\\x00ff", "text": text, "Mixed Case": "kept",
        "json_text": {"z": 1, "a": ["é"]},
    }  # fmt: skip
