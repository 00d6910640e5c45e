"""The clips that are not selected, and random batches of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.kernels import draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.draw import Groups

# A pool is listed anew when fewer than one in so many of its places are left.
_SPARSE = 4
# Draws for each clip wanted, before the pool is listed anew.
_PATIENCE = 32


# A batch drawn ahead has so many rows more, and so many times those to be expected to
# be selected meanwhile, or to be closed by limits.
_EXTRA, _TIMES, _TIMES_LIMITED = 32, 2, 8


def most_extra(size: int) -> int:
    """Return how many rows at most a batch drawn ahead has more than ``size``."""
    return size // 8 + 64


class DrawnAhead(NamedTuple):
    """A batch that was drawn before the one before it was chosen from.

    Parameters
    ----------
    size, number : int
        Rows wanted, and number of the batch.
    places : ndarray of int64, shape (n_drawn,)
        Where the rows are in the pool, more of them than wanted.
    rows : ndarray of int64, shape (n_drawn,)
        The rows in the order in which they were drawn.
    """

    size: int
    number: int
    places: NDArray[np.int64]
    rows: NDArray[np.int64]


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
        if self._is_roomy(size):
            places = self._drawn_by_rejection(size, batch, size, self._groups)
            if len(places) == size:
                self._places = places
                return self._rows_at(places)
        self.list_anew()
        if self._n_pool >= _SPARSE * size:
            return self.draw(size, batch)
        places = np.empty(min(size, self._n_pool), dtype=np.int64)
        draw.draw_by_shuffle(self._n_pool, len(places), self._stream(batch), places)
        self._places = places
        return self._rows_at(places)

    def draw_ahead(self, size: int, batch: int, n_most: int) -> DrawnAhead | None:
        """Draw a batch while up to ``n_most`` rows of the one before are selected.

        May run beside all but the pool's other methods. It draws some rows more, for
        those that turn out to be selected; ``settle`` says which. None where the batch
        cannot be drawn ahead.
        """
        if not self._is_roomy(size):
            return None
        times = _TIMES if self._groups.first.size == 0 else _TIMES_LIMITED
        expected = times * size * n_most // (self._n_pool - self._n_gone)
        n = size + min(_EXTRA + expected, most_extra(size))
        # Groups may close meanwhile, and are never opened again: one that is closed
        # already is left out, of the others ``settle`` knows more.
        places = self._drawn_by_rejection(size, batch, n, self._groups)
        if len(places) < n:
            return None
        return DrawnAhead(size, batch, places, self._rows_at(places))

    def settle(self, ahead: DrawnAhead) -> NDArray[np.int64] | None:
        """Make a batch drawn ahead the one drawn last, after ``keep``.

        Parameters
        ----------
        ahead : DrawnAhead
            From ``draw_ahead``, when the pool was as before the last ``keep``.

        Returns
        -------
        ndarray of int64, or None
            Positions of ``ahead`` that are not in the batch: the others are what
            ``draw`` would return, in its order. None where too few are left: then
            ``draw`` is to be called.
        """
        if not self._is_roomy(ahead.size):
            return None
        ghosts = np.empty(len(ahead.places), dtype=np.int64)
        n_ghosts = draw.find_ghosts(
            *(self._taken, ahead.places, ahead.rows, ahead.size, self._groups, ghosts)
        )
        if len(ahead.places) - n_ghosts < ahead.size:
            return None
        self._places = ahead.places
        return ghosts[:n_ghosts]

    def draw_all(self) -> NDArray[np.int64]:
        """Return all rows left in rising order as a batch."""
        self.list_anew()
        self._places = np.arange(self._n_pool)
        return self._rows_at(self._places)

    def keep(self, positions: NDArray[np.int64]) -> None:
        """Select the rows at these positions of the batch drawn last.

        A selected row is never drawn again.
        """
        draw.mark(self._taken, self._places[positions])
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

    def _is_roomy(self, size: int) -> bool:
        """Return whether a batch is drawn by rejection before the pool is listed."""
        n_left = self._n_pool - self._n_gone
        return n_left >= _SPARSE * size and n_left * _SPARSE >= self._n_pool

    def _stream(self, batch: int) -> np.uint64:
        return np.uint64(draw.stream_of(self._seed, np.uint64(batch)))

    def _drawn_by_rejection(
        self, size: int, batch: int, n: int, groups: Groups
    ) -> NDArray[np.int64]:
        """Return ``n`` places, or fewer where a batch of ``size`` is not worth it."""
        places = np.empty(n, dtype=np.int64)
        patience = _PATIENCE * size + 1024
        n_drawn = draw.draw_by_rejection(
            *(self._taken, self._rows, self._n_pool, n, self._stream(batch)),
            *(patience, groups, places),
        )
        return places[:n_drawn]

    def _rows_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.listed_at < 0:
            return places
        return self._rows[places].astype(np.int64)
