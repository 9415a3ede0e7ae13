"""The cursor of a record as text that sorts right. Pure.

Cursors must come out the same on every replay, and must sort right as bytes: that is how Postgres compares them
(collation C), and UTF-8 keeps the order of code points.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

LONGEST_CURSOR = 512
# Exponents of numbers are written with this added to them, so that they sort as text.
EXPONENT_ZERO = 500_000

# Sorted keys, no blanks, numbers with all their digits: 0.1 and 0.1000000000000000055 differ.
_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="number")
canonical = _ENCODER.encode

_UTC = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00:?00)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,1000}(?:\.\d{1,1000})?", re.ASCII)
# Most cursors are such integers: what stands before the digits, by their number.
_PLAIN_NUMBERS = 10**18
_PLAIN_STARTS = tuple(b"np%06d" % (count - 1 + EXPONENT_ZERO) for count in range(19))
NINES = str.maketrans("0123456789", "9876543210")


def cursor_text(value: object) -> bytes:
    """A cursor as text that sorts right: numbers by value, times by instant (naive ones are UTC), other text as it is.

    Empty when absent. The first letter is the kind: numbers (n) before other text (s) before times (t), so that a cursor
    that once was an epoch and now is a timestamp goes on.
    """
    if type(value) is int and 0 < value < _PLAIN_NUMBERS:
        digits = b"%d" % value
        return _PLAIN_STARTS[len(digits)] + digits.rstrip(b"0")
    if value is None or value == "":
        return b""
    if type(value) is str:
        return _text_cursor(value)
    if type(value) is int and value > 0:
        digits = b"%d" % value
        return b"np%06d%b" % (len(digits) - 1 + EXPONENT_ZERO, digits.rstrip(b"0")[:LONGEST_CURSOR])
    if isinstance(value, bool):
        return b"n1" if value else b"n0"
    if isinstance(value, int | Decimal):
        return _number_cursor(Decimal(value))
    return _as_is(json_text(value).decode("utf-8", "surrogatepass"))


def json_text(value: object) -> bytes:
    """Canonical JSON, also of what only a lenient writer takes."""
    try:
        return canonical(value)
    except (UnicodeEncodeError, msgspec.MsgspecError, RecursionError, TypeError):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


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
    exponent = min(max(number.adjusted() + EXPONENT_ZERO, 0), 2 * EXPONENT_ZERO - 1)
    written = f"{exponent:06d}{text[:LONGEST_CURSOR]}"
    return f"nm{written.translate(NINES)}~".encode() if sign else f"np{written}".encode()
