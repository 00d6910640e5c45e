"""Contingency tables of a selection: all that the next choice depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from acav_spark.selection._validation import (
    Pairs,
    checked_assignments,
    checked_candidates,
    checked_n_clusters,
    checked_pairs,
    checked_weights,
)
from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units
from acav_spark.selection.mutual_info import mutual_information
from acav_spark.selection.weights import Scoring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_Number = TypeVar("_Number", np.int64, np.float64)
# 17 GB of counters; 45 pairs of 2,000 clusters have 180 million cells.
MAX_CELLS = 1 << 31


@dataclass(frozen=True, eq=False)
class ContingencyTables:
    """Counts of selected clips by pairs of clusters, and by single clusters.

    Make one by ``empty`` or ``from_assignments``; a selection returns its own.

    Parameters
    ----------
    pairs : tuple of (int, int)
        Pairs of views whose mutual information is averaged.
    n_clusters : tuple of int
        Number of clusters of each view.
    counters : ndarray of int64, shape (n_counters,)
        The tables of all pairs, one after another and each by rows, then the margins
        of all views.
    pair_weights : tuple of float, optional
        Weight of each pair in the mean; by default all are equal.

    Notes
    -----
    Memory is eight bytes for every cell: 90 MB for 45 pairs of 500 clusters.
    """

    pairs: Pairs
    n_clusters: tuple[int, ...]
    counters: NDArray[np.int64]
    pair_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        expected = (int(self.offsets[-1]),)
        if self.counters.shape != expected or self.counters.dtype != np.int64:
            msg = (
                f"ContingencyTables: expected int64 counters of shape {expected}, got "
                f"{self.counters.dtype} of shape {self.counters.shape}."
            )
            raise ValueError(msg)

    def __repr__(self) -> str:
        return (
            f"ContingencyTables(n_clips={self.n_clips}, n_pairs={len(self.pairs)}, "
            f"n_clusters={self.n_clusters})"
        )

    @classmethod
    def empty(
        cls,
        pairs: Sequence[tuple[int, int]],
        *,
        n_clusters: int | Sequence[int],
        n_views: int,
        pair_weights: ArrayLike | None = None,
    ) -> Self:
        """Return the tables of no clip.

        Raises
        ------
        ValueError
            If a pair, a number of clusters or a weight is not what it should be, or the
            tables would have more than 2**31 cells.
        """
        checked = checked_pairs(pairs, n_views)
        sizes = checked_n_clusters(n_clusters, n_views)
        n_cells = sum(sizes[u] * sizes[v] for u, v in checked)
        if n_cells > MAX_CELLS:
            msg = (
                f"n_clusters: expected at most {MAX_CELLS} cells in the tables of all "
                f"pairs (8 bytes each), got {n_cells} for {len(checked)} pairs. Take "
                "fewer clusters or fewer pairs."
            )
            raise ValueError(msg)
        weights = None
        if pair_weights is not None:
            given = checked_weights(pair_weights, len(checked), name="weights")
            weights = tuple(given.tolist())
        zeros = np.zeros(n_cells + sum(sizes), dtype=np.int64)
        return cls(checked, sizes, zeros, weights)

    @classmethod
    def from_assignments(
        cls,
        assignments: ArrayLike,
        pairs: Sequence[tuple[int, int]],
        *,
        n_clusters: int | Sequence[int],
        pair_weights: ArrayLike | None = None,
    ) -> Self:
        """Return the tables of all clips of ``assignments``."""
        ids, sizes = checked_assignments(assignments, n_clusters)
        tables = cls.empty(
            pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=pair_weights
        )
        tables.count(ids)
        return tables

    def count(self, assignments: NDArray[np.integer]) -> None:
        """Add clips to the counters, in place; their ids are not checked."""
        from acav_spark.selection.kernels.counting import count_rows

        first, second = np.array(self.pairs, dtype=np.int64).T
        widths = np.array(self.n_clusters, dtype=np.int64)[second]
        native = assignments.dtype.newbyteorder("=")
        count_rows(
            assignments.astype(native, copy=False),
            *(first, second, widths, self.offsets, self.counters),
        )

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each pair's table, then each view's margin, starts; the end is last."""
        cells = [self.n_clusters[u] * self.n_clusters[v] for u, v in self.pairs]
        return np.cumsum([0, *cells, *self.n_clusters], dtype=np.int64)

    @cached_property
    def scoring(self) -> Scoring:
        """How choices are scored under the weights of the pairs."""
        return Scoring(self._given_weights())

    @cached_property
    def relative_weights(self) -> NDArray[np.float64]:
        """Weight of each pair as it counts; ones where none were given.

        Where choices are made by integers these are the rounded weights.
        """
        given = self._given_weights()
        if not self.scoring.is_exact:
            return given
        return self.scoring.integer_weights.astype(np.float64)

    def _given_weights(self) -> NDArray[np.float64]:
        if self.pair_weights is None:
            return np.ones(len(self.pairs))
        return np.array(self.pair_weights)

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """Sign and integer weight of each of a clip's counters in its score.

        A cell counts with the weight of its pair; a margin counts against a clip with
        the weights of all pairs that hold its view.
        """
        cells = self.scoring.integer_weights
        return np.concatenate([cells, -self._by_view(cells)])

    @cached_property
    def signed_weights(self) -> NDArray[np.float64]:
        """Like ``weights``, as they were given."""
        return np.concatenate(
            [self.relative_weights, -self._by_view(self.relative_weights)]
        )

    def _by_view(self, by_pair: NDArray[_Number]) -> NDArray[_Number]:
        """Return the sum over the pairs that hold a view, for each view."""
        sums = np.zeros(len(self.n_clusters), dtype=by_pair.dtype)
        for view in (0, 1):
            np.add.at(sums, np.array(self.pairs)[:, view], by_pair)
        return sums

    @property
    def n_clips(self) -> int:
        """Number of clips that were counted."""
        return int(self.margin(0).sum())

    def copy(self) -> ContingencyTables:
        """Return tables that share no memory with these."""
        return self.with_counters(self.counters.copy())

    def with_counters(self, counters: NDArray[np.int64]) -> ContingencyTables:
        """Return tables of the same pairs, clusters and weights with other counts."""
        return replace(self, counters=counters)

    def is_like(self, other: ContingencyTables) -> bool:
        """Return whether other tables have the same pairs, clusters and weights."""
        return (self.pairs, self.n_clusters, self.pair_weights) == (
            other.pairs,
            other.n_clusters,
            other.pair_weights,
        )

    def margin(self, view: int) -> NDArray[np.int64]:
        """Return the number of clips in each cluster of a view."""
        first = len(self.pairs) + range(len(self.n_clusters))[view]
        return self.counters[self.offsets[first] : self.offsets[first + 1]]

    def table(self, first: int, second: int) -> NDArray[np.int64]:
        """Return the table of a pair of views, one row for a cluster of ``first``."""
        if (first, second) in self.pairs:
            place = self.pairs.index((first, second))
        elif (second, first) in self.pairs:
            return self.table(second, first).T
        else:
            msg = (
                f"table: expected one of the {len(self.pairs)} pairs of these tables, "
                f"got ({first}, {second})."
            )
            raise ValueError(msg)
        cells = self.counters[self.offsets[place] : self.offsets[place + 1]]
        return cells.reshape(self.n_clusters[first], self.n_clusters[second])

    def mutual_information_by_pair(self) -> NDArray[np.float64]:
        """Return the mutual information of each pair in nats, zero without a clip."""
        if self.n_clips == 0:
            return np.zeros(len(self.pairs))
        return np.array([mutual_information(self.table(u, v)) for u, v in self.pairs])

    def objective(self) -> float:
        """Return the weighted mean mutual information over the pairs, in nats."""
        by_pair = self.mutual_information_by_pair()
        if self.pair_weights is None:
            return float(by_pair.mean())
        return float(np.average(by_pair, weights=self.relative_weights))

    def counter_ids(self, assignments: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the counters that each clip is counted in; ids are not checked.

        Parameters
        ----------
        assignments : ndarray of integers, shape (n_clips, n_views)
            Cluster ids.

        Returns
        -------
        ndarray of int64, shape (n_clips, n_pairs + n_views)
            The cell of each pair, then the margin of each view.
        """
        ids = assignments.astype(np.int64)
        first, second = np.array(self.pairs, dtype=np.int64).T
        widths = np.array(self.n_clusters, dtype=np.int64)[second]
        counters = np.empty((len(ids), len(self.weights)), dtype=np.int64)
        n_pairs = len(self.pairs)
        np.multiply(ids[:, first], widths, out=counters[:, :n_pairs])
        counters[:, :n_pairs] += ids[:, second]
        counters[:, n_pairs:] = ids
        counters += self.offsets[:-1]
        return counters


def gain_by_pair(tables: ContingencyTables, row: ArrayLike) -> NDArray[np.float64]:
    """Return what each pair of views adds to a clip's gain, in nats.

    Parameters
    ----------
    tables : ContingencyTables
        Tables of the clips that were selected before; at the moment that the clip of
        rank ``r`` was chosen, those of the clips of the ranks before.
    row : array_like of integers, shape (n_views,)
        The clip's cluster ids.

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
        Change of each pair's mutual information times its share of the weights, in
        the order of ``tables.pairs``; their sum is the change of the objective.

    Raises
    ------
    ValueError
        If the row has another number of views, or an id that is out of range.
    """
    gains: NDArray[np.float64] = gains_by_pair(tables, np.asarray(row)[None])[0]
    return gains


def gains_by_pair(tables: ContingencyTables, rows: ArrayLike) -> NDArray[np.float64]:
    """Return what each pair adds to the gain of each clip, each taken alone, in nats.

    Parameters
    ----------
    tables : ContingencyTables
        Tables of the selected clips; the final ones tell what a clip that was not
        selected would still gain.
    rows : array_like of integers, shape (n_clips, n_views)
        Cluster ids.

    Returns
    -------
    ndarray of float64, shape (n_clips, n_pairs)
        As ``gain_by_pair``, which see.

    Raises
    ------
    ValueError
        If rows have another number of views, or an id that is out of range.
    """
    ids = checked_candidates(rows, tables.n_clusters)
    n_clips, n_pairs = tables.n_clips, len(tables.pairs)
    if n_clips == 0:
        return np.zeros((len(ids), n_pairs))
    gains = gain_units(tables.counters[tables.counter_ids(ids)]) / UNITS_PER_NAT
    cells, margins = gains[:, :n_pairs], gains[:, n_pairs:]
    first, second = np.array(tables.pairs).T
    scores = cells - margins[:, first] - margins[:, second]
    sums = tables.mutual_information_by_pair() - np.log(n_clips)
    changes = np.log1p(1 / n_clips) + (scores - sums) / (n_clips + 1)
    weights = tables.relative_weights
    shares: NDArray[np.float64] = changes * (weights / weights.sum())
    return shares
