"""From the packed table to ``selections``: how long reading, choosing, writing take.

Makes a packed table of planted clips with Spark, runs ``select_clips`` as a user would,
checks the answer by a recount of the stored selection, and prints a table; ``--json
FILE`` writes a record. The warehouse is kept with ``--root FOLDER``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import platform
import re
import resource
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.config import load_config
from acav_spark.context import StageContext
from acav_spark.selection.job import problem_of, select_clips
from acav_spark.selection.population import clusters_of, count_clips
from acav_spark.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

N_VIEWS = 10
SHARE_PLANTED, KEEP = 0.29, 0.6
_COLUMNS = ["clustering", "row_number", "clip_id", "clusters", "stage_hash", "run_id"]
_ROWS = (
    "clustering STRING, row_number LONG, clip_id STRING, clusters ARRAY<INT>, "
    "stage_hash STRING, run_id STRING"
)


def planted_clusters(
    rows: NDArray[np.int64], n_clusters: int, seed: int
) -> NDArray[np.int32]:
    """Return cluster ids by view; a known share of clips is of one class in all views.

    A clip has one class for the first half of its views and one for the second; they
    are the same for a planted clip. A view shows its class, by a relabelling of its
    own, with probability ``KEEP``, and else a random cluster. What a row gets depends
    on the seed and on the first row of its piece.
    """
    generator = np.random.default_rng([seed, int(rows[0])])
    relabelling = np.stack(
        [
            np.random.default_rng([seed, view]).permutation(n_clusters)
            for view in range(N_VIEWS)
        ]
    )
    n = len(rows)
    sound = generator.integers(n_clusters, size=n)
    is_planted = generator.random(n) < SHARE_PLANTED
    picture = np.where(is_planted, sound, generator.integers(n_clusters, size=n))
    classes = np.where(
        np.arange(N_VIEWS) < N_VIEWS // 2, picture[:, None], sound[:, None]
    )
    ids = relabelling[np.arange(N_VIEWS), classes]
    is_noise = generator.random((n, N_VIEWS)) >= KEEP
    ids[is_noise] = generator.integers(n_clusters, size=int(is_noise.sum()))
    return ids.astype(np.int32)


class _Planter:
    """Makes packed rows from row numbers; travels to executors."""

    def __init__(self, n_clusters: int, seed: int) -> None:
        self._n_clusters, self._seed = n_clusters, seed

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            rows = batch["row_number"].to_numpy()
            ids = planted_clusters(rows, self._n_clusters, self._seed)
            n = len(rows)
            offsets = pa.array(np.arange(n + 1, dtype=np.int32) * N_VIEWS)
            # Shaped as real ids are: a hash, then start and end.
            hashes = (row * 0x9E3779B97F4A7C15 % 2**64 for row in rows.tolist())
            names = [f"{hash_:016x}_0_10000" for hash_ in hashes]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(["main"] * n),
                    batch["row_number"],
                    pa.array(names),
                    pa.ListArray.from_arrays(offsets, pa.array(ids.ravel())),
                    pa.array(["bench"] * n),
                    pa.array(["bench"] * n),
                ],
                _COLUMNS,
            )


def make_warehouse(context: StageContext, n_clips: int, n_clusters: int) -> None:
    """Write ``codebooks`` and ``packed``."""
    books = [
        {
            "clustering": "main",
            "extractor": "visual" if view < N_VIEWS // 2 else "audio",
            "layer": view % (N_VIEWS // 2) + 1,
            "view_position": view,
            "modality": "visual" if view < N_VIEWS // 2 else "audio",
            "n_clusters": n_clusters,
            "dimension": 1,
            "preprocess": "none",
            "model_version": "planted",
            "n_rows": n_clips,
            "inertia": 0.0,
            "n_used": n_clusters,
            "fingerprint": "planted",
            "stage_hash": "bench",
            "run_id": "bench",
        }
        for view in range(N_VIEWS)
    ]
    spark = context.spark
    context.warehouse.insert("codebooks", spark.createDataFrame(books))
    n_parts = max(2, n_clips // 2_500_000)
    numbers = spark.range(0, n_clips, 1, n_parts).withColumnRenamed("id", "row_number")
    rows = numbers.mapInArrow(_Planter(n_clusters, 0), _ROWS)
    context.warehouse.replace("packed", rows, "clustering = 'main'")


class _Seconds(logging.Handler):
    """Collects the seconds that the stages of ``select_clips`` log."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a line says."""
        found = re.match(r"(\w+ ?\w*) .*seconds=([0-9.]+)", record.getMessage())
        if found:
            self.of[found[1]] = float(found[2])


