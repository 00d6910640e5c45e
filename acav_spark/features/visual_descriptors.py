"""What can be measured of a clip's frames, from colour to rhythm: one function a layer.

``grey`` is a stack of smoothed grey frames whose mean over the clip is 1; ``change``
says how much each pixel of some frames differs from the median picture.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from acav_spark.features.spectra import band_powers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32]

_FLOW_WIDTH, _FLOW_HEIGHT = 64, 48
_N_ORIENTATIONS = 8
_RHYTHM_EDGES_HZ = (0.2, 0.45, 0.7, 1.0, 1.4, 1.9, 2.6, 3.5, 4.6, 6.0)
_EPS = 1e-6


def _share(values: ArrayLike) -> Floats:
    """Return the square root of each value's share of the sum; zeros for none."""
    array = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sqrt(array / (array.sum() + _EPS)), dtype=np.float32)


def colour(frames: NDArray[np.uint8], change: Floats) -> Floats:
    """Return layer 1: hues of everything and of what moves, chroma and tones."""
    hsv = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2HSV_FULL) for frame in frames])
    hue = hsv[..., 0].ravel()
    chroma = hsv[..., 1].astype(np.float32) * hsv[..., 2] / 255.0**2
    tone = hsv[..., 2] / (hsv[..., 2].mean() + 4.0)
    share = change / (change.sum() + _EPS)
    return np.concatenate(
        [
            _hues(hue, chroma, 8),
            _hues(hue, chroma * change, 12),
            _share(np.histogram(tone, bins=6, range=(0.25, 1.75))[0]),
            [
                (chroma * share).sum(),
                (chroma * share).sum() - chroma.mean(),
                abs(float((tone * share).sum()) - 1.0),
                chroma.mean(),
            ],
        ]
    ).astype(np.float32)


def _hues(hue: NDArray[np.uint8], weights: Floats, n_bins: int) -> Floats:
    """Return shares of hues on a circle; a hue between two bins counts for both."""
    counts = np.bincount(hue, weights.ravel(), 256)
    place = np.arange(256) * n_bins / 256
    low = place.astype(int)
    part = place - low
    result = np.bincount(low, counts * (1 - part), n_bins)
    return _share(result + np.bincount((low + 1) % n_bins, counts * part, n_bins))


def gradients(grey: Floats, change: Floats) -> Floats:
    """Return layer 2: orientations at three scales, of everything and of what moves."""
    parts: list[NDArray[np.floating]] = []
    images, weights = list(grey), list(change)
    for _ in range(3):
        gathered = [
            _orientations(image, weight)
            for image, weight in zip(images, weights, strict=True)
        ]
        everything, moving, statistics = (
            np.mean(column, axis=0) for column in zip(*gathered, strict=True)
        )
        parts += [_share(everything), _share(moving), statistics]
        images = [cv2.pyrDown(image) for image in images]
        weights = [cv2.pyrDown(weight) for weight in weights]
    return np.concatenate(parts).astype(np.float32)


