"""An executor killed in the middle of an epoch changes nothing in a fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import cluster_fit
import psutil
from planted_features import SMALL_SHARDS, make_features_context

from acav_spark.clustering.job import fit_centroids

if TYPE_CHECKING:
    import pytest
    from pyspark.sql import SparkSession


def test_an_executor_killed_in_an_epoch_does_not_change_the_centroids(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALL_SHARDS.items():
        monkeypatch.setattr(name, value)
    context = make_features_context(
        spark, tmp_path / "undisturbed", cluster_fit.ONE_EXTRACTOR
    )
    copytree(tmp_path / "undisturbed", tmp_path / "cluster" / "warehouse")
    process = _started(tmp_path / "cluster")
    try:
        # Meanwhile, in this process's session, in one task for each view.
        fit_centroids(context)
        log, _ = process.communicate(timeout=400)
    finally:
        _end(process)
    assert process.returncode == 0, log[-3000:]

    report = json.loads((tmp_path / "cluster" / "report.json").read_text())
    # One of the two executors that began the epoch died in it.
    assert len(report["executors"]) == 2
    assert report["killed"] in report["executors"]
    assert report["killed"] not in report["alive"]
    (lost,) = report["lost"]
    # It held some of the cached sample, which others computed again.
    before, after = report["blocks_before"], report["blocks_after"]
    assert lost in {holder for holders in before.values() for holder in holders}
    assert set(after) == set(before)
    assert len(after) == 3
    assert lost not in {holder for holders in after.values() for holder in holders}
    assert all(after.values())
    # The fit is that of a session in which nothing died.
    books = context.warehouse.read("codebooks").orderBy("view_position").collect()
    assert report["fingerprints"] == [book["fingerprint"] for book in books]
    assert len(books) == 2


def _started(root: Path) -> subprocess.Popen[str]:
    """Start the fit on a cluster; workers import the tests' modules as well."""
    tests = str(Path(cluster_fit.__file__).parent)
    known = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, cluster_fit.__file__, str(root)],
        env={**os.environ, "PYTHONPATH": known},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Kill what is left of a driver and of all that it started."""
    if process.poll() is not None:
        return
    left = psutil.Process(process.pid).children(recursive=True)
    for one in left:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.kill()
    process.communicate()
    psutil.wait_procs(left, timeout=20)
