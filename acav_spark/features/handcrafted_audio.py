"""Audio descriptors without weights, from the spectrum to its modulation."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft
from scipy.sparse import csr_array

from acav_spark.errors import MediaError
from acav_spark.features.spectra import band_powers
from acav_spark.media.codes import NO_SAMPLES
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HandcraftedAudio"]

Floats = NDArray[np.float32]

_RATE_HZ = 16_000
_N_FFT, _HOP = 512, 160
_FRAME_RATE_HZ = _RATE_HZ / _HOP
_N_MELS = 40
_N_MFCC = 13
_DYNAMIC_RANGE_DB = 60.0
_CONTRAST_EDGES_HZ = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, 8000.0)
_ONSET_EDGES_HZ = (0.3, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 8.0, 14.0)
_MODULATION_EDGES_HZ = (0.2, 0.4, 0.8, 1.4, 2.4, 4.0, 7.0, 12.0, 24.0)
_N_MODULATION_GROUPS = 6
_EPS = 1e-10


class HandcraftedAudio:
    """Five layers of classical descriptors of a clip's sound.

    It knows nothing of any data set and learns nothing. Loudness is divided out, and
    what lies more than 60 dB below the loudest part counts as silence.

    ===== ========= ===========================================================
    Layer Dimension What it holds
    ===== ========= ===========================================================
    1     80        log-mel spectrum: mean and deviation of 40 bands
    2     38        MFCC 1 to 13: mean and deviation; deviation of differences
    3     24        contrast of peaks and valleys in seven bands; flatness, centre
    4     42        onsets: spectrum of their strength, shape, rate, sharpness
    5     54        modulation spectrum: six bands, 0.2 to 24 Hz; depth
    ===== ========= ===========================================================

    Notes
    -----
    16 kHz mono; some 3 ms of one core for four seconds. The mel filters are
    librosa's. Its other functions are left alone: importing them compiles for up to
    half a minute in every process that cannot write to the compiler's cache.
    """

    name = "handcrafted_audio"
    modality = "audio"
    version = "1"
    dimensions: tuple[int, ...] = (80, 38, 24, 42, 54)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=_RATE_HZ)
    wants_gpu = False

    def extract(self, clips: Sequence[DecodedClip]) -> list[tuple[Floats, ...]]:
        """Return, for each clip in order, one float32 vector for each layer.

        Raises
        ------
        MediaError
            With code ``no_samples`` for a clip without sound.
        ValueError
            If a clip's rate is not the one asked for.
        """
        return [_extract_one(clip) for clip in clips]


def _extract_one(clip: DecodedClip) -> tuple[Floats, ...]:
    """Return the five vectors of one clip."""
    if clip.waveform is None or clip.waveform.size == 0:
        message = f"clip {clip.clip_id}: no sound was decoded"
        raise MediaError(NO_SAMPLES, message)
    if clip.sample_rate_hz != _RATE_HZ:
        msg = (
            f"clip {clip.clip_id}: expected a waveform at {_RATE_HZ} Hz, got "
            f"{clip.sample_rate_hz}."
        )
        raise ValueError(msg)
    power = _power_spectrogram(clip.waveform)
    log_mel = _log_mel(power)
    layers = (
        np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1)]),
        _mfcc_statistics(log_mel),
        _contrast(power),
        _onsets(log_mel),
        _modulation(log_mel),
    )
    return tuple(np.nan_to_num(layer).astype(np.float32) for layer in layers)


def _power_spectrogram(waveform: Floats) -> NDArray[np.float64]:
    """Return power, shape (257, n_times), of a waveform brought to one loudness.

    Silence and sound below the last bit of 16 stay as quiet as they are.
    """
    wave = np.nan_to_num(waveform.astype(np.float64), posinf=0.0, neginf=0.0)
    wave = wave - wave.mean()
    loudness = max(float(np.sqrt(np.mean(wave**2))), 2.0**-16)
    padded = np.pad(wave / loudness, (0, max(_N_FFT - len(wave), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    spectrum = rfft(frames.astype(np.float32) * window, axis=1)
    return np.asarray((np.abs(spectrum) ** 2).T, dtype=np.float64)


@lru_cache(maxsize=1)
def _mel_filters() -> csr_array:
    """Return librosa's mel filters, shape (40, 257).

    Sparse, since they are, and since a dense product would start the threads of BLAS
    in every worker and round by their number.
    """
    from librosa.filters import mel

    dense = mel(sr=_RATE_HZ, n_fft=_N_FFT, n_mels=_N_MELS)
    return csr_array(np.asarray(dense, dtype=np.float64))


def _log_mel(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-mel spectrogram in units of 10 dB, 0 at its loudest."""
    mel = _mel_filters() @ power
    decibel = 10 * np.log10(mel + _EPS)
    decibel -= max(float(decibel.max()), -60.0)
    return np.asarray(np.maximum(decibel, -_DYNAMIC_RANGE_DB) / 10.0)


def _mfcc_statistics(log_mel: NDArray[np.float64]) -> Floats:
    """Return layer 2: cepstral coefficients 1 to 13, without the loudness."""
    cepstrum = dct(log_mel, axis=0, norm="ortho")[1 : _N_MFCC + 1]
    steps = np.diff(cepstrum, n=1, axis=1, prepend=cepstrum[:, :1])
    return np.concatenate(
        [cepstrum.mean(axis=1), cepstrum.std(axis=1), steps.std(axis=1)[:12]]
    ).astype(np.float32)


