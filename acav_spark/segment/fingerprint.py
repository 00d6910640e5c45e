"""Fingerprints of sound: what stays when it is coded, resampled or turned down.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): a
spectrum of 33 bands from 300 to 2,000 Hz, spaced evenly on a logarithmic scale, and of
each moment a word of 32 bits that say whether the difference between neighbouring
bands rises or falls. Three numbers differ from theirs, so that ten seconds take some
hundred words and not 850: frames of half a second (theirs: 0.37), ten of them a second
(86), and 0.4 s between the two frames that a bit compares (one frame, 12 ms).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP_S: Final = 0.1
FRAME_S: Final = 0.5
# Frames between the two that a word compares. A shift of half a hop, the worst one,
# turns 11 % of the bits; with neighbouring frames it would turn 18 %.
LAG: Final = 4
N_BITS: Final = 32
# What a word is heard in.
WORD_S: Final = LAG * HOP_S + FRAME_S
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 2000.0
# Rates are lowered to 8 to 16 kHz by means of whole numbers of samples.
_LOW_RATE_HZ: Final = 8000
_LEAST_RATE_HZ: Final = 5000
# -80 dB of full scale in these bands: nothing to hear.
_SILENT: Final = 1e-8
# A tone or hum changes by less than this share of its energy, codecs' noise included.
# Even noise of constant loudness changes by a fifth.
_STEADY: Final = 0.01
# Stamps go back and forth by up to a packet of some 20 to 60 ms: samples are counted.
_JITTER_S: Final = 0.1
_BATCH_S: Final = 3.0
_TIME_TOLERANCE_S: Final = 1e-6
_BIT_VALUES: Final = np.uint32(1) << np.arange(N_BITS, dtype=np.uint32)


class FingerprintMeter:
    """Takes sound in order; gives a word of 32 bits for each tenth of a second.

    Notes
    -----
    Memory: four seconds of samples, and 40 bytes for each second. Time: some 1 ms for
    a second of sound. Words of two machines may differ in a bit here and there, where
    a difference is nearly nothing.
    """

    def __init__(self) -> None:
        self._found: list[tuple[int, NDArray[np.uint32]]] = []
        self._begin(0.0, 0)

    def add(
        self, time_s: float, samples: NDArray[np.float32], sample_rate_hz: int
    ) -> None:
        """Take the next samples.

        Parameters
        ----------
        time_s : float
            When the first one sounds, in seconds. After a gap, and after a change of
            the rate, frames begin anew.
        samples : ndarray of float32, shape (n_samples,)
            Mean of the channels.
        sample_rate_hz : int
            Their rate; sound below 5 kHz has no fingerprint.
        """
        expected_s = self._start_s + self._n_samples / max(self._rate_hz, 1)
        if sample_rate_hz != self._rate_hz or abs(time_s - expected_s) > _JITTER_S:
            self._flush()
            self._begin(time_s, sample_rate_hz)
        self._n_samples += len(samples)
        if sample_rate_hz < _LEAST_RATE_HZ:
            return
        # A packet may hold minutes, and spectra take many times its memory.
        step = max(int(_BATCH_S * sample_rate_hz), 1)
        for first in range(0, len(samples), step):
            piece = samples[first : first + step]
            self._pending.append(piece)
            self._n_pending += len(piece)
            if self._n_pending >= step:
                self._flush()

    @property
    def words(self) -> NDArray[np.uint32]:
        """Words by time: word n is of the 0.9 s from n tenths of a second on.

        Zero, which no sound makes, where nothing is heard: silence, a constant tone, or
        a gap.
        """
        self._flush()
        n_words = max((first + len(words) for first, words in self._found), default=0)
        by_time = np.zeros(max(n_words, 0), dtype=np.uint32)
        for first, words in self._found:
            skipped = max(-first, 0)
            by_time[first + skipped : first + len(words)] = words[skipped:]
        return by_time

    def _begin(self, time_s: float, rate_hz: int) -> None:
        """Begin a run of samples without gaps."""
        self._start_s, self._rate_hz = time_s, rate_hz
        self._n_samples = self._n_pending = 0
        self._pending: list[NDArray[np.float32]] = []
        self._factor = max(rate_hz // _LOW_RATE_HZ, 1)
        # Samples at the low rate from the place _first on, and what is not lowered yet.
        self._low = self._rest = np.empty(0, dtype=np.float32)
        self._first = 0
        self._next_frame = math.ceil(time_s / HOP_S - _TIME_TOLERANCE_S)
        self._energies = np.empty((0, N_BITS + 1))

    def _flush(self) -> None:
        """Turn pending samples into words."""
        if self._n_pending == 0:
            return
        samples = np.concatenate([self._rest, *self._pending])
        self._pending, self._n_pending = [], 0
        n_whole = len(samples) // self._factor * self._factor
        self._rest = samples[n_whole:]
        self._low = np.concatenate([self._low, _lowered(samples, self._factor)])
        rate_hz = self._rate_hz / self._factor
        length = round(FRAME_S * rate_hz)
        last_s = (self._first + len(self._low) - length) / rate_hz + self._start_s
        last = math.floor(last_s / HOP_S + _TIME_TOLERANCE_S)
        frames = np.arange(self._next_frame, last + 1)
        if len(frames) == 0:
            return
        places = np.rint((frames * HOP_S - self._start_s) * rate_hz).astype(np.int64)
        places = np.maximum(places - self._first, 0)
        # Rounding may ask for one sample too many.
        places = np.minimum(places, len(self._low) - length)
        energies = _band_energies(self._low, places, length, rate_hz)
        together = np.concatenate([self._energies, energies])
        if len(together) > LAG:
            first = int(frames[-1]) + 1 - len(together)
            self._found.append((first, _words(together)))
        self._energies = together[-LAG:]
        self._next_frame = int(frames[-1]) + 1
        next_s = self._next_frame * HOP_S - self._start_s
        kept = max(min(int(next_s * rate_hz) - self._first, len(self._low)), 0)
        self._low = self._low[kept:].copy()
        self._first += kept


def clip_fingerprint(words: NDArray[np.uint32], start_s: float, end_s: float) -> bytes:
    """Return the fingerprint of [start_s, end_s) of a video.

    Parameters
    ----------
    words : ndarray of uint32, shape (n_words,)
        ``FingerprintMeter.words``.
    start_s, end_s : float
        Part of the video, in seconds.

    Returns
    -------
    bytes
        The words that lie inside, little-endian, some 40 bytes a second (364 for ten);
        a word of zero is no evidence. Empty where all of them are.
    """
    first = max(math.ceil(start_s / HOP_S - _TIME_TOLERANCE_S), 0)
    end = math.floor((end_s - WORD_S) / HOP_S + _TIME_TOLERANCE_S) + 1
    inside = words[first : max(end, first)]
    return inside.astype("<u4").tobytes() if inside.any() else b""


def _lowered(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return means of so many samples each; a rest that is shorter is left out."""
    n_means = len(samples) // factor
    total = np.zeros(n_means, dtype=np.float32)
    for place in range(factor):
        total += samples[place : n_means * factor : factor]
    return total / np.float32(factor)


