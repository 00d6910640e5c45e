"""Row-wise stages: what is pending, in chunks, each committed before the next.

A chunk's rows are computed once, by tasks small enough to show progress, and written
by the table's key: killed anywhere, the stage goes on where it was.
"""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.media.sandbox import Limits
from acav_spark.progress import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import Column, DataFrame, Row

    from acav_spark.config import Config
    from acav_spark.context import StageContext

_logger = logging.getLogger(__name__)


def decoding_limits(config: Config) -> Limits:
    """Return what decoding one piece of media may take."""
    execution = config.execution
    return Limits(
        time_s=execution.time_limit_s,
        memory_bytes=execution.memory_limit_mb * 2**20,
        max_pixels=execution.max_pixels,
    )


def run_in_chunks(
    context: StageContext,
    *,
    stage: str,
    pending: DataFrame,
    n_pending: int,
    key: str,
    unit: str,
    process: Callable[[DataFrame], DataFrame],
    commit: Callable[[DataFrame, Row], None],
    counted: Mapping[str, Column] | None = None,
    chunk_factor: int = 1,
) -> None:
    """Process pending items chunk by chunk and commit each chunk.

    Parameters
    ----------
    context : StageContext
        Session, configuration, progress.
    stage, unit : str
        For logs and bars.
    pending : DataFrame
        Items to do, one row each, not changed by the commits (or shrunk by them).
    n_pending : int
        Their number.
    key : str
        Column that identifies an item; its hash decides the chunk, so that chunks do
        not depend on the order in which rows arrive.
    process : callable
        From a chunk's items to its results.
    commit : callable
        Writes the results; called with a persisted DataFrame and a row of counts:
        ``n_results``, ``n_failed``, and those of ``counted``.
    counted : mapping of str to Column, optional
        Further aggregates that ``commit`` wants, taken in the same pass.
    chunk_factor : int, default 1
        So many times ``execution.chunk_size`` items make a chunk, for cheap stages.
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
                chunk = chunk.where(F.pmod(F.xxhash64(key), F.lit(n_chunks)) == i)
            results = process(chunk.repartition(n_partitions, key)).persist()
            label = f"{stage} chunk {i + 1} of {n_chunks}"
            with _watched(context, label, done, n_pending / n_chunks):
                (counts,) = results.agg(*_counts(counted or {})).collect()
            commit(results, counts)
            results.unpersist()
            done += counts["n_items"]
            context.reporter.at(done)
            per_second, left = rate.at(done)
            _logger.info(
                "committed stage=%s chunk=%d/%d done=%d/%d rate=%.1f/s left=%.0fs",
                *(stage, i + 1, n_chunks, done, n_pending, per_second, left),
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


def record_failures(
    context: StageContext,
    *,
    stage: str,
    scope: str,
    results: DataFrame,
    n_failed: int,
    stage_hash: str,
    run_id: str,
) -> None:
    """Write the rows of ``results`` that have an error_code to ``failures``.

    An item that failed before is counted on; after ``execution.max_attempts`` it counts
    as permanent. Items that now succeeded lose their row.
    """
    warehouse = context.warehouse
    before = warehouse.read("failures").where(
        (F.col("stage") == stage) & (F.col("scope") == scope)
    )
    failed = results.where(F.col("error_code").isNotNull())
    if warehouse.exists("failures"):
        mended = (
            results.where(F.col("error_code").isNull())
            .select("item_id")
            .join(before.select("item_id"), "item_id")
        )
        if not mended.isEmpty():
            keys = mended.withColumns({"stage": F.lit(stage), "scope": F.lit(scope)})
            warehouse.delete_keys("failures", keys)
    if n_failed == 0:
        return
    is_first = before.isEmpty()
    attempts = F.coalesce(F.col("attempts"), F.lit(0)) + 1
    rows = failed.select("item_id", "uri", "error_code", "message", "is_permanent")
    write = warehouse.insert if is_first else warehouse.upsert
    write(
        "failures",
        rows.join(before.select("item_id", "attempts"), "item_id", "left").select(
            F.lit(stage).alias("stage"),
            F.lit(scope).alias("scope"),
            "item_id",
            "uri",
            "error_code",
            F.coalesce(F.col("message"), F.lit("")).alias("message"),
            attempts.cast("int").alias("attempts"),
            (
                F.col("is_permanent")
                | (attempts >= context.config.execution.max_attempts)
            ).alias("is_permanent"),
            F.lit(stage_hash).alias("stage_hash"),
            F.lit(run_id).alias("run_id"),
        ),
    )


def retire_failures(context: StageContext, stage: str, present: DataFrame) -> None:
    """Delete a stage's failures of items that are gone; ``present`` has one column."""
    if not context.warehouse.exists("failures"):
        return
    (key,) = present.columns
    gone = (
        context.warehouse.read("failures")
        .where(F.col("stage") == stage)
        .select("stage", "item_id")
        .join(present.withColumnRenamed(key, "item_id"), "item_id", "left_anti")
    )
    if not gone.isEmpty():
        context.warehouse.delete_keys("failures", gone)


def require_few_failures(
    context: StageContext, stage: str, n_failed: int, n_items: int
) -> None:
    """Raise if too large a share of the items failed.

    Raises
    ------
    StageError
        If the share exceeds ``execution.max_failed_fraction``.
    """
    allowed = context.config.execution.max_failed_fraction
    if n_items and n_failed / n_items > allowed:
        msg = (
            f"{stage}: expected at most {allowed:.0%} of items to fail, got {n_failed} "
            f"of {n_items}. See them with 'acav show failures'. If they are as they "
            "should be, allow more with --set execution.max_failed_fraction=1.0."
        )
        raise StageError(msg)


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
