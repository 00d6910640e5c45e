"""Batch after batch: drawn, taken from, put back; with threads, the next meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from acav_spark.selection.batch_setup import NO_GHOSTS
from acav_spark.selection.picker import ExactPicker, Taken

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.selection.batch_setup import Prepared
    from acav_spark.selection.float_picker import FloatPicker
    from acav_spark.selection.kernels.draw import Groups
    from acav_spark.selection.pool import CandidatePool, DrawnAhead


class _Ahead(NamedTuple):
    drawn: DrawnAhead
    prepared: Prepared


class Batches:
    """Takes the best of random batches of a pool.

    With other threads, the batch after the one that is taken from is drawn and listed
    beside it: all that does not hang on what is taken. What was taken is sorted out
    afterwards, so that batches and choices are the same without threads.

    Parameters
    ----------
    pool : CandidatePool
        What is drawn from.
    picker : ExactPicker or FloatPicker
        What takes; exact ones have space for ``batch_size`` and the most extra rows.
    assignments : ndarray of integers, shape (n_clips, n_views)
        Cluster ids.
    groups : Groups
        Limits, whose counts are brought down.
    batch_size : int
        Candidates of a batch.
    """

    def __init__(
        self,
        pool: CandidatePool,
        picker: ExactPicker | FloatPicker,
        assignments: NDArray[np.integer],
        groups: Groups,
        batch_size: int,
    ) -> None:
        self._pool = pool
        self._picker = picker
        self._assignments = assignments
        self._groups = groups
        self._batch_size = batch_size
        self._ahead: Future[_Ahead | None] | None = None

    def take_best(
        self, number: int, n_most: int, n_next: int
    ) -> tuple[NDArray[np.int64], Taken]:
        """Take the best of a batch by Algorithm 1, and put the others back.

        Parameters
        ----------
        number : int
            Number of the batch; they are taken from in order.
        n_most : int
            How many to take at most.
        n_next : int
            How many will be taken from the next batch, 0 where there is none.

        Returns
        -------
        rows : ndarray of int64, shape (n_taken,)
            Row numbers in the order of choice.
        taken : Taken
            Their scores.
        """
        picker = self._picker
        if not isinstance(picker, ExactPicker) or not picker.setup.is_parallel:
            rows = self._pool.draw(self._batch_size, number)
            n_take = min(n_most, len(rows))
            taken = picker.take_best(self._assignments, rows, n_take, self._groups)
        else:
            prepared, ghosts = self._prepared(picker, number)
            rows = prepared.rows
            n_take = min(n_most, len(rows) - len(ghosts))

            def look_ahead() -> None:
                if n_next > 0:
                    self._ahead = picker.setup.submit(
                        self._looked_ahead, picker, number + 1, n_take
                    )

            taken = picker.take_prepared(
                prepared, ghosts, n_take, self._groups, look_ahead
            )
            if self._ahead is not None:
                # Drawing marks places for a while in the words that ``keep`` marks.
                self._ahead.result()
        self._pool.keep(taken.positions)
        return rows[taken.positions], taken

    def _prepared(
        self, picker: ExactPicker, number: int
    ) -> tuple[Prepared, NDArray[np.int64]]:
        """Return a batch and its ghosts, from ahead where that can be."""
        ahead = None if self._ahead is None else self._ahead.result()
        self._ahead = None
        if ahead is not None and ahead.drawn.number == number:
            ghosts = self._pool.settle(ahead.drawn)
            if ghosts is not None:
                return ahead.prepared, ghosts
        rows = self._pool.draw(self._batch_size, number)
        prepared = picker.setup.prepare(self._assignments, rows, lists=False)
        return prepared, NO_GHOSTS

    def _looked_ahead(
        self, picker: ExactPicker, number: int, n_meanwhile: int
    ) -> _Ahead | None:
        """Draw and list a batch while one before it is taken from."""
        drawn = self._pool.draw_ahead(self._batch_size, number, n_meanwhile)
        if drawn is None:
            return None
        return _Ahead(
            drawn, picker.setup.prepare(self._assignments, drawn.rows, lists=True)
        )
