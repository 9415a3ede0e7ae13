"""A fake Airbyte connector whose every word, and every fault, is scripted by its configuration.

One file, standard library only, so that it runs as any connector does:

    python tests/scripted_source.py spec
    python tests/scripted_source.py check    --config F
    python tests/scripted_source.py discover --config F
    python tests/scripted_source.py read     --config F --catalog F [--state F]

`ARGV` is its command line for tests. What it emits depends on the configuration and the state alone: never on a clock or
on chance. Keys of the configuration, all optional:

    streams         {"people": 1000, "companies": 50}: records per stream, read one stream after the other
    seed            other rows under the same keys (7)
    state_every     records between STATEs of a stream (100); 0: none at all, not even a last one
    state_type      STREAM, GLOBAL or LEGACY
    interleave      true: the streams take turns, record by record
    duplicate_every every n-th record comes again at once, changed, under the same key (0: never)
    change_every    with `revision`: in revision r every n-th row differs from revision 0 (10)
    revision        which version of the rows (0)
    width           characters of padding per row (0)
    cursor          field that the catalog calls the cursor ("seq"); states go by seq whatever it is
    start_date      rows whose updated_at is before it are not emitted (states go on counting)
    end_date        likewise from it on
    statuses        false: no STREAM_STATUS at all, as connectors of old
    check           message with which `check` says FAILED
    api_key         a secret: declared so in the spec, shown by the fault `secret_log`
    fault           one fault, or a list of them (below)
    once            path: the faults happen only while this file is absent, and create it. So a retry gets through

A row is {"id": n, "seq": n, "name": …, "email": …, "amount": …, "active": …, "updated_at": …}; `id` is the primary key,
`seq` the cursor, from 1. With --state a stream goes on after the state's `seq` (full_refresh starts anew), so that an
interrupted read and its sequel together emit every row of an uninterrupted one. emitted_at is 1760000000000 + seq.

A fault is {"kind": …, "at": i}: it happens instead of nothing, just before message number i of this read (from 0; records,
states, statuses all count). Faults without `at` concern the whole read. All messages before it are written and flushed.

    crash           kills itself with SIGKILL; "cut": true writes half of the next line first
    exit            exits with "code" (1) without a word
    hang            sleeps for ever; "ignore_sigterm": true makes SIGKILL the only way out
    pause           sleeps "seconds" (0.2), after saying RATE_LIMITED; "quota_reset_s": seconds from now until the quota is back
    garbage         writes "text" (a banner) as a line
    broken_record   writes a RECORD line that is no JSON
    not_utf8        writes a RECORD with a Latin-1 byte in it
    odd_record      writes good RECORDs with NaN, half a surrogate pair, and a NUL: keys "odd-1" to "odd-3"
    deep_record     writes a RECORD nested 10,000 deep
    big_line        writes a RECORD of "size_bytes" (40 MiB), key "big"; "broken": true makes it unreadable
    unknown         writes messages of types that no protocol knows
    stale_state     writes the previous STATE of the stream again, after the newer one
    wrong_count     from here on, STATEs claim "by" (1) records too many
    control         writes a CONTROL with the whole configuration, its api_key now "new_key"
    secret_log      writes LOGs, a TRACE ERROR and a plain line that hold the api_key in several shapes; then goes on
    stderr          writes "size_bytes" (1 MiB) to standard error
    trace_error     writes a TRACE ERROR with "failure_type", "message", "stream"; then exits 1
    incomplete      (whole read) "stream" ends as INCOMPLETE, after half of its records; exit code 0
    orphan          starts a child that would outlive it and holds its standard output; writes the child's pid to "pid_file";
                    "own_session": true puts the child out of reach of the group's signals
"""

import argparse
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ARGV = (sys.executable, str(Path(__file__).resolve()))
START_MS = 1_760_000_000_000
FIRST_NAMES = ("Ann", "Bob", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Günter", "Håkon", "Inés", "José")
LAST_NAMES = ("Abel", "Brandt", "Conti", "Dubois", "Evans", "Fischer", "García", "Hansen", "Ito", "Jones")

Json = dict[str, Any]


def row(config: Json, stream: str, seq: int, *, again: bool = False) -> Json:
    """The row of a stream with this number: a function of its arguments."""
    revision = config.get("revision", 0) if seq % config.get("change_every", 10) == 0 else 0
    digest = hashlib.sha256(f"{config.get('seed', 7)}/{stream}/{seq}/{revision}/{again}".encode()).digest()
    first, last = FIRST_NAMES[digest[0] % 10], LAST_NAMES[digest[1] % 10]
    made: Json = {
        "id": seq,
        "seq": seq,
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{seq}@{stream}.example".lower(),
        "amount": int.from_bytes(digest[2:4], "big") / 100,
        "active": digest[4] % 2 == 0,
        "updated_at": f"2026-{1 + digest[5] % 12:02}-{1 + digest[6] % 28:02}T{digest[7] % 24:02}:00:00Z",
    }
    if width := config.get("width", 0):
        made["padding"] = "x" * width
    return made


def record(stream: str, seq: int, data: Json) -> Json:
    """A RECORD message."""
    return {"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": START_MS + seq}}


