"""Visual descriptors without weights, from colour to rhythm, on OpenCV and NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from acav_spark.errors import MediaError
from acav_spark.features.spectra import band_powers
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

__all__ = ["HandcraftedVisual"]

Floats = NDArray[np.float32]

# Every frame is brought to one size, so that dimensions and cost do not vary.
_WIDTH, _HEIGHT = 128, 96
_FLOW_WIDTH, _FLOW_HEIGHT = 64, 48
_RATE_HZ = 12.0
_N_STILLS = 8
_N_HUES = 12
_N_ORIENTATIONS = 8
_GRID = 4
_RHYTHM_EDGES_HZ = (0.2, 0.45, 0.7, 1.0, 1.4, 1.9, 2.6, 3.5, 4.6, 6.0)
_EPS = 1e-6


class HandcraftedVisual:
    """Five layers of classical descriptors of a clip's picture.

    It knows nothing of any data set and learns nothing. Brightness and contrast of
    the whole clip are divided out; what moves is told from what stands still by its
    difference from the median picture.

    ===== ========= ===========================================================
    Layer Dimension What it holds
    ===== ========= ===========================================================
    1     40        colour: hues of the picture and of what moves, chroma, tones
    2     54        gradients: orientations at three scales, all and moving; edges
    3     48        layout: where edges and changes are; their centre and spread
    4     38        motion: flow directions, speeds, divergence, curl, area
    5     63        rhythm: spectra, 0.2 to 6 Hz, of seven series; periodicity
    ===== ========= ===========================================================

    Notes
    -----
    Frames at 12 per second, short side 96: some 30 ms of one core for four seconds.
    """

    name = "handcrafted_visual"
    modality = "visual"
    version = "1"
    dimensions: tuple[int, ...] = (40, 54, 48, 38, 63)
    video_sampling: VideoSampling | None = VideoSampling(
        short_side=_HEIGHT, frames_per_s=_RATE_HZ
    )
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def extract(self, clips: Sequence[DecodedClip]) -> list[tuple[Floats, ...]]:
        """Return, for each clip in order, one float32 vector for each layer.

        Raises
        ------
        MediaError
            With code ``no_frames`` for a clip without a frame.
        """
        with _single_threaded():
            return [_extract_one(clip) for clip in clips]


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Keep OpenCV on one thread: Spark runs one worker for each core already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _extract_one(clip: DecodedClip) -> tuple[Floats, ...]:
    """Return the five vectors of one clip."""
    if clip.frames is None or clip.frames.size == 0:
        raise MediaError("no_frames", f"clip {clip.clip_id}: no frame was decoded")
    frames = np.stack([_fitted(frame) for frame in clip.frames])
    grey = _normalised_grey(frames)
    stills = np.linspace(0, len(frames) - 1, min(_N_STILLS, len(frames))).astype(int)
    change = _foreground(grey, stills)
    flow = _flows(grey)
    layers = (
        _colour(frames[stills], change),
        _gradients(grey[stills], change),
        _layout(grey[stills], change),
        _motion(flow),
        _rhythm(grey, flow, _rate_hz(clip)),
    )
    return tuple(np.nan_to_num(layer).astype(np.float32) for layer in layers)


def _fitted(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame at the working size."""
    result: NDArray[np.uint8] = cv2.resize(
        frame, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA
    )
    return result


def _rate_hz(clip: DecodedClip) -> float:
    """Return the frame rate that the times tell; the one asked for without them."""
    times = clip.frame_times_s
    if times is None or len(times) < 2 or times[-1] <= times[0]:
        return _RATE_HZ
    return float((len(times) - 1) / (times[-1] - times[0]))


def _normalised_grey(frames: NDArray[np.uint8]) -> Floats:
    """Return smoothed grey frames whose mean over the clip is 1."""
    grey = np.stack(
        [
            cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (3, 3), 0)
            for frame in frames
        ]
    ).astype(np.float32)
    # The small constant keeps the noise of black frames from being blown up.
    return grey / np.float32(grey.mean() + 4.0)


def _foreground(grey: Floats, stills: NDArray[np.int_]) -> Floats:
    """Return how much each pixel of the stills differs from the median picture.

    What all pixels share, noise and changing light, is taken off.
    """
    sample = np.linspace(0, len(grey) - 1, min(15, len(grey))).astype(int)
    usual = np.median(grey[sample], axis=0)
    difference = np.abs(grey[stills] - usual)
    floor = np.median(difference, axis=(1, 2), keepdims=True)
    return np.maximum(difference - 2.0 * floor - 0.02, 0).astype(np.float32)


def _share(values: NDArray[np.floating]) -> Floats:
    """Return the square root of each value's share of the sum; zeros for none."""
    return np.sqrt(values / (values.sum() + _EPS)).astype(np.float32)


