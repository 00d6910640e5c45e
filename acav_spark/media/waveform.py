"""The sound of a clip, in its place, at any rate."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from acav_spark.media.packets import mono_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Kept on both sides of the clip for the resampler; whole at all common rates.
_MARGIN_S = 0.2
# Time stamps are rounded (to a millisecond in WebM): smaller steps between frames are
# rounding, larger ones are gaps that stay in their place.
_JITTER_S = 0.03


class ClipWaveform:
    """Collects the mono samples of [start_s, end_s) at the file's own rate.

    Parameters
    ----------
    start_s, end_s : float
        The clip, in seconds from the container's start.
    """

    def __init__(self, start_s: float, end_s: float) -> None:
        self._duration_s = end_s - start_s
        self._origin_s = start_s - _MARGIN_S
        self._rate_hz = 0
        self._samples = np.empty(0, dtype=np.float32)
        self._next = 0
        self.is_done = False

    @property
    def begins_in_time(self) -> bool:
        """Whether the first sound offered lies at or before the clip's start."""
        return self._begins_in_time

    _begins_in_time = False

    def offer(self, time_s: float, frame: av.AudioFrame) -> None:
        """Put the next frame of the stream into its place."""
        mono = mono_samples(frame)
        is_first = self._rate_hz == 0
        if is_first:
            self._rate_hz = frame.sample_rate
            n_samples = round((self._duration_s + 2 * _MARGIN_S) * self._rate_hz)
            self._samples = np.zeros(n_samples, dtype=np.float32)
            self._begins_in_time = time_s <= self._origin_s + _MARGIN_S
        elif frame.sample_rate != self._rate_hz:
            mono = resampled(mono, frame.sample_rate, self._rate_hz)
        place = round((time_s - self._origin_s) * self._rate_hz)
        if not is_first and abs(place - self._next) <= _JITTER_S * self._rate_hz:
            place = self._next
        self._next = place + len(mono)
        first, last = max(place, 0), min(self._next, len(self._samples))
        if first < last:
            self._samples[first:last] = mono[first - place : last - place]
        self.is_done = self._next >= len(self._samples)

    def at_rate(self, rate_hz: int) -> NDArray[np.float32]:
        """Return round(duration * rate) samples in [-1, 1]; zeros where is no sound."""
        n_samples = round(self._duration_s * rate_hz)
        waveform = np.zeros(n_samples, dtype=np.float32)
        if self._rate_hz:
            first = round(_MARGIN_S * rate_hz)
            part = resampled(self._samples, self._rate_hz, rate_hz)
            part = part[first : first + n_samples]
            waveform[: len(part)] = np.clip(part, -1.0, 1.0)
        return waveform


def resampled(
    samples: NDArray[np.float32], from_hz: int, to_hz: int
) -> NDArray[np.float32]:
    """Return mono samples at another rate; the first one keeps its time."""
    if from_hz == to_hz or not len(samples):
        return samples
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = from_hz
    frame.time_base = Fraction(1, from_hz)
    frame.pts = 0
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to_hz)
    parts = [
        part.to_ndarray()[0]
        for piece in (frame, None)
        for part in resampler.resample(piece)
    ]
    return np.concatenate(parts).astype(np.float32, copy=False)
