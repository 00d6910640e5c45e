"""Write one video of the demo corpus: H.264 and AAC in MP4, through PyAV."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

_AUDIO_FRAME_SAMPLES = 1024
# Without looking ahead: with it, x264 does not always give the same bytes.
_ENCODER = {"preset": "superfast", "crf": "28", "threads": "1", "bf": "0", "g": "48"}
# Index first, as on the web; no version of the writer in the file.
_MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    waveform: NDArray[np.float64],
    *,
    frame_rate: int,
    sample_rate_hz: int,
) -> None:
    """Write RGB frames and a mono waveform as an MP4 file.

    Parameters
    ----------
    path : Path
        The file; what it is goes by its content's format, not by its name.
    frames : iterable of ndarray of uint8, shape (height, width, 3)
        At least one frame; sides are even.
    waveform : ndarray of float64, shape (n_samples,)
        Samples in [-1, 1].
    frame_rate : int
        Frames per second.
    sample_rate_hz : int
        Rate of the waveform in Hz.

    Notes
    -----
    One thread and exact flags: the same input gives the same bytes with the same
    build of the encoders.
    """
    with av.open(str(path), "w", format="mp4", options=_MUXER) as container:
        picture = container.add_stream("libx264", rate=frame_rate, options=_ENCODER)
        sound = container.add_stream("aac", rate=sample_rate_hz, layout="mono")
        sound.bit_rate = 64_000
        samples = np.ascontiguousarray(waveform, dtype=np.float32)[np.newaxis, :]
        n_written = 0
        for number, image in enumerate(frames):
            if number == 0:
                picture.height, picture.width = image.shape[:2]
                picture.pix_fmt = "yuv420p"
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate)
            container.mux(picture.encode(frame))
            until = min((number + 1) * sample_rate_hz // frame_rate, samples.shape[1])
            while n_written + _AUDIO_FRAME_SAMPLES <= until:
                container.mux(
                    sound.encode(_audio_frame(samples, n_written, sample_rate_hz))
                )
                n_written += _AUDIO_FRAME_SAMPLES
        while n_written < samples.shape[1]:
            container.mux(
                sound.encode(_audio_frame(samples, n_written, sample_rate_hz))
            )
            n_written += _AUDIO_FRAME_SAMPLES
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))


def _audio_frame(
    samples: NDArray[np.float32], start: int, sample_rate_hz: int
) -> av.AudioFrame:
    """Return the next frame of sound, short at the end."""
    block = np.ascontiguousarray(samples[:, start : start + _AUDIO_FRAME_SAMPLES])
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
    frame.sample_rate = sample_rate_hz
    frame.pts = start
    return frame
