"""What the identity of a record hangs on, as text: its key and its canonical form. Pure, and the same on every replay."""

import json
import re
from decimal import Decimal
from hashlib import sha256

import msgspec

from pay_ready.sources.cursors import json_text

LONGEST_KEY = 512

_DECODER: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=Decimal)
decode = _DECODER.decode

# What Postgres' numeric holds: digits before and after the point.
_MOST_DIGITS, _MOST_DECIMALS = 131_072, 16_383
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_LARGE_EXPONENT = re.compile(rb"E[+-]\d{4}")


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
        text = json_text(parts[0] if len(parts) == 1 else parts)
    if len(text) > LONGEST_KEY or b"\0" in text or (b"\xed" in text and not _is_utf8(text)):
        return b"sha256:" + sha256(text).hexdigest().encode()
    return text


def _plain_number(value: object) -> object:
    """1.0 as 1: an integer wherever the value is one."""
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < LONGEST_KEY and value == value.to_integral_value():
        return int(value)
    return value


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
