"""Logs: an event in a context, and one processor that lets no personal value through, whatever a caller bound.

The event is a constant "noun.past_participle"; what varies is a key with its unit. Numbers, times and ids pass; text
passes only under a key that names a thing of ours (SAFE_KEYS), because no pattern can tell a name from a word.
Lines go to standard error.
"""

import io
import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any, Literal, TextIO, cast
from uuid import UUID

import structlog

MASK = "<masked>"
SAFE_KEYS = frozenset({
    "event", "level", "timestamp", "logger", "tenant", "domain", "source", "kind", "stream", "step", "phase", "subject_kind", "status",
    "outcome", "reason", "rule", "field", "error_class", "error_place", "sqlstate", "constraint", "table", "column", "version",
    "contract_version", "connector", "command", "lease", "holder", "checkpoint", "entity_type", "change", "query", "file", "mode",
    "template", "failure_type", "signal", "migration", "plan_hash", "schema", "flow", "deployment",
})  # fmt: skip
_OF_STRUCTLOG = frozenset({"_record", "_from_structlog"})
_KEY = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_EVENT = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
# An e-mail address; also what masks answers (agent/personal.py). Begins at a word's start and never gives back: linear in any text.
EMAIL = r"(?<![\w.+%'-])[\w.+%'-]++@[\w-]+(?:\.[\w-]+)*"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        EMAIL,
        r"(?<![\w.:-])\+?\d[\d ()./-]{7,}\d(?![\w:-])",  # phone
        r"(?i)\b[a-z][a-z0-9+.-]*://[^\s]*@\S+",  # URL with credentials
        r"(?i)\b(?:bearer|basic)\s+\S{8,}",  # authorization header
        r"\beyJ[\w-]+\.[\w-]+\.[\w-]+",  # JSON web token
        r"(?i)\b(?:password|secret|token|api[_-]?key)\s*[=:]\s*\S+",
    )
)


def configure_logs(level: str, output: Literal["console", "json"]) -> None:
    """Set structlog and the standard library's logging up, once per process."""
    renderer: Any = structlog.processors.JSONRenderer() if output == "json" else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
        mask_personal,
    ]
    lenient = cast("TextIO", _Lenient(sys.stderr))
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: structlog.PrintLogger(file=lenient),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[_foreign_line, *shared], processors=[strip, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The pool warns of connections that Ctrl-C cut; whoever waits for one gets an error of ours.
    logging.getLogger("psycopg.pool").setLevel(max(logging.ERROR, root.level) if level != "debug" else logging.DEBUG)


class _Lenient(io.TextIOBase):
    """Standard error as it was when logs were set up, which may have been closed since, or have no reader any more (a worker that was
    killed): a line more must not end what it tells of.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._open.write(text)
        except OSError:
            self._lose()
        return len(text)

    def flush(self) -> None:
        try:
            self._open.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        """What nobody reads goes nowhere from now on; left in the buffer, it would be the exit code of the process (120)."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._open.fileno())
            os.close(nowhere)

    @property
    def _open(self) -> TextIO:
        return sys.stderr if self._stream.closed else self._stream


def mask_personal(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Last line of defence: a personal value reaches no sink."""
    return {_key(key): value if key in _OF_STRUCTLOG else _masked(key, value) for key, value in event.items()}


def scrub(text: str) -> str:
    """The text with everything that looks like an address, a phone number or a secret masked."""
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def _masked(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, UUID | datetime | date | timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(str(name)): _masked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, inner) for inner in value]
    if isinstance(value, str) and key == "event":
        return value if _EVENT.fullmatch(value) else MASK
    if isinstance(value, str) and key == "timestamp":
        return value
    return scrub(value) if isinstance(value, str) and key in SAFE_KEYS else _as_id(value)


def _key(key: str) -> str:
    """Keys are words of our code; anything else may be data."""
    return key if _KEY.fullmatch(key) else MASK


def _as_id(value: object) -> str:
    """An id given as text is still an id."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return MASK


def _describe_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Class and place of an exception, never its arguments: they hold people's data."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exc_info()[1])
    if error is not None:
        event["error_class"] = type(error).__name__
        trace, frames = error.__traceback__, []
        while trace is not None:
            frames.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["error_place"] = " > ".join(frames[-6:])
    return event


def _foreign_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A line of another library: where it came from, and its template when that is a constant; never the values in it."""
    record: logging.LogRecord = event["_record"]
    line: MutableMapping[str, Any] = {key: value for key, value in event.items() if key.startswith("_") or key == "exc_info"}
    line["event"] = "library.logged"
    line["logger"] = record.name
    line["error_place"] = f"{record.funcName}:{record.lineno}"
    if record.args and isinstance(record.msg, str):
        line["template"] = record.msg
    return line
