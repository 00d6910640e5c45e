"""Files that are unusual and right: made small, with facts that follow from how."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import av
import imageio_ffmpeg
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RATE_HZ = 8000
WIDTH, HEIGHT = 64, 48


def write_pictures(
    path: Path,
    times_s: Sequence[float],
    greys: Sequence[int],
    *,
    sound: Sequence[float] | None = (0.25,),
    sound_s: float | None = None,
    codec: str = "mjpeg",
) -> Path:
    """Write grey pictures at times in whole milliseconds, each a key frame.

    Parameters
    ----------
    path : Path
        Where.
    times_s : sequence of float
        When each picture comes on display; the last one for as long as the one before.
    greys : sequence of int
        Level of each picture, 0 to 255.
    sound : sequence of float, optional
        Constant level of each channel, 16-bit.
    sound_s : float, optional
        Where the sound ends; where the pictures do by default. It starts with them.
    codec : str
        One of key frames only, for Matroska.
    """
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    ticks = [round(1000 * time_s) for time_s in times_s]
    last = ticks[-1] - ticks[-2] if len(ticks) > 1 else 100
    with av.open(str(path), "w", format="matroska") as container:
        picture = cast("av.VideoStream", container.add_stream(codec, rate=1000))
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, pixels
        picture.codec_context.gop_size = 1
        picture.time_base = picture.codec_context.time_base = Fraction(1, 1000)
        heard = None
        if sound is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(sound)]
            heard = container.add_stream("pcm_s16le", rate=RATE_HZ, layout=layout)
        # Each level is encoded once: a thousand seconds of pictures cost little.
        packets = {
            grey: bytes(_encoded(picture, grey, pixels, number))
            for number, grey in enumerate(dict.fromkeys(greys))
        }
        lengths = [later - tick for tick, later in pairwise(ticks)]
        for tick, grey, ms in zip(ticks, greys, [*lengths, last], strict=True):
            packet = av.Packet(packets[grey])
            packet.stream, packet.time_base = picture, Fraction(1, 1000)
            packet.pts = packet.dts = tick
            packet.duration, packet.is_keyframe = ms, True
            container.mux(packet)
        if heard is not None and sound is not None:
            end_s = (ticks[-1] + last) / 1000 if sound_s is None else sound_s
            n_samples = round((end_s - times_s[0]) * RATE_HZ)
            levels = np.round(np.array(sound) * 32768).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(
                np.tile(levels, n_samples)[np.newaxis],
                format="s16",
                layout=heard.codec_context.layout,
            )
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = round(times_s[0] * RATE_HZ)
            container.mux(heard.encode(frame))
            container.mux(heard.encode(None))
    return path


def _encoded(
    stream: av.VideoStream, grey: int, pixels: str, number: int
) -> av.Packet[av.VideoStream]:
    frame = av.VideoFrame(WIDTH, HEIGHT, pixels)
    for plane, value in zip(frame.planes, (grey, 128, 128), strict=True):
        plane.update(np.full(plane.buffer_size, value, np.uint8).tobytes())
    frame.pts, frame.time_base = number, Fraction(1, 1000)
    (packet,) = stream.encode(frame)
    return packet


def with_ffmpeg(path: Path, *arguments: str) -> Path:
    """Write a file with ffmpeg's command line, for what PyAV cannot set."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-loglevel", "error"]
    subprocess.run([*command, *arguments, f"file:{path}"], check=True)
    return path