def _band_energies(
    samples: NDArray[np.float32],
    places: NDArray[np.int64],
    length: int,
    rate_hz: float,
) -> NDArray[np.float64]:
    """Return mean squares in each band of frames, shape (n_frames, 33)."""
    window = np.hanning(length)
    frames = samples[places[:, np.newaxis] + np.arange(length)] * window
    n_points = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(frames, n_points)
    ratio = _HIGHEST_HZ / _LOWEST_HZ
    edges_hz = _LOWEST_HZ * ratio ** (np.arange(N_BITS + 2) / (N_BITS + 1))
    edges = np.rint(edges_hz * n_points / rate_hz).astype(np.int64)
    power = np.square(np.abs(spectrum[:, : edges[-1]]))
    scale = 2.0 / (n_points * float(np.square(window).sum()))
    energies: NDArray[np.float64] = np.add.reduceat(power, edges[:-1], axis=1) * scale
    return energies


def _words(energies: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return the words of frames and those LAG later, shape (n_frames - LAG,)."""
    steps = energies[:, :-1] - energies[:, 1:]
    changes = steps[LAG:] - steps[:-LAG]
    totals = energies.sum(axis=1)
    quieter = np.minimum(totals[LAG:], totals[:-LAG])
    is_heard = quieter >= _SILENT
    is_heard &= np.abs(changes).sum(axis=1) >= _STEADY * (totals[LAG:] + totals[:-LAG])
    words = ((changes > 0) * _BIT_VALUES).sum(axis=1, dtype=np.uint32)
    # A word that happens to be zero would be taken for silence.
    return np.where(is_heard, np.maximum(words, 1), 0).astype(np.uint32)
