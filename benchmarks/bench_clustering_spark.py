"""How fast clustering is under Spark, what it writes, and what a worker holds.

    python benchmarks/bench_clustering_spark.py
    python benchmarks/bench_clustering_spark.py --parts assignment epochs --json FILE

Parts:

- assignment: rows a second of the stage's pass from the Delta table of fp16 vectors to
  no sink, and of all of ``assign_clusters``, beside the bare float32 matrix product of
  the same shapes in as many processes as there are cores.
- epochs: rows a second of an epoch, beside an iteration of Spark MLlib's KMeans on
  cached rows: the difference of two fits of more and fewer iterations.
- many_rows: files of ``assignments`` and ``packed``, and the most memory that Python
  workers held in fits of a quarter of the rows and of all, with short vectors.

Vectors are drawn around 200 points. Labels are compared with brute force in float64,
and tables are counted, before times are told.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from planted_tables import EXTRACTOR, write_features
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F
from record import about
from workers import WorkerMemory

from acav_spark.assign.job import _RESULT, _load, _nearest_batches, assign_clusters
from acav_spark.assign.job import STAGE as ASSIGNING
from acav_spark.clustering.job import _ONE_TASK_BYTES, fit_centroids
from acav_spark.config import load_config
from acav_spark.context import StageContext
from acav_spark.features.vectors import decode_fp16
from acav_spark.rows import spark_schema
from acav_spark.session import get_session

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

PACKAGES = ("pyspark", "delta-spark", "pyarrow", "numpy", "numba")
CHECKED_ROWS = 500


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    options = parsed_options()
    # Workers import this module as a plug-in.
    known = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, known))
    record: dict[str, object] = {"subject": "clustering_spark"}
    if options.json and options.json.exists():
        # Parts that were measured apart stay.
        record = json.loads(options.json.read_text())
    used = {k: str(v) for k, v in vars(options).items() if k not in ("json", "parts")}
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.parts:
            print(f"\n{part}", flush=True)
            measured = PARTS[part](options, Path(scratch) / "warehouse")
            record[part] = {**measured, **about(*PACKAGES), "options": used}
            if options.json:
                options.json.write_text(json.dumps(record, indent=1) + "\n")


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--n-rows", type=int, default=400_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--n-clusters", type=int, default=500)
    parser.add_argument("--mllib-rows", type=int, default=10_000)
    parser.add_argument(
        "--solvers", nargs="+", choices=("block", "row"), default=["block"]
    )
    parser.add_argument("--many-rows", type=int, default=4_000_000)
    parser.add_argument("--many-dimension", type=int, default=32)
    parser.add_argument("--many-clusters", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="of the driver's JVM")
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def assignment(options: argparse.Namespace, root: Path) -> dict[str, object]:
    """Return rows a second of assigning, and of the bare product."""
    context = context_of(options, root / "wide", options.n_rows, options.dimension)
    # Centroids need not be good ones: a fit of one epoch on some rows.
    few = context_of(
        options,
        root / "wide",
        options.n_rows,
        options.dimension,
        f"clustering.max_rows={4 * options.n_clusters}",
        "clustering.n_epochs=1",
    )
    fit_centroids(few)
    features = context.warehouse.read("features").where(F.col("extractor") == EXTRACTOR)
    books = _load(few, few.warehouse.read("codebooks").collect())
    shared = context.spark.sparkContext.broadcast(books)

    def nearest(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return _nearest_batches(batches, codebooks=shared)

    found = features.select(F.col("clip_id").alias("item_id"), "layer_1").mapInArrow(
        nearest, spark_schema(_RESULT)
    )
    labels = found.select(F.col("item_id").alias("clip_id"), "clusters")
    check_labels(features.join(labels, "clip_id"), books[0].centroids)

    def core() -> None:
        found.write.format("noop").mode("overwrite").save()

    products, cores = [], []
    for _ in range(options.repeats):
        products.append(product_seconds(options, books[0].centroids))
        cores.append(seconds_of(core))
    stage = seconds_of(lambda: assign_clusters(few))
    n_assigned = few.warehouse.read("assignments").count()
    assert n_assigned == options.n_rows, n_assigned
    rates = {
        "product": options.n_rows / statistics.median(products),
        "core": options.n_rows / statistics.median(cores),
        "stage": options.n_rows / stage,
    }
    share = statistics.median(p / c for p, c in zip(products, cores, strict=True))
    told(rates)
    print(f"  core, of the product: {share:.1%}", flush=True)
    return {
        "rows_per_s": rates,
        "core_of_product": share,
        "product_seconds": products,
        "core_seconds": cores,
        "stage_seconds": stage,
    }


def epochs(options: argparse.Namespace, root: Path) -> dict[str, object]:
    """Return rows a second of an epoch of ours and of an iteration of MLlib's."""
    context = context_of(
        options,
        root / "wide",
        options.n_rows,
        options.dimension,
        "clustering.name=epochs",
        f"clustering.max_rows={options.n_rows}",
        "clustering.n_epochs=5",
    )
    fit_centroids(context)
    rows = context.warehouse.read("epochs").where("clustering = 'epochs'").collect()
    # The first fills the cache.
    ours = [row["seconds"] for row in rows if row["epoch"] > 1]
    rates = {"epoch": options.n_rows / statistics.median(ours)}
    seconds: dict[str, object] = {"epoch": ours}
    vectors = mllib_vectors(context, options)
    n_rows = vectors.count()
    for solver in options.solvers:
        took = mllib_iterations(vectors, options.n_clusters, solver)
        rates[f"MLlib, {solver}"] = n_rows / statistics.median(took)
        seconds[f"MLlib, {solver}"] = took
    told(rates)
    ratio = rates["epoch"] / max(rates[f"MLlib, {one}"] for one in options.solvers)
    print(f"  an epoch, of MLlib's faster solver: {ratio:.1f} times", flush=True)
    return {"rows_per_s": rates, "of_mllib": ratio, "seconds": seconds}


