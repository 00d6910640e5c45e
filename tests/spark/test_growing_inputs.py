"""Videos that are added, removed or replaced between two runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from contents import contents
from curation import N_VIDEOS, MakeContext, settings_for

from acav_spark.context import StageContext
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from acav_spark.runs import StageResult


@dataclass(frozen=True)
class Grown:
    """A curated warehouse to which a video came; its selection knows nothing of it."""

    root: Path
    inputs: str
    results: dict[str, StageResult]


@pytest.fixture(scope="module")
def grown(
    spark: SparkSession,
    curated_root: Path,
    add_video: Callable[[str, int], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Grown:
    """The same videos and one more, under the same uris as before."""
    root = tmp_path_factory.mktemp("grown") / "warehouse"
    shutil.copytree(curated_root, root)
    inputs = add_video("video added.mp4", 40)
    names = [stage.name for stage in stages_named([])]
    before_selection = names[: names.index("select_clips")]
    results = run_stages(
        StageContext(spark, settings_for(root, inputs)), stages_named(before_selection)
    )
    return Grown(root, inputs, {result.stage: result for result in results})


@pytest.fixture
def grown_copy(grown: Grown, tmp_path: Path) -> Path:
    """A copy of that warehouse, to be written to."""
    target = tmp_path / "grown"
    shutil.copytree(grown.root, target)
    return target


def _ids(context: StageContext, table: str, column: str) -> set[str]:
    rows = context.warehouse.read(table).select(column).distinct().collect()
    return {row[column] for row in rows}


def test_only_the_rows_of_an_added_video_are_computed(
    grown: Grown, make_context: MakeContext, curated_root: Path
) -> None:
    assert grown.results["ingest_videos"].n_in == 1
    assert grown.results["segment_clips"].n_in == 1
    assert grown.results["extract_features"].n_in == 2
    assert grown.results["fit_centroids"].is_unchanged
    assert grown.results["assign_clusters"].n_in == 4
    before = make_context(root=curated_root).warehouse
    after = make_context(root=grown.root, inputs=grown.inputs).warehouse
    for table in ("codebooks", "centroids"):
        assert contents(after, table) == contents(before, table)
    for table in ("videos", "clips", "features", "assignments"):
        rows, former = contents(after, table), contents(before, table)
        assert former == former & rows
        assert rows.total() > former.total()


def test_the_selection_is_extended_by_what_was_added(
    make_context: MakeContext, grown: Grown, grown_copy: Path
) -> None:
    context = make_context(root=grown_copy, inputs=grown.inputs)
    read = context.warehouse.read
    picks = [r["clip_id"] for r in read("selections").orderBy("rank").collect()]

    *before, selected, published = run_stages(context, stages_named([]))

    assert all(result.is_unchanged for result in before)
    assert not selected.is_unchanged
    assert not published.is_unchanged
    after = read("selections").orderBy("rank").collect()
    assert [row["clip_id"] for row in after][: len(picks)] == picks
    assert len(after) == N_VIDEOS + 1
    assert [row["rank"] for row in after] == list(range(1, len(after) + 1))

    again = run_stages(context, stages_named(["select_clips", "publish_clips"]))

    assert all(result.is_unchanged for result in again)


def test_a_selection_is_made_anew_under_the_next_name_where_so_configured(
    make_context: MakeContext, grown: Grown, grown_copy: Path
) -> None:
    context = make_context(
        "selection.when_inputs_grow=anew", root=grown_copy, inputs=grown.inputs
    )
    before = contents(context.warehouse, "selections")
    stages = stages_named(["select_clips", "publish_clips"])

    run_stages(context, stages)

    assert _ids(context, "selections", "selection") == {"main", "main-2"}
    after = contents(context.warehouse, "selections")
    assert before == before & after
    assert sum(after.values()) == N_VIDEOS + N_VIDEOS + 1
    again = run_stages(context, stages)
    assert all(result.is_unchanged for result in again)


def test_refit_learns_the_codebooks_anew_from_all_clips(
    make_context: MakeContext, grown: Grown, grown_copy: Path
) -> None:
    context = make_context(root=grown_copy, inputs=grown.inputs, is_refit=True)
    stages = stages_named(["fit_centroids", "assign_clusters", "select_clips"])

    results = {result.stage: result for result in run_stages(context, stages)}

    n_clips = 2 * (N_VIDEOS + 1)
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
        root=curated_copy,
    )
    names = [stage.name for stage in stages_named([])]
    run_stages(context, stages_named(names[: names.index("select_clips")]))

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
