"""The replay source: every row of an export comes, as it is, once; it goes on where it ended; nothing garbled is lost."""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json as msgspec_json

from pay_ready.errors import ConfigError
from pay_ready.sources import connector, replay
from pay_ready.sources.catalog import configure
from pay_ready.sources.connector import ConnectorRun
from pay_ready.sources.decode import decode_block
from pay_ready.sources.protocol import Log, Message, NotProtocol, Record, State, StreamStatus, TraceError
from pay_ready.sources.replay import StreamPosition, replay_command
from pay_ready.sources.replay_files import parse_config, stream_files
from pay_ready.sources.replay_rows import sniff_delimiter


@dataclass
class Read:
    """What one read said."""

    complete: bool
    messages: list[Message] = field(default_factory=list)

    @property
    def records(self) -> list[Record]:
        return [message for message in self.messages if isinstance(message, Record)]

    @property
    def data(self) -> list[bytes]:
        return [bytes(record.data) for record in self.records]

    @property
    def rows(self) -> list[Any]:
        return [json.loads(data) for data in self.data]

    @property
    def states(self) -> list[State]:
        return [message for message in self.messages if isinstance(message, State)]

    @property
    def errors(self) -> list[TraceError]:
        return [message for message in self.messages if isinstance(message, TraceError)]

    @property
    def statuses(self) -> list[str]:
        return [message.status for message in self.messages if isinstance(message, StreamStatus)]


def config_of(folder: Path, **config: Any) -> bytes:
    return json.dumps({"path": str(folder), **config}).encode()


def read(folder: Path, *streams: str, state: State | None = None, sync_mode: str = "incremental", **config: Any) -> Read:
    """Read streams, all by default, from an export folder."""
    parsed = parse_config(config_of(folder, **config))
    names = streams or tuple(stream_files(parsed))
    chosen = {"streams": [{"stream": {"name": name}, "sync_mode": sync_mode} for name in names]}
    catalog = msgspec_json.decode(json.dumps(chosen), type=replay._Catalog)
    positions: dict[str, StreamPosition] = replay._states(b"[" + state.raw + b"]") if state else {}
    out = io.BytesIO()
    complete = replay.read(parsed, catalog, positions, replay.Output(out))
    messages = decode_block(out.getvalue())
    assert not any(isinstance(message, NotProtocol) for message in messages)
    return Read(complete, messages)


def described(folder: Path, **config: Any) -> dict[str, Any]:
    """What discover says of the only stream."""
    out = io.BytesIO()
    replay.discover(parse_config(config_of(folder, **config)), replay.Output(out))
    (stream,) = json.loads(out.getvalue())["catalog"]["streams"]
    return dict(stream)


def checked(folder: Path, **config: Any) -> dict[str, str]:
    out = io.BytesIO()
    replay.check(config_of(folder, **config), replay.Output(out))
    return dict(json.loads(out.getvalue())["connectionStatus"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists, max_leaves=5
)
objects = st.dictionaries(st.text(max_size=5), json_values, max_size=4)
cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x00"), max_size=12)
tables = st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=12)


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(objects, max_size=12), newline=st.sampled_from(["\n", "\r\n", "\n\n"]), last=st.booleans(), ascii_only=st.booleans())
def test_lines_come_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], newline: str, last: bool, ascii_only: bool
) -> None:
    """The data of each record are the bytes of its line, in order, whether or not the last line ends."""
    lines = [json.dumps(row, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass" if ascii_only else "replace") for row in rows]
    folder = tmp_path_factory.mktemp("lines")
    (folder / "people.jsonl").write_bytes(newline.encode().join(lines) + newline.encode() * last)
    done = read(folder)
    assert done.complete
    assert done.data == lines
    assert done.statuses == ["STARTED", "RUNNING", "COMPLETE"]


@settings(deadline=None)
@given(table=tables, delimiter=st.sampled_from(",;\t|"), mark=st.booleans())
def test_any_table_survives_csv(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], delimiter: str, mark: bool) -> None:
    """Quotes, delimiters and newlines within cells come back as they were; an empty cell is null."""
    folder = tmp_path_factory.mktemp("table")
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *table])
    (folder / "people.csv").write_text(text.getvalue(), "utf-8-sig" if mark else "utf-8", newline="")
    assert read(folder).rows == [{"a": a or None, "b": b or None} for a, b in table]


