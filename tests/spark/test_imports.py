"""Vectors made elsewhere are curated like those made here, and never mixed up."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import numpy as np
import planted_pairs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted_pairs import planted
from rich.console import Console

from acav_spark.config import load_config
from acav_spark.context import StageContext
from acav_spark.errors import ConfigError, StageError
from acav_spark.explain import explain_clip
from acav_spark.features.job import extract_features
from acav_spark.features.vectors import decode_fp16, encode_fp16
from acav_spark.imports.choosing import imported_extractors
from acav_spark.imports.job import import_features
from acav_spark.ingest.job import ingest_videos
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import Acav
    from curation import MakeContext
    from pyspark.sql import SparkSession


def context_of(
    spark: SparkSession, root: Path, extractors: list[str], *more: str
) -> StageContext:
    chosen = f"features.extractors=[{', '.join(extractors)}]"
    place = f'storage.root="{root}"'
    settings = [*planted_pairs.SETTINGS, chosen, place, *more]
    return StageContext(spark, load_config(None, settings).config)


def test_items_of_three_sources_keep_their_vectors_and_become_clips_without_times(
    spark: SparkSession, tmp_path: Path
) -> None:
    made = planted(100)
    extractors = [
        planted_pairs.write_images(tmp_path, made),
        planted_pairs.write_sounds(tmp_path, made),
        planted_pairs.write_texts(tmp_path, made),
    ]
    context = context_of(spark, tmp_path / "w", extractors)

    result = import_features(context)

    assert (result.n_in, result.n_out, result.n_failed) == (300, 300, 0)
    assert ingest_videos(context).is_unchanged
    assert extract_features(context).is_unchanged
    read = context.warehouse.read
    clips = {row["clip_id"]: row for row in read("clips").collect()}
    assert sorted(clips) == made.ids
    assert {(c["start_s"], c["end_s"], c["video_id"]) for c in clips.values()} == {
        (None, None, None)
    }
    # The images, which came first, did not say where they are.
    assert clips["item-0007"]["uri"] == "https://example.org/item-0007"
    of = {(r["extractor"], r["clip_id"]): r for r in read("features").collect()}
    for row, name in enumerate(made.ids):
        for extractor, layer, vectors in (
            ("clip_image", "layer_1", made.images),
            ("clap", "layer_1", made.sounds[:, :4]),
            ("clap", "layer_2", made.sounds),
            ("clip_text", "layer_1", made.texts),
        ):
            found = bytes(of[extractor, name][layer])
            assert found == encode_fp16(vectors[row]), (extractor, name)
    known = imported_extractors(context)
    assert [(e.name, e.modality, e.dimensions, e.layers) for e in known.values()] == [
        ("clip_image", "visual", (24,), ("layer_1",)),
        ("clap", "audio", (4, 12), ("early.npy", "late.npy")),
        ("clip_text", "text", (16,), ("embedding",)),
    ]
    versions = {r["extractor"]: r["model_version"] for r in of.values()}
    assert versions["clap"].startswith("imported from sounds ")
    assert versions == {e.name: e.version for e in known.values()}
    console = Console(file=io.StringIO(), width=200)
    console.print(explain_clip(context, "item-0007"))
    told = console.file.getvalue()  # type: ignore[attr-defined]  # the one given above
    assert "import_features clip_text" in told


def write_rows(path: Path, rows: list[tuple[str | None, list[float] | None]]) -> str:
    names, vectors = zip(*rows, strict=True)
    kind = pa.list_(pa.float64())
    table = pa.table({"id": pa.array(names, pa.string()), "v": pa.array(vectors, kind)})
    pq.write_table(table, path)
    return f"{{name: mine, imported: {{modality: text, uri: '{path}'}}}}"


def vectors_of(context: StageContext) -> dict[str, list[float]]:
    rows = context.warehouse.read("features").where("extractor = 'mine'").collect()
    return {
        row["clip_id"]: decode_fp16([bytes(row["layer_1"])], 2)[0].tolist()
        for row in rows
    }


def failed(context: StageContext) -> dict[str, tuple[str, int]]:
    rows = context.warehouse.read("failures").where("scope = 'mine'").collect()
    assert {row["stage"] for row in rows} <= {"import_features"}
    return {row["item_id"]: (row["error_code"], row["attempts"]) for row in rows}


GOOD: list[tuple[str | None, list[float] | None]] = [
    ("a", [1.0, 2.0]),
    ("b", [3.0, 4.0]),
    ("c", [5.0, 6.0]),
    ("d", [7.0, 8.0]),
]


def test_bad_rows_cost_themselves_and_come_in_when_they_are_mended(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    bad: list[tuple[str | None, list[float] | None]] = [
        ("a", [1.0, 2.0]),  # once more, and the same
        ("b", [3.0, 4.5]),  # once more, and another
        ("nan", [np.nan, 1.0]),
        ("huge", [1e6, 1.0]),
        ("long", [1.0, 2.0, 3.0]),
        ("none", None),
        (None, [1.0, 1.0]),
    ]
    extractor = write_rows(path, [*GOOD, *bad])
    context = context_of(spark, tmp_path / "w", [extractor])

    with pytest.raises(StageError, match=r"at most 50% of items to fail, got 6 of 9"):
        import_features(context)

    assert vectors_of(context) == {"a": [1, 2], "c": [5, 6], "d": [7, 8]}
    found = failed(context)
    (nameless,) = (name for name in found if name.startswith("(no id) "))
    assert found == {
        "b": ("duplicate_id", 1),
        "nan": ("non_finite_vector", 1),
        "huge": ("vector_overflow", 1),
        "long": ("vector_length", 1),
        "none": ("missing_vector", 1),
        nameless: ("missing_id", 1),
    }
    again = import_features(context)
    assert again.is_unchanged
    assert failed(context) == found
    write_rows(path, [*GOOD, ("nan", [0.0, 1.0]), ("long", [1.0, 2.0, 3.0])])
    mended = import_features(context)
    assert (mended.n_out, mended.n_failed) == (2, 1)
    assert vectors_of(context).keys() == {"a", "b", "c", "d", "nan"}
    assert failed(context).keys() == {"huge", "long", "none", nameless}


def test_new_rows_are_added_and_changed_ones_are_refused_kept_or_imported_anew(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    extractor = write_rows(path, GOOD)
    context = context_of(spark, tmp_path / "w", [extractor])
    import_features(context)
    (first,) = context.warehouse.read("imports").collect()

    changed = [("a", [9.0, 9.0]), *GOOD[1:], ("e", [1.0, 1.0])]
    write_rows(path, changed)
    with pytest.raises(StageError, match=r"1 of 5 ids have other vectors, such as 'a'"):
        import_features(context)
    assert len(vectors_of(context)) == 4
    keep = context_of(spark, tmp_path / "w", [extractor], "execution.on_change=keep")
    assert import_features(keep).n_out == 1
    assert vectors_of(keep) == {**dict(GOOD), "e": [1, 1]}
    rows = keep.warehouse.read("features").collect()
    assert {row["model_version"] for row in rows} == {first["version"]}

    anew = context_of(
        spark, tmp_path / "w", [extractor], "execution.on_change=recompute"
    )
    write_rows(path, changed[:3])
    assert import_features(anew).n_out == 3
    assert vectors_of(anew) == {"a": [9, 9], "b": [3, 4], "c": [5, 6]}
    assert anew.is_refit
    (last,) = anew.warehouse.read("imports").collect()
    assert last["version"] != first["version"]
    rows = anew.warehouse.read("features").collect()
    assert {row["model_version"] for row in rows} == {last["version"]}
    assert {row["stage_hash"] for row in rows} == {last["stage_hash"]}


def test_imported_vectors_go_with_computed_ones_and_are_not_deleted(
    make_context: MakeContext, curated_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "mixed"
    shutil.copytree(curated_root, root)
    plain = make_context(root=root)
    names = sorted(row["clip_id"] for row in plain.warehouse.read("clips").collect())
    features = plain.spark.createDataFrame(
        [
            (name, [float(i), 1.0, i % 3.0])
            for i, name in enumerate([*names, "foreign"])
        ],
        "id STRING, v ARRAY<FLOAT>",
    )
    features.write.format("delta").save(str(tmp_path / "given"))
    imported = (
        f"{{name: seen, imported: {{modality: visual, uri: '{tmp_path}/given'}}}}"
    )
    context = make_context(
        f"features.extractors=[{imported}, {{name: handcrafted_audio}}]",
        "clustering.name=mixed",
        root=root,
    )
    before = context.warehouse.read("clips").where("video_id IS NOT NULL").collect()

    assert import_features(context).n_out == len(names) + 1
    # Computed for nothing but the clips that have times, which have it all.
    assert extract_features(context).is_unchanged
    assert extract_features(plain).is_unchanged

    read = context.warehouse.read
    seen = read("features").where("extractor = 'seen'")
    assert seen.count() == len(names) + 1
    assert read("clips").where("video_id IS NOT NULL").collect() == before
    run_stages(context, stages_named(["fit_centroids", "assign_clusters"]))
    packed = read("packed").where("clustering = 'mixed'").collect()
    assert sorted(row["clip_id"] for row in packed) == names  # 'foreign' has no sound
    assert {len(row["clusters"]) for row in packed} == {6}
    only = make_context(f"features.extractors=[{imported}]", root=root)
    only.warehouse.delete("clips", "clip_id = 'foreign'")
    assert extract_features(only).is_unchanged
    assert read("features").where("clip_id = 'foreign'").isEmpty()
    missing = make_context("features.extractors=[{name: heard}]", root=root)
    with pytest.raises(StageError, match=r"\['seen'\].*got \['heard'\]"):
        run_stages(missing, stages_named(["fit_centroids"]))


def test_names_of_computed_extractors_and_missing_columns_are_refused(
    spark: SparkSession, tmp_path: Path, acav: Acav
) -> None:
    status, _, err = acav("import-features", "x.npy", "--name", "x")
    assert status == 2
    assert "expected --name and --modality" in err
    path = tmp_path / "rows.parquet"
    extractor = write_rows(path, GOOD)
    taken = extractor.replace("mine", "handcrafted_audio")
    with pytest.raises(ConfigError, match="no extractor of the package has"):
        import_features(context_of(spark, tmp_path / "w", [taken]))
    other = extractor.replace("modality", "id_column: key, modality")
    with pytest.raises(ConfigError, match=r"'id_column': 'key'.*got \['id', 'v'\]"):
        import_features(context_of(spark, tmp_path / "w", [other]))
