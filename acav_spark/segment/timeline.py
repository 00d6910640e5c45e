"""When the frames of a video are shown: shares of a clip's time, and lost frames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Longer than this many usual distances between frames, one is missing.
_LONGEST_DISTANCE: Final = 1.5
_TIME_TOLERANCE_S: Final = 1e-6


class FrameTimeline:
    """The frames of a video in the order in which they are shown.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_frames,)
        When each is shown, in any order.
    is_black, is_flat : ndarray of bool, shape (n_frames,)
        What is known of each.

    Notes
    -----
    The usual distance is the median of the distances between frames of the whole
    video: a mean would grow with the frames that are missing.
    """

    def __init__(
        self,
        times_s: NDArray[np.float64],
        is_black: NDArray[np.bool_],
        is_flat: NDArray[np.bool_],
    ) -> None:
        # Of frames with the same time the last one stays on display.
        order = np.argsort(times_s, kind="stable")
        times = times_s[order]
        stays = np.append(np.diff(times) > _TIME_TOLERANCE_S, [True] * len(times[:1]))
        self._times_s = times[stays]
        self._is_black = is_black[order][stays]
        self._is_flat = is_flat[order][stays]
        distances = np.diff(self._times_s)
        self._usual_s = float(np.median(distances)) if len(distances) else 0.0
        self._gaps = np.flatnonzero(distances > _LONGEST_DISTANCE * self._usual_s)

    def black_and_flat(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Return for which share of [start_s, end_s) black, and flat, frames show.

        A frame shows until the next one, the last one to the end.
        """
        first = max(int(np.searchsorted(self._times_s, start_s, side="right")) - 1, 0)
        last = int(np.searchsorted(self._times_s, end_s, side="left"))
        edges = np.clip(np.append(self._times_s[first:last], end_s), start_s, end_s)
        shown_s = np.diff(edges)
        total_s = float(shown_s.sum())
        if not total_s:
            return 0.0, 0.0
        black_s, flat_s = (
            float(shown_s[flags[first:last]].sum())
            for flags in (self._is_black, self._is_flat)
        )
        return round(black_s / total_s, 6), round(flat_s / total_s, 6)

    def dropped(self, start_s: float, end_s: float) -> tuple[int, float]:
        """Return how many frames are missing in [start_s, end_s), and their share.

        Returns
        -------
        n_dropped : int
            In a gap of more than 1.5 usual distances as many as make its distances
            usual, evenly in it; those whose time lies in the stretch are counted.
        fraction : float
            Of them among all frames that there should be.
        """
        n_dropped = 0
        for gap in self._gaps_near(start_s, end_s):
            begin_s = float(self._times_s[gap])
            length_s = float(self._times_s[gap + 1]) - begin_s
            n_steps = max(round(length_s / self._usual_s), 2)
            step_s = length_s / n_steps
            lo, hi = (
                math.ceil((edge_s - begin_s - _TIME_TOLERANCE_S) / step_s)
                for edge_s in (start_s, end_s)
            )
            n_dropped += max(min(hi, n_steps) - max(lo, 1), 0)
        n_shown = int(
            np.searchsorted(self._times_s, end_s - _TIME_TOLERANCE_S)
            - np.searchsorted(self._times_s, start_s - _TIME_TOLERANCE_S)
        )
        return n_dropped, round(n_dropped / max(n_dropped + n_shown, 1), 6)

    def _gaps_near(self, start_s: float, end_s: float) -> NDArray[np.int64]:
        """Return the frames before gaps that overlap a stretch."""
        ends_s, begins_s = self._times_s[self._gaps + 1], self._times_s[self._gaps]
        near: NDArray[np.int64] = self._gaps[(ends_s > start_s) & (begins_s < end_s)]
        return near
