"""The whole pipeline on small videos: what it fills, and what a second run does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest
from contents import counted
from curation import N_VIDEOS, MakeContext
from deltalake import DeltaTable
from pyspark.sql import functions as F
from sklearn.metrics import mutual_info_score

from acav_spark.tables import TABLES

if TYPE_CHECKING:
    from acav_spark.context import StageContext


@pytest.fixture
def curated(make_context: MakeContext, curated_root: Path) -> StageContext:
    return make_context(root=curated_root)


def test_every_table_is_filled_its_key_is_unique_and_its_runs_succeeded(
    curated: StageContext,
) -> None:
    runs = curated.warehouse.read("runs").select("run_id", "status").collect()
    assert {row["status"] for row in runs} == {"succeeded"}
    known = {row["run_id"] for row in runs}
    for name, found in counted(curated.warehouse).items():
        assert found.n_keys == found.n_rows, name
        # Of these test_imports.py, test_cut_clips.py and test_retrieval.py fill each.
        elsewhere = ("imports", "clip_files", "retrieval_results", "retrieval_curves")
        assert found.n_rows > 0 or name in elsewhere, name
        assert found.run_ids <= known, name


def test_the_books_balance(curated: StageContext) -> None:
    read = curated.warehouse.read
    failed = {
        row["stage"]: row["count"]
        for row in read("failures").groupBy("stage").count().collect()
    }
    accepted = read("videos").where("status = 'accepted'").count()
    assert read("videos").count() + failed["ingest_videos"] == N_VIDEOS + 1
    assert read("segmentations").count() + failed.get("segment_clips", 0) == accepted
    clips = read("clips").count()
    assert clips == 2 * N_VIDEOS
    for extractor in ("handcrafted_visual", "handcrafted_audio"):
        assert read("features").where(f"extractor = '{extractor}'").count() == clips


def test_every_clip_lies_inside_its_video(curated: StageContext) -> None:
    read = curated.warehouse.read
    joined = read("clips").join(
        read("videos").select("video_id", "duration_s"), "video_id"
    )
    assert joined.count() == read("clips").count()
    outside = joined.where("start_s < 0 OR end_s > duration_s + 0.0005")
    assert outside.count() == 0


def test_what_is_wrong_with_clips_stands_in_their_rows(curated: StageContext) -> None:
    # A steady tone beside pictures, in step: nothing else is wrong with the clips.
    wrong = ("black", "flat", "clipped", "missing_audio", "dropped")
    measured = curated.warehouse.read("clips").select(
        *("tone_fraction", "audio_offset_s", "n_dropped_frames"),
        *(f"{name}_fraction" for name in wrong),
    )
    assert {tuple(row) for row in measured.collect()} == {(1.0, *[0.0] * 7)}


def test_packed_rows_hold_the_assignments_in_the_order_of_a_hash(
    curated: StageContext,
) -> None:
    packed = curated.warehouse.read("packed").orderBy("row_number").collect()
    assert [row["row_number"] for row in packed] == list(range(len(packed)))
    hashes = (
        curated.warehouse.read("packed")
        .orderBy("row_number")
        .select(F.xxhash64("clip_id").alias("h"))
        .collect()
    )
    assert [r["h"] for r in hashes] == sorted(r["h"] for r in hashes)
    clusters: dict[str, dict[str, list[int]]] = {}
    for row in curated.warehouse.read("assignments").collect():
        clusters.setdefault(row["clip_id"], {})[row["extractor"]] = row["clusters"]
    for row in packed:
        of = clusters[row["clip_id"]]
        assert row["clusters"] == of["handcrafted_visual"] + of["handcrafted_audio"]


def test_the_stored_objective_is_scikit_learns_mean_mutual_information(
    curated: StageContext,
) -> None:
    read = curated.warehouse.read
    chosen = read("selections").join(
        read("packed").drop("stage_hash", "run_id"), "clip_id"
    )
    clusters = np.array([row["clusters"] for row in chosen.collect()])
    n_views = clusters.shape[1]
    pairs = [(u, v) for u in range(n_views) for v in range(u + 1, n_views)]
    expected = np.mean(
        [mutual_info_score(clusters[:, u], clusters[:, v]) for u, v in pairs]
    )
    last = read("selections").orderBy(F.desc("rank")).first()
    assert last is not None
    assert last["objective"] == pytest.approx(expected, abs=1e-9)


def test_the_contingency_table_counts_the_selected_clips(curated: StageContext) -> None:
    read = curated.warehouse.read
    n_selected = read("selections").count()
    curated.warehouse.register_views()
    cells = curated.spark.table("contingency_cells")
    chosen = cells.where("selection = 'main'")
    totals = chosen.groupBy("view_a", "view_b").agg(F.sum("n_clips"))
    assert totals.count() == 45
    assert {row[2] for row in totals.collect()} == {n_selected}


def test_published_files_hold_the_selection(curated: StageContext) -> None:
    folder = Path(curated.folder.path) / "published" / "main"
    manifest = json.loads((folder / "manifest.json").read_text())
    rows = curated.warehouse.read("selections").orderBy("rank").collect()
    parquet = pyarrow.parquet.read_table(folder / "parquet" / "clips-00000.parquet")
    csv = pyarrow.csv.read_csv(folder / "csv" / "clips-00000.csv")
    lines = pyarrow.json.read_json(folder / "jsonl" / "clips-00000.jsonl")

    assert manifest["n_clips"] == len(rows)
    for table in (parquet, csv, lines):
        assert table["rank"].to_pylist() == [row["rank"] for row in rows]
        assert table["clip_id"].to_pylist() == [row["clip_id"] for row in rows]
        assert table["gain"].to_pylist() == pytest.approx([row["gain"] for row in rows])
        assert "handcrafted_visual_layer_1" in table.column_names
    assert all(uri.startswith("file:///") for uri in parquet["uri"].to_pylist())
    assert sorted(
        path.name for path in (folder / "csv").iterdir() if path.name[0] != "."
    ) == ["clips-00000.csv"]


def test_another_engine_reads_the_same_rows(curated: StageContext) -> None:
    for name in ("clips", "features", "selections", "packed"):
        table = DeltaTable(curated.warehouse.path(name)).to_pyarrow_table()
        key = next(t.key for t in TABLES if t.name == name)
        ours = curated.warehouse.read(name).select(*key).collect()
        theirs = zip(*(table[column].to_pylist() for column in key), strict=True)
        assert sorted(map(tuple, ours)) == sorted(theirs)


def test_curated_clips_has_a_column_for_every_view(curated: StageContext) -> None:
    curated.warehouse.register_views()
    rows = curated.spark.table("curated_clips").orderBy("rank").collect()
    packed = {
        row["clip_id"]: row["clusters"]
        for row in curated.warehouse.read("packed").collect()
    }
    assert len(rows) == curated.warehouse.read("selections").count()
    for row in rows:
        clusters = [
            row[f"handcrafted_{modality}_layer_{layer}"]
            for modality in ("visual", "audio")
            for layer in range(1, 6)
        ]
        assert clusters == packed[row["clip_id"]]
