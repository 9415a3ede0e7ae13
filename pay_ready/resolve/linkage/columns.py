"""A field of all records as small integers: equal values share one, and work on text is done once per distinct value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Rows = NDArray[np.int64]
Keys = NDArray[np.int64]
Mask = NDArray[np.bool_]
BELIEVED_RECORDS = 1_000
FEW = 64  # texts; so many are handled one by one
_AT_ONCE = 1 << 15  # rows whose keys are made together: so many stay in a processor's cache
_FEWEST, _ALL_BITS = 12, (1 << 64) - 1
Texts: TypeAlias = Any  # an Arrow array of strings, null where there is none; pyarrow has no types


@dataclass(frozen=True)
class Distinct:
    """Distinct texts, hashed once."""

    texts: Texts

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """`hashes_of` the texts."""
        return hashes_of(self.texts)

    @property
    def keys(self) -> Keys:
        """`key_numbers` of the texts."""
        return _keys_of(self.hashes)


@dataclass(frozen=True)
class Column:
    """`ids[row]` is the position of the record's value in `values` (strings, each once), -1 where it has none."""

    ids: Ids
    values: Texts

    @cached_property
    def distinct(self) -> Distinct:
        """The values, to be looked up by their hashes."""
        return Distinct(self.values)

    def holders(self) -> NDArray[np.int64]:
        """Records that hold each value."""
        return np.bincount(self.ids[self.ids >= 0], minlength=len(self.values)).astype(np.int64)

    def mapped(self, function: Callable[[Texts], Texts]) -> "Column":
        """The column of a function of the values, computed once per value; null and "" are no value."""
        found = function(self.values)
        # Staged values are clean already.
        is_same = len(found) > FEW and found.equals(self.values) and pc.index(found, "").as_py() < 0
        return self if is_same else renumbered(self.ids, found)

    def keys(self) -> Keys:
        """By record: a number of 63 bits for its value, the same wherever the value occurs; -1 where there is none."""
        return np.append(self.distinct.keys, np.int64(-1))[self.ids]

    @property
    def filled(self) -> int:
        """Records that have a value."""
        return int(np.count_nonzero(self.ids >= 0))


def chance_share(others: NDArray[np.int64], all_records: int, usual: float, believed: int = BELIEVED_RECORDS) -> NDArray[np.float64]:
    """(others + k * usual) / (records + k): the share of a value among records, drawn to what is usual while there are few of them.

    A Bayesian estimate with k = `believed` pseudo-records (additive smoothing, Lidstone 1920); never nothing.
    """
    shares: NDArray[np.float64] = (np.maximum(others, 0) + believed * usual) / (max(all_records, 0) + believed)
    return shares


def column_of(array: pa.Array | pa.ChunkedArray) -> Column:
    """The column of an Arrow array of strings or of anything that casts to them."""
    chunk = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    texts = chunk if pa.types.is_string(chunk.type) else chunk.cast(pa.string())
    if len(texts) <= FEW:
        return _few_column(texts.to_pylist())
    encoded = texts.dictionary_encode()
    ids = filled(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Column(ids, encoded.dictionary)


def _few_column(texts: Sequence[str | None]) -> Column:
    """`column_of` of a handful: here a call of Arrow's costs more than the work."""
    numbers: dict[str, int] = {}
    ids = [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    return Column(np.array(ids, dtype=np.int32), pa.array(list(numbers), pa.string()))


def renumbered(ids: Ids, texts: Texts) -> Column:
    """The column whose value at `row` is `texts[ids[row]]`; equal texts get one number."""
    if len(texts) <= FEW:
        few = _few_column([text or None for text in texts.to_pylist()])
        return Column(translated(ids, few.ids), few.values)
    inner = column_of(pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts))
    return Column(translated(ids, inner.ids), inner.values)


def translated(ids: Ids, numbers: NDArray[np.int32] | Sequence[int]) -> Ids:
    """`numbers[ids]`, -1 staying -1."""
    return np.append(np.asarray(numbers, dtype=np.int32), np.int32(-1))[ids]


def with_none(by_number: NDArray[np.generic], none: int | bool) -> NDArray[Any]:
    """The array with one more entry, which numpy takes for the number -1."""
    return np.append(by_number, by_number.dtype.type(none))


def first_of(*columns: pa.Array) -> pa.Array:
    """By row the first value that is there; "" is none."""
    if len(columns[0]) <= FEW:
        rows = zip(*(each.to_pylist() for each in columns), strict=True)
        return pa.array([next(filter(None, row), None) for row in rows], pa.string())
    told = [_without_empty(each) for each in columns]
    return pc.coalesce(*told) if len(told) > 1 else told[0]


def _without_empty(texts: Texts) -> Texts:
    empty = pc.equal(texts, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), texts) if pc.any(empty).as_py() else texts


