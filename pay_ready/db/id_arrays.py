"""Ids and numbers in bulk: ids as 16 bytes each in numpy, and both as the text of an array for a statement."""

from collections.abc import Iterable
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.bytes_]  # of 16 bytes


def ids_of(uuids: Iterable[UUID]) -> Ids:
    """Ids as 16 bytes each, ascending, each once."""
    return np.unique(np.array([each.bytes for each in uuids], dtype="S16"))


def uuids_of(ids: Ids) -> list[UUID]:
    """The ids as UUIDs."""
    return [UUID(hex=each) for each in hex_of(ids)]


def uuid_list(ids: Ids) -> str:
    """The ids as the text of a uuid[]: many times faster than one object each."""
    return "{" + ",".join(hex_of(ids)) + "}"


def few_ids(ids: Iterable[bytes]) -> str:
    """A handful of ids of 16 bytes as the text of a uuid[]."""
    return "{" + ",".join([each.hex() for each in ids]) + "}"


def hex_of(ids: Ids) -> list[str]:
    """The ids in hexadecimal digits."""
    digits = np.ascontiguousarray(ids, dtype="S16").tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def number_list(numbers: NDArray[np.int64]) -> str:
    """Numbers as the text of a bigint[]: many times faster than a list of them."""
    return "{" + ",".join(map(str, numbers.tolist())) + "}"
