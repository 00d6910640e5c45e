"""Methods that score clips by their features: the order of a full sort, any rules."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from curation import settings_for
from packed_tables import (
    N_CLIPS,
    SIZES,
    MakePacked,
    clip_name,
    make_packed_context,
    planted_ids,
    write_features,
    write_tables,
)
from rich.table import Table

from acav_spark.clustering.principal import components_from_bytes
from acav_spark.context import StageContext
from acav_spark.explain import picks_table
from acav_spark.report import ScoreProgress
from acav_spark.report.job import gather_progress
from acav_spark.selection import combination, cosine_similarity, feature_scores
from acav_spark.selection.job import select_clips
from acav_spark.selection.ordering_job import first_places, in_order
from acav_spark.selection.problem import Extent
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import Row, SparkSession

DIMENSION = 3
NAMES = [clip_name(row) for row in range(N_CLIPS)]


def planted_vectors() -> NDArray[np.float32]:
    """Return vectors of small integers: most clips share their scores with others."""
    generator = np.random.default_rng(3)
    vectors = generator.integers(-1, 2, size=(4, N_CLIPS, DIMENSION))
    return vectors.astype(np.float32)


@pytest.fixture(scope="module")
def scored_root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of packed clips with features; only to be copied."""
    root = tmp_path_factory.mktemp("scored") / "ware house 100%25 ü"
    context = StageContext(spark, settings_for(root, "nowhere", *SIZES))
    write_tables(context, planted_ids(), dimension=DIMENSION)
    write_features(context, planted_vectors())
    return root


@pytest.fixture
def make_scored(spark: SparkSession, tmp_path: Path, scored_root: Path) -> MakePacked:
    """Make contexts on a copy of that warehouse."""
    root = tmp_path / scored_root.name
    shutil.copytree(scored_root, root)

    def make(*more: str) -> StageContext:
        return make_packed_context(spark, root, *more)

    return make


def picks_of(context: StageContext, name: str = "main") -> list[Row]:
    rows = context.warehouse.read("selections").where(f"selection = '{name}'")
    return rows.orderBy("rank").collect()


def full_sort(scores: NDArray[np.float64]) -> list[int]:
    """Return rows by falling score, equal ones by the id of their clip."""
    return sorted(range(len(scores)), key=lambda row: (-scores[row], NAMES[row]))


@pytest.mark.parametrize("n_parts", [1, 7])
def test_the_order_is_that_of_a_full_sort_whatever_the_parts(
    spark: SparkSession,
    scored_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_parts: int,
) -> None:
    monkeypatch.setattr(
        "acav_spark.selection.ordering_job._ROWS_PER_PART", -(-N_CLIPS // n_parts)
    )
    scores = np.random.default_rng(0).integers(-2, 3, N_CLIPS) / 2
    rows = [(row, NAMES[row], score) for row, score in enumerate(scores.tolist())]
    scored = spark.createDataFrame(
        rows, "row_number LONG, clip_id STRING, score DOUBLE"
    )
    context = StageContext(spark, settings_for(scored_root, "nowhere", *SIZES))
    folder = Folder(str(tmp_path / "scratch"))

    ordered = in_order(scored.repartition(3), folder, n_rows=N_CLIPS)
    picks = first_places(
        context,
        context.config.selection,
        scored,
        ordered,
        Extent(N_CLIPS + 20, 20, 220),
        "main",
        folder,
    )

    parts = [name for name in folder.list("ordered") if name.endswith(".parquet")]
    assert len(parts) == n_parts
    found = picks.orderBy("rank").collect()
    assert [row["clip_id"] for row in found] == [
        NAMES[row] for row in full_sort(scores)[:200]
    ]
    assert [row["rank"] for row in found] == list(range(21, 221))


def test_similarity_selects_by_cosine_and_tells_scores_in_place_of_gains(
    make_scored: MakePacked,
) -> None:
    vectors = planted_vectors()
    scores = cosine_similarity(vectors[1], vectors[3])
    assert len(np.unique(scores)) < 20
    expected = full_sort(scores)
    context = make_scored("selection.method=similarity", "selection.size=100")

    result = select_clips(context)

    picks = picks_of(context)
    assert [row["clip_id"] for row in picks] == [NAMES[row] for row in expected[:100]]
    assert [row["score"] for row in picks] == scores[expected[:100]].tolist()
    assert {(row["gain"], row["objective"], row["batch"]) for row in picks} == {
        (None, None, 0)
    }
    assert {row["method"] for row in picks} == {"similarity"}
    assert result.metrics["n_scored"] == N_CLIPS
    assert not context.folder.exists("_selecting/main")

    assert select_clips(context).is_unchanged
    # Whoever looks at it is told scores, and no gains that there are not.
    table = picks_table(context, picks[1]["clip_id"], [])
    assert isinstance(table, Table)
    cells = [str(cell) for column in table.columns for cell in column.cells]
    assert cells == ["main", "2", "", "", f"{picks[1]['score']:.6f}", "similarity"]
    progress = gather_progress(context, "main")
    assert isinstance(progress, ScoreProgress)
    np.testing.assert_array_equal(progress.scores, scores[expected[:100]])


def test_ranking_keeps_every_rule_and_its_projections(make_scored: MakePacked) -> None:
    rules = [
        "selection.method=ranking_l2",
        "selection.where='language = \"en\"'",
        "selection.max_per_group={video_id: 1}",
        "selection.quotas={category: {Music: 12}}",
        f"selection.must_include=[{NAMES[5]}]",
        f"selection.must_exclude=[{NAMES[1]}, {NAMES[3]}]",
    ]
    context = make_scored(*rules, "selection.size=40")
    select_clips(context)
    longer = make_scored(*rules, "selection.size=60")
    select_clips(longer)

    (file,) = context.folder.list("_scorers/main")
    fitted = components_from_bytes(context.folder.read_bytes(f"_scorers/main/{file}"))
    scores = feature_scores(
        list(planted_vectors()), combination(4), metric="l2", projections=fitted
    )
    n_videos = N_CLIPS // 3
    taken, videos, n_music = [5], {5 % n_videos}, int(5 % n_videos % 3 == 0)
    for row in full_sort(scores):
        video = row % n_videos
        is_music = video % 3 == 0
        if row in (1, 3, 5) or video % 2 == 0 or video in videos:
            continue
        if is_music and n_music == 12:
            continue
        taken.append(row)
        videos.add(video)
        n_music += is_music
        if len(taken) == 60:
            break
    picks = picks_of(longer)
    assert [row["clip_id"] for row in picks] == [NAMES[row] for row in taken]
    assert [row["batch"] for row in picks] == [-1] + [0] * 59
    assert Counter(row["method"] for row in picks) == {"ranking_l2": 60}
