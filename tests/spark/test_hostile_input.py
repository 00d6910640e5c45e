"""A folder of the internet's worst files costs one row each, and the job ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from extreme_files import write_pictures
from hostile_files import (
    claim_duration,
    claim_size,
    pointing_texts,
    write_packed_png_video,
)
from media_layout import mp4_boxes
from samples import write_video

from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from curation import MakeContext

_DARK_AND_BRIGHT = ([i / 10 for i in range(40)], [40] * 20 + [200] * 20)
_LOUD_AND_QUIET = (0.5, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.25)


def _usual(path: Path, **options: object) -> Path:
    return write_pictures(path, *_DARK_AND_BRIGHT, **options)  # type: ignore[arg-type]


def _without_packets(path: Path) -> Path:
    """An mp4 whose packets are zeros."""
    data = bytearray(write_video(path, 1).read_bytes())
    (box,) = (box for box in mp4_boxes(data) if box.kind == b"mdat")
    data[box.body : box.end] = bytes(box.end - box.body)
    path.write_bytes(data)
    return path


def _with_vast_index(path: Path) -> Path:
    """An mp4 whose index claims 2^32 samples of 2^32 bytes."""
    data = bytearray(write_video(path, 2).read_bytes())
    for box in mp4_boxes(data):
        if box.kind == b"stsz":
            data[box.body + 4 : box.body + 12] = b"\xff" * 8
    path.write_bytes(data)
    return path


def _text(kind: str, target: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(pointing_texts(target)[kind])


_MADE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (Path.touch, "empty_file"),
    "playlist": (_text("HLS playlist", "file:///etc/passwd"), "not_media"),
    "concat": (_text("concat script", "http://169.254.169.254/"), "not_media"),
    "xml": (_text("DASH manifest", "http://169.254.169.254/"), "not_media"),
    "bomb": (lambda path: write_packed_png_video(path, 30_000, 30_000), "no_frames"),
    "vast": (
        lambda path: claim_size(_usual(path, codec="ffv1"), 8192, 8192),
        "too_many_pixels",
    ),
    "zeros": (_without_packets, "no_frames"),
    "index": (_with_vast_index, "no_frames"),
    "ten_hours": (lambda path: claim_duration(_usual(path), 36_000), "too_long"),
    "late": (
        lambda path: write_pictures(
            path, [500 + time_s for time_s in _DARK_AND_BRIGHT[0]], _DARK_AND_BRIGHT[1]
        ),
        "",
    ),
    "7.1": (lambda path: _usual(path, sound=_LOUD_AND_QUIET), ""),
    "jump": (
        lambda path: write_pictures(path, [0, 0.1, 400, 400.1], [40, 200, 40, 200]),
        "",
    ),
}


@pytest.fixture
def worst_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "worst"
    folder.mkdir()
    for name, (make, _) in _MADE.items():
        make(folder / f"{name}.mp4")
    return folder


def test_every_hostile_file_is_one_row_with_a_code(
    make_context: MakeContext, worst_folder: Path
) -> None:
    # Pictures of one grey each are what these files are made of.
    limits = ("execution.time_limit_s=10", "segmentation.max_flat_fraction=1")
    context = make_context(*limits, inputs=worst_folder)
    run_stages(context, stages_named(["ingest_videos", "segment_clips"]))

    read = context.warehouse.read
    rows = [(r["uri"], r["error_code"]) for r in read("failures").collect()]
    videos = read("videos").collect()
    rows += [(v["uri"], v["reject_reason"] or "") for v in videos]
    ends = sorted((Path(uri).stem, code) for uri, code in rows)
    assert ends == sorted((name, code) for name, (_, code) in _MADE.items())
    segmented = {r["video_id"]: r for r in read("segmentations").collect()}
    accepted = {
        Path(v["uri"]).stem: segmented.pop(v["video_id"])
        for v in videos
        if v["status"] == "accepted"
    }
    assert segmented == {}
    for name in ("late", "7.1"):
        row = accepted.pop(name)
        assert (row["n_shots"], row["n_clips"], row["rule"]) == (2, 2, "inside_shots")
        assert row["shot_starts_s"] == pytest.approx([0.0, 2.0])
        assert (row["n_frames"], row["n_bad_packets"]) == (40, 0)
    ((name, row),) = accepted.items()
    assert (name, row["n_frames"]) == ("jump", 4)
    assert row["duration_s"] == pytest.approx(400.2)