@settings(deadline=None, max_examples=50)
@given(data=st.data(), every=st.integers(1, 4))
def test_every_state_is_a_place_to_go_on(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, every: int) -> None:
    """From any state of a read, another read gives exactly the records after it: kill the first one wherever you like."""
    folder = tmp_path_factory.mktemp("resume")
    rows = data.draw(tables)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([["a", "b"], *rows])
    (folder / "people").mkdir()
    (folder / "people" / "1.csv").write_text(text.getvalue(), "utf-8", newline="")
    lines = [data.draw(st.sampled_from(['{"a": "é"}', "{garbled", "", "[1]"])) for _ in range(data.draw(st.integers(0, 8)))]
    (folder / "people" / "2.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    (folder / "people" / "3.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))
    (folder / "people" / "4.csv").write_text(text.getvalue(), "utf-16", newline="")
    whole = read(folder, checkpoint_every=every)
    for place, message in enumerate(whole.messages):
        if isinstance(message, State):
            after = [bytes(later.data) for later in whole.messages[place:] if isinstance(later, Record)]
            assert read(folder, state=message, checkpoint_every=every).data == after


def test_states_count_their_records(folder: Path) -> None:
    """A state every so many records, one at the end, and each says how many records it covers."""
    (folder / "people.jsonl").write_text('{"id":1}\n' * 25)
    done = read(folder, checkpoint_every=10)
    assert [state.record_count for state in done.states] == [10, 10, 5]
    assert isinstance(done.messages[-2], State)


def test_appended_rows_alone_come(folder: Path) -> None:
    """An unchanged file gives nothing, a grown one its new rows, in both formats."""
    (folder / "people.jsonl").write_text('{"id":1}\n{"id":2}\n')
    (folder / "calls.csv").write_text("id,at\n1,now\n")
    people, calls = read(folder, "people"), read(folder, "calls")
    assert (read(folder, "people", state=people.states[-1]).rows, read(folder, "calls", state=calls.states[-1]).rows) == ([], [])
    with (folder / "people.jsonl").open("a") as file:
        file.write('{"id":3}\n')
    with (folder / "calls.csv").open("a") as file:
        file.write("2,later\n")
    assert read(folder, "people", state=people.states[-1]).rows == [{"id": 3}]
    assert read(folder, "calls", state=calls.states[-1]).rows == [{"id": "2", "at": "later"}]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"id":9}\n', id="shorter"),
        pytest.param('{"id":7}\n{"id":8}\n', id="other, of the same size"),
        pytest.param('{"id":1}\n{"id":8}\n{"id":9}\n', id="same beginning, changed before the position"),
    ],
)
def test_a_replaced_file_starts_anew(folder: Path, content: str) -> None:
    """Another file under the same name is read from its start, and a state says so before its first record."""
    file = folder / "people.jsonl"
    file.write_text('{"id":1}\n{"id":2}\n')
    then = read(folder)
    file.write_text(content)
    now = read(folder, state=then.states[-1])
    assert "".join(json.dumps(row).replace(" ", "") + "\n" for row in now.rows) == content
    reset = json.loads(now.states[0].raw)["stream"]["stream_state"]["files"]["people.jsonl"]
    assert (reset["offset"], now.states[0].record_count) == (0, 0)
    assert now.messages.index(now.states[0]) < now.messages.index(now.records[0])


