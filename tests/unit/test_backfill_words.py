"""The words of a backfill: dates and lengths, the keys by which connectors are asked, rows of export files by date, the pace."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pay_ready.db.backfills import Chunk
from pay_ready.errors import CheckFailedError, ConfigError, UsageError
from pay_ready.model.backfill import ChunkLength
from pay_ready.model.progress import ProgressEvent
from pay_ready.pipeline.backfill.pace import Pace
from pay_ready.pipeline.backfill.report import check_chunks
from pay_ready.pipeline.backfill.request import parse_request
from pay_ready.pipeline.feed_keys import range_keys
from pay_ready.pipeline.feed_range import ConfiguredRange
from pay_ready.pipeline.land.sync import Reading
from pay_ready.resources import resource_path
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.cursors import cursor_text
from pay_ready.sources.protocol import Control, Message
from pay_ready.sources.ranges import RecordRange, Ruler
from pay_ready.sources.replay_files import parse_config
from pay_ready.sources.replay_range import count_rows, cursor_reader, keeper, range_of
from tests.landing_support import catalog, says

KEYS = resource_path("config", "backfill.toml")
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
JANUARY = RecordRange(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))
ODD = RecordRange(start=datetime(2026, 1, 1, 6, tzinfo=UTC), end=datetime(2026, 1, 31, 23, 59, 59, 500_000, tzinfo=UTC))


def asked(start: str = "2026-01-01", end: str = "2026-01-31", chunk: str = "1d", by: str = "cursor") -> Any:
    """A request of that moment."""
    return parse_request("crm", ["b", "a", "b"], start=start, end=end, chunk=chunk, by=by, now=NOON)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"start": "yesterday"}, "not a time - option=--from, value=yesterday - write it like 2026-01-31"),
        ({"end": "2026-13-01"}, "not a time - option=--to"),
        ({"start": "1969-12-31"}, "a time before 1970"),
        ({"start": "2026-01-31"}, "--from is not before --to"),
        ({"start": "2026-01-31", "end": "2026-01-01"}, "--from is not before --to"),
        ({"end": "2026-02-01"}, "the range ends in the future - end=2026-02-01 - .*--to 2026-01-31 ends it with yesterday"),
        ({"end": "2026-01-31T13:00"}, "the range ends in the future"),
        ({"chunk": "1m"}, "not the length of a chunk - chunk=1m - write it like 12h, 1d, 7d or 1mo"),
        ({"chunk": "0d"}, "not the length of a chunk"),
        ({"start": "2000-01-01", "chunk": "1h"}, "more than 10,000 chunks"),
        ({"by": "colour"}, "say cursor or extracted"),
    ],
)
def test_wrong_words_are_refused_with_a_hint(words: dict[str, str], said: str) -> None:
    """Before anything is opened: exit 2, what is wrong and how to write it."""
    with pytest.raises(UsageError, match=said) as caught:
        asked(**words)
    assert caught.value.exit_code == 2


def test_a_request_is_what_its_words_say() -> None:
    """Dates are midnights in UTC, offsets count, streams are sorted; the range may end now, and be one short chunk."""
    found = asked("2025-12-31T23:00-01:00", "2026-01-31T13:00+01:00", "1w")
    assert (found.start, found.end, found.streams) == (datetime(2026, 1, 1, tzinfo=UTC), NOON, ("a", "b"))
    assert [f"{mark:%m-%d %H}" for mark in found.marks] == ["01-01 00", "01-08 00", "01-15 00", "01-22 00", "01-29 00", "01-31 12"]
    assert len(asked("2026-01-01", "2026-01-02", "1y").marks) == 2


@pytest.mark.parametrize(
    ("interval", "length"),
    [("12:00:00", "12h"), ("1 day", "1d"), ("14 days", "14d"), ("1 mon", "1mo"), ("1 year 1 mon", "13mo"), ("2 years", "24mo")],
)
def test_a_length_comes_back_from_the_database(interval: str, length: str) -> None:
    """As Postgres writes intervals."""
    assert str(ChunkLength.from_interval(interval)) == length == str(ChunkLength.parse(length))


def spec(**properties: dict[str, Any]) -> dict[str, Any]:
    """A specification."""
    return {"type": "object", "properties": properties}


DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
MILLISECONDS = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"


@pytest.mark.parametrize(
    ("properties", "values"),
    [
        (
            {"start_date": {"type": "string", "pattern": DATE}, "end_date": {"type": ["null", "string"], "format": "date"}},
            {"start_date": "2026-01-01", "end_date": "2026-02-01"},
        ),
        (
            {"start_date": {"type": "string", "format": "date-time", "pattern": TIME}, "end_date": {"type": "string"}},
            {"start_date": "2026-01-01T05:59:59Z", "end_date": "2026-02-01T00:00:00Z"},
        ),
        (
            {"start_datetime": {"type": "string", "pattern": MILLISECONDS}, "until": {"type": "string", "pattern": f"^$|{TIME}"}},
            {"start_datetime": "2026-01-01T05:59:59.000Z", "until": "2026-02-01T00:00:00Z"},
        ),
        (
            {"since": {"type": "integer"}, "end_time": {"type": "integer", "description": "Unix time in milliseconds"}},
            {"since": 1767247200, "end_time": 1769904000000},
        ),
        ({"start_date": {"type": "string", "examples": ["2021-01-31"]}}, {"start_date": "2026-01-01"}),
        ({"start_date": {"type": "string", "pattern": "^Q[1-4]$"}, "end_date": {"type": "boolean"}}, {}),
        ({"start_date": {"type": "string", "pattern": "(unclosed"}}, {"start_date": "2026-01-01T05:59:59Z"}),
        ({"site": {"type": "string"}}, {}),
    ],
)
def test_a_connector_is_asked_as_its_specification_writes_dates(properties: dict[str, Any], values: dict[str, object]) -> None:
    """By the usual names; never less than the range: starts are rounded down, ends up."""
    keys = range_keys(KEYS, "airbyte-source-some", spec(**properties))
    assert {".".join(path): value for path, value in keys.values(ODD)} == values


def test_a_connector_may_name_its_keys(tmp_path: Path) -> None:
    """In a file, also inside of a table; a key that the specification lacks is refused with those that it has."""
    text = {"type": "string", "format": "date"}
    path = tmp_path / "backfill.toml"
    path.write_text('start_keys = ["start_date"]\n[connectors.odd]\nstart = "window.first"\nend = ""\n')
    keys = range_keys(path, "odd", spec(window={"type": "object", "properties": {"first": text}}, end_date=text, start_date=text))
    assert keys.values(JANUARY) == [(("window", "first"), "2026-01-01")]
    with pytest.raises(ConfigError, match=r'the connector takes no date under "window.first" - file=.*start - .*choices: last, start_date'):
        range_keys(path, "odd", spec(start_date=text, last=text, count={"type": "boolean"}))
    path.write_text("start_keyz = []\n")
    with pytest.raises(ConfigError, match="unknown key"):
        range_keys(path, "odd", spec())


def test_the_shipped_keys_are_read() -> None:
    """config/backfill.toml is well formed, its connectors' keys too."""
    names = {name: {"type": "string"} for name in ("reports_start_date", "date_ranges_start_date", "date_ranges_end_date", "end_date")}
    for connector, expected in (("airbyte-source-bing-ads", 1), ("airbyte-source-google-analytics-data-api", 2), ("other", 1)):
        assert len(range_keys(KEYS, connector, spec(**names)).values(JANUARY)) == expected


