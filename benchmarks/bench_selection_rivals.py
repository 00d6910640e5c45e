"""How selection compares with other ways to choose clips: time, memory, quality.

    python benchmarks/bench_selection_rivals.py --json results/selection_rivals.json

Every method selects from the same clips with planted correspondence (``planted.py``) in
a process of its own, at growing sizes until it takes longer than ``--limit-s``. Two
optional packages are compared where they are installed; where not, the table says so.
Both install beside the pinned packages (numpy 2.4.6), and are in no extra:

    pip install -c constraints.txt apricot-select==0.6.1 submodlib-py==0.0.3

- ours: Algorithm 1 (``batch_greedy``), also with the recommended prior and in the
  ``released`` mode.
- dense: the arithmetic of the authors' published code, written from its description: a
  table of every pair for every candidate, float32, a batch scored once.
- apricot: greedy choice by our objective as its custom function (lazy choice would not
  be valid, mutual information not being submodular); and its feature-based function on
  the cells of the tables, which spreads the selection over cells.
- submodlib: facility location mutual information between the selection and 200 clips
  that stand for all, similarity being the share of views in the same cluster. It is
  another quantity than mutual information between clusterings.
- pointwise ranking, and a random selection.

The file is long since every rival is here in full, to be read side by side.

Memory is the peak of the process's resident set, with its libraries; time is without
imports, compilation and drawing the clips. Time a pick is processor time, which other
work on the machine disturbs less than the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from planted import Planted, planted
from record import about, installed_version

from acav_spark.selection import (
    batch_greedy,
    combination,
    objective,
    random_selection,
)
from acav_spark.selection.ranking import pointwise_ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PAIRS = combination(10)
KEEP = 0.45
# Floats in one dense block of candidates: 256 MB.
DENSE_BLOCK = 1 << 26


@dataclass(frozen=True)
class Size:
    """How many clips there are, how many are selected, and by which batches."""

    name: str
    n_clips: int
    n_clusters: int
    n_select: int
    batch_size: int
    per_batch: int


SIZES = {
    size.name: size
    for size in (
        Size("tiny", 500, 20, 50, 100, 5),
        Size("small", 2_000, 100, 200, 200, 10),
        Size("middle", 20_000, 100, 1_000, 1_000, 50),
        Size("large", 1_000_000, 500, 100_000, 10_000, 500),
    )
}


def main() -> None:
    """Run every method at every size, print the table, write the record."""
    options = parsed_options()
    if options.method:
        seconds = int(options.limit_s)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        print(json.dumps(run_here(options.method, SIZES[options.size], options.seed)))
        return
    rows = []
    methods = options.methods or list(METHODS)
    for method in methods:
        row: dict[str, object] = {}
        for size in SIZES.values():
            row = run_in_child(method, size, options)
            rows.append(row)
            print(line_of(row), flush=True)
            if "seconds" not in row:
                break
        if method == "dense" and "seconds" not in row:
            rows.append(extrapolated_dense(SIZES["large"], options.seed))
            print(line_of(rows[-1]), flush=True)
    print()
    print(table_of(rows))
    check(rows)
    if options.json:
        rows = others(options.json, methods) + rows
        record = {
            "subject": "selection against other ways to choose",
            **about("numpy", "numba", "scipy", "apricot-select", "submodlib-py"),
            "seed": options.seed,
            "limit_s": options.limit_s,
            "keep": KEEP,
            "sizes": [asdict(size) for size in SIZES.values()],
            "results": rows,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--limit-s",
        type=float,
        default=60.0,
        help="of processor time, with imports and drawing; five times of the clock",
    )
    parser.add_argument("--json", type=Path, help="keeps what it has of other methods")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    return parser.parse_args()


def others(path: Path, methods: list[str]) -> list[dict[str, object]]:
    """Return a record's rows of other methods; none if there is no record."""
    if not path.exists():
        return []
    former = json.loads(path.read_text(encoding="utf-8"))["results"]
    return [row for row in former if row["method"] not in methods]


def check(rows: list[dict[str, object]]) -> None:
    """Refuse figures of a run in which ours has not the highest objective."""
    for size in ("tiny", "middle"):
        found = {
            str(row["method"]): float(str(row["objective"]))
            for row in rows
            if row["size"] == size and "objective" in row
        }
        if {"ours", "random"} <= set(found):
            assert found["ours"] > found["random"], found


def run_in_child(
    method: str, size: Size, options: argparse.Namespace
) -> dict[str, object]:
    """Return what a method comes to in a process of its own."""
    about_run: dict[str, object] = {"method": method, "size": size.name}
    package = PACKAGE_OF.get(method)
    if package and installed_version(package) is None:
        return {**about_run, "remark": f"{package} is not installed"}
    command = [sys.executable, __file__, "--method", method, "--size", size.name]
    command += ["--seed", str(options.seed), "--limit-s", str(options.limit_s)]
    stopped = f"stopped after {options.limit_s:.0f} s"
    try:
        done = subprocess.run(  # noqa: S603 - this script
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * options.limit_s,
        )
    except subprocess.TimeoutExpired:
        return {**about_run, "remark": f"{stopped} times 5 of the clock"}
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {**about_run, "remark": f"{stopped} of processor time"}
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {**about_run, "remark": f"failed: {last[:200]}"}
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**about_run, **found}