def test_changed_in_the_middle_of_a_large_file(folder: Path) -> None:
    """Beyond the first 64 KiB, too, a file that was rewritten and grew is told from one that only grew."""
    file, lines = folder / "people.jsonl", [f'{{"id":{number:07}}}' for number in range(10_000)]
    file.write_text("\n".join(lines) + "\n")
    then = read(folder)
    lines[9_990] = '{"id":"changed"}'
    file.write_text("\n".join([*lines, '{"id":0}']) + "\n")
    assert len(read(folder, state=then.states[-1]).records) == 10_001


def test_a_row_still_being_written_is_read_again(folder: Path) -> None:
    """A last line without its newline comes, garbled if need be; once the rest is there, the whole line comes."""
    people, calls = folder / "people.jsonl", folder / "calls.csv"
    people.write_text('{"id":1}\n{"id":')
    calls.write_text("id,name\n1,Ann\n2,Bo")
    some_people, some_calls = read(folder, "people"), read(folder, "calls")
    assert [row.get("_replay_raw") for row in some_people.rows] == [None, '{"id":']
    assert some_calls.rows[-1] == {"id": "2", "name": "Bo"}
    assert read(folder, "people", state=some_people.states[-1]).records == []
    with people.open("a") as file:
        file.write('2}\n{"id":3}')
    with calls.open("a") as file:
        file.write("b\n")
    assert read(folder, "people", state=some_people.states[-1]).rows == [{"id": 2}, {"id": 3}]
    assert read(folder, "calls", state=some_calls.states[-1]).rows == [{"id": "2", "name": "Bob"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": 1', "json: "),
        (b"[1, 2]", "json: "),
        (b"plain text", "json: "),
        (b'{"name": "Jos\xe9"}', "not UTF-8"),
        (b"\x00\x01", "json: "),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "json: "),
    ],
)
def test_a_garbled_line_is_a_record_of_its_own(folder: Path, line: bytes, reason: str) -> None:
    """Its text, its number and the reason arrive; the lines around it, too."""
    (folder / "people.jsonl").write_bytes(b'{"id":1}\n' + line + b'\n{"id":2}\n')
    first, garbled, last = read(folder).rows
    assert (first, last) == ({"id": 1}, {"id": 2})
    assert garbled["_replay_raw"] == line.decode("utf-8", "backslashreplace")
    assert garbled["_replay_error"].startswith(reason)
    assert garbled["_replay_line"] == 2


def test_odd_json_passes_as_it_is(folder: Path) -> None:
    """NaN and half a surrogate pair are for the reader to judge: the line is no garbage."""
    lines = [b'{"a":NaN}', b'{"b":"\\ud83d"}']
    (folder / "people.jsonl").write_bytes(b"\n".join(lines))
    assert read(folder).data == lines


def test_garbled_csv_rows_swallow_no_others(folder: Path) -> None:
    """Too many cells, a stray quote, Latin-1, a quote that never ends: each costs its own line alone, whole and numbered."""
    good = [f"{n},x" for n in range(1, 6)]
    bad = ["6,y,z", '7,"a"b', "8,é", '9,"never closed']
    lines = [good[0], bad[0], good[1], bad[1], good[2], bad[2], good[3], bad[3], good[4]]
    (folder / "people.csv").write_bytes(("id,name\n" + "\n".join(lines) + "\n").encode("latin-1"))
    rows = read(folder).rows
    assert [row["id"] for row in rows if "id" in row] == ["1", "2", "3", "4", "5"]
    assert [(row["_replay_raw"], row["_replay_line"]) for row in rows if "id" not in row] == [
        ("6,y,z", 3),
        ('7,"a"b', 5),
        ("8,\\xe9", 7),
        ('9,"never closed', 9),
    ]


def test_short_and_blank_rows(folder: Path) -> None:
    """Spreadsheets leave out empty cells at the end, and add empty ones; blank lines are nothing."""
    (folder / "people.csv").write_text("id,name,,\n1\n\n2,Bob,,,,\n")
    nothing = {"column_3": None, "column_4": None}
    assert read(folder).rows == [{"id": "1", "name": None, **nothing}, {"id": "2", "name": "Bob", **nothing}]


