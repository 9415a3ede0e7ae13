"""From bytes to messages: a block of lines at once, then line by line where a block holds a line that is no message."""

import codecs
import re
from mmap import mmap

from msgspec import DecodeError, MsgspecError, Raw, Struct, ValidationError, field
from msgspec.json import Decoder

from pay_ready.sources import protocol
from pay_ready.sources.protocol import LenientRecord, Message, NotProtocol, Record, StreamDescriptor
from pay_ready.sources.tolerant import members


class _StreamState(Struct, frozen=True):
    stream_descriptor: StreamDescriptor


class _GlobalState(Struct, frozen=True):
    stream_states: tuple[_StreamState, ...] = ()


class _Statistics(Struct, frozen=True):
    record_count: float | None = field(name="recordCount", default=None)


class _State(Struct, frozen=True):
    kind: str | None = field(name="type", default=None)
    stream: _StreamState | None = None
    all_streams: _GlobalState | None = field(name="global", default=None)
    statistics: _Statistics = field(name="sourceStats", default=_Statistics())


class _Log(Struct, frozen=True):
    message: str
    level: str = "INFO"
    stack_trace: str | None = None


class _Spec(Struct, frozen=True):
    connection_specification: Raw = field(name="connectionSpecification")
    documentation_url: str | None = field(name="documentationUrl", default=None)
    protocol_version: str | None = None


class _ConnectionStatus(Struct, frozen=True):
    status: str
    message: str | None = None


class _Catalog(Struct, frozen=True):
    streams: tuple[Raw, ...]


class _RateLimited(Struct, frozen=True):
    quota_reset: float | None = None


class _Reason(Struct, frozen=True):
    kind: str = field(name="type")
    rate_limited: _RateLimited | None = None


class _StreamStatus(Struct, frozen=True):
    stream_descriptor: StreamDescriptor
    status: str
    reasons: tuple[_Reason, ...] | None = None


class _Error(Struct, frozen=True):
    message: str = ""
    internal_message: str | None = None
    failure_type: str | None = None
    stream_descriptor: StreamDescriptor | None = None


class _Estimate(Struct, frozen=True):
    name: str | None = None
    namespace: str | None = None
    row_estimate: float | None = None
    byte_estimate: float | None = None


class _Analytics(Struct, frozen=True):
    kind: str | None = field(name="type", default=None)
    value: str | None = None


class _Trace(Struct, frozen=True):
    kind: str = field(name="type")
    error: _Error | None = None
    estimate: _Estimate | None = None
    stream_status: _StreamStatus | None = None
    analytics: _Analytics | None = None


class _NewConfig(Struct, frozen=True):
    config: Raw


class _Control(Struct, frozen=True):
    connector_config: _NewConfig = field(name="connectorConfig")
    emitted_at: int | float = 0


class _RecordLine(Struct, frozen=True, gc=False, tag="RECORD"):
    record: Record


class _StateLine(Struct, frozen=True, tag="STATE"):
    state: Raw  # read twice: the source gets it back byte for byte


class _LogLine(Struct, frozen=True, tag="LOG"):
    log: _Log


class _SpecLine(Struct, frozen=True, tag="SPEC"):
    spec: _Spec


class _ConnectionStatusLine(Struct, frozen=True, tag="CONNECTION_STATUS"):
    status: _ConnectionStatus = field(name="connectionStatus")


class _CatalogLine(Struct, frozen=True, tag="CATALOG"):
    catalog: _Catalog


class _TraceLine(Struct, frozen=True, tag="TRACE"):
    trace: _Trace


class _ControlLine(Struct, frozen=True, tag="CONTROL"):
    control: _Control


_Line = _RecordLine | _StateLine | _LogLine | _SpecLine | _ConnectionStatusLine | _CatalogLine | _TraceLine | _ControlLine

_LINES: Decoder[_Line] = Decoder(_Line)
_STATE = Decoder(_State)
_SOURCE_STREAM = Decoder(protocol.SourceStream)
_NAME = Decoder(str)
_MOMENT: Decoder[int | float] = Decoder(int | float)

NOT_JSON = "line.not_json"
NOT_UTF8 = "line.not_utf8"
NOT_PROTOCOL = "line.not_protocol"
TOO_DEEP = "line.too_deep"
CUT_OFF = "line.cut_off"
TOO_LARGE = "line.too_large"

# The type stands at one end of a line or the other; between them are megabytes of somebody's data.
_CLAIM = re.compile(rb'"type"\s*:\s*"RECORD"')
_CLAIM_REACH = 256
_MAP_STEP = 1 << 20


def decode_block(block: bytes) -> list[Message]:
    """The messages of whole lines, in order; blank lines give nothing. Never raises for what the lines hold."""
    if _is_utf8(block):
        try:
            return [line.record if type(line) is _RecordLine else _message(line) for line in _LINES.decode_lines(block)]
        except (MsgspecError, RecursionError):
            # Some line is no message. Rare, and a line costs a third more this way than in a block.
            pass
    return [decode_line(line) for line in block.split(b"\n") if not line.isspace() and line]


