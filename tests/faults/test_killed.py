"""A driver killed in the middle of a stage loses nothing and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contents import all_contents
from curation import SPARK
from samples import write_video

from acav_spark.session import get_session
from acav_spark.tables import TABLES
from acav_spark.tables.warehouse import Warehouse

N_VIDEOS = 4

SETTINGS = [
    "ingest.min_duration_s=1",
    "segmentation.clip_duration_s=2",
    "segmentation.max_clips_per_video=1",
    "clustering.n_clusters=2",
    "clustering.n_epochs=3",
    "selection.size=50%",
    "execution.n_partitions=2",
    "execution.chunk_size=2",
    *(f"spark.{name}={value}" for name, value in SPARK.items()),
]

# A line of the log that is written in the middle of each stage.
MIDDLE = {
    "ingest_videos": "committed stage=ingest_videos chunk=1/",
    "segment_clips": "committed stage=segment_clips chunk=1/",
    "extract_features": "committed stage=extract_features chunk=1/",
    "fit_centroids": "fitted clustering=main",
    "assign_clusters": "committed stage=assign_clusters",
    "select_clips": "selected stage=select_clips",
    "publish_clips": "wrote stage=publish_clips format=parquet",
}


def _command(root: Path, videos: Path) -> list[str]:
    places = [f'input.uri="{videos}"', f'storage.root="{root}"']
    options = [part for setting in [*SETTINGS, *places] for part in ("--set", setting)]
    program = "import sys; from acav_spark.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", program, "run", *options]


def _run_until(command: list[str], line: str | None) -> str:
    """Run a command; kill its whole process group when it logs ``line``."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    log = []
    was_killed = False
    for text in process.stderr:
        log.append(text)
        if line is not None and line in text:
            os.killpg(process.pid, signal.SIGKILL)
            was_killed = True
            break
    process.stderr.close()
    code = process.wait()
    output = "".join(log)
    assert was_killed == (line is not None), output[-3000:]
    assert was_killed or code == 0, output[-3000:]
    return output


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fault_videos")
    for number in range(N_VIDEOS):
        write_video(folder / f"video {number}.mp4", number)
    (folder / "broken.mp4").write_bytes(b"\x00" * 5000)
    return folder


def test_killed_in_every_stage_the_tables_equal_those_of_an_undisturbed_run(
    videos: Path, tmp_path: Path
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    logs = [_run_until(_command(killed, videos), line) for line in MIDDLE.values()]
    for (stage, _), log in zip(MIDDLE.items(), logs, strict=True):
        assert f"started stage={stage}" in log, stage
    _run_until(_command(killed, videos), None)
    _run_until(_command(whole, videos), None)

    spark = get_session(SPARK)
    expected = all_contents(Warehouse(spark, str(whole)))
    found = Warehouse(spark, str(killed))
    for name, content in all_contents(found).items():
        assert content == expected[name], name
        assert sum(expected[name].values()) > 0, name
    for table in TABLES:
        rows = found.read(table.name)
        assert rows.count() == rows.select(*table.key).distinct().count(), table.name
        if table.name not in ("runs", "failures"):
            runs = found.read("runs").select("run_id")
            assert rows.join(runs, "run_id", "left_anti").count() == 0, table.name
    statuses = [
        (row["stage"], row["status"])
        for row in found.read("runs").orderBy("run_id").collect()
    ]
    for stage in MIDDLE:
        assert (stage, "interrupted") in statuses
        assert (stage, "succeeded") in statuses
    for kind in ("parquet", "csv", "jsonl"):
        (ours,) = (killed / "published" / "main" / kind).glob("clips-*")
        (theirs,) = (whole / "published" / "main" / kind).glob("clips-*")
        if kind != "parquet":
            assert ours.read_bytes() == theirs.read_bytes()
    assert not list((killed / "_running").glob("*.json"))


def test_a_decoding_child_does_not_outlive_its_killed_driver(
    videos: Path, tmp_path: Path
) -> None:
    command = _command(tmp_path / "orphans", videos)
    _run_until(command, MIDDLE["segment_clips"])

    deadline = time.monotonic() + 20
    while children := _decoding_children(videos):
        assert time.monotonic() < deadline, children
        time.sleep(0.2)


def _decoding_children(videos: Path) -> list[int]:
    """Return decoding processes whose open files lie among the videos."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            opened = [str(fd.readlink()) for fd in (entry / "fd").iterdir()]
        except OSError:
            continue
        if b"acav_spark.media.child" in command and any(
            name.startswith(str(videos)) for name in opened
        ):
            found.append(int(entry.name))
    return found
