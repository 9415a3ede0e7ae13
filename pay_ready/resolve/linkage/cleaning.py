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

from pay_ready.resolve.linkage.columns import FEW, Mask, Texts, filled, mask_of
from pay_ready.resolve.normalize import fold

_NOTHING = pa.scalar(None, pa.string())
_APOSTROPHES = r"['’`´]"
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


def replaced_where(texts: Texts, pattern: str, replacement: str, look: str | None = None) -> Texts:
    """`replaced` for patterns that few texts hold: looking, for a part of it or the whole, is many times cheaper than replacing."""
    if len(texts) <= FEW:
        return replaced(texts, pattern, replacement)
    held = filled(pc.match_substring_regex(texts, look or pattern), fill=False)
    found = texts.filter(held)
    return pc.replace_with_mask(texts, held, replaced(found, pattern, replacement)) if len(found) else texts


def matching(texts: Texts, pattern: str) -> Mask:
    """Which texts hold a match of an RE2 pattern."""
    if (few := _few(texts)) is not None:
        search = _compiled(pattern, re.ASCII).search
        return np.array([text is not None and search(text) is not None for text in few], dtype=np.bool_)
    return mask_of(pc.match_substring_regex(texts, pattern))


def words_of(texts: Texts) -> Texts:
    """Folded words with one blank between them; apostrophes vanish, everything else that is no letter or digit parts words."""
    bare = replaced_where(folded(texts), _APOSTROPHES, "")
    # To read a pattern with all letters there are takes a hundred times as long as to clean some names with it.
    is_ascii = _few(bare) is not None or pc.all(pc.string_is_ascii(bare), min_count=0).as_py()
    return pc.utf8_trim(replaced(bare, r"[^A-Za-z0-9]+" if is_ascii else r"[^\p{L}\p{N}]+", " "), " ")


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
