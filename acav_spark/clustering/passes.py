"""One pass of SGD over a shard of the samples, and what shards bring together.

Shards start an epoch from the same centres and run SGD apart, each over its own
mini-batches. What a shard returns is not where its centres went but what drew them
there: for each centre the number of its samples, and their *effective sum*, which is
the plain sum where the shard had a single mini-batch, and otherwise weighs samples as
SGD does, the last the most. The merged epoch moves each centre by the rule for all of
its samples together, towards their effective mean:

- with one shard that is SGD, to rounding;
- with one mini-batch a shard it is one step over a mini-batch of all shards, which is
  what the paper's 100,000 are taken to mean: ``n`` shards have mini-batches of
  ``100,000 / n``;
- otherwise it is the mean of shards that ran apart, which moves as far as SGD over all
  of them would. A mean of the shards' centres would not: at a rate of 0.01 a shard
  with three samples of a centre moves it by 3 %, however many other shards do too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.clustering.assignment import NearestFinder
from acav_spark.clustering.kernels.adding import (
    add_in_order,
    add_rows,
    move_centres,
)
from acav_spark.clustering.rules import kept_weight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class PassPlan(NamedTuple):
    """What every shard of an epoch starts from.

    Parameters
    ----------
    centres : ndarray of float64, shape (n_clusters, n_features)
        Where all shards start.
    n_updates : ndarray of int64, shape (n_clusters,)
        Samples that moved each centre since it was placed.
    rate : float
        Least weight of a sample; see ``rules``.
    batch_rows : int
        Samples of a shard whose nearest centres are found before centres move.
    """

    centres: NDArray[np.float64]
    n_updates: NDArray[np.int64]
    rate: float
    batch_rows: int


class PassSums(NamedTuple):
    """What a pass brings to the epoch.

    Parameters
    ----------
    sums : ndarray of float64, shape (n_clusters, n_features)
        Effective sum of each centre's samples.
    counts : ndarray of int64, shape (n_clusters,)
        Samples of each centre.
    inertia : float
        Sum of squared distances, each to the nearest centre at the time.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    inertia: float


def merged(passes: Iterable[PassSums]) -> PassSums:
    """Return what passes bring together, added in the given order in float64.

    Raises
    ------
    ValueError
        If there is none.
    """
    total: PassSums | None = None
    for one in passes:
        if total is None:
            total = PassSums(one.sums.copy(), one.counts.copy(), one.inertia)
        else:
            np.add(total.sums, one.sums, out=total.sums)
            np.add(total.counts, one.counts, out=total.counts)
            total = total._replace(inertia=total.inertia + one.inertia)
    if total is None:
        msg = "merged: expected at least one pass, got none."
        raise ValueError(msg)
    return total


def passed(plan: PassPlan, pieces: Iterable[NDArray[np.float32]]) -> PassSums:
    """Return what a pass over the pieces of a shard brings, in their order."""
    one = ShardPass(plan)
    for vectors in pieces:
        one.add(vectors)
    return one.finish()


class ShardPass:
    """SGD over one shard, fed with its preprocessed vectors in order.

    Parameters
    ----------
    plan : PassPlan
        What all shards start from; not changed.

    Notes
    -----
    Memory: ``4 * 8 * n_clusters * n_features`` bytes, and some blocks of 16 MiB; none
    of it grows with the rows.
    """

    def __init__(self, plan: PassPlan) -> None:
        centres = plan.centres
        self.centres = centres.copy()
        self._n_updates = plan.n_updates.copy()
        self._rate = plan.rate
        self._batch_rows = plan.batch_rows
        self._finder = NearestFinder(centres.astype(np.float32))
        self._batch_sums = np.zeros_like(self.centres)
        self._batch_counts = np.zeros(len(centres), dtype=np.int64)
        self._n_in_batch = 0
        self._is_moved = False
        # Of the way since the start: centres are kept * start + drawn.
        self._kept = np.ones(len(centres))
        self._drawn = np.zeros_like(self.centres)
        self._counts = np.zeros(len(centres), dtype=np.int64)
        self._inertia = 0.0

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Take the next vectors of the shard, in pieces of any number of rows."""
        start = 0
        while start < len(vectors):
            if self._n_in_batch == self._batch_rows:
                self._move()
            stop = start + min(
                self._finder.block_rows, self._batch_rows - self._n_in_batch
            )
            block = vectors[start:stop]
            labels, squared = self._finder.nearest(block)
            add_rows(block, labels, self._batch_sums, self._batch_counts)
            self._inertia = add_in_order(self._inertia, squared)
            self._n_in_batch += len(block)
            start = stop

    def finish(self) -> PassSums:
        """Return what the pass brings to the epoch; call it once, at the end."""
        if not self._is_moved:
            # A single mini-batch: plain sums.
            return PassSums(self._batch_sums, self._batch_counts, self._inertia)
        self._move()
        used = np.flatnonzero(self._counts)
        weights = self._counts[used] / (1 - self._kept[used])
        sums = np.zeros_like(self._drawn)
        sums[used] = self._drawn[used] * weights[:, None]
        return PassSums(sums, self._counts, self._inertia)

    def _move(self) -> None:
        """Move the centres by the mini-batch, and begin another."""
        used = np.flatnonzero(self._batch_counts)
        counts = self._batch_counts[used]
        kept = kept_weight(self._n_updates[used], counts, self._rate)
        weights = (1 - kept) / counts
        move_centres(used, kept, weights, self._batch_sums, self.centres, self._drawn)
        self._kept[used] *= kept
        self._n_updates[used] += counts
        self._counts[used] += counts
        self._batch_counts[:] = 0
        self._n_in_batch = 0
        self._is_moved = True
        self._finder = NearestFinder(self.centres.astype(np.float32))