def _orientations(
    image: Floats, weight: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return histograms of gradient directions, and edges of what moves."""
    x = cv2.Sobel(image, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = _length(x, y)
    angle = np.arctan2(y, x) % np.pi
    bins = (angle * (_N_ORIENTATIONS / np.pi)).astype(np.int32) % _N_ORIENTATIONS
    flat = bins.ravel()
    everything = np.bincount(flat, strength.ravel(), _N_ORIENTATIONS)
    moving = np.bincount(flat, (strength * weight).ravel(), _N_ORIENTATIONS)
    # The structure tensor tells lines (coherent) from corners and dots.
    xx, yy, xy = (cv2.boxFilter(z, -1, (5, 5)) for z in (x * x, y * y, x * y))
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-4)
    total = weight.sum() + _EPS
    statistics = [
        strength.mean(),
        (strength * weight).sum() / total,
        (coherence * weight).sum() / total,
        np.sqrt((weight**2).mean()) / (weight.mean() + 1e-3),
    ]
    return (
        everything.astype(np.float64),
        moving.astype(np.float64),
        np.array(statistics, dtype=np.float64),
    )


def _length(x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the lengths of vectors.

    OpenCV's own magnitude rounds by where the array happens to lie in memory.
    """
    dx, dy = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return np.asarray(np.sqrt(dx * dx + dy * dy), dtype=np.float32)


def layout(grey: Floats, change: Floats) -> Floats:
    """Return layer 3: where the edges and the changes are, in how many pieces."""
    mean = grey.mean(axis=0)
    edges = _length(
        cv2.Sobel(mean, cv2.CV_32F, 1, 0), cv2.Sobel(mean, cv2.CV_32F, 0, 1)
    )
    changed = change.mean(axis=0)
    pieces = np.mean([_pieces(still) for still in change], axis=0)
    return np.concatenate(
        [
            _on_grid(edges, 3),
            _on_grid(changed, 4),
            _profiles(changed),
            _moments(changed),
            pieces,
        ]
    ).astype(np.float32)


def _on_grid(energy: Floats, n_cells: int) -> Floats:
    """Return the shares of the cells of a coarse square grid."""
    cells = cv2.resize(energy, (n_cells, n_cells), interpolation=cv2.INTER_AREA)
    return _share(cells.ravel())


def _profiles(energy: Floats) -> Floats:
    """Return sorted shares of rows and of columns: bands and columns, wherever."""
    rows = np.sort(energy.reshape(6, -1).sum(axis=1))
    columns = np.sort(energy.sum(axis=0).reshape(4, -1).sum(axis=1))
    return np.concatenate([_share(rows), _share(columns)])


def _moments(energy: Floats) -> Floats:
    """Return centre, spread and its direction, and filling of an energy."""
    share = energy / (energy.sum() + _EPS)
    n_rows, n_columns = energy.shape
    y, x = np.mgrid[0 : 1 : n_rows * 1j, 0 : 1 : n_columns * 1j]
    centre_x, centre_y = float((share * x).sum()), float((share * y).sum())
    spread_x = float(np.sqrt((share * (x - centre_x) ** 2).sum()))
    spread_y = float(np.sqrt((share * (y - centre_y) ** 2).sum()))
    return np.array(
        [
            centre_x,
            centre_y,
            spread_x,
            spread_y,
            np.log((spread_x + 0.01) / (spread_y + 0.01)),
            np.log((energy > 0.02).mean() + 0.001),
        ],
        dtype=np.float32,
    )


def _pieces(change: Floats) -> NDArray[np.float64]:
    """Return number, sizes and shapes of the connected pieces that differ."""
    mask = (change > 0.08).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask)
    pieces = statistics[1:][statistics[1:, cv2.CC_STAT_AREA] >= 4]
    if len(pieces) == 0:
        return np.zeros(7)
    area = pieces[:, cv2.CC_STAT_AREA].astype(np.float64)
    width = pieces[:, cv2.CC_STAT_WIDTH].astype(np.float64)
    height = pieces[:, cv2.CC_STAT_HEIGHT].astype(np.float64)
    weight = area / area.sum()
    return np.array(
        [
            np.log1p(len(pieces)),
            np.log(area.max()),
            np.log(np.median(area)),
            area.max() / area.sum(),
            (weight * np.log(width / height)).sum(),
            (weight * area / (width * height)).sum(),
            (
                weight * np.hypot(width / change.shape[1], height / change.shape[0])
            ).sum(),
        ]
    )


def flows(grey: Floats) -> Floats:
    """Return the dense flow of neighbouring frames, shape (n - 1, h, w, 2)."""
    small = [
        np.clip(
            cv2.resize(image, (_FLOW_WIDTH, _FLOW_HEIGHT), interpolation=cv2.INTER_AREA)
            * 110.0,
            0,
            255,
        ).astype(np.uint8)
        for image in grey
    ]
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    estimator.setFinestScale(1)
    still = np.zeros((_FLOW_HEIGHT, _FLOW_WIDTH, 2), np.float32)
    flows = [
        # From rest for each pair: nothing is carried over from the last.
        estimator.calc(first, second, still.copy())
        for first, second in pairwise(small)
    ]
    if not flows:
        return still[np.newaxis]
    flow = np.stack(flows).astype(np.float32)
    # The camera's own motion is what most of the picture does.
    usual = np.median(flow, axis=(1, 2), keepdims=True)
    return np.asarray(flow - usual, dtype=np.float32)


