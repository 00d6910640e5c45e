"""Setting up batches: space for them, their rows, lists and bounds, by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.kernels import bounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import ParamSpec, TypeVar

    from numpy.typing import NDArray

    from acav_spark.selection.kernels.layout import Layout

    P = ParamSpec("P")
    R = TypeVar("R")

# Members of a cluster are 16-bit numbers where a batch is no larger than this.
_SHORT_BATCH = 1 << 16
NO_GHOSTS = np.empty(0, dtype=np.int64)
"""Positions that cannot be taken, of a batch that was not drawn ahead."""


class Prepared(NamedTuple):
    """A batch whose rows were copied.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_rows,)
        Its rows.
    batch : Batch
        Where they are.
    is_listed : bool
        Whether they were listed by cluster, too.
    """

    rows: NDArray[np.int64]
    batch: bounds.Batch
    is_listed: bool


class BatchSetup:
    """Copies, lists and bounds batches.

    Parameters
    ----------
    layout : Layout
        How the tables lie in memory.
    n_clusters : ndarray of int64, shape (n_views,)
        Clusters of each view.
    batch_size : int
        Rows of the largest batch.
    n_threads : int
        Threads; with more than one, a batch can be prepared beside the one before it.
    """

    def __init__(
        self,
        layout: Layout,
        n_clusters: NDArray[np.int64],
        batch_size: int,
        n_threads: int,
    ) -> None:
        self._layout = layout
        self._n_clusters = n_clusters
        self._n_threads = max(1, min(n_threads, len(layout.own_view)))
        self._shares = self._shared_strips()
        self._threads = (
            ThreadPoolExecutor(self._n_threads - 1) if self._n_threads > 1 else None
        )
        self._spaces = [
            self._space(batch_size) for _ in range(1 if self._threads is None else 2)
        ]
        self._n_prepared = 0

    @property
    def is_parallel(self) -> bool:
        """Whether there are other threads than the caller's."""
        return self._threads is not None

    def submit(
        self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]:
        """Have another thread call a function, after all that was submitted before.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self._threads is None:
            msg = "threads: expected at least 2, got 1. See is_parallel."
            raise ValueError(msg)
        return self._threads.submit(function, *args, **kwargs)

    def prepare(
        self,
        assignments: NDArray[np.integer],
        rows: NDArray[np.int64],
        *,
        lists: bool,
    ) -> Prepared:
        """Copy a batch, and list it where ``lists`` says so rather than when bounded.

        With other threads the batch prepared before this one is left as it is.

        Parameters
        ----------
        assignments : ndarray of integers, shape (n_clips, n_views)
            Cluster ids; not checked.
        rows : ndarray of int64, shape (n_rows,)
            The batch, at most ``batch_size`` rows.
        lists : bool
            See above.
        """
        batch = self._spaces[self._n_prepared % len(self._spaces)]
        self._n_prepared += 1
        source, places = assignments, rows
        if not (source.flags.c_contiguous and source.dtype.isnative):
            native = source.dtype.newbyteorder("=")
            source = np.ascontiguousarray(source[rows], dtype=native)
            places = np.arange(len(rows))
        bounds.gather(source, places, batch)
        if lists:
            n, layout = len(rows), self._layout
            bounds.list_all_members(batch, n, self._n_clusters, layout)
        return Prepared(rows, batch, lists)

    def bound(self, prepared: Prepared, codes: bounds.Codes) -> None:
        """Sum the bounds of all scores, each thread its share of the strips."""
        batch, n, n_clusters = prepared.batch, len(prepared.rows), self._n_clusters
        shares = [
            (
                *(batch, n, prepared.is_listed, n_clusters, self._layout),
                *(codes, codes.gain_row, strips, thread),
            )
            for thread, strips in enumerate(self._shares)
        ]
        others = [self.submit(bounds.set_up, *share) for share in shares[1:]]
        bounds.set_up(*shares[0])
        for other in others:
            other.result()

    def _shared_strips(self) -> list[NDArray[np.int64]]:
        """Return each thread's strips, so that all have about as much to do."""
        shares: list[list[int]] = [[] for _ in range(self._n_threads)]
        work = [0] * self._n_threads
        # A strip is listed once and then looked up lane by lane.
        costs = self._layout.n_lanes + 2
        for strip in np.argsort(-costs, kind="stable").tolist():
            thread = int(np.argmin(work))
            shares[thread].append(strip)
            work[thread] += int(costs[strip])
        return [np.array(sorted(share), dtype=np.int64) for share in shares]

    def _space(self, batch_size: int) -> bounds.Batch:
        """Return space for a batch."""
        b, n_views = batch_size, len(self._n_clusters)
        n_strips, most = len(self._layout.own_view), int(self._n_clusters.max())
        kind = np.dtype(np.uint16 if most <= 1 << 16 else np.uint32)
        short = np.dtype(np.uint16 if b <= _SHORT_BATCH else np.int32)
        row_stride = 1 << (n_views - 1).bit_length()
        return bounds.Batch(
            np.zeros((b, row_stride), dtype=kind),
            np.zeros((n_views, b), dtype=kind),
            np.zeros((n_strips, most + 1), dtype=np.int32),
            np.zeros((n_strips, b), dtype=short),
            np.zeros((n_strips, b), dtype=np.int64),
            np.zeros((self._n_threads, b), dtype=np.int32),
        )
