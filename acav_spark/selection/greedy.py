"""Batch greedy maximisation of mutual information: Algorithm 1 of the paper.

What one more clip changes needs one look-up for each pair and each view: its cell and
margin counters. A batch therefore keeps, for every counter that occurs in it, the
candidates that are counted there; after a pick only those change their score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import (
    checked_assignments,
    checked_candidates,
    checked_integer,
    checked_n_select,
)
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

# Below every score that can occur, with room for what is still added to it.
_TAKEN = np.int64(-(2**62))
# Rows of a given sequence that are scored at once: bounds memory, not the result.
_REPLAY_CHUNK = 1 << 14


@dataclass(frozen=True, eq=False)
class Selection:
    """An ordered choice of clips.

    Parameters
    ----------
    indices : ndarray of int64, shape (n_selected,)
        Row numbers of ``assignments`` in the order of choice.
    gains : ndarray of float64, shape (n_selected,)
        Change of the objective by each choice, in nats; may be negative, for mutual
        information is not monotone.
    objectives : ndarray of float64, shape (n_selected,)
        Mean mutual information over the pairs after each choice, in nats.
    batches : ndarray of int64, shape (n_selected,)
        Number, from 0, of the batch that each choice was made from.
    tables : ContingencyTables
        Counts of all selected clips, from which ``extend`` continues.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]
    objectives: NDArray[np.float64]
    batches: NDArray[np.int64]
    tables: ContingencyTables

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return (
            f"Selection(n_selected={len(self)}, objective={self.objective:.6f}, "
            f"tables={self.tables!r})"
        )

    @property
    def objective(self) -> float:
        """Mean mutual information over the pairs after the last choice, in nats."""
        return float(self.objectives[-1])


