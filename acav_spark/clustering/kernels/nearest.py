"""What is done to a block of vectors before and after its matrix product.

Sums of a row are taken in lanes, ``_LANES`` partial sums side by side, which compilers
turn into vector instructions without being allowed to reorder anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LANES = 32
# Minima of so few are taken one by one.
_FEW = 16
# Beyond it float32 may overflow: every centroid may then be nearest.
_LARGEST_SCORE = 1e37
# What gradual underflow, or none, can take from a square of float32.
_UNDERFLOW = 2.0**-125


@compiled
def centre_rows(
    x: NDArray[np.float32],
    origin: NDArray[np.float32],
    per_norm: float,
    per_square: float,
    largest_norm: float,
    moved: NDArray[np.float32],
    reach: NDArray[np.float32],
    slack: NDArray[np.float32],
) -> None:
    """Write vectors seen from an origin, and what rounding can do to their scores.

    Parameters
    ----------
    x, moved : ndarray of float32, shape (n_rows, n_features)
        Vectors, and what is written: ``x - origin``.
    origin : ndarray of float32, shape (n_features,)
        What is subtracted.
    per_norm, per_square : float
        See ``reach`` and ``slack``.
    largest_norm : float
        Of a centroid, seen from the origin.
    reach, slack : ndarray of float32, shape (n_rows,)
        Written: ``per_norm |moved|``, infinite where scores may leave float32, and
        ``per_square (|moved| + largest_norm)**2``.
    """
    n_rows, n_features = x.shape
    n_even = n_features // _LANES * _LANES
    sums = np.empty(_LANES, dtype=np.float32)
    for i in range(n_rows):
        row, out = x[i], moved[i]
        sums[:] = 0
        for start in range(0, n_even, _LANES):
            for lane in range(_LANES):
                value = row[start + lane] - origin[start + lane]
                out[start + lane] = value
                sums[lane] += value * value
        total = n_features * _UNDERFLOW
        for lane in range(_LANES):
            total += sums[lane]
        for j in range(n_even, n_features):
            value = row[j] - origin[j]
            out[j] = value
            total += value * value
        norm = np.sqrt(total)
        is_bounded = (norm + largest_norm) * largest_norm <= _LARGEST_SCORE
        reach[i] = per_norm * norm if is_bounded else np.inf
        slack[i] = per_square * (norm + largest_norm) ** 2


@inlined
def _squared_distance(
    x: NDArray[np.float32],
    centroid: NDArray[np.float32],
    sums: NDArray[np.float64],
) -> float:
    """Return the squared distance of two vectors in float64; ``sums`` is scratch."""
    n_features = x.size
    n_even = n_features // _LANES * _LANES
    sums[:] = 0.0
    for start in range(0, n_even, _LANES):
        for lane in range(_LANES):
            value = np.float64(x[start + lane]) - np.float64(centroid[start + lane])
            sums[lane] += value * value
    total = 0.0
    for lane in range(_LANES):
        total += sums[lane]
    for j in range(n_even, n_features):
        value = np.float64(x[j]) - np.float64(centroid[j])
        total += value * value
    return total


@inlined
def _lowest_upper_bound(
    products: NDArray[np.float32],
    upper: NDArray[np.float32],
    norms: NDArray[np.float32],
    reach: float,
    minima: NDArray[np.float32],
) -> float:
    """Return the least of ``products + upper + reach * norms``; ``minima`` is scratch.

    The upper half is folded onto the lower one, again and again: loops of independent
    steps, where a running minimum is a chain.
    """
    n_clusters = products.size
    width = (n_clusters + 1) // 2
    first = n_clusters - width
    other, other_upper, other_norms = products[first:], upper[first:], norms[first:]
    for j in range(width):
        low = products[j] + (upper[j] + reach * norms[j])
        high = other[j] + (other_upper[j] + reach * other_norms[j])
        minima[j] = low if low < high else high
    while width > _FEW:
        half = (width + 1) // 2
        folded = minima[width - half : width]
        for j in range(half):
            low, high = minima[j], folded[j]
            minima[j] = low if low < high else high
        width = half
    least = minima[0]
    for j in range(width):
        least = minima[j] if minima[j] < least else least
    return least


@compiled
def decide_rows(
    x: NDArray[np.float32],
    centroids: NDArray[np.float32],
    products: NDArray[np.float32],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    norms: NDArray[np.float32],
    reach: NDArray[np.float32],
    slack: NDArray[np.float32],
    labels: NDArray[np.int32],
    squared: NDArray[np.float64],
) -> None:
    """Write the nearest centroid of each row and, where asked for, its distance.

    Parameters
    ----------
    x : ndarray of float32, shape (n_rows, n_features)
        Vectors, as they came.
    centroids : ndarray of float32, shape (n_clusters, n_features)
        Centroids, as they came.
    products : ndarray of float32, shape (n_rows, n_clusters)
        ``-2 (x - origin) . (centroid - origin)``, rounded.
    upper, lower, norms : ndarray of float32, shape (n_clusters,)
        The score of row i and centroid j lies between ``products[i, j] + lower[j] -
        reach[i] norms[j]`` and ``products[i, j] + upper[j] + reach[i] norms[j]``.
    reach, slack : ndarray of float32, shape (n_rows,)
        From ``centre_rows``; scores that differ by no more than ``slack`` may be in
        another order in float64.
    labels : ndarray of int32, shape (n_rows,)
        Written: where only one centroid can be nearest, that; else the first of those
        that can be whose distance in float64 is least.
    squared : ndarray of float64, shape (n_rows,) or (0,)
        Written where there is room: squared distances in float64.
    """
    n_rows, n_clusters = products.shape
    minima = np.empty((n_clusters + 1) // 2, dtype=np.float32)
    sums = np.empty(_LANES, dtype=np.float64)
    is_wanted = squared.size > 0
    for i in range(n_rows):
        row, extent = products[i], reach[i]
        limit = _lowest_upper_bound(row, upper, norms, extent, minima) + slack[i]
        n_near, place = 0, 0
        for j in range(n_clusters):
            # Written so that NaN, from numbers beyond float32, counts as near.
            is_near = not (row[j] + (lower[j] - extent * norms[j]) > limit)
            n_near += is_near
            place += j if is_near else 0
        if n_near == 1:
            labels[i] = place
            if is_wanted:
                squared[i] = _squared_distance(x[i], centroids[place], sums)
            continue
        place, least = 0, np.inf
        for j in range(n_clusters):
            if not (row[j] + (lower[j] - extent * norms[j]) > limit):
                distance = _squared_distance(x[i], centroids[j], sums)
                if distance < least:
                    place, least = j, distance
        labels[i] = place
        if is_wanted:
            squared[i] = least


@compiled
def distances_to(
    x: NDArray[np.float32],
    centroids: NDArray[np.float32],
    labels: NDArray[np.int64],
    squared: NDArray[np.float64],
) -> None:
    """Write each row's squared distance, in float64, to the centroid of its label."""
    sums = np.empty(_LANES, dtype=np.float64)
    for i in range(labels.size):
        squared[i] = _squared_distance(x[i], centroids[labels[i]], sums)
