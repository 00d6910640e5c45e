"""A driver killed in the middle of a stage loses nothing and doubles nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import pytest
from contents import all_contents, counted
from curation import SETTINGS, SPARK, settings_for

from acav_spark.context import StageContext
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

# Two chunks or more of files, of videos and of clips.
CHUNKS = "execution.chunk_size=7"

# A line of the log that is written in the middle of each stage.
MIDDLE = {
    "ingest_videos": "committed stage=ingest_videos chunk=1/[2-9]",
    "segment_clips": "committed stage=segment_clips chunk=1/[2-9]",
    "extract_features": "committed stage=extract_features chunk=1/[2-9]",
    "fit_centroids": "fitted clustering=main",
    "assign_clusters": "committed stage=assign_clusters",
    "select_clips": "selected stage=select_clips",
    "publish_clips": "wrote stage=publish_clips format=parquet",
}


@dataclass
class Killed:
    """A warehouse on which a driver died in every stage, and another ended it."""

    root: Path
    logs: dict[str, str] = field(default_factory=dict)
    decoders: list[psutil.Process] = field(default_factory=list)


@pytest.fixture(scope="module")
def killed(
    videos: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Killed:
    """A driver dies in every stage; this process's session ends the stage."""
    found = Killed(tmp_path_factory.mktemp("killed") / "warehouse")
    for stage, line in MIDDLE.items():
        log, decoders = _run_until(_command(stage, found.root, videos), line)
        found.logs[stage] = log
        found.decoders += decoders
        context = StageContext(spark, settings_for(found.root, videos, CHUNKS))
        run_stages(context, stages_named([stage]))
    return found


def _command(stage: str, root: Path, videos: Path) -> list[str]:
    settings = [
        *SETTINGS,
        CHUNKS,
        f'input.uri="{videos}"',
        f'storage.root="{root}"',
        *(f"spark.{name}={value}" for name, value in SPARK.items()),
        # Two tasks at a time, as the sessions of the other tests have not.
        "spark.spark.master=local[2,4]",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    program = "import sys; from acav_spark.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", program, "run", stage, *options]


def _run_until(command: list[str], line: str) -> tuple[str, list[psutil.Process]]:
    """Kill a command's process group at a line of its log; return log and decoders."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    log = []
    decoders: list[psutil.Process] = []
    for text in process.stderr:
        log.append(text)
        if re.search(line, text):
            below = psutil.Process(process.pid).children(recursive=True)
            decoders = [child for child in below if _is_decoder(child)]
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL, "".join(log)[-3000:]
    return "".join(log), decoders


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return "acav_spark.media.child" in process.cmdline()
    except psutil.Error:
        return False


def test_a_decoding_child_does_not_outlive_its_killed_driver(killed: Killed) -> None:
    assert killed.decoders
    _, alive = psutil.wait_procs(killed.decoders, timeout=20)
    assert not alive


def test_killed_in_every_stage_the_tables_equal_those_of_an_undisturbed_run(
    killed: Killed, curated_root: Path, videos: Path, spark: SparkSession
) -> None:
    for stage, log in killed.logs.items():
        assert f"started stage={stage}" in log, stage
        assert f"finished stage={stage}" not in log, stage

    context = StageContext(spark, settings_for(killed.root, videos, CHUNKS))
    expected = all_contents(Warehouse(spark, str(curated_root)))
    found = context.warehouse
    for name, content in all_contents(found).items():
        assert content == expected[name], name
        assert sum(expected[name].values()) > 0, name
    runs = found.read("runs").select("run_id", "stage", "status").collect()
    known = {row["run_id"] for row in runs}
    for name, count in counted(found).items():
        assert count.n_rows == count.n_keys, name
        assert name == "failures" or count.run_ids <= known, name
    statuses = {(row["stage"], row["status"]) for row in runs}
    for stage in MIDDLE:
        assert {(stage, "interrupted"), (stage, "succeeded")} <= statuses
    for kind in ("parquet", "csv", "jsonl"):
        (ours,) = (killed.root / "published" / "main" / kind).glob("clips-*")
        (theirs,) = (curated_root / "published" / "main" / kind).glob("clips-*")
        if kind != "parquet":
            assert ours.read_bytes() == theirs.read_bytes()
    assert not list((killed.root / "_running").glob("*.json"))
