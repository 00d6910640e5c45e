"""Where centres are placed: on data, far from other centres, drawn by seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A squared distance below this part of the squared norms is a duplicate's rounding.
_DUPLICATE = 1e-10


def draw_centres(
    x: NDArray[np.float32],
    n_centres: int,
    generator: np.random.Generator,
    others: NDArray[np.floating] | None = None,
) -> NDArray[np.int64]:
    """Return rows of ``x`` on which to place centres, by greedy k-means++.

    Parameters
    ----------
    x : ndarray of float32, shape (n_samples, n_features)
        Candidates.
    n_centres : int
        How many to draw.
    generator : numpy.random.Generator
        Source of the draws.
    others : ndarray of float, shape (n_others, n_features), optional
        Centres that stay.

    Returns
    -------
    ndarray of int64, shape (n_drawn,)
        Rows in the order of drawing; fewer than ``n_centres`` when all other rows are
        duplicates of a centre, so that no centre is placed on another.

    Notes
    -----
    Arthur and Vassilvitskii (2007): a row is drawn with a probability proportional to
    its squared distance from the nearest centre; of ``2 + log k`` such draws the one
    that lowers the sum of squared distances most is taken.
    """
    points, norms, origin = _centred(x)
    drawn: list[int] = []
    if others is None or len(others) == 0:
        drawn.append(int(generator.integers(len(points))))
        closest = _distances_to(points, norms, drawn)[:, 0]
    else:
        _, closest = _nearest(points, norms, others - origin)
    n_trials = 2 + int(np.log(max(n_centres, 1)))
    while len(drawn) < n_centres:
        cumulative = np.cumsum(closest)
        if cumulative[-1] <= 0:
            break
        places = generator.random(n_trials) * cumulative[-1]
        trials = np.searchsorted(cumulative, places, side="right")
        trials = np.unique(np.minimum(trials, np.flatnonzero(closest)[-1]))
        closer = np.minimum(closest[:, None], _distances_to(points, norms, trials))
        best = int(np.argmin(closer.sum(axis=0)))
        drawn.append(int(trials[best]))
        closest = closer[:, best]
    return np.array(drawn, dtype=np.int64)


def draw_splits(
    x: NDArray[np.float32],
    n_centres: int,
    generator: np.random.Generator,
    others: NDArray[np.floating],
    loads: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return rows of ``x`` that split the most loaded clusters.

    Parameters
    ----------
    x : ndarray of float32, shape (n_samples, n_features)
        Candidates.
    n_centres : int
        How many to draw.
    generator : numpy.random.Generator
        Source of the draws.
    others : ndarray of float, shape (n_others, n_features)
        Centres that stay.
    loads : ndarray of float64, shape (n_others,)
        Utilisation of each; a split halves it.

    Returns
    -------
    ndarray of int64, shape (n_drawn,)
        Rows in the order of drawing, each drawn from its cluster with a probability
        proportional to its squared distance from the nearest centre, none of them a
        duplicate of a centre; fewer than ``n_centres`` when there are no others.
    """
    points, norms, origin = _centred(x)
    owner, closest = _nearest(points, norms, others - origin)
    load = loads.astype(np.float64).copy()
    drawn: list[int] = []
    while len(drawn) < n_centres and (load > -np.inf).any():
        cluster = int(np.argmax(load))
        weights = np.where(owner == cluster, closest, 0.0)
        cumulative = np.cumsum(weights)
        if cumulative[-1] <= 0:
            load[cluster] = -np.inf
            continue
        place = np.searchsorted(
            cumulative, generator.random() * cumulative[-1], side="right"
        )
        row = int(min(place, np.flatnonzero(weights)[-1]))
        drawn.append(row)
        load[cluster] /= 2
        closest = np.minimum(closest, _distances_to(points, norms, [row])[:, 0])
    return np.array(drawn, dtype=np.int64)


def _centred(
    x: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return rows about their mean, their squared lengths, and the mean."""
    points = x.astype(np.float64)
    origin = points.mean(axis=0)
    points -= origin
    return points, np.sum(points * points, axis=1), origin


def _nearest(
    points: NDArray[np.float64],
    norms: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each point's nearest centre, and the squared distance to it."""
    closest = np.full(len(points), np.inf)
    owner = np.zeros(len(points), dtype=np.int64)
    for start in range(0, len(centres), 64):
        block = _distances(points, norms, centres[start : start + 64])
        nearest = block.argmin(axis=1)
        distance = block[np.arange(len(points)), nearest]
        is_closer = distance < closest
        owner[is_closer] = nearest[is_closer] + start
        closest[is_closer] = distance[is_closer]
    return owner, closest


def _distances_to(
    points: NDArray[np.float64],
    norms: NDArray[np.float64],
    rows: NDArray[np.int64] | list[int],
) -> NDArray[np.float64]:
    """Return squared distances of all points to some of them."""
    return _distances(points, norms, points[rows])


def _distances(
    points: NDArray[np.float64],
    norms: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return squared distances of points to centres, zero for duplicates."""
    squared: NDArray[np.float64] = norms[:, None] + np.sum(centres * centres, axis=1)
    rounding = _DUPLICATE * squared
    squared -= 2 * (points @ centres.T)
    squared[squared <= rounding] = 0
    return squared