def mllib_vectors(context: StageContext, options: argparse.Namespace) -> DataFrame:
    """Return some of the vectors, cached, as MLlib takes them."""
    dimension = options.dimension

    def wide(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            x = decode_fp16(batch["layer_1"], dimension).astype(np.float64)
            offsets = np.arange(len(x) + 1, dtype=np.int32) * dimension
            lists = pa.ListArray.from_arrays(offsets, pa.array(x.ravel()))
            yield pa.RecordBatch.from_arrays([lists], ["values"])

    features = context.warehouse.read("features").select("layer_1")
    some = features.limit(options.mllib_rows).repartition(options.cores)
    arrays = some.mapInArrow(wide, "values ARRAY<DOUBLE>")
    return arrays.select(array_to_vector(F.col("values")).alias("features")).cache()


def mllib_iterations(vectors: DataFrame, n_clusters: int, solver: str) -> list[float]:
    """Return the seconds of an iteration, twice: 3 iterations less 1, by 2."""

    def fitted(n_iterations: int) -> float:
        kmeans = KMeans(k=n_clusters, initMode="random", tol=0.0, seed=1)
        kmeans = kmeans.setMaxIter(n_iterations).setSolver(solver)
        started = time.perf_counter()
        model = kmeans.fit(vectors)
        took = time.perf_counter() - started
        assert model.summary.numIter == n_iterations
        return took

    fitted(1)
    return [(fitted(3) - fitted(1)) / 2 for _ in range(2)]


def many_rows(options: argparse.Namespace, root: Path) -> dict[str, object]:
    """Return files of the tables, and the memory of workers for few and many rows."""
    n_rows, dimension = options.many_rows, options.many_dimension
    options.n_clusters = options.many_clusters
    # Fewer would be fitted in one task, which holds all.
    assert n_rows // 4 * dimension * 2 > _ONE_TASK_BYTES
    memory = {}
    for n_used in (n_rows // 4, n_rows):
        context = context_of(
            options,
            root / "many",
            n_rows,
            dimension,
            f"clustering.name=of{n_used}",
            f"clustering.max_rows={n_used}",
            "clustering.n_epochs=3",
        )
        with WorkerMemory() as watched:
            fit_centroids(context)
        (book,) = (
            context.warehouse.read("codebooks")
            .where(f"clustering = 'of{n_used}'")
            .collect()
        )
        assert book["n_rows"] == n_used, book["n_rows"]
        memory[n_used] = watched.largest_mib
        print(f"  {n_used:,d} rows: a worker held {watched.largest_mib:.0f} MiB")
    stage = seconds_of(lambda: assign_clusters(context))
    files = {}
    for name in ("assignments", "packed"):
        table = context.warehouse.read(name)
        assert table.count() == n_rows
        sizes = [
            Path(path.removeprefix("file:")).stat().st_size
            for path in table.inputFiles()
        ]
        files[name] = {
            "n_files": len(sizes),
            "total_mib": sum(sizes) / 2**20,
            "median_mib": statistics.median(sizes) / 2**20,
            "smallest_mib": min(sizes) / 2**20,
            "largest_mib": max(sizes) / 2**20,
        }
        print(f"  {name}: {files[name]}", flush=True)
    print(f"  {ASSIGNING}: {n_rows / stage:,.0f} rows/s", flush=True)
    return {"worker_mib": memory, "files": files, "stage_seconds": stage}


PARTS: dict[str, Callable[[argparse.Namespace, Path], dict[str, object]]] = {
    "assignment": assignment,
    "epochs": epochs,
    "many_rows": many_rows,
}


def context_of(
    options: argparse.Namespace, root: Path, n_rows: int, dimension: int, *more: str
) -> StageContext:
    """Return a context on a warehouse with planted features, made if missing."""
    spark = get_session(
        {
            "spark.master": f"local[{options.cores},4]",
            "spark.driver.memory": options.memory,
        },
        app_name="bench_clustering_spark",
    )
    settings = [
        f'storage.root="{root}"',
        f"features.extractors=[{{name: '{EXTRACTOR}', "
        f"options: {{dimension: {dimension}}}}}]",
        f"clustering.n_clusters={options.n_clusters}",
        # Labels are checked on the vectors as they are.
        "clustering.preprocess=none",
        *more,
    ]
    context = StageContext(spark, load_config(None, settings).config)
    if not context.warehouse.exists("features"):
        write_features(context, n_rows, dimension)
    return context


def check_labels(labelled: DataFrame, centroids: NDArray[np.float32]) -> None:
    """Compare labels of some rows with brute force in float64."""
    rows = labelled.limit(CHECKED_ROWS).select("layer_1", "clusters").collect()
    c = centroids.astype(np.float64)
    for row in rows:
        x = np.frombuffer(row["layer_1"], "<f2").astype(np.float64)
        expected = int(np.square(c - x).sum(axis=1).argmin())
        assert row["clusters"] == [expected], (row["clusters"], expected)


def product_seconds(
    options: argparse.Namespace, centroids: NDArray[np.float32]
) -> float:
    """Return the seconds of all rows' products, in as many processes as cores."""
    n_blocks = options.n_rows // options.cores // 1024
    start = multiprocessing.get_context("spawn")
    ready = start.Barrier(options.cores + 1)
    workers = [
        start.Process(target=_multiply, args=(ready, centroids, n_blocks))
        for _ in range(options.cores)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    ready.wait()
    took = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return took * int(options.n_rows) / int(n_blocks * 1024 * options.cores)


def _multiply(
    ready: threading.Barrier, centroids: NDArray[np.float32], n_blocks: int
) -> None:
    """Multiply blocks of 1024 rows, one after another; BLAS has one thread."""
    n_features = centroids.shape[1]
    generator = np.random.default_rng(0)
    blocks = generator.standard_normal((8, 1024, n_features), dtype=np.float32)
    arranged = np.ascontiguousarray(centroids.T)
    out = np.empty((1024, len(centroids)), dtype=np.float32)
    np.matmul(blocks[0], arranged, out=out)
    ready.wait()
    for i in range(n_blocks):
        np.matmul(blocks[i % len(blocks)], arranged, out=out)
    ready.wait()


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def told(rates: dict[str, float]) -> None:
    """Print rates."""
    for name, rate in rates.items():
        print(f"  {name:16s} {rate:12,.0f} rows/s", flush=True)


if __name__ == "__main__":
    main()
