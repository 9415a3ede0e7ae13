"""Texts made comparable: folded, cleaned by patterns, emptied where they say nothing.

Arrow reads a pattern anew each time, which takes longer than to clean some dozens of texts with one that is kept: so few are. Only plain
texts (printable ASCII), of which Python's patterns and RE2's say the same; a property test holds them together.
"""

import re
from collections.abc import Set
from functools import cache, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pay_ready.resolve.linkage.columns import FEW, Mask, Texts, filled, mask_of, utf8_of
from pay_ready.resolve.normalize import fold

_NOTHING = pa.scalar(None, pa.string())
APOSTROPHES = "'’`´"
_BLANK = ord(" ")
_LETTERS_AND_DIGITS = np.array([code if chr(code).isascii() and chr(code).isalnum() else _BLANK for code in range(256)], dtype=np.uint8)
_DIGITS = np.array([ord("0") <= code <= ord("9") for code in range(256)], dtype=np.bool_)
_compiled = cache(re.compile)


def _few(texts: Texts) -> list[str | None] | None:
    """The texts as Python has them, where they are few and plain."""
    if len(texts) > FEW:
        return None
    found: list[str | None] = texts.to_pylist()
    return found if all(text is None or (text.isascii() and text.isprintable()) for text in found) else None


def folded(texts: Texts) -> Texts:
    """Lower case, without accents, in ASCII letters where a Latin letter has one."""
    low = pc.utf8_lower(texts)
    plain = filled(pc.string_is_ascii(texts), fill=True).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero(~plain)
    if not len(odd):
        return low
    spelled = [fold(text) for text in texts.take(pa.array(odd)).to_pylist()]
    return pc.replace_with_mask(low, pa.array(~plain), pa.array(spelled, pa.string()))


def replaced(texts: Texts, pattern: str, replacement: str) -> Texts:
    """Every match of an RE2 pattern replaced; the pattern matches no empty text."""
    if (few := _few(texts)) is not None:
        replace = _compiled(pattern, re.ASCII).sub
        return pa.array([None if text is None else replace(replacement, text) for text in few], pa.string())
    return pc.replace_substring_regex(texts, pattern, replacement)


def replaced_where(texts: Texts, pattern: str, replacement: str, signs: str = "") -> Texts:
    """`replaced` for patterns that few texts hold: looking is many times cheaper than replacing.

    `signs`: every match has one of them, and to look for them is faster than to look for the pattern.
    """
    if len(texts) <= FEW:
        return replaced(texts, pattern, replacement)
    held = pa.array(_holding(texts, signs)) if signs else filled(pc.match_substring_regex(texts, pattern), fill=False)
    found = texts.filter(held)
    return pc.replace_with_mask(texts, held, replaced(found, pattern, replacement)) if len(found) else texts


def _holding(texts: Texts, signs: str) -> Mask:
    """Which texts may hold one of these signs: its first byte is there."""
    data, offsets = utf8_of(texts)
    is_sign = np.zeros(256, dtype=np.bool_)
    is_sign[[sign.encode()[0] for sign in signs]] = True
    held = np.zeros(len(texts), dtype=np.bool_)
    held[np.searchsorted(offsets, np.flatnonzero(is_sign[data]), side="right") - 1] = True
    return held


def matching(texts: Texts, pattern: str) -> Mask:
    """Which texts hold a match of an RE2 pattern."""
    if (few := _few(texts)) is not None:
        search = _compiled(pattern, re.ASCII).search
        return np.array([text is not None and search(text) is not None for text in few], dtype=np.bool_)
    return mask_of(pc.match_substring_regex(texts, pattern))


def words_of(texts: Texts) -> Texts:
    """Folded words with one blank between them; apostrophes vanish, everything else that is no letter or digit parts words."""
    bare = replaced_where(folded(texts), f"[{APOSTROPHES}]", "", APOSTROPHES)
    if _few(bare) is not None:
        return pc.utf8_trim(replaced(bare, r"[^A-Za-z0-9]+", " "), " ")
    spaced, plain = _spaced(bare), filled(pc.string_is_ascii(bare), fill=True)
    odd = bare.filter(pc.invert(plain))
    if not len(odd):
        return spaced
    # To read a pattern with all letters there are takes a hundred times as long as to clean some names with it.
    return pc.replace_with_mask(spaced, pc.invert(plain), pc.utf8_trim(replaced(odd, r"[^\p{L}\p{N}]+", " "), " "))


def _spaced(texts: Texts) -> Texts:
    """ASCII texts as words with one blank between them. A pattern takes five times as long."""
    data, offsets = utf8_of(texts)
    signs = _LETTERS_AND_DIGITS[data]
    after_blank = np.append(True, signs[:-1] == _BLANK)
    after_blank[offsets[:-1][offsets[:-1] < len(data)]] = True
    dropped = np.flatnonzero(after_blank[: len(data)] & (signs == _BLANK))
    left = offsets - np.searchsorted(dropped, offsets)
    return pc.ascii_rtrim(_texts_of(np.delete(signs, dropped) if len(dropped) else signs, left, texts), " ")


def digits_of(texts: Texts) -> Texts:
    """The digits of each text, read together."""
    if (few := _few(texts)) is not None:
        return pa.array([None if text is None else "".join(filter(str.isdigit, text)) for text in few], pa.string())
    data, offsets = utf8_of(texts)
    kept = np.flatnonzero(_DIGITS[data])
    return _texts_of(data[kept], np.searchsorted(kept, offsets), texts)


def _texts_of(data: NDArray[np.uint8], offsets: NDArray[np.int64], like: Texts) -> Texts:
    """Texts from their bytes, null where `like` is."""
    found = pa.StringArray.from_buffers(len(like), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data))
    return pc.if_else(like.is_valid(), found, _NOTHING) if like.null_count else found


def ends_of(texts: Texts, sign: str) -> tuple[Texts, Texts]:
    """What stands before the first and after the last of a sign; of a text without it, the text."""
    if (few := _few(texts)) is not None:
        before = [None if text is None else text.partition(sign)[0] for text in few]
        return pa.array(before, pa.string()), pa.array([None if text is None else text.rpartition(sign)[2] for text in few], pa.string())
    lists = pc.split_pattern(texts.fill_null(""), sign)
    parts, starts = lists.flatten(), lists.offsets.to_numpy()
    first, last = (parts.take(pa.array(at)) for at in (starts[:-1] - starts[0], starts[1:] - starts[0] - 1))
    if not texts.null_count:
        return first, last
    return pc.if_else(texts.is_valid(), first, _NOTHING), pc.if_else(texts.is_valid(), last, _NOTHING)


def is_one_of(texts: Texts, words: Set[str]) -> Mask:
    """Which texts are among the words."""
    if len(texts) <= FEW:
        return np.array([text in words for text in texts.to_pylist()], dtype=np.bool_)
    return mask_of(pc.is_in(texts, _value_set(frozenset(words))))


@lru_cache(maxsize=32)
def _value_set(words: frozenset[str]) -> Texts:
    return pa.array(sorted(words), pa.string())


def kept_where(texts: Texts, mask: Mask) -> Texts:
    """The texts that a mask names; the others are no value."""
    if len(texts) <= FEW:
        return pa.array([text if kept else None for text, kept in zip(texts.to_pylist(), mask.tolist(), strict=True)], pa.string())
    return pc.if_else(pa.array(mask), texts, _NOTHING)
