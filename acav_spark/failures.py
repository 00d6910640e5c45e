"""What failed: one row for each item that a stage could not do.

An item is a video or a clip; a scope tells apart what fails apart for one item, such as
the extractors of a clip, and is empty elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext


def record_failures(
    context: StageContext,
    *,
    stage: str,
    results: DataFrame,
    n_failed: int,
    hashes: Mapping[str, str],
    run_id: str,
) -> None:
    """Write the rows of ``results`` that have an error_code to ``failures``.

    An item that failed before is counted on; after ``execution.max_attempts`` it counts
    as permanent. Items that now succeeded lose their row.

    Parameters
    ----------
    context : StageContext
        Tables and configuration.
    stage, run_id : str
        Who writes.
    results : DataFrame
        Outcomes, one for each item and scope.
    n_failed : int
        How many of them failed.
    hashes : mapping of str to str
        The hash of the settings by scope.
    """
    warehouse = context.warehouse
    key = ["item_id", "scope"]
    before = warehouse.read("failures").where(F.col("stage") == stage)
    if warehouse.exists("failures"):
        mended = results.where(F.col("error_code").isNull()).join(before, key, "semi")
        if not mended.isEmpty():
            keys = mended.select(*key, F.lit(stage).alias("stage"))
            warehouse.delete_keys("failures", keys)
    if n_failed == 0:
        return
    attempts = F.coalesce(F.col("attempts"), F.lit(0)) + 1
    hash_of = F.create_map(*[F.lit(text) for pair in hashes.items() for text in pair])
    rows = results.where(F.col("error_code").isNotNull()).select(
        *key, "uri", "error_code", "message", "is_permanent"
    )
    write = warehouse.insert if before.isEmpty() else warehouse.upsert
    write(
        "failures",
        rows.join(before.select(*key, "attempts"), key, "left").select(
            F.lit(stage).alias("stage"),
            *key,
            "uri",
            "error_code",
            F.coalesce(F.col("message"), F.lit("")).alias("message"),
            attempts.cast("int").alias("attempts"),
            (
                F.col("is_permanent")
                | (attempts >= context.config.execution.max_attempts)
            ).alias("is_permanent"),
            hash_of[F.col("scope")].alias("stage_hash"),
            F.lit(run_id).alias("run_id"),
        ),
    )


def retire(
    context: StageContext, stage: str, present: DataFrame, tables: tuple[str, ...]
) -> int:
    """Delete a stage's rows, and failures, of items that are gone; return how many.

    ``present`` has one column, the key of the items that are there; the last of
    ``tables`` says which items were done.
    """
    warehouse = context.warehouse
    (key,) = present.columns
    n_gone = 0
    if warehouse.exists(tables[-1]):
        done = warehouse.read(tables[-1]).select(key).distinct()
        gone = done.join(present, key, "left_anti").persist()
        n_gone = gone.count()
        if n_gone:
            for name in tables:
                warehouse.delete_keys(name, gone)
        gone.unpersist()
    if warehouse.exists("failures"):
        failed = warehouse.read("failures").where(F.col("stage") == stage)
        stale = failed.select("stage", "item_id").join(
            present.withColumnRenamed(key, "item_id"), "item_id", "left_anti"
        )
        if not stale.isEmpty():
            warehouse.delete_keys("failures", stale)
    return n_gone


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
