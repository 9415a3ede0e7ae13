"""From a record as emitted to the row that lands, or to the reason why none can. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypedDict
from uuid import UUID

import msgspec
from msgspec import MsgspecError, structs

from pay_ready.db.landing import LandingRow, Payload, Refused
from pay_ready.model.ids import SourceId, stable_id
from pay_ready.pipeline.land.flags import flags_of
from pay_ready.pipeline.land.values import decode, fits_jsonb, key_text, lenient
from pay_ready.sources.catalog import FieldPath
from pay_ready.sources.cursors import canonical, cursor_text
from pay_ready.sources.protocol import CanonicalRecord, LenientRecord, Record

LARGEST_DATA = 32 << 20  # bytes; landed_records has the same limit
LARGEST_RAW = 1 << 20  # bytes of a refused record that its row holds itself
CONTRACT_VERSION = "landing/1"
MALFORMED, KEY_MISSING, UNEXPECTED = "json.malformed", "key.missing", "stream.unexpected"
CDC_DELETED = ("_ab_cdc_deleted_at",)

_EPOCH_2000_US = 946_684_800_000_000
# Integers below need no thought to become keys, and most keys are such: see `key_text`.
_PLAIN_KEYS = 10**18
_LAST_MS = 253_402_300_799_999  # 9999-12-31


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """How the records of one stream become rows."""

    stream: str
    primary_key: tuple[FieldPath, ...] = ()
    cursor: FieldPath = ()
    deleted_flags: tuple[FieldPath, ...] = (CDC_DELETED,)  # one of them set: the record says that its row is gone
    refused_because: str = ""  # the stream broke its contract: all of its records go to quarantine, for this reason

    @property
    def is_keyless(self) -> bool:
        """Records without a primary key are known by their content."""
        return not self.primary_key


RowMaker = Callable[[Record], LandingRow | Refused]
_typed_dict: Any = TypedDict  # made from names that only run time knows


def row_maker(source: SourceId, plan: StreamPlan) -> RowMaker:
    """A function from a record of the stream to its row. A keyless row gets its digest as key; the ordinal comes later."""
    key_of, cursor_of = _key_reader(plan.primary_key), _reader(plan.cursor)
    is_keyless = plan.is_keyless
    delete_marks = [(path[0], path) for path in plan.deleted_flags]
    needed = _needed_fields(plan)

    def refuse(record: Record) -> Refused:
        return refused(source, plan.stream, plan.refused_because, bytes(record.data), emitted_us(record.emitted_at))

    if plan.refused_because:
        return refuse

    def make(record: Record) -> LandingRow | Refused:
        raw, moment = bytes(record.data), emitted_us(record.emitted_at)
        value: object
        fits = True
        try:
            if type(record) is CanonicalRecord and b"\\u0000" not in raw:
                value, text = needed(raw), raw
            else:
                value, text, fits = _read(raw, strict=type(record) is not LenientRecord)
        except (MsgspecError, ValueError):
            return refused(source, plan.stream, MALFORMED, raw, moment)
        if type(value) is not dict:
            return refused(source, plan.stream, MALFORMED, raw, moment)
        # What was changed in a row belongs to its version: the same values with other flags are another one.
        flags = flags_of(bytes(record.meta)) if record.meta is not None else None
        digest = sha256(text if flags is None else text + b"\0" + flags).digest()
        key = digest.hex().encode() if is_keyless else key_of(value)
        if key is None:
            return refused(source, plan.stream, KEY_MISSING, raw, moment)
        cursor = cursor_text(cursor_of(value))
        for name, path in delete_marks:
            if name in value and _is_set(value_at(value, path)):
                return LandingRow(key, None, digest, cursor, moment, deleted=True)
        if fits and len(text) <= LARGEST_DATA:
            return LandingRow(key, text, digest, cursor, moment, False, None, flags)  # noqa: FBT003 - by name it takes longer
        return LandingRow(key, None, digest, cursor, moment, payload=payload_of(source, raw), quality_flags=flags)

    return make


def by_reference(source: SourceId, row: LandingRow) -> LandingRow:
    """The same row with its data kept as bytes: for what the database would not take after all."""
    if row.data is None:
        return row
    return structs.replace(row, data=None, payload=payload_of(source, row.data))


def payload_of(source: SourceId, content: bytes) -> Payload:
    """Bytes by reference; the same bytes of a source have the same id."""
    return Payload(stable_id("payload", str(source), sha256(content).hexdigest()), content)


def refused(source: SourceId, stream: str, reason: str, raw: bytes, moment_us: int | None = None) -> Refused:
    """A record for quarantine, its bytes whole; by reference when they are many."""
    return Refused(
        quarantine_id=_quarantine_id(source, stream, reason, raw),
        stream=stream,
        reason=reason,
        raw=raw if len(raw) <= LARGEST_RAW else None,
        payload=payload_of(source, raw) if len(raw) > LARGEST_RAW else None,
        emitted_us=moment_us,
    )


def emitted_us(emitted_ms: float) -> int:
    """Microseconds since 2000 of a record's emitted_at, brought into the range of a timestamp."""
    if not 0 <= emitted_ms <= _LAST_MS:  # also NaN
        emitted_ms = _LAST_MS if emitted_ms > _LAST_MS else 0
    return int(emitted_ms * 1000) - _EPOCH_2000_US


