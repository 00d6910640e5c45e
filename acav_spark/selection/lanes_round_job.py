"""A round of lanes on Spark: tables broadcast, chains taken by tasks, picks merged."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.lane_batches import take_chain
from acav_spark.selection.picker import ExactPicker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pyspark import Broadcast, SparkContext

    from acav_spark.selection.lane_batches import Chain, ChainPicks
    from acav_spark.selection.lane_files import LaneFiles
    from acav_spark.selection.lane_rounds import LanesInProgress, RoundPicks


class RoundSeconds(NamedTuple):
    """Where the time of a round went.

    Parameters
    ----------
    planning, broadcasting, tasks, merging, committing : float
        Seconds of the driver, one after another.
    picking, picking_cpu : float
        Seconds that executors spent in picking, all of them together, and their
        processors' seconds.
    """

    planning: float
    broadcasting: float
    tasks: float
    merging: float
    committing: float
    picking: float
    picking_cpu: float

    @property
    def total(self) -> float:
        """Seconds of the round."""
        return sum(self[:5])


class Rounds:
    """Runs rounds in executors."""

    def __init__(
        self,
        context: SparkContext,
        files: LaneFiles,
        lanes: LanesInProgress,
        prior: Broadcast[NDArray[np.int64]] | None,
        n_tasks: int,
    ) -> None:
        self._context = context
        self._files = files
        self._lanes = lanes
        self._prior = prior
        self._n_tasks = n_tasks
        self.seconds = RoundSeconds(0, 0, 0, 0, 0, 0, 0)

    def next(self) -> RoundPicks | None:
        """Return the picks of the next round; None when all is picked."""
        times = [time.perf_counter()]
        chains = self._lanes.next_round()
        if not chains:
            return None
        times.append(time.perf_counter())
        tables = self._context.broadcast(_SentTables.of(self._lanes.tables))
        times.append(time.perf_counter())
        number = self._lanes.position.n_rounds
        taker = _ChainTaker(
            *(self._files, tables, self._prior),
            batch_size=self._lanes.batch_size,
            n_expected=max(chain.n_take for chain in chains),
            token=uuid.uuid4().hex,
        )
        self._context.setJobDescription(f"select_clips: round {number}")
        try:
            results = (
                self._context.parallelize(chains, min(len(chains), self._n_tasks))
                .mapPartitions(taker)
                .collect()
            )
        finally:
            self._context.setJobDescription("")
            tables.destroy()
        times.append(time.perf_counter())
        picks = self._lanes.merge(chains, [found.picks for found in results])
        times.append(time.perf_counter())
        picking = sum(found.seconds for found in results)
        picking_cpu = sum(found.cpu_seconds for found in results)
        planning, broadcasting, tasks, merging = np.diff(times).tolist()
        self.seconds = RoundSeconds(
            planning, broadcasting, tasks, merging, 0.0, picking, picking_cpu
        )
        return picks


class _Found(NamedTuple):
    """What a task returns for a chain."""

    picks: ChainPicks
    seconds: float
    cpu_seconds: float


class _SentTables(NamedTuple):
    """Contingency tables as they are broadcast: counters of the narrowest type."""

    pairs: tuple[tuple[int, int], ...]
    n_clusters: tuple[int, ...]
    pair_weights: tuple[float, ...] | None
    counters: NDArray[np.integer]

    @classmethod
    def of(cls, tables: ContingencyTables) -> _SentTables:
        """Return tables to be sent."""
        most = int(tables.counters.max(initial=0))
        kinds = (np.uint8, np.uint16, np.uint32, np.int64)
        kind = next(kind for kind in kinds if most <= np.iinfo(kind).max)
        counters: NDArray[np.integer] = tables.counters.astype(kind)
        return cls(tables.pairs, tables.n_clusters, tables.pair_weights, counters)

    def received(self) -> ContingencyTables:
        """Return the tables that were sent."""
        counters = self.counters.astype(np.int64)
        return ContingencyTables(
            self.pairs, self.n_clusters, counters, self.pair_weights
        )


@dataclass(frozen=True)
class _ChainTaker:
    """Takes the chains of a task, by one picker for all of a Python worker's tasks."""

    files: LaneFiles
    tables: Broadcast[_SentTables]
    prior: Broadcast[NDArray[np.int64]] | None
    batch_size: int
    n_expected: int
    token: str

    def __call__(self, chains: Iterable[Chain]) -> Iterator[_Found]:
        picker = self._picker()
        for chain in chains:
            started, cpu_started = time.perf_counter(), time.process_time()
            picks = take_chain(picker, chain, self.files.read)
            cpu_seconds = time.process_time() - cpu_started
            seconds = time.perf_counter() - started
            yield _Found(_narrow(picks), seconds, cpu_seconds)
        _kept[self.token] = picker

    def _picker(self) -> ExactPicker:
        """Return the worker's picker of this round, which other tasks left as it was.

        It is not kept while a task uses it: one that fails may leave it half counted.
        """
        picker = _kept.pop(self.token, None)
        _kept.clear()
        if picker is not None:
            return picker
        return ExactPicker(
            self.tables.value.received(),
            prior=None if self.prior is None else self.prior.value,
            batch_size=self.batch_size,
            n_expected=self.n_expected,
        )


# The picker of the latest round, by the round's token.
_kept: dict[str, ExactPicker] = {}


def _narrow(picks: ChainPicks) -> ChainPicks:
    """Return picks whose places have four bytes; lanes have fewer than 2**32 rows."""
    return picks._replace(places=picks.places.astype(np.uint32))
