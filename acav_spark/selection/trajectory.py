"""From scores of choices to gains and objectives, in nats, in pieces of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

    Scores = NDArray[np.int64] | NDArray[np.float64]

# Scores are summed in two parts, so that 10**8 of them stay exact in int64.
_LOW_BITS = 24


class Trajectory:
    """Gain of each choice and objective after it.

    With ``S`` the sum of all scores in nats of the weighted mean, the objective of
    ``n`` clips is ``log n + S / n``. A gain is computed from its score rather than as
    a difference of objectives, which would lose its digits when ``n`` is large. Integer
    scores are summed exactly, so that pieces of other lengths give the same numbers.

    Parameters
    ----------
    before : ContingencyTables
        What was selected before the first choice.
    units_per_nat : float
        Score units of one nat of the weighted mean.
    """

    def __init__(self, before: ContingencyTables, units_per_nat: float) -> None:
        self._n = before.n_clips
        self._units = units_per_nat
        self._base = 0.0
        if self._n > 0:
            self._base = self._n * (before.objective() - float(np.log(self._n)))
        self._high = self._low = 0
        self._float_sum = 0.0

    def follow(self, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return gains and objectives of the next choices, in nats.

        Parameters
        ----------
        scores : ndarray of int64 or float64, shape (n_choices,)
            Score of each when it was chosen.
        """
        former, sums = self._sums(scores)
        n_after = self._n + np.arange(1, len(scores) + 1, dtype=np.float64)
        objectives = np.log(n_after) + sums / n_after
        n = n_after - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            gains = np.log1p(1 / n) + (scores / self._units - former / n) / n_after
        if self._n == 0 and len(scores):
            gains[0] = objectives[0] = 0.0
        self._n += len(scores)
        return gains, objectives

    def _sums(self, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sum of all scores before and after each choice, in nats."""
        if scores.dtype == np.float64:
            # From the former sum on: pieces of other lengths add in the same order.
            totals = np.cumsum(np.concatenate([[self._float_sum], scores]))
            self._float_sum = float(totals[-1])
        else:
            integers = scores.astype(np.int64)
            high = self._high + np.concatenate([[0], np.cumsum(integers >> _LOW_BITS)])
            low = self._low + np.concatenate(
                [[0], np.cumsum(integers & ((1 << _LOW_BITS) - 1))]
            )
            self._high, self._low = int(high[-1]), int(low[-1])
            totals = high * float(1 << _LOW_BITS) + low
        sums = self._base + totals / self._units
        return sums[:-1], sums[1:]