@pytest.mark.parametrize(
    ("name", "encoding", "options"),
    [
        ("people.csv", "utf-8-sig", {}),
        ("people.csv", "utf-16", {}),
        ("people.csv", "cp1252", {"encoding": "cp1252"}),
        ("people.csv.gz", "utf-16", {"encoding": "utf-16"}),
        ("people.tsv", "utf-8", {}),
        ("people.txt", "utf-8", {"files": "people.txt", "format": "csv"}),
    ],
)
def test_encodings_and_packing(folder: Path, name: str, encoding: str, options: dict[str, str]) -> None:
    """Files as spreadsheets and exports write them are read alike."""
    delimiter = "\t" if name.endswith("tsv") else ";"
    content = f'id{delimiter}name\r\n1{delimiter}"José\r\nGarcía, Ph.D."\r\n'.encode(encoding)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read(folder, "people", streams={"people": options}).rows == [{"id": "1", "name": "José\r\nGarcía, Ph.D."}]


def test_other_encodings_of_json_lines(folder: Path) -> None:
    """JSON lines in another encoding come as UTF-8; what the encoding does not know is escaped, not lost."""
    (folder / "people.jsonl").write_bytes('{"name":"Zoë"}\n'.encode("cp1252") + b'{"name":"\x81"}\n')
    options = {"people": {"encoding": "cp1252"}}
    assert read(folder, "people", streams=options).rows == [{"name": "Zoë"}, read(folder, "people", streams=options).rows[1]]
    assert "\\x81" in json.dumps(read(folder, "people", streams=options).rows[1]).replace("\\\\", "\\")