def log(message: str, level: str = "INFO") -> Json:
    """A LOG message."""
    return {"type": "LOG", "log": {"level": level, "message": message}}


def status(stream: str, word: str, **reason: Any) -> Json:
    """A TRACE STREAM_STATUS message."""
    content: Json = {"stream_descriptor": {"name": stream}, "status": word}
    if reason:
        content["reasons"] = [reason]
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": START_MS + 0.5, "stream_status": content}}


def trace_error(message: str, failure_type: str, stream: str | None = None, **more: str) -> Json:
    """A TRACE ERROR message."""
    error: Json = {"message": message, "failure_type": failure_type, **more}
    if stream:
        error["stream_descriptor"] = {"name": stream}
    return {"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": START_MS + 0.5, "error": error}}


def line_of(message: Json) -> bytes:
    """A message as it is written."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class Output:
    """Standard output that counts messages, buffers, and is interrupted by the faults at their places."""

    def __init__(self, config: Json) -> None:
        self.config = config
        faults = config.get("fault") or []
        self.faults = [faults] if isinstance(faults, dict) else list(faults)
        self.once = Path(config["once"]) if "once" in config else None
        if self.once and self.once.exists():
            self.faults = []
        self.at: dict[int, list[Json]] = {}
        for fault in self.faults:
            if "at" in fault:
                self.at.setdefault(fault["at"], []).append(fault)
        self.count, self.buffer = 0, bytearray()
        self.states: list[bytes] = []
        self.claim_by = 0

    def emit(self, message: Json) -> None:
        """Write a message, after the faults whose place is here."""
        line = line_of(message)
        for fault in self.at.get(self.count, ()):
            self.happen(fault, line)
        self.count += 1
        self.buffer += line
        if len(self.buffer) > 1 << 16:
            self.flush()

    def raw(self, line: bytes) -> None:
        """Write a line as it is, uncounted."""
        self.buffer += line + b"\n"

    def flush(self) -> None:
        """Write all that is buffered."""
        view = memoryview(bytes(self.buffer))
        self.buffer.clear()
        while view:
            view = view[os.write(1, view) :]

    def whole(self, kind: str) -> Json | None:
        """The fault of this kind that concerns the whole read, if any."""
        found = next((fault for fault in self.faults if fault["kind"] == kind and "at" not in fault), None)
        if found and self.once:
            self.once.touch()
        return found

    def happen(self, fault: Json, next_line: bytes) -> None:
        """Let a fault happen."""
        self.flush()
        if self.once:
            self.once.touch()
        match fault["kind"]:
            case "crash":
                os.write(1, next_line[: len(next_line) // 2] if fault.get("cut") else b"")
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(fault.get("code", 1))
            case "hang":
                self.hang(fault)
            case "pause":
                self.pause(fault)
            case "wrong_count":
                self.claim_by = fault.get("by", 1)
            case "stale_state":
                self.buffer += self.states[-2] if len(self.states) > 1 else b""
            case "trace_error":
                fatal = trace_error(fault.get("message", "it broke"), fault["failure_type"], fault.get("stream"))
                self.leave(1, log("it broke", "FATAL"), fatal)
            case "orphan":
                orphan(fault)
            case "stderr":
                stderr_noise(fault.get("size_bytes", 1 << 20))
            case kind:
                for line in odd_lines(kind, fault, self.config):
                    self.raw(line)

    def hang(self, fault: Json) -> NoReturn:
        """Sleep for ever."""
        if fault.get("ignore_sigterm"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.raw(line_of(log("SIGTERM is ignored"))[:-1])
            self.flush()
        while True:
            time.sleep(3600)

    def pause(self, fault: Json) -> None:
        """Say that there is a rate limit, and sleep."""
        reason: Json = {"type": "RATE_LIMITED"}
        if "quota_reset_s" in fault:
            reason["rate_limited"] = {"quota_reset": (time.time() + fault["quota_reset_s"]) * 1000}
        stream = next(iter(self.config.get("streams", {"people": 0})))
        self.raw(line_of(status(stream, "RUNNING", **reason))[:-1])
        self.flush()
        time.sleep(fault.get("seconds", 0.2))

    def leave(self, code: int, *messages: Json) -> NoReturn:
        """Say the last words and exit."""
        self.buffer += b"".join(map(line_of, messages))
        self.flush()
        sys.exit(code)


def odd_lines(kind: str, fault: Json, config: Json) -> Iterator[bytes]:
    """The lines of the faults that only write something odd."""
    stream = fault.get("stream") or next(iter(config.get("streams", {"people": 0})))
    head = b'{"type":"RECORD","record":{"stream":"%s","data":' % stream.encode()
    tail = b',"emitted_at":%d}}' % START_MS
    key = config.get("api_key", "no-key")
    match kind:
        case "garbage":
            yield fault.get("text", "  ___ welcome to SDK 3.2 ___").encode()
        case "broken_record":
            yield head + b'{"id":"broken","name":"Ann\x01"' + tail
        case "not_utf8":
            yield head + b'{"id":"latin","name":"Jos\xe9"}' + tail
        case "odd_record":
            yield head + b'{"id":"odd-1","amount":NaN}' + tail
            yield head + b'{"id":"odd-2","name":"\\ud83d"}' + tail
            yield head + b'{"id":"odd-3","name":"a\\u0000b"}' + tail
        case "deep_record":
            yield head + b'{"id":"deep","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}" + tail
        case "big_line":
            yield head + b'{"id":"big","text":"' + b"x" * fault.get("size_bytes", 40 << 20) + (b"" if fault.get("broken") else b'"}') + tail
        case "unknown":
            yield from (b'{"type":"DESTINATION_CATALOG","destinationCatalog":{}}', b'{"type":"FANFARE"}', b'{"type":7}', b"[1,2]")
        case "control":
            new = {**config, "api_key": fault.get("new_key", "rotated-key-0001")}
            control = {"type": "CONNECTOR_CONFIG", "emitted_at": START_MS, "connectorConfig": {"config": new}}
            yield line_of({"type": "CONTROL", "control": control})[:-1]
        case "secret_log":
            basic = base64.b64encode(f"user:{key}".encode()).decode()
            yield line_of(log(f"GET https://api.example/v1?api_key={key} as ann.abel@people.example"))[:-1]
            yield line_of(log(f"Authorization: Basic {basic}", "DEBUG"))[:-1]
            yield line_of(trace_error(f"refused key {key}", "transient_error", stack_trace=f"key={key}", internal_message=key))[:-1]
            yield f"plain line with {key}".encode()
        case _:
            raise SystemExit(f"no such fault: {kind}")


def stderr_noise(size_bytes: int) -> None:
    """Write something like tracebacks to standard error."""
    noise = b"Traceback (most recent call last): noise\n"
    sys.stderr.buffer.write(noise * (size_bytes // len(noise)))
    sys.stderr.buffer.flush()


def orphan(fault: Json) -> None:
    """Start a child that holds our standard output and sleeps on."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=fault.get("own_session", False))
    Path(fault["pid_file"]).write_text(str(child.pid))
    # Nobody waits for it: that is the point.
    child.returncode = 0


