"""Frames at wanted times, resized while decoding goes on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from acav_spark.errors import MediaError
from acav_spark.media import codes

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    from acav_spark.media.types import VideoSampling

# Bilinear in swscale widens its kernel when it shrinks, so it does not alias; the
# other flags make the result the same on every processor.
_INTERPOLATION = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
_TIME_TOLERANCE_S = 1e-6
# Formats whose first plane is eight bits of luma for every pixel.
_LUMA_FORMATS = frozenset(
    f"{kind}{layout}p"
    for kind in ("yuv", "yuvj")
    for layout in ("420", "422", "444", "440", "411", "410")
)


def sampling_times_s(sampling: VideoSampling, duration_s: float) -> NDArray[np.float64]:
    """Return the times, in seconds since the clip's start, that a sampling asks for.

    ``n_frames`` gives the middles of so many equal parts, ``frames_per_s`` the
    multiples of its inverse in [0, duration_s).
    """
    if sampling.n_frames is not None:
        middles = np.arange(sampling.n_frames, dtype=np.float64) + 0.5
        return middles * (duration_s / sampling.n_frames)
    if sampling.frames_per_s is None:
        msg = "sampling: expected n_frames or frames_per_s, got neither."
        raise ValueError(msg)
    n_frames = max(math.ceil(duration_s * sampling.frames_per_s - 1e-6), 1)
    return np.arange(n_frames, dtype=np.float64) / sampling.frames_per_s


def resized_shape(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side as asked and the aspect kept."""
    scale = short_side / min(width, height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def luma_plane(frame: av.VideoFrame) -> NDArray[np.uint8] | None:
    """Return the luma of an 8-bit YUV frame without copying, or None for other ones.

    The array, of shape (height, width), keeps the frame alive.
    """
    if frame.format.name not in _LUMA_FORMATS:
        return None
    plane = frame.planes[0]
    if plane.line_size < frame.width:
        return None
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8)
    luma: NDArray[np.uint8] = rows.reshape(-1, plane.line_size)
    return luma[: frame.height, : frame.width]


class FrameResizer:
    """Turns decoded frames into RGB arrays of one size."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def rgb(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """Return a frame as uint8 RGB, shape (height, width, 3)."""
        resized = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=_INTERPOLATION
        )
        return np.asarray(resized.to_ndarray(), dtype=np.uint8)

    def grey(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the luma of a frame of any format, shape (height, width)."""
        luma = luma_plane(frame)
        if luma is not None:
            return luma
        converted = self._reformatter.reformat(
            frame, format="gray", interpolation=_INTERPOLATION
        )
        return np.asarray(converted.to_ndarray(), dtype=np.uint8)


class FrameSampler:
    """Picks, for each wanted time, the frame on display then.

    Of full-size frames only the latest is kept, so memory does not grow with the
    clip: ten seconds of 1080p would be 1.9 GB.

    Parameters
    ----------
    sampling : VideoSampling
        Which frames, and their size.
    duration_s : float
        Length of the clip.
    max_pixels : int
        Pixels of a resized frame beyond which the clip is refused.
    """

    def __init__(
        self, sampling: VideoSampling, duration_s: float, *, max_pixels: int
    ) -> None:
        self._short_side = sampling.short_side
        self._max_pixels = max_pixels
        self._wanted_s = sampling_times_s(sampling, duration_s)
        self._times_s = np.empty(len(self._wanted_s), dtype=np.float64)
        self._frames: NDArray[np.uint8] | None = None
        self._n_taken = 0
        self._latest: tuple[float, av.VideoFrame] | None = None
        self._resizer = FrameResizer()

    @property
    def is_done(self) -> bool:
        """Whether every wanted time has its frame."""
        return self._n_taken == len(self._wanted_s)

    def offer(self, time_s: float, frame: av.VideoFrame) -> None:
        """Take the next frame of the stream; ``time_s`` counts from the clip's start.

        A first frame after the first wanted time stands in for the missing one.
        """
        if self._latest is None:
            self._latest = (time_s, frame)
        elif time_s > self._latest[0]:
            self._take_before(time_s)
            self._latest = (time_s, frame)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | None:
        """Return frames and their times, or None when no frame was offered.

        The last frame stays on display for the rest of the wanted times.
        """
        self._take_before(math.inf)
        return None if self._frames is None else (self._frames, self._times_s)

    def _take_before(self, time_s: float) -> None:
        """Give the latest frame to the wanted times before the next frame's time."""
        if self._latest is None:
            return
        limit = time_s - _TIME_TOLERANCE_S
        end = int(np.searchsorted(self._wanted_s, limit, side="left"))
        if end <= self._n_taken:
            return
        latest_s, frame = self._latest
        frames = self._allocated(frame)
        _, height, width, _ = frames.shape
        frames[self._n_taken : end] = self._resizer.rgb(frame, width, height)
        self._times_s[self._n_taken : end] = latest_s
        self._n_taken = end

    def _allocated(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the block for all frames; the first one decides their size."""
        if self._frames is None:
            width, height = resized_shape(frame.width, frame.height, self._short_side)
            if width * height > self._max_pixels:
                message = (
                    f"frames of {frame.width} x {frame.height} resized to {width} x "
                    f"{height} pixels; at most {self._max_pixels} are allowed"
                )
                raise MediaError(codes.TOO_MANY_PIXELS, message)
            shape = (len(self._wanted_s), height, width, 3)
            self._frames = np.empty(shape, dtype=np.uint8)
        return self._frames
