"""The clips that are not selected, and random batches of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.kernels import draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.draw import Groups

# A pool is listed anew when fewer than one in so many of its places are left.
_SPARSE = 4
# Draws for each clip wanted, before the pool is listed anew.
_PATIENCE = 32


class CandidatePool:
    """Row numbers that are not selected, and random batches of them.

    A batch depends on the seed, its number, the rows selected before it, and on how
    many had been selected when the pool was last listed (``listed_at``), on nothing
    else: from these a pool is made again after a break.

    Parameters
    ----------
    n_clips : int
        Number of rows, below 2**32.
    seed : int
        Seed of the draws; its low 64 bits count.
    groups : Groups
        Limits: a row is drawn only while its groups are open.
    excluded : ndarray of int64, optional
        Rows that are never drawn.

    Notes
    -----
    Memory: one bit for each row, and four bytes for each row left once a quarter is.
    """

    def __init__(
        self,
        n_clips: int,
        seed: int,
        groups: Groups,
        *,
        excluded: NDArray[np.int64] | None = None,
    ) -> None:
        self._seed = np.uint64(seed & (2**64 - 1))
        self._groups = groups
        self._rows = np.empty(0, dtype=np.uint32)
        self._n_pool = n_clips
        self._taken = np.zeros(n_clips // 64 + 1, dtype=np.uint64)
        self._n_gone = 0
        self._places = np.empty(0, dtype=np.int64)
        self.n_selected = 0
        self.listed_at = -1
        if excluded is not None and len(excluded):
            draw.mark(self._taken, np.asarray(excluded, dtype=np.int64))
            self._n_gone = len(np.unique(excluded))

    def draw(self, size: int, batch: int) -> NDArray[np.int64]:
        """Return a random batch in random order, at most of all rows left.

        Parameters
        ----------
        size : int
            Rows wanted.
        batch : int
            Number of the batch.
        """
        n_left = self._n_pool - self._n_gone
        stream = np.uint64(draw.stream_of(self._seed, np.uint64(batch)))
        if n_left >= _SPARSE * size and n_left * _SPARSE >= self._n_pool:
            places = np.empty(size, dtype=np.int64)
            patience = _PATIENCE * size + 1024
            n_drawn = draw.draw_by_rejection(
                *(self._taken, self._rows, self._n_pool, size, stream, patience),
                *(self._groups, places),
            )
            if n_drawn == size:
                self._places = places
                return self._rows_at(places)
            draw.put_back(self._taken, places[:n_drawn], np.zeros(n_drawn, dtype=bool))
        self.list_anew()
        if self._n_pool >= _SPARSE * size:
            return self.draw(size, batch)
        places = np.empty(min(size, self._n_pool), dtype=np.int64)
        draw.draw_by_shuffle(self._n_pool, len(places), stream, places)
        draw.mark(self._taken, places)
        self._places = places
        return self._rows_at(places)

    def draw_all(self) -> NDArray[np.int64]:
        """Return all rows left in rising order as a batch."""
        self.list_anew()
        self._places = np.arange(self._n_pool)
        draw.mark(self._taken, self._places)
        return self._rows_at(self._places)

    def keep(self, positions: NDArray[np.int64]) -> None:
        """Select the rows at these positions of the batch drawn last, put back others.

        A selected row is never drawn again.
        """
        is_kept = np.zeros(len(self._places), dtype=bool)
        is_kept[positions] = True
        draw.put_back(self._taken, self._places, is_kept)
        self._n_gone += len(positions)
        self.n_selected += len(positions)

    def select(self, rows: NDArray[np.int64]) -> None:
        """Select rows that are left without a draw."""
        places = rows
        if self.listed_at >= 0:
            # Listed rows are in rising order.
            places = np.searchsorted(self._rows, rows).astype(np.int64)
        draw.mark(self._taken, places)
        self._n_gone += len(rows)
        self.n_selected += len(rows)

    def list_anew(self) -> None:
        """List the rows that may still be drawn, and forget the others."""
        n_most = max(self._n_pool - self._n_gone, 0)
        rows = np.empty(n_most, dtype=np.uint32)
        n = draw.open_rows(self._taken, self._rows, self._n_pool, self._groups, rows)
        self._rows = rows[:n].copy() if n < n_most // 2 else rows[:n]
        self._n_pool, self._n_gone = n, 0
        self._taken = np.zeros(n // 64 + 1, dtype=np.uint64)
        self.listed_at = self.n_selected

    def _rows_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.listed_at < 0:
            return places
        return self._rows[places].astype(np.int64)
