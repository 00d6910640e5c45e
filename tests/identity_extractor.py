"""Extractors that read back what a clip's picture and tone encode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from samples import decoded_number

from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class SeenNumber:
    """The number that the picture shows."""

    name = "seen"
    modality = "visual"
    version = "1"
    dimensions = (1, 1)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self, n_frames: int = 3) -> None:
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=96, n_frames=n_frames
        )

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the number, twice."""
        vectors: list[tuple[NDArray[np.float32], ...]] = []
        for clip in clips:
            assert clip.frames is not None
            numbers = {decoded_number(frame) for frame in clip.frames}
            number = numbers.pop() if len(numbers) == 1 else -1
            vector = np.array([number], np.float32)
            vectors.append((vector, vector))
        return vectors


class HeardNumber:
    """The number that the tone encodes; raises an error on number 5."""

    name = "heard"
    modality = "audio"
    version = "1"
    dimensions = (1,)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=16_000)
    wants_gpu = False

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the number."""
        vectors: list[tuple[NDArray[np.float32], ...]] = []
        for clip in clips:
            assert clip.waveform is not None
            assert clip.sample_rate_hz == 16_000
            spectrum = np.abs(np.fft.rfft(clip.waveform))
            hz = float(np.argmax(spectrum) * clip.sample_rate_hz / len(clip.waveform))
            number = round((hz - 300) / 50)
            if number == 5:
                msg = "five is right out"
                raise ValueError(msg)
            vectors.append((np.array([number], np.float32),))
        return vectors
