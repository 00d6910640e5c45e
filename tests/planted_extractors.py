"""Extractors whose vectors can be said beforehand: mean grey, and pitch of a tone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.media.types import AudioSampling, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from acav_spark.media.types import DecodedClip

RATE_HZ = 8_000


class MeanGrey:
    """Looks: the mean grey of a clip's frames, and that of each of them."""

    name = "mean_grey"
    modality = "visual"
    dimensions: tuple[int, ...] = (1, 4)
    video_sampling: VideoSampling | None = VideoSampling(short_side=16, n_frames=4)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self, version: str = "mean_grey/1") -> None:
        self.version = version
        self.n_clips = 0

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        self.n_clips += len(clips)
        result: list[tuple[NDArray[np.float32], ...]] = []
        for clip in clips:
            assert clip.frames is not None
            greys = clip.frames.mean(axis=(1, 2, 3)).astype(np.float32)
            result.append((greys.mean(keepdims=True), greys))
        return result


class Pitch:
    """Listens: the pitch of a tone in Hz, and half and twice of it."""

    name = "pitch"
    modality = "audio"
    dimensions: tuple[int, ...] = (1, 2)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=RATE_HZ)
    wants_gpu = False

    def __init__(self, version: str = "pitch/1") -> None:
        self.version = version
        self.n_clips = 0

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        self.n_clips += len(clips)
        result: list[tuple[NDArray[np.float32], ...]] = []
        for clip in clips:
            assert clip.waveform is not None
            spectrum = np.abs(np.fft.rfft(clip.waveform))
            pitch = float(np.argmax(spectrum)) * RATE_HZ / len(clip.waveform)
            halves = np.array([pitch / 2, pitch * 2], dtype=np.float32)
            result.append((np.array([pitch], dtype=np.float32), halves))
        return result
