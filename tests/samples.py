"""Small videos for tests, whose picture and tone encode a number."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
FRAME_RATE = 10
HEIGHT, WIDTH = 96, 128


def tone_hz(number: int) -> float:
    """Return the frequency of the tone that encodes a number from 0 to 60."""
    return 300.0 + 50.0 * number


def frame_of(number: int, index: int) -> NDArray[np.uint8]:
    """Return a frame: eight columns are the bits of the number, a bar moves below."""
    frame = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for bit in range(8):
        value = 220 if number >> bit & 1 else 20
        frame[: HEIGHT // 2, bit * 16 : bit * 16 + 16] = value
    place = (index * 5) % (WIDTH - 16)
    frame[HEIGHT * 3 // 4 :, place : place + 16] = (200, 90 + number, 255 - number)
    return frame


def decoded_number(frame: NDArray[np.uint8]) -> int:
    """Return the number that a frame shows, whatever its size."""
    height, width = frame.shape[:2]
    top = frame[: height // 2].astype(float).mean(axis=(0, 2))
    columns = [
        top[width * b // 8 + width // 32 : width * (b + 1) // 8 - width // 32]
        for b in range(8)
    ]
    return sum(1 << bit for bit, column in enumerate(columns) if column.mean() > 120)


def write_video(
    path: Path,
    number: int,
    *,
    duration_s: float = 6.0,
    has_audio: bool = True,
    has_video: bool = True,
    cut_at_s: float | None = None,
) -> Path:
    """Write an mp4 whose frames and tone encode ``number`` (H.264 and AAC).

    Parameters
    ----------
    path : Path
        Where.
    number : int
        From 0 to 60.
    duration_s : float
        Length in seconds.
    has_audio, has_video : bool
        Which streams to write.
    cut_at_s : float, optional
        From here on the picture is inverted: a cut.
    """
    with av.open(str(path), "w", format="mp4") as container:
        if has_video:
            video = container.add_stream("libx264", rate=FRAME_RATE)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.options = {"preset": "ultrafast", "crf": "18"}
        if has_audio:
            audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        if has_video:
            for index in range(round(duration_s * FRAME_RATE)):
                image = frame_of(number, index)
                if cut_at_s is not None and index >= cut_at_s * FRAME_RATE:
                    image[HEIGHT // 2 :] = 255 - image[HEIGHT // 2 :]
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if has_audio:
            n_samples = round(duration_s * SAMPLE_RATE_HZ)
            times = np.arange(n_samples) / SAMPLE_RATE_HZ
            wave = (0.3 * np.sin(2 * np.pi * tone_hz(number) * times)).astype(
                np.float32
            )
            for start in range(0, n_samples, 1024):
                chunk = wave[None, start : start + 1024]
                sound = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
                sound.sample_rate = SAMPLE_RATE_HZ
                sound.pts, sound.time_base = start, Fraction(1, SAMPLE_RATE_HZ)
                container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path