def _contrast(power: NDArray[np.float64]) -> Floats:
    """Return layer 3: peaks against valleys in octave bands; flatness and centre."""
    frequencies = np.fft.rfftfreq(_N_FFT, 1 / _RATE_HZ)
    level = power + 1e-4 * power.max() + _EPS
    contrasts = []
    for low, high in pairwise(_CONTRAST_EDGES_HZ):
        band = np.sort(level[(frequencies >= low) & (frequencies < high)], axis=0)
        n_ends = max(len(band) // 5, 1)
        contrasts.append(
            np.log10(band[-n_ends:].mean(axis=0) / band[:n_ends].mean(axis=0))
        )
    share = level / level.sum(axis=0)
    centre = (frequencies[:, None] * share).sum(axis=0)
    spread = np.sqrt((share * (frequencies[:, None] - centre) ** 2).sum(axis=0))
    flatness = np.log10(np.exp(np.log(level).mean(axis=0)) / level.mean(axis=0))
    roll_off = (np.cumsum(share, axis=0) < 0.85).mean(axis=0)
    long_term = level.mean(axis=1)
    peak = np.log10(long_term.max() / np.median(long_term))
    whole = np.log10(np.exp(np.log(long_term).mean()) / long_term.mean())
    descriptors = [*contrasts, flatness, centre / 1000, spread / 1000, roll_off]
    return np.array(
        [
            *[x.mean() for x in descriptors],
            *[x.std() for x in descriptors],
            peak,
            whole,
        ],
        dtype=np.float32,
    )


def _flux(log_mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return onset strength in three bands and in all, shape (4, n_times)."""
    rise = np.maximum(log_mel[:, 2:] - log_mel[:, :-2], 0)
    thirds = [band.mean(axis=0) for band in np.array_split(rise, 3, axis=0)]
    return np.stack([*thirds, rise.mean(axis=0)])


def _onsets(log_mel: NDArray[np.float64]) -> Floats:
    """Return layer 4: how sounds begin, how often, how regularly and how they fade."""
    n_bands = len(_ONSET_EDGES_HZ) - 1
    if log_mel.shape[1] < 8:
        return np.zeros(2 * n_bands + 24, np.float32)
    flux = _flux(log_mel)
    strength = flux[3]
    spectrum = band_powers(flux[[0, 3]], _FRAME_RATE_HZ, np.array(_ONSET_EDGES_HZ))
    shares = np.sqrt(spectrum / (spectrum.sum(axis=1, keepdims=True) + _EPS))
    peaks = _peaks(strength)
    gaps = np.diff(peaks) / _FRAME_RATE_HZ
    duration_s = log_mel.shape[1] / _FRAME_RATE_HZ
    sharpness = flux.max(axis=1) / (flux.mean(axis=1) + 0.01)
    regularity = gaps.std() / gaps.mean() if len(gaps) > 1 else 1.0
    return np.concatenate(
        [
            shares.ravel(),
            np.log1p(sharpness),
            flux.mean(axis=1),
            flux.std(axis=1),
            _fading(log_mel, peaks),
            [
                len(peaks) / duration_s,
                float(np.median(gaps)) if len(gaps) else duration_s,
                regularity,
                (strength > 0.3).mean(),
            ],
        ]
    ).astype(np.float32)


def _peaks(strength: NDArray[np.float64]) -> NDArray[np.int_]:
    """Return the times of the clear maxima of the onset strength."""
    threshold = strength.mean() + 0.3 * (strength.max() - strength.mean()) + 0.02
    middle = strength[1:-1]
    is_peak = (middle >= strength[:-2]) & (middle > strength[2:]) & (middle > threshold)
    peaks = np.flatnonzero(is_peak) + 1
    keep: list[int] = []
    for peak in peaks:
        if not keep or peak - keep[-1] > 5:  # 50 ms: one onset rings on
            keep.append(int(peak))
    return np.array(keep, dtype=int)


def _fading(log_mel: NDArray[np.float64], peaks: NDArray[np.int_]) -> Floats:
    """Return the level after onsets, 30, 80, 160 and 320 ms on, low and high bands."""
    result = np.zeros((2, 4), np.float32)
    if len(peaks) == 0:
        return result.ravel()
    last = log_mel.shape[1] - 1
    for row, band in enumerate(np.array_split(log_mel, 2, axis=0)):
        level = band.mean(axis=0)
        start = level[np.minimum(peaks + 1, last)]
        for column, delay in enumerate((4, 9, 17, 33)):
            later = level[np.minimum(peaks + delay, last)]
            result[row, column] = (later - start).mean()
    return result.ravel()


def _modulation(log_mel: NDArray[np.float64]) -> Floats:
    """Return layer 5: how fast and how deep the bands swell and sink."""
    groups = np.stack(
        [band.mean(axis=0) for band in np.array_split(log_mel, _N_MODULATION_GROUPS)]
    )
    edges = np.array(_MODULATION_EDGES_HZ)
    power = band_powers(groups, _FRAME_RATE_HZ, edges)
    shares = np.sqrt(power / (power.sum(axis=1, keepdims=True) + _EPS))
    return np.concatenate([shares.ravel(), groups.std(axis=1)]).astype(np.float32)
