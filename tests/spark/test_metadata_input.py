"""Metadata instead of files: CSV, JSON Lines and Parquet give the same videos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from contents import contents

from acav_spark.ingest.job import stage_hash
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.report.counts_job import gather_counts

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

ROWS = [
    {
        "id": f"vid{number}",
        "url": f"file:///somewhere/{number}.mp4",
        "title": title,
        "category": category,
        "duration": duration,
        "tags": "one|two",
    }
    for number, (title, category, duration) in enumerate(
        [
            ('A dog, barking "loudly"\nfor long', "Pets", "PT1M5S"),
            ("Minecraft let's play", "Gaming", "2:00"),
            ("Official music video", "Music", "200"),
            ("Rain", "Nature", "4"),
            ("Endless rain", "Nature", "PT9H"),
            ("Waterfall", "Nature", "61.5"),
        ]
    )
]


def _write(folder: Path, kind: str) -> Path:
    path = folder / f"metadata.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "csv":
        pyarrow.csv.write_csv(pa.Table.from_pylist(ROWS), path)
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_metadata_is_filtered_with_a_reason_on_every_rejected_row(
    make_context: MakeContext, tmp_path: Path, kind: str
) -> None:
    context = make_context(
        "ingest.min_duration_s=30",
        "ingest.max_duration_s=600",
        "ingest.excluded_categories=[Gaming]",
        "ingest.excluded_keywords=['music video']",
        "ingest.excluded_topics=[gaming]",
        inputs=_write(tmp_path, kind),
    )
    (result,) = run_stages(context, stages_named(["ingest_videos"]))

    rows = {row["video_id"]: row for row in context.warehouse.read("videos").collect()}
    assert {key: row["reject_reason"] for key, row in rows.items()} == {
        "vid0": None,
        "vid1": "excluded_category",
        "vid2": "excluded_keyword",
        "vid3": "too_short",
        "vid4": "too_long",
        "vid5": None,
    }
    assert rows["vid1"]["reject_detail"] == "Gaming"
    assert rows["vid2"]["reject_detail"] == "music video"
    assert rows["vid0"]["duration_s"] == 65.0
    assert rows["vid0"]["title"] == ROWS[0]["title"]
    assert rows["vid0"]["tags"] == ["one", "two"]
    assert (result.n_in, result.n_rejected, result.n_failed) == (6, 4, 0)
    again = run_stages(context, stages_named(["ingest_videos"]))
    assert again[0].is_unchanged


def test_topics_are_counted_apart_and_their_lists_are_in_the_hash(
    make_context: MakeContext, tmp_path: Path
) -> None:
    own = tmp_path / "water.txt"
    own.write_text("waterfall\n")
    topics = f"ingest.excluded_topics=[gaming, music_video, '{own}']"
    limits = ("ingest.min_duration_s=30", "ingest.max_duration_s=600")
    context = make_context(topics, *limits, inputs=_write(tmp_path, "parquet"))
    run_stages(context, stages_named(["ingest_videos"]))

    _, rejections, _ = gather_counts(context)
    assert {(r.reason, r.n) for r in rejections} == {
        ("excluded_topic (gaming)", 1),
        ("excluded_topic (music_video)", 1),
        ("excluded_topic (water)", 1),
        ("too_short", 1),
        ("too_long", 1),
    }
    before = stage_hash(context.config)
    own.write_text("# only a comment more\nwaterfall\n")
    assert stage_hash(context.config) == before
    own.write_text("rain\n")
    assert stage_hash(context.config) != before


def test_rows_without_a_usable_uri_fail_and_repeated_ones_become_one(
    make_context: MakeContext, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        ROWS[0],
        ROWS[0],
        {**ROWS[5], "url": "gopher://old/5.mp4"},
        {"title": "nowhere", "duration": 60},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    context = make_context(inputs=path)
    run_stages(context, stages_named(["ingest_videos"]))

    assert sum(contents(context.warehouse, "videos").values()) == 1
    failures = context.warehouse.read("failures").collect()
    assert sorted(row["error_code"] for row in failures) == [
        "missing_uri",
        "scheme_not_allowed",
    ]
