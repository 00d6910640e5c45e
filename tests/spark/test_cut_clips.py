"""Clips as files: each is its clip's, is read in its place, and goes with its row."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import av
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

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

ON = "segmentation.cut=mp4"


def _ran(context: StageContext, *names: str) -> StageResult:
    return run_stages(context, stages_named(names))[-1]


def _files(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def _first_number(uri: str) -> int:
    with av.open(str(path_from_uri(uri))) as container:
        frame = next(container.decode(video=0))
        return decoded_number(frame.to_ndarray(format="rgb24"))


def test_files_are_their_clips_and_features_come_from_them_alone(
    make_context: MakeContext, tmp_path: Path, videos: Path
) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for number in (2, 5):
        shutil.copy(videos / f"video 0{number}.mp4", folder)
    root = tmp_path / "cut files"
    options = (ON, f'segmentation.cut_root="{root}"')
    context = make_context(*options, inputs=folder)
    _ran(context, "ingest_videos", "segment_clips")
    read = context.warehouse.read
    (folder / "video 02.mp4").unlink()

    result = _ran(context, "cut_clips")

    assert (result.n_in, result.n_out, result.n_failed) == (4, 2, 2)
    failed = read("failures").where("stage = 'cut_clips'").collect()
    assert [row["error_code"] for row in failed] == ["not_found", "not_found"]
    titles = {row["video_id"]: row["title"] for row in read("videos").collect()}
    clips = {row["clip_id"]: row for row in read("clips").collect()}
    files = {row["clip_id"]: row for row in read("clip_files").collect()}
    assert {titles[clips[clip_id]["video_id"]] for clip_id in files} == {"video 05"}
    assert _files(root) == {clip_file_name(clip_id) for clip_id in files}
    for clip_id, clip in clips.items():
        assert clip["uri"] == (files[clip_id]["uri"] if clip_id in files else None)
    for row in files.values():
        assert _first_number(row["uri"]) == 5
        assert (row["duration_s"], row["n_frames"]) == (2.0, 20)
        assert path_from_uri(row["uri"]).stat().st_size == row["size_bytes"]
    assert _ran(context, "cut_clips").is_unchanged

    # Without any video left, features can only come from the files.
    (folder / "video 05.mp4").unlink()
    assert _ran(context, "extract_features").n_out == 4
    extracted = {row["clip_id"] for row in read("features").collect()}
    assert extracted == set(files)

    finer = make_context(*options, "segmentation.cut_crf=30", inputs=folder)
    with pytest.raises(StageError, match=r"segmentation\.cut_crf: 20 -> 30"):
        _ran(finer, "cut_clips")
    off = make_context("execution.on_change=recompute", inputs=folder)
    assert _ran(off, "cut_clips").is_unchanged
    assert _files(root) == set()
    assert read("clip_files").count() == 0
    assert read("clips").where("uri IS NOT NULL").count() == 0


def test_files_are_shown_and_published_and_go_with_their_clips(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context(ON, root=curated_copy)
    warehouse = context.warehouse
    result = _ran(context, "cut_clips")
    n_clips = warehouse.read("clips").count()
    assert result.n_out == n_clips
    media = curated_copy / "clip_media"
    assert len(_files(media)) == n_clips

    warehouse.register_views()
    rows = context.spark.table("curated_clips").collect()
    found = {row["clip_id"]: row["uri"] for row in warehouse.read("clips").collect()}
    for row in rows:
        assert row["clip_uri"] == found[row["clip_id"]]
        assert row["uri"] != row["clip_uri"]
        assert f"_{round(row['start_s'] * 1000):09d}_" in row["clip_id"]

    # One clip goes, one is found anew by another run, as of a video that was replaced.
    gone, renewed = sorted(found)[:2]
    warehouse.delete("clips", f"clip_id = '{gone}'")
    row = warehouse.read("clips").where(F.col("clip_id") == renewed)
    row = row.withColumns({"run_id": F.lit("later"), "uri": F.lit(None)}).persist()
    row.count()
    warehouse.delete("clips", f"clip_id = '{renewed}'")
    warehouse.insert("clips", row)
    stale = path_from_uri(found[renewed])
    stale.write_bytes(b"of another film")

    result = _ran(context, "cut_clips")

    assert result.n_in == result.n_out == 1
    assert result.metrics["n_retired"] == 2
    assert not path_from_uri(found[gone]).exists()
    assert stale.read_bytes() != b"of another film"
    assert _files(media) == {clip_file_name(clip_id) for clip_id in sorted(found)[1:]}


def test_a_place_that_later_stages_could_not_read_is_refused(
    make_context: MakeContext, curated_copy: Path
) -> None:
    root = "segmentation.cut_root=s3://bucket/clips"
    context = make_context(ON, root, root=curated_copy)
    with pytest.raises(ConfigError, match=r"Add 's3' to input\.allowed_schemes"):
        _ran(context, "cut_clips")
