"""Windows of half a second, by which sound and movement of a video are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_S = 0.5


def window_of(time_s: float) -> int:
    """Return the window in which a time lies; the first one for negative times."""
    return max(int(time_s / WINDOW_S), 0)


def share_of(
    curve: NDArray[np.bool_] | NDArray[np.float32],
    start_s: float,
    end_s: float,
    *,
    window_s: float = WINDOW_S,
) -> float:
    """Return the mean of a curve over [start_s, end_s), windows cut at its ends.

    Parameters
    ----------
    curve : ndarray of bool or float32, shape (n_windows,)
        A share in [0, 1] for each window from time 0.
    start_s, end_s : float
        The stretch, in seconds.
    window_s : float, default 0.5
        Length of a window in seconds.

    Returns
    -------
    float
        In [0, 1], six digits; 1 where no window lies in the stretch.
    """
    starts = np.arange(len(curve)) * window_s
    overlap = np.minimum(starts + window_s, end_s) - np.maximum(starts, start_s)
    overlap = np.clip(overlap, 0.0, None)
    total = float(overlap.sum())
    if not total:
        return 1.0
    return min(round(float((overlap * curve).sum()) / total, 6), 1.0)
