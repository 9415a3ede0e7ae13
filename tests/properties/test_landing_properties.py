"""Landing, for any input: keys and cursors, folding, flushing, and the rows that stand in the end."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pay_ready.db.landing import Counts, LandingRow, Refused
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import SourceId, TenantId, new_id, stable_id
from pay_ready.pipeline.land.buffer import BegunStream, Flush, FlushLimits, Lander, NewConfig, StreamFlush, fold, may_join, together
from pay_ready.pipeline.land.rows import CDC_DELETED, StreamPlan, numbered, row_maker
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.land.values import LONGEST_KEY, decode, key_text
from pay_ready.sources.cursors import canonical, cursor_text
from pay_ready.sources.protocol import CanonicalRecord, Message, Record, State
from tests.conftest import Scratch
from tests.landing_support import QUICK, add_source, catalog, complete, record, says, state, stream_of

SOURCE = SourceId(stable_id("source", "tests"))
numbers = st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=6), st.integers(-20, 20))
moments = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@example(Decimal("-12.5"), -12)
@example(Decimal("12.5"), 12)
@example(-120, -12)
@given(numbers, numbers)
def test_cursors_of_numbers_sort_by_value(left: Decimal | int, right: Decimal | int) -> None:
    """As numbers do, whatever their sign, size and number of decimals."""
    assert (cursor_text(left) < cursor_text(right)) == (left < right)
    assert (cursor_text(left) == cursor_text(right)) == (left == right)


@given(numbers)
def test_a_number_as_text_is_the_same_cursor(number: Decimal | int) -> None:
    """Slack writes its times as text, others the same values as numbers."""
    assert cursor_text(f"{Decimal(number):f}") == cursor_text(number)


@given(moments, moments, zones, zones)
def test_cursors_of_times_sort_by_instant(left: datetime, right: datetime, here: timezone, there: timezone) -> None:
    """Whatever zone they are written in; Z, an offset and a missing zone all work."""
    one, other = cursor_text(left.astimezone(here).isoformat()), cursor_text(right.astimezone(there).isoformat())
    assert (one < other) == (left < right)
    assert one == cursor_text(left.replace(tzinfo=None).isoformat()) == cursor_text(left.isoformat().replace("+00:00", "Z"))


@given(values)
def test_a_cursor_is_text_that_postgres_holds(value: object) -> None:
    """UTF-8 without NUL, of bounded length, for any value at all."""
    text = cursor_text(value)
    assert "\0" not in text.decode()
    assert len(text) <= 700


@given(st.lists(values, min_size=1, max_size=3), st.lists(values, min_size=1, max_size=3))
def test_keys_tell_values_apart(left: list[object], right: list[object]) -> None:
    """A key is bounded text without NUL, or none; different values of one shape have different keys."""
    one, other = key_text(left), key_text(right)
    for key in (one, other):
        assert key is None or (0 < len(key.decode()) <= LONGEST_KEY + 100 and b"\0" not in key)
    shapes_equal = list(map(type, left)) == list(map(type, right)) and not {float} & set(map(type, left + right))
    if one is not None and shapes_equal and one == other and all(isinstance(value, int | str) for value in left):
        assert left == right


@given(st.one_of(st.binary(), values.map(lambda value: json.dumps(value).encode())), st.floats(), st.booleans())
def test_no_record_breaks_landing(data: bytes, emitted_at: float, keyed: bool) -> None:
    """Any bytes become a row or a refusal that keeps them all; a row's text is what the server can take."""
    plan = StreamPlan(stream="people", primary_key=(("id",),) if keyed else (), cursor=("seq", "at"))
    made = row_maker(SOURCE, plan)(Record("people", msgspec.Raw(data), emitted_at))
    match made:
        case Refused(raw=raw):
            assert raw == data
        case LandingRow(data=None, payload=payload):
            assert payload is None or payload.content == data
        case LandingRow(data=bytes() as text):
            assert b"\\u0000" not in text.replace(b"\\\\", b"")
            assert json.loads(text) == json.loads(data) or "nan" in str(json.loads(data)).lower()


fields = st.dictionaries(st.sampled_from(["seq", "at", "gone", "_ab_cdc_deleted_at", "other"]), values)


@given(st.integers() | st.text(), fields)
def test_a_canonical_record_becomes_the_row_of_any_other(key: int | str, data: dict[str, object]) -> None:
    """Only the fields that decide are read of it, and it is kept as it came: the row is the same, also where it cannot be kept."""
    plan = StreamPlan(stream="people", primary_key=(("id",),), cursor=("seq", "at"), deleted_flags=(CDC_DELETED, ("gone", "since")))
    try:
        text = canonical(decode(json.dumps({"id": key, **data}).encode()))
    except (msgspec.MsgspecError, UnicodeError):
        return
    make = row_maker(SOURCE, plan)
    assert make(CanonicalRecord("people", msgspec.Raw(text), 5)) == make(Record("people", msgspec.Raw(text), 5))


