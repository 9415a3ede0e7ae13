"""An Airbyte source of our own over export files: JSONL and CSV, also packed, also as spreadsheets write them.

`python -m pay_ready.sources.replay {spec,check,discover,read}`. A stream is a file or a folder of files. An appended file
goes on where the last read ended, a replaced one starts anew; no line is lost, a garbled one comes as a record of its own.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from msgspec import MsgspecError, Struct, field, json

from pay_ready import __version__
from pay_ready.errors import ConfigError
from pay_ready.sources.process import ConnectorCommand
from pay_ready.sources.replay_files import ExportFile, FilePosition, OpenExport, ReplayConfig, StreamOptions, parse_config, stream_files
from pay_ready.sources.replay_range import keeper, range_of
from pay_ready.sources.replay_rows import Rows
from pay_ready.sources.replay_shape import describe

# What a file that is damaged, or gone, or not ours to read, or no export at all, makes of reading it.
_UNREADABLE = (OSError, ConfigError)

_SPEC = {
    "documentationUrl": "https://docs.airbyte.com/understanding-airbyte/airbyte-protocol",
    "supportsIncremental": True,
    "connectionSpecification": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Export files",
        "type": "object",
        "required": ["path"],
        "additionalProperties": False,
        "properties": {
            "path": {"type": "string", "title": "Folder", "description": "Absolute path of the folder with <stream>.jsonl or .csv (.gz)"},
            "checkpoint_every": {"type": "integer", "minimum": 1, "default": 1000, "description": "Records between two states"},
            "start_date": {"type": "string", "format": "date-time", "description": "Rows whose cursor is before it are left out"},
            "end_date": {"type": "string", "format": "date-time", "description": "Rows whose cursor is not before it are left out"},
            "streams": {
                "type": "object",
                "description": "Options by stream; all are found out when left open",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "files": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "description": "Globs"},
                        "primary_key": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                        "cursor_field": {"type": "string", "description": "The field that tells newer from older"},
                        "format": {"enum": ["jsonl", "csv"]},
                        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1},
                        "encoding": {"type": "string", "default": "utf-8"},
                    },
                },
            },
        },
    },
}


class StreamPosition(Struct, frozen=True):
    """A stream's state: how far each file was read, and the last `emitted_at` in milliseconds."""

    files: dict[str, FilePosition] = field(default_factory=dict)
    emitted_at: int = 0


class _Descriptor(Struct, frozen=True):
    name: str


class _StreamState(Struct, frozen=True):
    stream_descriptor: _Descriptor
    stream_state: StreamPosition


class _State(Struct, frozen=True):
    stream: _StreamState


class _Configured(Struct, frozen=True):
    stream: _Descriptor
    sync_mode: str
    cursor_field: tuple[str, ...] | None = None


class _Catalog(Struct, frozen=True):
    streams: tuple[_Configured, ...]


def replay_command(home: Path) -> ConnectorCommand:
    """How to call this source with the Python that runs us, installed or in a checkout."""
    package_root = Path(__file__).resolve().parents[2]
    return ConnectorCommand(
        argv=(sys.executable, "-P", "-m", "pay_ready.sources.replay"),
        name="pay-ready-replay",
        version=__version__,
        home=home,
        environment={"PYTHONPATH": str(package_root)},
    )


class Output:
    """Messages on a binary stream."""

    def __init__(self, out: BinaryIO) -> None:
        self.write = out.write

    def message(self, kind: str, **content: object) -> None:
        """Write a message of a type."""
        self.write(json.encode({"type": kind, **content}) + b"\n")

    def log(self, text: str, level: str = "INFO") -> None:
        """Say what a person may want to know; what they should know at level WARN."""
        self.message("LOG", log={"level": level, "message": text})

    def status(self, stream: str, status: str) -> None:
        """Say how far a stream is."""
        trace = {"stream_descriptor": {"name": stream}, "status": status}
        self.message("TRACE", trace={"type": "STREAM_STATUS", "emitted_at": time.time() * 1000, "stream_status": trace})

    def error(self, text: str, stream: str | None = None) -> None:
        """Say what the user must put right."""
        error = {"message": text, "internal_message": text, "failure_type": "config_error"}
        descriptor = {"stream_descriptor": {"name": stream}} if stream else {}
        self.message("TRACE", trace={"type": "ERROR", "emitted_at": time.time() * 1000, "error": error | descriptor})


