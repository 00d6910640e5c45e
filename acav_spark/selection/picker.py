"""Contingency tables in the form that choices are made from, and the choices.

The exact picker has the compiled loops behind it; weights too steep for integers take
the float64 picker of ``float_picker``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from acav_spark.selection.batch_setup import NO_GHOSTS, BatchSetup
from acav_spark.selection.count_codes import code_limits
from acav_spark.selection.fixed_point import (
    FRACTION_BITS,
    gain_table,
    gain_units,
)
from acav_spark.selection.kernels import (
    bounds,
    dense,
    draw,
    layout,
    picks,
    ranking,
    rounds,
)
from acav_spark.selection.kernels import scores as scoring_loops

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from acav_spark.selection.batch_setup import Prepared
    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.kernels.gain import GainTable

# Candidates that are looked through at each choice; more only cost time.
_MOST_HOT = 2048
# Counts whose codes are looked up when all cells are coded.
_N_SMALL = 1 << 18


class Taken(NamedTuple):
    """What was taken from a batch.

    Parameters
    ----------
    positions : ndarray of int64, shape (n_taken,)
        Positions in the batch in the order of choice.
    scores : ndarray of float64 or int64, shape (n_taken,)
        Score of each against the clips taken before it, without a prior.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.int64] | NDArray[np.float64]