def _colour(frames: NDArray[np.uint8], change: Floats) -> Floats:
    """Return layer 1: hues of everything and of what moves, chroma and tones."""
    hsv = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2HSV) for frame in frames])
    hue = (hsv[..., 0].astype(np.int32) * _N_HUES // 180).ravel()
    chroma = hsv[..., 1].astype(np.float32) * hsv[..., 2] / 255.0
    tone = hsv[..., 2] / (hsv[..., 2].mean() + 4.0)
    moving = change / (change.sum() + _EPS)

    def hues(weights: NDArray[np.floating]) -> Floats:
        return _share(np.bincount(hue, weights.ravel(), _N_HUES))

    return np.concatenate(
        [
            hues(chroma),
            hues(chroma * change),
            _share(np.histogram(tone, bins=8, range=(0, 2))[0]),
            _share(np.histogram(hsv[..., 1], bins=4, range=(0, 256))[0]),
            _statistics_of_moving(chroma / 255.0, tone, moving),
        ]
    )


def _statistics_of_moving(chroma: Floats, tone: Floats, moving: Floats) -> Floats:
    """Return chroma and tone of what moves, and how they compare with the rest."""
    moving_chroma = float((chroma * moving).sum())
    moving_tone = float((tone * moving).sum())
    return np.array(
        [moving_chroma, moving_tone, chroma.mean(), tone.std()], dtype=np.float32
    )


def _gradients(grey: Floats, change: Floats) -> Floats:
    """Return layer 2: orientations at three scales, of everything and of what moves."""
    parts: list[Floats] = []
    images, weights = list(grey), list(change)
    for _ in range(3):
        total = np.zeros(_N_ORIENTATIONS)
        moving = np.zeros(_N_ORIENTATIONS)
        strengths = []
        for image, weight in zip(images, weights, strict=True):
            x = cv2.Sobel(image, cv2.CV_32F, 1, 0)
            y = cv2.Sobel(image, cv2.CV_32F, 0, 1)
            strength, angle = cv2.cartToPolar(x, y)
            bins = (angle * (_N_ORIENTATIONS / np.pi)).astype(np.int32) % _N_ORIENTATIONS
            flat = bins.ravel()
            total += np.bincount(flat, strength.ravel(), _N_ORIENTATIONS)
            moving += np.bincount(flat, (strength * weight).ravel(), _N_ORIENTATIONS)
            strengths.append([strength.mean(), (strength > 0.5).mean()])
        parts += [_share(total), _share(moving), np.mean(strengths, axis=0)]
        images = [cv2.pyrDown(image) for image in images]
        weights = [cv2.pyrDown(weight) for weight in weights]
    return np.concatenate(parts).astype(np.float32)


def _layout(grey: Floats, change: Floats) -> Floats:
    """Return layer 3: where the edges and the changes are."""
    mean = grey.mean(axis=0)
    edges = cv2.magnitude(
        cv2.Sobel(mean, cv2.CV_32F, 1, 0), cv2.Sobel(mean, cv2.CV_32F, 0, 1)
    )
    changed = change.mean(axis=0)
    return np.concatenate(
        [_on_grid(edges), _on_grid(changed), _profiles(changed), _moments(changed)]
    )


def _on_grid(energy: Floats) -> Floats:
    """Return the shares of the cells of a coarse grid."""
    cells = cv2.resize(energy, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return _share(cells.ravel())


def _profiles(energy: Floats) -> Floats:
    """Return sorted shares of rows and of columns: bands and columns, wherever."""
    rows = np.sort(energy.reshape(6, -1).sum(axis=1))
    columns = np.sort(energy.sum(axis=0).reshape(4, -1).sum(axis=1))
    return np.concatenate([_share(rows), _share(columns)])


def _moments(energy: Floats) -> Floats:
    """Return centre, spread, tilt, filling and peak of an energy."""
    share = energy / (energy.sum() + _EPS)
    y, x = np.mgrid[0:1 : _HEIGHT * 1j, 0:1 : _WIDTH * 1j]
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
            (energy > 0).mean(),
        ],
        dtype=np.float32,
    )


def _flows(grey: Floats) -> Floats:
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
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    estimator.setFinestScale(1)
    flows = [
        # A vector of its own for each pair: nothing is carried from pair to pair.
        estimator.calc(first, second, None)
        for first, second in zip(small[:-1], small[1:], strict=True)
    ]
    if not flows:
        return np.zeros((1, _FLOW_HEIGHT, _FLOW_WIDTH, 2), np.float32)
    flow = np.stack(flows)
    # The camera's own motion is what most of the picture does.
    return flow - np.median(flow, axis=(1, 2), keepdims=True)


def _motion(flow: Floats) -> Floats:
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


def _rhythm(grey: Floats, flow: Floats, rate_hz: float) -> Floats:
    """Return layer 5: what repeats, and how often."""
    if len(grey) < 2:
        return np.zeros(7 * (len(_RHYTHM_EDGES_HZ) - 1), np.float32)
    difference = np.abs(np.diff(grey, axis=0))
    floor = np.median(difference, axis=(1, 2), keepdims=True)
    activity = np.maximum(difference - 2.0 * floor - 0.02, 0)
    total = activity.sum(axis=(1, 2))
    y, x = np.mgrid[-1 : 1 : _HEIGHT * 1j, -1 : 1 : _WIDTH * 1j].astype(np.float32)
    changed = grey - np.median(grey[:: max(len(grey) // 15, 1)], axis=0)
    series = [
        total,
        flow[..., 0].mean(axis=(1, 2)),
        flow[..., 1].mean(axis=(1, 2)),
        (changed * x).mean(axis=(1, 2)),
        (changed * y).mean(axis=(1, 2)),
        grey.mean(axis=(1, 2)),
        np.abs(changed).mean(axis=(1, 2)),
    ]
    edges = np.array(_RHYTHM_EDGES_HZ)
    return np.concatenate(
        [_share(band_powers(values, rate_hz, edges)) for values in series]
    )
