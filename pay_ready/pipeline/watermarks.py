"""Watermarks as people read them: the sortable text that `cursor_text` makes of a cursor, turned back. Pure.

A time and a number say nothing about anybody and may be printed. Any other text may be a name or an address: it is printed
only for who asks for it.
"""

import re

from pay_ready.sources.cursors import EXPONENT_ZERO, NINES

HIDDEN = "(text)"

_TIME = re.compile(r"t(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})", re.ASCII)
_NUMBER = re.compile(r"n(o|0|1|p\d{7,}|m\d{7,}~)", re.ASCII)


def readable_watermark(cursor: str, *, show_text: bool = False) -> str:
    """A watermark as text; empty when there is none, HIDDEN for a text unless it is to be shown."""
    if time := _TIME.fullmatch(cursor):
        return f"{time[1]}{time[2].rstrip('0').rstrip('.')}Z"
    if number := _NUMBER.fullmatch(cursor):
        return _number(number[1])
    if not cursor or show_text:
        return cursor.removeprefix("s")
    return HIDDEN


def _number(text: str) -> str:
    if text in ("o", "0", "1"):  # zero, false, true
        return "0" if text == "o" else text
    sign, written = ("-", text[1:-1].translate(NINES)) if text.startswith("m") else ("", text[1:])
    exponent, digits = int(written[:6]) - EXPONENT_ZERO, written[6:]
    if abs(exponent) > 40:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}e{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
