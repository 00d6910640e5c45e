"""Accepted videos of a warehouse are downloaded, and go on as files of their ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from media_server import answer, running
from samples import write_video

from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import Acav
    from curation import MakeContext

SETTINGS = ["input.allowed_schemes=[file, http]", "input.allow_private_addresses=true"]
OPTIONS = [f"--set={setting}" for setting in SETTINGS]


def test_what_passes_the_filters_is_downloaded_and_ingested_with_its_metadata(
    make_context: MakeContext, acav: Acav, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "a.mp4", 3, duration_s=3.0)
    root, folder = tmp_path / "warehouse", tmp_path / "downloads"
    with running(film.read_bytes()) as server:
        server.answers["/a.mp4"] = server.ranges
        server.answers["/gone.mp4"] = lambda _: answer(b"", "404 Not Found")
        rows = [
            {"id": "good", "url": server.uri("/a.mp4"), "category": "Pets"},
            {"id": "bad", "url": server.uri("/b.mp4"), "category": "Gaming"},
            {"id": "gone", "url": server.uri("/gone.mp4"), "category": "Pets"},
            {"id": "here", "url": film.as_uri(), "category": "Pets"},
        ]
        listed = tmp_path / "rows.jsonl"
        lines = [json.dumps({**row, "title": "T", "duration": 3}) for row in rows]
        listed.write_text("\n".join([*lines, "{broken"]))
        settings = [*SETTINGS, "ingest.excluded_categories=[Gaming]"]
        columns = "input.columns={video_id: id, uri: url, duration_s: duration}"
        context = make_context(*settings, columns, root=root, inputs=listed)
        run_stages(context, stages_named(["ingest_videos"]))

        # From metadata: everything, unfiltered.
        status, out, _ = acav(
            "download", str(listed), "-o", str(folder), "--dry-run", *OPTIONS
        )
        assert status == 0
        assert out == "".join(f"{row['id']}\t{row['url']}\n" for row in rows)
        # From the warehouse: what it accepted.
        status, _, err = acav("download", str(root), "-o", str(folder), *OPTIONS)
        assert status == 0, err
        assert "2 videos: 1 fetched" in err
        assert {r.path for r in server.requests} == {"/a.mp4", "/gone.mp4"}

    context = make_context(*settings, root=root, inputs=folder)
    (result,) = run_stages(context, stages_named(["ingest_videos"]))

    assert (result.n_in, result.metrics["n_updated"]) == (1, 1)
    videos = {r["video_id"]: r for r in context.warehouse.read("videos").collect()}
    assert set(videos) == {"good", "bad", "gone", "here"}
    good = videos["good"]
    assert good["uri"].startswith(folder.as_uri())
    assert (good["status"], good["source"]) == ("accepted", "download")
    assert (good["title"], good["category"]) == ("T", "Pets")
    assert videos["gone"]["uri"] == server.uri("/gone.mp4")
