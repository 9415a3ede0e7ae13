"""Backfills, for any records: however a range is cut, in whatever order its pieces and live syncs come, the same rows stand."""

import json
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pay_ready.db.tenancy import Database
from pay_ready.model.backfill import ChunkLength
from pay_ready.model.ids import TenantId, new_id
from pay_ready.pipeline.backfill.request import BackfillRequest
from pay_ready.pipeline.backfill.run import planned, run_chunk
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.land.values import decode
from pay_ready.pipeline.work import TenantWork
from pay_ready.sources.cursors import canonical, cursor_text
from pay_ready.sources.protocol import Record
from pay_ready.sources.ranges import RecordRange, Ruler
from tests.backfill_support import DAY_ONE, OPTIONS, Listing, add_crm, of_messages, tenant_work
from tests.conftest import Scratch
from tests.landing_support import catalog, record, state, stream_of

DATED = catalog(stream_of())
HOURS = 96  # of the range
LENGTHS = ("7h", "12h", "1d", "3d", "1mo")
EXAMPLES = 200 if os.environ.get("PAY_READY_TEST_DEEP") == "1" else 8
moments = st.datetimes(datetime(1974, 1, 1), datetime(2199, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
changes = st.lists(st.tuples(st.integers(0, 5), st.integers(-20, HOURS + 20), st.sampled_from("abc"), st.booleans()), max_size=14)


def shapes(moment: datetime) -> list[object]:
    """The ways in which sources write a moment, to the microsecond."""
    us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    written: list[object] = [moment.isoformat(), moment.isoformat().replace("+00:00", "Z"), f"{us // 1_000_000}.{us % 1_000_000:06}"]
    return [*written, us, us * 1000, moment.replace(tzinfo=None).isoformat(" ")]


@example(DAY_ONE, DAY_ONE, DAY_ONE + timedelta(days=1))
@given(moments, moments, moments)
def test_a_range_holds_what_lies_in_it_however_it_is_written(moment: datetime, one: datetime, other: datetime) -> None:
    """As instants compare: the start is in, the end is not."""
    start, end = min(one, other), max(one, other) + timedelta(microseconds=1)
    records = RecordRange(start=start, end=end)
    assert {records.holds(cursor_text(shape)) for shape in shapes(moment)} == {start <= moment < end}


@given(moments, st.lists(moments, min_size=2, max_size=6, unique=True))
def test_a_ruler_finds_the_one_range_that_holds_a_record(moment: datetime, marks: list[datetime]) -> None:
    """The same answer as each range gives by itself."""
    marks.sort()
    ranges = [RecordRange(start=start, end=end) for start, end in pairwise(marks)]
    for shape in shapes(moment):
        cursor = cursor_text(shape)
        holding = [place for place, records in enumerate(ranges) if records.holds(cursor)]
        assert Ruler(marks=marks).place(cursor) == (holding[0] if holding else -1)


@given(st.one_of(st.none(), st.booleans(), st.text(), st.integers(-(10**7), 10**8 - 1), st.lists(st.integers()), st.floats(-100, 100)))
def test_what_is_no_date_belongs_to_no_range(value: object) -> None:
    """Small numbers are numbers of rows, not moments; text is text, unless it begins with a date."""
    text = cursor_text(value if not isinstance(value, float) else str(value))
    if not text.startswith(b"t") and not (isinstance(value, str) and text.startswith(b"np")):
        assert RecordRange(start=DAY_ONE, end=DAY_ONE + timedelta(days=1)).holds(text) is None


@given(
    moments,
    st.integers(1, 9_000),
    st.integers(1, 40),
    st.sampled_from(["h", "d", "w", "mo", "y"]),
)
def test_chunks_cover_the_range_without_gap_or_overlap(start: datetime, hours: int, count: int, unit: str) -> None:
    """Boundaries grow strictly, from the range's start to its end."""
    length = ChunkLength.parse(f"{count}{unit}")
    assert length is not None
    end = start + timedelta(hours=hours)
    marks = list(length.marks(start, end))
    assert (marks[0], marks[-1]) == (start, end)
    assert all(left < right for left, right in pairwise(marks))
    assert ChunkLength.parse(str(length)) == length


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes, st.lists(st.integers(1, HOURS - 1), max_size=2, unique=True), st.sampled_from(LENGTHS), st.randoms(use_true_random=False))
def test_any_cut_of_a_range_lands_the_same_rows(
    database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path, changes: list[tuple[int, int, str, bool]], cuts: list[int],
    length: str, random: Random,
) -> None:  # fmt: skip
    """One chunk, or several plans of chunks of any length in any order: of each key the best version in the range, as the oracle has it."""
    work = tenant_work(database, tenant, tmp_path)
    messages = [_change(*change) for change in changes]
    whole, cut = _source(work), _source(work)
    _backfill(work, whole, [0, HOURS], "1mo", messages, random)
    _backfill(work, cut, [0, *sorted(cuts), HOURS], length, messages, random)
    assert _rows(scratch, whole) == _rows(scratch, cut) == _oracle(changes)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes, st.sampled_from(LENGTHS[1:]), st.randoms(use_true_random=False))
