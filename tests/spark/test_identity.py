"""A clip's values belong to that clip: its picture and tone encode its id."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import gpu_cluster
import numpy as np
from curation import N_VIDEOS, MakeContext

from acav_spark.features.vectors import decode_fp16
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The picture's network has memory for two clips, and is given four.
EXTRACTORS = (
    "features.extractors=[{name: 'identity_extractor:SeenNumber', options: {room: 2}}, "
    "{name: 'identity_extractor:HeardNumber'}]"
)
AHEAD = (
    *("execution.chunk_size=11", "execution.n_partitions=2"),
    *("execution.batch_size=4", "execution.decode_workers=2"),
    "execution.decode_ahead_mb=1",
)


def test_every_feature_row_belongs_to_its_clip(
    make_context: MakeContext, videos: Path, tmp_path: Path
) -> None:
    context = make_context(EXTRACTORS, *AHEAD)
    run_stages(context, stages_named(["ingest_videos", "segment_clips"]))
    copytree(tmp_path / "warehouse", tmp_path / "cluster" / "warehouse")
    log = tmp_path / "cluster" / "log"
    log.mkdir()
    cluster = started(tmp_path / "cluster", videos, log)
    try:
        run_stages(context, stages_named(["extract_features"]))
        said, _ = cluster.communicate(timeout=300)
    finally:
        cluster.kill()
    assert cluster.returncode == 0, said[-3000:]

    # One error costs one row.
    read = context.warehouse.read
    numbers = {
        row["video_id"]: int(row["title"].split()[1])
        for row in read("videos").collect()
    }
    found = checked_numbers(read("features"), numbers)
    assert sorted(found["SeenNumber"]) == sorted(list(range(N_VIDEOS)) * 2)
    expected = [n for n in range(N_VIDEOS) if n != 5] * 2
    assert sorted(found["HeardNumber"]) == sorted(expected)
    failed = read("failures").where("stage = 'extract_features'").collect()
    assert {row["error_code"] for row in failed} == {"extractor_failed"}
    assert {row["scope"] for row in failed} == {"identity_extractor:HeardNumber"}
    assert len(failed) == 2
    assert all("five is right out" in row["message"] for row in failed)
    metrics = context.ledger.last_metrics("extract_features", "")
    assert all(metrics[name] > 0 for name in ("compute_s", "wait_s", "decode_s"))

    # On the cluster, each task had the GPU of its executor, and was alone there.
    rows = make_context(root=tmp_path / "cluster" / "warehouse").warehouse.read(
        "features"
    )
    placed = checked_numbers(rows, numbers)
    assert sorted(placed["PlacedNumber"]) == sorted(list(range(N_VIDEOS)) * 2)
    gpus = {
        int(decode_fp16([bytes(row["layer_2"])], 1)[0, 0]) for row in rows.collect()
    }
    assert gpus == {gpu_cluster.GPU}
    work: dict[str, list[tuple[float, float]]] = {}
    for file in log.iterdir():
        start, end = file.read_text().split()
        work.setdefault(file.name.split()[0], []).append((float(start), float(end)))
    assert len(work) == 2
    for spans in work.values():
        ordered = sorted(spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))


def checked_numbers(rows: DataFrame, numbers: dict[str, int]) -> dict[str, list[int]]:
    """Return the numbers found by extractor; each is that of its clip's video."""
    found: dict[str, list[int]] = {}
    for row in rows.collect():
        number = numbers[row["clip_id"].rsplit("_", 2)[0]]
        vector = decode_fp16([bytes(row["layer_1"])], 1)
        assert np.array_equal(vector, [[number]]), row["clip_id"]
        found.setdefault(row["extractor"].split(":")[1], []).append(number)
    return found


def started(root: Path, videos: Path, log: Path) -> subprocess.Popen[str]:
    """Start the extraction on a cluster; workers import the tests' modules as well."""
    tests = str(Path(gpu_cluster.__file__).parent)
    known = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH", "")]))
    placed = (
        "features.extractors=[{name: 'identity_extractor:PlacedNumber', "
        f"options: {{log: '{log}'}}}}]"
    )
    settings = (
        *(placed, "execution.cores_per_task=2", "execution.gpus_per_task=1"),
        *("execution.n_partitions=6", "execution.decode_workers=1"),
    )
    return subprocess.Popen(
        [sys.executable, gpu_cluster.__file__, str(root), str(videos), *settings],
        env={**os.environ, "PYTHONPATH": known},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
