"""A plan from tables that are there, and rates measured by the stages themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from curation import settings_for
from samples import write_video

from acav_spark.pipeline import STAGES
from acav_spark.planning import read_rates
from acav_spark.planning.calibrate_job import calibrate

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import Acav


@pytest.mark.usefixtures("spark")
def test_rates_are_measured_on_two_videos_by_all_stages(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(2):
        write_video(folder / f"{number}.mp4", number)
    (folder / "notes.txt").write_text("no video")
    # What the warehouse of the configuration holds is none of the calibration's.
    config = settings_for(tmp_path / "mine", folder, "clustering.name=own")

    rates = calibrate(config, read_rates(), n_rows=400)

    assert rates.n_videos == 2
    assert rates.video_s == pytest.approx(12.0, abs=0.5)
    unplanned = {"cut_clips", "import_features"}
    assert set(rates.stages) == {stage.name for stage in STAGES} - unplanned
    for name in ("ingest_videos", "segment_clips", "extract_features"):
        assert rates.stages[name].chunk_s > 0, name
        assert rates.stages[name].fixed_core_s > 0, name
    assert set(rates.extractors) == {"handcrafted_visual", "handcrafted_audio"}
    assert rates.extractors["handcrafted_visual"].clip_s == 2.0
    assert rates.clip_yield == 1.0
    assert (rates.selection[0].n_clusters, rates.selection[0].n_pairs) == (4, 45)
    assert not (tmp_path / "mine").exists()


def test_a_warehouse_tells_its_shares(acav: Acav, curated_root: Path) -> None:
    status, out, err = acav(
        *("plan", "--from-warehouse", "--videos", "1000", "--json"),
        *("--set", f'storage.root="{curated_root}"'),
        *("--set", "segmentation.clip_duration_s=2"),
    )

    assert status == 0, err
    plan = json.loads(out)
    # Of eight videos of six seconds with at most two clips each.
    assert plan["n_accepted"] == 1000
    assert plan["n_clips"] == 2000
    told = {one["name"]: one for one in plan["assumptions"]}
    assert str(curated_root) in told["mean duration"]["source"]
    assert told["mean duration"]["value"].startswith("6")
    assert plan["total_usd"] > 0


def test_a_plan_for_files_knows_each_of_them(acav: Acav, videos: Path) -> None:
    options = [f'input.uri="{videos}"', "ingest.min_duration_s=1"]
    options += ["segmentation.clip_duration_s=2", "segmentation.max_clips_per_video=2"]
    status, out, err = acav(
        *("plan", "--from-input", "--hardware", "local", "--json"),
        *(part for option in options for part in ("--set", option)),
    )

    assert status == 0, err
    plan = json.loads(out)
    # Nine files, one of which is broken.
    assert plan["n_videos"] == 9
    assert plan["n_accepted"] == pytest.approx(8)
    assert plan["usd"]["machines"] == 0
    assert plan["wall_hours"] > 0
