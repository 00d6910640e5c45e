"""Decoding ahead of the extractors, so that these never wait while clips are there.

Lanes decode in child processes (``extraction.SandboxedDecoder``), one thread runs the
extractors, and the caller's thread writes results: while Spark reads or writes, and
while a network computes, decoding goes on. Decoded clips are bounded in bytes.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol

from acav_spark.features.batching import FIRST, BatchSize, extract_batch
from acav_spark.features.board import Board, Times, Wanted
from acav_spark.features.extraction import grouped_by_source

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.features.board import Batch
    from acav_spark.features.extraction import Decoded, Extracted, Item
    from acav_spark.features.extractor import Extractor

__all__ = ["Ahead", "Decoder", "extract_ahead"]

_JOIN_S = 5.0


class Decoder(Protocol):
    """Turns items into decoded clips; lanes call it at the same time."""

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        """Return what each item decodes to, in order, one at a time as asked for."""
        ...

    def abandon(self, lane: int) -> None:
        """End what a lane is decoding; nobody waits for it any more."""
        ...


@dataclass(frozen=True)
class Ahead:
    """How far decoding may run ahead.

    Parameters
    ----------
    n_lanes : int, default 1
        Decoding processes.
    max_bytes : int, default 512 MiB
        Memory of decoded clips.
    batch_size : int, default 0
        Clips that an extractor gets at once; 0 to find a size.
    """

    n_lanes: int = 1
    max_bytes: int = 512 * 2**20
    batch_size: int = 0


def extract_ahead(
    items: Iterable[Sequence[Item]],
    extractors: Mapping[str, Extractor],
    decoder: Decoder,
    ahead: Ahead,
    sizes: dict[str, BatchSize] | None = None,
) -> Iterator[tuple[list[Extracted], Times]]:
    """Yield the vectors of clips as they come, each clip once for each extractor.

    Parameters
    ----------
    items : iterable of sequences of Item
        Pulled in this thread, as lanes run out of work.
    extractors : mapping of str to Extractor
        All that items ask for.
    decoder : Decoder
        Decodes.
    ahead : Ahead
        Bounds.
    sizes : dict of str to BatchSize, optional
        What was found about batch sizes; filled, for the next call to go on from.

    Yields
    ------
    results : list of Extracted
        In no order; failures among them.
    times : Times
        Where the time since the former ones went.

    Raises
    ------
    StageError
        If an extractor does not keep its interface.
    """
    sizes = {} if sizes is None else sizes
    for name, extractor in extractors.items():
        first = getattr(extractor, "preferred_batch", FIRST)
        sizes.setdefault(name, BatchSize(ahead.batch_size, first))
    board = Board(extractors, sizes, n_lanes=ahead.n_lanes, max_bytes=ahead.max_bytes)
    lanes = [
        threading.Thread(
            target=_decode,
            args=(board, decoder, lane),
            daemon=True,
            name=f"lane {lane}",
        )
        for lane in range(ahead.n_lanes)
    ]
    computing = threading.Thread(
        target=_compute, args=(board, extractors, sizes), daemon=True, name="extractors"
    )
    for thread in (*lanes, computing):
        thread.start()
    is_complete = False
    try:
        batches = iter(items)
        while (told := board.next_for_caller()) is not None:
            if told is not Wanted.ITEMS:
                yield told
            elif (batch := next(batches, None)) is None:
                board.end_of_items()
            else:
                board.feed(grouped_by_source(batch))
        is_complete = True
    finally:
        board.stop()
        if not is_complete:
            for lane, thread in enumerate(lanes):
                if thread.is_alive():
                    decoder.abandon(lane)
        for thread in lanes:
            thread.join(_JOIN_S)


def _decode(board: Board, decoder: Decoder, lane: int) -> None:
    """Decode groups of items until there are none."""
    try:
        while (group := board.next_group()) is not None:
            with closing(decoder.decode(lane, group)) as decoded:
                for _ in group:
                    reserved = board.reserve()
                    if reserved is None:
                        return
                    started = time.perf_counter()
                    one = next(decoded)
                    board.decoded(one, reserved, time.perf_counter() - started)
                    del one  # it is the computing thread's alone
            board.end_of_group()
    except BaseException as error:  # the caller's thread raises it
        board.fail(error)


def _compute(
    board: Board, extractors: Mapping[str, Extractor], sizes: Mapping[str, BatchSize]
) -> None:
    """Run extractors on what is decoded until there is nothing more.

    A batch that a GPU computes by itself is left to it until the next one is queued.
    """
    try:
        computing = _Computing(board, extractors, sizes)
        begun: _Begun | None = None
        while True:
            if begun is None:
                told = board.next_batch()
                if told is None:
                    return
                begun = computing.begin(*told)
            else:
                batch = board.next_full_batch() if begun.finish is not None else None
                following = None if batch is None else computing.begin(batch, 0.0)
                computing.finish(begun)
                begun = following
                del following, batch
            told = None
    except BaseException as error:  # the caller's thread raises it
        board.fail(error)


@dataclass(frozen=True, eq=False)
class _Begun:
    """A batch under way; ``finish`` waits for its vectors, None: not yet computed."""

    batch: Batch
    finish: Callable[[], list[tuple[NDArray[np.float32], ...]]] | None
    wait_s: float
    started_s: float


class _Computing:
    """Begins and finishes batches, and takes the time of each."""

    def __init__(
        self,
        board: Board,
        extractors: Mapping[str, Extractor],
        sizes: Mapping[str, BatchSize],
    ) -> None:
        self._board, self._extractors, self._sizes = board, extractors, sizes
        self._finished_s = 0.0

    def begin(self, batch: Batch, wait_s: float) -> _Begun:
        """Queue a batch on its extractor's device, if it has one that has a queue."""
        started_s = time.perf_counter()
        begin = getattr(self._extractors[batch.extractor], "begin", None)
        finish = None
        if begin is not None:
            try:
                finish = begin([clip for _, clip in batch.pairs])
            except Exception as error:
                finish = partial(_raise, error)
        return _Begun(batch, finish, wait_s, started_s)

    def finish(self, begun: _Begun) -> None:
        """Hand over what comes of a batch."""
        name = begun.batch.extractor
        results = extract_batch(
            name,
            self._extractors[name],
            begun.batch.pairs,
            self._sizes[name],
            begun=begun.finish,
        )
        finished_s = time.perf_counter()
        # Of two batches under way at once, each second is told of one.
        compute_s = finished_s - max(begun.started_s, self._finished_s)
        self._finished_s = finished_s
        self._sizes[name].took(len(begun.batch.waiting), compute_s)
        self._board.computed(begun.batch, results, Times(compute_s, begun.wait_s))


def _raise(error: Exception) -> NoReturn:
    raise error
