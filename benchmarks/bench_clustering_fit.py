"""How good and how fast fits of codebooks are, beside scikit-learn's.

    python benchmarks/bench_clustering_fit.py                   # all parts
    python benchmarks/bench_clustering_fit.py --parts quality --rows 1000000

Parts:

- quality: inertia and processor time of ``SGDKMeans`` on a mixture of unequal weights
  in 256 dimensions, k = 500, after some numbers of epochs and by each rule, of
  scikit-learn's ``KMeans`` (Lloyd, k-means++, to convergence), and of its
  ``MiniBatchKMeans``. Inertia is computed again by brute force for all of them.
- dead: clusters without a sample at the end, on five data sets with heavy-tailed sizes;
  and how many are used after each epoch from centres that are all equal.
- memory: what a pass over a shard adds to the resident memory, at 1 and 4 million rows.
- growth: seconds of a pass at 10^5 to 10^7 rows, and the slope of the logarithms.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from record import about
from sklearn.cluster import KMeans, MiniBatchKMeans
from threadpoolctl import threadpool_limits

from acav_spark.clustering import SGDKMeans, nearest_centroids
from acav_spark.clustering.passes import PassPlan, ShardPass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

N_CLUSTERS, N_FEATURES = 500, 256
OURS: dict[str, dict[str, Any]] = {
    "5 epochs": {"n_epochs": 5},
    "10 epochs": {"n_epochs": 10},
    "20 epochs": {"n_epochs": 20},
    "10 epochs, mini-batches of 20,000": {"n_epochs": 10, "minibatch_size": 20_000},
    "10 epochs, decayed rate": {"n_epochs": 10, "update": "decayed"},
    "10 epochs, rate 1/n": {"n_epochs": 10, "update": "per_centre"},
    "10 epochs, split": {"n_epochs": 10, "reinit": "split"},
}


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    options = parsed_options()
    record: dict[str, object] = {
        "subject": "clustering, fit",
        **about("numpy", "numba", "scikit-learn"),
    }
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
    parser.add_argument("--rows", type=int, default=1_000_000, help="of quality")
    parser.add_argument("--brief", action="store_true", help="few ways of ours")
    parser.add_argument("--largest", type=int, default=10_000_000, help="of growth")
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def mixture(n_rows: int, seed: int = 0) -> Matrix:
    """Return samples of 700 overlapping groups of unequal weights."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.full(700, 0.5))
    centres = generator.normal(size=(700, N_FEATURES)) * 0.35
    groups = generator.choice(700, n_rows, p=weights)
    x = np.empty((n_rows, N_FEATURES), np.float32)
    for start in range(0, n_rows, 50_000):
        part = groups[start : start + 50_000]
        x[start : start + 50_000] = centres[part] + generator.normal(
            size=(len(part), N_FEATURES)
        )
    return x


