from __future__ import annotations

import numpy as np
import pytest

from acav_spark.features.spectra import band_powers

EDGES_HZ = np.array([0.5, 1.5, 2.5, 3.5, 4.5])


@pytest.mark.parametrize("frequency_hz", [1.0, 2.0, 3.0, 4.0])
def test_a_tone_lies_in_its_band(frequency_hz: float) -> None:
    times = np.arange(60) / 12

    powers = band_powers(np.sin(2 * np.pi * frequency_hz * times), 12.0, EDGES_HZ)

    assert powers.argmax() == round(frequency_hz) - 1
    assert powers.max() > 0.95 * powers.sum()


def test_mean_and_trend_are_no_rhythm() -> None:
    times = np.arange(48) / 12

    assert band_powers(5.0 + 3.0 * times, 12.0, EDGES_HZ) == pytest.approx(0, abs=1e-20)


def test_rows_are_treated_alone(rng: np.random.Generator) -> None:
    series = rng.standard_normal((3, 40))

    together = band_powers(series, 12.0, EDGES_HZ)

    for row, powers in zip(series, together, strict=True):
        np.testing.assert_allclose(band_powers(row, 12.0, EDGES_HZ), powers)


def test_three_values_have_no_spectrum() -> None:
    np.testing.assert_array_equal(
        band_powers(np.array([1.0, 5.0, 2.0]), 12.0, EDGES_HZ), np.zeros(4)
    )
