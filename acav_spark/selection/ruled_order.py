"""The first clips of an order that rules leave open, a piece of the order at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.limits import Constraints


class RuledOrder:
    """Takes clips in the order in which they are shown, until there are enough.

    That is what greedy choice under limits comes to where scores hang on nothing that
    was chosen: the best clip whose groups are all open is next.

    Parameters
    ----------
    constraints : Constraints
        What new picks must keep to, by row. Rows that must be in count as picked
        already, and are not picked again.

    Attributes
    ----------
    n_left : int
        Picks that are missing.

    Notes
    -----
    Memory: what the constraints have, and one byte a row.
    """

    def __init__(self, constraints: Constraints) -> None:
        self._limits = constraints.limits
        self._groups = constraints.groups()
        self._is_open = np.ones(constraints.n_clips, dtype=bool)
        self._is_open[constraints.exclude] = False
        self._is_open[constraints.include] = False
        self.n_left = constraints.n_select - len(constraints.include)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places, among some rows, of those that are picked; rising.

        Parameters
        ----------
        rows : ndarray of int64
            The next rows of the order, each shown once.
        """
        places: NDArray[np.int64] = np.flatnonzero(self._is_open[rows])
        if self._limits:
            from acav_spark.selection.picker import open_positions

            places = places[
                open_positions(
                    np.arange(len(places)), rows[places], self.n_left, self._groups
                )
            ]
        places = places[: self.n_left]
        self.n_left -= len(places)
        return places
