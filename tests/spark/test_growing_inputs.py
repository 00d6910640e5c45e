"""Videos that are added, removed or replaced between two runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from contents import contents
from curation import N_VIDEOS, MakeContext

from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult


@pytest.fixture
def grown(add_video: Callable[[str, int], str]) -> str:
    """The same videos and one more, under the same uris as before."""
    return add_video("video added.mp4", 40)


def _by_stage(results: list[StageResult]) -> dict[str, StageResult]:
    return {result.stage: result for result in results}


def _ids(context: StageContext, table: str, column: str) -> set[str]:
    rows = context.warehouse.read(table).select(column).distinct().collect()
    return {row[column] for row in rows}


def test_only_the_rows_of_an_added_video_are_computed_and_the_selection_is_extended(
    make_context: MakeContext, curated_copy: Path, grown: str
) -> None:
    context = make_context(root=curated_copy, inputs=grown)
    read = context.warehouse.read
    codebooks = contents(context.warehouse, "codebooks")
    picks = [r["clip_id"] for r in read("selections").orderBy("rank").collect()]

    results = _by_stage(run_stages(context, stages_named([])))

    assert results["ingest_videos"].n_in == 1
    assert results["segment_clips"].n_in == 1
    assert results["extract_features"].n_in == 2
    assert results["fit_centroids"].is_unchanged
    assert results["assign_clusters"].n_in == 4
    assert contents(context.warehouse, "codebooks") == codebooks
    after = [r["clip_id"] for r in read("selections").orderBy("rank").collect()]
    assert after[: len(picks)] == picks
    assert len(after) == N_VIDEOS + 1
    ranks = [r["rank"] for r in read("selections").orderBy("rank").collect()]
    assert ranks == list(range(1, len(after) + 1))

    again = run_stages(context, stages_named([]))

    assert all(result.is_unchanged for result in again)


def test_a_selection_is_made_anew_under_the_next_name_where_so_configured(
    make_context: MakeContext, curated_copy: Path, grown: str
) -> None:
    context = make_context(
        "selection.when_inputs_grow=anew", root=curated_copy, inputs=grown
    )
    before = contents(context.warehouse, "selections")

    run_stages(context, stages_named([]))

    assert _ids(context, "selections", "selection") == {"main", "main-2"}
    after = contents(context.warehouse, "selections")
    assert before == before & after
    assert sum(after.values()) == N_VIDEOS + N_VIDEOS + 1
    again = run_stages(context, stages_named(["select_clips", "publish_clips"]))
    assert all(result.is_unchanged for result in again)


def test_refit_learns_the_codebooks_anew_from_all_clips(
    make_context: MakeContext, curated_copy: Path, grown: str
) -> None:
    context = make_context(root=curated_copy, inputs=grown, is_refit=True)

    results = _by_stage(run_stages(context, stages_named([])))

    n_clips = 2 * (N_VIDEOS + 1)
    assert results["extract_features"].n_in == 2
    rows = context.warehouse.read("codebooks").select("n_rows").distinct().collect()
    assert [row["n_rows"] for row in rows] == [n_clips]
    assert results["assign_clusters"].n_in == 2 * n_clips
    assert context.warehouse.read("selections").count() == N_VIDEOS + 1


def test_clips_of_a_video_that_is_rejected_now_leave_every_later_table(
    make_context: MakeContext, curated_copy: Path
) -> None:
    context = make_context(
        "ingest.excluded_keywords=['video 02']",
        "execution.on_change=recompute",
        "selection.size=4",
        root=curated_copy,
    )
    run_stages(context, stages_named([]))

    rejected = context.warehouse.read("videos").where("status = 'rejected'").collect()
    assert [row["reject_reason"] for row in rejected] == ["excluded_keyword"]
    gone = rejected[0]["video_id"]
    for table in ("segmentations", "clips"):
        assert gone not in _ids(context, table, "video_id")
    for table in ("features", "assignments", "packed"):
        ids = _ids(context, table, "clip_id")
        assert len(ids) == 2 * (N_VIDEOS - 1)
        assert not any(clip_id.startswith(gone) for clip_id in ids)


def test_of_two_files_with_the_same_content_one_is_curated(
    make_context: MakeContext, tmp_path: Path, videos: Path
) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    shutil.copy(videos / "video 00.mp4", folder / "b.mp4")
    context = make_context(inputs=folder)
    run_stages(context, stages_named(["ingest_videos", "segment_clips"]))
    shutil.copy(videos / "video 00.mp4", folder / "a.mp4")

    run_stages(context, stages_named(["ingest_videos", "segment_clips"]))

    rows = {row["title"]: row for row in context.warehouse.read("videos").collect()}
    assert rows["b"]["status"] == "accepted"  # segmented before the other came
    assert rows["a"]["reject_reason"] == "duplicate_content"
    assert rows["a"]["duplicate_of"] == rows["b"]["video_id"]
    assert _ids(context, "clips", "video_id") == {rows["b"]["video_id"]}