def decode_line(line: bytes) -> Message:
    """The message of one line, or `NotProtocol` with the reason."""
    if not _is_utf8(line):
        return _not_protocol(line, NOT_UTF8)
    try:
        return _message(_LINES.decode(line))
    except ValidationError:
        return _not_protocol(line, NOT_PROTOCOL)
    except DecodeError:
        return _second_reading(line)
    except RecursionError:
        return _not_protocol(line, TOO_DEEP)


def decode_mapped(line: mmap) -> Message | str:
    """The message of a line too long for memory, its data a view of the map; or the reason why there is none."""
    if not _is_mapped_utf8(line):
        return NOT_UTF8
    try:
        return _message(_LINES.decode(line))
    except (MsgspecError, RecursionError):
        return NOT_PROTOCOL


def claims_record(head: bytes, tail: bytes = b"") -> bool:
    """Whether a line says of itself that it is a RECORD. It may say so at its start or at its end."""
    return head.lstrip()[:1] == b"{" and bool(_CLAIM.search(head[:_CLAIM_REACH]) or _CLAIM.search(tail[-_CLAIM_REACH:]))


def _is_utf8(block: bytes) -> bool:
    """The decoder checks the text it decodes; a record's data it skips, so the bytes are checked here."""
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_mapped_utf8(line: mmap) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(line), _MAP_STEP):
            decoder.decode(line[start : start + _MAP_STEP])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _not_protocol(line: bytes, reason: str) -> NotProtocol:
    return NotProtocol(line, reason, claims_record(line, line))


def _second_reading(line: bytes) -> Message:
    refused = _not_protocol(line, NOT_JSON)
    if not refused.is_record:
        return refused
    try:
        record = members(members(line.decode())["record"])
        return LenientRecord(
            stream=_NAME.decode(record["stream"]),
            data=Raw(record["data"]),
            emitted_at=_MOMENT.decode(record.get("emitted_at", "0")),
            namespace=_NAME.decode(record["namespace"]) if record.get("namespace", "null") != "null" else None,
        )
    except (ValueError, KeyError):
        return refused


def _message(line: _Line) -> Message:
    """A wire message as a value of ours.

    Raises:
        ValidationError: Its inner part does not fit.
    """
    match line:
        case _RecordLine(record=record):
            return record
        case _StateLine(state=raw):
            return _state(raw)
        case _LogLine(log=log):
            return protocol.Log(log.level, log.message, log.stack_trace)
        case _TraceLine(trace=trace):
            return _trace(trace)
        case _ControlLine(control=control):
            return protocol.Control(bytes(control.connector_config.config), control.emitted_at)
        case _SpecLine(spec=spec):
            return protocol.Spec(bytes(spec.connection_specification), spec.documentation_url, spec.protocol_version)
        case _ConnectionStatusLine(status=status):
            return protocol.ConnectionStatus(status.status == "SUCCEEDED", status.message or "")
        case _CatalogLine(catalog=catalog):
            raw_streams = tuple(bytes(raw) for raw in catalog.streams)
            return protocol.Catalog(tuple(map(_SOURCE_STREAM.decode, raw_streams)), raw_streams)


def _state(raw: Raw) -> protocol.State:
    state = _STATE.decode(raw)
    record_count = _whole(state.statistics.record_count)
    match state:
        case _State(kind="STREAM" | None, stream=_StreamState() as stream):
            return protocol.State("STREAM", (stream.stream_descriptor,), record_count, bytes(raw))
        case _State(kind="GLOBAL" | None, all_streams=_GlobalState() as every):
            names = tuple(stream.stream_descriptor for stream in every.stream_states)
            return protocol.State("GLOBAL", names, record_count, bytes(raw))
        case _State(kind="LEGACY" | None):
            return protocol.State("LEGACY", (), record_count, bytes(raw))
        case _:
            raise ValidationError("a state of an unknown type, or without its stream")


def _trace(trace: _Trace) -> Message:
    match trace:
        case _Trace(kind="ERROR", error=_Error() as error):
            # The platform, too, takes a failure without a type for the connector's own.
            kind = error.failure_type or "system_error"
            return protocol.TraceError(error.message, kind, error.internal_message, error.stream_descriptor)
        case _Trace(kind="STREAM_STATUS", stream_status=_StreamStatus() as status):
            return _stream_status(status)
        case _Trace(kind="ESTIMATE", estimate=_Estimate() as estimate):
            return _estimate(estimate)
        case _Trace(kind="ANALYTICS", analytics=_Analytics() as analytics):
            return protocol.Analytics(analytics.kind or "", analytics.value)
        case _:
            raise ValidationError("a trace of an unknown type, or without its content")


def _stream_status(status: _StreamStatus) -> protocol.StreamStatus:
    limits = [reason for reason in status.reasons or () if reason.kind == "RATE_LIMITED"]
    resets = [limit.rate_limited.quota_reset for limit in limits if limit.rate_limited and limit.rate_limited.quota_reset]
    return protocol.StreamStatus(status.stream_descriptor, status.status, bool(limits), max(resets, default=None))


def _estimate(estimate: _Estimate) -> protocol.Estimate:
    stream = StreamDescriptor(estimate.name, estimate.namespace) if estimate.name else None
    return protocol.Estimate(stream, _whole(estimate.row_estimate), _whole(estimate.byte_estimate))


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
