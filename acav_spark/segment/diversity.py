"""Clips of one video that look unlike each other (paper, section 3.2)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
