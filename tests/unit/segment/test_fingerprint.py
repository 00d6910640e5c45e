"""Fingerprints of sound: their bits, their times, and what they survive."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from acav_spark.segment.fingerprint import FingerprintMeter, clip_fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 8000


def _noise(
    rng: np.random.Generator, seconds: float, rate_hz: int = RATE
) -> NDArray[np.float32]:
    """Return noise whose loudness wanders."""
    n_samples = round(seconds * rate_hz)
    levels = np.interp(
        np.arange(n_samples),
        np.arange(0, n_samples, rate_hz // 4),
        rng.random(-(-n_samples // (rate_hz // 4))),
    )
    return (0.3 * levels * rng.standard_normal(n_samples)).astype(np.float32)


def _words(
    samples: NDArray[np.float32], rate_hz: int = RATE, *, start_s: float = 0.0
) -> NDArray[np.uint32]:
    meter = FingerprintMeter()
    for first in range(0, len(samples), 1024):
        meter.add(start_s + first / rate_hz, samples[first : first + 1024], rate_hz)
    return meter.words


def _share_of_bits(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    n = min(len(a), len(b))
    differing = np.unpackbits((a[:n] ^ b[:n]).view(np.uint8))
    return float(differing.mean())


def _energies(samples: NDArray[np.float32], frame: int) -> list[float]:
    """Return the energies of 33 bands of a frame, bin by bin, for 8 kHz."""
    length = RATE // 2
    part = samples[frame * RATE // 10 :][:length].astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    padded = np.zeros(4096)
    padded[:length] = part * window
    edges = [
        round(300 * (2000 / 300) ** (band / 33) * 4096 / RATE) for band in range(34)
    ]
    times = np.arange(4096)
    energies = []
    for low, high in pairwise(edges):
        waves = np.exp(-2j * np.pi * np.outer(np.arange(low, high), times) / 4096)
        energies.append(float((np.abs(waves @ padded) ** 2).sum()))
    return energies


def test_bits_are_signs_of_changes_between_neighbouring_bands(
    rng: np.random.Generator,
) -> None:
    samples = _noise(rng, 1.2)
    words = _words(samples)
    assert len(words) == 4
    for number, word in enumerate(words):
        before, after = (_energies(samples, number + lag) for lag in (0, 4))
        expected = sum(
            ((after[m] - after[m + 1]) - (before[m] - before[m + 1]) > 0) << m
            for m in range(32)
        )
        assert int(word) == expected


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12), st.integers(0, 2**32))
def test_words_do_not_depend_on_how_the_sound_is_cut_up(
    sizes: list[int], seed: int
) -> None:
    samples = _noise(np.random.default_rng(seed), 4.3, 11025)
    meter, place = FingerprintMeter(), 0
    for size in [*sizes, len(samples)]:
        meter.add(place / 11025, samples[place : place + size], 11025)
        place = min(place + size, len(samples))
    np.testing.assert_array_equal(meter.words, _words(samples, 11025))


def test_a_word_is_of_the_nine_tenths_of_a_second_from_its_number_on(
    rng: np.random.Generator,
) -> None:
    samples = _noise(rng, 4.0)
    changed = samples.copy()
    changed[2 * RATE :] = _noise(rng, 2.0)
    differs = np.flatnonzero(_words(samples) != _words(changed))
    # Word 11 ends at 2.0 s; of the next ones little is another sound.
    assert 12 <= differs[0] <= 14
    assert len(_words(samples)) == 32
    later = _words(samples, start_s=1.0)
    assert not later[:10].any()
    np.testing.assert_array_equal(later[10:], _words(samples))
    # What lies before the start of the container is left out.
    np.testing.assert_array_equal(_words(samples, start_s=-1.0), _words(samples)[10:])


def test_silence_tones_and_gaps_make_no_words(rng: np.random.Generator) -> None:
    times = np.arange(3 * RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 441.3 * times)).astype(np.float32)
    codec_noise = (1e-4 * rng.standard_normal(len(tone))).astype(np.float32)
    for unheard in (np.zeros_like(tone), 0.1 * codec_noise, tone, tone + codec_noise):
        assert not _words(unheard.astype(np.float32)).any()
    assert not _words(_noise(rng, 0.85)).any()
    assert not _words(_noise(rng, 3.0, 4000), 4000).any()
    meter = FingerprintMeter()
    meter.add(0.0, _noise(rng, 2.0), RATE)
    meter.add(2.5, _noise(rng, 2.0), RATE)
    assert np.flatnonzero(meter.words == 0).tolist() == list(range(12, 25))


def test_level_rate_and_noise_turn_few_bits_and_stamps_none(
    rng: np.random.Generator,
) -> None:
    samples = _noise(rng, 8.0, 44_100)
    words = _words(samples, 44_100)
    np.testing.assert_array_equal(_words(samples * np.float32(0.25), 44_100), words)
    halved = resample_poly(samples, 1, 2).astype(np.float32)
    assert _share_of_bits(_words(halved, 22_050), words) < 0.15
    noisy = samples + 0.02 * rng.standard_normal(len(samples)).astype(np.float32)
    assert 0 < _share_of_bits(_words(noisy, 44_100), words) < 0.2
    assert _share_of_bits(_words(samples[::-1].copy(), 44_100), words) > 0.4
    meter = FingerprintMeter()
    for number, first in enumerate(range(0, len(samples), 1024)):
        stamp_s = first / 44_100 + 0.03 * (number % 3 - 1) * (number > 0)
        meter.add(stamp_s, samples[first : first + 1024], 44_100)
    np.testing.assert_array_equal(meter.words, words)


def test_half_a_hop_of_shift_turns_some_bits_only(rng: np.random.Generator) -> None:
    samples = _noise(rng, 8.0)
    shifted = _words(samples[RATE // 20 :])
    assert 0.02 < _share_of_bits(shifted, _words(samples)) < 0.25


def test_a_clip_has_the_words_that_lie_inside_it() -> None:
    words = np.arange(1, 101, dtype=np.uint32)
    fingerprint = np.frombuffer(clip_fingerprint(words, 1.0, 3.0), "<u4")
    # Words 10 to 21: the last one ends at 2.1 + 0.9 s.
    assert fingerprint.tolist() == list(range(11, 23))
    assert len(clip_fingerprint(words, 0.0, 10.0)) == 4 * 92
    assert clip_fingerprint(words, 1.05, 3.05) == clip_fingerprint(words, 1.1, 3.0)
    assert clip_fingerprint(words, 0.0, 0.8) == b""
    assert clip_fingerprint(np.zeros(50, np.uint32), 0.0, 4.0) == b""


@pytest.mark.parametrize("n_words", [0, 3])
def test_a_clip_after_the_sound_has_no_fingerprint(n_words: int) -> None:
    assert clip_fingerprint(np.ones(n_words, np.uint32), 5.0, 15.0) == b""
