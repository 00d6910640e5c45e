"""The sound of a clip, in its place, at any rate."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from acav_spark.media.packets import checked_rate_hz, mono_samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Kept on both sides of the clip for the resampler; whole at all common rates.
MARGIN_S = 0.2
# Time stamps of sound are rounded (to a millisecond in WebM) and, with codecs of
# changing window lengths, off by some 20 ms now and then: smaller steps than this are
# no gaps. Larger ones are, and stay in their place.
_JITTER_S = 0.03


class ClipSound:
    """Collects the samples of [start_s, end_s) at the file's own rate.

    Frames without a gap between them form a run. A run is placed by the median of its
    frames' time stamps, so that a single wrong one does not shift the sound.

    Parameters
    ----------
    start_s, end_s : float
        The clip, in seconds from the container's start.
    samples_of : callable
        From a frame to float32 samples, shape (n_channels, n_samples).
    """

    def __init__(
        self,
        start_s: float,
        end_s: float,
        samples_of: Callable[[av.AudioFrame], NDArray[np.float32]],
    ) -> None:
        self._samples_of = samples_of
        self._start_s = start_s
        self._duration_s = end_s - start_s
        self._first_s = start_s - MARGIN_S
        self._last_s = end_s + MARGIN_S
        self.rate_hz = 0
        self._runs: list[_Run] = []
        self.begins_in_time = False
        self.is_done = False

    def offer(self, time_s: float, frame: av.AudioFrame) -> None:
        """Put the next frame of the stream into its place."""
        if self.rate_hz == 0:
            self.rate_hz = checked_rate_hz(frame)
            # Otherwise a seek may have gone too far.
            self.begins_in_time = time_s <= self._start_s
        length_s = frame.samples / checked_rate_hz(frame)
        if time_s + length_s < self._first_s - _JITTER_S:
            return
        if time_s > self._last_s + _JITTER_S:
            self.is_done = True
            return
        samples = self._samples_of(frame)
        if frame.sample_rate != self.rate_hz:
            samples = np.stack(
                [resampled(one, frame.sample_rate, self.rate_hz) for one in samples]
            )
        if not self._runs or not self._runs[-1].takes(time_s):
            self._runs.append(_Run(self.rate_hz))
        self._runs[-1].add(time_s, samples)

    def with_margins(self) -> NDArray[np.float32] | None:
        """Return the clip and 0.2 s on both sides of it, zeros where is no sound.

        Shape (n_channels, n_samples), at the file's rate; None without any sound.
        """
        if not self._runs:
            return None
        n_samples = round((self._last_s - self._first_s) * self.rate_hz)
        n_channels = len(self._runs[0].chunks[0])
        samples = np.zeros((n_channels, n_samples), dtype=np.float32)
        for run in self._runs:
            sound = np.concatenate(run.chunks, axis=1)
            place = round((run.start_s() - self._first_s) * self.rate_hz)
            first, last = max(place, 0), min(place + sound.shape[1], n_samples)
            if first < last:
                samples[:, first:last] = sound[:, first - place : last - place]
        return samples


class ClipWaveform(ClipSound):
    """Collects the mono samples of [start_s, end_s), as ``ClipSound`` does.

    Parameters
    ----------
    start_s, end_s : float
        The clip, in seconds from the container's start.
    """

    def __init__(self, start_s: float, end_s: float) -> None:
        super().__init__(start_s, end_s, lambda frame: mono_samples(frame)[np.newaxis])

    def at_rate(self, rate_hz: int) -> NDArray[np.float32]:
        """Return round(duration * rate) samples in [-1, 1]; zeros where is no sound."""
        n_samples = round(self._duration_s * rate_hz)
        waveform = np.zeros(n_samples, dtype=np.float32)
        samples = self.with_margins()
        if samples is not None:
            first = round(MARGIN_S * rate_hz)
            part = resampled(samples[0], self.rate_hz, rate_hz)
            part = part[first : first + n_samples]
            waveform[: len(part)] = np.clip(part, -1.0, 1.0)
        return waveform


class _Run:
    """Frames that follow one another without a gap."""

    def __init__(self, rate_hz: int) -> None:
        self.chunks: list[NDArray[np.float32]] = []
        self._rate_hz = rate_hz
        self._n_samples = 0
        self._starts_s: list[float] = []

    def takes(self, time_s: float) -> bool:
        """Whether a frame at this time follows without a gap."""
        return abs(self._implied_start_s(time_s) - self._starts_s[-1]) <= _JITTER_S

    def add(self, time_s: float, samples: NDArray[np.float32]) -> None:
        self._starts_s.append(self._implied_start_s(time_s))
        self.chunks.append(samples)
        self._n_samples += samples.shape[1]

    def start_s(self) -> float:
        """Return the run's start, as most of its frames have it."""
        return float(np.median(self._starts_s))

    def _implied_start_s(self, time_s: float) -> float:
        return time_s - self._n_samples / self._rate_hz


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
