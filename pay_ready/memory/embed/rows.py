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
    # In double precision: squares of large values, as some servers send them, overflow float32.
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] <= 0))
    if bad.size:
        raise EmbeddingError(
            "a vector is zero or holds no numbers", "check the model", embedder=embedder, row=int(bad[0]), rows=int(bad.size)
        )
    units: Vectors = (rows / lengths).astype(np.float32)
    return units
