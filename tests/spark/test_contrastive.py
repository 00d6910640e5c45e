"""Method ``contrastive``: trained on executors, kept beside the tables, used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from curation import settings_for
from packed_tables import (
    N_CLIPS,
    SIZES,
    clip_name,
    planted_ids,
    write_features,
    write_tables,
)
from planted_correspondence import PLANTED_VIEWS, planted_correspondence

from acav_spark.context import StageContext
from acav_spark.errors import StageError
from acav_spark.selection.contrastive import checked_settings
from acav_spark.selection.contrastive_job import ContrastiveMethod, numbered_clips
from acav_spark.selection.contrastive_training import share_of
from acav_spark.selection.heads_file import read_heads
from acav_spark.selection.job import select_clips
from acav_spark.selection.scored_job import ScoredClips
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import Row, SparkSession

    from acav_spark.selection.contrastive import ProjectionHeads

WIDTH = 12
SETTINGS = [
    "selection.method=contrastive",
    "selection.contrastive.batch_size=30",
    "selection.contrastive.n_epochs=25",
    "selection.contrastive.dimensions=16",
    "selection.contrastive.learning_rate=0.002",
]
MakeContext = Callable[..., StageContext]


@pytest.fixture(scope="module")
def make_scored(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> MakeContext:
    """Make contexts on one warehouse of packed clips with planted features."""
    root = tmp_path_factory.mktemp("contrastive") / "ware house 100%25 ü"

    def make(*more: str) -> StageContext:
        chosen = settings_for(root, "nowhere", *SIZES, *SETTINGS, *more)
        return StageContext(spark, chosen)

    context = make()
    write_tables(context, planted_ids(), dimension=WIDTH)
    first, second, _ = planted_correspondence(N_CLIPS, widths=(WIDTH, WIDTH))
    noise = np.zeros_like(first)
    write_features(context, np.stack([noise, first, noise, second]))
    return make


def picks_of(context: StageContext) -> list[Row]:
    name = context.config.selection.name
    rows = context.warehouse.read("selections").where(f"selection = '{name}'")
    return rows.orderBy("rank").collect()


def heads_of(context: StageContext) -> tuple[str, bytes, ProjectionHeads]:
    """Return the name of the kept file, what is in it, and the heads."""
    folder = f"_scorers/{context.config.selection.name}"
    (name,) = context.folder.list(folder)
    data = context.folder.read_bytes(f"{folder}/{name}")
    return name, data, read_heads(data)[0]


def test_the_best_by_the_kept_heads_are_selected_and_extended(
    make_scored: MakeContext,
) -> None:
    context = make_scored()

    result = select_clips(context)

    name, data, heads = heads_of(context)
    first, second, corresponds = planted_correspondence(N_CLIPS, widths=(WIDTH, WIDTH))
    halves = (side.astype(np.float16) for side in (first, second))
    scores = heads.scores(*halves)
    ids = [clip_name(row) for row in range(N_CLIPS)]
    order = sorted(range(N_CLIPS), key=lambda row: (-scores[row], ids[row]))
    picks = picks_of(context)
    assert [row["clip_id"] for row in picks] == [ids[row] for row in order[:200]]
    assert {row["method"] for row in picks} == {"contrastive"}
    np.testing.assert_array_equal([row["score"] for row in picks], scores[order[:200]])
    assert result.metrics["n_scored"] == N_CLIPS
    assert corresponds[order[:200]].mean() > 0.9
    assert len(heads.losses) == 25
    assert heads.losses[-1] < heads.losses[0]
    assert not context.folder.list("_selecting"), "the sample is deleted"
    assert select_clips(make_scored()).is_unchanged

    # Processes are no part of what is selected: one slot is enough to go on.
    more = make_scored(
        "selection.size=260",
        "selection.contrastive.n_processes=4",
    )
    select_clips(more)

    assert [row["clip_id"] for row in picks_of(more)] == [ids[r] for r in order[:260]]
    assert heads_of(more)[:2] == (name, data), "trained once"


def method_of(batch_size: int, n_processes: int) -> ContrastiveMethod:
    settings = checked_settings(
        dimensions=4,
        temperature=0.1,
        learning_rate=1e-3,
        n_epochs=1,
        batch_size=batch_size,
        standardise=True,
        seed=0,
    )
    return ContrastiveMethod(
        PLANTED_VIEWS, settings, max_rows=1_000, n_processes=n_processes
    )


def test_clips_are_numbered_by_hash_and_shared_by_their_places(
    spark: SparkSession,
) -> None:
    clips = spark.range(0, 53).selectExpr("concat('clip ', id) AS clip_id")

    rows = numbered_clips(clips, method_of(10, 4)).collect()

    assert sorted(row["position"] for row in rows) == list(range(53))
    for row in rows:
        share = share_of(10, row["process"], 4)
        assert share.start <= row["position"] % 10 < share.stop
    assert {row["process"] for row in rows} == {0, 1, 2, 3}
    by_position = sorted(rows, key=lambda row: int(row["position"]))
    names = [int(row["clip_id"].split()[1]) for row in by_position]
    assert names != sorted(names)


def test_what_cannot_be_trained_is_refused_before_anything_is_read(
    spark: SparkSession, tmp_path: Path
) -> None:
    context = StageContext(spark, settings_for(tmp_path / "new", "nowhere"))
    clips = ScoredClips(context, spark.range(0), N_CLIPS, Folder(str(tmp_path)))
    for batch_size, n_processes, words in (
        (N_CLIPS + 1, 1, r"at least .*batch_size \(601\) clips to train on, got 600"),
        (30, 64, r"expected 64 tasks .* of master .* Set spark.master to local\[64\]"),
    ):
        method = method_of(batch_size, n_processes)
        with pytest.raises(StageError, match=words):
            method.fit(clips)
    assert not list(tmp_path.glob("contrastive*"))
