"""What a file is, found out cheaply: its streams, its length, its content's hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.container import (
    moving_pictures,
    open_media,
    open_regular_file,
    seconds,
    sounds,
    zero_time_s,
)
from acav_spark.media.packets import FrameReader

if TYPE_CHECKING:
    import os

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_CHUNK_BYTES = 2**20
# Headers count the length from zero or from the first packet, as muxers please
# (Matroska by FFmpeg and mp4 from zero): where these are apart, the packets tell.
_LATE_START_S = 0.5


@dataclass(frozen=True)
class MediaFacts:
    """Facts of one file with picture and sound; both are known to decode.

    Parameters
    ----------
    duration_s : float
        Length by the container, from its first packet; by its streams or packets
        where it does not say.
    width, height : int
        Pixels of the picture as coded: neither turned nor stretched as a rotation or
        an aspect of the pixels in the header asks players to.
    frame_rate : float, optional
        Average frames per second; None where the file does not say.
    n_video_streams, n_audio_streams : int
        Streams with moving pictures, and with sound.
    sample_rate_hz : int
        Rate of the first sound stream.
    n_channels : int
        Channels of the first sound stream.
    video_codec, audio_codec, container : str
        FFmpeg's names of the codecs and of the format.
    content_sha256 : str
        Hash of the file's bytes, in hexadecimal.
    size_bytes : int
        Size of the file.
    """

    duration_s: float
    width: int
    height: int
    frame_rate: float | None
    n_video_streams: int
    n_audio_streams: int
    sample_rate_hz: int
    n_channels: int
    video_codec: str
    audio_codec: str
    container: str
    content_sha256: str
    size_bytes: int


def probe(path: str | os.PathLike[str], *, max_pixels: int) -> MediaFacts:
    """Return the facts of a file, or say why it is no video with sound.

    Raises
    ------
    MediaError
        ``no_video_stream``, ``not_a_video`` (cover art), ``no_audio_stream``,
        ``no_duration``, ``no_frames``, ``no_samples``, ``too_many_pixels``, and those
        of ``open_media``.

    Notes
    -----
    Time: reading the file once for its hash, and decoding one frame of each stream.
    A file without any duration in its header, or whose clock starts late, is demuxed
    to its end.
    """
    with open_media(path, max_pixels=max_pixels) as container:
        picture, sound = _required_streams(container)
        duration_s = _stated_duration_s(container)
        if duration_s is None:
            duration_s = _scanned_duration_s(path, max_pixels)
        elif zero_time_s(container) > _LATE_START_S:
            duration_s = min(duration_s, _scanned_duration_s(path, max_pixels))
        if duration_s <= 0:
            raise MediaError(codes.NO_DURATION, f"it lasts {duration_s} s")
        _require_decodable(container, max_pixels)
        content_sha256, size_bytes = _content_hash(path)
        return MediaFacts(
            duration_s=duration_s,
            width=picture.codec_context.width,
            height=picture.codec_context.height,
            frame_rate=_frame_rate(picture),
            n_video_streams=len(moving_pictures(container)),
            n_audio_streams=len(sounds(container)),
            sample_rate_hz=sound.codec_context.sample_rate,
            n_channels=sound.codec_context.layout.nb_channels,
            video_codec=picture.codec_context.name,
            audio_codec=sound.codec_context.name,
            container=container.format.name,
            content_sha256=content_sha256,
            size_bytes=size_bytes,
        )


def _required_streams(container: InputContainer) -> tuple[VideoStream, AudioStream]:
    pictures, audios = moving_pictures(container), sounds(container)
    if not pictures and container.streams.video:
        raise MediaError(codes.NOT_A_VIDEO, "its only picture is cover art")
    if not pictures:
        raise MediaError(codes.NO_VIDEO_STREAM, "there is no moving picture in it")
    if not audios:
        raise MediaError(codes.NO_AUDIO_STREAM, "there is no sound in it")
    return pictures[0], audios[0]


def _stated_duration_s(container: InputContainer) -> float | None:
    """Return the length by the headers, None where none says it."""
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    streams = [*moving_pictures(container), *sounds(container)]
    lengths = [seconds(stream.duration, stream.time_base) for stream in streams]
    return max((s for s in lengths if s is not None and s > 0), default=None)


def _scanned_duration_s(path: str | os.PathLike[str], max_pixels: int) -> float:
    """Return the end of the last packet, counted from the container's start."""
    end_s = 0.0
    with open_media(path, max_pixels=max_pixels) as container:
        zero_s = zero_time_s(container)
        streams = [moving_pictures(container)[0], sounds(container)[0]]
        try:
            for packet in container.demux(streams):
                start_s = seconds(packet.pts, packet.time_base)
                if start_s is not None:
                    length_s = seconds(packet.duration, packet.time_base) or 0.0
                    end_s = max(end_s, start_s + length_s - zero_s)
        except (av.error.InvalidDataError, av.error.EOFError):
            return end_s
    return end_s


def _require_decodable(container: InputContainer, max_pixels: int) -> None:
    """Decode until each stream gave a frame."""
    reader = FrameReader(
        container, with_video=True, with_audio=True, max_pixels=max_pixels
    )
    for _, frame in reader.frames():
        if isinstance(frame, av.VideoFrame):
            reader.video = None
        else:
            reader.audio = None
        if reader.video is None and reader.audio is None:
            return
    code = codes.NO_SAMPLES if reader.video is None else codes.NO_FRAMES
    kind = "sound" if reader.video is None else "picture"
    message = f"no packet of its {kind} decodes; {reader.n_bad_packets} are damaged"
    if reader.video is not None and not reader.video.codec_context.width:
        message += ", and the picture's size is not known, or beyond all reason"
    raise MediaError(code, message)


def _frame_rate(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _content_hash(path: str | os.PathLike[str]) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    with open_regular_file(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            n_bytes += len(chunk)
    return digest.hexdigest(), n_bytes
