"""Row-wise stages: what is pending, in chunks, each committed before the next.

A row-wise stage makes rows from items (videos, clips), each item apart from the others.

A chunk's rows are computed once, by tasks small enough to show progress, and written
by the table's key: killed anywhere, the stage goes on where it was.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.failures import record_failures, require_few_failures
from acav_spark.media.sandbox import Limits
from acav_spark.media.sources import SourceRules, require_readable_schemes
from acav_spark.progress import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import Column, DataFrame, Row

    from acav_spark.config import Config
    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

_logger = logging.getLogger(__name__)


def decoding_limits(config: Config) -> Limits:
    """Return what decoding one piece of media may take."""
    execution = config.execution
    return Limits(
        time_s=execution.time_limit_s,
        memory_bytes=execution.memory_limit_mb * 2**20,
        max_pixels=execution.max_pixels,
    )


def source_rules(config: Config) -> SourceRules:
    """Return which sources of media a stage may open.

    Raises
    ------
    ConfigError
        For an allowed scheme that nothing reads.
    DependencyError
        If the package that reads an allowed scheme is not installed.
    """
    options = config.input
    require_readable_schemes(options.allowed_schemes)
    return SourceRules(
        allowed_schemes=tuple(options.allowed_schemes),
        allow_private_addresses=options.allow_private_addresses,
        max_bytes=options.max_download_mb * 2**20,
        total_s=options.download_timeout_s,
        stall_s=options.stall_timeout_s,
    )


@dataclass(frozen=True, kw_only=True)
class RowwiseStage:
    """What is a row-wise stage's own.

    Parameters
    ----------
    name, unit : str
        The stage, and what its items are called.
    inputs : tuple of str
        Tables whose versions the ledger keeps.
    run_hash : str
        Hash of the settings, for the ledger.
    hashes : mapping of str to str
        The same by scope, for failures.
    process : callable
        From items to results: the outcome (``acav_spark.rows``) and a payload; a column
        ``scope`` where one item has several results.
    write : callable
        Writes the results that did not fail, given the run's id; the table whose rows
        say that an item is done comes last.
    finish : callable
        From the sums of all counts to what the stage reports: ``n_items``,
        ``n_results``, ``n_failed``, and those of ``counted``.
    counted : mapping of str to Column
        Further aggregates of a chunk's results. ``n_tolerated``, where it is there, are
        failures that are no sign of trouble.
    chunk_factor : int
        So many times ``execution.chunk_size`` items make a chunk, for cheap stages.
    together : str, default "item_id"
        Column of the items; those that share its value are processed by one task.
    remark : callable, optional
        From a chunk's counts to a few words for its line in the log.
    """

    name: str
    unit: str
    inputs: tuple[str, ...] = ()
    run_hash: str
    hashes: Mapping[str, str]
    process: Callable[[DataFrame], DataFrame]
    write: Callable[[DataFrame, str], None]
    finish: Callable[[Counter[str]], StageResult]
    counted: Mapping[str, Column] = field(default_factory=dict)
    chunk_factor: int = 1
    together: str = "item_id"
    remark: Callable[[Row], str] | None = None


def pending_items(
    context: StageContext,
    stage: str,
    items: DataFrame,
    *,
    table: str,
    key: Mapping[str, str],
) -> DataFrame:
    """Return the items that are neither done nor failed for good.

    Parameters
    ----------
    context : StageContext
        Where the tables are.
    stage : str
        Whose failures count.
    items : DataFrame
        Items, with the columns that ``key`` names.
    table : str
        Its rows say that an item is done.
    key : mapping of str to str
        From columns of the items (``item_id``, ``scope``) to those of the table.
    """
    read, exists = context.warehouse.read, context.warehouse.exists
    closed = []
    if exists(table):
        closed.append(read(table).select(*[F.col(c).alias(n) for n, c in key.items()]))
    if exists("failures"):
        hopeless = (F.col("stage") == stage) & F.col("is_permanent")
        closed.append(read("failures").where(hopeless).select(*key))
    if not closed:
        return items
    return items.join(functools.reduce(_union, closed), list(key), "left_anti")


def compute_pending(
    context: StageContext, stage: RowwiseStage, pending: DataFrame, config: Config
) -> StageResult:
    """Compute what is pending, chunk by chunk, and keep the stage's row in the ledger.

    Raises
    ------
    StageError
        If too large a share of the items failed.
    """
    pending = pending.persist()
    n_pending = pending.count()
    totals: Counter[str] = Counter()
    if n_pending == 0:
        pending.unpersist()
        return replace(stage.finish(totals), is_unchanged=True)
    with context.run(
        stage.name, stage.run_hash, inputs=stage.inputs, config=config
    ) as run:

        def commit(results: DataFrame, counts: Row) -> None:
            totals.update({name: n or 0 for name, n in counts.asDict().items()})
            if "scope" not in results.columns:
                results = results.withColumn("scope", F.lit(""))
            # Before the rows that say which items are done: a driver killed in between
            # does the chunk again, and finds what failed before.
            record_failures(
                context,
                stage=stage.name,
                results=results,
                n_failed=counts["n_failed"],
                hashes=stage.hashes,
                run_id=run.run_id,
            )
            stage.write(results.where(F.col("error_code").isNull()), run.run_id)

        run_in_chunks(
            context,
            stage=stage.name,
            pending=pending,
            n_pending=n_pending,
            unit=stage.unit,
            process=stage.process,
            commit=commit,
            counted=stage.counted,
            chunk_factor=stage.chunk_factor,
            together=stage.together,
            remark=stage.remark,
        )
        run.result = stage.finish(totals)
    pending.unpersist()
    n_failed = totals["n_failed"] - totals["n_tolerated"]
    require_few_failures(context, stage.name, n_failed, totals["n_results"])
    return run.result


def _union(one: DataFrame, other: DataFrame) -> DataFrame:
    return one.union(other)


def run_in_chunks(
    context: StageContext,
    *,
    stage: str,
    pending: DataFrame,
    n_pending: int,
    unit: str,
    process: Callable[[DataFrame], DataFrame],
    commit: Callable[[DataFrame, Row], None],
    counted: Mapping[str, Column] | None = None,
    chunk_factor: int = 1,
    is_spread: bool = True,
    together: str = "item_id",
    remark: Callable[[Row], str] | None = None,
) -> None:
    """Process pending items chunk by chunk and commit each chunk.

    Parameters
    ----------
    context : StageContext
        Session, configuration, progress.
    stage, unit : str
        For logs and bars.
    pending : DataFrame
        Items to do, one row each, not changed by the commits (or shrunk by them). The
        hash of ``together`` decides the chunk, so that chunks do not depend on the
        order in which rows arrive.
    n_pending : int
        Their number.
    process : callable
        From a chunk's items to its results.
    commit : callable
        Writes the results; called with a persisted DataFrame and a row of counts:
        ``n_results``, ``n_failed``, and those of ``counted``.
    counted : mapping of str to Column, optional
        Further aggregates that ``commit`` wants, taken in the same pass.
    chunk_factor : int, default 1
        So many times ``execution.chunk_size`` items make a chunk, for cheap stages.
    is_spread : bool, default True
        Whether items are dealt out to tasks evenly; otherwise they are processed where
        they lie, for items that are wide and cheap.
    together : str, default "item_id"
        Column of the items; those that share its value are in one chunk and task.
    remark : callable, optional
        From a chunk's counts to a few words for its line in the log.
    """
    execution = context.config.execution
    n_chunks = max(1, math.ceil(n_pending / (execution.chunk_size * chunk_factor)))
    n_partitions = execution.n_partitions or (
        4 * context.spark.sparkContext.defaultParallelism
    )
    rate = Rate(n_pending)
    done = 0
    context.reporter.start(stage, n_pending, unit)
    try:
        for i in range(n_chunks):
            chunk = pending
            if n_chunks > 1:
                chunk = chunk.where(F.pmod(F.xxhash64(together), F.lit(n_chunks)) == i)
            if is_spread:
                chunk = chunk.repartition(n_partitions, together)
            results = process(chunk).persist()
            label = f"{stage} chunk {i + 1} of {n_chunks}"
            with _watched(context, label, done, n_pending / n_chunks):
                (counts,) = results.agg(*_counts(counted or {})).collect()
            commit(results, counts)
            results.unpersist()
            done += counts["n_items"]
            context.reporter.at(done)
            per_second, left = rate.at(done)
            _logger.info(
                "committed stage=%s chunk=%d/%d done=%d/%d rate=%.1f/s left=%.0fs %s",
                *(stage, i + 1, n_chunks, done, n_pending, per_second, left),
                remark(counts) if remark else "",
            )
    finally:
        context.reporter.finish()


def _counts(further: Mapping[str, Column]) -> list[Column]:
    return [
        F.count("*").alias("n_results"),
        F.countDistinct("item_id").alias("n_items"),
        F.count("error_code").alias("n_failed"),
        *[column.alias(name) for name, column in further.items()],
    ]


class _watched:  # noqa: N801 - reads as a statement
    """Feeds the reporter with finished tasks while a Spark action runs."""

    def __init__(
        self, context: StageContext, label: str, done: float, share: float
    ) -> None:
        self._context = context
        self._label = label
        self._done = done
        self._share = share
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> None:
        self._context.spark.sparkContext.setJobDescription(self._label)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._context.spark.sparkContext.setJobDescription("")

    def _poll(self) -> None:
        tracker = self._context.spark.sparkContext.statusTracker()
        best = 0.0
        while not self._stop.wait(0.5):
            for stage_id in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage_id)
                if info is not None and info.numTasks > 1:
                    best = max(best, info.numCompletedTasks / info.numTasks)
            self._context.reporter.at(self._done + best * self._share)
