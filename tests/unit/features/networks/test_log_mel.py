from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.features.networks.log_mel import (
    EXAMPLE_SAMPLES,
    examples,
    log_mel_module,
    mel_matrix,
)


def log_mel(waveform: np.ndarray, offset: float = 0.01) -> np.ndarray:
    batch = torch.from_numpy(waveform.astype(np.float32))[None]
    return np.asarray(log_mel_module(offset)(batch)[0, 0].numpy())


def test_the_front_end_is_that_of_vggish(rng: np.random.Generator) -> None:
    from torchvggish import mel_features

    for waveform in (
        rng.normal(scale=0.1, size=EXAMPLE_SAMPLES),
        np.sin(np.arange(EXAMPLE_SAMPLES) * 0.3) * np.linspace(0, 1, EXAMPLE_SAMPLES),
        np.zeros(EXAMPLE_SAMPLES),
    ):
        waveform = waveform.astype(np.float32)
        expected = mel_features.log_mel_spectrogram(
            waveform,
            audio_sample_rate=16_000,
            log_offset=0.01,
            window_length_secs=0.025,
            hop_length_secs=0.010,
            num_mel_bins=64,
            lower_edge_hertz=125,
            upper_edge_hertz=7500,
        )

        actual = log_mel(waveform)

        assert actual.shape == expected.shape == (96, 64)
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_the_mel_bands_are_the_published_ones() -> None:
    from torchvggish import mel_features

    expected = mel_features.spectrogram_to_mel_matrix(64, 257, 16_000, 125.0, 7500.0)

    np.testing.assert_allclose(mel_matrix(), expected, atol=1e-12)


def test_a_tone_is_loudest_in_its_band() -> None:
    for hertz in (200.0, 1000.0, 5000.0):
        tone = np.sin(2 * np.pi * hertz * np.arange(EXAMPLE_SAMPLES) / 16_000)
        low, high = 1127 * np.log1p(np.array([125, 7500]) / 700)
        edges = np.linspace(low, high, 66)
        band = int(np.searchsorted(edges, 1127 * np.log1p(hertz / 700))) - 1
        assert abs(int(log_mel(tone).mean(axis=0).argmax()) - band) <= 1


def test_half_precision_around_it_changes_nothing(rng: np.random.Generator) -> None:
    waveform = rng.normal(scale=0.01, size=EXAMPLE_SAMPLES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = log_mel(waveform)
    np.testing.assert_array_equal(inside, log_mel(waveform))


@given(
    n_samples=st.integers(1, 70_000),
    hop=st.sampled_from([7_680, 15_360]),
    keeps_rest=st.booleans(),
)
def test_examples_tile_the_waveform(
    n_samples: int, hop: int, *, keeps_rest: bool
) -> None:
    waveform = np.arange(1, n_samples + 1, dtype=np.float32)

    pieces = examples(waveform, hop=hop, keeps_rest=keeps_rest)

    for i, piece in enumerate(pieces):
        expected = waveform[i * hop : i * hop + EXAMPLE_SAMPLES]
        assert piece.shape == (EXAMPLE_SAMPLES,)
        np.testing.assert_array_equal(piece[: len(expected)], expected)
        assert not piece[len(expected) :].any()
    end = (len(pieces) - 1) * hop + EXAMPLE_SAMPLES
    if keeps_rest:  # all of it, and no piece beyond
        assert end >= n_samples
        assert len(pieces) == 1 or end - hop < n_samples
    else:  # whole pieces alone, as many as there are
        assert end <= max(n_samples, EXAMPLE_SAMPLES)
        assert end + hop > n_samples


@pytest.mark.parametrize(
    ("n_samples", "n_kept", "n_left_out"),
    [(1, 1, 1), (15_600, 1, 1), (15_601, 2, 1), (30_960, 2, 2), (160_000, 11, 10)],
)
def test_numbers_of_examples_of_vggish(
    n_samples: int, n_kept: int, n_left_out: int
) -> None:
    waveform = np.ones(n_samples, np.float32)
    assert len(examples(waveform, hop=15_360, keeps_rest=True)) == n_kept
    assert len(examples(waveform, hop=15_360, keeps_rest=False)) == n_left_out
