"""Batch sizes that are found, and batches that fail or do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.errors import ConfigError, DeviceMemoryError, MediaError, StageError
from acav_spark.features.batching import MAX_BATCH, BatchSize, extract_batch
from acav_spark.features.extraction import Item
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


class Numbered:
    """Returns the number in a clip's waveform; fails as told."""

    name, modality, version, wants_gpu = "numbered", "audio", "1", False
    dimensions: tuple[int, ...] = (1, 2)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = None

    def __init__(self, fails: Callable[[list[int]], Exception | None]) -> None:
        self._fails = fails
        self.calls: list[int] = []

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the number once and twice."""
        self.calls.append(len(clips))
        numbers = [int(clip.waveform[0]) for clip in clips if clip.waveform is not None]
        error = self._fails(numbers)
        if error is not None:
            raise error
        return [(np.full(1, n, np.float32), np.full(2, n, np.float32)) for n in numbers]


def pairs_of(n: int) -> list[tuple[Item, DecodedClip]]:
    return [
        (
            Item(str(i), "a.mp4", 0.0, 1.0, ["numbered"]),
            DecodedClip(str(i), waveform=np.full(1, i, np.float32)),
        )
        for i in range(n)
    ]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_stays_small() -> None:
    def fails(numbers: list[int]) -> Exception | None:
        return DeviceMemoryError("full") if len(numbers) > 3 else None

    size = BatchSize(16)
    extractor = Numbered(fails)
    found = extract_batch("numbered", extractor, pairs_of(16), size)

    assert [one.item.item_id for one in found] == [str(i) for i in range(16)]
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one.layers[1], [i, i])
    # 16, then 8 twice, each 4 twice, each 2 twice.
    assert sorted(extractor.calls) == [2] * 8 + [4] * 4 + [8, 8, 16]
    assert size.current == 2
    size.took(2, 1.0)
    assert size.current == 2


def test_a_clip_that_does_not_fit_alone_is_a_failure_that_may_pass() -> None:
    def fails(numbers: list[int]) -> Exception | None:
        return DeviceMemoryError("full") if 5 in numbers else None

    size = BatchSize(7)
    found = extract_batch("numbered", Numbered(fails), pairs_of(7), size)

    # It says nothing about how many of the others fit.
    assert size.current == 7
    (failed,) = [one for one in found if one.error is not None]
    assert failed.item.item_id == "5"
    assert failed.error is not None
    assert (failed.error.code, failed.error.is_permanent) == ("device_memory", False)
    assert sorted(int(one.layers[0][0]) for one in found if one.layers) == [
        *(0, 1, 2, 3, 4, 6)
    ]


@given(
    n=st.integers(1, 40),
    bad=st.sets(st.integers(0, 39), max_size=5),
    room=st.integers(1, 50),
)
def test_every_clip_but_the_bad_ones_gets_its_own_vector(
    n: int, bad: set[int], room: int
) -> None:
    def fails(numbers: list[int]) -> Exception | None:
        if len(numbers) > room:
            return DeviceMemoryError("full")
        return ValueError("bad") if bad & set(numbers) else None

    found = extract_batch("numbered", Numbered(fails), pairs_of(n), BatchSize())

    assert [one.item.item_id for one in found] == [str(i) for i in range(n)]
    for i, one in enumerate(found):
        if i in bad:
            assert one.error is not None
            assert one.error.code == "extractor_failed"
            assert "ValueError: bad" in one.error.message
        else:
            np.testing.assert_array_equal(one.layers[0], [i])


def test_the_code_of_a_media_error_is_kept() -> None:
    error = MediaError("no_frames", "nothing to see", is_permanent=False)
    (failed,) = extract_batch(
        "numbered", Numbered(lambda _: error), pairs_of(1), BatchSize()
    )
    assert failed.error is not None
    assert (failed.error.code, failed.error.is_permanent) == ("no_frames", False)
    assert failed.error.message == "numbered: nothing to see"


def test_an_extractor_that_cannot_work_ends_the_stage() -> None:
    error = ConfigError("weights: expected SHA-256 aa, got bb")
    with pytest.raises(ConfigError, match="expected SHA-256"):
        extract_batch("numbered", Numbered(lambda _: error), pairs_of(2), BatchSize())


@pytest.mark.parametrize(
    "given",
    [
        [(np.zeros(1), np.zeros(2))],
        [(np.zeros(1),)] * 2,
        [(np.zeros(1), np.zeros(3))] * 2,
        [(np.zeros(1), np.zeros((1, 2)))] * 2,
        np.zeros((2, 3)),
        None,
    ],
    ids=["one less", "a layer less", "dimension", "matrix", "array", "nothing"],
)
def test_an_extractor_that_breaks_its_interface_ends_the_stage(given: object) -> None:
    extractor = Numbered(lambda _: None)
    extractor.extract = lambda _: given  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(StageError, match=r"numbered: expected a list of 2 tuples"):
        extract_batch("numbered", extractor, pairs_of(2), BatchSize())


def grown(seconds_a_clip: Callable[[int], float]) -> list[int]:
    """Return the sizes that are tried until one stays for long."""
    size, tried = BatchSize(), [BatchSize().current]
    for _ in range(100):
        size.took(size.current, size.current * seconds_a_clip(size.current))
        if tried[-1] != size.current:
            tried.append(size.current)
    return tried


def test_the_size_doubles_while_clips_get_cheaper() -> None:
    # Ten units a call and one a clip: 8 clips cost 2.25 each, 16 1.625, ..., 256
    # 1.039; from 128 (1.078) to 256 it is 1.04 times as fast, not worth it.
    assert grown(lambda n: (10 + n) / n) == [8, 16, 32, 64, 128, 256, 128]
    assert grown(lambda _: 1.0) == [8, 16, 8]
    assert grown(lambda n: 1 / n) == [8, 16, 32, 64, 128, MAX_BATCH]


def test_only_full_batches_are_judged_and_a_fixed_size_stays() -> None:
    size = BatchSize()
    for _ in range(20):
        size.took(3, 1.0)
    assert size.current == 8
    fixed = BatchSize(6)
    for _ in range(20):
        fixed.took(6, 0.001)
    assert fixed.current == 6
