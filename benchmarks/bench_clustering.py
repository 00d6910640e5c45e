"""How fast clustering is on arrays, and that its answers are right.

    python benchmarks/bench_clustering.py                       # all parts
    python benchmarks/bench_clustering.py --parts assignment --shapes 1024x500

Parts:

- assignment: microseconds a row of finding the nearest of k centroids among vectors of
  length d, on one thread: ours (all of ``nearest_centroids``; with the centroids
  prepared before, as the others; labels alone; float16 rows), the bare matrix product
  ``x @ c.T`` in blocks of the same rows, and ``x @ w`` with ``c.T`` arranged before,
  faiss's flat index where it can be imported, and scikit-learn. Vectors are drawn
  around 200 points, and the centroids are vectors, so that rows lie between several
  centroids as they do in a fit. Runs take turns; medians. With one thread it is the
  processor's time, which leaves out what other programs take.

Answers are checked first, against distances in float64 by brute force.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from record import about
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from acav_spark.clustering import nearest_centroids
from acav_spark.clustering.assignment import NearestFinder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

PACKAGES = ("numpy", "numba", "scikit-learn", "faiss-cpu")
SHAPES = [f"{d}x{k}" for d in (128, 512, 1024, 2304) for k in (20, 500, 2000)]
# Rows that brute force is compared on.
CHECKED_ROWS = 500
# Of all that one run takes.
WORK = 2e10


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    options = parsed_options()
    record: dict[str, object] = {"subject": "clustering", **about(*PACKAGES)}
    record["options"] = {k: str(v) for k, v in vars(options).items() if k != "json"}
    for part in options.parts:
        print(f"\n{part}", flush=True)
        record[part] = PARTS[part](options)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="DxK")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of matrix products")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def assignment(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the microseconds a row of every way, for all shapes."""
    with threadpool_limits(options.threads):
        if faiss := imported_faiss():
            faiss.omp_set_num_threads(options.threads)
        shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes]
        return [
            assigned(n_features, n_clusters, options, faiss)
            for n_features, n_clusters in shapes
        ]


def assigned(
    n_features: int,
    n_clusters: int,
    options: argparse.Namespace,
    faiss: ModuleType | None,
) -> dict[str, object]:
    """Check, then time, all ways for one shape."""
    n_rows = int(np.clip(WORK / (2 * n_features * n_clusters), 4_000, 30_000))
    x, centroids = planted_vectors(n_rows, n_features, n_clusters, options.seed)
    n_wrong = check_assignment(x, centroids)
    # On one thread the processor's time leaves out what other programs take.
    clock = time.process_time if options.threads == 1 else time.perf_counter
    seconds = turns(ways(x, centroids, faiss), options.repeats, clock)
    us_a_row = {name: np.array(took) / n_rows * 1e6 for name, took in seconds.items()}
    rates = {
        name: float(np.median(us_a_row["product"] / took))
        for name, took in us_a_row.items()
    }
    print(f"d={n_features:<5d} k={n_clusters:<5d} n={n_rows}")
    for name, took in us_a_row.items():
        print(
            f"  {name:20s} {np.median(took):8.2f} us a row "
            f"({took.min():.2f} to {took.max():.2f}), "
            f"{rates[name]:6.1%} of the product's rate",
            flush=True,
        )
    return {
        "n_features": n_features,
        "n_clusters": n_clusters,
        "n_rows": n_rows,
        "wrong_in_float32": n_wrong,
        "us_a_row": {name: float(np.median(t)) for name, t in us_a_row.items()},
        "lowest_us_a_row": {name: float(t.min()) for name, t in us_a_row.items()},
        "rate_of_product": rates,
    }


def planted_vectors(
    n_rows: int, n_features: int, n_clusters: int, seed: int
) -> tuple[Matrix, Matrix]:
    """Return vectors around 200 points off the origin, and vectors as centroids.

    Values are those of float16, so that rows of that type hold the same.
    """
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(200, n_features)) + 0.5
    n = n_rows + n_clusters
    x = generator.normal(size=(n, n_features)) + points[generator.integers(200, size=n)]
    halves = x.astype(np.float16).astype(np.float32)
    return halves[:n_rows], halves[n_rows:]


def check_assignment(x: Matrix, centroids: Matrix) -> int:
    """Compare with brute force; return the rows that float32 alone gets wrong.

    Among vectors a little beside the midpoint of two centroids, whose distances differ
    by less than float32 resolves, and among the vectors as they are.
    """
    n = min(CHECKED_ROWS, len(x))
    generator = np.random.default_rng(0)
    pairs = generator.integers(len(centroids), size=(2, n))
    between = (centroids[pairs[0]] + centroids[pairs[1]]) / 2
    between += generator.normal(scale=1e-6, size=between.shape).astype(np.float32)
    n_wrong = 0
    for rows in (x[:n], between):
        labels, squared = nearest_centroids(rows, centroids)
        exact = np.array(
            [np.square(row - centroids.astype(np.float64)).sum(axis=1) for row in rows]
        )
        np.testing.assert_array_equal(labels, exact.argmin(axis=1))
        np.testing.assert_allclose(squared, exact.min(axis=1), rtol=1e-6)
        scores = np.square(centroids).sum(axis=1) - 2 * rows @ centroids.T
        n_wrong += int(np.count_nonzero(scores.argmin(axis=1) != labels))
    halves = x[:n].astype(np.float16)
    expected = nearest_centroids(halves.astype(np.float32), centroids)
    for found, wanted in zip(
        nearest_centroids(halves, centroids), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
    return n_wrong


def ways(
    x: Matrix, centroids: Matrix, faiss: ModuleType | None
) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; all that is made once is made before."""
    finder = NearestFinder(centroids)
    block_rows = finder.scored_rows
    runs: dict[str, Callable[[], object]] = {
        "product": partial(product, x, centroids.T, block_rows),
        "product, arranged": partial(
            product, x, np.ascontiguousarray(centroids.T), block_rows
        ),
        "ours": partial(nearest_centroids, x, centroids),
        "ours, prepared": partial(finder.nearest, x),
        "ours, labels alone": partial(finder.labels, x),
        "ours, float16 rows": partial(
            nearest_centroids, x.astype(np.float16), centroids
        ),
    }
    if faiss:
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(centroids)
        runs["faiss IndexFlatL2"] = partial(index.search, x, 1)
    runs["scikit-learn"] = partial(pairwise_distances_argmin, x, centroids)
    return runs


def product(x: Matrix, transposed: Matrix, block_rows: int) -> None:
    """Multiply block by block, into one place."""
    scores = np.empty((block_rows, transposed.shape[1]), dtype=np.float32)
    for start in range(0, len(x), block_rows):
        block = x[start : start + block_rows]
        np.matmul(block, transposed, out=scores[: len(block)])


def turns(
    runs: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of runs that take turns; the first turn is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            started = clock()
            run()
            if turn:
                seconds[name].append(clock() - started)
    return seconds


def imported_faiss() -> ModuleType | None:
    """Return faiss, or None where it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        return None
    return importlib.import_module("faiss")


PARTS: dict[str, Callable[[argparse.Namespace], object]] = {"assignment": assignment}


if __name__ == "__main__":
    main()