def main() -> None:
    """Run, check, print, and write the record."""
    options = parsed_options()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.root or Path(scratch) / "warehouse"
        record = measured(options, root)
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def parsed_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-clips", type=int, default=1_000_000)
    parser.add_argument("--n-select", type=int, default=0, help="0: a third")
    parser.add_argument("--n-clusters", type=int, default=500)
    parser.add_argument("--engine", default="driver")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measured(options: argparse.Namespace, root: Path) -> dict[str, object]:
    """Select once and return the record."""
    n_select = options.n_select or options.n_clips // 3
    settings = [
        f'storage.root="{root}"',
        f"selection.size={n_select}",
        f"selection.engine={options.engine}",
    ]
    spark = get_session(
        {"spark.master": options.master, "spark.driver.memory": "4g"},
        app_name="bench_selection_engines",
    )
    context = StageContext(spark, load_config(None, settings).config)
    started = time.monotonic()
    if not context.warehouse.exists("packed"):
        make_warehouse(context, options.n_clips, options.n_clusters)
    making = time.monotonic() - started
    seconds = _Seconds()
    logging.getLogger("acav_spark").addHandler(seconds)
    logging.getLogger("acav_spark").setLevel(logging.INFO)
    started = time.monotonic()
    result = select_clips(context)
    total = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    checked_objective(context, n_select, result.metrics["objective"])
    core = seconds.of.get("chose", 0.0)
    rows = {**seconds.of, "total": total, "all but the core": total - core}
    for name, value in rows.items():
        print(f"{name:<24}{value:>10.1f} s")
    print(f"{'core, a pick':<24}{core / n_select * 1e6:>10.2f} us")
    print(f"{'peak of this process':<24}{peak:>10.2f} GiB")
    print(f"{'making the table':<24}{making:>10.1f} s")
    return {
        "benchmark": "selection_engines",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git": _git("rev-parse", "--short", "HEAD"),
        "machine": f"{platform.machine()}, {platform.processor()}",
        "versions": {p: version(p) for p in ("pyspark", "pyarrow", "numpy", "numba")},
        "config": {
            "n_clips": options.n_clips,
            "n_select": n_select,
            "n_clusters": options.n_clusters,
            "engine": options.engine,
            "master": options.master,
        },
        "seconds": rows,
        "peak_gib": peak,
        "objective": result.metrics["objective"],
    }


def checked_objective(context: StageContext, n_select: int, objective: float) -> None:
    """Recount the stored selection, and compare with what was reported."""
    rows = context.warehouse.read("selections").where("selection = 'main'")
    told = rows.agg(
        F.count("*").alias("n"),
        F.countDistinct("clip_id").alias("n_distinct"),
        F.max("rank").alias("last"),
    ).first()
    assert told is not None
    assert told["n"] == told["n_distinct"] == told["last"] == n_select, told
    packed = context.warehouse.read("packed").where("clustering = 'main'")
    problem = problem_of(context, context.config, 0, 0, 0)
    recounted = count_clips(clusters_of(context, "main", packed), problem)
    assert recounted.n_clips == n_select
    assert abs(recounted.objective() - objective) < 1e-9
    last = rows.where(F.col("rank") == n_select).first()
    assert last is not None
    assert abs(last["objective"] - objective) < 1e-9


def _git(*arguments: str) -> str:
    found = subprocess.run(  # noqa: S603 - git with fixed arguments
        ["git", *arguments],  # noqa: S607 - as found on PATH
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
