"""Mean and confidence interval of few runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

CONFIDENCE = 0.99
"""Level of the paper's intervals (Tables 1 and 2)."""


class Interval(NamedTuple):
    """A mean with its confidence interval.

    Attributes
    ----------
    mean : float
        Mean of the runs.
    half_width : float
        Half of the interval's width; not a number for a single run.
    n : int
        Number of runs.
    """

    mean: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half_width

    def is_above(self, other: Interval) -> bool:
        """Return whether the whole interval lies above another one."""
        return self.low > other.high


def mean_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of runs with its Student interval.

    Parameters
    ----------
    values : array_like of float, shape (n_runs,)
        One number of each run; all finite.
    confidence : float, default 0.99
        Level of the interval, in (0, 1).

    Raises
    ------
    ValueError
        If there is no run, a number is not finite, or the level is out of range.

    Notes
    -----
    ``t s / sqrt(n)`` with the quantile ``t`` of Student's distribution of ``n - 1``
    degrees of freedom and the standard deviation ``s`` over ``n - 1``. It takes runs
    for independent and their mean for normal. With five runs and 99 %, ``t`` is 4.604.
    """
    from scipy.stats import t

    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or not len(runs) or not np.isfinite(runs).all():
        msg = (
            "mean_interval: expected one finite number of each of at least one run, "
            f"got {runs.tolist()!r}."
        )
        raise ValueError(msg)
    if not 0 < confidence < 1:
        msg = f"mean_interval: expected a confidence in (0, 1), got {confidence!r}."
        raise ValueError(msg)
    n = len(runs)
    half_width = math.nan
    if n > 1:
        quantile = float(t.ppf((1 + confidence) / 2, n - 1))
        half_width = quantile * float(runs.std(ddof=1)) / math.sqrt(n)
    return Interval(float(runs.mean()), half_width, n)