def numbered(rows: Sequence[LandingRow], times: dict[str, int]) -> list[LandingRow]:
    """Keyless rows with their final keys "<digest>.<ordinal>": the n-th equal row of a pass is the same row on every replay.

    Args:
        rows: In the order of emission, with their digests as keys.
        times: How often each digest came before in this pass; brought up to date.
    """
    made = []
    for row in rows:
        digest = row.record_key.decode()
        ordinal = times.get(digest, 0)
        times[digest] = ordinal + 1
        made.append(structs.replace(row, record_key=b"%s.%d" % (row.record_key, ordinal)))
    return made


def _key_reader(paths: Sequence[FieldPath]) -> Callable[[dict[str, object]], bytes | None]:
    """A function that gives a record's key."""
    readers = [_reader(path) for path in paths]
    if len(readers) != 1:
        return lambda value: key_text([read(value) for read in readers])
    only = readers[0]

    def read_one(value: dict[str, object]) -> bytes | None:
        part = only(value)
        return b"%d" % part if type(part) is int and 0 <= part < _PLAIN_KEYS else key_text([part])

    return read_one


def _reader(path: FieldPath) -> Callable[[dict[str, object]], object]:
    """A function that gives the value at a path. Most paths are one name, and every record is asked for several."""
    if len(path) == 1:
        name = path[0]
        return lambda value: value.get(name)
    return lambda value: value_at(value, path) if path else None


def _needed_fields(plan: StreamPlan) -> Callable[[bytes], dict[str, object]]:
    """A decoder of the fields that decide on a row, a third of the cost of all. It raises a MsgspecError for what is no object."""
    paths = (*plan.primary_key, *plan.deleted_flags, *((plan.cursor,) if plan.cursor else ()))
    fields = _typed_dict("fields", {path[0]: object for path in paths}, total=False)
    decoder: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(fields, float_hook=Decimal)
    return decoder.decode


def _read(raw: bytes, *, strict: bool) -> tuple[object, bytes, bool]:
    """The value of a record's data, its canonical text, and whether a jsonb column holds it.

    Raises:
        ValueError: Not JSON.
    """
    if strict:
        try:
            value = decode(raw)
            text = canonical(value)
            return value, text, fits_jsonb(text, value)
        except (MsgspecError, RecursionError, UnicodeError, ArithmeticError):
            # The lenient reader decides: such a record is kept by reference.
            pass
    value, text = lenient(raw)
    return value, text, False


def value_at(value: object, path: FieldPath) -> object:
    """What stands at a path in a record; None when nothing does."""
    for name in path:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def _is_set(flag: object) -> bool:
    return flag not in (None, False, "", "false", "False", 0)


def _quarantine_id(source: SourceId, stream: str, reason: str, raw: bytes) -> UUID:
    return stable_id("quarantine", str(source), stream, "land", reason, sha256(raw).hexdigest())