@pytest.mark.parametrize(
    ("data", "deleted"),
    [({}, False), ({"_ab_cdc_deleted_at": "2026-01-01"}, True), ({"archived": True}, True), ({"archived": False}, False),
     ({"archived": False, "state": {"gone": 1}}, True), ({"state": {"gone": 0}}, False), ({"state": "gone"}, False)],
)  # fmt: skip
def test_one_flag_is_enough_to_be_deleted(data: dict[str, object], deleted: bool) -> None:
    """The CDC column and whatever else a stream names: a row is gone when one of them is set."""
    plan = StreamPlan(stream="people", primary_key=(("id",),), deleted_flags=(CDC_DELETED, ("archived",), ("state", "gone")))
    made = row_maker(SOURCE, plan)(Record("people", msgspec.Raw(msgspec.json.encode({"id": 1, **data}))))
    assert isinstance(made, LandingRow)
    assert made.deleted == deleted


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers())))
def test_the_hash_does_not_see_the_order_of_members(data: dict[str, object]) -> None:
    """Members in another order, other blanks and escapes: the same content."""
    shuffled = dict(reversed(data.items()))
    try:
        one = canonical(decode(json.dumps(data, ensure_ascii=True, indent=1).encode()))
        other = canonical(decode(json.dumps(shuffled, ensure_ascii=False).encode("utf-8", "surrogatepass")))
    except (msgspec.MsgspecError, UnicodeError):
        return
    assert one == other


def row(key: int, cursor: int, emitted: int, content: int) -> LandingRow:
    """A row of small numbers."""
    return LandingRow(b"%d" % key, b"{}", bytes([content]) * 32, cursor_text(cursor), emitted)


rows = st.lists(st.builds(row, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)))


@given(rows)
def test_folding_keeps_the_best_version_of_each_key(given_rows: list[LandingRow]) -> None:
    """Each key once, its version the highest in the order, every record accounted for."""
    best, lost = fold(given_rows)
    expected = {key: max(each.order for each in given_rows if each.record_key == key) for key in {each.record_key for each in given_rows}}
    assert {each.record_key: each.order for each in best} == expected
    assert len(best) == len(expected)
    assert lost == Counts(emitted=len(given_rows) - len(best), unchanged=lost.unchanged, superseded=lost.superseded)
    assert lost.emitted == lost.unchanged + lost.superseded


@given(st.lists(st.integers(0, 3)), st.integers(0, 10))
def test_keyless_rows_get_the_same_numbers_however_they_are_cut(contents: list[int], cut: int) -> None:
    """Numbering in two parts, the second going on from the first, is numbering in one."""
    all_rows = [LandingRow(b"%d" % content, b"{}", bytes(32), b"", 0) for content in contents]
    times: dict[str, int] = {}
    in_parts = numbered(all_rows[:cut], times) + numbered(all_rows[cut:], times)
    whole = numbered(all_rows, {})
    assert in_parts == whole
    assert len({each.record_key for each in whole}) == len(whole)


def said(word: tuple[str, str, int]) -> Message:
    """A message from a word of the strategy below."""
    kind, stream, number = word
    match kind:
        case "record":
            return record({"id": number, "seq": number}, stream)
        case "state":
            return state(stream, number)
        case "global":
            return State("GLOBAL", (), None, b'{"type":"GLOBAL"}')
        case _:
            return complete(stream)


words = st.lists(
    st.tuples(st.sampled_from(["record"] * 8 + ["state", "state", "global", "complete"]), st.sampled_from(["a", "b"]), st.integers(0, 99)),
    max_size=60,
)


@given(words, st.integers(1, 6), st.integers(1, 10))
def test_a_state_never_leaves_before_what_it_covers(script: list[tuple[str, str, int]], rows: int, cut: int) -> None:
    """In any order of messages: every record leaves once, in order, and with a state or before it, never after it."""
    written: list[Flush | NewConfig] = []
    streams = [BegunStream(plan=StreamPlan(stream=name, primary_key=(("id",), ("seq",)))) for name in ("a", "b")]
    lander = Lander(SOURCE, streams, FlushLimits(rows=rows), written.append, lambda: 0.0)
    messages = [said(word) for word in script]
    for start in range(0, len(messages), cut):
        lander.take(messages[start : start + cut])
    lander.finish()
    emitted = {"a": 0, "b": 0}
    for flush in written:
        assert isinstance(flush, Flush)
        for each in flush.streams:
            emitted[each.stream] += len(each.rows) + each.folded.emitted
            if each.state:
                assert emitted[each.stream] >= _records_before(messages, each.stream, each.state.encode())
    assert emitted == {name: sum(isinstance(each, Record) and each.stream == name for each in messages) for name in ("a", "b")}