def test_a_rotated_configuration_keeps_its_own_dates() -> None:
    """The connector sees the chunk's dates; what CONTROL says has those of the source again, or none."""
    given: list[Any] = []

    @contextmanager
    def read(config: Any, configured: ConfiguredCatalog, state: Any, /) -> Iterator[Reading]:
        given.append(config)
        new = json.dumps({**config, "token": "new"}).encode()
        with says(Control(config=new, emitted_at=0), Control(config=b"[]", emitted_at=0))(config, configured, state) as reading:
            yield reading

    connector: Callable[..., AbstractContextManager[Reading]] = read
    text = {"type": "string", "format": "date"}
    names = spec(start_date=text, end_date=text)
    asked_by = ConfiguredRange(connector=connector, name="some", keys=range_keys(KEYS, "some", names))
    assert asked_by.notes == ()
    own = {"token": "old", "start_date": "2020-01-01"}
    with asked_by.within(JANUARY)(own, catalog(), ()) as reading:
        messages: list[Message] = [message for batch in reading.batches() for message in batch]
    assert given == [{"token": "old", "start_date": "2026-01-01", "end_date": "2026-02-01"}]
    assert own == {"token": "old", "start_date": "2020-01-01"}
    first, second = messages
    assert isinstance(first, Control)
    assert isinstance(second, Control)
    assert json.loads(first.config) == {"token": "new", "start_date": "2020-01-01"}
    assert second.config == b"[]"


def test_the_plan_says_when_chunks_read_more_than_their_own() -> None:
    """A connector that takes no end, or no start."""
    text = {"type": "string"}
    ends = [({"start_date": text}, "takes no end"), ({"end_date": text}, "takes no start"), ({}, "read whole")]
    for properties, said in ends:
        keys = range_keys(KEYS, "some", spec(**properties))
        (note,) = ConfiguredRange(connector=says(), name="some", keys=keys).notes
        assert said in note


ROWS = [
    {"id": 1, "at": "2026-01-01T00:00:00Z"},
    {"id": 2, "at": "2026-01-31T23:59:59.999999Z"},
    {"id": 3, "at": "2026-02-01"},
    {"id": 4, "at": 1767225600},
    {"id": 5, "at": None},
    {"id": 6},
]


