"""Codebooks are the same however their fit is cut up, and whatever breaks meanwhile."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from planted_features import (
    LOOKS,
    N_ROWS,
    SMALL_SHARDS,
    MakeFeatures,
    make_features_context,
)
from pyspark.sql import functions as F

from acav_spark.assign.job import assign_clusters
from acav_spark.clustering import job as fitting
from acav_spark.clustering.epochs_job import DistributedFit
from acav_spark.clustering.job import fit_centroids
from acav_spark.errors import StageError
from acav_spark.features.vectors import encode_fp16
from acav_spark.selection.job import select_clips

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from acav_spark.context import StageContext


@pytest.fixture(scope="module")
def planted_root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of features; only to be copied."""
    root = tmp_path_factory.mktemp("planted") / "warehouse"
    make_features_context(spark, root)
    return root


@pytest.fixture
def make_features(
    spark: SparkSession, tmp_path: Path, planted_root: Path
) -> MakeFeatures:
    def make(*more: str, name: str = "warehouse", n_rows: int = N_ROWS) -> StageContext:
        root = tmp_path / name
        if n_rows == N_ROWS:
            shutil.copytree(planted_root, root, dirs_exist_ok=True)
        return make_features_context(spark, root, *more, n_rows=n_rows)

    return make


def small_shards(patch: pytest.MonkeyPatch) -> None:
    """Have few rows cut into several shards, and some of them held out."""
    for name, value in SMALL_SHARDS.items():
        patch.setattr(name, value)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    small_shards(monkeypatch)


@pytest.fixture
def _in_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_ONE_TASK_BYTES", 0)


def fingerprints(context: StageContext, name: str = "main") -> list[str]:
    rows = context.warehouse.read("codebooks").where(f"clustering = '{name}'").collect()
    return [r["fingerprint"] for r in sorted(rows, key=lambda r: r["view_position"])]


def statistics(context: StageContext) -> list[tuple[object, ...]]:
    names = ["extractor", "layer", "epoch", "inertia", "held_out_inertia", "n_used"]
    names += ["least_utilisation", "n_replaced", "shift", "n_rows"]
    rows = context.warehouse.read("epochs").select(*names).collect()
    return sorted(tuple(row) for row in rows)


