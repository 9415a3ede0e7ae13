"""all-MiniLM-L6-v2: texts to word pieces, batches of equal length, one of two passes, and the mean of each text's pieces.

The two passes (NumPy and onnxruntime) agree to 1e-6: they share one id, and their vectors may be mixed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pay_ready.memory.embed.rows import unit_rows
from pay_ready.memory.embed.weights import Floats

if TYPE_CHECKING:  # heavy
    from tokenizers import Tokenizer

    from pay_ready.model.memory import Vectors

MAX_TOKENS = 256  # the model was trained on no more; longer texts are cut
_LONGEST_READ = 20_000  # characters: several times what 256 pieces hold; keeps a pasted file from being cut into pieces whole
# A batch of about this many pieces fills the matrix units and still fits the caches: measured best from 256 to 1024.
_BATCH_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Texts of about equal length, as piece ids; shorter ones are filled up with 0 on the right."""

    ids: NDArray[np.int32]  # (texts, longest)
    lengths: NDArray[np.int32]  # (texts,), at least 1

    @property
    def shares(self) -> Floats:
        """What each piece counts in its text's mean, shape (texts, 1, longest): 1 / length, 0 for the filling."""
        real = np.arange(self.ids.shape[1]) < self.lengths[:, None]
        return (real / self.lengths[:, None]).astype(np.float32)[:, None, :]


Pass = Callable[[Batch], Floats]  # the mean of each text's pieces after the last layer: (texts, dim)


class MiniLM:
    """An embedder of meaning, for English most of all. Of a text counts what fits into 256 word pieces, about 190 words.

    May be used by several threads at once.
    """

    is_lexical = False
    max_tokens = MAX_TOKENS

    def __init__(self, folder: Path, weights_hash: str, dim: int, run: Pass) -> None:
        self.id = f"minilm-l6-v2:{weights_hash[:12]}:fp32:mean"
        self.dim = dim
        self._run = run
        self._tokenizer = _tokenizer(folder)

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """As `Embedder.embed`."""
        pieces = [self._tokenizer.encode(_readable(text)).ids for text in texts]
        rows = np.zeros((len(texts), self.dim), np.float32)
        for places in _batches([len(each) for each in pieces]):
            rows[places] = self._run(_batch([pieces[place] for place in places]))
        return unit_rows(rows, shape=(len(texts), self.dim), embedder=self.id)


def _tokenizer(folder: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _readable(text: str) -> str:
    """The text without halves of surrogate pairs, which are no Unicode and which the tokenizer refuses."""
    return text[:_LONGEST_READ].encode("utf-8", "replace").decode("utf-8")


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts, shortest first, so that little is filled up; a text alone may be longer than a batch."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _batch(pieces: Sequence[Sequence[int]]) -> Batch:
    lengths = np.fromiter(map(len, pieces), np.int32, len(pieces))
    ids = np.zeros((len(pieces), int(lengths.max())), np.int32)
    for row, text in zip(ids, pieces, strict=True):
        row[: len(text)] = text
    return Batch(ids=ids, lengths=lengths)
