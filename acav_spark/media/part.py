"""Reading a part of a file: from the key frame before it, or from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import av
import av.error

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.container import (
    moving_pictures,
    open_media,
    sounds,
    zero_time_s,
)
from acav_spark.media.packets import FrameReader

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from av.container import InputContainer

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

# Sound codecs need some packets before the wanted sample; Opus 80 ms.
_PREROLL_S = 1.0
# Nearer to the start, reading is as quick as seeking.
_SEEK_FROM_S = 4.0
# A still picture may stay on display, but not for ever after the last frame.
_MAX_HOLD_S = 5.0


class PartSink(Protocol[T_co]):
    """Takes the frames of a part; each ``add`` returns whether more are wanted."""

    def add_picture(self, time_s: float, frame: av.VideoFrame) -> bool:
        """Take a frame of the picture; time in seconds since the part's start."""

    def add_sound(self, time_s: float, frame: av.AudioFrame) -> bool:
        """Take a frame of the sound; time in seconds since the container's start."""

    @property
    def has_sound_from_start(self) -> bool:
        """Whether the first frame of sound came early enough."""

    def finish(self) -> T_co:
        """Return what was made of the frames."""


def read_part(
    path: str | os.PathLike[str],
    start_s: float,
    make_sink: Callable[[FrameReader], PartSink[T]],
    *,
    with_video: bool,
    with_audio: bool,
    is_audio_optional: bool = False,
    max_pixels: int,
) -> T:
    """Give the frames of a part of a file to a sink, and return what it makes of them.

    Parameters
    ----------
    path : str or path
        Media file.
    start_s : float
        Where the part begins, in seconds from the container's start; it ends when the
        sink wants no more.
    make_sink : callable
        Makes a sink for an opened file; called again where seeking went wrong.
    with_video, with_audio : bool
        Which streams are wanted.
    is_audio_optional : bool, default False
        Whether a file without sound will do.
    max_pixels : int
        Pixels of a frame beyond which it is refused.

    Raises
    ------
    MediaError
        ``no_video_stream``, ``no_audio_stream``, ``no_frames``, ``too_many_pixels``
        and those of ``open_media``.
    """

    def attempt(container: InputContainer, *, is_from_start: bool) -> T | None:
        if with_video and not moving_pictures(container):
            raise MediaError(codes.NO_VIDEO_STREAM, "there is no moving picture in it")
        if with_audio and not is_audio_optional and not sounds(container):
            raise MediaError(codes.NO_AUDIO_STREAM, "there is no sound in it")
        reader = FrameReader(
            container,
            with_video=with_video,
            with_audio=with_audio,
            max_pixels=max_pixels,
        )
        sink = make_sink(reader)
        is_whole = _fed(sink, reader, start_s, is_from_start=is_from_start)
        return sink.finish() if is_whole else None

    if start_s >= _SEEK_FROM_S:
        with open_media(path, max_pixels=max_pixels) as container:
            if _seek(container, start_s - _PREROLL_S):
                made = attempt(container, is_from_start=False)
                if made is not None:
                    return made
    with open_media(path, max_pixels=max_pixels) as container:
        made = attempt(container, is_from_start=True)
    if made is None:
        message = f"no frame is on display at {start_s} s, nor soon after"
        raise MediaError(codes.NO_FRAMES, message)
    return made


def _fed(
    sink: PartSink[T], reader: FrameReader, start_s: float, *, is_from_start: bool
) -> bool:
    """Give a sink its frames; False when a seek went too far, or no frame is there."""
    with_video, with_audio = reader.video is not None, reader.audio is not None
    latest_s: float | None = None
    for time_s, frame in reader.frames():
        if isinstance(frame, av.AudioFrame):
            if not sink.add_sound(time_s, frame):
                reader.audio = None
        else:
            went_too_far = latest_s is None and time_s > start_s
            # A key frame may need what lies before it: old x264 files of 4:4:4
            # colours tell their version, which decoders heed, at the start alone.
            if not is_from_start and (went_too_far or frame.is_corrupt):
                return False
            latest_s = time_s
            if not sink.add_picture(time_s - start_s, frame):
                reader.video = None
        if reader.video is None and reader.audio is None:
            break
    if with_audio and not (is_from_start or sink.has_sound_from_start):
        return False
    if not with_video:
        return True
    return latest_s is not None and latest_s >= start_s - _MAX_HOLD_S


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
