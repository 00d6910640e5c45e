"""Contingency tables as the rows of ``contingency``: one for each row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

COLUMNS = (
    "view_a INT, view_b INT, cluster_a INT, clusters_b ARRAY<INT>, n_clips ARRAY<LONG>"
)
"""What ``TableRows.batch`` gives, as Spark says it."""

# Counters of a block: 8 MB, far below what a row of Spark may have.
_BLOCK = 1 << 20


class TableRows:
    """Where the rows of all tables lie among the counters, cut into blocks of rows.

    Parameters
    ----------
    tables : ContingencyTables
        Of the pairs and clusters in question; its counts do not matter.

    Attributes
    ----------
    block_starts : ndarray of int64, shape (n_blocks + 1,)
        First counter of each block, rising; the number of counters is last. A block is
        some million counters and ends where a row of a table, or a margin, does.
    """

    def __init__(self, tables: ContingencyTables) -> None:
        offsets, sizes = tables.offsets, tables.n_clusters
        n_pairs = len(tables.pairs)
        self._pairs = np.array(tables.pairs, dtype=np.int32)
        self._offsets = offsets[:n_pairs]
        self._starts = np.concatenate(
            [
                offsets[pair] + np.arange(sizes[u], dtype=np.int64) * sizes[v]
                for pair, (u, v) in enumerate(tables.pairs)
            ]
        )
        self._end = int(offsets[n_pairs])
        self._widths = np.array([sizes[v] for _, v in tables.pairs], dtype=np.int64)
        starts = np.concatenate([self._starts, offsets[n_pairs:-1]])
        _, first = np.unique(starts // _BLOCK, return_index=True)
        self.block_starts = np.append(starts[first], offsets[-1])

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.block_starts) - 1

    def batch(self, block: int, counts: NDArray[np.int64]) -> pa.RecordBatch:
        """Return the rows of a block's tables that are not all zero.

        Parameters
        ----------
        block : int
            Number of the block.
        counts : ndarray of int64, shape (n_counters_of_the_block,)
            Its counters.

        Returns
        -------
        RecordBatch
            ``view_a``, ``view_b``, ``cluster_a``, and in two arrays of equal length the
            clusters of the second view with a count above zero, rising, and the counts.
        """
        start = self.block_starts[block]
        at = np.flatnonzero(counts[: max(self._end - start, 0)])
        counters = at + start
        row_of = np.searchsorted(self._starts, counters, side="right") - 1
        rows, firsts = np.unique(row_of, return_index=True)
        pair = np.searchsorted(self._offsets, self._starts[rows], side="right") - 1
        cluster_a = (self._starts[rows] - self._offsets[pair]) // self._widths[pair]
        clusters_b = (counters - self._starts[row_of]).astype(np.int32)
        ends = pa.array(np.append(firsts, len(at)).astype(np.int32))
        arrays = [
            pa.array(self._pairs[pair, 0]),
            pa.array(self._pairs[pair, 1]),
            pa.array(cluster_a.astype(np.int32)),
            pa.ListArray.from_arrays(ends, pa.array(clusters_b)),
            pa.ListArray.from_arrays(ends, pa.array(counts[at])),
        ]
        names = ["view_a", "view_b", "cluster_a", "clusters_b", "n_clips"]
        return pa.RecordBatch.from_arrays(arrays, names)
