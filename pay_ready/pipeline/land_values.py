"""What the identity and the order of a record hang on, as text: its key, its cursor, its canonical form. Pure.

Keys and cursors must come out the same on every replay, and cursors must sort right as bytes: that is how Postgres
compares them (collation C), and UTF-8 keeps the order of code points.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import msgspec

LONGEST_KEY = 512
LONGEST_CURSOR = 512

# Sorted keys, no blanks, numbers with all their digits: 0.1 and 0.1000000000000000055 differ.
_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="number")
_DECODER: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=Decimal)
decode = _DECODER.decode
canonical = _ENCODER.encode

# What Postgres' numeric holds: digits before and after the point.
_MOST_DIGITS, _MOST_DECIMALS = 131_072, 16_383
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_LARGE_EXPONENT = re.compile(rb"E[+-]\d{4}")
_UTC = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00:?00)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,1000}(?:\.\d{1,1000})?", re.ASCII)
_NINES = str.maketrans("0123456789", "9876543210")
_EXPONENT_ZERO = 500_000


def fits_jsonb(text: bytes, value: object) -> bool:
    """Whether a jsonb column holds this canonical text: no NUL in it, no number beyond numeric."""
    if b"\\u0000" in text and _NUL.search(text):
        return False
    may_be_large = len(text) > _MOST_DECIMALS or (b"E" in text and _LARGE_EXPONENT.search(text))
    return not may_be_large or all(map(_is_numeric, _numbers(value)))


def lenient(text: bytes) -> tuple[object, bytes]:
    """The value and canonical form of JSON that the strict reader refuses: NaN, halves of surrogate pairs, long integers.

    Raises:
        ValueError: Not JSON even so, or nested too deep.
    """
    try:
        value = json.loads(text, strict=False, parse_int=_integer, parse_float=Decimal)
        return value, json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    except (RecursionError, TypeError) as error:
        raise ValueError("cannot be read") from error


def key_text(values: list[object]) -> bytes | None:
    """The record's key in canonical text; None when a part is missing.

    The text or number itself when there is one part, a JSON array when there are several, a digest when that is long or
    holds what no text column holds. 1.0 and 1 are the same key: some sources write both.
    """
    if len(values) == 1 and type(values[0]) is int and abs(values[0]) < 10**18:
        return b"%d" % values[0]
    if any(value is None or value == "" for value in values):
        return None
    parts = [_plain_number(value) for value in values]
    if len(parts) == 1 and isinstance(parts[0], str):
        text = parts[0].encode("utf-8", "surrogatepass")
    else:
        text = _json_text(parts[0] if len(parts) == 1 else parts)
    if len(text) > LONGEST_KEY or b"\0" in text or (b"\xed" in text and not _is_utf8(text)):
        return b"sha256:" + sha256(text).hexdigest().encode()
    return text


def cursor_text(value: object) -> bytes:
    """A cursor as text that sorts right: numbers by value, times by instant (naive ones are UTC), other text as it is.

    Empty when absent. The first letter is the kind: numbers (n) before other text (s) before times (t), so that a cursor
    that once was an epoch and now is a timestamp goes on.
    """
    if value is None or value == "":
        return b""
    if type(value) is str:
        return _text_cursor(value)
    if type(value) is int and value > 0:
        digits = b"%d" % value
        return b"np%06d%b" % (len(digits) - 1 + _EXPONENT_ZERO, digits.rstrip(b"0")[:LONGEST_CURSOR])
    if isinstance(value, bool):
        return b"n1" if value else b"n0"
    if isinstance(value, int | Decimal):
        return _number_cursor(Decimal(value))
    return _as_is(_json_text(value).decode("utf-8", "surrogatepass"))


def _text_cursor(text: str) -> bytes:
    if utc := _UTC.fullmatch(text):
        day, time, fraction = utc.groups("")
        return f"t{day}T{time}.{fraction:0<6}".encode()
    if _NUMBER.fullmatch(text):
        return _number_cursor(Decimal(text))
    if _TIME.match(text):
        try:
            moment = datetime.fromisoformat(text)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            return _as_is(text)
        return f"t{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}".encode()
    return _as_is(text)


def _as_is(text: str) -> bytes:
    """Any text, cut to what is worth comparing and free of what no text column holds."""
    head = text[:LONGEST_CURSOR].replace("\0", "\ufffd")
    return b"s" + head.encode("utf-8", "replace")[:LONGEST_CURSOR].decode("utf-8", "ignore").encode()


def _number_cursor(number: Decimal) -> bytes:
    """Sign, then magnitude, then digits; for negative numbers the latter two as complements, closed by a sign above all digits."""
    if not number.is_finite():
        return b"s" + str(number).encode()
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0").rstrip("0")
    if not text:
        return b"no"
    exponent = min(max(number.adjusted() + _EXPONENT_ZERO, 0), 2 * _EXPONENT_ZERO - 1)
    written = f"{exponent:06d}{text[:LONGEST_CURSOR]}"
    return f"nm{written.translate(_NINES)}~".encode() if sign else f"np{written}".encode()


def _plain_number(value: object) -> object:
    """1.0 as 1: an integer wherever the value is one."""
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < LONGEST_KEY and value == value.to_integral_value():
        return int(value)
    return value


def _json_text(value: object) -> bytes:
    try:
        return canonical(value)
    except (UnicodeEncodeError, msgspec.MsgspecError, RecursionError, TypeError):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _integer(text: str) -> int | Decimal:
    """Python refuses to read integers of thousands of digits; Decimal does not."""
    return int(text) if len(text) < 1000 else Decimal(text)


def _numbers(value: object) -> list[Decimal | int]:
    """Every number in a value, without recursion."""
    found: list[Decimal | int] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
            case Decimal() | int() as number:
                found.append(number)
            case _:
                pass
    return found


def _is_numeric(number: Decimal | int) -> bool:
    if isinstance(number, int):
        return True
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MOST_DECIMALS and number.adjusted() < _MOST_DIGITS
