"""The engine ``broadcast`` of ``select_clips``: lanes in executors, driver merges.

In each round the contingency tables are broadcast, executors take the best of their
lanes' batches, and the driver counts their picks and commits them. See ``lanes`` for
the algorithm, which ``lane_greedy`` runs without Spark to the same result.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.lane_batches import take_chain
from acav_spark.selection.lane_rounds import LanePosition, LanesInProgress
from acav_spark.selection.lanes import require_exact
from acav_spark.selection.lanes_write_job import classic_context
from acav_spark.selection.picker import ExactPicker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from pyspark import Broadcast, SparkContext
    from pyspark.sql import SparkSession

    from acav_spark.selection.lane_batches import Chain, ChainPicks
    from acav_spark.selection.lane_files import LaneFiles
    from acav_spark.selection.lane_rounds import LaneSettings, RoundPicks
    from acav_spark.selection.staging import PickStaging

_logger = logging.getLogger(__name__)


class RoundSeconds(NamedTuple):
    """Where the time of a round went.

    Parameters
    ----------
    planning, broadcasting, tasks, merging, committing : float
        Seconds of the driver, one after another.
    picking : float
        Seconds that executors spent in picking, all of them together.
    """

    planning: float
    broadcasting: float
    tasks: float
    merging: float
    committing: float
    picking: float

    @property
    def total(self) -> float:
        """Seconds of the round."""
        return sum(self) - self.picking


@dataclass(frozen=True, eq=False)
class LaneOutcome:
    """What a selection in lanes ends with, besides the staged picks.

    Parameters
    ----------
    tables : ContingencyTables
        Counts of all that is selected, former clips included.
    n_rounds : int
        Rounds of this selection, those before a break included.
    staleness : float
        Most picks that a lane did not see, as a share of those before its round.
    seconds : list of RoundSeconds
        One for each round that this call ran.
    """

    tables: ContingencyTables
    n_rounds: int
    staleness: float
    seconds: list[RoundSeconds]


def select_in_lanes(
    spark: SparkSession,
    files: LaneFiles,
    staging: PickStaging,
    *,
    before: ContingencyTables,
    n_select: int,
    settings: LaneSettings,
    prior: NDArray[np.int64] | None = None,
    exclude: NDArray[np.int64] | None = None,
    n_tasks: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LaneOutcome:
    """Pick clips in lanes, a round after another, each committed to the staging.

    Parameters
    ----------
    spark : SparkSession
        Classic, not of Spark Connect.
    files : LaneFiles
        The candidates, from ``write_lanes``.
    staging : PickStaging
        Where picks go; what it holds is gone on from. Its problem must name
        ``settings`` and all else that is given here.
    before : ContingencyTables
        Clips that were selected before; their rows must be in ``exclude``.
    n_select : int
        Picks in all, those that are staged already among them.
    settings : LaneSettings
        How lanes are cut and rounds sized.
    prior : ndarray of int64, optional
        Pseudo-counts in units of ``2**-12`` clips.
    exclude : ndarray of int64, optional
        Distinct row numbers that are never picked.
    n_tasks : int, default 0
        Tasks of a round; 0 is one for each core, as lanes are of one size and a
        task costs some 0.1 s. No result depends on it.
    progress : callable, optional
        Called after each round with the picks so far and ``n_select``.

    Raises
    ------
    StageError
        If the session is one of Spark Connect.
    ValueError
        If weights are too steep for exact integers.

    Notes
    -----
    A round costs some copies of the tables and its own batches, whatever the number of
    clips. Memory of the driver: a bit for each clip, the tables, the picks of a round;
    of a Python worker: the tables twice, and a megabyte for each thousand candidates.
    """
    context = classic_context(spark)
    require_exact(before)
    lanes = LanesInProgress(
        files.n_clips, before, n_select, settings=settings, exclude=exclude
    )
    staleness = 0.0
    if staging.engine:
        state = dict(staging.engine)
        staleness = state.pop("staleness")
        position = LanePosition(**{**state, "cursors": tuple(state["cursors"])})
        lanes.resume(staging.pieces(), position, files.read)
        _logger.info("resumed round=%d done=%d", position.n_rounds, lanes.n_done)
    n_tasks = n_tasks or context.defaultParallelism
    seconds: list[RoundSeconds] = []
    shared = None if prior is None else context.broadcast(prior)
    rounds = _Rounds(context, files, lanes, shared, n_tasks)
    try:
        while (picks := rounds.next()) is not None:
            started = time.perf_counter()
            staging.add(
                *(picks.rows, picks.scores, picks.gains, picks.objectives),
                *(picks.number, picks.lanes),
            )
            staleness = max(staleness, picks.staleness)
            staging.flush(engine={**lanes.position._asdict(), "staleness": staleness})
            committing = time.perf_counter() - started
            seconds.append(rounds.seconds._replace(committing=committing))
            _log(picks, lanes.n_done, seconds[-1])
            if progress is not None:
                progress(lanes.n_done, n_select)
    finally:
        if shared is not None:
            shared.destroy()
    return LaneOutcome(lanes.tables, lanes.position.n_rounds, staleness, seconds)


def _log(picks: RoundPicks, n_done: int, seconds: RoundSeconds) -> None:
    _logger.info(
        "merged round=%d n_picks=%d done=%d objective=%.6f staleness=%.4f "
        "seconds=%.2f picking_s=%.2f tasks_s=%.2f",
        *(picks.number, len(picks.rows), n_done, picks.objectives[-1]),
        *(picks.staleness, seconds.total, seconds.picking, seconds.tasks),
    )


class _Rounds:
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
        self.seconds = RoundSeconds(0, 0, 0, 0, 0, 0)

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
        planning, broadcasting, tasks, merging = np.diff(times).tolist()
        self.seconds = RoundSeconds(
            planning, broadcasting, tasks, merging, 0.0, picking
        )
        return picks


class _Found(NamedTuple):
    """What a task returns for a chain."""

    picks: ChainPicks
    seconds: float


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
            started = time.perf_counter()
            picks = take_chain(picker, chain, self.files.read)
            seconds = time.perf_counter() - started
            yield _Found(_narrow(picks), seconds)
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
