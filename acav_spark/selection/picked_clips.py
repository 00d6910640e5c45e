"""Staged picks and the packed clips they are of, put together a piece at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLUMNS = ["rank", "gain", "objective", "batch", "lane"]


class PickedClips:
    """Picks by the row number of their clip.

    Parameters
    ----------
    picks : iterable of Table
        Staged picks, at least one table; each row number at most once.
    n_clips : int
        Rows of the packed table.

    Notes
    -----
    Memory: four bytes a clip, and 32 a pick.
    """

    def __init__(self, picks: Iterable[pa.Table], n_clips: int) -> None:
        # Pick number plus one; zero is no pick. No selection has 2**32 picks.
        self._pick_of = np.zeros(n_clips, dtype=np.uint32)
        tables: list[pa.Table] = []
        self.n_picks = 0
        for table in picks:
            end = self.n_picks + table.num_rows
            rows = table["row_number"].to_numpy()
            self._pick_of[rows] = np.arange(self.n_picks + 1, end + 1, dtype=np.uint32)
            tables.append(table.select(_COLUMNS))
            self.n_picks = end
        merged = pa.concat_tables(tables)
        self._columns = [merged[name].combine_chunks() for name in _COLUMNS]

    def of(self, clips: pa.RecordBatch) -> pa.Table:
        """Return the picks among some clips, with their ids.

        Parameters
        ----------
        clips : RecordBatch
            ``row_number`` and ``clip_id``.

        Returns
        -------
        Table
            ``clip_id``, ``rank``, ``gain``, ``objective``, ``batch``, ``lane``, in the
            order of the clips.
        """
        numbers = self._pick_of[clips["row_number"].to_numpy()]
        places = np.flatnonzero(numbers)
        picks = pa.array(numbers[places].astype(np.int64) - 1)
        columns = [column.take(picks) for column in self._columns]
        return pa.table(
            [clips["clip_id"].take(pa.array(places)), *columns],
            names=["clip_id", *_COLUMNS],
        )
