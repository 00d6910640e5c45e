"""Where the picture changes at once: the measure of ffmpeg's ``scdet``, on luma."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEVELS = 256


class SceneMeter:
    """Compares the luma of each frame with that of the frame before.

    The values and decisions are those of ffmpeg's ``scdet`` for 8-bit YUV, frame for
    frame, without the cost of a filter graph.

    Parameters
    ----------
    threshold : float
        Score in per cent from which a frame begins a new shot.

    Notes
    -----
    The score is the mean absolute difference to the frame before, or the change of
    that difference where it is less: steady movement, however fast, is no cut.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._before: NDArray[np.uint8] | None = None
        self._difference = 0.0

    def next(self, luma: NDArray[np.uint8]) -> tuple[bool, float]:
        """Return whether a shot begins here, and the mean difference in per cent.

        The array is held until the next call. A frame of another size starts the
        comparison anew.
        """
        before, self._before = self._before, luma
        if before is None or before.shape != luma.shape:
            self._difference = 0.0
            return self._threshold <= 0.0, 0.0
        total = cv2.norm(luma, before, cv2.NORM_L1)
        difference = total * 100.0 / luma.size / _LEVELS
        # ffmpeg keeps scores in single precision.
        score = float(np.float32(min(difference, abs(difference - self._difference))))
        self._difference = difference
        return score >= self._threshold, difference
