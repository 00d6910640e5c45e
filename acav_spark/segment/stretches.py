"""Stretches of three seconds, by which clips are compared, and what each looks like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.segment.signature_elements import N_ELEMENTS, N_PER_WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRETCH_S: Final = 3.0
STEP_S: Final = 1.5
TIME_TOLERANCE_S: Final = 1e-6
# One frame of each quarter of a second stands for it: twelve a stretch.
SAMPLE_S: Final = 0.25
# Five ternary elements in a byte, the first one the least.
N_BYTES: Final = N_ELEMENTS // N_PER_WORD
N_VALUES: Final = 3**N_PER_WORD
# All five elements near zero: what a picture without contrast has everywhere.
FLAT_VALUE: Final = sum(3**place for place in range(N_PER_WORD))
# An element whose mean is nearer to zero than this is neither above nor below.
_LEAST_MEAN: Final = 1 / 3
_POWERS: Final = 3 ** np.arange(N_PER_WORD)


class FrameSampler:
    """Takes elements of frames in order; keeps a frame of each quarter of a second."""

    def __init__(self) -> None:
        self._times_s = [np.empty(0)]
        self._elements = [np.empty((0, N_BYTES), dtype=np.uint8)]
        self._last_cell = -math.inf

    def add(
        self,
        times_s: Sequence[float],
        elements: NDArray[np.uint8],
        is_evidence: NDArray[np.bool_],
    ) -> None:
        """Take the next frames; those that are no evidence are not kept."""
        times = np.array(times_s, dtype=np.float64)
        cells = np.floor(times / SAMPLE_S + TIME_TOLERANCE_S)
        is_kept = (np.diff(cells, prepend=self._last_cell) > 0) & is_evidence
        self._last_cell = float(cells[-1])
        self._times_s.append(times[is_kept])
        self._elements.append(elements[is_kept])

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Times of the frames kept, shape (n_samples,)."""
        return np.concatenate(self._times_s)

    @property
    def elements(self) -> NDArray[np.uint8]:
        """Their elements, five in a byte, shape (n_samples, 76)."""
        return np.concatenate(self._elements)


def n_stretches(start_s: float, end_s: float) -> int:
    """Return how many stretches [start_s, end_s) has: one begins every 1.5 s."""
    n_steps = math.ceil((end_s - start_s - STRETCH_S) / STEP_S - TIME_TOLERANCE_S)
    return max(n_steps, 0) + 1


def are_inside(
    times_s: NDArray[np.float64], start_s: float, end_s: float
) -> NDArray[np.bool_]:
    """Return which times are in [start_s, end_s), up to rounding; same shape."""
    return (times_s >= start_s - TIME_TOLERANCE_S) & (
        times_s < end_s - TIME_TOLERANCE_S
    )


def ternary_elements(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return -1, 0 or 1 for each element, shape (..., 380), of (..., 76) bytes."""
    return _TERNARY[packed].reshape(*packed.shape[:-1], N_ELEMENTS)


def packed_elements(ternary: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return elements of -1, 0 or 1, five in a byte: the reverse."""
    grouped = ternary.reshape(*ternary.shape[:-1], N_BYTES, N_PER_WORD) + 1
    return (grouped @ _POWERS).astype(np.uint8)


def stretch_elements(
    times_s: NDArray[np.float64],
    elements: NDArray[np.uint8],
    start_s: float,
    end_s: float,
) -> bytes:
    """Return what most frames of each stretch of [start_s, end_s) look like.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_frames,)
        Times of the frames.
    elements : ndarray of uint8, shape (n_frames, 76)
        Their elements, five in a byte.
    start_s, end_s : float
        Part of the video.

    Returns
    -------
    bytes
        76 for each stretch of ``coarse_signature``: the mean of each element, which is
        -1, 0 or 1 in a frame, rounded to one of these. Empty without a frame.
    """
    inside = are_inside(times_s, start_s, end_s)
    if not inside.any():
        return b""
    times = times_s[inside] - start_s + TIME_TOLERANCE_S
    ternary = ternary_elements(elements[inside]).astype(np.int64)
    starts = np.arange(n_stretches(start_s, end_s)) * STEP_S
    is_in = (times >= starts[:, np.newaxis]) & (
        times < starts[:, np.newaxis] + STRETCH_S
    )
    means = is_in @ ternary / np.maximum(is_in.sum(axis=1), 1)[:, np.newaxis]
    rounded = np.where(np.abs(means) > _LEAST_MEAN, np.sign(means), 0)
    return packed_elements(rounded.astype(np.int64)).tobytes()


def _ternary_table() -> NDArray[np.int8]:
    """Return the five elements of each byte, shape (256, 5)."""
    values = np.arange(256)[:, np.newaxis] // _POWERS % 3 - 1
    # Larger bytes are no signature: they count as flat.
    values[N_VALUES:] = 0
    return values.astype(np.int8)


_TERNARY: Final = _ternary_table()
