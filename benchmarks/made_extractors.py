"""Extractors and a decoder that are made up, for ``bench_features.py``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from acav_spark.features.extraction import Decoded
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from acav_spark.features.extraction import Item


class WorkingExtractor:
    """Blurs frames, which takes one core about as long as decoding them."""

    name = "working"
    modality = "visual"
    version = "1"
    dimensions: tuple[int, ...] = (256,)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(
        self, n_frames: int = 32, short_side: int = 256, n_blurs: int = 40
    ) -> None:
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=short_side, n_frames=n_frames
        )
        self._n_blurs = n_blurs

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the mean of 16 by 16 cells of the blurred frames."""
        cv2.setNumThreads(1)
        return [(self._one(clip),) for clip in clips]

    def _one(self, clip: DecodedClip) -> NDArray[np.float32]:
        assert clip.frames is not None
        mean = np.zeros((16, 16), np.float32)
        for frame in clip.frames:
            blurred = frame
            for _ in range(self._n_blurs):
                blurred = cv2.GaussianBlur(blurred, (7, 7), 0)
            small = cv2.resize(blurred, (16, 16), interpolation=cv2.INTER_AREA)
            mean += small.mean(axis=2)
        return np.asarray(mean.ravel() / len(clip.frames), dtype=np.float32)


class WideExtractor:
    """Returns one vector of a given dimension."""

    name = "wide"
    modality = "audio"
    version = "1"
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=16_000)
    wants_gpu = False

    def __init__(self, dimension: int) -> None:
        self.dimensions: tuple[int, ...] = (dimension,)

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return zeros."""
        return [(np.zeros(self.dimensions, np.float32),) for _ in clips]


class SleepyExtractor:
    """An accelerator that takes a given time, and leaves the processor alone."""

    name = "sleepy"
    modality = "visual"
    version = "1"
    # Those of the paper's networks together.
    dimensions: tuple[int, ...] = (88, 352, 704, 1408, 2304, 64, 128, 256, 512, 128)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=16_000)
    wants_gpu = True

    def __init__(self, seconds_a_clip: float) -> None:
        self._seconds = seconds_a_clip
        self._layers = tuple(np.ones(d, np.float32) for d in self.dimensions)
        self.worked_s = 0.0

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Sleep, and return ones."""
        wanted = self._seconds * len(clips)
        time.sleep(wanted)
        # What the system sleeps beyond is no work of the accelerator.
        self.worked_s += wanted
        return [self._layers for _ in clips]


class MadeDecoder:
    """Gives every item ten seconds of silence, at no cost."""

    def __init__(self) -> None:
        self._waveform = np.zeros(160_000, np.float32)

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        """Return a clip for each extractor wanted."""
        assert lane >= 0
        for item in items:
            clip = DecodedClip(
                item.item_id, waveform=self._waveform, sample_rate_hz=16_000
            )
            yield Decoded(item, dict.fromkeys(item.extractors, clip))

    def abandon(self, lane: int) -> None:
        """Nothing is under way."""
