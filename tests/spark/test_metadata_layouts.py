"""Every layout of metadata is read, several in one run; rows that are broken fail."""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from acav_spark.errors import ConfigError
from acav_spark.ingest.merging import best_rows
from acav_spark.ingest.reading import read_metadata
from acav_spark.ingest.sources import find_sources
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.tables import table_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext
    from pyspark.sql import Column, DataFrame, SparkSession

    from acav_spark.context import StageContext

ANY_LENGTH = (
    "ingest.min_duration_s=0",
    "ingest.max_duration_s=100000",
    "input.allowed_schemes=[file,http,https]",
)
INGEST = ("ingest_videos",)


def _id(name: str) -> str:
    """Return a name in the form of YouTube's ids."""
    return name.ljust(11, "-")


def _api_item(name: str) -> dict[str, Any]:
    snippet = {
        "title": f"Title of {name}",
        "description": 'Two\nlines, "quoted"',
        "channelId": "UC1",
        "categoryId": "10",
        "tags": ["one", "two, three"],
        "defaultAudioLanguage": "pt",
    }
    return {
        "kind": "youtube#video",
        "id": _id(name),
        "snippet": snippet,
        "contentDetails": {"duration": "PT3M20S"},
        "status": {"license": "creativeCommon"},
    }


def _info(name: str) -> dict[str, Any]:
    return {
        "id": _id(name),
        "webpage_url": f"https://www.youtube.com/watch?v={_id(name)}",
        "url": "https://stream.example/expires",
        "title": f"Title of {name}",
        "description": None,
        "channel_id": "UC2",
        "categories": ["Pets & Animals"],
        "tags": ["dog"],
        "license": None,
        "duration": 217,
        "extractor_key": "Youtube",
        "epoch": 1700000000,
        "formats": [{"url": "x", "height": 360}],
    }


def _write_all(folder: Path, spark: SparkSession) -> list[str]:
    """Write a file of each layout, some with broken rows; return the inputs."""

    def lines(path: Path, *records: object) -> str:
        texts = [r if isinstance(r, str) else json.dumps(r) for r in records]
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return str(path)

    response = {
        "kind": "youtube#videoListResponse",
        "items": [_api_item("api2"), _api_item("api3")],
    }
    search = {
        "kind": "youtube#searchResult",
        "id": {"kind": "youtube#video", "videoId": _id("api5")},
        "snippet": {"title": "Found"},
    }
    inputs = [
        lines(
            folder / "api.jsonl",
            *(_api_item("api1"), response, '{"id": "cut', search),
            '{"kind": "youtube#video", "snippet": 5, "id": 7}',
        ),
    ]
    (folder / "answer.json").write_text(
        json.dumps({"items": [_api_item("api4")]}, indent=2), encoding="utf-8"
    )
    inputs.append(str(folder / "answer.json"))
    infos = folder / "infos [1]"
    infos.mkdir()
    for name in ("dlp1", "dlp2"):
        path = infos / f"Some {name}.info.json"
        path.write_text(json.dumps(_info(name), indent=1), encoding="utf-8")
    inputs.append(str(infos))
    array = [{"vid_id": _id("arr1"), "length_seconds": 100, "title": "Ünï"}]
    inputs.append(lines(folder / "array.json", json.dumps(array, ensure_ascii=False)))
    reference = {
        "LatestDAFeature": {"Title": "T", "YouTubeCategory": "Music"},
        "MediaVersionList": [{"Duration": 61}],
    }
    inputs.append(
        lines(
            folder / "metadata.tsv",
            f"{_id('ref1')}\t{json.dumps(reference)}",
            f"https://youtu.be/{_id('ref2')}\t{json.dumps(reference)}",
            f"{_id('ref3')} no tab",
            f"{_id('ref4')}\t" + '{"LatestDAFeature": {"Title',
        )
    )
    inputs.append(
        lines(
            folder / "uris.txt",
            *("# a list", "", "file:///v/list1.mp4", f"  {_id('list2')} "),
        )
    )
    trending = folder / "BR_videos.csv"
    trending.write_bytes(
        "video_id,title,trending_date,tags,categoryId\r\n"
        f'"{_id("csv1")}","Ação\nem ""duas"" linhas €","18.31.01","a|b","10"\r\n'
        f'"{_id("csv2")}","short"\r\n'.encode("windows-1252")
    )
    inputs.append(str(trending))
    rows = [(_id("par1"), 10.0, 200.5, ["x"], ("nested",))]
    typed = spark.createDataFrame(
        rows,
        "video_id STRING, category DOUBLE, duration DOUBLE, tags ARRAY<STRING>, "
        "more STRUCT<title: STRING>",
    )
    typed.write.parquet(str(folder / "parquet"))
    renamed = typed.withColumn("video_id", _concat(typed, "del"))
    renamed.write.format("delta").save(str(folder / "delta"))
    typed.withColumn("video_id", _concat(typed, "tab")).createOrReplaceTempView("seen")
    return [*inputs, str(folder / "parquet"), str(folder / "delta"), "table:seen"]