def cursors(states: list[Json]) -> dict[str, int]:
    """The last number of each stream, from states of any type."""
    found: dict[str, int] = {}
    for state in states:
        match state.get("type"):
            case "GLOBAL":
                parts = state["global"]["stream_states"]
            case "STREAM":
                parts = [state["stream"]]
            case _:
                found.update(state["data"])
                continue
        found.update({part["stream_descriptor"]["name"]: part["stream_state"]["seq"] for part in parts})
    return found


def state_message(kind: str, stream: str, reached: dict[str, int], count: int) -> Json:
    """A STATE message."""
    each: list[Json] = [{"stream_descriptor": {"name": name}, "stream_state": {"seq": seq}} for name, seq in reached.items()]
    state: Json = {"type": kind, "sourceStats": {"recordCount": float(count)}}
    if kind == "GLOBAL":
        state["global"] = {"shared_state": {"lsn": sum(reached.values())}, "stream_states": each}
    elif kind == "STREAM":
        state["stream"] = next(part for part in each if part["stream_descriptor"]["name"] == stream)
    else:
        state["data"] = dict(reached)
    return {"type": "STATE", "state": state}


class Read:
    """One `read`: the streams, their positions, and what is said about them."""

    def __init__(self, config: Json, catalog: Json, states: list[Json]) -> None:
        self.config, self.output = config, Output(config)
        offered = config.get("streams", {"people": 10})
        self.modes = {entry["stream"]["name"]: entry["sync_mode"] for entry in catalog["streams"]}
        self.total = {name: offered[name] for name in self.modes if name in offered}
        begun = cursors(states)
        self.reached = {name: begun.get(name, 0) if self.modes[name] == "incremental" else 0 for name in self.total}
        self.since_state = dict.fromkeys(self.total, 0)
        self.incomplete = (self.output.whole("incomplete") or {}).get("stream")

    def run(self) -> None:
        """Emit everything."""
        for name in self.modes:
            if name not in self.total:
                self.say(name, "INCOMPLETE")
        walks = [self.stream(name) for name in self.total]
        if self.config.get("interleave"):
            while walks:
                walks = [walk for walk in walks if next(walk, None)]
        else:
            for walk in walks:
                for _ in walk:
                    pass
        self.output.flush()

    def stream(self, name: str) -> Iterator[bool]:
        """Emit one stream, pausing after each record."""
        self.say(name, "STARTED")
        self.say(name, "RUNNING")
        every, twice = self.config.get("state_every", 100), self.config.get("duplicate_every", 0)
        last = self.total[name] // 2 if name == self.incomplete else self.total[name]
        for seq in range(self.reached[name] + 1, last + 1):
            if self.is_wanted(name, seq):
                self.record(name, seq)
            if twice and seq % twice == 0:
                self.record(name, seq, again=True)
            self.reached[name] = seq
            if every and seq % every == 0 and seq < last:
                self.state(name)
            yield True
        if every:
            self.state(name)
        self.say(name, "INCOMPLETE" if name == self.incomplete else "COMPLETE")

    def is_wanted(self, name: str, seq: int) -> bool:
        moment = row(self.config, name, seq)["updated_at"]
        return self.config.get("start_date", "") <= moment < self.config.get("end_date", "9999")

    def record(self, name: str, seq: int, *, again: bool = False) -> None:
        self.output.emit(record(name, seq, row(self.config, name, seq, again=again)))
        self.since_state[name] += 1

    def state(self, name: str) -> None:
        kind = self.config.get("state_type", "STREAM")
        covered = [name] if kind == "STREAM" else list(self.total)
        count = sum(self.since_state[each] for each in covered) + self.output.claim_by
        self.since_state |= dict.fromkeys(covered, 0)
        message = state_message(kind, name, self.reached, count)
        self.output.emit(message)
        self.output.states.append(line_of(message))

    def say(self, name: str, word: str) -> None:
        if self.config.get("statuses", True):
            self.output.emit(status(name, word))


