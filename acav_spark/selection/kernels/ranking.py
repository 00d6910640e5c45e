"""The scores of a batch: where they stand, and how the highest is found among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.bounds import Batch

# The score of what was taken, below every other, with room for what is still added.
TAKEN = np.int64(-(1 << 62))
_LOWEST = np.int64(-(1 << 61))
# The highest hot score is looked for in whole vectors of the processor.
BLOCK = 32
_N_BINS = 1024


class Ranking(NamedTuple):
    """Space for the scores of a batch.

    Parameters
    ----------
    score : ndarray of int64, shape (first_cold + batch_size,)
        Scores or bounds: the hot candidates' side by side at the front, the others'
        from ``first_cold`` in the order of the batch.
    first_cold : int
        See ``score``; leaves room for a whole batch and a block.
    place : ndarray of int32, shape (batch_size,)
        Where each candidate's score is.
    hot : ndarray of int32, shape (batch_size,)
        The candidates of the first places, in the order of the batch.
    is_exact, is_risen : ndarray of bool, shape (batch_size,)
        Whether a score is exact; whether a candidate is among the risen.
    risen : ndarray of int32, shape (batch_size + 1,)
        Cold candidates that rose above the threshold.
    histogram : ndarray of int64, shape (1024,)
        For the choice of a threshold.
    """

    score: NDArray[np.int64]
    first_cold: int
    place: NDArray[np.int32]
    hot: NDArray[np.int32]
    is_exact: NDArray[np.bool_]
    is_risen: NDArray[np.bool_]
    risen: NDArray[np.int32]
    histogram: NDArray[np.int64]


def ranking_space(batch_size: int) -> Ranking:
    """Return space for batches of up to so many candidates."""
    first_cold = -(-batch_size // BLOCK) * BLOCK + BLOCK
    return Ranking(
        np.zeros(first_cold + batch_size, dtype=np.int64),
        first_cold,
        np.zeros(batch_size, dtype=np.int32),
        np.zeros(batch_size, dtype=np.int32),
        np.zeros(batch_size, dtype=bool),
        np.zeros(batch_size, dtype=bool),
        np.zeros(batch_size + 1, dtype=np.int32),
        np.zeros(_N_BINS, dtype=np.int64),
    )


@compiled
def start_ranking(
    batch: Batch,
    n: int,
    ghosts: NDArray[np.int64],
    margin_terms: NDArray[np.int64],
    shift: int,
    ranking: Ranking,
) -> None:
    """Write the bound of every candidate, from the sums of the threads' strips.

    ``ghosts`` are positions that stand in the batch but cannot be taken.
    """
    first = ranking.first_cold
    cold, place = ranking.score[first : first + n], ranking.place
    is_exact, is_risen = ranking.is_exact, ranking.is_risen
    cold[:] = 0
    for thread in range(batch.bounds.shape[0]):
        bounds = batch.bounds[thread]
        for i in range(n):
            cold[i] += np.int64(bounds[i]) << shift
    for view in range(margin_terms.shape[0]):
        terms, column = margin_terms[view], batch.columns[view]
        for i in range(n):
            cold[i] -= terms[column[i]]
    for i in range(n):
        place[i] = first + i
        is_exact[i] = False
        is_risen[i] = False
    for ghost in ghosts:
        cold[ghost] = TAKEN


@inlined
def find_threshold(
    cold: NDArray[np.int64], n_wanted: int, histogram: NDArray[np.int64]
) -> int:
    """Return a score that about ``n_wanted`` of those left reach, or a few more."""
    highest, lowest = TAKEN, -TAKEN
    for i in range(cold.size):
        value = cold[i]
        highest = max(highest, value)
        lowest = min(lowest, value if value > _LOWEST else -TAKEN)
    shift = 0
    while ((highest - lowest) >> shift) >= _N_BINS:
        shift += 1
    histogram[:] = 0
    for i in range(cold.size):
        if cold[i] > _LOWEST:
            histogram[(highest - cold[i]) >> shift] += 1
    n_above, last = histogram[0], 0
    while last < _N_BINS - 1 and n_above < n_wanted:
        last += 1
        n_above += histogram[last]
    return highest - ((np.int64(last) + 1) << shift) + 1


@inlined
def heat(
    score: NDArray[np.int64],
    first_cold: int,
    n: int,
    threshold: int,
    place: NDArray[np.int32],
    hot: NDArray[np.int32],
) -> int:
    """Bring the cold candidates from the threshold on to the front; return how many."""
    n_hot = 0
    for i in range(n):
        value = score[first_cold + i]
        if value >= threshold:
            place[i] = n_hot
            score[n_hot] = value
            hot[n_hot] = i
            n_hot += 1
    for h in range(n_hot, ((n_hot + BLOCK - 1) & ~(BLOCK - 1)) + BLOCK):
        score[h] = TAKEN
    return n_hot


@inlined
def highest_of(score: NDArray[np.int64], n: int) -> int:
    """Return the highest of the first ``n`` scores."""
    highest = score[0]
    for h in range(1, n):
        highest = max(highest, score[h])
    return highest
