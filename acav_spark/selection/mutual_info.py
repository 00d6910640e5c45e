"""Mutual information between clusterings, in nats (paper, section 3.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import (
    checked_assignments,
    checked_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def contingency_table(
    first: ArrayLike, second: ArrayLike, *, n_clusters: int | tuple[int, int]
) -> NDArray[np.int64]:
    """Return how many clips lie in each pair of clusters.

    Parameters
    ----------
    first, second : array_like of integers, shape (n_clips,)
        Cluster ids of the same clips in two views.
    n_clusters : int or (int, int)
        Number of clusters of the two views.

    Returns
    -------
    ndarray of int64, shape (n_first_clusters, n_second_clusters)

    Raises
    ------
    ValueError
        If the views differ in length, or an id is not in [0, n_clusters).
    """
    views = [np.asarray(first), np.asarray(second)]
    if views[0].shape != views[1].shape or views[0].ndim != 1:
        msg = (
            "contingency_table: expected two views of the same clips, got shapes "
            f"{views[0].shape} and {views[1].shape}."
        )
        raise ValueError(msg)
    ids, (rows, columns) = checked_assignments(np.stack(views, axis=1), n_clusters)
    cells = ids[:, 0].astype(np.int64) * columns + ids[:, 1].astype(np.int64)
    counts = np.bincount(cells, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.int64)


def mutual_information(table: ArrayLike) -> float:
    """Return the mutual information of two clusterings, in nats.

    Parameters
    ----------
    table : array_like of integers, shape (n_first_clusters, n_second_clusters)
        ``table[i, j]`` clips lie in cluster ``i`` of one view and ``j`` of the other.

    Raises
    ------
    ValueError
        If the table is not two-dimensional, counts no clip, or has negative counts.

    Notes
    -----
    Equation 2 of the paper: the sum over ``i, j`` of
    ``n_ij / N log(N n_ij / (a_i b_j))`` with row sums ``a``, column sums ``b`` and
    ``0 log 0 = 0``. Never negative: rounding below zero is cut off.

    Examples
    --------
    >>> round(mutual_information([[1, 0], [0, 1]]), 6)
    0.693147
    """
    counts = np.asarray(table)
    if counts.ndim != 2 or not np.issubdtype(counts.dtype, np.integer):
        msg = (
            "mutual_information: expected a table of integer counts with two axes, got "
            f"shape {counts.shape} of {counts.dtype}."
        )
        raise ValueError(msg)
    if counts.size == 0 or int(counts.min()) < 0 or int(counts.max()) == 0:
        msg = (
            "mutual_information: expected counts of at least one clip and none below "
            f"zero, got a table of shape {counts.shape}."
        )
        raise ValueError(msg)
    i, j = np.nonzero(counts)
    cells = counts[i, j].astype(np.float64)
    total = float(cells.sum())
    rows = counts.sum(axis=1, dtype=np.int64)[i].astype(np.float64)
    columns = counts.sum(axis=0, dtype=np.int64)[j].astype(np.float64)
    terms = cells * np.log((cells / rows) * (total / columns))
    return max(0.0, float(terms.sum()) / total)


def objective(
    assignments: ArrayLike,
    pairs: Sequence[tuple[int, int]],
    *,
    n_clusters: int | Sequence[int],
) -> float:
    """Return the mean mutual information over pairs of views, in nats.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view.
    pairs : sequence of (int, int)
        Pairs of views, such as ``pairings.combination(n_views)``.
    n_clusters : int or sequence of int
        Number of clusters, of all views or of each.

    Raises
    ------
    ValueError
        If an id, a pair or a number of clusters is not what it should be.

    Notes
    -----
    Equation 3 of the paper, for any set of pairs.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    views = checked_pairs(pairs, ids.shape[1])
    total = 0.0
    for u, v in views:
        total += mutual_information(
            contingency_table(ids[:, u], ids[:, v], n_clusters=(sizes[u], sizes[v]))
        )
    return total / len(views)
