"""Videos of an HTTP server: the same clips and features as those of files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from media_server import answer, running

from acav_spark.errors import DependencyError
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

STAGES = ["ingest_videos", "segment_clips", "extract_features"]
COLUMNS = "input.columns={video_id: id, uri: url, duration_s: duration}"


def test_remote_videos_give_the_rows_of_local_ones_and_faults_one_row_each(
    make_context: MakeContext, videos: Path, tmp_path: Path
) -> None:
    film = videos / "video 03.mp4"
    with running(film.read_bytes()) as server:
        server.answers = {
            "/ranges.mp4": server.ranges,
            "/whole.mp4": server.whole,
            "/gone.mp4": lambda _: answer(b"", "404 Not Found"),
            "/page.mp4": lambda _: answer(b"<html>Sign in</html>"),
        }
        uris = {
            "local": film.as_uri(),
            **{path[1:-4]: server.uri(path) for path in server.answers},
            "secret": "http://user:hush@127.0.0.1/a.mp4",
        }
        rows = [{"id": name, "url": uri, "duration": 6} for name, uri in uris.items()]
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        schemes = "input.allowed_schemes=[file, http]"
        private = "input.allow_private_addresses=true"
        context = make_context(COLUMNS, schemes, private, inputs=path)
        run_stages(context, stages_named(STAGES))

    clips = context.warehouse.read("clips").join(
        context.warehouse.read("features"), "clip_id"
    )
    found = {
        name: sorted(
            (row["start_s"], row["extractor"], bytes(row["layer_5"]))
            for row in clips.where(f"video_id = '{name}'").collect()
        )
        for name in ("local", "ranges", "whole")
    }
    assert len(found["local"]) == 4
    assert found["ranges"] == found["whole"] == found["local"]
    failures = context.warehouse.read("failures").collect()
    assert {
        (row["stage"], row["error_code"], row["is_permanent"]) for row in failures
    } == {
        ("ingest_videos", "invalid_uri", True),
        ("segment_clips", "not_found", True),
        ("segment_clips", "web_page", False),
    }
    for table in ("videos", "failures", "runs"):
        assert "hush" not in str(context.warehouse.read(table).collect())


def test_a_scheme_without_its_package_ends_the_stage_before_it_starts(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.registry import known_implementations

    monkeypatch.setitem(known_implementations, "store", {"class": "no_such.Store"})
    context = make_context("input.allowed_schemes=[file, store]")
    with pytest.raises(DependencyError, match="pip install no_such"):
        run_stages(context, stages_named(["ingest_videos"]))
