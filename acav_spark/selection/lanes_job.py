"""The engine ``broadcast`` of ``select_clips``: lanes in executors, driver merges.

In each round the contingency tables are broadcast, executors take the best of their
lanes' batches, and the driver counts their picks and commits them. See ``lanes`` for
the algorithm, which ``lane_greedy`` runs without Spark to the same result.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.driver import require_staged
from acav_spark.selection.gathering import constraints_left
from acav_spark.selection.lane_rounds import LanePosition, LanesInProgress
from acav_spark.selection.lanes import require_exact
from acav_spark.selection.lanes_round_job import Rounds
from acav_spark.selection.lanes_write_job import classic_context, count_lanes
from acav_spark.selection.limits import Constraints
from acav_spark.selection.prior import pseudo_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.lane_files import LaneFiles
    from acav_spark.selection.lane_rounds import RoundPicks
    from acav_spark.selection.lane_settings import LaneSettings
    from acav_spark.selection.lanes_round_job import RoundSeconds
    from acav_spark.selection.problem import Problem
    from acav_spark.selection.restrictions import Restrictions
    from acav_spark.selection.staging import PickStaging

_logger = logging.getLogger(__name__)


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


def select_on_executors(
    spark: SparkSession,
    problem: Problem,
    files: LaneFiles,
    staging: PickStaging,
    *,
    settings: LaneSettings,
    rules: Restrictions,
    is_former: NDArray[np.bool_] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> LaneOutcome:
    """Stage all picks of a selection that are not staged yet; see ``select_in_lanes``.

    Parameters
    ----------
    spark : SparkSession
        Classic, not of Spark Connect.
    problem : Problem
        What is selected.
    files : LaneFiles
        All clips, from ``write_lanes``.
    staging : PickStaging
        Takes the picks; holds those made before a break. Its problem must name
        ``settings``.
    settings : LaneSettings
        How lanes are cut and rounds sized.
    rules : Restrictions
        Clips in and out, and limits.
    is_former : ndarray of bool, shape (n_clips,), optional
        Which clips belong to the selection that is extended.
    progress : callable
        Called after each round with the new clips so far.

    Raises
    ------
    StageError
        If the session is one of Spark Connect.
    ValueError
        If too few clips may be selected, or weights are too steep.
    """
    constraints = constraints_left(problem, rules, is_former)
    before = problem.empty_tables()
    if is_former is not None:
        before = count_lanes(spark, files, before, counted=is_former)
    prior = None
    if problem.prior != 0:
        candidates = np.ones(problem.n_clips, dtype=bool)
        candidates[constraints.exclude] = False
        population = count_lanes(spark, files, before, counted=candidates)
        population.counters[:] += before.counters
        no_rows = np.empty((0, files.n_views), dtype=files.dtype)
        prior = pseudo_counts(problem.prior, population, before, no_rows)
    outcome = select_in_lanes(
        spark,
        files,
        staging,
        before=before,
        n_select=problem.n_new,
        settings=settings,
        prior=prior,
        constraints=constraints,
        progress=lambda done, _: progress(done),
    )
    require_staged(problem, constraints.limits, staging)
    return outcome


def select_in_lanes(
    spark: SparkSession,
    files: LaneFiles,
    staging: PickStaging,
    *,
    before: ContingencyTables,
    n_select: int,
    settings: LaneSettings,
    prior: NDArray[np.int64] | None = None,
    constraints: Constraints | None = None,
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
        Clips that were selected before; their rows must be excluded.
    n_select : int
        Picks in all, those that are staged already among them.
    settings : LaneSettings
        How lanes are cut and rounds sized.
    prior : ndarray of int64, optional
        Pseudo-counts in units of ``2**-12`` clips.
    constraints : Constraints, optional
        Rows that are never picked, rows that must be selected (they come first, as
        batch -1), and limits.
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
    if constraints is None:
        none = np.empty(0, dtype=np.int64)
        constraints = Constraints(files.n_clips, n_select, (), none, none)
    include = constraints.include
    lanes = LanesInProgress(
        files.n_clips,
        before,
        n_select,
        settings=settings,
        exclude=constraints.exclude,
        groups=constraints.groups(),
    )
    staleness = 0.0
    if staging.engine:
        state = dict(staging.engine)
        staleness = state.pop("staleness")
        position = LanePosition(**{**state, "cursors": tuple(state["cursors"])})
        lanes.resume(staging.pieces(), position, files.read, n_included=len(include))
        _logger.info("resumed round=%d done=%d", position.n_rounds, lanes.n_done)
    elif len(include):
        # Flushed with the first round.
        _stage(staging, lanes.include(include, files.read))
    n_tasks = n_tasks or context.defaultParallelism
    seconds: list[RoundSeconds] = []
    shared = None if prior is None else context.broadcast(prior)
    rounds = Rounds(context, files, lanes, shared, n_tasks)
    try:
        while (picks := rounds.next()) is not None:
            started = time.perf_counter()
            _stage(staging, picks)
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
    if len(staging) > staging.n_picks:
        # Only clips that had to be in: there was no round.
        staging.flush(engine={**lanes.position._asdict(), "staleness": staleness})
    return LaneOutcome(lanes.tables, lanes.position.n_rounds, staleness, seconds)


def _stage(staging: PickStaging, picks: RoundPicks) -> None:
    staging.add(
        *(picks.rows, picks.scores, picks.gains, picks.objectives),
        *(picks.number, picks.lanes),
    )


def _log(picks: RoundPicks, n_done: int, seconds: RoundSeconds) -> None:
    _logger.info(
        "merged round=%d n_picks=%d done=%d objective=%.6f staleness=%.4f "
        "seconds=%.2f picking_s=%.2f tasks_s=%.2f",
        *(picks.number, len(picks.rows), n_done, picks.objectives[-1]),
        *(picks.staleness, seconds.total, seconds.picking, seconds.tasks),
    )
