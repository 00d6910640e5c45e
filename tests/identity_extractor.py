"""Extractors that read back what a clip's picture and tone encode."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from samples import decoded_number

from acav_spark.errors import DeviceMemoryError
from acav_spark.features.placement import assigned_gpu
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

    def __init__(self, n_frames: int = 3, room: int = 1000) -> None:
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=96, n_frames=n_frames
        )
        self._room = room

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the number, twice."""
        if len(clips) > self._room:
            msg = f"room for {self._room} clips, got {len(clips)}"
            raise DeviceMemoryError(msg)
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


class PlacedNumber(SeenNumber):
    """The number that the picture shows, and the GPU; keeps a log of its work."""

    name = "placed"

    def __init__(self, log: str) -> None:
        super().__init__()
        self._log = Path(log)

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the number, and the address of the task's GPU or -1."""
        started = time.time()
        numbers = super().extract(clips)
        time.sleep(0.1)  # so that tasks that may be side by side are
        gpu = np.array([int(assigned_gpu() or -1)], np.float32)
        # The parent of Python workers is one process in each executor.
        file = self._log / f"{os.getppid()} {os.getpid()} {time.monotonic_ns()}"
        file.write_text(f"{started} {time.time()}")
        return [(number, gpu) for number, _ in numbers]