def spec() -> Json:
    """The SPEC message."""
    properties: Json = {
        "streams": {"type": "object", "additionalProperties": {"type": "integer"}},
        "auth": {"oneOf": [{"properties": {"api_token": {"type": "string", "airbyte_secret": True}}}, {"properties": {}}]},
        "api_key": {"type": "string", "airbyte_secret": True},
        "pin": {"type": "integer", "airbyte_secret": True},
        "start_date": {"type": "string", "format": "date-time"},
        "end_date": {"type": "string", "format": "date-time"},
    }
    schema: Json = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties}
    return {"type": "SPEC", "spec": {"documentationUrl": "https://docs.example/scripted", "connectionSpecification": schema}}


def catalog_of(config: Json) -> Json:
    """The CATALOG message."""
    types = {"id": "integer", "seq": "integer", "name": "string", "email": "string", "amount": "number", "active": "boolean"}
    properties: Json = {name: {"type": ["null", kind]} for name, kind in types.items()}
    properties["updated_at"] = {"type": ["null", "string"], "format": "date-time"}
    streams = [
        {
            "name": name,
            "json_schema": {"type": "object", "properties": properties},
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": True,
            "default_cursor_field": [config.get("cursor", "seq")],
            "source_defined_primary_key": [["id"]],
            "is_resumable": True,
        }
        for name in config.get("streams", {"people": 10})
    ]
    return {"type": "CATALOG", "catalog": {"streams": streams}}


def check(config: Json) -> Json:
    """The CONNECTION_STATUS message."""
    reason = config.get("check")
    said = {"status": "FAILED", "message": reason} if reason else {"status": "SUCCEEDED"}
    return {"type": "CONNECTION_STATUS", "connectionStatus": said}


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("spec", "check", "discover", "read"))
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}", type=lambda path: json.loads(Path(path).read_bytes()))
    asked = parser.parse_args()
    if asked.verb == "read":
        Read(asked.config, asked.catalog, asked.state or []).run()
        return
    output = Output(asked.config or {})
    output.emit(log("scripted source"))
    match asked.verb:
        case "spec":
            output.emit(spec())
        case "check":
            output.emit(check(asked.config))
        case _:
            output.emit(catalog_of(asked.config))
    output.flush()


if __name__ == "__main__":
    main()