def flushed(messages: Sequence[Message], rows: int) -> list[Flush]:
    """The flushes that messages come to, with that many rows to each."""
    written: list[Flush | NewConfig] = []
    streams = [BegunStream(plan=StreamPlan(stream=name, primary_key=(("id",),), cursor=("seq",))) for name in ("a", "b")]
    lander = Lander(SOURCE, streams, FlushLimits(rows=rows), written.append, lambda: 0.0)
    lander.take(messages)
    lander.finish()
    return [each for each in written if isinstance(each, Flush)]


@given(words.map(lambda script: [word for word in script if word[0] != "complete"]), st.integers(1, 3), st.booleans())
def test_flushes_that_go_together_come_to_the_same(script: list[tuple[str, str, int]], rows: int, ends_globally: bool) -> None:
    """Small flushes put together are the large one: the same rows, counts, states and watermarks, by stream."""
    last = [said(("global", "", 0))] if ends_globally else [state("a", 100), state("b", 100)]
    messages = [*map(said, script), *last]
    apart, whole = flushed(messages, rows), flushed(messages, 1_000)
    covered = [each for each in apart if each.covered]
    # Rows that had to go out before their state stay apart, so only whole runs compare.
    if len(covered) == len(apart) and len(whole) == 1:
        assert all(may_join(first, second) for first, second in itertools.pairwise(apart))
        one, other = together(apart), whole[0]
        assert one.all_streams_state == other.all_streams_state
        assert {each.stream: summary(each) for each in one.streams} == {each.stream: summary(each) for each in other.streams}


def summary(flush: StreamFlush) -> tuple[object, ...]:
    """What a flush brings to its stream, without the order of its rows; which of equal versions was folded is all one."""
    return sorted(flush.rows, key=lambda each: each.record_key), flush.folded.emitted, flush.state, flush.watermark


def test_the_end_of_a_stream_stays_apart() -> None:
    """What comes after COMPLETE is not put into the transaction that ends the stream, nor are rows without a state joined."""
    ended, after = flushed([record({"id": 1}, "a"), complete("a"), record({"id": 2}, "a"), state("a", 2)], 1)
    assert ended.streams[0].is_complete
    assert not may_join(ended, after)
    uncovered = replace(after, covered=False)
    assert not may_join(after, uncovered)
    assert not may_join(uncovered, after)
    assert may_join(after, ended)


def _records_before(messages: Sequence[Message], stream: str, raw: bytes) -> int:
    """Records of the stream before the first state of these bytes."""
    count = 0
    for message in messages:
        if isinstance(message, State) and message.raw == raw:
            return count
        count += isinstance(message, Record) and message.stream == stream
    return count


changes = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.sampled_from(["a", "b", "c"]), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes, st.randoms(use_true_random=False), st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_rows_do_not_depend_on_order_duplicates_or_cuts(
    database: Database, tenant: TenantId, scratch: Scratch, changes: list[tuple[int, int, str, bool]], random: Random, cuts: list[int]
) -> None:
    """With a cursor, any delivery order, any repetition and any division into runs end in the rows of one ordered load,
    and every run's equation holds."""
    messages = [_change(*change) for change in changes]
    shuffled = messages * 2
    random.shuffle(shuffled)
    one, other = f"s{new_id().hex}", f"t{new_id().hex}"
    for name, parts in ((one, [messages]), (other, _parts(shuffled, cuts))):
        add_source(database, tenant, name)
        for part in parts:
            report = sync_source(database, tenant, name, says(*part, state(), complete()), catalog(stream_of()), options=QUICK)
            assert report.status == "complete"
    with psycopg.connect(scratch.admin_url) as connection:
        found = [
            connection.execute(
                "select record_key, data, content_hash, cursor_order, emitted_at, deleted_at is not null from pay_ready.landed_records"
                " join pay_ready.data_sources using (tenant_id, source_id) where name = %s order by 1",
                (name,),
            ).fetchall()
            for name in (one, other)
        ]
    assert found[0] == found[1]


def _change(key: int, seq: int, content: str, deleted: bool) -> Record:
    """A version of a row. What stands under one cursor is emitted at one time, as a source that is read twice says it."""
    data = {"id": key, "seq": seq, "content": content, **({"_ab_cdc_deleted_at": "now"} if deleted else {})}
    return record(data, emitted_at=1_000 * seq)


def _parts(messages: list[Record], cuts: list[int]) -> list[list[Record]]:
    parts, rest = [], messages
    for size in cuts:
        parts.append(rest[:size])
        rest = rest[size:]
    return [part for part in [*parts, rest] if part]
