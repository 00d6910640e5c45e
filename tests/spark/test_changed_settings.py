"""Rows made under other settings are refused, kept or computed anew; never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from contents import all_contents, versions
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.features.job import extractor_hash
from acav_spark.features.vectors import encode_fp16
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from curation import MakeContext

    from acav_spark.context import StageContext

CHANGE = "segmentation.clip_duration_s=3"


def test_a_changed_setting_is_refused_with_the_change_and_the_choice(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context(CHANGE, root=curated_copy)
    before = versions(context.warehouse)

    with pytest.raises(StageError) as caught:
        run_stages(context, stages_named(["segment_clips"]))

    message = str(caught.value)
    assert "segmentation.clip_duration_s: 2 -> 3" in message
    assert "--on-change keep" in message
    assert "--on-change recompute" in message
    assert versions(context.warehouse) == before


def test_recompute_gives_the_tables_of_a_fresh_run_with_other_partitions_and_chunks(
    make_context: MakeContext, curated_copy: Path
) -> None:
    stages = [s for s in stages_named([]) if s.name != "publish_clips"]
    context = make_context(CHANGE, "execution.on_change=recompute", root=curated_copy)
    run_stages(context, stages)

    fresh = make_context(CHANGE, "execution.n_partitions=3", "execution.chunk_size=7")
    run_stages(fresh, stages)

    expected = all_contents(fresh.warehouse)
    for table, rows in all_contents(context.warehouse).items():
        assert rows == expected[table], table


def test_keep_goes_on_under_the_settings_of_the_rows_there(
    make_context: MakeContext,
    curated_copy: Path,
    add_video: Callable[[str, int], str],
) -> None:
    context = make_context(
        CHANGE,
        "execution.on_change=keep",
        root=curated_copy,
        inputs=add_video("video kept.mp4", 41),
    )
    run_stages(context, stages_named(["ingest_videos", "segment_clips"]))

    clips = context.warehouse.read("clips")
    assert clips.select("stage_hash").distinct().count() == 1
    lengths = {round(r["end_s"] - r["start_s"], 3) for r in clips.collect()}
    assert lengths == {2.0}
    assert context.warehouse.read("segmentations").count() == 9


def test_settings_that_one_stage_keeps_hold_for_later_stages_of_the_same_command(
    make_context: MakeContext,
) -> None:
    def extractor(n_frames: int) -> str:
        name = "name: 'identity_extractor:SeenNumber'"
        return f"features.extractors=[{{{name}, options: {{n_frames: {n_frames}}}}}]"

    former = make_context(extractor(3), "clustering.n_clusters=2")
    _write_features(former)
    run_stages(former, stages_named(["fit_centroids"]))
    context = make_context(
        extractor(4), "clustering.n_clusters=2", "execution.on_change=keep"
    )

    results = run_stages(context, stages_named(["extract_features", "fit_centroids"]))

    assert all(result.is_unchanged for result in results)


def _write_features(context: StageContext) -> None:
    """Write four clips and their features as if the stages had made them."""
    (chosen,) = context.config.features.extractors
    the_hash = extractor_hash(context.config, chosen.name)
    vectors = [encode_fp16(np.array([number], np.float32)) for number in range(4)]
    with context.run("extract_features", the_hash) as run:
        marks = {"stage_hash": F.lit(the_hash), "run_id": F.lit(run.run_id)}
        clips = context.spark.createDataFrame(
            [(f"clip {n}", f"video {n}", 0.0, 2.0) for n in range(len(vectors))],
            "clip_id STRING, video_id STRING, start_s DOUBLE, end_s DOUBLE",
        )
        context.warehouse.insert("clips", clips.withColumns(marks))
        features = context.spark.createDataFrame(
            [
                (chosen.name, f"clip {n}", vector, vector, "1")
                for n, vector in enumerate(vectors)
            ],
            "extractor STRING, clip_id STRING, layer_1 BINARY, layer_2 BINARY, "
            "model_version STRING",
        )
        context.warehouse.insert("features", features.withColumns(marks))