def motion(flow: Floats) -> Floats:
    """Return layer 4: how things move, whatever they look like."""
    speed = np.sqrt((flow**2).sum(axis=-1))
    angle = np.arctan2(flow[..., 1], flow[..., 0]) % (2 * np.pi)
    bins = np.minimum((angle * (8 / (2 * np.pi))).astype(np.int32), 7)
    directions = np.bincount(bins.ravel(), speed.ravel(), 8)
    edges = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 1e9)
    per_frame = speed.mean(axis=(1, 2))
    moving_area = (speed > 0.5).mean(axis=(1, 2))
    dx = np.diff(flow, axis=2)[:, :-1]
    dy = np.diff(flow, axis=1)[:, :, :-1]
    divergence = dx[..., 0] + dy[..., 1]
    curl = dx[..., 1] - dy[..., 0]
    scale = per_frame.mean() + 0.01
    mean_x, mean_y = flow[..., 0].mean(axis=(1, 2)), flow[..., 1].mean(axis=(1, 2))
    series = [per_frame, moving_area, np.abs(mean_x) / scale, np.abs(mean_y) / scale]
    return np.concatenate(
        [
            _share(directions),
            _share(directions[:4] + directions[4:]),
            _share(np.histogram(speed, bins=edges)[0]),
            np.log1p(10 * np.array([x.mean() for x in series])),
            np.log1p(10 * np.array([x.std() for x in series])),
            np.array(
                [
                    np.abs(flow[..., 0]).mean() / scale,
                    np.abs(flow[..., 1]).mean() / scale,
                    np.abs(divergence).mean() / scale,
                    np.abs(curl).mean() / scale,
                    abs(divergence.mean()) / scale,
                    abs(curl.mean()) / scale,
                    np.abs(mean_x.mean()) / scale,
                    np.abs(mean_y.mean()) / scale,
                    np.abs(flow.mean(axis=0)).mean() / scale,
                    speed.mean(axis=0).std() / scale,
                    np.log1p(speed.max(axis=(1, 2)).mean()),
                ]
            ),
        ]
    ).astype(np.float32)


def rhythm(changed: Floats, light: Floats, flow: Floats, rate_hz: float) -> Floats:
    """Return layer 5: what repeats, how often and how regularly."""
    n_bands = len(_RHYTHM_EDGES_HZ) - 1
    if len(changed) < 4:
        return np.zeros(5 * n_bands + 4 * 3, np.float32)
    difference = np.abs(np.diff(changed, axis=0))
    # A quarter of the pixels tells the noise that all of them share.
    floor = np.median(difference[:, ::2, ::2], axis=(1, 2), keepdims=True)
    activity = np.maximum(difference - 2.0 * floor - 0.02, 0).mean(axis=(1, 2))
    amount = np.abs(changed).mean(axis=(1, 2))
    _, n_rows, n_columns = changed.shape
    y, x = np.mgrid[-1 : 1 : n_rows * 1j, -1 : 1 : n_columns * 1j].astype(np.float32)
    series = [
        [activity],
        [amount],
        [flow[..., 0].mean(axis=(1, 2)), flow[..., 1].mean(axis=(1, 2))],
        [(changed * x).mean(axis=(1, 2)), (changed * y).mean(axis=(1, 2))],
        [(np.abs(flow).sum(axis=-1) > 0.5).mean(axis=(1, 2))],
    ]
    edges = np.array(_RHYTHM_EDGES_HZ)
    spectra = [
        _share(np.sum([band_powers(one, rate_hz, edges) for one in group], axis=0))
        for group in series
    ]
    regularity = [_regularity(one) for one in (activity, amount, series[3][1], light)]
    return np.concatenate([*spectra, *regularity]).astype(np.float32)


def _regularity(series: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return height and lag of the autocorrelation's first peak, and relative depth."""
    centred = series - series.mean()
    n_times = len(series)
    correlation = np.correlate(centred, centred, "full")[n_times - 1 :]
    correlation = correlation / (correlation[0] + _EPS**2)
    depth = np.log1p(series.std() / (np.abs(series).mean() + 1e-4))
    below = np.flatnonzero(correlation < 0)
    # What varies by less than rounding does has no rhythm.
    if depth < 0.01 or len(below) == 0 or below[0] >= n_times // 2:
        return np.array([0.0, 1.0, depth])
    part = correlation[below[0] : max(n_times // 2 + 1, below[0] + 1)]
    peak = int(part.argmax())
    return np.array([part[peak], (below[0] + peak) / n_times, depth])
