"""Airbyte messages: from a connector's lines to frozen values (protocol 0.18).

A record's data stays the bytes that the source wrote. Unknown properties are legal and ignored; a line that is no
message becomes `NotProtocol` and stops nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from msgspec import Raw, Struct


class StreamDescriptor(Struct, frozen=True):
    """A stream's name within one source; most sources have no namespaces."""

    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


class Record(Struct, frozen=True, gc=False):
    """One row of a stream. `data` is a view of the bytes as emitted: `bytes(record.data)` copies them out.

    A record keeps the block it was read from in memory; keep the copy, not the record. The millions of records make
    this a Struct, decoded in place, and untracked by the garbage collector: it can be in no cycle.
    """

    stream: str
    data: Raw
    # Milliseconds since 1970; 0 when the source does not say.
    emitted_at: int | float = 0
    namespace: str | None = None
    # What the source itself had to change in the row: {"changes": [...]}.
    meta: Raw | None = None

    @property
    def descriptor(self) -> StreamDescriptor:
        return StreamDescriptor(self.stream, self.namespace)

    def __repr__(self) -> str:
        """Names and sizes: a row's values are people's data and reach no log."""
        return f"{type(self).__name__}(stream={self.stream!r}, data=<{len(self.data)} bytes>, emitted_at={self.emitted_at})"


class LenientRecord(Record, frozen=True, gc=False):
    """A record whose data only a lenient reader accepts (NaN, half a surrogate pair): no jsonb column will hold it."""


class CanonicalRecord(Record, frozen=True, gc=False):
    """A record whose bytes are the same whenever its content is, and are JSON for certain: it may be kept as it came."""


@dataclass(frozen=True, slots=True)
class State:
    """A checkpoint of the source, good once every record before it is durable.

    `raw` is a black box, handed back to the connector byte for byte. kind is STREAM (its own stream only), GLOBAL (all
    of `streams`, as one) or LEGACY (all streams of the source; none are named).
    """

    kind: str
    streams: tuple[StreamDescriptor, ...]
    record_count: int | None  # records since the previous state, as the source counts them
    raw: bytes


@dataclass(frozen=True, slots=True)
class Log:
    level: str
    message: str
    stack_trace: str | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """What a connector wants to know. `connection_specification` is a JSON schema."""

    connection_specification: bytes
    documentation_url: str | None = None
    protocol_version: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    succeeded: bool
    message: str


class SourceStream(Struct, frozen=True, kw_only=True):
    """A stream that a source offers."""

    name: str
    json_schema: Raw
    supported_sync_modes: tuple[str, ...] = ("full_refresh",)
    namespace: str | None = None
    source_defined_cursor: bool | None = None
    default_cursor_field: tuple[str, ...] | None = None
    source_defined_primary_key: tuple[tuple[str, ...], ...] | None = None
    is_resumable: bool | None = None

    @property
    def descriptor(self) -> StreamDescriptor:
        return StreamDescriptor(self.name, self.namespace)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a source offers; `raw_streams` are the same streams as emitted, for handing back whole."""

    streams: tuple[SourceStream, ...]
    raw_streams: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """STARTED, RUNNING, COMPLETE or INCOMPLETE of one stream."""

    stream: StreamDescriptor
    status: str
    rate_limited: bool = False
    quota_reset_ms: float | None = None  # milliseconds since 1970, when the source knows


@dataclass(frozen=True, slots=True)
class TraceError:
    """failure_type is config_error, system_error or transient_error."""

    message: str
    failure_type: str
    internal_message: str | None = None
    stream: StreamDescriptor | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much will come: of one stream, or of the whole sync when there is none."""

    stream: StreamDescriptor | None
    rows: int | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Analytics:
    kind: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Control:
    """The source changed its own configuration (rotated a token): store `config` at once, or the connection is lost."""

    config: bytes
    emitted_at: int | float

    def __repr__(self) -> str:
        return f"Control(config=<{len(self.config)} bytes>)"


@dataclass(frozen=True, slots=True)
class NotProtocol:
    """A line that is no message; `reason` is a constant.

    `is_record` marks a line that says it is a RECORD and cannot be read as one: it belongs in quarantine, whole.
    """

    line: bytes
    reason: str
    is_record: bool = False

    def __repr__(self) -> str:
        return f"NotProtocol(line=<{len(self.line)} bytes>, reason={self.reason!r}, is_record={self.is_record})"


@dataclass(frozen=True, slots=True)
class Oversized:
    """A line above the size limit that is no readable message.

    `path` holds its first `kept_bytes`; the file is the run's and goes with it, so move it when it shall stay.
    """

    size_bytes: int
    kept_bytes: int
    head: bytes
    path: Path
    reason: str
    is_record: bool = False

    def __repr__(self) -> str:
        return f"Oversized(size_bytes={self.size_bytes}, reason={self.reason!r}, is_record={self.is_record})"


Message = (
    Record
    | State
    | Log
    | Spec
    | ConnectionStatus
    | Catalog
    | StreamStatus
    | TraceError
    | Estimate
    | Analytics
    | Control
    | NotProtocol
    | Oversized
)
