"""Ranking by pointwise mutual information: the rival that looks at each clip alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

_CHUNK = 1 << 16


def pointwise_information(
    assignments: NDArray[np.integer], population: ContingencyTables
) -> NDArray[np.float64]:
    """Return each clip's mean pointwise mutual information over the pairs, in nats.

    Parameters
    ----------
    assignments : ndarray of integers, shape (n_clips, n_views)
        Cluster ids of clips that the population counts.
    population : ContingencyTables
        Counts that probabilities are taken from.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(population.counters)
    weights = population.signed_weights
    total = population.relative_weights.sum()
    information = np.empty(len(assignments))
    for start in range(0, len(assignments), _CHUNK):
        part = slice(start, start + _CHUNK)
        counters = population.counter_ids(assignments[part])
        information[part] = logs[counters] @ weights
    means: NDArray[np.float64] = information / total + np.log(population.n_clips)
    return means


def ranked_by_information(
    assignments: NDArray[np.integer], population: ContingencyTables
) -> NDArray[np.int64]:
    """Return all clips from the highest information down, equal ones by their rows."""
    information = pointwise_information(assignments, population)
    return np.argsort(-information, kind="stable").astype(np.int64)
