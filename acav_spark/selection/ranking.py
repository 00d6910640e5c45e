"""Ranking by pointwise mutual information under a population: what a prior tends to.

Each clip is scored on its own, by how much more often its clusters meet in the
population than they would by chance. That is what the prior of ``prior`` becomes when
its strength grows without bound. It needs one pass, but does not know what was taken
before: it takes a class that is easy to tell again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import (
    checked_assignments,
    checked_candidates,
    checked_n_select,
)
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.similarity import highest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Rows that are scored at once: 7 MB of counters for the paper's 45 pairs.
_BLOCK = 1 << 14


def pointwise_ranking(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    population: ContingencyTables | None = None,
) -> NDArray[np.int64]:
    """Return the clips of the highest mean pointwise mutual information, best first.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view.
    n_select : int
        Number of clips to select, from 1 to ``n_clips``.
    n_clusters : int or sequence of int
        Number of clusters, of all views or of each.
    pairs : sequence of (int, int)
        Pairs of views that are averaged; see ``pairings``.
    weights : array_like of float, shape (n_pairs,), optional
        Weight of each pair in the mean; equal by default.
    population : ContingencyTables, optional
        Tables that tell what is frequent, of the same pairs, clusters and weights; by
        default those of ``assignments``.

    Returns
    -------
    ndarray of int64, shape (n_select,)
        Row numbers; equal clips in the order of their rows.

    Raises
    ------
    ValueError
        If more clips are asked for than there are, the population's tables are of
        other pairs, clusters or weights or count no clip, or as ``batch_greedy``.

    Notes
    -----
    See ``pointwise_information`` for the score and its exactness. Memory besides
    ``assignments`` and the tables: 8 bytes for each clip and each cell.
    """
    ids, tables = _checked(assignments, n_clusters, pairs, weights, population)
    number = checked_n_select(n_select, len(ids))
    return highest(_scores(ids, tables), number)


def pointwise_information(
    assignments: ArrayLike,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    population: ContingencyTables | None = None,
) -> NDArray[np.float64]:
    """Return each clip's mean pointwise mutual information, in nats.

    Parameters
    ----------
    assignments, n_clusters, pairs, weights, population
        As in ``pointwise_ranking``.

    Returns
    -------
    ndarray of float64, shape (n_clips,)
        Minus infinity for a clip that lies in a cell which is empty in the population.

    Raises
    ------
    ValueError
        As ``pointwise_ranking``.

    Notes
    -----
    The weighted mean over the pairs of ``log(N n_ij / (a_i b_j))``, the counts being
    the population's. Averaged over all clips of the population it is the population's
    objective. Logarithms of counts are rounded once, to 2**-46 nats (coarser where
    pairs have weights; see ``weights.Scoring``), and summed as integers: clips whose
    counts are the same in another order are equal. Weights steeper than 1 to 512 are
    summed in float64.
    """
    ids, tables = _checked(assignments, n_clusters, pairs, weights, population)
    scores = _scores(ids, tables)
    scoring = tables.scoring
    if scoring.is_exact:
        total = float(scoring.integer_weights.sum()) * 2.0**scoring.unit_bits
        is_unseen = scores == np.iinfo(np.int64).min
    else:
        total = float(tables.relative_weights.sum())
        is_unseen = np.isneginf(scores)
    means = scores / total + np.log(tables.n_clips)
    return np.where(is_unseen, -np.inf, means)


def _checked(
    assignments: ArrayLike,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None,
    population: ContingencyTables | None,
) -> tuple[NDArray[np.integer], ContingencyTables]:
    """Return the checked assignments and the tables of the population."""
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    if population is None:
        tables.count(ids)
        return ids, tables
    if not population.is_like(tables):
        msg = (
            f"population: expected tables of the given pairs, clusters and weights "
            f"({tables!r}), got {population!r}. Count the population with the same."
        )
        raise ValueError(msg)
    if population.n_clips == 0:
        msg = "population: expected tables of at least one clip, got empty ones."
        raise ValueError(msg)
    return checked_candidates(ids, population.n_clusters), population


def _scores(
    ids: NDArray[np.integer], tables: ContingencyTables
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return sums that order the clips; the least number where a cell is empty."""
    scoring, n_pairs = tables.scoring, len(tables.pairs)
    logs = np.log(np.maximum(tables.counters, 1))
    terms: NDArray[np.int64] | NDArray[np.float64] = logs
    weights: NDArray[np.int64] | NDArray[np.float64] = tables.signed_weights
    least: float = -np.inf
    if scoring.is_exact:
        terms = np.rint(logs * 2.0**scoring.unit_bits).astype(np.int64)
        weights, least = tables.weights, int(np.iinfo(np.int64).min)
    scores = np.empty_like(terms, shape=len(ids))
    for start in range(0, len(ids), _BLOCK):
        counters = tables.counter_ids(ids[start : start + _BLOCK])
        block = terms[counters] @ weights
        is_unseen = (tables.counters[counters[:, :n_pairs]] == 0).any(axis=1)
        block[is_unseen] = least
        scores[start : start + _BLOCK] = block
    return scores
