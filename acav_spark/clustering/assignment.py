"""The nearest centroid of each vector, whatever the shape of the blocks.

A block of rows is scored by one float32 matrix product, and two compiled loops before
and after it do all else while the block is in the processor's caches: at 1024 features
and 500 centroids they take some 7 % of the product's time.

Which centroids can be nearest is proven, not guessed. Let ``u = 2**-24``, a row be
``x``, the origin ``o`` and the centroids ``c``; ``y = x - o``, ``m = c - o`` and the
score ``S = |m|**2 - 2 y.m``, which is the squared distance less ``|y|**2``. Computed is
``fl(fl(y).fl(-2 m)) + fl(|m|**2)``, with ``m`` taken in float64. It errs by at most

- ``2 g |y||m|``, ``g = d u / (1 - d u)``, for a product of ``d`` terms in any order,
  with or without fused steps; ``4 u |y||m|`` for rounding ``y`` and ``m``;
- ``u |m|**2`` for rounding the norm;
- ``2 u |y||m| + 2 u |m|**2``, and ``3 u`` of the bound itself, for adding up score and
  bound in float32; ``(d + 16) 2**-125`` where numbers are too small for float32.

``(2 g + 16 u) |y||m| + 8 u |m|**2``, plus 1 % for norms taken in float32, is more than
that. A centroid whose lower bound is above the least upper bound is not nearest. If one
remains, that is it; else distances in float64 decide. These can order centroids wrongly
whose scores differ by less than ``2 (d + 3) 2**-53 (|y| + max |m|)**2``, so those stay
as well: labels are what float64 alone would give, for blocks of whatever shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering._validation import checked_matrix, checked_vectors
from acav_spark.clustering.blocks import float32_blocks
from acav_spark.clustering.kernels.nearest import (
    centre_rows,
    decide_rows,
    distances_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

# Numbers of a block of vectors, or of scores: at most 8 MiB of float32. Products of 256
# rows are some 5 % slower, as the centroids are arranged anew for each; blocks of 2048
# leave the caches between the steps.
_BLOCK_NUMBERS = 1 << 21
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 64, 1024
# Blocks that a caller prepares at once, so that its own steps are few.
_BLOCKS_AT_ONCE = 4
_PREPARED_CENTROIDS = 32
_ROUNDING = 2.0**-24


def nearest_centroids(
    x: ArrayLike, centroids: ArrayLike
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the index of, and the squared distance to, the nearest centroid.

    Parameters
    ----------
    x : array_like of float, shape (n_samples, n_features)
        Vectors; float32 is read in place, float16 and other types are made float32 a
        block at a time.
    centroids : array_like of float, shape (n_clusters, n_features)
        Centroids; read as float32.

    Returns
    -------
    labels : ndarray of int32, shape (n_samples,)
        Index of the nearest centroid, the lowest of equally near ones.
    squared_distances : ndarray of float32, shape (n_samples,)
        Summed in float64.

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
    therefore does not depend on the rows beside it. Time: little more than the product
    of ``2 n_samples n_clusters n_features`` operations. Memory besides arguments and
    result, whatever the number of rows: three blocks of at most 8 MiB (more above
    32,768 features or clusters, where a block has its least 64 rows), and two copies of
    the centroids.
    """
    c = checked_vectors(centroids, name="centroids")
    rows = checked_matrix(x, name="x", n_features=c.shape[1], min_rows=0)
    finder = NearestFinder(c)
    labels = np.empty(len(rows), dtype=np.int32)
    distances = np.empty(len(rows), dtype=np.float32)
    finder.find(finder.blocks(rows, name="x"), labels, distances)
    return labels, distances