def _concat(frame: DataFrame, prefix: str) -> Column:
    return F.concat(F.lit(prefix), F.substring(frame.video_id, 4, 8))


def test_files_of_every_layout_are_read_in_one_run(
    make_context: MakeContext,
    spark: SparkSession,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    inputs = _write_all(folder, spark)
    context = make_context(*ANY_LENGTH, f"input.uri={json.dumps(inputs)}")

    with caplog.at_level(logging.INFO, "acav_spark"):
        (result,) = run_stages(context, stages_named(INGEST))

    rows = {row["video_id"]: row for row in context.warehouse.read("videos").collect()}
    names = (
        "api1 api2 api3 api4 api5 dlp1 dlp2 arr1 ref1 ref2 list2 csv1 par1 del1 tab1"
    )
    assert {name for name in rows if not name.startswith("v")} == {
        _id(name) for name in names.split()
    }
    assert sum(name.startswith("v") for name in rows) == 1  # file:///v/list1.mp4
    for name in ("api1", "api3", "api4"):
        row = rows[_id(name)]
        assert row["title"] == f"Title of {name}"
        assert row["description"] == 'Two\nlines, "quoted"'
        assert row["tags"] == ["one", "two, three"]
        assert (row["duration_s"], row["category"]) == (200.0, "10")
        assert (row["language"], row["licence"]) == ("pt", "creativeCommon")
        assert row["source"] == "youtube_api"
    assert rows[_id("api5")]["title"] == "Found"
    for name in ("dlp1", "dlp2"):
        row = rows[_id(name)]
        assert row["uri"] == f"https://www.youtube.com/watch?v={_id(name)}"
        assert (row["category"], row["tags"]) == ("Pets & Animals", ["dog"])
        assert (row["duration_s"], row["licence"]) == (217.0, None)
        assert row["fetched_at"] is not None
        assert row["source"] == "yt_dlp"
    assert rows[_id("arr1")]["title"] == "Ünï"
    assert rows[_id("arr1")]["duration_s"] == 100.0
    assert rows[_id("ref1")]["duration_s"] == 61.0
    assert rows[_id("ref2")]["uri"] == f"https://youtu.be/{_id('ref2')}"
    assert rows[_id("csv1")]["title"] == 'Ação\nem "duas" linhas €'
    assert rows[_id("csv1")]["region"] == "BR"
    for name in ("par1", "del1", "tab1"):
        assert rows[_id(name)]["category"] == "10"
        assert (rows[_id(name)]["duration_s"], rows[_id(name)]["tags"]) == (
            200.5,
            ["x"],
        )
    failures = context.warehouse.read("failures").collect()
    broken = sorted(row["message"] for row in failures)
    assert len(broken) == result.n_failed == 5
    for part in ("cut", "snippet", "ref3-", "ref4-", "short"):
        assert sum(part in message for message in broken) == 1
    assert {row["error_code"] for row in failures} == {"bad_row"}
    assert "reading metadata layout=youtube_trending" in caplog.text
    assert run_stages(context, stages_named(INGEST))[0].is_unchanged


def test_columns_that_are_named_win_inside_records_too(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    record = {"clip": {"where": ["/v/1.mp4"]}, "title": "no", "meta": {"name": "yes"}}
    path.write_text(json.dumps(record) + "\n")
    mapping = {"uri": "clip.where[0]", "title": "meta.name"}
    sources = find_sources([str(path)], "auto", mapping)
    (row,) = read_metadata(spark, sources, mapping).collect()
    assert (row["uri"], row["title"], row["broken"]) == ("/v/1.mp4", "yes", None)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("table:nowhere.at_all", "expected a table that Spark can read"),
        ("table:bare", "got none among number"),
        ("table:listed", "input.columns.uri: expected a column of text or numbers"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_configuration_error(
    make_context: MakeContext, spark: SparkSession, uri: str, words: str
) -> None:
    spark.range(1).toDF("number").createOrReplaceTempView("bare")
    spark.sql("SELECT array('x') AS uri").createOrReplaceTempView("listed")
    context = make_context(f"input.uri={json.dumps(uri)}")
    with pytest.raises(ConfigError, match=words):
        run_stages(context, stages_named(INGEST))


def _rows(context: StageContext) -> dict[str, Any]:
    return {row["video_id"]: row for row in context.warehouse.read("videos").collect()}


def _csv(path: Path, *rows: str) -> Path:
    path.write_text("id,title,duration,fetched_at\n" + "\n".join(rows) + "\n")
    return path


def test_of_several_rows_of_a_video_the_latest_and_fullest_stays(
    spark: SparkSession,
) -> None:
    old, new = (dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2))
    rows = [
        *(("a", "old", 60.0, old, None), ("a", "new", None, new, None)),
        ("a", "undated", 60.0, None, None),
        *(("b", None, 60.0, None, None), ("b", "full", 60.0, None, None)),
        *(("c", "one", 60.0, None, None), ("c", "two", 60.0, None, None)),
        ("c", "three", 60.0, None, None),
        *(("d", "good", None, old, None), ("d", "bad", 60.0, new, "bad_row")),
    ]
    schema = (
        "item_id STRING, title STRING, duration_s DOUBLE, fetched_at TIMESTAMP, "
        "error_code STRING"
    )
    found = []
    for ordered in (rows, rows[::-1], rows[5:] + rows[:5]):
        frame = spark.createDataFrame(ordered, schema).withColumns(
            {"source": F.lit("csv"), "message": F.lit(None).cast("string")}
        )
        best = best_rows(frame).collect()
        found.append({row["item_id"]: row["title"] for row in best})
        assert {r["item_id"]: r["n_rows"] for r in best} == {
            "a": 3,
            "b": 2,
            "c": 3,
            "d": 2,
        }
    assert found[0] == found[1] == found[2]
    assert found[0] | {"c": ""} == {"a": "new", "b": "full", "c": "", "d": "good"}


def test_the_hash_of_metadata_tells_which_field_has_which_value(
    spark: SparkSession,
) -> None:
    rows = [("a", "x", None, ["y"]), ("b", None, "x", ["y"]), ("c", "x", None, ["z"])]
    frame = spark.createDataFrame(
        [*rows, ("d", *rows[0][1:])],
        "item_id STRING, title STRING, description STRING, tags ARRAY<STRING>",
    ).withColumns(
        {
            "source": F.lit("csv"),
            **{n: F.lit(None).cast("string") for n in ("message", "error_code")},
            "fetched_at": F.lit(None).cast("timestamp"),
        }
    )
    hashes = {r["item_id"]: r["metadata_hash"] for r in best_rows(frame).collect()}
    assert hashes["a"] == hashes["d"]
    assert len(set(hashes.values())) == 3


def test_later_metadata_updates_a_video_which_is_judged_anew(
    make_context: MakeContext, tmp_path: Path
) -> None:
    a, b, c = (_id(name) for name in "abc")
    path = tmp_path / "rows.csv"
    context = make_context("ingest.min_duration_s=30", *ANY_LENGTH[2:], inputs=path)
    _csv(path, f"{a},A,60,2024-01-01", f"{b},B,60,", f"{c},C,60,2024-01-02")
    run_stages(context, stages_named(INGEST))
    before = _rows(context)
    _pretend_segmented(context, [a, b, c])

    _csv(
        path,
        *(f"{a},A2,60.4,2024-02-01", f"{b},B,20,", f"{c},C0,90,2023-01-01"),
        f"{_id('d')},D,60,",
    )
    (result,) = run_stages(context, stages_named(INGEST))

    after = _rows(context)
    assert (after[a]["title"], after[a]["status"]) == ("A2", "accepted")
    assert after[b]["reject_reason"] == "too_short"
    assert after[c] == before[c]  # what is older is no update
    assert (result.n_in, result.metrics["n_updated"]) == (3, 2)
    assert result.metrics["n_recut"] == 1
    assert result.message == "2 updated"
    for table in ("segmentations", "clips"):
        rows = context.warehouse.read(table).select("video_id").distinct().collect()
        assert {row["video_id"] for row in rows} == {a, c}
    assert run_stages(context, stages_named(INGEST))[0].is_unchanged


def _pretend_segmented(context: StageContext, names: list[str]) -> None:
    """Write rows of videos that were never opened."""
    values: dict[str, object] = {
        "rule": "whole",
        "stage_hash": "",
        "run_id": "",
        "n_shots": 1,
        "n_candidates": 1,
        "n_clips": 1,
        "start_s": 0.0,
        "end_s": 2.0,
        "duration_s": 60.0,
        "n_frames": 1,
        "n_bad_packets": 0,
    }
    for table in (table_named("segmentations"), table_named("clips")):
        rows = [
            {**values, "video_id": name, "clip_id": f"{name}_0"}.get(column)
            for name in names
            for column in table.column_names
        ]
        width = len(table.column_names)
        grouped = [tuple(rows[i : i + width]) for i in range(0, len(rows), width)]
        frame = context.spark.createDataFrame(
            grouped, table.ddl.replace("NOT NULL", "")
        )
        context.warehouse.insert(table.name, frame)


def test_media_and_metadata_are_read_in_one_run(
    make_context: MakeContext, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    shutil.copy(videos / "video 00.mp4", folder / "a.mp4")
    path = _csv(tmp_path / "rows.csv", f"{_id('a')},A,60,")
    inputs = json.dumps([str(folder), str(path)])
    context = make_context(*ANY_LENGTH, f"input.uri={inputs}")

    (result,) = run_stages(context, stages_named(INGEST))

    rows = {row["source"]: row for row in context.warehouse.read("videos").collect()}
    assert (result.n_in, result.n_out, set(rows)) == (2, 2, {"media", "csv"})
    assert rows["media"]["content_sha256"] is not None
    assert rows["media"]["metadata_hash"] is None
    assert run_stages(context, stages_named(INGEST))[0].is_unchanged