class Picker(Protocol):
    """Takes the best of a batch given everything taken so far."""

    units_per_nat: float

    def take_best(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take up to ``n_take`` of the given rows, counting each before the next."""
        ...

    def take_top(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take the ``n_take`` best of one scoring of the given rows."""
        ...

    def tables(self) -> ContingencyTables:
        """Return the counts of everything taken so far, the former clips included."""
        ...


def _do_nothing() -> None:
    """Have nothing done."""


def open_positions(
    order: NDArray[np.int64], rows: NDArray[np.int64], n_take: int, groups: draw.Groups
) -> NDArray[np.int64]:
    """Return the first positions of an order whose groups are open; count them."""
    if groups.first.size == 0:
        return order[:n_take]
    found: list[int] = []
    for position in order.tolist():
        if len(found) == n_take:
            break
        row = int(rows[position])
        if draw.is_open(row, groups):
            groups.left[groups.first + groups.of_row[:, row]] -= 1
            found.append(position)
    return np.array(found, dtype=np.int64)


class ExactPicker:
    """Chooses by exact integers; see ``kernels.picks`` for how.

    Parameters
    ----------
    tables : ContingencyTables
        Counts to start from; not changed.
    prior : ndarray of int64, shape (n_counters,), optional
        Pseudo-counts in units of ``2**-12`` clips, in the order of ``tables.counters``.
    batch_size : int
        Candidates of the largest batch.
    n_expected : int
        Clips that will be taken, about: codes of counts are made for them.
    n_threads : int, default 1
        Threads that set up a batch; the choices do not depend on it.

    Notes
    -----
    Memory: 9 bytes for each cell (18 with a prior), 100 MB for 45 pairs of 500
    clusters, and about ``12 n_views + 40`` bytes for each candidate of a batch.
    """

    def __init__(
        self,
        tables: ContingencyTables,
        *,
        prior: NDArray[np.int64] | None = None,
        batch_size: int,
        n_expected: int,
        n_threads: int = 1,
    ) -> None:
        self._former = tables
        scoring = tables.scoring
        self.units_per_nat = scoring.units_per_nat
        self._layout = layout.StripLayout(
            tables.pairs, tables.n_clusters, scoring.integer_weights
        )
        arrays = self._layout.arrays
        self._n_clusters = np.array(tables.n_clusters, dtype=np.int64)
        self._whole = gain_table(scoring.unit_bits)
        bits = 0 if prior is None else FRACTION_BITS
        self._table = gain_table(scoring.unit_bits, bits)
        counters = tables.counters
        self._own = self._counts(np.empty(0, dtype=np.int64), self._whole, 1)
        if prior is not None:
            self._own = self._counts(counters, self._whole, 1)
            counters = (counters << bits) + prior
        self._counts_used = self._counts(counters, self._table, 1 << bits)
        most = int(counters.max(initial=0)) + (max(n_expected, 1 << 12) << bits)
        self._codes = self._coded(most)
        nothing = np.empty(0, dtype=np.uint8)
        self._no_codes = self._codes._replace(of_cell=nothing)
        self.setup = BatchSetup(arrays, self._n_clusters, batch_size, n_threads)
        self._ranking = ranking.ranking_space(batch_size)

    def take_best(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take up to ``n_take`` of the given rows, counting each before the next.

        Parameters
        ----------
        assignments : ndarray of integers, shape (n_clips, n_views)
            Cluster ids; not checked.
        rows : ndarray of int64, shape (n_rows,)
            The batch, at most ``batch_size`` rows.
        n_take : int
            How many to take.
        groups : Groups
            Limits, whose counts are brought down.
        """
        prepared = self.setup.prepare(assignments, rows, lists=False)
        return self.take_prepared(prepared, NO_GHOSTS, n_take, groups, _do_nothing)

    def take_prepared(
        self,
        prepared: Prepared,
        ghosts: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
        then: Callable[[], None],
    ) -> Taken:
        """Take from a batch that ``setup`` prepared; see ``take_best``.

        Parameters
        ----------
        prepared : Prepared
            The batch and its ghosts.
        ghosts : ndarray of int64
            Positions that cannot be taken.
        n_take, groups
            As in ``take_best``.
        then : callable
            Called once the other threads are free.
        """
        self.setup.bound(prepared, self._codes)
        then()
        batch, rows = prepared.batch, prepared.rows
        n, arrays = len(rows), self._layout.arrays
        ranking.start_ranking(
            *(batch, n, ghosts, self._counts_used.margin_terms),
            *(self._codes.shift, self._ranking),
        )
        positions = np.empty(n_take, dtype=np.int64)
        scores = np.empty(n_take, dtype=np.int64)
        n_taken, _ = picks.take(
            batch,
            rows,
            n - len(ghosts),
            n_take,
            min(2 * n_take, _MOST_HOT),
            dense.is_better(batch, n, self._n_clusters, arrays),
            arrays,
            self._counts_used,
            self._codes,
            self._table,
            groups,
            self._own,
            self._ranking,
            positions,
            scores,
        )
        return Taken(positions[:n_taken], scores[:n_taken])

    def take_top(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        n_take: int,
        groups: draw.Groups,
    ) -> Taken:
        """Take the ``n_take`` best of one scoring, as the published code does."""
        batch = self.setup.prepare(assignments, rows, lists=False).batch
        scores = np.empty(len(rows), dtype=np.int64)
        arrays, counts = self._layout.arrays, self._counts_used
        scoring_loops.read_scores(batch, len(rows), arrays, counts, self._table, scores)
        positions = open_positions(
            np.argsort(-scores, kind="stable"), rows, n_take, groups
        )
        taken = np.empty(len(positions), dtype=np.int64)
        scoring_loops.count_given(
            batch, positions, arrays, counts, self._codes, self._table, taken
        )
        if len(self._own.cells):
            scoring_loops.count_given(
                *(batch, positions, arrays, self._own),
                *(self._no_codes, self._whole, taken),
            )
        return Taken(positions, taken)

    def forget(self, clusters: NDArray[np.integer]) -> None:
        """Take clips out of the counts again, as if they had not been taken.

        Parameters
        ----------
        clusters : ndarray of integers, shape (n_clips, n_views)
            Cluster ids of clips that were taken.
        """
        arrays, codes = self._layout.arrays, self._codes
        rounds.uncount(
            *(clusters, arrays, self._counts_used),
            *(codes.of_cell, codes.limit, self._table),
        )
        if len(self._own.cells):
            rounds.uncount(
                *(clusters, arrays, self._own),
                *(self._no_codes.of_cell, codes.limit, self._whole),
            )

    def tables(self) -> ContingencyTables:
        """Return the counts of everything taken so far, the former clips included."""
        used = self._own if len(self._own.cells) else self._counts_used
        counters = np.empty_like(self._former.counters)
        self._layout.from_cells(used.cells, counters)
        margins = [
            used.margins[view, :n] for view, n in enumerate(self._former.n_clusters)
        ]
        counters[self._layout.n_cells :] = np.concatenate(margins)
        return self._former.with_counters(counters)

    def _counts(
        self, counters: NDArray[np.int64], table: GainTable, step: int
    ) -> scoring_loops.Counts:
        """Return counts in the order of the layout; none for no counters."""
        n_views, most = len(self._n_clusters), int(self._n_clusters.max())
        margins = np.zeros((n_views, most), dtype=np.int64)
        if counters.size == 0:
            return scoring_loops.Counts(counters, margins[:, :0], margins[:, :0], step)
        if not counters.any():
            zeros = np.zeros(self._layout.n_cells, dtype=np.int64)
            return scoring_loops.Counts(zeros, margins, margins.copy(), step)
        start = self._layout.n_cells
        for view, n in enumerate(self._n_clusters.tolist()):
            margins[view, :n] = counters[start : start + n]
            start += n
        gains = gain_units(
            margins,
            unit_bits=self._former.scoring.unit_bits,
            fraction_bits=table.fraction_bits,
        )
        terms = gains * self._layout.arrays.view_weight[:, None]
        return scoring_loops.Counts(
            self._layout.to_cells(counters), margins, terms, step
        )

    def _coded(self, largest: int) -> bounds.Codes:
        """Return the one-byte codes of all cells, and what they stand for."""
        table, step = self._table, self._counts_used.step
        limit = code_limits(largest, table, step)
        arrays = self._layout.arrays
        weights, weight_of_lane = np.unique(arrays.lane_weight, return_inverse=True)
        gains = gain_units(
            limit,
            unit_bits=self._former.scoring.unit_bits,
            fraction_bits=table.fraction_bits,
        )
        total = int(arrays.lane_weight.sum()) * int(gains[-1])
        shift = max(0, total.bit_length() - 30)
        scaled = -((-weights[:, None] * gains[None, :]) >> shift)
        cells = self._counts_used.cells
        # Strips are read ahead of their end.
        of_cell = np.zeros(len(cells) + 16_384, dtype=np.uint8)
        if cells.any():
            small = np.searchsorted(limit, np.arange(_N_SMALL)).astype(np.uint8)
            rounds.code_counts(cells, small, limit, of_cell)
        return bounds.Codes(
            of_cell,
            limit,
            scaled.astype(np.int32).ravel(),
            weight_of_lane.astype(np.int64) * 256 if len(weights) > 1 else None,
            shift,
        )
