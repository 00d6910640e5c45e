"""Small files that stand for MNIST, CIFAR-10 and spoken digits, and what sees them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.evaluate.item_files import Listing
from acav_spark.evaluate.item_sources import KnownFiles
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Vectors = tuple["NDArray[np.float32]", ...]


class ClassSeen:
    """Sees the class that a picture shows, and its number."""

    name = "class_seen"
    modality = "visual"
    version = "class_seen/1"
    dimensions: tuple[int, ...] = (1, 2)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self) -> None:
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=16, n_frames=1
        )

    def extract(self, clips: Sequence[DecodedClip]) -> list[Vectors]:
        """Return the class, and class and number."""
        return [self._of(clip) for clip in clips]

    def _of(self, clip: DecodedClip) -> Vectors:
        assert clip.frames is not None
        shown = clip.frames[0, 8, 8].astype(np.float32)
        return shown[:1], shown[:2]


class ClassHeard:
    """Hears the class that a sound has, and its number."""

    name = "class_heard"
    modality = "audio"
    version = "class_heard/1"
    dimensions: tuple[int, ...] = (1, 1, 1)
    video_sampling: VideoSampling | None = None
    wants_gpu = False

    def __init__(self) -> None:
        self.audio_sampling: AudioSampling | None = AudioSampling(16_000)

    def extract(self, clips: Sequence[DecodedClip]) -> list[Vectors]:
        """Return the class, the class, and the number."""
        heard = [clip.waveform for clip in clips]
        return [(w[:1] * 10, w[:1] * 10, w[1:2] * 100) for w in heard if w is not None]


def made_source(
    folder: Path, name: str, sizes: Sequence[int], *, has_sound: bool = False
) -> tuple[KnownFiles, ...]:
    """Write a file and return how it is known: so many items of each class."""
    content = f"{name} {list(sizes)}".encode()
    (folder / f"{name}.bin").write_bytes(content)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    numbers = np.concatenate([np.arange(n) for n in sizes])

    def read(_: Sequence[Path]) -> Listing:
        def pictures(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            shown = np.zeros((len(rows), 4, 4, 3), np.uint8)
            shown[..., 0] = labels[rows, None, None]
            shown[..., 1] = numbers[rows, None, None]
            return shown

        def sounds(rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], ...]:
            return tuple(
                np.array([labels[row] / 10, numbers[row] / 100], np.float32)
                for row in rows
            )

        if has_sound:
            return Listing(labels, sounds=sounds)
        return Listing(labels, pictures)

    digest = hashlib.sha256(content).hexdigest()
    return (KnownFiles({f"{name}.bin": digest}, read),)
