"""Spectra of slow series, such as a loudness or a motion over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def band_powers(
    series: NDArray[np.floating], rate_hz: float, edges_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the power of a series in frequency bands, without its mean and trend.

    Parameters
    ----------
    series : ndarray of float, shape (..., n_times)
        Evenly spaced values.
    rate_hz : float
        Values per second.
    edges_hz : ndarray of float64, shape (n_bands + 1,)
        Edges of the bands, rising.

    Returns
    -------
    ndarray of float64, shape (..., n_bands)
        Zeros for a series of fewer than four values.

    Notes
    -----
    The series is padded with zeros until the narrowest band holds several
    frequencies, so no band of a short clip is empty by accident.
    """
    n_times = series.shape[-1]
    n_bands = len(edges_hz) - 1
    if n_times < 4:
        return np.zeros((*series.shape[:-1], n_bands))
    times = np.linspace(-1, 1, n_times)
    centred = series - series.mean(axis=-1, keepdims=True)
    slope = (centred * times).sum(axis=-1, keepdims=True) / (times**2).sum()
    windowed = (centred - slope * times) * np.hanning(n_times + 2)[1:-1]
    n_fft = 1 << int(
        np.ceil(np.log2(max(n_times, 4 * rate_hz / np.diff(edges_hz).min())))
    )
    power = np.abs(np.fft.rfft(windowed, n_fft)) ** 2
    places = np.searchsorted(np.fft.rfftfreq(n_fft, 1 / rate_hz), edges_hz)
    summed = np.concatenate(
        [np.zeros((*power.shape[:-1], 1)), np.cumsum(power, axis=-1)], axis=-1
    )
    return np.diff(summed[..., places], axis=-1)