def run_here(method: str, size: Size, seed: int) -> dict[str, object]:
    """Return time, memory and quality of a method in this process."""
    choose = METHODS[method]
    warm = Size("warm", 60, 5, 6, 12, 3)
    choose(planted(warm.n_clips, warm.n_clusters, keep=KEEP, seed=seed), warm, seed)
    data = planted(size.n_clips, size.n_clusters, keep=KEEP, seed=seed)
    before = peak_mib()
    started, cpu_started = time.perf_counter(), time.process_time()
    chosen = choose(data, size, seed)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    memory = peak_mib()
    assert len(np.unique(chosen)) == size.n_select, (len(chosen), size)
    return {
        "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu_seconds, 4),
        "us_per_pick": round(cpu_seconds / size.n_select * 1e6, 2),
        "peak_mib": round(memory),
        "peak_before_mib": round(before),
        "objective": round(
            objective(data.assignments[chosen], PAIRS, n_clusters=size.n_clusters), 4
        ),
        "precision": round(float(data.is_positive[chosen].mean()), 4),
    }


def peak_mib() -> float:
    """Return the peak of this process's resident set, in MiB (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def ours(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Algorithm 1 of the paper."""
    return _greedy(data, size, seed, prior=None)


def ours_prior(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Algorithm 1 with the recommended prior."""
    return _greedy(data, size, seed, prior="recommended")


def ours_released(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Choose by the authors' published algorithm, with our tables."""
    return batch_greedy(
        data.assignments,
        size.n_select,
        n_clusters=size.n_clusters,
        pairs=PAIRS,
        batch_size=size.batch_size,
        per_batch=size.per_batch,
        seed=seed,
        mode="released",
    ).indices


def _greedy(
    data: Planted, size: Size, seed: int, *, prior: Literal["recommended"] | None
) -> NDArray[np.int64]:
    return batch_greedy(
        data.assignments,
        size.n_select,
        n_clusters=size.n_clusters,
        pairs=PAIRS,
        batch_size=size.batch_size,
        per_batch=size.per_batch,
        prior=prior,
        seed=seed,
    ).indices


def pointwise(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Mean pointwise mutual information under the population's tables."""
    del seed
    return pointwise_ranking(
        data.assignments, size.n_select, n_clusters=size.n_clusters, pairs=PAIRS
    )


def at_random(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Clips drawn at random."""
    return random_selection(len(data.assignments), size.n_select, seed=seed)


def dense(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Dense float32 tables of every candidate; a batch is scored once."""
    generator = np.random.default_rng(seed)
    ids = data.assignments.astype(np.int64)
    counts = np.zeros((len(PAIRS), size.n_clusters, size.n_clusters), np.float32)
    chosen = generator.integers(len(ids), size=1)
    add(counts, ids[chosen])
    while len(chosen) < size.n_select:
        left = np.setdiff1d(np.arange(len(ids)), chosen)
        batch = generator.permutation(left)[: size.batch_size]
        scores = dense_scores(counts, ids[batch])
        n = min(size.per_batch, size.n_select - len(chosen))
        best = batch[np.argsort(-scores, kind="stable")[:n]]
        add(counts, ids[best])
        chosen = np.concatenate([chosen, best])
    return chosen


def dense_scores(
    counts: NDArray[np.float32], ids: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean mutual information with each candidate added, in nats."""
    first, second = np.array(PAIRS).T
    step = max(1, DENSE_BLOCK // counts.size)
    scores = np.empty(len(ids), dtype=np.float32)
    for start in range(0, len(ids), step):
        block = ids[start : start + step]
        tables = np.repeat(counts[None], len(block), axis=0)
        clips, places = np.arange(len(block))[:, None], np.arange(len(PAIRS))
        tables[clips, places, block[:, first], block[:, second]] += 1
        tables /= tables.sum(axis=(2, 3), keepdims=True)
        chance = tables.sum(axis=3, keepdims=True) * tables.sum(axis=2, keepdims=True)
        tiny = np.float32(1e-12)
        terms = tables * np.log((tables + tiny) / (chance + tiny))
        scores[start : start + step] = terms.sum(axis=(2, 3)).mean(axis=1)
    return scores


def add(counts: NDArray[np.float32], ids: NDArray[np.int64]) -> None:
    """Count clips into the dense tables, in place."""
    for place, (u, v) in enumerate(PAIRS):
        np.add.at(counts[place], (ids[:, u], ids[:, v]), 1)


def extrapolated_dense(size: Size, seed: int) -> dict[str, object]:
    """Return what the dense scoring of a few candidates lets expect, so labelled."""
    data = planted(20_000, size.n_clusters, keep=KEEP, seed=seed)
    ids = data.assignments.astype(np.int64)
    counts = np.zeros((len(PAIRS), size.n_clusters, size.n_clusters), np.float32)
    add(counts, ids)
    n_scored = 20
    started = time.process_time()
    dense_scores(counts, ids[:n_scored])
    seconds = (time.process_time() - started) / n_scored
    per_pick = seconds * size.batch_size / size.per_batch
    return {
        "method": "dense",
        "size": size.name,
        "us_per_pick": round(per_pick * 1e6),
        "remark": f"extrapolated from scoring {n_scored} candidates: "
        f"{per_pick:.1f} s a pick, {per_pick * size.n_select / 86_400:.0f} days in all",
    }


def apricot_custom(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Greedy choice by apricot, our objective being its function."""
    from apricot import CustomSelection

    c = size.n_clusters
    first, second = np.array(PAIRS).T
    tables, views = np.arange(len(PAIRS)) * c * c, np.arange(data.assignments.shape[1])

    def value(rows: NDArray[np.float64]) -> float:
        """Return the objective by one count of all cells (unlike ``objective``)."""
        ids = rows.astype(np.int64)
        cells = np.bincount((tables + ids[:, first] * c + ids[:, second]).ravel())
        margins = np.bincount((views * c + ids).ravel())
        in_margins = (len(views) - 1) * sum_of_n_log_n(margins)
        sums = sum_of_n_log_n(cells) - in_margins
        return float(np.log(len(ids)) + sums / len(ids) / len(PAIRS))

    model = CustomSelection(
        size.n_select, value, optimizer="naive", random_state=seed
    ).fit(data.assignments.astype(np.float64))
    return np.asarray(model.ranking, dtype=np.int64)


def sum_of_n_log_n(counts: NDArray[np.int64]) -> float:
    """Return the sum of ``n log n``; zeros count nothing."""
    n = counts[counts > 1].astype(np.float64)
    return float((n * np.log(n)).sum())


def apricot_features(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Feature-based choice by apricot, a feature for each cell of the tables."""
    from apricot import FeatureBasedSelection
    from scipy.sparse import csr_matrix

    c, n = size.n_clusters, size.n_clips
    ids = data.assignments.astype(np.int64)
    first, second = np.array(PAIRS).T
    cells = (ids[:, first] * c + ids[:, second]) + np.arange(len(PAIRS)) * c * c
    features = csr_matrix(
        (np.ones(cells.size), cells.ravel(), np.arange(n + 1) * len(PAIRS)),
        shape=(n, len(PAIRS) * c * c),
    )
    model = FeatureBasedSelection(
        size.n_select, "sqrt", optimizer="lazy", random_state=seed
    ).fit(features)
    return np.asarray(model.ranking, dtype=np.int64)


def submodlib_query(data: Planted, size: Size, seed: int) -> NDArray[np.int64]:
    """Facility location mutual information with 200 clips that stand for all."""
    from submodlib import FacilityLocationVariantMutualInformationFunction

    queries = random_selection(size.n_clips, min(200, size.n_clips), seed=seed)
    ids = data.assignments
    kernel = np.zeros((len(ids), len(queries)), dtype=np.float32)
    for view in range(ids.shape[1]):
        kernel += ids[:, view, None] == ids[queries, view]
    function = FacilityLocationVariantMutualInformationFunction(
        n=len(ids), num_queries=len(queries), query_sijs=kernel / ids.shape[1]
    )
    picks = function.maximize(
        budget=size.n_select,
        optimizer="NaiveGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        show_progress=False,
    )
    return np.array([place for place, _ in picks], dtype=np.int64)


METHODS: dict[str, Callable[[Planted, Size, int], NDArray[np.int64]]] = {
    "ours": ours,
    "ours, prior": ours_prior,
    "ours, released": ours_released,
    "pointwise": pointwise,
    "random": at_random,
    "dense": dense,
    "apricot, objective": apricot_custom,
    "apricot, features": apricot_features,
    "submodlib": submodlib_query,
}
PACKAGE_OF = {
    "apricot, objective": "apricot-select",
    "apricot, features": "apricot-select",
    "submodlib": "submodlib-py",
}


def line_of(row: dict[str, object]) -> str:
    """Return one line about a row, while it runs."""
    return " ".join(f"{key}={value}" for key, value in row.items())


def table_of(rows: list[dict[str, object]]) -> str:
    """Return a table in Markdown."""
    columns = (
        *("n_select", "seconds", "cpu_seconds", "us_per_pick", "peak_mib"),
        *("objective", "precision", "remark"),
    )
    lines = [
        "| method | size | " + " | ".join(columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row in rows:
        row = {**row, "n_select": SIZES[str(row["size"])].n_select}
        values = [str(row.get(column, "")) for column in columns]
        lines.append(
            f"| {row['method']} | {row['size']} | " + " | ".join(values) + " |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