def batch_greedy(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    batch_size: int = 10_000,
    per_batch: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Select clips that maximise mutual information, by Algorithm 1 of the paper.

    A batch is drawn at random from the clips that are not selected; so many times the
    best of the batch, given everything taken so far, is taken; the rest goes back.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view; any integer type, may be memory-mapped.
    n_select : int
        Number of clips to select, from 1 to ``n_clips``.
    n_clusters : int or sequence of int
        Number of clusters, of all views or of each.
    pairs : sequence of (int, int)
        Pairs of views whose mutual information is averaged; see ``pairings``.
    batch_size : int, default 10_000
        Candidates drawn for a batch (b); all that are left when they are fewer.
    per_batch : int, default 500
        Clips taken from a batch (s), at most ``batch_size``. The paper finds precision
        to drop when it exceeds a quarter of the batch.
    seed : int, default 0
        Seed of the draws, which depend on it, on the row numbers and on what was
        taken, and on nothing else.
    progress : callable, optional
        Called after each batch with the clips taken so far and ``n_select``.

    Returns
    -------
    Selection
        ``indices``, ``gains``, ``objectives``, ``batches`` and the final ``tables``.

    Raises
    ------
    ValueError
        If an id is out of range, a pair is not of two different views, or more clips
        are asked for than there are.

    Notes
    -----
    Maximises the mean of equation 2 over the pairs (equation 3 for all of them).
    Candidates are compared by exact integers in units of 2**-46 nats (see
    ``fixed_point``); of equal candidates the first in the order of the drawn batch is
    taken. Memory besides ``assignments``: the tables, and about 40 bytes for each of
    ``batch_size * (n_pairs + n_views)`` counters. A shorter selection by the same seed
    is a prefix of a longer one.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(pairs, n_clusters=sizes, n_views=ids.shape[1])
    return _select(
        tables,
        ids,
        checked_n_select(n_select, len(ids)),
        _checked_batch(batch_size, per_batch),
        seed,
        progress,
    )


def extend(
    previous: Selection | ContingencyTables,
    assignments: ArrayLike,
    n_select: int,
    *,
    batch_size: int = 10_000,
    per_batch: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Continue a selection with further clips from other candidates.

    Parameters
    ----------
    previous : Selection or ContingencyTables
        What was selected before; it is not changed.
    assignments : array_like of integers, shape (n_candidates, n_views)
        Cluster ids of the candidates, in the same views and clusters. Clips that were
        selected before must not be among them.
    n_select : int
        Number of further clips, from 1 to ``n_candidates``.
    batch_size, per_batch, seed, progress
        As in ``batch_greedy``.

    Returns
    -------
    Selection
        The further clips only: ``indices`` are rows of the given ``assignments``.
        ``tables`` count the former clips too.

    Raises
    ------
    ValueError
        If the candidates have other views or ids out of range, or are too few.
    """
    before = previous.tables if isinstance(previous, Selection) else previous
    ids = checked_candidates(assignments, before.n_clusters)
    return _select(
        before.copy(),
        ids,
        checked_n_select(n_select, len(ids)),
        _checked_batch(batch_size, per_batch),
        seed,
        progress,
    )


def replay(
    assignments: ArrayLike,
    indices: ArrayLike,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
) -> Selection:
    """Return what a given sequence of choices gains, such as a random one.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view.
    indices : array_like of integers, shape (n_selected,)
        Row numbers in the order of choice, none of them twice.
    n_clusters, pairs
        As in ``batch_greedy``.

    Returns
    -------
    Selection
        All in batch 0.

    Raises
    ------
    ValueError
        If a row number is out of range or occurs twice, or as ``batch_greedy``.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(pairs, n_clusters=sizes, n_views=ids.shape[1])
    rows = _checked_indices(indices, len(ids))
    scores = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _REPLAY_CHUNK):
        part = slice(start, start + _REPLAY_CHUNK)
        counters = tables.counter_ids(ids[rows[part]])
        earlier = _earlier_occurrences(counters.ravel()).reshape(counters.shape)
        gains = gain_units(tables.counters[counters] + earlier)
        scores[part] = gains @ tables.weights
        np.add.at(tables.counters, counters.ravel(), 1)
    gains_nats, objectives = _trajectory(scores, 0, 0.0, len(tables.pairs))
    batches = np.zeros(len(rows), dtype=np.int64)
    return Selection(rows, gains_nats, objectives, batches, tables)


def _checked_batch(batch_size: int, per_batch: int) -> tuple[int, int]:
    """Return the checked sizes of a batch and of what is taken from it."""
    b = checked_integer(batch_size, name="batch_size", minimum=1)
    s = checked_integer(per_batch, name="per_batch", minimum=1)
    if s > b:
        msg = (
            f"per_batch: expected at most batch_size ({b}), got {s}. More cannot be "
            "taken from a batch than it holds."
        )
        raise ValueError(msg)
    return b, s


def _checked_indices(indices: ArrayLike, n_clips: int) -> NDArray[np.int64]:
    """Return row numbers that are in range and distinct."""
    rows = np.asarray(indices)
    if rows.ndim != 1 or rows.size == 0 or not np.issubdtype(rows.dtype, np.integer):
        msg = (
            "indices: expected at least one row number, of integer type and one axis, "
            f"got shape {rows.shape} of {rows.dtype}."
        )
        raise ValueError(msg)
    if int(rows.min()) < 0 or int(rows.max()) >= n_clips:
        msg = (
            f"indices: expected row numbers from 0 to {n_clips - 1}, got values from "
            f"{int(rows.min())} to {int(rows.max())}."
        )
        raise ValueError(msg)
    n_distinct = len(np.unique(rows))
    if n_distinct < len(rows):
        msg = (
            f"indices: expected each row once, got {len(rows) - n_distinct} of "
            f"{len(rows)} again."
        )
        raise ValueError(msg)
    return rows.astype(np.int64)


def _select(
    tables: ContingencyTables,
    ids: NDArray[np.integer],
    n_select: int,
    batch: tuple[int, int],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Selection:
    """Run Algorithm 1, counting into ``tables``; validation is assumed."""
    batch_size, per_batch = batch
    n_before, objective_before = tables.n_clips, tables.objective()
    pool = _Pool(len(ids), checked_integer(seed, name="seed", minimum=0))
    indices = np.empty(n_select, dtype=np.int64)
    scores = np.empty(n_select, dtype=np.int64)
    batches = np.empty(n_select, dtype=np.int64)
    n_done = n_batches = 0
    while n_done < n_select:
        drawn = pool.draw(batch_size)
        n_take = min(per_batch, n_select - n_done, len(drawn))
        taken, taken_scores = _take_best(tables, ids[drawn], n_take)
        part = slice(n_done, n_done + n_take)
        indices[part] = drawn[taken]
        scores[part] = taken_scores
        batches[part] = n_batches
        pool.remove(taken)
        n_done += n_take
        n_batches += 1
        if progress is not None:
            progress(n_done, n_select)
    gains, objectives = _trajectory(
        scores, n_before, objective_before, len(tables.pairs)
    )
    return Selection(indices, gains, objectives, batches, tables)


class _Pool:
    """Row numbers that are not selected, and random batches of them."""

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


def _take_best(
    tables: ContingencyTables, candidates: NDArray[np.integer], n_take: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take the best candidate so many times, counting each before the next.

    Returns the positions taken, in order, and the score of each when it was taken.
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


def _earlier_occurrences(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each value occurred before its place."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(starts, append=len(values))
    earlier = np.empty(len(values), dtype=np.int64)
    earlier[order] = np.arange(len(values)) - np.repeat(starts, sizes)
    return earlier


def _trajectory(
    scores: NDArray[np.int64], n_before: int, objective_before: float, n_pairs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gain of each choice and the objective after it, in nats.

    With ``S`` the sum of all scores, the objective of ``n`` clips is
    ``log n + S / (n n_pairs)``. A gain is computed from its score rather than as a
    difference of objectives, which would lose its digits when ``n`` is large.
    """
    n_after = n_before + np.arange(1, len(scores) + 1, dtype=np.float64)
    mean_scores = scores / (UNITS_PER_NAT * n_pairs)
    sum_before = 0.0
    if n_before > 0:
        sum_before = n_before * (objective_before - float(np.log(n_before)))
    sums = sum_before + np.cumsum(mean_scores)
    objectives = np.log(n_after) + sums / n_after
    n = n_after - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        former = np.concatenate([[sum_before], sums[:-1]])
        gains = np.log1p(1 / n) + (mean_scores - former / n) / n_after
    if n_before == 0:
        gains[0] = objectives[0] = 0.0
    return gains, objectives
