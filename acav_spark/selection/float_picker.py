"""Choices by float64 scores, for weights too steep for integers.

What one more clip changes needs one look-up for each pair and each view: its cell and
margin counters. A batch therefore keeps, for every counter that occurs in it, the
candidates that are counted there; after a choice only those change their score. Ties
and near ties go by rounding; some 0.1 ms a choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.fixed_point import FRACTION_BITS, UNITS_PER_NAT, gain_units
from acav_spark.selection.kernels import draw
from acav_spark.selection.picker import Taken, open_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables


class FloatPicker:
    """Chooses by float64 scores; the interface is that of ``ExactPicker``.

    Parameters
    ----------
    tables : ContingencyTables
        Counts to start from; not changed.
    prior : ndarray of int64, shape (n_counters,), optional
        Pseudo-counts in units of ``2**-12`` clips.
    """

    def __init__(
        self, tables: ContingencyTables, *, prior: NDArray[np.int64] | None = None
    ) -> None:
        self._tables = tables.copy()
        self._prior = prior
        self._weights = tables.signed_weights
        self.units_per_nat = float(tables.relative_weights.sum())

    def take_best(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take up to ``n_take`` of the given rows; see ``ExactPicker.take_best``."""
        index = _CounterIndex(self._tables.counter_ids(assignments[rows]))
        counts = self._tables.counters[index.counters]
        prior = None if self._prior is None else self._prior[index.counters]
        weights = self._weights[index.columns]
        terms = weights * _gains(counts, prior)
        scores = terms[index.local].sum(axis=1)
        positions: list[int] = []
        taken_scores: list[float] = []
        while len(positions) < n_take and np.isfinite(scores).any():
            best = int(np.argmax(scores))
            score, scores[best] = float(scores[best]), -np.inf
            if not draw.is_open(int(rows[best]), groups):
                continue
            groups.left[groups.first + groups.of_row[:, rows[best]]] -= 1
            own = index.local[best]
            if prior is not None:
                score = float((weights[own] * _gains(counts[own], None)).sum())
            positions.append(best)
            taken_scores.append(score)
            counts[own] += 1
            changed = weights[own] * _gains(
                counts[own], None if prior is None else prior[own]
            )
            members, repeats = index.sharing(own)
            np.add.at(scores, members, np.repeat(changed - terms[own], repeats))
            terms[own] = changed
        self._tables.counters[index.counters] = counts
        return Taken(np.array(positions, dtype=np.int64), np.array(taken_scores))

    def take_top(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take the best of one scoring; see ``ExactPicker.take_top``."""
        ids = self._tables.counter_ids(assignments[rows])
        prior = None if self._prior is None else self._prior[ids]
        scores = _gains(self._tables.counters[ids], prior) @ self._weights
        order = np.argsort(-scores, kind="stable")
        positions = open_positions(order, rows, n_take, groups)
        taken = np.empty(len(positions))
        for i, position in enumerate(positions.tolist()):
            own = ids[position]
            taken[i] = _gains(self._tables.counters[own], None) @ self._weights
            self._tables.counters[own] += 1
        return Taken(positions, taken)

    def tables(self) -> ContingencyTables:
        """Return the counts of everything taken so far, the former clips included."""
        return self._tables.copy()


def _gains(
    counts: NDArray[np.int64], prior: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Return gains in nats."""
    if prior is None:
        units = gain_units(counts)
    else:
        fixed = (counts << FRACTION_BITS) + prior
        units = gain_units(fixed, fraction_bits=FRACTION_BITS)
    gains: NDArray[np.float64] = units / UNITS_PER_NAT
    return gains


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
