"""Airbyte messages out of bytes: all known shapes, whatever stands between them, in bounded memory, none lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.sources.decode import CUT_OFF, NOT_JSON, NOT_PROTOCOL, NOT_UTF8, TOO_DEEP, TOO_LARGE, decode_block, decode_line
from pay_ready.sources.lines import LineLimits, LineReader
from pay_ready.sources.protocol import (
    Analytics,
    Catalog,
    ConnectionStatus,
    Control,
    Estimate,
    LenientRecord,
    Log,
    Message,
    NotProtocol,
    Oversized,
    Record,
    Spec,
    State,
    StreamDescriptor,
    StreamStatus,
    TraceError,
)

PEOPLE = StreamDescriptor("people")
SMALL = LineLimits(memory=200, keep=1000)


def line_of(kind: str, **content: Any) -> bytes:
    return json.dumps({"type": kind, **content}).encode()


def record_line(data: bytes = b'{"id": 1}', stream: str = "people") -> bytes:
    return b'{"type":"RECORD","record":{"stream":"%s","data":%b,"emitted_at":1760000000000}}' % (stream.encode(), data)


def trace_line(kind: str, **content: Any) -> bytes:
    return line_of("TRACE", trace={"type": kind, "emitted_at": 1.5, **content})


def data_of(message: Message) -> bytes:
    assert isinstance(message, Record)
    return bytes(message.data)


MESSAGES = [
    (line_of("LOG", log={"level": "WARN", "message": "slow", "stack_trace": "at x"}), Log("WARN", "slow", "at x")),
    (line_of("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"}), ConnectionStatus(True, "")),
    (line_of("CONNECTION_STATUS", connectionStatus={"status": "FAILED", "message": "no"}), ConnectionStatus(False, "no")),
    (line_of("SPEC", spec={"documentationUrl": "u", "connectionSpecification": {"a": 1}}), Spec(b'{"a": 1}', "u", None)),
    (
        trace_line("STREAM_STATUS", stream_status={"stream_descriptor": {"name": "people", "namespace": None}, "status": "STARTED"}),
        StreamStatus(PEOPLE, "STARTED"),
    ),
    (
        trace_line(
            "STREAM_STATUS",
            stream_status={
                "stream_descriptor": {"name": "people", "namespace": "crm"},
                "status": "RUNNING",
                "reasons": [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": 1760000000000}}],
            },
        ),
        StreamStatus(StreamDescriptor("people", "crm"), "RUNNING", True, 1760000000000.0),
    ),
    (
        trace_line("ERROR", error={"message": "m", "internal_message": "i", "stack_trace": "s", "failure_type": "config_error"}),
        TraceError("m", "config_error", "i"),
    ),
    (
        trace_line("ERROR", error={"message": "m", "stream_descriptor": {"name": "people"}}),
        TraceError("m", "system_error", None, PEOPLE),
    ),
    (trace_line("ESTIMATE", estimate={"name": "people", "type": "STREAM", "row_estimate": 10}), Estimate(PEOPLE, 10, None)),
    (trace_line("ESTIMATE", estimate={"type": "SYNC", "byte_estimate": 2.0}), Estimate(None, None, 2)),
    (trace_line("ANALYTICS", analytics={"type": "kind", "value": "v"}), Analytics("kind", "v")),
    (
        line_of("CONTROL", control={"type": "CONNECTOR_CONFIG", "emitted_at": 5, "connectorConfig": {"config": {"token": "t"}}}),
        Control(b'{"token": "t"}', 5),
    ),
]


@pytest.mark.parametrize(("line", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_every_type_of_message(line: bytes, message: Message) -> None:
    """Each type gives its value, alone and in a block, and with properties that nobody knows."""
    assert decode_line(line) == message
    assert decode_block(line + b"\n" + line + b"\r\n\n") == [message, message]
    assert decode_line(line[:-1] + b',"futureProperty":{"a":[1]}}') == message


def test_record_keeps_its_bytes() -> None:
    """Data is what the source wrote, to the last blank and digit; order of keys and types of numbers do not matter."""
    data = '{"b": 1.10, "a":  "é", "n": 12345678901234567890123}'.encode()
    (record,) = decode_block(record_line(data) + b"\n")
    assert data_of(record) == data
    reordered = b'{"record":{"emitted_at":1.5e3,"data":%b,"namespace":"crm","stream":"people","x":1},"type":"RECORD"}' % data
    other = decode_line(reordered)
    assert isinstance(other, Record)
    assert (other.descriptor, other.emitted_at, data_of(other)) == (StreamDescriptor("people", "crm"), 1500.0, data)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            '{"type":"STREAM","stream":{"stream_descriptor":{"name":"people"},"stream_state": {"a": 1.0}},"id":7}',
            ("STREAM", (PEOPLE,), None),
        ),
        ('{"stream":{"stream_descriptor":{"name":"people"}},"sourceStats":{"recordCount":500.0}}', ("STREAM", (PEOPLE,), 500)),
        (
            '{"type":"GLOBAL","global":{"shared_state":{},"stream_states":[{"stream_descriptor":{"name":"people"}}]}}',
            ("GLOBAL", (PEOPLE,), None),
        ),
        ('{"data":{"cursor":"x"}}', ("LEGACY", (), None)),
        ('{"type":"LEGACY","data":null,"sourceStats":{"rejectedRecordCount":2}}', ("LEGACY", (), None)),
    ],
)
def test_state_is_a_black_box(state: str, expected: tuple[str, tuple[StreamDescriptor, ...], int | None]) -> None:
    """A state comes with its streams and count, and its bytes go back to the source unchanged."""
    message = decode_line(b'{"type":"STATE","state":' + state.encode() + b"}")
    assert isinstance(message, State)
    assert (message.kind, message.streams, message.record_count) == expected
    assert message.raw == state.encode()


def test_catalog() -> None:
    """The streams are readable, and kept as emitted for handing back whole."""
    stream = '{"name": "people", "json_schema": {"x": 1}, "supported_sync_modes": ["full_refresh"], "is_file_based": false}'
    message = decode_line(b'{"type":"CATALOG","catalog":{"streams":[' + stream.encode() + b"]}}")
    assert isinstance(message, Catalog)
    assert message.raw_streams == (stream.encode(),)
    assert message.streams[0].supported_sync_modes == ("full_refresh",)


@pytest.mark.parametrize(
    ("line", "reason", "is_record"),
    [
        (b"  ___ welcome ___", NOT_JSON, False),
        (b'"RECORD"', NOT_PROTOCOL, False),
        (b"[1, 2]", NOT_PROTOCOL, False),
        (b'{"type":"FANFARE"}', NOT_PROTOCOL, False),
        (b'{"type":"DESTINATION_CATALOG","destinationCatalog":{}}', NOT_PROTOCOL, False),
        (b'{"type":"STATE","state":{"type":"STREAM"}}', NOT_PROTOCOL, False),
        (b'{"type":"STATE","state":{"type":"MOOD"}}', NOT_PROTOCOL, False),
        (b'{"type":"TRACE","trace":{"type":"MOOD","emitted_at":1}}', NOT_PROTOCOL, False),
        (b'{"type":"RECORD","record":{"stream":"people"}}', NOT_PROTOCOL, True),
        (b'{"type":"RECORD","record":{"stream":7,"data":{}}}', NOT_PROTOCOL, True),
        (record_line(b'{"id":'), NOT_JSON, True),
        (b'{"record":{"stream":"people","data":{"a":tru}},"type":"RECORD"}', NOT_JSON, True),
        (b'{"record":{"stream":"people","data":{"a":"%b' % (b"x" * 5000) + b'"bad}},"type":"RECORD"}', NOT_JSON, True),
        (b'{"log":{"message":"%b' % (b"x" * 5000) + b'"bad}},"type":"LOG"}', NOT_JSON, False),
        (record_line(b'{"name":"Jos\xe9"}'), NOT_UTF8, True),
        (record_line(b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"), TOO_DEEP, True),
        (b"\xff\xfe", NOT_UTF8, False),
        (b"\x00", NOT_JSON, False),
    ],
)
def test_what_is_no_message_is_kept_with_its_reason(line: bytes, reason: str, is_record: bool) -> None:
    """A line that is no message stops nothing; one that says it is a RECORD is marked, for quarantine."""
    good = record_line()
    assert decode_block(b"\n".join((good, line, good)) + b"\n")[1] == decode_line(line) == NotProtocol(line, reason, is_record)


@pytest.mark.parametrize("data", [b'{"a":NaN,"b":-Infinity}', b'{"name":"\\ud83d"}', b'{"name":"a\tb"}', b'{"\\udc00":[{"a":"}\\""}] }'])
def test_odd_json_is_read_leniently(data: bytes) -> None:
    """NaN, half a surrogate pair and bare control characters are no reason to lose a record; it is marked as lenient."""
    message = decode_line(record_line(data))
    assert type(message) is LenientRecord
    assert (message.stream, message.emitted_at, data_of(message)) == ("people", 1760000000000, data)


def test_nul_is_plain_json() -> None:
    """An escaped NUL is JSON, though no jsonb: it passes, and whoever stores it looks."""
    assert type(decode_line(record_line(b'{"name":"a\\u0000b"}'))) is Record


def test_values_of_people_are_in_no_repr() -> None:
    """Records, controls and unreadable lines show names and sizes alone."""
    lines = (record_line(b'{"name":"Canary"}'), record_line(b'{"name":"Canary'), MESSAGES[-1][0].replace(b'"t"', b'"Canary"'))
    assert "Canary" not in repr([decode_line(line) for line in lines])


some_lines = st.lists(
    st.one_of(
        st.sampled_from([record_line(), record_line(b'{"a":"' + b"x" * 300 + b'"}'), *(line for line, _ in MESSAGES)]),
        st.sampled_from([b"", b"noise", record_line(b'{"x":NaN}'), record_line(b'{"x'), b"\xff", b"y" * 400]),
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(lines=some_lines, cuts=st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_chunks_do_not_matter(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int]) -> None:
    """However a stream is cut into chunks, the messages are those of its lines, in their order."""
    stream = b"".join(line + b"\n" for line in lines)
    read = list(read_all(LineReader(tmp_path_factory.getbasetemp(), SMALL), stream, cuts))
    expected = [decode_line(line) for line in lines if line and not line.isspace()]
    assert [comparable(message) for message in read] == [comparable(message) for message in expected]


def comparable(message: Message) -> object:
    """Long lines that are unreadable come by file, with another reason: compared by size and mark."""
    match message:
        case Record():
            return message.descriptor, data_of(message)
        case Oversized(size_bytes=size, is_record=is_record):
            return size, is_record
        case NotProtocol(line=line, is_record=is_record) if len(line) >= SMALL.memory:
            return len(line) + 1, is_record
        case _:
            return message


def read_all(reader: LineReader, stream: bytes, cuts: list[int]) -> Iterator[Message]:
    turn = 0
    while stream:
        cut = cuts[turn % len(cuts)]
        for messages in reader.feed(stream[:cut]):
            yield from messages
        stream, turn = stream[cut:], turn + 1
    yield from reader.finish()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_are_fatal(noise: bytes) -> None:
    """Whatever a connector prints, reading it raises nothing."""
    for line in (noise, record_line(noise), b'{"type":"STATE","state":' + noise + b"}"):
        decode_block(line)


def test_a_long_record_comes_whole(tmp_path: Path) -> None:
    """Above the memory limit a record's data is a view of a file without a name; nothing stays in the folder."""
    data = b'{"text":"' + b"x" * 500 + b'"}'
    (message,) = read_all(LineReader(tmp_path, SMALL), record_line(data) + b"\n", [64])
    assert data_of(message) == data
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_long_line_is_kept_in_a_file(tmp_path: Path) -> None:
    """What is too long and broken comes as a file with all its bytes, marked as a record when it says so."""
    line = record_line(b'{"text":"' + b"x" * 500) + b"\n"
    (message,) = read_all(LineReader(tmp_path, SMALL), line, [64])
    assert isinstance(message, Oversized)
    assert (message.size_bytes, message.kept_bytes, message.is_record) == (len(line), len(line), True)
    assert message.path.read_bytes() == line


def test_beyond_the_last_limit_the_beginning_is_kept(tmp_path: Path) -> None:
    """A line without end fills no disk: its size is told, its first bytes are kept, and the lines after it are read."""
    stream = record_line(b'{"text":"' + b"x" * 5000 + b'"}') + b"\n" + record_line() + b"\n"
    long, short = read_all(LineReader(tmp_path, SMALL), stream, [64])
    assert isinstance(long, Oversized)
    assert (long.kept_bytes, long.reason, long.is_record) == (SMALL.keep, TOO_LARGE, True)
    assert long.size_bytes > 5000
    assert data_of(short) == b'{"id": 1}'


@pytest.mark.parametrize("cut", [5, 40, len(record_line()) - 1])
def test_a_cut_off_last_line_is_no_record(tmp_path: Path, cut: int) -> None:
    """A connector that died in mid-line will write the line again: it goes to no quarantine. A whole one counts."""
    (message,) = read_all(LineReader(tmp_path, SMALL), record_line()[:cut], [64])
    assert message == NotProtocol(record_line()[:cut], CUT_OFF, is_record=False)
    (whole,) = read_all(LineReader(tmp_path, SMALL), record_line(), [64])
    assert isinstance(whole, Record)
