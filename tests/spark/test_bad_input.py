"""Bad input costs one row each; bad settings end with a clear error."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from curation import MakeContext, settings_for
from PIL import Image
from samples import write_video

from acav_spark.context import StageContext
from acav_spark.errors import ConfigError, StageError, TableError
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.storage import FORMAT_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession


@pytest.fixture
def bad_folder(tmp_path: Path, videos: Path) -> Path:
    folder = tmp_path / "bad inputs"
    folder.mkdir()
    good = (videos / "video 00.mp4").read_bytes()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    (folder / "truncated.mp4").write_bytes(good[: len(good) // 3])
    Image.new("RGB", (64, 48), (200, 10, 10)).save(folder / "picture.jpg")
    write_video(folder / "silent.mp4", 1, has_audio=False)
    write_video(folder / "sound.mp4", 2, has_video=False)
    write_video(folder / "short.mp4", 3, duration_s=0.5)
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(good)
    (folder / "link.mp4").symlink_to(secret)
    (folder / "dangling.mp4").symlink_to(tmp_path / "gone.mp4")
    os.mkfifo(folder / "pipe.mp4")
    names = [
        " spaces  and 'quotes' \"x\".mp4",
        "new\nline.mp4",
        "ünïcode ☃.mp4",
        "-dash.mp4",
    ]
    for number, name in enumerate(names, start=10):
        write_video(folder / name, number)
    return folder


def test_every_bad_file_is_one_row_and_the_rest_is_done(
    make_context: MakeContext, bad_folder: Path
) -> None:
    context = make_context(inputs=bad_folder)
    stages = ["ingest_videos", "segment_clips", "extract_features"]
    run_stages(context, stages_named(stages))

    read = context.warehouse.read
    failed = {
        row["uri"].rsplit("/", 1)[1]: row["error_code"]
        for row in read("failures").collect()
    }
    assert failed == {
        "empty.mp4": "empty_file",
        "text.mp4": "not_media",
        "truncated.mp4": "invalid_media",
        "picture.jpg": "not_a_video",
        "silent.mp4": "no_audio_stream",
        "sound.mp4": "no_video_stream",
        "link.mp4": "outside_input",
        "dangling.mp4": "not_found",
        "pipe.mp4": "not_a_regular_file",
    }
    rejected = read("videos").where("status = 'rejected'").collect()
    assert [(r["title"], r["reject_reason"]) for r in rejected] == [
        ("short", "too_short")
    ]
    accepted = read("videos").where("status = 'accepted'").count()
    assert accepted == 4
    assert accepted + len(rejected) + len(failed) == len(list(bad_folder.iterdir()))
    assert read("segmentations").count() == 4
    assert read("clips").count() == 8
    assert read("features").count() == 16


def test_a_file_that_vanishes_after_ingest_fails_in_the_next_stage(
    make_context: MakeContext, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "vanishing"
    folder.mkdir()
    for name in ("video 00.mp4", "video 01.mp4"):
        shutil.copy(videos / name, folder / name)
    context = make_context(inputs=folder)
    run_stages(context, stages_named(["ingest_videos"]))
    (folder / "video 01.mp4").unlink()

    run_stages(context, stages_named(["segment_clips"]))

    rows = context.warehouse.read("failures").collect()
    assert [(r["stage"], r["error_code"]) for r in rows] == [
        ("segment_clips", "not_found")
    ]
    assert context.warehouse.read("segmentations").count() == 1


def test_a_video_that_takes_too_long_costs_one_row_and_is_tried_again_three_times(
    make_context: MakeContext, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    shutil.copy(videos / "video 00.mp4", folder / "video 00.mp4")
    write_video(folder / "long.mp4", 5, duration_s=400)
    context = make_context(inputs=folder)
    run_stages(context, stages_named(["ingest_videos"]))

    for attempts in (1, 2, 3):
        slow = make_context("execution.time_limit_s=0.4", inputs=folder)
        run_stages(slow, stages_named(["segment_clips"]))
        (row,) = context.warehouse.read("failures").collect()
        assert row["error_code"] == "time_limit"
        assert row["attempts"] == attempts
        assert row["is_permanent"] == (attempts == 3)
    (result,) = run_stages(slow, stages_named(["segment_clips"]))
    assert result.is_unchanged


def test_a_stage_ends_with_an_error_when_too_many_items_fail(
    make_context: MakeContext, bad_folder: Path
) -> None:
    context = make_context("execution.max_failed_fraction=0.1", inputs=bad_folder)
    with pytest.raises(StageError, match="at most 10% of items to fail, got 8 of 14"):
        run_stages(context, stages_named(["ingest_videos"]))
    assert context.warehouse.read("videos").count() == 5


def test_more_clips_than_there_are_are_refused_unless_fewer_are_allowed(
    make_context: MakeContext, curated_copy: Path
) -> None:
    stages = stages_named(["select_clips"])
    wanted = ("selection.size=17", "selection.name=big")
    with pytest.raises(StageError, match="at most 16, the number of clips there are"):
        run_stages(make_context(*wanted, root=curated_copy), stages)

    context = make_context(*wanted, "selection.allow_fewer=true", root=curated_copy)
    run_stages(context, stages)

    assert context.warehouse.read("selections").where("selection = 'big'").count() == 16


def test_an_input_without_a_video_is_refused(
    make_context: MakeContext, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="expected at least one video"):
        run_stages(make_context(inputs=empty), stages_named(["ingest_videos"]))


def test_storage_that_cannot_be_written_is_refused(
    spark: SparkSession, tmp_path: Path, videos: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(TableError, match="a folder that can be written"):
        StageContext(spark, settings_for(blocked / "warehouse", videos))


def test_a_warehouse_of_a_newer_version_is_refused(
    spark: SparkSession, tmp_path: Path, videos: Path
) -> None:
    marker = {"format_version": 99, "code_version": "7.0.0"}
    (tmp_path / FORMAT_FILE).write_text(json.dumps(marker))
    with pytest.raises(TableError, match=r"written by acav_spark 7\.0\.0 in format 99"):
        StageContext(spark, settings_for(tmp_path, videos))


def test_a_stage_without_its_input_says_what_to_run_first(
    make_context: MakeContext,
) -> None:
    for stage, first in (
        ("fit_centroids", "extract_features"),
        ("assign_clusters", "fit_centroids"),
        ("select_clips", "assign_clusters"),
        ("publish_clips", "select_clips"),
    ):
        with pytest.raises(StageError, match=f"acav run {first}"):
            run_stages(make_context(), stages_named([stage]))
