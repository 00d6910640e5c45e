"""Items as networks see them, and their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.errors import ConfigError
from acav_spark.evaluate.feature_cache import FeatureCache
from acav_spark.evaluate.item_features import (
    cached_features,
    fitted_picture,
    item_features,
    transformed,
)
from acav_spark.evaluate.item_sources import Items
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Vectors = tuple["NDArray[np.float32]", ...]


class Corners:
    """Sees the means of a frame's upper left and upper right quarter."""

    name = "corners"
    modality = "visual"
    dimensions: tuple[int, ...] = (1, 2)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self, version: str = "1", short_side: int = 32) -> None:
        self.version = version
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=short_side, n_frames=1
        )
        self.n_clips = 0

    def extract(self, clips: Sequence[DecodedClip]) -> list[Vectors]:
        self.n_clips += len(clips)
        return [self._of(clip) for clip in clips]

    def _of(self, clip: DecodedClip) -> Vectors:
        assert clip.frames is not None
        (frame,) = clip.frames
        middle = frame.shape[0] // 2
        left, right = frame[:middle, :middle].mean(), frame[:middle, middle:].mean()
        means = np.array([left, right], np.float32)
        return means[:1], means


class Loudness:
    """Hears how loud a sound is, and how long."""

    name = "loudness"
    modality = "audio"
    version = "1"
    dimensions: tuple[int, ...] = (2,)
    video_sampling: VideoSampling | None = None
    wants_gpu = False

    def __init__(self, rate_hz: int = 16_000) -> None:
        self.audio_sampling: AudioSampling | None = AudioSampling(rate_hz)

    def extract(self, clips: Sequence[DecodedClip]) -> list[Vectors]:
        heard = [clip.waveform for clip in clips]
        return [
            (np.array([w.max(), len(w)], np.float32),) for w in heard if w is not None
        ]


def quarters(values: Sequence[int], side: int = 8) -> NDArray[np.uint8]:
    """Return a picture of four quarters: two above, two below."""
    cells = np.array(values, np.uint8).reshape(2, 2, 1)
    picture = cells.repeat(side // 2, 0).repeat(side // 2, 1).repeat(3, 2)
    return np.ascontiguousarray(picture)


def pictures(n: int = 3) -> Items:
    shown = np.stack([quarters([10 * i % 256, 100, 200, 250]) for i in range(n)])
    return Items("made", "digest", np.zeros(n, np.int64), shown)


def test_a_picture_is_turned_against_the_clock_or_mirrored() -> None:
    picture = quarters([1, 2, 3, 4])[None]
    turned = transformed(picture, "rotate_90_ccw")[0]
    mirrored = transformed(picture, "flip_horizontal")[0]
    np.testing.assert_array_equal(turned, quarters([2, 4, 1, 3]))
    np.testing.assert_array_equal(mirrored, quarters([2, 1, 4, 3]))
    np.testing.assert_array_equal(transformed(picture, "none"), picture)


@pytest.mark.parametrize(("side", "inner"), [(256, 224), (146, 127), (110, 96)])
def test_the_whole_picture_is_in_the_middle_of_its_frame(side: int, inner: int) -> None:
    picture = quarters([0, 80, 160, 240], side=32)
    frame = fitted_picture(picture, side)
    assert frame.shape == (side, side, 3)
    before = (side - inner) // 2
    seen = frame[before : before + inner, before : before + inner]
    for y, x, value in ((0, 0, 0), (0, -1, 80), (-1, 0, 160), (-1, -1, 240)):
        assert (seen[y, x] == value).all()
    # Around it its edges go on, so that a larger crop sees no frame of another colour.
    assert (frame[0, 0] == 0).all()
    assert (frame[-1, -1] == 240).all()
    assert abs(float(seen.mean()) - 120) < 2


def test_features_are_in_the_items_order_and_of_the_transformed_picture() -> None:
    items = pictures(600)  # more than two batches
    network = Corners()
    plain = item_features(items, network)
    flipped = item_features(items, network, transform="flip_horizontal")

    assert [layer.shape for layer in plain] == [(600, 1), (600, 2)]
    assert {layer.dtype for layer in plain} == {np.dtype(np.float32)}
    assert network.n_clips == 1200
    lefts = np.arange(600) * 10 % 256
    np.testing.assert_allclose(plain[0][:, 0], lefts, atol=12)
    np.testing.assert_allclose(plain[1][:, 0], plain[0][:, 0])
    np.testing.assert_allclose(flipped[1], plain[1][:, ::-1], atol=1.0)


def test_sounds_are_heard() -> None:
    sounds = (np.full(5, 0.5, np.float32), np.full(7, 0.25, np.float32))
    items = Items("made", "digest", np.zeros(2, np.int64), sounds=sounds)
    (layer,) = item_features(items, Loudness())
    np.testing.assert_array_equal(layer, [[0.5, 5], [0.25, 7]])


def test_a_network_that_sees_other_things_is_refused() -> None:
    items = pictures()
    sounds = Items("made", "d", np.zeros(1, np.int64), sounds=(np.zeros(3, "f4"),))
    with pytest.raises(ConfigError, match="made: expected a network for pictures"):
        item_features(items, Loudness())
    with pytest.raises(ConfigError, match="made: expected a network for sound"):
        item_features(sounds, Corners())
    with pytest.raises(ConfigError, match="sound at 16000 Hz"):
        item_features(sounds, Loudness(rate_hz=44_100))


def test_features_that_are_no_numbers_are_refused() -> None:
    sounds = (np.zeros(1, np.float32), np.full(1, np.nan, np.float32))
    items = Items("made", "d", np.zeros(2, np.int64), sounds=sounds)
    with pytest.raises(ValueError, match=r"layer 1 of 1 items, such as \[1\]"):
        item_features(items, Loudness())


def test_features_are_kept_by_items_transform_and_network(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    network = Corners()
    first = cached_features(pictures(), network, cache)
    again = cached_features(pictures(), network, cache)
    assert network.n_clips == 3
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)

    other = Items("made", "other", np.zeros(3, np.int64), pictures().pictures)
    cached_features(pictures(), network, cache, transform="rotate_90_ccw")
    cached_features(other, network, cache)
    cached_features(pictures(), Corners("2"), cache)
    assert network.n_clips == 9
    assert len(list(tmp_path.iterdir())) == 4
