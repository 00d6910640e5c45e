"""Counting clips into the contingency tables of all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows that are sorted together: enough for each row of a table to be met several times.
_BLOCK = 1 << 17


@compiled
def ranges(
    assignments: NDArray[np.integer],
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the lowest and the highest cluster id of each view."""
    lowest, highest = assignments[0].copy(), assignments[0].copy()
    for i in range(assignments.shape[0]):
        for view in range(assignments.shape[1]):
            value = assignments[i, view]
            lowest[view] = min(lowest[view], value)
            highest[view] = max(highest[view], value)
    return lowest, highest


@compiled
def count_rows(
    assignments: NDArray[np.integer],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    widths: NDArray[np.int64],
    offsets: NDArray[np.int64],
    counters: NDArray[np.int64],
) -> None:
    """Add clips to the counters of all pairs, then of all views.

    Parameters
    ----------
    assignments : ndarray of integers, shape (n_clips, n_views)
        Cluster ids; not checked.
    first, second, widths : ndarray of int64, shape (n_pairs,)
        The views of each pair, and the clusters of the second.
    offsets : ndarray of int64, shape (n_pairs + n_views + 1,)
        Where each table and each margin starts.
    counters : ndarray of int64
        What is added to.

    Notes
    -----
    A block of rows is sorted by the cluster of a pair's first view, so that counters
    are met row after row of the table, which stays in the first-level cache.
    """
    n_clips, n_views = assignments.shape
    n_pairs = first.size
    block = np.empty((n_views, _BLOCK), dtype=assignments.dtype)
    order = np.empty(_BLOCK, dtype=np.int32)
    for start in range(0, n_clips, _BLOCK):
        n = min(_BLOCK, n_clips - start)
        for i in range(n):
            for view in range(n_views):
                block[view, i] = assignments[start + i, view]
        for view in range(n_views):
            margin = counters[offsets[n_pairs + view] : offsets[n_pairs + view + 1]]
            places = np.zeros(margin.size + 1, dtype=np.int64)
            for i in range(n):
                cluster = np.int64(block[view, i])
                margin[cluster] += 1
                places[cluster + 1] += 1
            for cluster in range(margin.size):
                places[cluster + 1] += places[cluster]
            for i in range(n):
                cluster = block[view, i]
                order[places[cluster]] = i
                places[cluster] += 1
            for pair in range(n_pairs):
                if first[pair] == view:
                    base, width = offsets[pair], widths[pair]
                    partner = block[second[pair]]
                    for j in range(n):
                        i = order[j]
                        row = base + np.int64(block[view, i]) * width
                        counters[row + np.int64(partner[i])] += 1
