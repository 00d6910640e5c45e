"""Visual descriptors without weights, from colour to rhythm, on OpenCV and NumPy."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from acav_spark.errors import MediaError
from acav_spark.features.visual_descriptors import (
    colour,
    flows,
    gradients,
    layout,
    motion,
    rhythm,
)
from acav_spark.media.codes import NO_FRAMES
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["HandcraftedVisual"]

Floats = NDArray[np.float32]

# Every frame is brought to one size, so that dimensions and cost do not vary.
_WIDTH, _HEIGHT = 128, 96
_RATE_HZ = 12.0
_N_STILLS = 8


class HandcraftedVisual:
    """Five layers of classical descriptors of a clip's picture.

    It knows nothing of any data set and learns nothing. Brightness of the whole clip
    is divided out; what moves is told from what stands still by its difference from
    the median picture, and from the camera's motion by the median flow.

    ===== ========= ===========================================================
    Layer Dimension What it holds
    ===== ========= ===========================================================
    1     30        colour: hues of the picture and of what moves, tones, chroma
    2     60        gradients: orientations at three scales, of everything and of
                    what moves; how edgy and how straight that is
    3     48        layout: where edges and changes are, their centre and spread;
                    number, size and shape of the pieces that move
    4     38        motion: directions and speeds of the optical flow, divergence,
                    curl, area
    5     57        rhythm: spectra, 0.2 to 6 Hz, of change, motion and place;
                    periodicity of these and of the light
    ===== ========= ===========================================================

    Notes
    -----
    Frames at 12 per second, short side 96; some 30 ms of one core for four seconds.
    """

    name = "handcrafted_visual"
    modality = "visual"
    version = "1"
    dimensions: tuple[int, ...] = (30, 60, 48, 38, 57)
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
        message = f"clip {clip.clip_id}: no frame was decoded"
        raise MediaError(NO_FRAMES, message)
    frames = np.stack([_fitted(frame) for frame in clip.frames])
    grey, light = _normalised_grey(frames)
    stills = np.linspace(0, len(frames) - 1, min(_N_STILLS, len(frames))).astype(int)
    usual = _median_picture(grey)
    change = _foreground(grey[stills], usual)
    flow = flows(grey)
    layers = (
        colour(frames[stills], change),
        gradients(grey[stills], change),
        layout(grey[stills], change),
        motion(flow),
        rhythm(grey - usual, light, flow, _rate_hz(clip)),
    )
    return tuple(np.nan_to_num(layer).astype(np.float32) for layer in layers)


def _fitted(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame at the working size."""
    resized = cv2.resize(frame, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def _rate_hz(clip: DecodedClip) -> float:
    """Return the frame rate that the times tell; the one asked for without them."""
    times = clip.frame_times_s
    if times is None or len(times) < 2 or times[-1] <= times[0]:
        return _RATE_HZ
    return float((len(times) - 1) / (times[-1] - times[0]))


def _normalised_grey(frames: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Return smoothed grey frames of one median and mean 1, and the light of each."""
    grey = np.stack(
        [
            cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (3, 3), 0)
            for frame in frames
        ]
    ).astype(np.float32)
    # The small constants keep the noise of black frames from being blown up.
    light = np.median(grey[:, ::2, ::2], axis=(1, 2), keepdims=True) + np.float32(4.0)
    even = grey * (np.median(light) / light)
    normalised = np.asarray(even / (even.mean() + 4.0), dtype=np.float32)
    return normalised, np.asarray(light.ravel() / light.mean(), dtype=np.float32)


def _median_picture(grey: Floats) -> Floats:
    """Return each pixel's median over frames from all of the clip."""
    sample = np.linspace(0, len(grey) - 1, min(15, len(grey))).astype(int)
    return np.asarray(np.median(grey[sample], axis=0), dtype=np.float32)


def _foreground(stills: Floats, usual: Floats) -> Floats:
    """Return how much each pixel of the stills differs from the median picture.

    What all pixels share, noise and changing light, is taken off.
    """
    difference = np.abs(stills - usual)
    floor = np.median(difference, axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum(difference - 2.0 * floor - 0.02, 0), dtype=np.float32)