def test_streams_are_called_after_what_lies_in_the_folder(folder: Path) -> None:
    """Files, packed files and folders of files; hidden ones and other kinds are left alone; globs bring more."""
    for name in ("a.jsonl", "b.csv.gz", "c.d.ndjson", "e/2025/1.jsonl", "e/2026/1.csv", ".x.csv", "_old/f.csv", "g.txt", "e/notes.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    found = stream_files(parse_config(config_of(folder, streams={"g": {"files": ["*.txt", "e/**/*.csv"], "format": "csv"}})))
    assert {stream: [file.name for file in files] for stream, files in found.items()} == {
        "a": ["a.jsonl"],
        "b": ["b.csv.gz"],
        "c.d": ["c.d.ndjson"],
        "e": ["e/2025/1.jsonl", "e/2026/1.csv"],
        "g": ["e/2026/1.csv", "g.txt"],
    }


def test_discover_finds_types_and_key(folder: Path) -> None:
    """Types by sample, null always allowed; the key is `id` or `Id` where it tells the rows apart, unless one is named."""
    file = folder / "people.jsonl"
    file.write_text('{"Id":"a","n":1,"x":[1]}\n{"Id":"b","n":1.5,"y":{"z":true}}\n{garbled\n{"Id":"c","n":null,"ok":false}\n')
    stream = described(folder)
    assert {name: kind["type"] for name, kind in stream["json_schema"]["properties"].items()} == {
        "Id": ["null", "string"],
        "n": ["null", "integer", "number"],
        "x": ["null", "array"],
        "y": ["null", "object"],
        "ok": ["null", "boolean"],
    }
    assert stream["source_defined_primary_key"] == [["Id"]]
    chosen = described(folder, streams={"people": {"primary_key": ["n", "Id"], "cursor_field": "n"}})
    assert (chosen["source_defined_primary_key"], chosen["default_cursor_field"]) == ([["n"], ["Id"]], ["n"])
    file.write_text('{"Id":"a"}\n{"Id":"a"}\n')
    assert described(folder)["source_defined_primary_key"] == []


def test_later_rows_are_newer(folder: Path) -> None:
    """`emitted_at` rises with every record, within a read and from one to the next, so that the later line of a file wins."""
    file = folder / "people.jsonl"
    file.write_text('{"id":1}\n' * 5000)
    first = read(folder)
    file.write_text('{"id":2}\n' * 10)
    second = read(folder, state=first.states[-1])
    third = read(folder, state=second.states[-1], sync_mode="full_refresh")
    moments = [record.emitted_at for done in (first, second, third) for record in done.records]
    assert len(moments) == 5020
    assert all(earlier < later for earlier, later in pairwise(moments))


def test_a_damaged_file_stops_its_stream_alone(folder: Path) -> None:
    """A packed file cut in half: what can be read comes, with a state; an error names it; other streams are complete."""
    packed = gzip.compress(b"".join(b'{"id":%d,"x":"%d"}\n' % (n, n * 7919) for n in range(5000)))
    (folder / "calls.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "people.jsonl").write_text('{"id":1}\n')
    done = read(folder)
    assert not done.complete
    assert done.statuses == ["STARTED", "RUNNING", "INCOMPLETE", "STARTED", "RUNNING", "COMPLETE"]
    (error,) = done.errors
    assert (error.failure_type, str(error.stream)) == ("config_error", "calls")
    assert "file=calls.jsonl.gz" in error.message
    calls = [record for record in done.records if record.stream == "calls"]
    assert 100 < len(calls) < 5000
    assert sum(state.record_count or 0 for state in done.states if str(state.streams[0]) == "calls") == len(calls)
    assert checked(folder)["status"] == "SUCCEEDED"  # its beginning is fine; only reading it all tells
    (folder / "calls.jsonl.gz").write_bytes(b"no gzip at all")
    assert "no whole gzip file" in checked(folder)["message"]
    assert "file=calls.jsonl.gz" in checked(folder)["message"]
    out = io.BytesIO()
    replay.discover(parse_config(config_of(folder)), replay.Output(out))
    assert [stream["name"] for stream in json.loads(out.getvalue())["catalog"]["streams"]] == ["calls", "people"]


@pytest.mark.parametrize("name", ["people.jsonl", "people.jsonl.gz"])
def test_an_emptied_file_stops_its_stream_until_it_is_back(folder: Path, name: str) -> None:
    """A file that had rows and has none: INCOMPLETE, named, its position kept; others of the stream are read; back, nothing comes twice."""
    (folder / "people").mkdir()
    file, beside = folder / "people" / name, folder / "people" / "z.jsonl"
    content = gzip.compress(b'{"id":1}\n', mtime=0) if name.endswith(".gz") else b'{"id":1}\n'
    file.write_bytes(content)
    first = read(folder)
    file.write_bytes(b"")
    beside.write_text('{"id":2}\n')
    second = read(folder, state=first.states[-1])
    third = read(folder, state=second.states[-1])
    for done, rows in ((second, [{"id": 2}]), (third, [])):
        assert (done.complete, done.statuses[-1], done.rows) == (False, "INCOMPLETE", rows)
        assert f"file=people/{name}" in done.errors[0].message
    file.write_bytes(content)
    fourth = read(folder, state=third.states[-1])
    assert (fourth.complete, fourth.rows) == (True, [])


def test_a_smaller_file_is_said(folder: Path) -> None:
    """A file replaced by a smaller one is read from its start, with a warning; one replaced by a larger one without."""
    (folder / "people.jsonl").write_text('{"id":1}\n{"id":2}\n')
    first = read(folder)
    (folder / "people.jsonl").write_text('{"id":3}\n')
    second = read(folder, state=first.states[-1])
    (folder / "people.jsonl").write_text('{"id":4}\n{"id":5}\n')
    third = read(folder, state=second.states[-1])
    warned = [[m.message for m in done.messages if isinstance(m, Log) and m.level == "WARN"] for done in (second, third)]
    assert (second.rows, third.rows) == ([{"id": 3}], [{"id": 4}, {"id": 5}])
    assert warned[0][0].startswith("people.jsonl became smaller (9 bytes, 18 before)")
    assert warned[1] == []


def test_a_file_is_no_folder_of_exports(folder: Path) -> None:
    """Who names an export file is told to name its folder."""
    (folder / "people.csv").write_text("id\n1\n")
    assert f"name {folder}" in checked(folder / "people.csv")["message"]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"path": "relative"}, "must be absolute"),
        ({"path": "/no/such/folder"}, "no such folder"),
        ({"pathh": "x"}, "pathh"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"streams": {"people": {"delimiter": ";;"}}}, "delimiter"),
        ({"streams": {"people": {"encoding": "utf-9"}}}, "no such encoding"),
        ({"streams": {"people": {"encoding": "base64"}}}, "no such encoding"),
        ({"streams": {"people": {"files": "nothing*.csv"}}}, "nothing"),
        ({"streams": {"people": {"files": "../*.csv"}}}, "below the folder"),
        ({"streams": {"people": {"files": "notes.md"}}}, "jsonl or csv"),
        ({"streams": {"absent": {}}}, "stream=absent"),
    ],
)
def test_a_wrong_configuration_is_named(folder: Path, config: dict[str, Any], text: str) -> None:
    """`check` says FAILED with the key at fault; reading raises the same."""
    (folder / "people.csv").write_text("id\n1\n")
    (folder / "notes.md").touch()
    outcome = checked(folder, **config)
    assert outcome["status"] == "FAILED"
    assert text in outcome["message"]
    with pytest.raises(ConfigError, match=text):
        stream_files(parse_config(config_of(folder, **config)))