class NearestFinder:
    """Finds nearest centroids for blocks of vectors; validation is assumed.

    Parameters
    ----------
    centroids : ndarray of float32, shape (n_clusters, n_features)
        The centroids, all finite; later changes to the array are not seen.

    Attributes
    ----------
    scored_rows : int
        Rows that are scored by one matrix product.
    block_rows : int
        Rows that a caller should prepare at once, for memory to stay bounded.

    Notes
    -----
    Nothing changes once it is made, so threads may share one; scratch memory, three
    blocks of at most 8 MiB, is taken at each call.
    """

    def __init__(self, centroids: NDArray[np.float32]) -> None:
        n_clusters, n_features = centroids.shape
        self.scored_rows = int(
            np.clip(
                _BLOCK_NUMBERS // max(n_clusters, n_features),
                _MIN_BLOCK_ROWS,
                _MAX_BLOCK_ROWS,
            )
        )
        self.block_rows = _BLOCKS_AT_ONCE * self.scored_rows
        self._centroids = np.array(centroids, dtype=np.float32, order="C")
        self._origin = self._centroids.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._minus_twice = np.empty((n_features, n_clusters), dtype=np.float32)
        squared_norms = np.empty(n_clusters, dtype=np.float64)
        # A few at a time: float64 copies of all would leave the caches.
        for start in range(0, n_clusters, _PREPARED_CENTROIDS):
            some = slice(start, start + _PREPARED_CENTROIDS)
            moved = self._centroids[some].astype(np.float64)
            moved -= self._origin
            squared_norms[some] = np.einsum("ij,ij->i", moved, moved)
            moved *= -2
            self._minus_twice[:, some] = moved.T
        norms = np.sqrt(squared_norms)
        self._norms = norms.astype(np.float32)
        self._squared_norms = squared_norms.astype(np.float32)
        self._largest_norm = float(norms.max())
        # The bounds that the module's docstring derives.
        terms = n_features * _ROUNDING
        growth = terms / (1 - terms) if terms < 1 else np.inf
        self._per_norm = 1.01 * (2 * growth + 16 * _ROUNDING)
        self._per_square = 4 * (n_features + 4) * 2.0**-53
        extent = 8 * _ROUNDING * squared_norms + (n_features + 16) * 2.0**-125
        # A copy of an earlier centroid is as near as that, and never the lowest.
        squared_norms[_copies(self._centroids, squared_norms)] = np.inf
        self._upper = (squared_norms + extent).astype(np.float32)
        self._lower = (squared_norms - extent).astype(np.float32)

    def nearest(
        self, x: NDArray[np.float32] | NDArray[np.float16]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return labels and squared distances of vectors.

        Parameters
        ----------
        x : ndarray of float32 or float16, shape (n_rows, n_features)
            Vectors, all finite.

        Returns
        -------
        labels : ndarray of int32, shape (n_rows,)
            The lowest of equally near centroids.
        squared_distances : ndarray of float64, shape (n_rows,)
        """
        labels = np.empty(len(x), dtype=np.int32)
        squared = np.empty(len(x), dtype=np.float64)
        self.find(self.blocks(x), labels, squared)
        return labels, squared

    def labels(self, x: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.int32]:
        """Return the labels alone, as ``nearest`` does, in a little less time."""
        labels = np.empty(len(x), dtype=np.int32)
        self.find(self.blocks(x), labels)
        return labels

    def blocks(
        self, x: NDArray[np.number], *, name: str | None = None
    ) -> Iterable[NDArray[np.float32]]:
        """Return the vectors as float32 blocks for ``find``; see ``float32_blocks``."""
        return float32_blocks(x, self.scored_rows, name=name)

    def find(
        self,
        blocks: Iterable[NDArray[np.float32]],
        labels: NDArray[np.int32],
        squared: NDArray[np.floating] | None = None,
    ) -> None:
        """Write labels and, where there is room, squared distances.

        Parameters
        ----------
        blocks : iterable of ndarray of float32, shape (n_block_rows, n_features)
            Consecutive vectors, all finite.
        labels : ndarray of int32, shape (n_rows,)
            Written; rows of all blocks together.
        squared : ndarray of float, shape (n_rows,), optional
            Written.
        """
        n_clusters, n_features = self._centroids.shape
        n_scored = max(1, min(self.scored_rows, len(labels)))
        moved = np.empty((n_scored, n_features), dtype=np.float32)
        scores = np.empty((n_scored, n_clusters), dtype=np.float32)
        reach, slack = np.empty((2, n_scored), dtype=np.float32)
        exact = np.empty(0 if squared is None else n_scored, dtype=np.float64)
        start = 0
        for block in blocks:
            for first in range(0, len(block), n_scored):
                rows = _plain(block[first : first + n_scored])
                n = len(rows)
                self._score(rows, moved[:n], scores[:n], reach[:n], slack[:n])
                decide_rows(
                    rows,
                    self._centroids,
                    scores[:n],
                    self._upper,
                    self._lower,
                    self._norms,
                    reach[:n],
                    slack[:n],
                    labels[start : start + n],
                    exact[:n],
                )
                if squared is not None:
                    squared[start : start + n] = exact[:n]
                start += n

    def _score(
        self,
        rows: NDArray[np.float32],
        moved: NDArray[np.float32],
        scores: NDArray[np.float32],
        reach: NDArray[np.float32],
        slack: NDArray[np.float32],
    ) -> None:
        """Write a block's products with the centroids and how far they may be off."""
        centre_rows(
            rows,
            self._origin,
            self._per_norm,
            self._per_square,
            self._largest_norm,
            moved,
            reach,
            slack,
        )
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(moved, self._minus_twice, out=scores)

    def distances(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distances of one block of vectors to all centroids."""
        moved = x - self._origin
        squared = moved @ self._minus_twice
        squared += self._squared_norms
        squared += np.sum(moved * moved, axis=1, keepdims=True)
        distances: NDArray[np.float32] = np.sqrt(squared.clip(min=0))
        return distances


def squared_distances(
    x: NDArray[np.float32],
    centroids: NDArray[np.float32],
    labels: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return each vector's squared distance to its centroid, summed in float64."""
    squared = np.empty(len(labels), dtype=np.float64)
    places = np.array(labels, dtype=np.int64)
    distances_to(_plain(x), _plain(centroids), places, squared)
    return squared


def _plain(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return contiguous writeable rows, which is what loops are compiled for."""
    return x if x.flags.carray else np.array(x, order="C")


def _copies(
    centroids: NDArray[np.float32], squared_norms: NDArray[np.float64]
) -> list[int]:
    """Return the centroids that equal an earlier one; only those of one norm can."""
    _, group, sizes = np.unique(squared_norms, return_inverse=True, return_counts=True)
    seen: set[bytes] = set()
    copies = []
    for j in np.flatnonzero(sizes[group] > 1):
        key = centroids[j].tobytes()
        if key in seen:
            copies.append(int(j))
        seen.add(key)
    return copies
