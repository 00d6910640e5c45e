"""The nearest centroid of each vector, whatever the shape of the blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering._validation import checked_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Numbers in one block of scores, or of vectors: 16 MiB of float32.
_BLOCK_NUMBERS = 1 << 22
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 64, 8192
_ROUNDING = float(np.finfo(np.float32).eps) / 2


def nearest_centroids(
    x: ArrayLike, centroids: ArrayLike
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the index of, and the squared distance to, the nearest centroid.

    Parameters
    ----------
    x : array_like of float, shape (n_samples, n_features)
        Vectors; read as float32.
    centroids : array_like of float, shape (n_clusters, n_features)
        Centroids; read as float32.

    Returns
    -------
    labels : ndarray of int32, shape (n_samples,)
        Index of the nearest centroid, the lowest of equally near ones.
    squared_distances : ndarray of float32, shape (n_samples,)

    Raises
    ------
    ValueError
        If shapes do not fit, or a value is not finite.

    Notes
    -----
    Blocks of rows are scored by ``|c|^2 - 2 x.c`` as one float32 matrix product each,
    after moving the origin to the centroids' mean, which keeps rounding small.
    Libraries round such products in other ways for other shapes, so rows for which
    rounding could decide are decided again by distances in float64; a row's result
    therefore does not depend on the rows beside it. Memory: some 100 MB, whatever the
    number of rows, besides float32 copies of arguments of another type.
    """
    c = checked_vectors(centroids, name="centroids")
    rows = checked_vectors(x, name="x", n_features=c.shape[1], min_rows=0)
    labels = np.empty(len(rows), dtype=np.int32)
    distances = np.empty(len(rows), dtype=np.float32)
    finder = NearestFinder(c)
    for start in range(0, len(rows), finder.block_rows):
        block = slice(start, start + finder.block_rows)
        labels[block], squared = finder.nearest(rows[block])
        distances[block] = squared
    return labels, distances


class NearestFinder:
    """Finds nearest centroids for blocks of vectors; validation is assumed.

    Parameters
    ----------
    centroids : ndarray of float32, shape (n_clusters, n_features)
        The centroids, all finite.

    Attributes
    ----------
    block_rows : int
        Rows of a block that keep memory bounded.
    """

    def __init__(self, centroids: NDArray[np.float32]) -> None:
        n_clusters, n_features = centroids.shape
        self.block_rows = int(
            np.clip(
                _BLOCK_NUMBERS // max(n_clusters, n_features),
                _MIN_BLOCK_ROWS,
                _MAX_BLOCK_ROWS,
            )
        )
        self._centroids = centroids
        exact = centroids.astype(np.float64)
        self._origin = exact.mean(axis=0).astype(np.float32)
        moved = exact - self._origin
        squared_norms = np.sum(moved * moved, axis=1)
        self._squared_norms = squared_norms.astype(np.float32)
        self._minus_twice = np.ascontiguousarray((-2 * moved).astype(np.float32).T)
        self._largest_norm = float(np.sqrt(squared_norms.max()))

    def nearest(
        self, x: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return labels and squared distances of one block of vectors."""
        moved = x - self._origin
        scores = moved @ self._minus_twice
        scores += self._squared_norms
        rows = np.arange(len(x))
        labels = np.argmin(scores, axis=1).astype(np.int32)
        best = scores[rows, labels]
        scores[rows, labels] = np.inf
        limits = best + self._tolerance(moved)
        doubtful = np.flatnonzero(scores.min(axis=1) <= limits)
        if doubtful.size:
            is_near = scores[doubtful] <= limits[doubtful, None]
            is_near[np.arange(len(doubtful)), labels[doubtful]] = True
            labels[doubtful] = self._decide_again(x[doubtful], is_near)
        return labels, squared_distances(x, self._centroids, labels)

    def distances(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distances of one block of vectors to all centroids."""
        moved = x - self._origin
        squared = moved @ self._minus_twice
        squared += self._squared_norms
        squared += np.sum(moved * moved, axis=1, keepdims=True)
        distances: NDArray[np.float32] = np.sqrt(squared.clip(min=0))
        return distances

    def _tolerance(self, moved: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return more than twice what rounding can do to a score of each row.

        A float32 product of ``d`` terms errs by at most ``d`` roundings of
        ``|x| |c|``, in whatever order it is summed; the rest covers moving the origin,
        the norms and the final sum.
        """
        norms = np.sqrt(np.einsum("ij,ij->i", moved, moved, dtype=np.float64))
        largest = self._largest_norm
        n_features = moved.shape[1]
        bound = (2 * n_features + 16) * norms * largest + 16 * largest**2
        tolerance: NDArray[np.float32] = (3 * _ROUNDING * bound).astype(np.float32)
        return tolerance

    def _decide_again(
        self, x: NDArray[np.float32], is_near: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """Return the nearest of several near centroids, by distances in float64."""
        rows, candidates = np.nonzero(is_near)
        distances = np.empty(len(rows))
        step = max(1, _BLOCK_NUMBERS // (4 * x.shape[1]))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            distances[part] = squared_distances(
                x[rows[part]], self._centroids, candidates[part]
            )
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        smallest = np.minimum.reduceat(distances, starts)
        is_smallest = np.flatnonzero(distances == smallest[rows])
        _, first = np.unique(rows[is_smallest], return_index=True)
        return candidates[is_smallest[first]].astype(np.int32)


def squared_distances(
    x: NDArray[np.float32],
    centroids: NDArray[np.float32],
    labels: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return each vector's squared distance to its centroid, summed in float64."""
    differences = x.astype(np.float64)
    differences -= centroids[labels]
    differences *= differences
    return np.asarray(differences.sum(axis=1))
