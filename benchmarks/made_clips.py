"""Clips that are decoded already: moving shapes, or tones in noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from acav_spark.features.extraction import Decoded
from acav_spark.media.frames import sampling_times_s
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from acav_spark.features.extraction import Item

CLIP_S = 10.0
# The usual aspect of a video.
ASPECT = 16 / 9


class Ready:
    """A decoder whose clips are decoded already."""

    def __init__(self, clips: Sequence[DecodedClip]) -> None:
        self._clips = clips

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        """Return the clips in turn."""
        del lane
        for item in items:
            clip = self._clips[int(item.item_id) % len(self._clips)]
            yield Decoded(item, {item.extractors[0]: clip})

    def abandon(self, lane: int) -> None:
        """Do nothing: nobody waits."""


def made_clip(network: Any, number: int) -> DecodedClip:  # noqa: ANN401 - one of ours
    """Return a clip of random shapes that move, or of tones in noise."""
    rng = np.random.default_rng(number)
    video, audio = network.video_sampling, network.audio_sampling
    if video is not None:
        n_frames = len(sampling_times_s(video, CLIP_S))
        short, wide = video.short_side, round(video.short_side * ASPECT)
        frames = np.empty((n_frames, short, wide, 3), np.uint8)
        blocks = rng.integers(0, 256, (short // 16, wide // 16 + n_frames + 1, 3))
        for i in range(n_frames):
            part = blocks[:, i : i + wide // 16 + 1].repeat(16, 0).repeat(16, 1)
            frames[i, : part.shape[0]] = part[:, :wide]
        frames += rng.integers(0, 30, frames.shape, dtype=np.uint8)
        return DecodedClip(str(number), frames=frames)
    n_samples = int(CLIP_S * audio.sample_rate_hz)
    times_s = np.arange(n_samples) / audio.sample_rate_hz
    tones = sum(np.sin(2 * np.pi * f * times_s) for f in rng.uniform(80, 6000, 4))
    sound = (0.1 * tones + rng.normal(scale=0.02, size=n_samples)).astype(np.float32)
    return DecodedClip(str(number), waveform=sound, sample_rate_hz=audio.sample_rate_hz)
