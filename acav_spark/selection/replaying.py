"""What given choices gain, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import checked_assignments
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units
from acav_spark.selection.limits import checked_rows
from acav_spark.selection.result import Selection
from acav_spark.selection.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Rows that are scored at once: bounds memory, not the result.
_CHUNK = 1 << 14


def replay(
    assignments: ArrayLike,
    indices: ArrayLike,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    previous: Selection | ContingencyTables | None = None,
) -> Selection:
    """Return what a given sequence of choices gains, such as a random one.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view.
    indices : array_like of integers, shape (n_selected,)
        Row numbers in the order of choice, none of them twice.
    n_clusters, pairs, weights
        As in ``batch_greedy``.
    previous : Selection or ContingencyTables, optional
        What was selected before, by the same pairs, weights and clusters; it is not
        changed.

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
    tables = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    if previous is not None:
        former = tables_of(previous)
        if not former.is_like(tables):
            msg = (
                f"previous: expected tables of {len(tables.pairs)} pairs and clusters "
                f"{sizes}, as given, got others: {former!r}."
            )
            raise ValueError(msg)
        tables = former
    rows = _checked_indices(indices, len(ids))
    gains, objectives, after = replay_into(tables, ids, rows)
    return Selection(
        rows, gains, objectives, np.zeros(len(rows), np.int32), lambda: after
    )


def tables_of(previous: Selection | ContingencyTables) -> ContingencyTables:
    """Return the tables of what was selected before."""
    return previous.tables if isinstance(previous, Selection) else previous


def replay_into(
    before: ContingencyTables,
    assignments: NDArray[np.integer],
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], ContingencyTables]:
    """Return gains and objectives of choices in nats, and the tables after them.

    Validation is assumed; ``before`` is not changed.
    """
    tables = before.copy()
    scoring = tables.scoring
    trajectory = Trajectory(
        before,
        scoring.units_per_nat
        if scoring.is_exact
        else float(tables.relative_weights.sum()),
    )
    gains = np.empty(len(rows))
    objectives = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        counters = tables.counter_ids(assignments[rows[part]])
        earlier = _earlier_occurrences(counters.ravel()).reshape(counters.shape)
        scores = _scores(tables, tables.counters[counters] + earlier)
        gains[part], objectives[part] = trajectory.follow(scores)
        np.add.at(tables.counters, counters.ravel(), 1)
    return gains, objectives, tables


def _scores(
    tables: ContingencyTables, counts: NDArray[np.int64]
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return the scores of clips whose counters hold so many clips."""
    scoring = tables.scoring
    if scoring.is_exact:
        exact: NDArray[np.int64] = (
            gain_units(counts, unit_bits=scoring.unit_bits) @ tables.weights
        )
        return exact
    inexact: NDArray[np.float64] = (
        gain_units(counts) / UNITS_PER_NAT
    ) @ tables.signed_weights
    return inexact


def _earlier_occurrences(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each value occurred before its place."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(starts, append=len(values))
    earlier = np.empty(len(values), dtype=np.int64)
    earlier[order] = np.arange(len(values)) - np.repeat(starts, sizes)
    return earlier


def _checked_indices(indices: ArrayLike, n_clips: int) -> NDArray[np.int64]:
    """Return row numbers that are in range and distinct."""
    rows = np.asarray(indices)
    if rows.ndim != 1 or rows.size == 0 or not np.issubdtype(rows.dtype, np.integer):
        msg = (
            "indices: expected at least one row number, of integer type and one axis, "
            f"got shape {rows.shape} of {rows.dtype}."
        )
        raise ValueError(msg)
    distinct = checked_rows(rows, n_clips, "indices")
    if len(distinct) < len(rows):
        msg = (
            f"indices: expected each row once, got {len(rows) - len(distinct)} of "
            f"{len(rows)} again."
        )
        raise ValueError(msg)
    return rows.astype(np.int64)
