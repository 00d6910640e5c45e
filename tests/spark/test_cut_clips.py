"""Clips as files: each is its clip's, is read in its place, and goes with its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from pyspark.sql import functions as F
from samples import decoded_number

from acav_spark.cutting.files import clip_file_name
from acav_spark.errors import ConfigError, StageError
from acav_spark.media.uri import path_from_uri
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext
    from pyspark.sql import Row

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

ON = "segmentation.cut=mp4"


def _ran(context: StageContext, name: str) -> StageResult:
    (result,) = run_stages(context, stages_named([name]))
    return result


def _by_id(context: StageContext, table: str) -> dict[str, Row]:
    rows = context.warehouse.read(table).orderBy("clip_id").collect()
    return {row["clip_id"]: row for row in rows}


def _files(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def _first_number(uri: str) -> int:
    with av.open(str(path_from_uri(uri))) as container:
        frame = next(container.decode(video=0))
        return decoded_number(frame.to_ndarray(format="rgb24").astype(np.uint8))


def _without_video(context: StageContext, title: str) -> None:
    """Let a video's row name a file that is not there."""
    rows = context.warehouse.read("videos").where(F.col("title") == title)
    lost = rows.select("video_id", F.lit("file:///no/such.mp4").alias("uri"))
    context.warehouse.update("videos", lost, ["uri"])


def test_files_are_their_clips_are_read_alone_and_go_with_them(
    make_context: MakeContext, curated_copy: Path, tmp_path: Path
) -> None:
    root = tmp_path / "cut files"
    options = (ON, f'segmentation.cut_root="{root}"')
    context = make_context(*options, root=curated_copy)
    warehouse = context.warehouse
    titles = {r["title"]: r["video_id"] for r in warehouse.read("videos").collect()}
    good, lost = titles["video 05"], titles["video 02"]
    warehouse.delete("clips", f"video_id NOT IN ('{good}', '{lost}')")
    warehouse.delete("features", "true")
    _without_video(context, "video 02")

    result = _ran(context, "cut_clips")

    assert (result.n_in, result.n_out, result.n_failed) == (4, 2, 2)
    failed = warehouse.read("failures").where("stage = 'cut_clips'").collect()
    assert [row["error_code"] for row in failed] == ["not_found", "not_found"]
    clips, files = _by_id(context, "clips"), _by_id(context, "clip_files")
    assert {clips[clip_id]["video_id"] for clip_id in files} == {good}
    assert _files(root) == {clip_file_name(clip_id) for clip_id in files}
    for clip_id, clip in clips.items():
        assert clip["uri"] == (files[clip_id]["uri"] if clip_id in files else None)
    for row in files.values():
        assert _first_number(row["uri"]) == 5
        assert (row["duration_s"], row["n_frames"]) == (2.0, 20)
        assert path_from_uri(row["uri"]).stat().st_size == row["size_bytes"]
    # Published are both: the stretch of the video, and the file.
    warehouse.register_views()
    for row in context.spark.table("curated_clips").collect():
        assert row["uri"] != clips[row["clip_id"]]["uri"] == row["clip_uri"]
        assert row["start_s"] == clips[row["clip_id"]]["start_s"]

    # One clip goes; one is found anew by another run, as of a video that was replaced.
    gone, renewed = files
    again = [{**clips[renewed].asDict(), "run_id": "later", "uri": None}]
    rows = context.spark.createDataFrame(again, warehouse.read("clips").schema)
    warehouse.delete("clips", f"video_id = '{good}'")
    warehouse.insert("clips", rows)
    path_from_uri(files[renewed]["uri"]).write_bytes(b"of another film")

    result = _ran(context, "cut_clips")

    # What is not found is not tried again.
    assert (result.n_in, result.n_out) == (1, 1)
    assert result.metrics["n_retired"] == 2
    assert not path_from_uri(files[gone]["uri"]).exists()
    assert _files(root) == {clip_file_name(renewed)}
    assert _first_number(files[renewed]["uri"]) == 5

    # Without its video, features can only come from the file.
    _without_video(context, "video 05")
    assert _ran(context, "extract_features").n_out == 2
    assert set(_by_id(context, "features")) == {renewed}

    finer = make_context(*options, "segmentation.cut_crf=30", root=curated_copy)
    with pytest.raises(StageError, match=r"segmentation\.cut_crf: 20 -> 30"):
        _ran(finer, "cut_clips")
    off = make_context("execution.on_change=recompute", root=curated_copy)
    assert _ran(off, "cut_clips").is_unchanged
    assert _files(root) == set()
    assert warehouse.read("clip_files").count() == 0
    assert warehouse.read("clips").where("uri IS NOT NULL").count() == 0


def test_a_place_that_later_stages_could_not_read_is_refused(
    make_context: MakeContext,
) -> None:
    context = make_context(ON, "segmentation.cut_root=s3://bucket/clips")
    with pytest.raises(ConfigError, match=r"Add 's3' to input\.allowed_schemes"):
        _ran(context, "cut_clips")
