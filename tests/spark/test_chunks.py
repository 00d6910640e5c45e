"""The frame of row-wise stages: what is pending, and the order of its commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from acav_spark.chunks import RowwiseStage, compute_pending, pending_items
from acav_spark.runs import StageResult

if TYPE_CHECKING:
    from collections import Counter

    from curation import MakeContext
    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext

STAGE = "segment_clips"
COUNTS = (
    *("n_shots", "n_candidates", "n_clips", "duration_s", "n_frames"),
    "n_bad_packets",
)


def _stage(context: StageContext, failing: list[str], *, dies: bool) -> RowwiseStage:
    def process(items: DataFrame) -> DataFrame:
        fails = F.col("item_id").isin(failing)
        return items.select(
            "item_id",
            F.lit("file:///x").alias("uri"),
            F.when(fails, "time_limit").alias("error_code"),
            F.lit("").alias("message"),
            F.lit(False).alias("is_permanent"),
        )

    def write(good: DataFrame, run_id: str) -> None:
        if dies:
            msg = "killed between two commits"
            raise RuntimeError(msg)
        context.warehouse.insert(
            "segmentations",
            good.select(
                F.col("item_id").alias("video_id"),
                *[F.lit(0).alias(name) for name in COUNTS],
                F.lit("shot").alias("rule"),
                F.lit("h").alias("stage_hash"),
                F.lit(run_id).alias("run_id"),
            ),
        )

    def finish(totals: Counter[str]) -> StageResult:
        return StageResult(STAGE, n_in=totals["n_items"], n_failed=totals["n_failed"])

    return RowwiseStage(
        name=STAGE,
        unit="videos",
        run_hash="h",
        hashes={"": "h"},
        process=process,
        write=write,
        finish=finish,
    )


def test_a_stage_killed_between_its_commits_leaves_no_failure_of_an_item_that_is_done(
    make_context: MakeContext,
) -> None:
    context = make_context()
    items = context.spark.createDataFrame([("a",), ("b",)], "item_id STRING")
    key = {"item_id": "video_id"}

    def run(failing: list[str], *, dies: bool = False) -> StageResult:
        pending = pending_items(context, STAGE, items, table="segmentations", key=key)
        stage = _stage(context, failing, dies=dies)
        return compute_pending(context, stage, pending, context.config)

    def failed() -> list[str]:
        return [row["item_id"] for row in context.warehouse.read("failures").collect()]

    assert run(["a"]).n_failed == 1
    assert failed() == ["a"]
    with pytest.raises(RuntimeError, match="between two commits"):
        run([], dies=True)
    assert failed() == []
    assert run([]).n_in == 1
    assert run([]).is_unchanged
    assert failed() == []