def test_export_rows_are_kept_by_date() -> None:
    """Inside, without a date, or not to be read by a strict reader: kept; outside: not. The start alone or the end alone will do."""
    keeps = keeper(JANUARY, ("at",))
    assert [row["id"] for row in ROWS if keeps(json.dumps(row).encode())] == [1, 2, 4, 5, 6]
    assert keeps(b'{"at": NaN}')
    assert keeps(b'{"at": {"deep": 1}}')
    nested = keeper(JANUARY, ("properties", "at"))
    given: list[object] = [{"properties": {"at": "2026-03-01"}}, {"properties": 7}, {}]
    assert [nested(json.dumps(each).encode()) for each in given] == [False, True, True]
    assert cursor_reader(("a", "b"))(b'{"a": NaN}') is None
    for config, kept in (({"start_date": "2026-01-31"}, {2, 3, 5, 6}), ({"end_date": "2026-01-31"}, {1, 4, 5, 6})):
        records = range_of(parse_config(json.dumps({"path": "/x", **config}).encode()))
        assert records is not None
        assert {row["id"] for row in ROWS if keeper(records, ("at",))(json.dumps(row).encode())} == kept
    assert range_of(parse_config(b'{"path": "/x"}')) is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"start_date": "soon"}, "not a time - key=start_date, value=soon"),
        ({"start_date": "2026-01-01", "end_date": "2026-01-01"}, "the range is empty"),
    ],
)
def test_a_wrong_range_of_export_files_is_named(config: dict[str, str], said: str) -> None:
    """Which key, and what it says."""
    with pytest.raises(ConfigError, match=said):
        range_of(parse_config(json.dumps({"path": "/x", **config}).encode()))


def test_export_rows_are_counted_by_range(tmp_path: Path) -> None:
    """By one scan, of JSONL and CSV alike; rows outside, without a date or garbled are in no range."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "{garbled\n")
    (tmp_path / "b.csv").write_text("id,at\n1,2026-01-02\n2,1769817600\n3,\n4,2027-01-01\n")
    ruler = Ruler(marks=[datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)])
    counts = count_rows({"path": str(tmp_path)}, {"a": ("at",), "b": ("at",), "gone": ("at",)}, ruler)
    assert counts == {"a": [2, 1], "b": [1, 1], "gone": [0, 0]}


def test_places_on_a_ruler() -> None:
    """Before, in, between and after; buckets are those of Postgres' width_bucket over the same marks."""
    ruler = Ruler(marks=[datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)])
    written = ["2025-12-31", "2026-01-01", "2026-01-02T23:00:00Z", "2026-01-03", 1767225600, 1767484800, "x", None]
    assert [ruler.place(cursor_text(value)) for value in written] == [-1, 0, 1, -1, 0, -1, None, None]
    assert list(ruler.texts) == sorted(ruler.texts)


def test_the_pace_follows_rows_where_they_are_expected_and_chunks_elsewhere() -> None:
    """Rows a second since the start; seconds left by what is expected, else by the chunks done."""
    told: list[ProgressEvent] = []
    now = [0.0]
    chunk = Chunk(start=NOON, end=NOON, status="planned", landed_before=0, estimated_rows=None)
    for expected, left in ((400, 30.0), (None, 20.0)):
        now[0] = 0.0
        pace = Pace(source="crm", chunks=4, done=1, expected=expected, progress=told.append, clock=lambda: now[0])
        read = pace.begin(chunk)
        assert told[-1].left_s is None
        now[0] = 10.0
        read(ProgressEvent(step="sync", subject="crm/people", done=60))
        read(ProgressEvent(step="sync", subject="crm/firms", done=40))
        pace.end(chunk, complete=True)
        assert (told[-1].done, told[-1].total, told[-1].rows_per_s, told[-1].left_s) == (2, 4, 10.0, left)
        assert told[-1].detail == "2026-01-31 12:00, 100 rows"


@pytest.mark.parametrize(
    ("counts", "all_staged", "holds"),
    [
        ({"emitted": 6, "landed": 1, "unchanged": 1, "superseded": 1, "deleted": 1, "quarantined": 2, "staged": 1}, True, True),
        ({"emitted": 3, "landed": 3, "staged": 1, "unmapped": 1, "stage_quarantined": 1, "skipped": 9}, True, True),
        ({"emitted": 3, "landed": 3, "staged": 1}, False, True),
        ({"emitted": 3, "landed": 3, "staged": 1}, True, False),
        ({"emitted": 3, "landed": 3, "staged": 4}, False, False),
        ({"emitted": 4, "landed": 3, "staged": 3}, True, False),
    ],
)
def test_both_equations_of_a_chunk_are_asserted(counts: dict[str, int], all_staged: bool, holds: bool) -> None:
    """A mismatch is an error that names the chunk and its counts; rows that wait for staging are none."""
    chunk = Chunk(start=NOON, end=NOON, status="complete", landed_before=0, estimated_rows=None, **counts)  # type: ignore[arg-type]
    if holds:
        check_chunks([chunk], all_staged=all_staged)
    else:
        with pytest.raises(CheckFailedError, match=f"the counts of a chunk do not add up - chunk=2026.*emitted={counts['emitted']}"):
            check_chunks([chunk], all_staged=all_staged)
