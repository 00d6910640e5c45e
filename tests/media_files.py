"""Small files of known content, written by PyAV for the tests of decoding."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import OutputContainer
    from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48
RATE_HZ = 16000


def write_video(
    path: Path,
    *,
    duration_s: float = 2.0,
    frame_rate: int = 10,
    tone_hz: float | None = 440.0,
    with_picture: bool = True,
    sound_start_s: float = 0.0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write a file whose frame i is grey level ``grey_of(i)``, with a sine tone.

    Matroska holds samples as they are; mp4 gets AAC.
    """
    with av.open("file:" + str(path), "w", format=_format(path)) as container:
        # All streams are known before the first packet: muxers write a header then.
        picture = _video_stream(container, frame_rate, size) if with_picture else None
        sound = None if tone_hz is None else _sound_stream(container)
        if picture is not None:
            _write_frames(container, picture, duration_s, frame_rate)
        if sound is not None and tone_hz is not None:
            times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
            samples = 0.5 * np.sin(2 * np.pi * tone_hz * times_s)
            _write_sound(container, sound, [(sound_start_s, samples)])
    return path


def write_pieces_of_sound(
    path: Path, pieces: list[tuple[float, NDArray[np.float64]]]
) -> Path:
    """Write a Matroska file of pieces of sound that start at the given times."""
    with av.open("file:" + str(path), "w", format="matroska") as container:
        _write_sound(container, _sound_stream(container), pieces)
    return path


def _sound_stream(container: OutputContainer) -> av.AudioStream:
    is_matroska = container.format.name == "matroska"
    return container.add_stream(
        "pcm_s16le" if is_matroska else "aac", rate=RATE_HZ, layout="mono"
    )


def _write_sound(
    container: OutputContainer,
    stream: av.AudioStream,
    pieces: list[tuple[float, NDArray[np.float64]]],
) -> None:
    is_matroska = container.format.name == "matroska"
    for start_s, samples in pieces:
        for first in range(0, len(samples), 1024):
            part = samples[np.newaxis, first : first + 1024]
            scaled = (part * 32767).astype(np.int16)
            frame = (
                av.AudioFrame.from_ndarray(scaled, format="s16", layout="mono")
                if is_matroska
                else av.AudioFrame.from_ndarray(
                    part.astype(np.float32), format="fltp", layout="mono"
                )
            )
            frame.sample_rate = RATE_HZ
            frame.time_base = Fraction(1, RATE_HZ)
            frame.pts = round(start_s * RATE_HZ) + first
            container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def grey_of(index: int) -> int:
    """Return the grey level of frame ``index``, far from its neighbours'."""
    return 20 + (index * 53) % 200


def write_without_packets(path: Path) -> Path:
    """Write an AVI file with both streams and not one packet."""
    with av.open("file:" + str(path), "w", format="avi") as container:
        _video_stream(container, 10, (WIDTH, HEIGHT))
        container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        container.start_encoding()
    return path


def write_with_cover_art(path: Path) -> Path:
    """Write a sound file whose only picture is its cover."""
    pixels = np.full((HEIGHT, WIDTH, 3), 200, dtype=np.uint8)
    with av.open("file:" + str(path), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = np.sin(np.arange(RATE_HZ))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        stream = _sound_stream(container)
        packets = cover.encode(frame.reformat(format="yuvj420p"))
        container.mux(packets + cover.encode(None))
        _write_sound(container, stream, [(0.0, 0.5 * sound)])
    return path


def _write_frames(
    container: OutputContainer,
    stream: av.VideoStream,
    duration_s: float,
    frame_rate: int,
) -> None:
    for index in range(round(duration_s * frame_rate)):
        shape = (stream.height, stream.width, 3)
        pixels = np.full(shape, grey_of(index), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, frame_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _video_stream(
    container: OutputContainer, frame_rate: int, size: tuple[int, int]
) -> av.VideoStream:
    stream = container.add_stream("mpeg4", rate=frame_rate)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = 2_000_000
    stream.codec_context.gop_size = 5
    return stream


def _format(path: Path) -> str:
    return "matroska" if path.suffix == ".mkv" else "mp4"