@pytest.mark.parametrize("header", ["", "id,id\n", '"id,name\n'])
def test_a_file_needs_a_header(folder: Path, header: str) -> None:
    """No header, one with the same name twice, and one that is no CSV are the user's to mend; the file is named."""
    (folder / "people.csv").write_text(header)
    assert "file=people.csv" in checked(folder)["message"]


def test_an_empty_folder_is_no_source(folder: Path) -> None:
    """`check` fails when there is nothing to read."""
    assert checked(folder)["status"] == "FAILED"


@pytest.mark.parametrize(("header", "delimiter"), [("a,b", ","), ("a;b,c;d", ";"), ('"a,b,c"\td', "\t"), ("alone", ","), ("", ",")])
def test_the_delimiter_is_what_the_header_has_most_of(header: str, delimiter: str) -> None:
    """Outside quotes; a comma when there is none."""
    assert sniff_delimiter(header) == delimiter


def test_as_a_connector(tmp_path: Path) -> None:
    """Called like any connector, from a foreign folder with a small environment, it answers all four questions."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "people.jsonl").write_text('{"id":1}\n{"id":2}\n')
    (folder / "calls.jsonl.gz").write_bytes(gzip.compress(b'{"id":1}\n')[:-9])
    command, config = replay_command(tmp_path / "home"), {"path": str(folder)}
    assert b"checkpoint_every" in connector.spec(command).connection_specification
    assert connector.check(command, config).succeeded
    (folder / "calls.jsonl.gz").unlink()
    catalog = configure(connector.discover(command, config))
    with ConnectorRun(command, config, catalog) as run:
        messages = [message for batch in run.batches() for message in batch]
    assert run.outcome.succeeded
    with ConnectorRun(command, config, catalog, [message.raw for message in messages if isinstance(message, State)]) as again:
        assert not any(isinstance(message, Record) for batch in again.batches() for message in batch)
    (folder / "people.jsonl").unlink()
    (folder / "calls.jsonl").write_text('{"id":1}\n')
    with ConnectorRun(command, config, catalog) as failing:
        assert list(failing.batches())
    assert failing.outcome.exit_code == 1
    assert type(failing.outcome.error()) is ConfigError
