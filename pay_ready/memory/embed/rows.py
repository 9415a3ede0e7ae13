"""The last check of every embedder: what leaves it are unit rows, or an error."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pay_ready.errors import EmbeddingError

if TYPE_CHECKING:
    from pay_ready.model.memory import Vectors


def unit_rows(rows: NDArray[np.floating], *, shape: tuple[int, int], embedder: str) -> "Vectors":
    """The rows at length 1, float32, of the given shape.

    Raises:
        EmbeddingError: Another shape, NaN or infinity, or a zero row; says which row.
    """
    if rows.shape != shape:
        raise EmbeddingError(
            "vectors have another shape than the model's", "check the model", embedder=embedder, is_=rows.shape, not_=shape
        )
    # Of rows at largest value 1, in double precision, no square overflows or vanishes, whatever a server sends.
    values = rows.astype(np.float64)
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    bad = np.flatnonzero(~(np.isfinite(largest[:, 0]) & (largest[:, 0] > 0)))
    if bad.size:
        raise EmbeddingError(
            "a vector is zero or holds no numbers", "check the model", embedder=embedder, row=int(bad[0]), rows=int(bad.size)
        )
    values /= largest
    units: Vectors = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return units
