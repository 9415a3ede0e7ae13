"""Groups of vectors: agglomerative clusters, with prototypes in their place where there are many. Pure and deterministic.

Ward's method (Ward, JASA 58 (1963)) on unit rows, where squared Euclidean distance is 2 - 2 cos. It needs the distances of all pairs:
above MOST_ROWS rows the nearest rows are first drawn together around prototypes, so that memory stays below some 40 MB.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    from pay_ready.model.memory import Vectors

    Labels = NDArray[np.int64]

MOST_ROWS = 2_000  # whose distances fit 16 MB as float64
_ROUNDS = 4  # of k-means; the prototypes need to be near, not exact
_BLOCK = 2_048  # rows compared with all prototypes at once: 16 MB


def cluster_rows(vectors: "Vectors", *, distance: float | None = None, count: int | None = None, most_rows: int = MOST_ROWS) -> "Labels":
    """The cluster of each row, numbered from 0 in the order in which they first appear.

    Args:
        vectors: Unit rows, shape (n, dimensions).
        distance: Clusters are joined while Ward's distance is at most this.
        count: Or until so many are left; one of the two is given.
        most_rows: Rows whose distances are all computed; above it they are drawn together to so many prototypes first.

    Raises:
        ValueError: Neither or both of distance and count are given.
    """
    import numpy as np

    if (distance is None) == (count is None):
        raise ValueError("give distance or count")
    if len(vectors) <= 1:
        return np.zeros(len(vectors), np.int64)
    if len(vectors) > most_rows:
        nearest = draw_together(vectors, most_rows)
        centres = unit_means(vectors, nearest, int(nearest.max()) + 1)
        return in_order(_joined(centres, distance, count)[nearest])
    return in_order(_joined(vectors, distance, count))


def draw_together(vectors: "Vectors", count: int) -> "Labels":
    """The prototype that each row is drawn to, from 0; at most `count`, none without a row. Some rounds of k-means on the sphere,
    begun with every (n / count)-th row: the same rows in the same order give the same prototypes."""
    import numpy as np

    centres = vectors[np.linspace(0, len(vectors) - 1, count).astype(np.int64)]
    nearest = _nearest(vectors, centres)
    for _ in range(_ROUNDS):
        nearest = in_order(nearest)
        centres = unit_means(vectors, nearest, int(nearest.max()) + 1)
        nearest = _nearest(vectors, centres)
    return in_order(nearest)


def unit_means(vectors: "Vectors", labels: "Labels", count: int) -> "Vectors":
    """The mean direction of the rows of each label, shape (count, dimensions), unit rows; a label without rows has zeros."""
    import numpy as np
    from scipy.sparse import csr_matrix

    picks = csr_matrix((np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), shape=(count, len(labels)))
    sums = np.asarray(picks @ vectors, np.float32)
    means: Vectors = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12).astype(np.float32)
    return means


def in_order(labels: "Labels") -> "Labels":
    """The same groups, numbered from 0 in the order in which they first appear."""
    import numpy as np

    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    ordered: Labels = rank[inverse]
    return ordered


def _joined(rows: "Vectors", distance: float | None, count: int | None) -> "Labels":
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(rows.astype(np.float64), method="ward")
    cut = fcluster(tree, count, "maxclust") if distance is None else fcluster(tree, distance, "distance")
    return np.asarray(cut, np.int64) - 1


def _nearest(vectors: "Vectors", centres: "Vectors") -> "Labels":
    import numpy as np

    blocks = [(vectors[start : start + _BLOCK] @ centres.T).argmax(axis=1) for start in range(0, len(vectors), _BLOCK)]
    return np.concatenate(blocks).astype(np.int64)