def test_any_interleaving_with_live_syncs_ends_in_the_same_rows(
    database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path, changes: list[tuple[int, int, str, bool]], length: str,
    random: Random,
) -> None:  # fmt: skip
    """Chunks between the reads of a live sync, in any order: rows and live states are those of the syncs alone."""
    work = tenant_work(database, tenant, tmp_path)
    messages = [_change(*change) for change in changes]
    alone, mixed = _source(work), _source(work)
    thirds = [messages[: len(messages) // 3], messages[: 2 * len(messages) // 3], messages]
    for number, part in enumerate(thirds):
        _sync(work, alone, part, number)
    source = of_messages(work, _request(mixed, 0, HOURS, length), Listing(messages), DATED)
    plan = planned(source)
    steps: list[Any] = [*range(3), *plan.chunks]
    random.shuffle(steps)
    reads = iter(enumerate(thirds))
    for step in steps:
        if isinstance(step, int):
            number, part = next(reads)
            _sync(work, mixed, part, number)
        else:
            run_chunk(source, plan, step)
    assert _rows(scratch, mixed, ", content_hash, generation, emitted_at") == _rows(
        scratch, alone, ", content_hash, generation, emitted_at"
    )
    assert _states(scratch, mixed) == _states(scratch, alone)


def _change(key: int, hours: int, content: str, deleted: bool) -> Record:
    """A version of a row; what stands under one cursor was emitted at one time."""
    data = {"id": key, "seq": _moment(hours).isoformat(), "content": content, **({"_ab_cdc_deleted_at": "now"} if deleted else {})}
    return record(data, emitted_at=1_000_000 + hours)


def _moment(hours: int) -> datetime:
    return DAY_ONE + timedelta(hours=hours)


def _source(work: TenantWork) -> str:
    name = f"s{new_id().hex}"
    add_crm(work, name=name)
    return name


def _request(source: str, start: int, end: int, length: str) -> BackfillRequest:
    parsed = ChunkLength.parse(length)
    assert parsed is not None
    return BackfillRequest(source=source, streams=(), start=_moment(start), end=_moment(end), length=parsed, dated_by="cursor")


def _backfill(work: TenantWork, source: str, marks: list[int], length: str, messages: list[Record], random: Random) -> None:
    chunks = []
    for start, end in pairwise(marks):
        opened = of_messages(work, _request(source, start, end, length), Listing(messages), DATED)
        plan = planned(opened)
        chunks += [(opened, plan, chunk) for chunk in plan.chunks]
    random.shuffle(chunks)
    cursors = [cursor_text(json.loads(bytes(message.data))["seq"]) for message in messages]
    for number, (opened, plan, chunk) in enumerate(chunks):
        records = RecordRange(start=chunk.start, end=chunk.end)
        # Of the empty ones a few are enough.
        if number < 3 or any(map(records.holds, cursors)):
            run_chunk(opened, plan, chunk)


def _sync(work: TenantWork, source: str, part: list[Record], number: int) -> None:
    report = sync_source(work.database, work.tenant, source, Listing([*part, state(seq=number)]), DATED, options=OPTIONS)
    assert report.status == "complete"


def _oracle(changes: list[tuple[int, int, str, bool]]) -> list[tuple[Any, ...]]:
    best: dict[int, tuple[int, str, bool]] = {}

    def order(change: tuple[int, int, str, bool]) -> tuple[int, bytes]:
        return change[1], sha256(canonical(decode(bytes(_change(*change).data)))).digest()

    for change in sorted((each for each in changes if 0 <= each[1] < HOURS), key=order):
        best[change[0]] = change[1:]
    return [
        (str(key), None if deleted else content, cursor_text(_moment(hours).isoformat()).decode(), deleted)
        for key, (hours, content, deleted) in sorted(best.items())
    ]


def _rows(scratch: Scratch, source: str, more: str = "") -> list[tuple[Any, ...]]:
    text = (
        f"select record_key, data ->> 'content', cursor_order, deleted_at is not null{more} from pay_ready.landed_records"
        " join pay_ready.data_sources using (tenant_id, source_id) where name = %s order by 1"
    )
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(text.encode(), (source,)).fetchall()


def _states(scratch: Scratch, source: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(
            "select stream, state, watermark, generation, pass_run_id from pay_ready.stream_states"
            " join pay_ready.data_sources using (tenant_id, source_id) where name = %s order by 1",
            (source,),
        ).fetchall()
