"""Batches of candidates: drawing them, and taking the best of one.

What one more clip changes needs one look-up for each pair and each view: its cell and
margin counters. A batch therefore keeps, for every counter that occurs in it, the
candidates that are counted there; after a choice only those change their score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.fixed_point import gain_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

# Below every score that can occur, with room for what is still added to it.
_TAKEN = np.int64(-(2**62))


class CandidatePool:
    """Row numbers that are not selected, and random batches of them.

    Parameters
    ----------
    n_clips : int
        Number of rows at first.
    seed : int
        Seed of the draws.
    """

    def __init__(self, n_clips: int, seed: int) -> None:
        self._rows = np.arange(n_clips, dtype=np.int64)
        self._generator = np.random.default_rng(seed)
        self._places = self._rows[:0]

    def draw(self, size: int) -> NDArray[np.int64]:
        """Return a random batch in random order, at most of all rows left."""
        n_left = len(self._rows)
        self._places = self._generator.choice(
            n_left, size=min(size, n_left), replace=False
        )
        return self._rows[self._places]

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Remove the rows at these positions of the batch drawn last."""
        holes = self._places[positions]
        n_kept = len(self._rows) - len(holes)
        is_kept = np.ones(len(holes), dtype=bool)
        is_kept[holes[holes >= n_kept] - n_kept] = False
        # Rows of the tail move into the holes, so that the cost is that of the picks.
        self._rows[holes[holes < n_kept]] = self._rows[n_kept:][is_kept]
        self._rows = self._rows[:n_kept]


def take_best(
    tables: ContingencyTables, candidates: NDArray[np.integer], n_take: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take the best candidate so many times, counting each before the next.

    Parameters
    ----------
    tables : ContingencyTables
        Counts of the selected clips; those taken are added.
    candidates : ndarray of integers, shape (n_candidates, n_views)
        Cluster ids of the batch; not checked.
    n_take : int
        How many to take, at most ``n_candidates``.

    Returns
    -------
    positions : ndarray of int64, shape (n_take,)
        Positions in the batch in the order of choice; the lowest of equal ones.
    scores : ndarray of int64, shape (n_take,)
        Score of each when it was taken, in units of 2**-46 nats.
    """
    index = _CounterIndex(tables.counter_ids(candidates))
    counts = tables.counters[index.counters]
    weights = tables.weights[index.columns]
    terms = weights * gain_units(counts)
    scores = terms[index.local].sum(axis=1)
    positions = np.empty(n_take, dtype=np.int64)
    taken_scores = np.empty(n_take, dtype=np.int64)
    for i in range(n_take):
        best = int(np.argmax(scores))
        positions[i] = best
        taken_scores[i] = scores[best]
        scores[best] = _TAKEN
        own = index.local[best]
        counts[own] += 1
        changed = weights[own] * gain_units(counts[own])
        members, repeats = index.sharing(own)
        np.add.at(scores, members, np.repeat(changed - terms[own], repeats))
        terms[own] = changed
    tables.counters[index.counters] = counts
    return positions, taken_scores


class _CounterIndex:
    """Which candidates of a batch are counted in which counter.

    Attributes
    ----------
    counters : ndarray of int64, shape (n_local,)
        The distinct counters of the batch.
    columns : ndarray of int64, shape (n_local,)
        The column of ``counter_ids``, a pair or a view, that each belongs to.
    local : ndarray of int64, shape (n_candidates, n_columns)
        Place in ``counters`` of each candidate's counters.
    """

    def __init__(self, counter_ids: NDArray[np.int64]) -> None:
        n_columns = counter_ids.shape[1]
        flat = counter_ids.ravel()
        order = np.argsort(flat)
        ordered = flat[order]
        is_first = np.r_[True, ordered[1:] != ordered[:-1]]
        starts = np.flatnonzero(is_first)
        self.counters = ordered[starts]
        self.columns = order[starts] % n_columns
        local = np.empty(len(flat), dtype=np.int64)
        local[order] = np.cumsum(is_first) - 1
        self.local = local.reshape(counter_ids.shape)
        self._members = order // n_columns
        self._starts = starts
        self._sizes = np.diff(starts, append=len(flat))

    def sharing(
        self, own: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the candidates in each of these counters, and how many in each."""
        sizes = self._sizes[own]
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1]) + np.repeat(
            self._starts[own] - ends + sizes, sizes
        )
        return self._members[places], sizes
