"""One decode of a clip for everybody who wants frames or sound of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.container import (
    moving_pictures,
    open_media,
    sounds,
    zero_time_s,
)
from acav_spark.media.frames import FrameSampler
from acav_spark.media.packets import FrameReader
from acav_spark.media.types import AudioSampling, VideoSampling
from acav_spark.media.waveform import ClipWaveform

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from av.container import InputContainer
    from numpy.typing import NDArray

# Sound codecs need some packets before the wanted sample; Opus 80 ms.
_PREROLL_S = 1.0
# Nearer to the start, reading is as quick as seeking.
_SEEK_FROM_S = 4.0
# A still picture may stay on display, but not for ever after the last frame.
_MAX_HOLD_S = 5.0
_ENVELOPE_RATE_HZ = 8000
_JPEG_SCALE = 4 * 118  # quality 4 of 1 (best) to 31, in FFmpeg's lambda units


@dataclass(frozen=True, eq=False)
class DecodedStreams:
    """Frames and sound of one clip, one entry for each sampling, in its order.

    Parameters
    ----------
    frames : list of (ndarray, ndarray)
        RGB frames, uint8, shape (n_frames, height, width, 3), and their presentation
        times, float64, shape (n_frames,), in seconds since the clip's start. A frame
        that was already on display when the clip starts has a negative time.
    waveforms : list of ndarray of float32, shape (n_samples,)
        Mono samples in [-1, 1]; ``round((end_s - start_s) * sample_rate_hz)`` of them.
    """

    frames: list[tuple[NDArray[np.uint8], NDArray[np.float64]]]
    waveforms: list[NDArray[np.float32]]


def decode_clip(
    path: str | os.PathLike[str],
    start_s: float,
    end_s: float,
    *,
    video: Sequence[VideoSampling] = (),
    audio: Sequence[AudioSampling] = (),
    max_pixels: int,
) -> DecodedStreams:
    """Decode [start_s, end_s) of a file once, for all samplings.

    Parameters
    ----------
    path : str or path
        Media file.
    start_s, end_s : float
        Half-open range in seconds from the container's start.
    video : sequence of VideoSampling
        Which frames; each wanted time gets the frame on display then.
    audio : sequence of AudioSampling
        Which waveforms; aligned to the clip's start by time stamps, with zeros where
        the stream has no sound.
    max_pixels : int
        Pixels of a frame, before or after resizing, beyond which it is refused.

    Raises
    ------
    MediaError
        ``no_video_stream``, ``no_audio_stream``, ``no_frames``, ``too_many_pixels``
        and those of ``open_media``.
    ValueError
        If the range is empty.

    Notes
    -----
    Memory: one full-size frame and the result. Time: that of decoding from the key
    frame before the clip; from the file's start where seeking goes wrong.
    """
    if not start_s < end_s:
        msg = f"end_s: expected a number above start_s ({start_s}), got {end_s}."
        raise ValueError(msg)
    part = _ClipPart(start_s, end_s, video, audio, max_pixels)
    if start_s >= _SEEK_FROM_S:
        with open_media(path, max_pixels=max_pixels) as container:
            if _seek(container, start_s - _PREROLL_S):
                decoded = part.read(container, is_from_start=False)
                if decoded is not None:
                    return decoded
    with open_media(path, max_pixels=max_pixels) as container:
        decoded = part.read(container, is_from_start=True)
    if decoded is None:
        message = f"no frame is on display from {start_s} s to {end_s} s"
        raise MediaError(codes.NO_FRAMES, message)
    return decoded


def poster(
    path: str | os.PathLike[str],
    time_s: float,
    short_side: int,
    *,
    max_pixels: int,
) -> bytes:
    """Return the frame on display at a time as the bytes of a JPEG file."""
    sampling = VideoSampling(short_side=short_side, n_frames=1)
    half_s = 0.001
    start_s = max(time_s - half_s, 0.0)
    decoded = decode_clip(
        path, start_s, time_s + half_s, video=[sampling], max_pixels=max_pixels
    )
    pixels = decoded.frames[0][0][0]
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuvj420p"
    )
    encoder = av.CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, av.VideoCodecContext):
        msg = "expected a picture encoder from PyAV."
        raise TypeError(msg)
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "5"}
    return b"".join(bytes(p) for f in (frame, None) for p in encoder.encode(f))


def waveform_envelope(
    path: str | os.PathLike[str],
    start_s: float,
    end_s: float,
    n_bins: int,
    *,
    max_pixels: int,
) -> NDArray[np.float32]:
    """Return the least and greatest sample of equal parts, shape (n_bins, 2)."""
    decoded = decode_clip(
        path,
        start_s,
        end_s,
        audio=[AudioSampling(_ENVELOPE_RATE_HZ)],
        max_pixels=max_pixels,
    )
    waveform = decoded.waveforms[0]
    edges = np.linspace(0, len(waveform), n_bins + 1).astype(int)
    bins = [
        waveform[first:last] if first < last else np.zeros(1, dtype=np.float32)
        for first, last in pairwise(edges)
    ]
    return np.array([[part.min(), part.max()] for part in bins], dtype=np.float32)


@dataclass(frozen=True)
class _ClipPart:
    """What is wanted of a clip, read from an opened container."""

    start_s: float
    end_s: float
    video: Sequence[VideoSampling]
    audio: Sequence[AudioSampling]
    max_pixels: int

    def read(
        self, container: InputContainer, *, is_from_start: bool
    ) -> DecodedStreams | None:
        """Return the streams; None when a seek went too far, or no frame is there."""
        self._require_streams(container)
        reader = FrameReader(
            container,
            with_video=bool(self.video),
            with_audio=bool(self.audio),
            max_pixels=self.max_pixels,
        )
        duration_s = self.end_s - self.start_s
        samplers = [
            FrameSampler(sampling, duration_s, max_pixels=self.max_pixels)
            for sampling in self.video
        ]
        waveform = ClipWaveform(self.start_s, self.end_s)
        latest_s: float | None = None
        for time_s, frame in reader.frames():
            if isinstance(frame, av.AudioFrame):
                waveform.offer(time_s, frame)
                if waveform.is_done:
                    reader.audio = None
            else:
                went_too_far = latest_s is None and time_s > self.start_s
                # A key frame may need what lies before it: old x264 files of 4:4:4
                # colours tell their version, which decoders heed, at the start alone.
                if not is_from_start and (went_too_far or frame.is_corrupt):
                    return None
                latest_s = time_s
                for sampler in samplers:
                    sampler.offer(time_s - self.start_s, frame)
                if all(sampler.is_done for sampler in samplers):
                    reader.video = None
            if reader.video is None and reader.audio is None:
                break
        if self.audio and not (is_from_start or waveform.begins_in_time):
            return None
        if self.video and (latest_s is None or latest_s < self.start_s - _MAX_HOLD_S):
            return None
        sampled = [sampler.finish() for sampler in samplers]
        return DecodedStreams(
            frames=[frames for frames in sampled if frames is not None],
            waveforms=[waveform.at_rate(a.sample_rate_hz) for a in self.audio],
        )

    def _require_streams(self, container: InputContainer) -> None:
        if self.video and not moving_pictures(container):
            raise MediaError(codes.NO_VIDEO_STREAM, "there is no moving picture in it")
        if self.audio and not sounds(container):
            raise MediaError(codes.NO_AUDIO_STREAM, "there is no sound in it")


def _seek(container: InputContainer, time_s: float) -> bool:
    """Go to the key frame before a time; whether the format could."""
    target = round((time_s + zero_time_s(container)) * av.time_base)
    try:
        container.seek(target, backward=True)
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return False
    return True
