"""Decoding ahead: every clip once, memory bounded, no wait while clips are there."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.errors import DeviceMemoryError, MediaError
from acav_spark.features.extraction import Decoded, Item
from acav_spark.features.runtime import Ahead, extract_ahead
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from acav_spark.features.extraction import Extracted


class Echo:
    """Returns a clip's number; too many clips, or a bad one, fail."""

    modality, version, wants_gpu = "audio", "1", False
    dimensions: tuple[int, ...] = (1,)
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = None

    def __init__(self, name: str, room: int = 1000, bad: int = -1) -> None:
        self.name = name
        self._room, self._bad = room, bad
        self.calls: list[list[int]] = []

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the numbers."""
        numbers = [int(clip.waveform[0]) for clip in clips if clip.waveform is not None]
        self.calls.append(numbers)
        if len(numbers) > self._room:
            msg = "full"
            raise DeviceMemoryError(msg)
        if self._bad in numbers:
            msg = "bad"
            raise ValueError(msg)
        return [(np.full(1, n, np.float32),) for n in numbers]


class Made:
    """Decodes an item to its number, ``n_values`` times; counts what is alive."""

    def __init__(self, n_values: int = 1, broken: Iterable[int] = ()) -> None:
        self._n_values = n_values
        self._broken = set(broken)
        self._lock = threading.Lock()
        self.n_decoded = 0
        self.abandoned: list[int] = []

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        """Return a clip for each extractor wanted, of one array."""
        assert lane >= 0
        for item in items:
            number = int(item.item_id)
            with self._lock:
                self.n_decoded += 1
            if number in self._broken:
                yield Decoded(item, {}, MediaError("no_frames", "broken"))
                continue
            values = np.full(self._n_values, number, np.float32)
            clip = DecodedClip(item.item_id, waveform=values)
            yield Decoded(item, dict.fromkeys(item.extractors, clip))

    def abandon(self, lane: int) -> None:
        """Take note."""
        self.abandoned.append(lane)


def items_of(n: int, names: Sequence[str], n_a_source: int = 3) -> list[Item]:
    return [
        Item(str(i), f"{i // n_a_source}.mp4", 0.0, 1.0, list(names)) for i in range(n)
    ]


def results_of(
    batches: Iterable[Sequence[Item]],
    extractors: Sequence[Echo],
    decoder: Made,
    ahead: Ahead,
) -> list[Extracted]:
    named = {extractor.name: extractor for extractor in extractors}
    found = extract_ahead(batches, named, decoder, ahead)
    return [one for results, _ in found for one in results]


@settings(max_examples=60)
@given(
    n=st.integers(0, 50),
    n_lanes=st.integers(1, 4),
    max_bytes=st.sampled_from([1, 4, 12, 400]),
    batch_size=st.sampled_from([0, 1, 3, 64]),
    n_a_batch=st.integers(1, 20),
    room=st.integers(1, 8),
    broken=st.sets(st.integers(0, 49), max_size=4),
)
def test_every_clip_comes_once_with_its_own_vector(
    n: int,
    n_lanes: int,
    max_bytes: int,
    batch_size: int,
    n_a_batch: int,
    room: int,
    broken: set[int],
) -> None:
    extractors = [Echo("a", room), Echo("b", bad=7)]
    items = items_of(n, ["a", "b"])
    batches = [items[i : i + n_a_batch] for i in range(0, n, n_a_batch)]
    ahead = Ahead(n_lanes, max_bytes, batch_size)

    found = results_of(batches, extractors, Made(broken=broken), ahead)

    keys = sorted((one.extractor, int(one.item.item_id)) for one in found)
    assert keys == sorted((name, i) for name in ("a", "b") for i in range(n))
    for one in found:
        number = int(one.item.item_id)
        if number in broken:
            assert one.error is not None
            assert one.error.code == "no_frames"
        elif (one.extractor, number) == ("b", 7):
            assert one.error is not None
            assert one.error.code == "extractor_failed"
        else:
            np.testing.assert_array_equal(one.layers[0], [number])


def test_clips_wanted_by_one_extractor_alone_go_to_it_alone() -> None:
    extractors = [Echo("a"), Echo("b")]
    items = [Item("0", "x", 0, 1, ["a"]), Item("1", "x", 0, 1, ["b"])]
    found = results_of([items], extractors, Made(), Ahead())
    assert {(one.extractor, one.item.item_id) for one in found} == {
        ("a", "0"),
        ("b", "1"),
    }
    assert [extractor.calls for extractor in extractors] == [[[0]], [[1]]]


def test_decoding_stops_when_its_memory_is_full_and_goes_on_when_it_is_free() -> None:
    # Clips of 4,000 bytes, room for five: while the extractor holds its first batch,
    # no more than five are decoded, two in the batch and three that wait.
    decoder = Made(n_values=1000)
    is_held = threading.Event()
    seen: list[int] = []

    class Holding(Echo):
        def extract(
            self, clips: Sequence[DecodedClip]
        ) -> list[tuple[NDArray[np.float32], ...]]:
            if not seen:
                while decoder.n_decoded < 5:
                    time.sleep(0.001)
                is_held.wait(0.2)  # lanes that would go on had time to
                seen.append(decoder.n_decoded)
            return super().extract(clips)

    ahead = Ahead(n_lanes=1, max_bytes=20_000, batch_size=2)
    found = results_of([items_of(40, ["a"])], [Holding("a")], decoder, ahead)
    assert seen == [5]
    assert len(found) == 40


def test_an_extractor_that_is_slower_than_decoding_gets_full_batches() -> None:
    decoder = Made()

    class Slow(Echo):
        def extract(
            self, clips: Sequence[DecodedClip]
        ) -> list[tuple[NDArray[np.float32], ...]]:
            while decoder.n_decoded < 32:
                time.sleep(0.001)
            return super().extract(clips)

    slow = Slow("a")
    results_of([items_of(32, ["a"])], [slow], decoder, Ahead(batch_size=8))
    # The first batch is what was there; the last ones what is left.
    sizes = [len(numbers) for numbers in slow.calls]
    assert sum(sizes) == 32
    assert sizes[1:4] == [8, 8, 8]


def test_items_are_pulled_as_they_are_needed() -> None:
    # A task's items may be many more than memory holds.
    n_pulled = 0

    def batches() -> Generator[list[Item], None, None]:
        nonlocal n_pulled
        for i in range(1000):
            n_pulled += 1
            yield [Item(str(i), "x", 0, 1, ["a"])]

    found = extract_ahead(batches(), {"a": Echo("a")}, Made(), Ahead(max_bytes=4))
    for _ in range(3):
        next(found)
    assert n_pulled < 50
    found.close()  # type: ignore[attr-defined]  # a generator


def test_an_error_of_the_decoder_itself_ends_the_extraction() -> None:
    class Broken(Made):
        def decode(
            self, lane: int, items: Iterable[Item]
        ) -> Generator[Decoded, None, None]:
            yield from super().decode(lane, list(items)[:1])
            msg = f"a bug in lane {lane}"
            raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="a bug in lane"):
        results_of([items_of(9, ["a"])], [Echo("a")], Broken(), Ahead())


def test_a_caller_that_leaves_early_ends_what_is_being_decoded() -> None:
    is_let_go = threading.Event()

    class Stuck(Made):
        def decode(
            self, lane: int, items: Iterable[Item]
        ) -> Generator[Decoded, None, None]:
            for one in super().decode(lane, items):
                if one.item.item_id == "4":
                    assert is_let_go.wait(30)
                yield one

        def abandon(self, lane: int) -> None:
            super().abandon(lane)
            is_let_go.set()

    decoder = Stuck()
    before = threading.active_count()
    found = extract_ahead([items_of(9, ["a"])], {"a": Echo("a")}, decoder, Ahead())
    next(found)
    found.close()  # type: ignore[attr-defined]  # a generator
    assert decoder.abandoned == [0]
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Dreamy(Made):
    """Takes its time."""

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        for one in super().decode(lane, items):
            time.sleep(0.02)
            yield one


def test_seconds_of_clips_that_all_fail_are_counted() -> None:
    decoder = Dreamy(broken=range(5))
    found = extract_ahead([items_of(5, ["a"])], {"a": Echo("a")}, decoder, Ahead())
    times = [times for _, times in found]
    assert sum(one.decode_s for one in times) >= 0.1
    assert sum(one.compute_s for one in times) == 0


def test_times_add_up() -> None:
    class Sleepy(Echo):
        def extract(
            self, clips: Sequence[DecodedClip]
        ) -> list[tuple[NDArray[np.float32], ...]]:
            time.sleep(0.01)
            return super().extract(clips)

    ahead = Ahead(batch_size=1)
    found = extract_ahead([items_of(5, ["a"])], {"a": Sleepy("a")}, Dreamy(), ahead)
    times = [times for _, times in found]
    assert sum(one.compute_s for one in times) >= 0.05
    assert sum(one.decode_s for one in times) >= 0.1
    # It had to wait for the first clip, all the time that this took.
    assert sum(one.wait_s for one in times) >= 0.015


def test_batches_begin_at_the_size_that_the_extractor_prefers() -> None:
    decoder = Made()

    class Slow(Echo):
        preferred_batch = 3

        def extract(
            self, clips: Sequence[DecodedClip]
        ) -> list[tuple[NDArray[np.float32], ...]]:
            while decoder.n_decoded < 9:
                time.sleep(0.001)
            return super().extract(clips)

    slow = Slow("a")
    results_of([items_of(9, ["a"])], [slow], decoder, Ahead())
    assert max(len(numbers) for numbers in slow.calls) == 3


class Queued(Echo):
    """Begins work that is done only when it is waited for, and tells what it saw."""

    def __init__(self, name: str, *, takes: int = 1000, fails_in: int = -1) -> None:
        super().__init__(name, room=takes)
        self.log: list[tuple[str, tuple[int, ...]]] = []
        self._fails_in = fails_in

    def begin(
        self, clips: Sequence[DecodedClip]
    ) -> Callable[[], list[tuple[NDArray[np.float32], ...]]]:
        """Take note of the clips; their numbers come later."""
        numbers = tuple(int(c.waveform[0]) for c in clips if c.waveform is not None)
        self.log.append(("begin", numbers))
        if self._fails_in in numbers:
            msg = "no queue"
            raise RuntimeError(msg)

        def finish() -> list[tuple[NDArray[np.float32], ...]]:
            self.log.append(("finish", numbers))
            return self.extract(clips)

        return finish


def test_a_whole_batch_is_begun_before_the_one_before_it_is_waited_for() -> None:
    decoder = Made()

    class Slow(Queued):
        def begin(
            self, clips: Sequence[DecodedClip]
        ) -> Callable[[], list[tuple[NDArray[np.float32], ...]]]:
            while decoder.n_decoded < 8:  # decoding is ahead
                time.sleep(0.001)
            return super().begin(clips)

    slow = Slow("a")
    one_file = items_of(8, ["a"], n_a_source=8)
    found = results_of([one_file], [slow], decoder, Ahead(batch_size=3))

    assert sorted(int(one.item.item_id) for one in found) == list(range(8))
    assert all(int(one.layers[0][0]) == int(one.item.item_id) for one in found)
    # How many clips the first batch gets is a matter of timing.
    begun = [numbers for kind, numbers in slow.log if kind == "begin"]
    assert len(begun[0]) <= 3
    assert [len(numbers) for numbers in begun[1:-1]] == [3] * (len(begun) - 2)
    expected = [("begin", begun[0])]
    for one, following in pairwise(begun):
        order = [("finish", one), ("begin", following)]
        expected += reversed(order) if len(following) == 3 else order
    assert slow.log == [*expected, ("finish", begun[-1])]


def test_what_cannot_be_begun_is_halved_like_what_fails() -> None:
    queued = Queued("a", takes=2, fails_in=4)
    found = results_of([items_of(9, ["a"])], [queued], Made(), Ahead(batch_size=4))
    numbers = {one.item.item_id: int(one.layers[0][0]) for one in found}
    assert numbers == {str(i): i for i in range(9)}

    bad = Queued("a")
    bad._bad = 5
    found = results_of([items_of(9, ["a"])], [bad], Made(), Ahead(batch_size=4))
    errors = {one.item.item_id for one in found if one.error is not None}
    assert errors == {"5"}
    assert len(found) == 9


def test_seconds_of_batches_under_way_at_once_are_told_once() -> None:
    class Device(Queued):
        """Does one batch after another, 10 ms each, whoever waits."""

        free_s = 0.0

        def begin(
            self, clips: Sequence[DecodedClip]
        ) -> Callable[[], list[tuple[NDArray[np.float32], ...]]]:
            done_s = max(self.free_s, time.perf_counter()) + 0.01
            self.free_s = done_s

            def finish() -> list[tuple[NDArray[np.float32], ...]]:
                time.sleep(max(done_s - time.perf_counter(), 0))
                return self.extract(clips)

            return finish

    began_s = time.perf_counter()
    ahead = Ahead(n_lanes=2, batch_size=2)
    found = extract_ahead([items_of(20, ["a"])], {"a": Device("a")}, Made(), ahead)
    times = [times for _, times in found]
    took_s = time.perf_counter() - began_s
    assert 0.1 <= sum(one.compute_s for one in times) <= took_s


def test_a_mixture_with_an_extractor_that_has_no_queue() -> None:
    def nothing(_: Sequence[DecodedClip]) -> None:
        return None

    plain, queued, unwilling = Echo("b"), Queued("a"), Queued("c")
    unwilling.begin = nothing  # type: ignore[assignment,method-assign]  # on a CPU
    found = results_of(
        [items_of(30, ["a", "b", "c"])],
        [queued, plain, unwilling],
        Made(),
        Ahead(n_lanes=3, batch_size=2, max_bytes=80),
    )
    assert len(found) == 90
    assert {(one.extractor, one.item.item_id) for one in found} == {
        (name, str(i)) for name in "abc" for i in range(30)
    }
