"""Clips of one video that look unlike each other (paper, section 3.2)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAX_COMBINATIONS = 100_000
# Totals nearer than this count as equal, so that rounding does not decide.
_TOLERANCE = 1e-9


def choose_diverse(similarity: NDArray[np.floating], n_choose: int) -> list[int]:
    """Return the items with the least total similarity between each two.

    Parameters
    ----------
    similarity : ndarray, shape (n_items, n_items)
        Similarity of each two; the diagonal is not looked at, and the two directions
        are averaged.
    n_choose : int
        How many; all items are returned where there are no more.

    Returns
    -------
    list of int
        Indices in ascending order. The exact optimum up to 100,000 combinations, else
        a local optimum under exchanging one item. Equal totals go to the lowest
        indices.

    Raises
    ------
    ValueError
        If ``similarity`` is not square, holds NaN, or ``n_choose`` is negative.

    Notes
    -----
    Cost: all combinations, or O(n_items * n_choose) for each exchange.
    """
    n_items = len(similarity)
    if similarity.shape != (n_items, n_items) or n_choose < 0:
        msg = (
            "similarity: expected a square matrix and n_choose of 0 or more, got shape "
            f"{similarity.shape} and {n_choose}."
        )
        raise ValueError(msg)
    if np.isnan(similarity).any():
        msg = "similarity: expected numbers, got NaN."
        raise ValueError(msg)
    if n_choose >= n_items:
        return list(range(n_items))
    if n_choose == 0:
        return []
    symmetric = (similarity + similarity.T) / 2.0
    np.fill_diagonal(symmetric, 0.0)
    if math.comb(n_items, n_choose) <= _MAX_COMBINATIONS:
        return _exact(symmetric, n_choose)
    return _exchanged(symmetric, _spread(symmetric, n_choose))


def thumbnail_similarity(
    thumbnails: Sequence[NDArray[np.uint8]],
) -> NDArray[np.float64]:
    """Return how alike stretches of video are, by their thumbnails.

    Parameters
    ----------
    thumbnails : sequence of ndarray of uint8, shape (n_frames, height, width, 3)
        Those of each stretch; the number of frames may differ, and be 0.

    Returns
    -------
    ndarray of float64, shape (n_stretches, n_stretches)
        In [0, 1], symmetric: one less the mean distance (root mean square of the
        differences, 1 between black and white) of a frame to its nearest one in the
        other stretch, averaged over both directions. 0 where there is no frame.
    """
    n_stretches = len(thumbnails)
    nearness = np.zeros((n_stretches, n_stretches))
    vectors = [
        frames.reshape(len(frames), -1).astype(np.float32) / np.float32(255)
        if len(frames)
        else np.zeros((0, 1), dtype=np.float32)
        for frames in thumbnails
    ]
    for i, j in combinations(range(n_stretches), 2):
        if len(vectors[i]) and len(vectors[j]):
            distances = _distances(vectors[i], vectors[j])
            mean = (distances.min(axis=1).mean() + distances.min(axis=0).mean()) / 2.0
            nearness[i, j] = nearness[j, i] = 1.0 - float(mean)
    for i, frames in enumerate(vectors):
        nearness[i, i] = 1.0 if len(frames) else 0.0
    return nearness


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square difference of each row of a to each of b."""
    squares = (
        np.square(a, dtype=np.float64).sum(axis=1)[:, np.newaxis]
        + np.square(b, dtype=np.float64).sum(axis=1)[np.newaxis]
        - 2.0 * (a.astype(np.float64) @ b.T.astype(np.float64))
    )
    distances: NDArray[np.float64] = np.sqrt(np.clip(squares / a.shape[1], 0.0, 1.0))
    return distances


def _exact(similarity: NDArray[np.floating], n_choose: int) -> list[int]:
    """Return the best of all combinations, which come in lexicographic order."""
    chosen = np.array(list(combinations(range(len(similarity)), n_choose)))
    totals = np.zeros(len(chosen))
    for i, j in combinations(range(n_choose), 2):
        totals += similarity[chosen[:, i], chosen[:, j]]
    best = int(np.flatnonzero(totals <= totals.min() + _TOLERANCE)[0])
    return [int(index) for index in chosen[best]]


def _spread(similarity: NDArray[np.floating], n_choose: int) -> list[int]:
    """Return a start for the local search: each item the least like those before."""
    chosen = [0]
    load = similarity[0].copy()
    while len(chosen) < n_choose:
        load[chosen[-1]] = np.inf
        best = int(np.flatnonzero(load <= load.min() + _TOLERANCE)[0])
        chosen.append(best)
        load = load + similarity[best]
    return sorted(chosen)


def _exchanged(similarity: NDArray[np.floating], chosen: list[int]) -> list[int]:
    """Exchange items while that lowers the total; the best exchange comes first."""
    is_chosen = np.zeros(len(similarity), dtype=bool)
    is_chosen[chosen] = True
    while True:
        load = similarity[:, is_chosen].sum(axis=1)
        inside, outside = np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)
        gains = load[inside][:, np.newaxis] - (
            load[outside][np.newaxis] - similarity[np.ix_(inside, outside)]
        )
        place = int(np.flatnonzero(gains.ravel() >= gains.max() - _TOLERANCE)[0])
        out, into = divmod(place, len(outside))
        if gains[out, into] <= _TOLERANCE:
            return [int(index) for index in inside]
        is_chosen[inside[out]], is_chosen[outside[into]] = False, True