def test_few_rows_in_tasks_and_many_by_epochs_give_the_same_codebooks(
    make_features: MakeFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whitened: the moments of shards are merged in both. Others compare with a fit in
    # tasks that standardises.
    setting = "clustering.preprocess=pca_whiten"
    in_tasks = make_features(setting, name="tasks")
    fit_centroids(in_tasks)
    monkeypatch.setattr(fitting, "_ONE_TASK_BYTES", 0)
    in_epochs = make_features(setting, name="epochs")
    result = fit_centroids(in_epochs)
    assert result.n_out == 3
    assert fingerprints(in_epochs) == fingerprints(in_tasks)
    found = statistics(in_epochs)
    assert found == statistics(in_tasks)
    assert len(found) == 3 * 3
    for row in found:
        assert row[-1] == 2_250
        assert 0 < row[4] < 3 * row[3]  # type: ignore[operator]  # of held-out rows
    books = in_epochs.warehouse.read("codebooks").collect()
    assert {book["n_rows"] for book in books} == {2_400}
    assert fit_centroids(in_epochs).is_unchanged
    assert not in_epochs.folder.exists("_fitting/main/epochs-looks.npz")


@pytest.fixture(scope="module")
def expected(
    spark: SparkSession, planted_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Codebooks of a fit that nothing disturbed, in one task for each view."""
    root = tmp_path_factory.mktemp("expected") / "warehouse"
    shutil.copytree(planted_root, root)
    with pytest.MonkeyPatch.context() as patch:
        small_shards(patch)
        context = make_features_context(spark, root)
        fit_centroids(context)
    return fingerprints(context)


@pytest.mark.usefixtures("_in_epochs")
def test_partitions_do_not_change_a_fit(
    make_features: MakeFeatures, expected: list[str]
) -> None:
    context = make_features()
    spark = context.spark
    # Other files, in another order, read by more tasks.
    rows = context.warehouse.read("features").orderBy(F.rand(3)).collect()
    moved = spark.createDataFrame(rows, context.warehouse.read("features").schema)
    context.warehouse.replace("features", moved.repartition(7), "true")
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        fit_centroids(context)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))
    assert fingerprints(context) == expected


@pytest.mark.usefixtures("_in_epochs")
def test_killed_in_an_epoch_it_goes_on_from_the_last_one_that_was_finished(
    make_features: MakeFeatures, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_features()
    epoch = DistributedFit._epoch
    done: list[int] = []

    def killed(fit: DistributedFit, *rest: object) -> None:
        if len(done) == 2:
            msg = "killed in the third epoch"
            raise KeyboardInterrupt(msg)
        epoch(fit, *rest)  # type: ignore[arg-type]
        done.append(len(fit._seconds))

    monkeypatch.setattr(DistributedFit, "_epoch", killed)
    with pytest.raises(KeyboardInterrupt, match="third epoch"):
        fit_centroids(context)
    assert context.warehouse.read("codebooks").isEmpty()
    again: list[int] = []

    def counted(fit: DistributedFit, *rest: object) -> None:
        epoch(fit, *rest)  # type: ignore[arg-type]
        again.append(len(fit._seconds))

    monkeypatch.setattr(DistributedFit, "_epoch", counted)
    fit_centroids(context)
    # Two epochs of the first extractor were done, and none of the second.
    assert again == [3, 1, 2, 3]
    assert fingerprints(context) == expected


@pytest.mark.usefixtures("_in_epochs")
def test_several_numbers_of_clusters_share_the_passes_and_change_nothing(
    make_features: MakeFeatures, expected: list[str]
) -> None:
    context = make_features("clustering.n_clusters=[5, 5, 12]")
    assert fit_centroids(context).n_out == 6
    assign_clusters(context)
    packed = context.warehouse.read("packed").groupBy("clustering").count().collect()
    assert {(row[0], row[1]) for row in packed} == {
        ("main_k5", 2_400),
        ("main_k12", 2_400),
    }
    assert fingerprints(context, "main_k12") == expected
    # The clustering of that name with that number is the same one.
    same = make_features("clustering.name=main_k12")
    assert fit_centroids(same).is_unchanged
    assert assign_clusters(same).is_unchanged
    with pytest.raises(StageError, match=r"clustering\.name=main_k12"):
        select_clips(context)


def test_broken_vectors_are_failures_and_the_others_are_fitted_and_assigned(
    make_features: MakeFeatures,
) -> None:
    context = make_features(n_rows=300)
    features = context.warehouse.read("features")
    good = encode_fp16(np.zeros(12, np.float32))
    broken = {
        "clip-000000": np.full(12, np.nan, "<f2").tobytes(),
        "clip-007919": np.full(12, np.inf, "<f2").tobytes(),
        "clip-015838": good[:-2],
    }
    value = F.col("layer_1")
    for clip, vector in broken.items():
        is_it = (F.col("clip_id") == clip) & (F.col("extractor") == LOOKS)
        value = F.when(is_it, F.lit(vector)).otherwise(value)
    rows = features.withColumn("layer_1", value).collect()
    changed = context.spark.createDataFrame(rows, features.schema)
    context.warehouse.replace("features", changed, "true")
    assert fit_centroids(context).n_failed == 3
    assert len(fingerprints(context)) == 3
    assigned = assign_clusters(context)
    assert (assigned.n_out, assigned.n_failed) == (597, 3)
    assert assigned.metrics["n_packed"] == 297
    failures = context.warehouse.read("failures").collect()
    assert {(r["item_id"], r["scope"], r["error_code"]) for r in failures} == {
        ("clip-000000", LOOKS, "non_finite_vector"),
        ("clip-007919", LOOKS, "non_finite_vector"),
        ("clip-015838", LOOKS, "vector_length"),
    }
    assert {r["stage"] for r in failures} == {"fit_centroids", "assign_clusters"}
    assert all("layer_1" in r["message"] for r in failures)
    assert assign_clusters(context).is_unchanged
    whole = context.spark.createDataFrame(rows, features.schema).where(
        ~F.col("clip_id").isin(*broken)
    )
    context.warehouse.replace("features", whole, "true")
    context.is_refit = True
    assert fit_centroids(context).n_failed == 0
    stages = {r["stage"] for r in context.warehouse.read("failures").collect()}
    assert stages == {"assign_clusters"}


def test_assignments_are_in_few_files_however_many_the_features_are_in(
    make_features: MakeFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_features(n_rows=300)
    features = context.warehouse.read("features")
    rows = context.spark.createDataFrame(features.collect(), features.schema)
    context.warehouse.replace("features", rows.repartition(5), "true")
    fit_centroids(context)
    shutil.copytree(tmp_path / "warehouse", tmp_path / "other")
    size = "spark.sql.files.maxPartitionBytes"
    before = context.spark.conf.get(size)
    for name, file_rows, n_files in (("warehouse", 2_000_000, 1), ("other", 100, 3)):
        monkeypatch.setattr("acav_spark.assign.job._FILE_ROWS", file_rows)
        one = make_features(name=name, n_rows=300)
        # A task for each file.
        one.spark.conf.set(size, "20000")
        try:
            assert assign_clusters(one).n_out == 600
        finally:
            one.spark.conf.set(size, str(before))
        assignments = one.warehouse.read("assignments")
        # Those of the second extractor are merged, by as many tasks as a shuffle has.
        first = assignments.where(f"extractor = '{LOOKS}'")
        assert first.select(F.input_file_name()).distinct().count() == n_files
        assert len(assignments.inputFiles()) <= n_files + 2
        assert len(one.warehouse.read("packed").inputFiles()) <= 2


def test_features_of_two_versions_are_refused_with_their_counts(
    make_features: MakeFeatures,
) -> None:
    context = make_features(n_rows=40)
    features = context.warehouse.read("features")
    is_old = (F.col("extractor") == LOOKS) & (F.col("clip_id") < "clip-050000")
    n_old = features.where(is_old).count()
    version = F.when(is_old, F.lit("0")).otherwise(F.col("model_version"))
    rows = features.withColumn("model_version", version).collect()
    changed = context.spark.createDataFrame(rows, features.schema)
    context.warehouse.replace("features", changed, "true")
    words = f"{n_old} of {LOOKS} 0, {40 - n_old} of {LOOKS} 1"
    with pytest.raises(StageError, match=words):
        fit_centroids(context)


def test_more_clusters_than_clips_are_refused(make_features: MakeFeatures) -> None:
    context = make_features("clustering.n_clusters=[3, 50]", n_rows=40)
    with pytest.raises(StageError, match=r"at most 40, the clips .* got 50"):
        fit_centroids(context)
    assert context.warehouse.read("codebooks").isEmpty()