def quality(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return inertia and time of every way."""
    x = mixture(options.rows)
    ways: dict[str, Callable[[Matrix], Any]] = {}
    for name, chosen in OURS.items():
        if options.brief and name not in ("10 epochs", "20 epochs"):
            continue
        ways[f"SGDKMeans, {name}"] = SGDKMeans(N_CLUSTERS, **chosen).fit
    batches = ((20_000, 20),) if options.brief else ((4_096, 10), (20_000, 20))
    for batch, passes in batches:
        ways[f"MiniBatchKMeans, batches of {batch}, {passes} passes"] = MiniBatchKMeans(
            N_CLUSTERS,
            n_init=1,
            random_state=0,
            batch_size=batch,
            max_iter=passes,
            max_no_improvement=None,
        ).fit
    ways["KMeans, to convergence"] = KMeans(N_CLUSTERS, n_init=1, random_state=0).fit
    rows: list[dict[str, object]] = []
    for name, fit in ways.items():
        started, started_cpu = time.perf_counter(), time.process_time()
        model = fit(x)
        took = time.perf_counter() - started
        took_cpu = time.process_time() - started_cpu
        labels, squared = nearest_centroids(x, model.cluster_centers_)
        sizes = np.bincount(labels, minlength=N_CLUSTERS)
        rows.append(
            {
                "name": name,
                "inertia": float(squared.sum(dtype=np.float64)),
                "seconds": took,
                "cpu_s": took_cpu,
                "n_epochs": int(model.n_iter_),
                "n_empty": int(np.count_nonzero(sizes == 0)),
            }
        )
        print(rows[-1], flush=True)
    best = rows[-1]
    for row in rows:
        row["of_lloyd"] = float(row["inertia"]) / float(best["inertia"])  # type: ignore[arg-type]
        row["time_of_lloyd"] = float(row["cpu_s"]) / float(best["cpu_s"])  # type: ignore[arg-type]
        print(
            f"{row['name']:48s} inertia {row['of_lloyd']:.4f} of Lloyd's, "
            f"{row['cpu_s']:7.1f} s of processor time ({row['time_of_lloyd']:.3f}), "
            f"{row['n_empty']} empty"
        )
    return rows


def heavy_tailed() -> Iterator[tuple[str, Matrix, int]]:
    """Yield data sets whose groups are of very unequal sizes."""
    generator = np.random.default_rng(1)
    for power in (1.0, 1.5, 2.0):
        sizes = np.maximum(3, (60_000 / np.arange(1, 301) ** power).astype(int))
        centres = generator.normal(size=(300, 32)) * 2
        x = np.repeat(centres, sizes, axis=0)
        x = x + generator.normal(size=x.shape) * 0.5
        yield f"300 groups, sizes by rank to the {-power}", x.astype(np.float32), 300
    uneven = generator.standard_t(2, size=(100_000, 16)).astype(np.float32)
    yield "Student's t with 2 degrees of freedom", uneven, 500
    repeated = np.repeat(mixture(4_000)[:, :64], generator.zipf(1.5, 4_000) % 200, 0)
    yield "rows repeated by Zipf's law", repeated, 500


def dead(options: argparse.Namespace) -> dict[str, object]:
    """Return how many clusters hold nothing at the end."""
    del options
    empty: dict[str, int] = {}
    for name, x, k in heavy_tailed():
        model = SGDKMeans(k, n_epochs=30).fit(x)
        empty[name] = int(
            np.count_nonzero(np.bincount(model.labels_, minlength=k) == 0)
        )
        print(f"{name}: {len(x):,d} rows, {empty[name]} of {k} empty", flush=True)
    x = mixture(100_000)
    start = np.repeat(x.mean(axis=0)[None], N_CLUSTERS, axis=0)
    used: dict[str, list[int]] = {}
    for reinit in ("far", "split"):
        model = SGDKMeans(
            N_CLUSTERS,
            init=start,
            n_epochs=5,
            minibatch_size=20_000,
            reinit=reinit,
        ).fit(x)
        used[reinit] = [one.n_used for one in model.epoch_statistics_]
        print(f"all centres equal, reinit={reinit}: used {used[reinit]}", flush=True)
    return {"n_empty": empty, "n_used_from_equal": used}


def one_pass(n_rows: int, n_features: int, k: int) -> tuple[float, int]:
    """Return seconds and growth of the resident memory of a pass over so many rows."""
    generator = np.random.default_rng(0)
    piece = generator.normal(size=(10_000, n_features)).astype(np.float32)
    centres = piece[:k].astype(np.float64)
    plan = PassPlan(centres, np.zeros(k, dtype=np.int64), 0.01, 100_000)
    process = psutil.Process()
    shard = ShardPass(plan)
    shard.add(piece)
    before, most = process.memory_info().rss, 0
    started = time.process_time()
    for number in range(n_rows // len(piece)):
        shard.add(piece)
        if number % 10 == 0:
            most = max(most, process.memory_info().rss)
    shard.finish()
    return time.process_time() - started, max(0, most - before)


def memory(options: argparse.Namespace) -> dict[str, object]:
    """Return the memory of a process in a pass at 1 and 4 million rows."""
    del options
    total: dict[str, float] = {}
    for n_rows in (1_000_000, 4_000_000):
        _, grown = one_pass(n_rows, 64, 100)
        total[str(n_rows)] = (psutil.Process().memory_info().rss) / 2**20
        print(f"{n_rows:,d} rows: {total[str(n_rows)]:.0f} MiB, grown by {grown:,d}")
    return {"resident_mib": total}


def growth(options: argparse.Namespace) -> dict[str, object]:
    """Return the seconds of a pass by rows, and the slope of the logarithms."""
    sizes = [n for n in (10**5, 10**6, 10**7) if n <= options.largest]
    with threadpool_limits(1):
        one_pass(10**5, 64, 100)
        seconds = [
            float(np.median([one_pass(n, 64, 100)[0] for _ in range(3)])) for n in sizes
        ]
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    for n, took in zip(sizes, seconds, strict=True):
        print(f"{n:>11,d} rows {took:8.2f} s, {n / took:,.0f} rows/s", flush=True)
    print(f"slope {slope:.3f}")
    return {"rows": sizes, "seconds": seconds, "slope": slope}


PARTS: dict[str, Callable[[argparse.Namespace], object]] = {
    "dead": dead,
    "memory": memory,
    "growth": growth,
    "quality": quality,
}


if __name__ == "__main__":
    main()
