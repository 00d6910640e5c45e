"""Batch greedy maximisation of mutual information: Algorithm 1 of the paper."""

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
from acav_spark.selection.batches import CandidatePool, take_best
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

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
    before = _tables_of(previous)
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
    previous: Selection | ContingencyTables | None = None,
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
    previous : Selection or ContingencyTables, optional
        What was selected before, by the same pairs and clusters; it is not changed.

    Returns
    -------
    Selection
        The given sequence only, all in batch 0; ``tables`` count the former clips too.

    Raises
    ------
    ValueError
        If a row number is out of range or occurs twice, ``previous`` has other pairs
        or clusters, or as ``batch_greedy``.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(pairs, n_clusters=sizes, n_views=ids.shape[1])
    if previous is not None:
        former = _tables_of(previous)
        if (former.pairs, former.n_clusters) != (tables.pairs, sizes):
            msg = (
                f"previous: expected tables of {len(tables.pairs)} pairs and clusters "
                f"{sizes}, as given, got others: {former!r}."
            )
            raise ValueError(msg)
        tables = former.copy()
    n_before, objective_before = tables.n_clips, tables.objective()
    rows = _checked_indices(indices, len(ids))
    scores = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _REPLAY_CHUNK):
        part = slice(start, start + _REPLAY_CHUNK)
        counters = tables.counter_ids(ids[rows[part]])
        earlier = _earlier_occurrences(counters.ravel()).reshape(counters.shape)
        gains = gain_units(tables.counters[counters] + earlier)
        scores[part] = gains @ tables.weights
        np.add.at(tables.counters, counters.ravel(), 1)
    gains_nats, objectives = _trajectory(
        scores, n_before, objective_before, len(tables.pairs)
    )
    batches = np.zeros(len(rows), dtype=np.int64)
    return Selection(rows, gains_nats, objectives, batches, tables)


def _tables_of(previous: Selection | ContingencyTables) -> ContingencyTables:
    """Return the tables of what was selected before."""
    return previous.tables if isinstance(previous, Selection) else previous


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
    pool = CandidatePool(len(ids), checked_integer(seed, name="seed", minimum=0))
    indices = np.empty(n_select, dtype=np.int64)
    scores = np.empty(n_select, dtype=np.int64)
    batches = np.empty(n_select, dtype=np.int64)
    n_done = n_batches = 0
    while n_done < n_select:
        drawn = pool.draw(batch_size)
        n_take = min(per_batch, n_select - n_done)
        taken, taken_scores = take_best(tables, ids[drawn], n_take)
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
