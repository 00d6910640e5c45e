"""Rows made under other settings are refused, kept or computed anew; never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contents import all_contents
from samples import write_video

from acav_spark.errors import StageError
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

CHANGE = "segmentation.clip_duration_s=3"


def test_a_changed_setting_is_refused_with_the_change_and_the_choice(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context(CHANGE, root=curated_copy)
    before = all_contents(context.warehouse)

    with pytest.raises(StageError) as caught:
        run_stages(context, stages_named(["segment_clips"]))

    message = str(caught.value)
    assert "segmentation.clip_duration_s: 2 -> 3" in message
    assert "--on-change keep" in message
    assert "--on-change recompute" in message
    assert all_contents(context.warehouse) == before


def test_recompute_replaces_the_rows_of_every_later_stage(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context(CHANGE, "execution.on_change=recompute", root=curated_copy)
    run_stages(context, stages_named([]))

    fresh = make_context(CHANGE)
    run_stages(fresh, stages_named([]))

    expected = all_contents(fresh.warehouse)
    for table, rows in all_contents(context.warehouse).items():
        assert rows == expected[table], table


def test_keep_goes_on_under_the_settings_of_the_rows_there(
    make_context: MakeContext, curated_copy: Path, videos: Path
) -> None:
    added = write_video(videos / "video kept.mp4", 41)
    try:
        context = make_context(CHANGE, "execution.on_change=keep", root=curated_copy)
        run_stages(context, stages_named(["ingest_videos", "segment_clips"]))
    finally:
        added.unlink()

    clips = context.warehouse.read("clips")
    assert clips.select("stage_hash").distinct().count() == 1
    lengths = {round(r["end_s"] - r["start_s"], 3) for r in clips.collect()}
    assert lengths == {2.0}
    assert context.warehouse.read("segmentations").count() == 9


def test_settings_of_execution_change_no_hash(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context("execution.time_limit_s=17", root=curated_copy)

    results = run_stages(context, stages_named([]))

    assert all(result.is_unchanged for result in results)
