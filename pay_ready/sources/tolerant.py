"""A second, lenient reading of JSON that the fast reader refuses.

Connectors cut text in the middle of a surrogate pair and write NaN; both are in records that people miss. This reader
only finds where each value begins and ends, so the source's own bytes are kept.
"""

import json
import re

_BLANK = re.compile(r"[ \t\r\n]*")
# strict=False: control characters inside strings are allowed.
_VALUES = json.JSONDecoder(strict=False)


def members(text: str) -> dict[str, str]:
    """The members of a JSON object, each value as it is written; a key given twice keeps its last value.

    Raises:
        ValueError: Not one JSON object, or nested too deep.
    """
    found: dict[str, str] = {}
    place = _expect(text, 0, "{")
    while (place := _skip(text, place)) < len(text) and text[place] != "}":
        _expect(text, place, '"')
        key, place = _value(text, place)
        start = _skip(text, _expect(text, place, ":"))
        place = _value(text, start)[1]
        found[str(key)] = text[start:place]
        if text[(place := _skip(text, place)) : place + 1] != ",":
            break
        place += 1
    if _skip(text, _expect(text, place, "}")) != len(text):
        raise ValueError("text after the object")
    return found


def _value(text: str, start: int) -> tuple[object, int]:
    """The value that begins at `start`, and the place after it."""
    try:
        return _VALUES.raw_decode(text, start)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _skip(text: str, place: int) -> int:
    blank = _BLANK.match(text, place)
    return blank.end() if blank else place


def _expect(text: str, place: int, mark: str) -> int:
    """The place after `mark`, which must come next."""
    place = _skip(text, place)
    if not text.startswith(mark, place):
        raise ValueError(f"expected {mark} at character {place}")
    return place + len(mark)
