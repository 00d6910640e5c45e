"""Decoded frames of a container, one damaged packet at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.container import (
    moving_pictures,
    prepare_decoder,
    require_pixels,
    seconds,
    sounds,
    zero_time_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# Nothing real has a higher rate; buffers are sized by it.
_MAX_SAMPLE_RATE_HZ = 768_000
_INTEGER_SCALES = {"s16": 2.0**15, "s32": 2.0**31, "u8": 2.0**7}
# PyAV looks for the end of a frame's list of planes at a null pointer, which lists of
# eight and more do not have: it would read whatever memory comes next (seen as
# SIGSEGV with 7.1 AAC).
_N_PLANES_UNSAFE = 8


class FrameReader:
    """Reads the frames of a container's first picture and sound streams.

    A packet that does not decode is counted and left out; the ones after it are
    decoded all the same. Data that breaks off ends the reading.

    Parameters
    ----------
    container : InputContainer
        An opened file, at its start or sought to another place.
    with_video, with_audio : bool
        Which of the streams to read; a missing one is left out.
    max_pixels : int
        Pixels of a frame beyond which decoding is refused.

    Attributes
    ----------
    video, audio : stream or None
        The streams that are read. Setting one to None stops decoding it.
    n_bad_packets : int
        Packets that gave an error instead of frames.
    """

    def __init__(
        self,
        container: InputContainer,
        *,
        with_video: bool,
        with_audio: bool,
        max_pixels: int,
    ) -> None:
        pictures, audios = moving_pictures(container), sounds(container)
        self.video: VideoStream | None = (
            pictures[0] if with_video and pictures else None
        )
        self.audio: AudioStream | None = audios[0] if with_audio and audios else None
        self.n_bad_packets = 0
        self._container = container
        self._max_pixels = max_pixels
        self._streams = [s for s in (self.video, self.audio) if s is not None]
        self._zero_s = zero_time_s(container)
        self._next_s = {stream.index: 0.0 for stream in self._streams}
        for stream in self._streams:
            prepare_decoder(stream, max_pixels=max_pixels)

    def frames(self) -> Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]:
        """Yield each frame with its time in seconds from the container's start.

        Frames of the two streams are mixed as they lie in the file; those of one
        stream are in the order of presentation. A frame without time stamp follows
        its predecessor.
        """
        for packet in self._packets():
            if packet.stream not in (self.video, self.audio):
                continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                self.n_bad_packets += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    require_pixels(frame.width, frame.height, self._max_pixels)
                if isinstance(frame, av.VideoFrame | av.AudioFrame):
                    yield self._time_s(packet.stream.index, frame), frame

    def _packets(self) -> Iterator[av.Packet[Stream]]:
        if not self._streams:
            return
        try:
            yield from self._container.demux(self._streams)
        except (av.error.InvalidDataError, av.error.EOFError):
            self.n_bad_packets += 1

    def _time_s(self, index: int, frame: av.VideoFrame | av.AudioFrame) -> float:
        stamp = frame.dts if frame.pts is None else frame.pts
        time_s = seconds(stamp, frame.time_base)
        time_s = self._next_s[index] if time_s is None else time_s - self._zero_s
        self._next_s[index] = time_s + frame_duration_s(frame)
        return time_s


def frame_duration_s(frame: av.VideoFrame | av.AudioFrame) -> float:
    """Return how long a frame lasts, 0 where a video frame does not say it."""
    if isinstance(frame, av.AudioFrame):
        return frame.samples / frame.sample_rate if frame.sample_rate > 0 else 0.0
    return seconds(frame.duration, frame.time_base) or 0.0


def checked_rate_hz(frame: av.AudioFrame) -> int:
    """Return a frame's sample rate.

    Raises
    ------
    MediaError
        ``invalid_media`` for one that is not possible.
    """
    if not 0 < frame.sample_rate <= _MAX_SAMPLE_RATE_HZ:
        message = f"a sample rate of {frame.sample_rate} Hz is not possible"
        raise MediaError(codes.INVALID_MEDIA, message)
    return frame.sample_rate


def mono_samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    """Return the mean of a frame's channels as finite float32 samples.

    Raises
    ------
    MediaError
        ``invalid_media`` for an unknown sample format.
    """
    channels, kind = _channels(frame)
    return _scaled(channels.mean(axis=0, dtype=np.float32), kind)


def channel_samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    """Return a frame's finite float32 samples, shape (n_channels, n_samples).

    Raises
    ------
    MediaError
        ``invalid_media`` for an unknown sample format.
    """
    channels, kind = _channels(frame)
    return _scaled(channels.astype(np.float32), kind)


def _channels(frame: av.AudioFrame) -> tuple[NDArray[np.generic], str]:
    """Return samples as coded, shape (n_channels, n_samples), and their format."""
    if frame.format.is_planar and frame.layout.nb_channels >= _N_PLANES_UNSAFE:
        frame = _interleaved(frame)
    name = frame.format.name
    kind = name.removesuffix("p")
    if kind not in ("flt", "dbl", *_INTEGER_SCALES):
        message = f"sound of format {name} cannot be read"
        raise MediaError(codes.INVALID_MEDIA, message)
    n_channels = max(frame.layout.nb_channels, 1)
    values = frame.to_ndarray()
    return (values if name.endswith("p") else values.reshape(-1, n_channels).T), kind


def _scaled(samples: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Return samples of a format with full scale at 1, changed in place."""
    if kind == "u8":
        samples -= 128.0
    if kind in _INTEGER_SCALES:
        samples /= _INTEGER_SCALES[kind]
    samples[~np.isfinite(samples)] = 0.0
    return samples


def _interleaved(frame: av.AudioFrame) -> av.AudioFrame:
    """Return a frame's samples as float32 in a single plane, channel by channel."""
    resampler = av.AudioResampler("flt", frame.layout, frame.sample_rate)
    (interleaved,) = resampler.resample(frame)
    return interleaved
