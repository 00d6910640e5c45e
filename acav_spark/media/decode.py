"""One decode of a clip for everybody who wants frames or sound of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np

from acav_spark.media.frames import FrameSampler
from acav_spark.media.part import read_part
from acav_spark.media.types import AudioSampling, VideoSampling
from acav_spark.media.waveform import ClipWaveform

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
    return read_part(
        path,
        start_s,
        lambda _: _ClipStreams(start_s, end_s, video, audio, max_pixels),
        with_video=bool(video),
        with_audio=bool(audio),
        max_pixels=max_pixels,
    )


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


class _ClipStreams:
    """Collects what is wanted of a clip."""

    def __init__(
        self,
        start_s: float,
        end_s: float,
        video: Sequence[VideoSampling],
        audio: Sequence[AudioSampling],
        max_pixels: int,
    ) -> None:
        self._samplers = [
            FrameSampler(sampling, end_s - start_s, max_pixels=max_pixels)
            for sampling in video
        ]
        self._audio = audio
        self._waveform = ClipWaveform(start_s, end_s)

    @property
    def has_sound_from_start(self) -> bool:
        return self._waveform.begins_in_time

    def add_picture(self, time_s: float, frame: av.VideoFrame) -> bool:
        for sampler in self._samplers:
            sampler.offer(time_s, frame)
        return not all(sampler.is_done for sampler in self._samplers)

    def add_sound(self, time_s: float, frame: av.AudioFrame) -> bool:
        self._waveform.offer(time_s, frame)
        return not self._waveform.is_done

    def finish(self) -> DecodedStreams:
        sampled = [sampler.finish() for sampler in self._samplers]
        return DecodedStreams(
            frames=[frames for frames in sampled if frames is not None],
            waveforms=[self._waveform.at_rate(a.sample_rate_hz) for a in self._audio],
        )
