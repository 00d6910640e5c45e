"""What the threads of an extraction share: items, decoded clips, results, and bytes.

Three kinds of threads meet here: lanes that decode, one that computes, and the caller,
who brings items and takes results. All share one lock, so that every rule about who may
go on is in this file.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from acav_spark.features.extraction import Extracted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from acav_spark.features.batching import BatchSize
    from acav_spark.features.extraction import Decoded, Item
    from acav_spark.media.types import DecodedClip

# Batches of results that may wait for the caller.
_MAX_DONE: Final = 2


@dataclass(frozen=True)
class Times:
    """Where the seconds went, of some results.

    Parameters
    ----------
    compute_s : float
        The extractor worked.
    wait_s : float
        It waited for a decoded clip.
    decode_s : float
        Lanes decoded, added up over lanes.
    """

    compute_s: float = 0.0
    wait_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips that an extractor gets at once."""

    extractor: str
    waiting: list[Decoded]

    @property
    def pairs(self) -> list[tuple[Item, DecodedClip]]:
        """Each clip beside its item."""
        return [(one.item, one.clips[self.extractor]) for one in self.waiting]


class Wanted(Enum):
    """What the caller is asked to do."""

    ITEMS = "items"


class Board:
    """The shared state of one extraction; every method may be called by any thread.

    Parameters
    ----------
    extractors : iterable of str
        Their names.
    sizes : mapping of str to BatchSize
        Sizes of their batches.
    n_lanes : int
        Threads that decode.
    max_bytes : int
        Memory of decoded clips that wait or are computed on. A single clip may
        exceed it, then nothing else is decoded meanwhile.

    Notes
    -----
    It cannot lock up: a lane waits for memory only while some is in use, which is by
    clips that another lane is decoding (they will wait next) or that wait for, or are
    in, the computing thread, which takes whatever there is and gives it back.
    """

    def __init__(
        self,
        extractors: Iterable[str],
        sizes: Mapping[str, BatchSize],
        *,
        n_lanes: int,
        max_bytes: int,
    ) -> None:
        self._lock = threading.Lock()
        # One for each kind of thread, so that nobody wakes without a reason.
        self._for_caller = threading.Condition(self._lock)
        self._for_lanes = threading.Condition(self._lock)
        self._for_computing = threading.Condition(self._lock)
        self._sizes = sizes
        self._n_lanes = n_lanes
        self._max_bytes = max_bytes
        self._to_decode: deque[list[Item]] = deque()
        self._waiting: dict[str, deque[tuple[int, Decoded]]] = {
            name: deque() for name in extractors
        }
        self._n_left: dict[int, int] = {}  # extractors that a clip still waits for
        self._done: deque[tuple[list[Extracted], Times]] = deque()
        self._n_decoded = 0
        self._n_busy = 0  # lanes and computations under way
        self._used_bytes = 0
        self._largest_bytes = 0
        self._decode_s = 0.0
        self._is_fed = False
        self._is_stopped = False
        self._error: BaseException | None = None

    # The caller.

    def feed(self, groups: list[list[Item]]) -> None:
        """Add groups of items to decode."""
        with self._lock:
            self._to_decode.extend(groups)
            self._for_lanes.notify_all()

    def end_of_items(self) -> None:
        """Tell that no more items come."""
        with self._lock:
            self._is_fed = True
            self._wake_all()

    def next_for_caller(self) -> tuple[list[Extracted], Times] | Wanted | None:
        """Wait for results, or for more items being wanted; None when all is done.

        Raises
        ------
        BaseException
            What ended another thread.
        """
        with self._lock:
            while True:
                if self._error is not None:
                    raise self._error
                if not self._is_fed and len(self._to_decode) < self._n_lanes:
                    return Wanted.ITEMS
                if self._done:
                    self._for_computing.notify()
                    return self._done.popleft()
                if self._has_ended():
                    return None
                self._for_caller.wait()

    def stop(self) -> None:
        """Let all threads end as soon as they look."""
        with self._lock:
            self._is_stopped = True
            self._wake_all()

    def fail(self, error: BaseException) -> None:
        """End the extraction with an error that the caller gets."""
        with self._lock:
            self._error = self._error or error
            self._is_stopped = True
            self._wake_all()

    # The lanes.

    def next_group(self) -> list[Item] | None:
        """Wait for a group of items to decode; None when there will be none."""
        with self._lock:
            while not self._is_stopped:
                if self._to_decode:
                    self._n_busy += 1
                    if len(self._to_decode) <= self._n_lanes:
                        self._for_caller.notify()
                    return self._to_decode.popleft()
                if self._is_fed:
                    return None
                self._for_lanes.wait()
            return None

    def reserve(self) -> int | None:
        """Wait until there is memory for another clip; return how much is reserved."""
        with self._lock:
            while not self._is_stopped:
                wanted = self._largest_bytes
                if self._used_bytes == 0 or self._used_bytes + wanted <= (
                    self._max_bytes
                ):
                    self._used_bytes += wanted
                    return wanted
                self._for_lanes.wait()
            return None

    def decoded(self, one: Decoded, reserved: int, seconds: float) -> None:
        """Hand over a decoded clip, or the error of one that failed."""
        n_bytes = one.n_bytes
        with self._lock:
            self._decode_s += seconds
            self._largest_bytes = max(self._largest_bytes, n_bytes)
            self._used_bytes += (n_bytes if one.error is None else 0) - reserved
            if one.error is not None:
                self._done.append((_failed(one), self._decoding_times()))
                self._for_caller.notify()
            else:
                for name in one.clips:
                    self._waiting[name].append((self._n_decoded, one))
                self._n_left[id(one)] = len(one.clips)
                self._n_decoded += 1
                self._for_computing.notify()
            if n_bytes < reserved or one.error is not None:
                self._for_lanes.notify_all()

    def end_of_group(self) -> None:
        """Tell that all items of a group were handed over."""
        with self._lock:
            self._n_busy -= 1
            if self._no_clip_will_come():
                self._wake_all()

    # The computing thread.

    def next_batch(self) -> tuple[Batch, float] | None:
        """Wait for clips, and for room for their results; return them and the wait.

        Whatever is there is taken, up to the batch size, the oldest clips first: an
        extractor that is slower than decoding gets full batches, a faster one does
        not wait for them. Returns None when no clip will come.
        """
        waited_s = 0.0
        with self._lock:
            while not self._is_stopped:
                name = self._oldest(list(self._waiting))
                if name is not None and len(self._done) < _MAX_DONE:
                    return self._taken(name), waited_s
                if name is None and self._no_clip_will_come():
                    return None
                started = time.perf_counter()
                self._for_computing.wait()
                if name is None:  # not the time in which results had no room
                    waited_s += time.perf_counter() - started
            return None

    def next_full_batch(self) -> Batch | None:
        """Return a whole batch, the one with the oldest clip; None if none is there.

        For a device that is busy with the batch before: part of one would keep it from
        a whole one, and waiting would keep results back that may be there sooner.
        """
        with self._lock:
            sizes = self._sizes
            name = self._oldest(
                [n for n, q in self._waiting.items() if len(q) >= sizes[n].current]
            )
            if self._is_stopped or name is None or len(self._done) >= _MAX_DONE:
                return None
            return self._taken(name)

    def computed(self, batch: Batch, results: list[Extracted], times: Times) -> None:
        """Hand over the results of a batch, and give back the memory of its clips."""
        with self._lock:
            for one in batch.waiting:
                self._n_left[id(one)] -= 1
                if self._n_left[id(one)] == 0:
                    del self._n_left[id(one)]
                    self._used_bytes -= one.n_bytes
            decode_s = self._decoding_times().decode_s
            self._done.append((results, Times(times.compute_s, times.wait_s, decode_s)))
            self._n_busy -= 1
            self._for_caller.notify()
            self._for_lanes.notify_all()

    def _wake_all(self) -> None:
        for condition in (self._for_caller, self._for_lanes, self._for_computing):
            condition.notify_all()

    def _decoding_times(self) -> Times:
        """Take the seconds that lanes decoded since they were last taken."""
        decode_s, self._decode_s = self._decode_s, 0.0
        return Times(decode_s=decode_s)

    def _taken(self, name: str) -> Batch:
        """Take the clips of a batch, as many as there are, off an extractor's queue."""
        queue = self._waiting[name]
        n_clips = min(len(queue), self._sizes[name].current)
        self._n_busy += 1
        return Batch(name, [queue.popleft()[1] for _ in range(n_clips)])

    def _oldest(self, names: Iterable[str]) -> str | None:
        """Return, of some extractors, the one for which a clip has waited longest."""
        waiting = self._waiting
        heads = {name: waiting[name][0][0] for name in names if waiting[name]}
        return min(heads, key=heads.__getitem__) if heads else None

    def _no_clip_will_come(self) -> bool:
        return self._is_fed and not self._to_decode and self._n_busy == 0

    def _has_ended(self) -> bool:
        return self._is_stopped or (
            self._no_clip_will_come() and not any(self._waiting.values())
        )


def _failed(one: Decoded) -> list[Extracted]:
    return [Extracted(one.item, name, error=one.error) for name in one.item.extractors]
