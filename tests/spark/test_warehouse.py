"""The only writer of tables: by key, with constraints and comments."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from pyspark.errors import AnalysisException

from acav_spark.errors import TableError
from acav_spark.tables import TABLES
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

CLIP = (
    "clip_id STRING, video_id STRING, start_s DOUBLE, end_s DOUBLE, "
    "stage_hash STRING, run_id STRING"
)


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    return Warehouse(spark, str(tmp_path / "a warehouse"))


def _clips(spark: SparkSession, *ids: str, start_s: float = 0.0) -> DataFrame:
    rows = [(clip_id, "v", start_s, 10.0, "h", "r") for clip_id in ids]
    return spark.createDataFrame(rows, CLIP)


def test_rows_written_twice_are_there_once(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    warehouse.insert("clips", _clips(spark, "a", "b"))
    warehouse.insert("clips", _clips(spark, "b", "c"))
    ids = [
        row["clip_id"] for row in warehouse.read("clips").orderBy("clip_id").collect()
    ]
    assert ids == ["a", "b", "c"]


def _ids(warehouse: Warehouse) -> list[str]:
    return sorted(row["clip_id"] for row in warehouse.read("clips").collect())


def test_of_two_drivers_that_saw_an_empty_table_both_keep_their_rows(
    spark: SparkSession, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Warehouse(spark, warehouse.root)
    monkeypatch.setattr(late, "version", lambda _: 0)
    warehouse.insert("clips", _clips(spark, "a", "b"))
    late.insert("clips", _clips(spark, "b", "c"))
    assert _ids(warehouse) == ["a", "b", "c"]


def test_replacing_rows_that_another_driver_wrote_meanwhile_does_not_double_them(
    spark: SparkSession, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.insert("clips", _clips(spark, "other"))
    warehouse.insert("clips", _clips(spark, "another"))
    # Two drivers looked for the rows, in vain, one commit apart; then both write.
    for version, start_s in ((1, 2.0), (2, 5.0)):
        driver = Warehouse(spark, warehouse.root)
        monkeypatch.setattr(driver, "version", lambda _, seen=version: seen)
        driver.replace("clips", _clips(spark, "a", start_s=start_s), "clip_id = 'a'")
    assert _ids(warehouse) == ["a", "another", "other"]
    assert warehouse.read("clips").where("start_s = 5").count() == 1


def test_two_drivers_that_write_at_once_lose_and_double_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    root = str(tmp_path / "written by two")
    chunks = {
        "first": [("a", "b"), ("c", "d"), ("e", "f")],
        "second": [("b", "c"), ("d", "a"), ("g", "f")],
    }
    start = Barrier(len(chunks))

    def write(driver: str) -> None:
        warehouse = Warehouse(spark, root)
        start.wait()
        for ids in chunks[driver]:
            warehouse.insert("clips", _clips(spark, *ids))

    with ThreadPoolExecutor(len(chunks)) as drivers:
        list(drivers.map(write, chunks))

    assert _ids(Warehouse(spark, root)) == list("abcdefg")


def test_a_table_that_another_driver_is_just_creating_is_taken_as_it_comes(
    spark: SparkSession, tmp_path: Path
) -> None:
    root = tmp_path / "begun by another"
    other = Warehouse(spark, str(root / "other"))
    other.insert("clips", _clips(spark, "a"))
    # Its first commit is not there yet.
    shutil.copytree(root / "other" / "clips", root / "clips")
    commits = sorted((root / "clips" / "_delta_log").glob("*.json"))
    hidden = [commit.rename(commit.with_suffix(".later")) for commit in commits]
    ours = Warehouse(spark, str(root))

    def show_commits() -> None:
        time.sleep(0.5)
        for path in hidden:
            path.rename(path.with_suffix(".json"))

    with ThreadPoolExecutor(1) as another:
        shown = another.submit(show_commits)
        ours.insert("clips", _clips(spark, "a", "b"))
        shown.result()

    assert _ids(Warehouse(spark, str(root))) == ["a", "b"]


def test_a_folder_with_other_files_is_not_made_a_table(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "notes.txt").write_text("in the way")
    with pytest.raises(AnalysisException, match="is not a Delta table"):
        Warehouse(spark, str(tmp_path)).insert("clips", _clips(spark, "a"))


def test_upsert_overwrites_and_update_changes_named_columns_only(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    warehouse.insert("clips", _clips(spark, "a", "b"))
    warehouse.upsert("clips", _clips(spark, "b", "c", start_s=1.0))
    warehouse.update("clips", _clips(spark, "c", start_s=5.0), ["start_s"])
    starts = {r["clip_id"]: r["start_s"] for r in warehouse.read("clips").collect()}
    assert starts == {"a": 0.0, "b": 1.0, "c": 5.0}


def test_replace_touches_only_the_rows_of_its_condition(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    warehouse.insert("clips", _clips(spark, "a", "b"))
    warehouse.replace("clips", _clips(spark, "b", start_s=2.0), "clip_id = 'b'")
    starts = {r["clip_id"]: r["start_s"] for r in warehouse.read("clips").collect()}
    assert starts == {"a": 0.0, "b": 2.0}


def test_a_row_that_breaks_a_constraint_is_refused_and_nothing_is_written(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    with pytest.raises(Exception, match="CHECK constraint inside_video"):
        warehouse.insert("clips", _clips(spark, "a", start_s=11.0))
    assert warehouse.read("clips").count() == 0


def test_columns_that_do_not_fit_are_named(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    rows = _clips(spark, "a").drop("run_id").withColumnRenamed("start_s", "begin")
    with pytest.raises(TableError, match=r"missing \['run_id'\], unknown \['begin'\]"):
        warehouse.insert("clips", rows)


def test_a_table_of_an_earlier_version_has_the_columns_that_came_since(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    former = "selection STRING, rank LONG, clip_id STRING, gain DOUBLE"
    rows = spark.createDataFrame([("main", 1, "a", 0.5)], former)
    rows.write.format("delta").save(warehouse.path("selections"))

    (row,) = warehouse.read("selections").collect()

    assert (row["gain"], row["score"]) == (0.5, None)
    warehouse._ensure("selections")
    stored = spark.read.format("delta").load(warehouse.path("selections"))
    assert {"gain", "score"} <= set(stored.columns)


def test_every_table_can_be_created_with_its_constraints_and_comments(
    spark: SparkSession, warehouse: Warehouse
) -> None:
    for table in TABLES:
        warehouse._ensure(table.name)
        described = spark.sql(
            f"DESCRIBE TABLE EXTENDED delta.`{warehouse.path(table.name)}`"
        )
        comments = {row["col_name"]: row["comment"] for row in described.collect()}
        properties = spark.sql(
            f"SHOW TBLPROPERTIES delta.`{warehouse.path(table.name)}`"
        ).collect()
        values = {row["key"]: row["value"] for row in properties}
        for column in table.columns:
            assert comments[column.name] == column.comment
        for name, condition in table.constraints.items():
            assert values[f"delta.constraints.{name}"] == condition
        assert values["acav.key"] == ",".join(table.key)
        noted = values.get("delta.dataSkippingStatsColumns", "")
        assert noted == ",".join(table.skip_by)
