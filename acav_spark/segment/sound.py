"""How a video sounds, by windows: loudness, constancy, clipping, missing stretches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.media.packets import mono_samples
from acav_spark.segment.fingerprint import FingerprintMeter
from acav_spark.segment.windows import WINDOW_S, window_of

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

# -80 dB of full scale: what codecs make of digital silence, and far below any room.
SILENT_RMS: Final = 1e-4
# Constant noise of 8 kHz varies by 0.1 dB from one half second to the next.
_CONSTANT_DB: Final = 0.5
# So few samples in a row at full scale are the top of a wave.
_SHORTEST_RUN: Final = 3
# The largest value of 16 bits is 0.99997, that of 8 bits 0.992.
_FULL_SCALE: Final = 0.9999
_FULL_SCALE_U8: Final = 0.99
# Encoders' delays and stamps in milliseconds leave gaps of up to a packet.
_MISSING_TOLERANCE: Final = 0.1
# Sums that are kept of a window, the same row for each.
_ENERGY, _SLOPE, _BEND, _N_SAMPLES, _N_CLIPPED = range(5)


class SoundMeter:
    """Takes sound in order; keeps its fingerprint, and five sums for each half second.

    Attributes
    ----------
    first_s, end_s : float
        When the sound starts and ends; 0 where there is none.
    sample_rate_hz : int or None
        Rate of the sound.

    Notes
    -----
    Everything is measured on the mean of the channels, which is also what features
    are made of. Cost: some 30 us for 1,024 samples.
    """

    def __init__(self) -> None:
        self.first_s = self.end_s = 0.0
        self.sample_rate_hz: int | None = None
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._run = 0
        self._fingerprint = FingerprintMeter()

    def add(self, time_s: float, frame: av.AudioFrame) -> None:
        """Take the next frame of sound, which starts at ``time_s``.

        Raises
        ------
        MediaError
            ``invalid_media`` for an unknown sample format.
        """
        mono = mono_samples(frame)
        is_eight_bit = frame.format.name.startswith("u8")
        full = _FULL_SCALE_U8 if is_eight_bit else _FULL_SCALE
        if self.sample_rate_hz is None:
            self.first_s = time_s
        rate = self.sample_rate_hz = frame.sample_rate
        self.end_s = max(self.end_s, time_s + len(mono) / rate)
        self._fingerprint.add(time_s, mono, rate)
        first = 0
        while first < len(mono):
            window = window_of(time_s + first / rate)
            edge_s = (window + 1) * WINDOW_S
            last = min(max(round((edge_s - time_s) * rate), first + 1), len(mono))
            part = mono[first:last]
            sums = self._sums.setdefault(window, np.zeros(5))
            sums[_ENERGY] += _energy(part)
            # One or two samples have no slope or bend; that does not matter.
            slope = np.diff(part)
            sums[_SLOPE] += _energy(slope)
            sums[_BEND] += _energy(np.diff(slope))
            sums[_N_SAMPLES] += len(part)
            sums[_N_CLIPPED] += self._n_clipped(part, full)
            first = last

    @property
    def words(self) -> NDArray[np.uint32]:
        """Words of the fingerprint by time; see ``FingerprintMeter.words``."""
        return self._fingerprint.words

    def rms(self, n_windows: int) -> NDArray[np.float32]:
        """Return the root mean square of each window, 0 where there is no sound."""
        sums = self._table(n_windows)
        mean = sums[:, _ENERGY] / np.maximum(sums[:, _N_SAMPLES], 1)
        root: NDArray[np.float32] = np.sqrt(mean).astype(np.float32)
        return root

    def constant(self, n_windows: int) -> NDArray[np.bool_]:
        """Return which windows sound as a window beside them: one tone or one noise.

        Notes
        -----
        Two windows sound alike if the energies of the samples, of their first and of
        their second differences are within 0.5 dB: loudness, and middle and width of
        the spectrum (Hjorth's activity, mobility and complexity). Silence is not
        constant sound.
        """
        sums = self._table(n_windows)
        mean = sums[:, : _BEND + 1] / np.maximum(sums[:, [_N_SAMPLES]], 1)
        level_db = 10 * np.log10(np.maximum(mean, SILENT_RMS**2 / 100))
        sounds = mean[:, _ENERGY] >= SILENT_RMS**2
        alike = (np.abs(np.diff(level_db, axis=0)) < _CONSTANT_DB).all(axis=1)
        alike &= sounds[1:] & sounds[:-1]
        is_constant = np.zeros(n_windows, dtype=np.bool_)
        is_constant[1:] |= alike
        is_constant[:-1] |= alike
        return is_constant

    def clipped(self, n_windows: int) -> NDArray[np.float32]:
        """Return the share of samples in runs of three or more at full scale."""
        sums = self._table(n_windows)
        share = sums[:, _N_CLIPPED] / np.maximum(sums[:, _N_SAMPLES], 1)
        return np.minimum(share, 1.0).astype(np.float32)

    def missing(self, n_windows: int, duration_s: float) -> NDArray[np.float32]:
        """Return the share of each window for which there are no samples.

        Parameters
        ----------
        n_windows : int
            Windows of the video.
        duration_s : float
            Length of the video in seconds: the last window ends there.

        Returns
        -------
        ndarray of float32, shape (n_windows,)
            In [0, 1]; less than 10 % of a window counts as nothing.
        """
        starts = np.arange(n_windows) * WINDOW_S
        lengths = np.clip(duration_s - starts, 1e-6, WINDOW_S)
        heard_s = self._table(n_windows)[:, _N_SAMPLES] / (self.sample_rate_hz or 1)
        share = np.clip(1.0 - heard_s / lengths, 0.0, 1.0)
        share[share < _MISSING_TOLERANCE] = 0.0
        missing: NDArray[np.float32] = share.astype(np.float32)
        return missing

    def _table(self, n_windows: int) -> NDArray[np.float64]:
        """Return the sums of each window, shape (n_windows, 5)."""
        table = np.zeros((n_windows, 5))
        for window, sums in self._sums.items():
            if window < n_windows:
                table[window] = sums
        return table

    def _n_clipped(self, part: NDArray[np.float32], full: float) -> int:
        """Count samples in long runs at full scale, also those begun before."""
        if part.max() < full and part.min() > -full:
            self._run = 0
            return 0
        is_full = np.concatenate(([False], np.abs(part) >= full, [False]))
        edges = np.flatnonzero(is_full[1:] != is_full[:-1])
        starts, lengths = edges[::2], edges[1::2] - edges[::2]
        before = self._run
        reaches_end = edges[-1] == len(part)
        if starts[0] == 0:
            # What lies in the part before is counted once the run is long enough.
            total = before + int(lengths[0])
            late = before if before < _SHORTEST_RUN <= total else 0
            head = int(lengths[0]) + late if total >= _SHORTEST_RUN else 0
            self._run = total if reaches_end and len(starts) == 1 else 0
            starts, lengths = starts[1:], lengths[1:]
        else:
            head = self._run = 0
        if reaches_end and len(lengths):
            self._run = int(lengths[-1])
        return head + int(lengths[lengths >= _SHORTEST_RUN].sum())


def _energy(samples: NDArray[np.float32]) -> float:
    # BLAS would sum in an order that depends on where the samples lie.
    return float(np.square(samples, dtype=np.float64).sum())
