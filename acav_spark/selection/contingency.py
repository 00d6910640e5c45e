"""Contingency tables of a selection: all that the next choice depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from acav_spark.selection._validation import (
    Pairs,
    checked_assignments,
    checked_candidates,
    checked_n_clusters,
    checked_pairs,
)
from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units
from acav_spark.selection.mutual_info import mutual_information

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Rows whose counters are looked up at once: 55 counters of ten views take 29 MB.
_CHUNK = 1 << 16


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

    Notes
    -----
    Memory is eight bytes for every cell: 90 MB for 45 pairs of 500 clusters.
    """

    pairs: Pairs
    n_clusters: tuple[int, ...]
    counters: NDArray[np.int64]

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
    ) -> Self:
        """Return the tables of no clip."""
        checked = checked_pairs(pairs, n_views)
        sizes = checked_n_clusters(n_clusters, n_views)
        n_cells = sum(sizes[u] * sizes[v] for u, v in checked)
        return cls(checked, sizes, np.zeros(n_cells + sum(sizes), dtype=np.int64))

    @classmethod
    def from_assignments(
        cls,
        assignments: ArrayLike,
        pairs: Sequence[tuple[int, int]],
        *,
        n_clusters: int | Sequence[int],
    ) -> Self:
        """Return the tables of all clips of ``assignments``."""
        ids, sizes = checked_assignments(assignments, n_clusters)
        tables = cls.empty(pairs, n_clusters=sizes, n_views=ids.shape[1])
        for start in range(0, len(ids), _CHUNK):
            chunk = tables.counter_ids(ids[start : start + _CHUNK])
            np.add.at(tables.counters, chunk.ravel(), 1)
        return tables

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each pair's table, then each view's margin, starts; the end is last."""
        cells = [self.n_clusters[u] * self.n_clusters[v] for u, v in self.pairs]
        return np.cumsum([0, *cells, *self.n_clusters], dtype=np.int64)

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """Sign and weight of each of a clip's counters in its score.

        A cell counts once; a margin counts against a clip once for every pair that
        holds its view.
        """
        memberships = np.bincount(np.ravel(self.pairs), minlength=len(self.n_clusters))
        cells = np.ones(len(self.pairs), dtype=np.int64)
        return np.concatenate([cells, -memberships.astype(np.int64)])

    @property
    def n_clips(self) -> int:
        """Number of clips that were counted."""
        return int(self.margin(0).sum())

    def copy(self) -> ContingencyTables:
        """Return tables that share no memory with these."""
        return ContingencyTables(self.pairs, self.n_clusters, self.counters.copy())

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
        """Return the mean mutual information over the pairs, in nats."""
        return float(self.mutual_information_by_pair().mean())

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
        Change of each pair's mutual information divided by the number of pairs, in
        the order of ``tables.pairs``; their sum is the change of the objective.

    Raises
    ------
    ValueError
        If the row has another number of views, or an id that is out of range.
    """
    ids = checked_candidates(np.asarray(row)[None], tables.n_clusters)
    n_clips = tables.n_clips
    if n_clips == 0:
        return np.zeros(len(tables.pairs))
    counters = tables.counter_ids(ids)[0]
    gains = gain_units(tables.counters[counters]) / UNITS_PER_NAT
    cells, margins = gains[: len(tables.pairs)], gains[len(tables.pairs) :]
    first, second = np.array(tables.pairs).T
    scores = cells - margins[first] - margins[second]
    log_n = np.log(n_clips)
    sums = tables.mutual_information_by_pair() - log_n
    changes = np.log1p(1 / n_clips) + (scores - sums) / (n_clips + 1)
    return np.asarray(changes / len(tables.pairs))
