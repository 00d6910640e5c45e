"""A clip as a file of its own: exact to the frame and the sample, by coding anew.

Copying packets instead would begin at a key frame, seconds away from the clip.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av

from acav_spark.cutting.picture import PictureEncoder
from acav_spark.cutting.sound import SoundCollector
from acav_spark.media.part import read_part

if TYPE_CHECKING:
    import os
    from fractions import Fraction

    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

    from acav_spark.cutting.settings import CutSettings
    from acav_spark.media.packets import FrameReader

    _AnyPacket = av.Packet[VideoStream] | av.Packet[AudioStream]

ENCODER_VERSION: Final = 1
"""Changes when the same settings give other frames, times or samples."""

# What the index takes: a packet's size, place, time and offset, and all the rest.
_INDEX_BYTES_PER_PACKET: Final = 40
_INDEX_BYTES: Final = 8192
# No version of the writer, no time of writing.
_MUXER: Final = {"fflags": "+bitexact"}


@dataclass(frozen=True, eq=False)
class EncodedClip:
    """A file, and what is in it.

    Parameters
    ----------
    file : bytes or memoryview
        MP4 with H.264 and AAC, its index first.
    n_frames, width, height : int
        Of the picture, as coded.
    sample_rate_hz, n_channels : int or None
        Of the sound; None without.
    """

    file: bytes | memoryview
    n_frames: int
    width: int
    height: int
    sample_rate_hz: int | None
    n_channels: int | None


def encode_clip(
    path: str | os.PathLike[str],
    start_s: float,
    end_s: float,
    settings: CutSettings,
    *,
    max_pixels: int,
) -> EncodedClip:
    """Code [start_s, end_s) of a video as a file whose times begin at 0.

    Parameters
    ----------
    path : str or path
        Media file.
    start_s, end_s : float
        Half-open range in seconds from the container's start, in whole milliseconds
        (finer ones are rounded to the clock of the file).
    settings : CutSettings
        Quality and size.
    max_pixels : int
        Pixels of a frame beyond which it is refused.

    Raises
    ------
    MediaError
        ``no_video_stream``, ``no_frames``, ``too_many_pixels`` and those of
        ``open_media``.
    ValueError
        If the range is empty.

    Notes
    -----
    The first frame is the one on display at ``start_s``, shown from 0 on; every other
    one keeps its time less ``start_s``, and the last one is shown until the end.
    Pictures stay as coded: rotation and pixel aspect are handed on to players, and so
    are the kind of colours; other formats than 8-bit 4:2:0 become that. Of an odd side
    the last pixel is lost. The sound has its first sample at ``start_s`` (the
    encoder's priming is left out by players, as the file tells them), zeros where the
    source has none, and as many samples as the clip is long.

    Time: that of decoding from the key frame before, and of coding. Memory: the file,
    and what x264 looks ahead, some 15 frames with ``veryfast``.
    """
    if not start_s < end_s:
        msg = f"end_s: expected a number above start_s ({start_s}), got {end_s}."
        raise ValueError(msg)
    return read_part(
        path,
        start_s,
        lambda reader: _ClipWriter(
            reader, start_s, end_s, settings, max_pixels=max_pixels
        ),
        with_video=True,
        with_audio=True,
        is_audio_optional=True,
        max_pixels=max_pixels,
    )


class _ClipWriter:
    """Takes the frames of a clip and writes them to a file in memory."""

    def __init__(
        self,
        reader: FrameReader,
        start_s: float,
        end_s: float,
        settings: CutSettings,
        *,
        max_pixels: int,
    ) -> None:
        if reader.video is None:
            msg = "reader: expected a video stream, got none."
            raise ValueError(msg)
        self._settings = settings
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4", options=_MUXER)
        rate: Fraction | None = reader.video.average_rate
        self._stream = self._container.add_stream("libx264", rate=rate or 25)
        self._picture = PictureEncoder(
            self._stream,
            reader.video,
            end_s - start_s,
            settings,
            max_pixels=max_pixels,
        )
        self._sound = SoundCollector(start_s, end_s) if reader.audio else None

    @property
    def has_sound_from_start(self) -> bool:
        return self._sound is None or self._sound.begins_in_time

    def add_picture(self, time_s: float, frame: av.VideoFrame) -> bool:
        return self._picture.add(time_s, frame)

    def add_sound(self, time_s: float, frame: av.AudioFrame) -> bool:
        return self._sound is not None and self._sound.add(time_s, frame)

    def finish(self) -> EncodedClip:
        picture, sound = self._picture, self._sound
        picture.finish()
        packets: list[_AnyPacket] = [*picture.packets]
        if sound is not None:
            packets += sound.encode(self._container, self._settings.audio_kbps)
        # All packets are there before the header is written, so that the room for the
        # index at the file's beginning is known.
        index_bytes = _INDEX_BYTES + _INDEX_BYTES_PER_PACKET * len(packets)
        self._container.options.update(
            {
                "moov_size": str(index_bytes),
                "video_track_timescale": str(picture.ticks_per_s),
            }
        )
        for packet in sorted(packets, key=_decoding_time):
            self._container.mux_one(packet)
        self._container.close()
        return EncodedClip(
            file=self._file.getbuffer(),
            n_frames=picture.n_frames,
            width=self._stream.width,
            height=self._stream.height,
            sample_rate_hz=None if sound is None else sound.rate_hz,
            n_channels=None if sound is None else sound.n_channels,
        )


def _decoding_time(packet: _AnyPacket) -> Fraction:
    return (packet.dts or 0) * packet.time_base
