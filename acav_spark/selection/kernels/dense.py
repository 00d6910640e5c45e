"""Changing all scores of a batch at once, for views of few clusters.

Where a view has few clusters a choice shares one with most of the batch, and following
lists of members costs more than going over the batch from front to back. By how much a
candidate's score changes hangs on the views in which it agrees with the choice, and on
nothing else: one of ``2**n_views`` sums, made once for each choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.bounds import Batch, Clusters
    from acav_spark.selection.kernels.layout import Layout

# Sums of more views would not stay in the processor's nearest cache.
MOST_VIEWS = 12
# Candidates whose highest score is kept.
BLOCK = 256
# What a visit costs by lists, and by the batch: at rest and for each view (ns).
_BY_LISTS = 4.5
_BY_BATCH, _BY_VIEW = 0.4, 0.06


@compiled
def is_better(
    batch: Batch, n: int, n_clusters: NDArray[np.int64], layout: Layout
) -> bool:
    """Return whether going over the whole batch takes less time than over its lists.

    A choice from a cluster of ``m`` of the batch visits ``m`` members; the larger a
    cluster, the oftener. No result depends on it.
    """
    n_views = n_clusters.size
    if n_views > MOST_VIEWS or n == 0:
        return False
    n_visits = 0.0
    for s in range(layout.own_view.size):
        starts = batch.starts[s]
        for cluster in range(n_clusters[layout.own_view[s]]):
            m = float(starts[cluster + 1] - starts[cluster])
            n_visits += m * m / n
    return _BY_LISTS * n_visits > (_BY_BATCH + _BY_VIEW * n_views) * n


@inlined
def sum_by_agreement(
    own_view: NDArray[np.int64],
    n_lanes: NDArray[np.int64],
    lane_view: NDArray[np.int64],
    cell_change: NDArray[np.int64],
    margin_change: NDArray[np.int64],
    by_pair: NDArray[np.int64],
    with_view: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """Write by how much scores change, for each set of views that agree.

    Parameters
    ----------
    by_pair : ndarray of int64, shape (n_views, n_views)
        Zero where two views are no pair; written elsewhere.
    with_view, sums : ndarray of int64, shape (2**n_views,)
        Space, and what is written: bit ``v`` of a place stands for view ``v``.
    """
    lane = 0
    for s in range(own_view.size):
        view = own_view[s]
        for _ in range(n_lanes[s]):
            partner = lane_view[lane]
            by_pair[max(view, partner), min(view, partner)] = cell_change[lane]
            lane += 1
    sums[0] = 0
    for view in range(margin_change.size):
        # What the view adds to each set of views before it.
        with_view[0] = margin_change[view]
        for other in range(view):
            half, change = 1 << other, by_pair[view, other]
            for places in range(half):
                with_view[half + places] = with_view[places] + change
        half = 1 << view
        for places in range(half):
            sums[half + places] = sums[places] + with_view[places]


@inlined
def spread_over_all(
    columns: Clusters,
    clusters: Clusters,
    chosen: int,
    sums: NDArray[np.int64],
    agree: NDArray[np.uint16],
    score: NDArray[np.int64],
    highest: NDArray[np.int64],
) -> None:
    """Change all scores, and find the highest of each block.

    Parameters
    ----------
    agree : ndarray of uint16, shape (256,)
        Space.
    score : ndarray of int64, shape (n,)
        Scores in the order of the batch.
    highest : ndarray of int64, shape (ceil(n / 256),)
        Highest score of each block.
    """
    n, n_views = score.size, columns.shape[0]
    none = np.uint16(0)
    for block in range(highest.size):
        first = block * BLOCK
        end = min(first + BLOCK, n)
        agree[:] = 0
        for view in range(n_views):
            column = columns[view, first:end]
            cluster, bit = clusters[chosen, view], np.uint16(1 << view)
            for i in range(end - first):
                agree[i] |= bit if column[i] == cluster else none
        part = score[first:end]
        best = np.int64(np.iinfo(np.int64).min)
        for i in range(end - first):
            changed = part[i] + sums[agree[i]]
            part[i] = changed
            best = max(best, changed)
        highest[block] = best


@inlined
def find_highest(
    score: NDArray[np.int64], block: int, highest: NDArray[np.int64]
) -> None:
    """Find the highest score of a block again."""
    first = block * BLOCK
    best = score[first]
    for i in range(first + 1, min(first + BLOCK, score.size)):
        best = max(best, score[i])
    highest[block] = best


@inlined
def first_highest(
    score: NDArray[np.int64], highest: NDArray[np.int64]
) -> tuple[int, int]:
    """Return the first candidate of the highest score, and that score."""
    block = np.int64(0)
    for other in range(1, highest.size):
        if highest[other] > highest[block]:
            block = np.int64(other)
    best = highest[block]
    i = block * BLOCK
    while score[i] != best:
        i += 1
    return i, best