class StreamRead:
    """One stream of one read: its files, one after the other, with a state every so many records."""

    def __init__(
        self,
        name: str,
        files: Sequence[ExportFile],
        then: StreamPosition,
        checkpoint_every: int,
        output: Output,
        keeps: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._name, self._files, self._output, self._keeps = name, files, output, keeps
        self._every, self._since = checkpoint_every, 0
        self._then = then.files
        # Of a file that is gone, nothing is remembered: should it come back, it is read whole.
        self._reached = {file.name: then.files[file.name] for file in files if file.name in then.files}
        self._emitted_at = then.emitted_at
        self._head = b'{"type":"RECORD","record":{"stream":%s,"data":' % json.encode(name)

    def run(self) -> None:
        """Emit what is new.

        Raises:
            OSError, ConfigError: A file cannot be read, or has lost all its rows; what came before is covered by a state.
        """
        self._output.status(self._name, "STARTED")
        self._output.status(self._name, "RUNNING")
        try:
            emptied = [file.name for file in self._files if self._file(file)]
        finally:
            self._state()
        if emptied:
            hint = "bring the file back, or delete it when its rows are meant to be gone"
            raise ConfigError("a file that had rows is empty", hint, file=", ".join(emptied))
        self._output.status(self._name, "COMPLETE")

    def _file(self, file: ExportFile) -> bool:
        """Whether it had rows and is empty now. Its old position is then kept, so that this is said until it is mended."""
        with OpenExport(file) as export:
            start = self._start(file, export)
            if export.has_news(start):
                self._rows(file, export, start)
        then = self._then.get(file.name)
        is_emptied = then is not None and then.offset > 0 and self._reached[file.name].offset == 0
        if is_emptied and then is not None:
            self._reached[file.name] = then
        return is_emptied

    def _start(self, file: ExportFile, export: OpenExport) -> FilePosition:
        """Where to begin. A replaced file begins anew, and the state says so before its first record."""
        then = self._then.get(file.name)
        if then is None:
            return FilePosition()
        if export.continues(then):
            return then
        self._output.log(f"{file.name} is not the file that was read before: it is read from its start")
        if export.size_bytes() < then.size_bytes:
            sizes = f"{export.size_bytes()} bytes, {then.size_bytes} before"
            self._output.log(f"{file.name} became smaller ({sizes}): rows that it no longer lists stay as they are", "WARN")
        self._reached[file.name] = FilePosition()
        self._state()
        return FilePosition()

    def _rows(self, file: ExportFile, export: OpenExport, start: FilePosition) -> None:
        rows = Rows(export, start.offset, start.line)
        write, head, every, keeps = self._output.write, self._head, self._every, self._keeps
        # A later row of a file is the newer one: each gets a later moment, at least by the millisecond that the protocol knows.
        moment, since = self._next_moment(), self._since
        try:
            for data in rows:
                if keeps and not keeps(data):
                    continue
                write(b'%b%b,"emitted_at":%d}}\n' % (head, data, moment))
                moment += 1
                since += 1
                # Now, not before the next row is written: the rows are one ahead by then.
                if since >= every:
                    self._emitted_at, self._since = moment - 1, since
                    self._reached[file.name] = export.position(rows.offset, rows.line)
                    self._state()
                    moment, since = self._next_moment(), 0
        finally:
            self._emitted_at, self._since = moment - 1, since
            self._reached[file.name] = export.position(rows.offset, rows.line)
        self._reached[file.name] = export.position(rows.offset, rows.line, done=True)

    def _next_moment(self) -> int:
        return max(self._emitted_at + 1, time.time_ns() // 1_000_000)

    def _state(self) -> None:
        position = StreamPosition(self._reached, self._emitted_at)
        stream = {"stream_descriptor": {"name": self._name}, "stream_state": position}
        count = {"recordCount": float(self._since)}
        self._output.message("STATE", state={"type": "STREAM", "stream": stream, "sourceStats": count})
        self._since = 0


def check(config: bytes, output: Output) -> None:
    """Say whether every file of the configuration opens and begins as it should."""
    try:
        streams = stream_files(parse_config(config))
        for file in (file for files in streams.values() for file in files):
            with OpenExport(file) as export:
                next(iter(Rows(export)), None)
    except _UNREADABLE as error:
        output.message("CONNECTION_STATUS", connectionStatus={"status": "FAILED", "message": reason_of(error)})
        return
    said = {"status": "SUCCEEDED"} if streams else {"status": "FAILED", "message": "the folder holds no .jsonl or .csv file"}
    output.message("CONNECTION_STATUS", connectionStatus=said)


def discover(config: ReplayConfig, output: Output) -> None:
    """Say which streams there are.

    Raises:
        OSError, ConfigError: The folder cannot be read. A file that cannot is for `read` to name: it stops its stream alone.
    """
    described = [describe(name, files, config.streams.get(name, StreamOptions())) for name, files in stream_files(config).items()]
    output.write(b'{"type":"CATALOG","catalog":{"streams":[%b]}}\n' % b",".join(described))


def read(config: ReplayConfig, catalog: _Catalog, then: Mapping[str, StreamPosition], output: Output) -> bool:
    """Emit the chosen streams; one that fails stops no other. True when all are complete."""
    offered = stream_files(config)
    records = range_of(config)
    complete = True
    for chosen in catalog.streams:
        name = chosen.stream.name
        position = then.get(name, StreamPosition())
        if chosen.sync_mode != "incremental":
            position = StreamPosition(emitted_at=position.emitted_at)
        try:
            keeps = keeper(records, chosen.cursor_field) if records and chosen.cursor_field else None
            StreamRead(name, _files_of(name, offered), position, config.checkpoint_every, output, keeps).run()
        except _UNREADABLE as error:
            output.error(reason_of(error), name)
            output.status(name, "INCOMPLETE")
            complete = False
    return complete


def _files_of(stream: str, offered: Mapping[str, tuple[ExportFile, ...]]) -> tuple[ExportFile, ...]:
    if stream not in offered:
        raise ConfigError("no file for the stream", "choose one of " + ", ".join(offered), stream=stream)
    return offered[stream]


def reason_of(error: BaseException) -> str:
    """An error in words; the system's own speak of the file."""
    return str(error) or f"a file ends too early ({type(error).__name__})"


def _states(content: bytes) -> dict[str, StreamPosition]:
    try:
        states = json.decode(content, type=tuple[_State, ...])
    except MsgspecError as error:
        raise ConfigError(f"the state is not this source's: {error}", "start without a state: every row comes again") from error
    return {state.stream.stream_descriptor.name: state.stream.stream_state for state in states}


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="replay", description="An Airbyte source over export files.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("spec")
    for verb in ("check", "discover", "read"):
        verbs.add_parser(verb).add_argument("--config", type=Path, required=True)
    verbs.choices["read"].add_argument("--catalog", type=Path, required=True)
    verbs.choices["read"].add_argument("--state", type=Path)
    return parser.parse_args(words)


def _answer(asked: argparse.Namespace, output: Output) -> bool:
    """Do what was asked; False when something is incomplete."""
    match asked.verb:
        case "spec":
            output.message("SPEC", spec=_SPEC)
        case "check":
            check(asked.config.read_bytes(), output)
        case "discover":
            discover(parse_config(asked.config.read_bytes()), output)
        case _:
            catalog = json.decode(asked.catalog.read_bytes(), type=_Catalog)
            states = _states(asked.state.read_bytes()) if asked.state else {}
            return read(parse_config(asked.config.read_bytes()), catalog, states, output)
    return True


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Answer on standard output; exit code 1 says that something is incomplete."""
    asked = _arguments(words)
    try:
        with open(sys.stdout.fileno(), "wb", buffering=1 << 18, closefd=False) as out:
            output = Output(out)
            try:
                complete = _answer(asked, output)
            except (*_UNREADABLE, MsgspecError) as error:
                output.error(reason_of(error))
                complete = False
    except BrokenPipeError:
        # Who read us is gone. Nothing more can be said, not even by the interpreter as it flushes.
        os._exit(1)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
