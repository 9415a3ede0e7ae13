"""The last resort: words and their letters, hashed into a vector. It knows no meaning: "cost" and "price" are strangers to it."""

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pay_ready.memory.embed.rows import unit_rows

if TYPE_CHECKING:
    from pay_ready.model.memory import Vectors

_DIM = 1024
_WORD = re.compile(r"\w+")
_GRAMS = (3, 4)  # letters
_LONGEST_READ = 20_000  # characters, as the other local embedder
# A letter n-gram's hash is a polynomial in an odd base, modulo 2 ** 64, then mixed as in MurmurHash3's finalizer.
_BASE, _MIX_ONE, _MIX_TWO = 0x9E37_79B9_7F4A_7C15, 0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53
_SHIFT = np.uint64(33)


class HashEmbedder:
    """Signed feature hashing (Weinberger and others, ICML 2009) of words and letter 3- and 4-grams into 1,024 dimensions.

    A feature seen n times counts 1 + ln n. May be used by several threads at once.
    """

    id = "hash-words-grams34:v1:fp32:sum"
    dim = _DIM
    max_tokens = _LONGEST_READ
    is_lexical = True

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """As `Embedder.embed`."""
        rows = np.zeros((len(texts), _DIM), np.float32)
        for row, text in zip(rows, texts, strict=True):
            _add_features(row, text[:_LONGEST_READ].lower())
            if not row.any():
                row[0] = 1.0  # nothing in it, or features that cancel out
        return unit_rows(rows, shape=rows.shape, embedder=self.id)


def _add_features(row: NDArray[np.float32], text: str) -> None:
    words = _WORD.findall(text)
    hashes = [np.fromiter((zlib.crc32(_bytes(word)) for word in words), np.uint64, len(words))]
    # Word ends are letters, too: a gram knows whether a word begins or ends in it. Punctuation alone is a word here.
    padded = f" {' '.join(words or text.split())} "
    letters = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    hashes += [_grams(letters, width) for width in _GRAMS]
    features, counts = np.unique(_mixed(np.concatenate(hashes)), return_counts=True)
    signs = np.where(features >> np.uint64(63), -1.0, 1.0)
    np.add.at(row, (features % np.uint64(_DIM)).astype(np.intp), (signs * (1.0 + np.log(counts))).astype(np.float32))


def _grams(letters: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """The hash of each stretch of `width` letters; none for a shorter text."""
    found = np.full(max(letters.size - width + 1, 0), width, np.uint64)
    for place in range(width):
        found = found * np.uint64(_BASE) + letters[place : place + found.size]
    return found


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit depends on every other one."""
    for factor in (_MIX_ONE, _MIX_TWO):
        hashes = (hashes ^ hashes >> _SHIFT) * np.uint64(factor)
    return hashes ^ hashes >> _SHIFT


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")
