"""Greedy maximisation of mutual information: Algorithms 1 and 2 of the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import (
    checked_assignments,
    checked_candidates,
    checked_integer,
    checked_n_select,
)
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.in_progress import BatchSettings, Mode, SelectionInProgress
from acav_spark.selection.limits import Constraints, Limit, checked_rows, require_all
from acav_spark.selection.prior import pseudo_counts
from acav_spark.selection.replaying import replay_into, tables_of
from acav_spark.selection.result import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from acav_spark.selection.prior import Prior


def batch_greedy(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    batch_size: int = 10_000,
    per_batch: int = 500,
    weights: ArrayLike | None = None,
    prior: Prior = None,
    population: ContingencyTables | None = None,
    limits: Sequence[Limit] = (),
    include: ArrayLike | None = None,
    exclude: ArrayLike | None = None,
    seed: int = 0,
    mode: Mode = "paper",
    n_threads: int = 1,
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
    weights : array_like of float, shape (n_pairs,), optional
        Weight of each pair in the mean; equal by default. See ``pair_weights`` for
        weights of layers.
    prior : float or "recommended", optional
        Strength of the population's tables as pseudo-counts, so that the first choices
        are not made against empty tables; ``None`` or 0 is the paper's algorithm. See
        ``recommended_strength``.
    population : ContingencyTables, optional
        The tables that the prior scales; by default those of ``assignments``.
    limits : sequence of Limit, optional
        At most so many clips of a group; see ``at_most`` and ``quotas``.
    include, exclude : array_like of int, optional
        Row numbers that must be selected (they come first, in rising order, in batch
        -1), and row numbers that must not.
    seed : int, default 0
        Seed of the draws, which depend on it, on the row numbers and on what was
        taken, and on nothing else.
    mode : {"paper", "released"}, default "paper"
        ``released`` scores a batch once and takes its top, as the authors' published
        code does; it is another algorithm, kept to compare with.
    n_threads : int, default 1
        Threads that set up a batch; the result does not depend on it.
    progress : callable, optional
        Called after each batch with the clips taken so far and ``n_select``.

    Returns
    -------
    Selection
        ``indices``, ``gains``, ``objectives``, ``batches`` and the final ``tables``.

    Raises
    ------
    ValueError
        If an id is out of range, a pair is not of two different views, more clips
        are asked for than there are or the limits allow, or an option is not what it
        should be.

    Notes
    -----
    Maximises the mean of equation 2 over the pairs (equation 3 for all of them).
    Candidates are compared by exact integers (see ``fixed_point`` and
    ``weights.Scoring``); of equal candidates the first in the order of the drawn batch
    is taken. With an empty table every candidate ties at first. Weights steeper than 1
    to 512 are compared in float64 instead, and ``Selection.is_exact`` says so. Some 10
    microseconds a clip at 500 clusters and 45 pairs; memory besides ``assignments``: 9
    bytes for each cell of the tables, 16 for each clip selected. A shorter selection by
    the same seed is a prefix of a longer one.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    return _select(
        tables,
        ids,
        checked_n_select(n_select, len(ids)),
        settings=_checked_settings(batch_size, per_batch, seed, n_threads, mode),
        prior=(prior, population),
        limits=limits,
        rows=(include, exclude),
        progress=progress,
    )


def extend(
    previous: Selection | ContingencyTables,
    assignments: ArrayLike,
    n_select: int,
    *,
    batch_size: int = 10_000,
    per_batch: int = 500,
    prior: Prior = None,
    population: ContingencyTables | None = None,
    limits: Sequence[Limit] = (),
    include: ArrayLike | None = None,
    exclude: ArrayLike | None = None,
    seed: int = 0,
    mode: Mode = "paper",
    n_threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Continue a selection with further clips from other candidates.

    Parameters
    ----------
    previous : Selection or ContingencyTables
        What was selected before; it is not changed. Pairs and weights are its own.
    assignments : array_like of integers, shape (n_candidates, n_views)
        Cluster ids of the candidates, in the same views and clusters. Clips that were
        selected before must not be among them.
    n_select : int
        Number of further clips, from 1 to ``n_candidates``.
    batch_size, per_batch, prior, population, limits, include, exclude, seed, mode
        As in ``batch_greedy``; limits count further clips only.
    n_threads, progress
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
    before = tables_of(previous)
    ids = checked_candidates(assignments, before.n_clusters)
    return _select(
        before,
        ids,
        checked_n_select(n_select, len(ids)),
        settings=_checked_settings(batch_size, per_batch, seed, n_threads, mode),
        prior=(prior, population),
        limits=limits,
        rows=(include, exclude),
        progress=progress,
    )


def greedy(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    prior: Prior = None,
    population: ContingencyTables | None = None,
    limits: Sequence[Limit] = (),
    include: ArrayLike | None = None,
    exclude: ArrayLike | None = None,
    n_threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Select clips by Algorithm 2 of the paper: the best of all that are left.

    Parameters
    ----------
    assignments, n_select, n_clusters, pairs, weights, prior, population
        As in ``batch_greedy``.
    limits, include, exclude, n_threads, progress
        As in ``batch_greedy``.

    Returns
    -------
    Selection
        As from ``batch_greedy``; equal candidates are taken in the order of their rows.

    Raises
    ------
    ValueError
        As ``batch_greedy``.

    Notes
    -----
    Nothing is drawn. Time grows with candidates times the share of them that a choice
    touches, some ``n_views / n_clusters``.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    tables = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    number = checked_n_select(n_select, len(ids))
    settings = _checked_settings(len(ids), min(len(ids), 10_000), 0, n_threads, "paper")
    return _select(
        tables,
        ids,
        number,
        settings=replace(settings, is_in_order=True),
        prior=(prior, population),
        limits=limits,
        rows=(include, exclude),
        progress=progress,
    )


def _checked_settings(
    batch_size: int, per_batch: int, seed: int, n_threads: int, mode: Mode
) -> BatchSettings:
    """Return the checked settings of batches."""
    b = checked_integer(batch_size, name="batch_size", minimum=1)
    s = checked_integer(per_batch, name="per_batch", minimum=1)
    if s > b:
        msg = (
            f"per_batch: expected at most batch_size ({b}), got {s}. More cannot be "
            "taken from a batch than it holds."
        )
        raise ValueError(msg)
    if mode not in ("paper", "released"):
        msg = f"mode: expected 'paper' or 'released', got {mode!r}."
        raise ValueError(msg)
    return BatchSettings(
        b,
        s,
        checked_integer(seed, name="seed", minimum=0),
        checked_integer(n_threads, name="n_threads", minimum=1),
        mode,
    )


def _select(
    before: ContingencyTables,
    ids: NDArray[np.integer],
    n_select: int,
    *,
    settings: BatchSettings,
    prior: tuple[Prior, ContingencyTables | None],
    limits: Sequence[Limit],
    rows: tuple[ArrayLike | None, ArrayLike | None],
    progress: Callable[[int, int], None] | None,
) -> Selection:
    """Select under all rules; validation of ids and numbers is assumed."""
    constraints = Constraints(
        len(ids),
        n_select,
        tuple(limits),
        checked_rows(rows[0], len(ids), "include"),
        checked_rows(rows[1], len(ids), "exclude"),
    )
    n_possible, rule = constraints.n_possible()
    if n_possible < n_select:
        msg = (
            f"n_select: expected at most {n_possible}, which {rule} allow, got "
            f"{n_select}. Ask for fewer, or loosen the limits."
        )
        raise ValueError(msg)
    pseudo = pseudo_counts(*prior, before, ids)
    included = constraints.include
    n_included = len(included)
    indices = np.empty(n_select, dtype=np.int64)
    gains, objectives = np.empty(n_select), np.empty(n_select)
    batches = np.full(n_select, -1, dtype=np.int32)
    indices[:n_included] = included
    tables = before
    if n_included:
        gains[:n_included], objectives[:n_included], tables = replay_into(
            before, ids, included
        )
    selecting = SelectionInProgress(
        ids,
        tables,
        n_select - n_included,
        settings=settings,
        constraints=constraints,
        prior=pseudo,
    )
    n_done = n_included
    for picks in selecting.steps():
        part = slice(n_done, n_done + len(picks.rows))
        indices[part], batches[part] = picks.rows, picks.batch
        gains[part], objectives[part] = picks.gains, picks.objectives
        n_done = part.stop
        if progress is not None:
            progress(n_done, n_select)
    require_all(n_done, n_select, limits)
    return Selection(indices, gains, objectives, batches, selecting.tables)
