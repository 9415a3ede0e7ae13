"""How much memory a value takes, near enough to bound a cache by it."""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

_ATOMS = (str, bytes, bytearray, int, float, complex, bool, type(None))


def estimated_bytes(value: object) -> int:
    """Bytes of a value and all it holds: containers, dataclasses and arrays are looked into, each object once; of anything else, its own.

    What is shared with the rest of the process (interned words, enum members) counts all the same: rather too much than too little.
    """
    total, seen, left = 0, set[int](), [value]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        total += max(sys.getsizeof(each), getattr(each, "nbytes", 0))
        if not isinstance(each, _ATOMS):
            left += _parts(each)
    return total


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        # A class without slots keeps its values in a dict, which takes room of its own.
        return [*(getattr(value, each.name) for each in fields(value)), *([vars(value)] if hasattr(value, "__dict__") else [])]
    return []