def filled(array: pa.Array, fill: int | bool) -> pa.Array:
    """The array with a value in the place of nulls; where there are none, as mostly, nothing is called."""
    return array.fill_null(fill) if array.null_count else array


def texts_at(texts: Texts, positions: Ids) -> list[str]:
    """The texts at positions; of millions a few are wanted at a time."""
    found: list[str] = texts.take(pa.array(positions)).to_pylist()
    return found


def lengths(texts: Texts) -> NDArray[np.int32]:
    """Letters of each text."""
    counted: NDArray[np.int32] = filled(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int32)
    return counted


def mask_of(array: pa.Array) -> Mask:
    """An Arrow mask as numpy; null is False."""
    mask: Mask = filled(array, fill=False).to_numpy(zero_copy_only=False)
    return mask


def key_of(*columns: NDArray[np.int32] | NDArray[np.int64]) -> Keys:
    """One 63-bit key for the numbers of several columns; -1 where any of them is missing."""
    keys = np.empty(len(columns[0]), dtype=np.int64)
    for start in range(0, len(keys), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        keys[part] = _mixed_keys([column[part] for column in columns])
    return keys


def _mixed_keys(columns: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> Keys:
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    missing = np.zeros(len(columns[0]), dtype=np.bool_)
    for column in columns:
        missing |= column < 0
        # splitmix64 (Steele, Lea, Flood 2014): multiply and shift until every bit of the input reaches every bit of the key.
        mixed ^= column.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    mixed >>= np.uint64(1)
    keys = mixed.view(np.int64)
    keys[missing] = -1
    return keys


def by_distinct_pair(left: Ids, right: Ids, grade: Callable[[Ids, Ids], NDArray[np.generic]]) -> NDArray[np.generic]:
    """A grade of each pair of values (all >= 0), computed once for every unordered pair that occurs."""
    together = np.minimum(left, right).astype(np.int64) << 32 | np.maximum(left, right)
    encoded = pa.array(together).dictionary_encode()  # by hashing, several times faster than by sorting
    codes = encoded.dictionary.to_numpy()
    positions: NDArray[np.int32] = encoded.indices.to_numpy()
    return grade((codes >> 32).astype(np.int32), (codes & 0xFFFFFFFF).astype(np.int32))[positions]


def utf8_of(texts: Texts) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all texts (null is "") one after the other, and where each begins, with the end of the last one."""
    flat = texts.fill_null("").cast(pa.large_binary())
    offsets = np.frombuffer(flat.buffers()[1], dtype=np.int64)[flat.offset : flat.offset + len(flat) + 1]
    data = flat.buffers()[2]
    if data is None or not len(flat):
        return np.empty(0, dtype=np.uint8), np.zeros(len(flat) + 1, dtype=np.int64)
    return np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def hashes_of(texts: Texts) -> NDArray[np.uint64]:
    """A 64-bit hash of the UTF-8 bytes of each text (null is ""), the same on every machine: eight bytes at a time through splitmix64."""
    if len(texts) <= _FEWEST:
        return np.array([hash_of((text or "").encode()) for text in texts.to_pylist()], dtype=np.uint64)
    signs, offsets = utf8_of(texts)
    data = np.append(signs, np.zeros(8, dtype=np.uint8))
    # Every position as the eight bytes from there on.
    windows = np.ndarray(max(len(data) - 7, 0), dtype="<u8", buffer=data, strides=(1,))
    starts, sizes = offsets[:-1], np.diff(offsets)
    mixed = _mixed(sizes.astype(np.uint64))
    for at in range(0, int(sizes.max(initial=0)), 8):
        longer = np.flatnonzero(sizes > at)
        left = np.minimum(sizes[longer] - at, 8).astype(np.uint64)
        word = windows[starts[longer] + at] & (np.uint64(0xFFFFFFFFFFFFFFFF) >> (np.uint64(64) - left * np.uint64(8)))
        mixed[longer] = _mixed(mixed[longer] ^ word)
    return mixed


def hash_of(data: bytes) -> int:
    """`hashes_of` of one text: for a handful numpy costs more than it saves."""
    mixed = _mixed_one(len(data))
    for at in range(0, len(data), 8):
        mixed = _mixed_one(mixed ^ int.from_bytes(data[at : at + 8], "little"))
    return mixed


def _mixed_one(number: int) -> int:
    mixed = (number + 0x9E3779B97F4A7C15) & _ALL_BITS
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _ALL_BITS
    return mixed ^ (mixed >> 31)


def key_numbers(texts: Texts) -> Keys:
    """A number of 63 bits for each text, the same on every machine and whatever else is there."""
    return _keys_of(hashes_of(texts))


def _keys_of(hashes: NDArray[np.uint64]) -> Keys:
    return (hashes >> np.uint64(1)).astype(np.int64)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output, and no two inputs meet."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def distinct(numbers: Keys) -> Keys:
    """The numbers sorted, each once: by sorting, which is faster here than by hashing."""
    ordered = np.sort(numbers)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered
