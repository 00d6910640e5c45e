"""How fast the selection is on arrays, and that it is exact.

    python benchmarks/bench_selection.py                    # the table
    python benchmarks/bench_selection.py --parts growth
    python benchmarks/bench_selection.py --parts full       # 300 to 100 million

Parts, each on planted data (``planted.py``, ten views, batches of 10,000, 500 taken):

- table: microseconds a pick at a million candidates: numbers of clusters, pairings,
  weights, prior, a limit per group, two threads; median of repeats that take turns, as
  does the yardstick given by ``--yardstick FILE`` (a module with the function
  ``select(assignments, n_clusters, n_select, b, s, seed)``).
- compile: first use with an empty cache, and the next process.
- growth: microseconds a pick from 10^5 candidates on, a third selected.
- full: 300 million candidates, 100 million selected, in one process; progress is
  printed, memory is the peak of the resident set.

Answers are checked first: small cases against a recount at every choice, the objective
of every selection against a recount of the selected clips.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from planted import planted_into
from record import about

from acav_spark.selection import (
    ContingencyTables,
    at_most,
    batch_greedy,
    bipartite,
    combination,
    diagonal,
    linear_weights,
    objective,
    pair_weights,
)
from acav_spark.selection.fixed_point import gain_units
from acav_spark.selection.in_progress import BatchSettings, SelectionInProgress
from acav_spark.selection.limits import Constraints, no_groups
from acav_spark.selection.pool import CandidatePool

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

    from acav_spark.selection import Selection

MODALITIES = ["visual"] * 5 + ["audio"] * 5
PARTS = ("table", "compile", "growth", "full")
KEEP = 0.6
FULL = (300_000_000, 100_000_000)
# The selection made last, with what it was made from.
LAST: list[tuple[NDArray[np.uint16], Selection, dict[str, Any]]] = []


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    options = parsed_options()
    check_small_cases()
    record: dict[str, object] = {"subject": "selection", **about("numpy", "numba")}
    record["options"] = {k: str(v) for k, v in vars(options).items() if k != "json"}
    for part in options.parts:
        print(f"\n{part}", flush=True)
        record[part] = {
            "table": table,
            "compile": compilation,
            "growth": growth,
            "full": full,
        }[part](options)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["table"])
    parser.add_argument("--clusters", nargs="+", type=int, default=[500])
    parser.add_argument("--n-select", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--yardstick", type=Path, help="module to take turns with")
    parser.add_argument("--largest", type=int, default=10_000_000, help="of growth")
    parser.add_argument("--threads", type=int, default=1, help="of the full run")
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def check_small_cases() -> None:
    """Compare small selections with a recount at every choice."""
    generator = np.random.default_rng(0)
    for seed in range(20):
        ids = generator.integers(4, size=(60, 4))
        pairs = combination(4)
        found = batch_greedy(
            ids, 40, n_clusters=4, pairs=pairs, batch_size=25, per_batch=6, seed=seed
        )
        pool = CandidatePool(60, seed, no_groups(60))
        chosen: list[int] = []
        for batch in range(7):
            rows = pool.draw(25, batch)
            taken: list[int] = []
            for _ in range(min(6, 40 - len(chosen))):
                tables = ContingencyTables.empty(pairs, n_clusters=4, n_views=4)
                tables.count(ids[chosen])
                gains = gain_units(tables.counters[tables.counter_ids(ids[rows])])
                scores = gains @ tables.weights
                scores[taken] = np.iinfo(np.int64).min
                taken.append(int(np.argmax(scores)))
                chosen.append(int(rows[taken[-1]]))
            pool.keep(np.array(taken))
        assert found.indices.tolist() == chosen, seed


def cases(n_clusters: int, n_clips: int) -> dict[str, dict[str, Any]]:
    """Return the options of each row of the table."""
    every = combination(10)
    layers = np.tile(linear_weights(0.5), 2)
    rows: dict[str, dict[str, Any]] = {"all 45 pairs": {"pairs": every}}
    if len(os.sched_getaffinity(0)) > 1:
        rows["all 45 pairs, two threads"] = {"pairs": every, "n_threads": 2}
    rows["bipartite, 25 pairs"] = {"pairs": bipartite(MODALITIES)}
    rows["diagonal, 5 pairs"] = {"pairs": diagonal(MODALITIES)}
    rows["layer weights linear(0.5)"] = {
        "pairs": every,
        "weights": pair_weights(layers, every),
    }
    rows["prior 0.3"] = {"pairs": every, "prior": 0.3}
    rows["one clip a video of three"] = {
        "pairs": every,
        "limits": [at_most(1, np.arange(n_clips) // 3, name="video")],
    }
    for options in rows.values():
        options["n_clusters"] = n_clusters
    return rows


def table(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the microseconds a pick of every case, taking turns."""
    n_clips, n_select = 1_000_000, options.n_select
    yardstick = loaded(options.yardstick)
    found: list[dict[str, object]] = []
    for n_clusters in options.clusters:
        assignments = np.empty((n_clips, 10), dtype=np.uint16)
        is_positive = planted_into(assignments, n_clusters, keep=KEEP, seed=0)
        runs: dict[str, Callable[[int], NDArray[np.int64]]] = {}
        if yardstick is not None:
            runs["yardstick"] = partial(
                selected_by_yardstick, yardstick, assignments, n_clusters, n_select
            )
        for name, kinds in cases(n_clusters, n_clips).items():
            runs[name] = partial(selected, assignments, n_select, kinds)
        found += timed(runs, n_clusters, n_select, options.repeats, is_positive)
    return found


def selected(
    assignments: NDArray[np.uint16], n_select: int, kinds: dict[str, Any], seed: int
) -> NDArray[np.int64]:
    """Select, and keep the selection for the check that follows the clock."""
    selection = batch_greedy(assignments, n_select, seed=seed, **kinds)
    LAST[:] = [(assignments, selection, kinds)]
    return selection.indices


def selected_by_yardstick(
    yardstick: ModuleType,
    assignments: NDArray[np.uint16],
    n_clusters: int,
    n_select: int,
    seed: int,
) -> NDArray[np.int64]:
    """Select by the yardstick."""
    indices: NDArray[np.int64] = yardstick.select(
        assignments, n_clusters, n_select, 10_000, 500, seed
    )
    return indices


def timed(
    runs: dict[str, Callable[[int], NDArray[np.int64]]],
    n_clusters: int,
    n_select: int,
    repeats: int,
    is_positive: NDArray[np.bool_],
) -> list[dict[str, object]]:
    """Return medians of runs that take turns; the first turn compiles and checks."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    precision: dict[str, float] = {}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            indices = run(turn)
            took = time.perf_counter() - started
            if turn == 0:
                precision[name] = float(is_positive[indices].mean())
                if name != "yardstick":
                    check_objective()
            else:
                seconds[name].append(took)
                processor[name].append(time.process_time() - started_cpu)
    rows: list[dict[str, object]] = []
    first = float(np.median(seconds["all 45 pairs"]))
    for name, took_s in seconds.items():
        median = float(np.median(took_s))
        rows.append(
            {
                "n_clusters": n_clusters,
                "case": name,
                "us_a_pick": median / n_select * 1e6,
                "lowest": min(took_s) / n_select * 1e6,
                "highest": max(took_s) / n_select * 1e6,
                "cpu_us_a_pick": float(np.median(processor[name])) / n_select * 1e6,
                "times_first_row": median / first,
                "precision": precision[name],
            }
        )
        r = rows[-1]
        print(
            f"C={n_clusters:<5d} {name:28s} {r['us_a_pick']:7.2f} us "
            f"({r['lowest']:.2f} to {r['highest']:.2f}; cpu "
            f"{r['cpu_us_a_pick']:.2f}) x{r['times_first_row']:.2f} "
            f"precision {r['precision']:.3f}",
            flush=True,
        )
    return rows


def check_objective() -> None:
    """Recount the last selection."""
    ((assignments, selection, kinds),) = LAST
    chosen = assignments[selection.indices]
    assert len(np.unique(selection.indices)) == len(selection.indices)
    if "weights" not in kinds:
        expected = objective(chosen, kinds["pairs"], n_clusters=kinds["n_clusters"])
        assert abs(selection.objective - expected) < 1e-9
    tables = selection.tables.with_counters(np.zeros_like(selection.tables.counters))
    tables.count(chosen)
    np.testing.assert_array_equal(tables.counters, selection.tables.counters)


def loaded(path: Path | None) -> ModuleType | None:
    """Return the yardstick's module."""
    if path is None:
        return None
    spec = importlib.util.spec_from_file_location("yardstick", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compilation(_: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a first small selection, without and with a cache."""
    program = (
        "import time, numpy as np\n"
        "from acav_spark.selection import batch_greedy, combination\n"
        "ids = np.zeros((500, 10), np.uint16)\n"
        "started = time.perf_counter()\n"
        "batch_greedy(ids, 50, n_clusters=5, pairs=combination(10), batch_size=100,\n"
        "             per_batch=10)\n"
        "print(time.perf_counter() - started)\n"
    )
    took = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first_use_s", "next_process_s"):
            done = subprocess.run(  # noqa: S603 - this interpreter, our own program
                [sys.executable, "-c", program],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            took[name] = float(done.stdout)
            print(f"{name} {took[name]:.2f}", flush=True)
    return took


def growth(options: argparse.Namespace) -> dict[str, object]:
    """Return the microseconds a pick by number of candidates, and the slope."""
    sizes, n = [], 100_000
    while n <= options.largest:
        sizes.append(n)
        n = round(n * math.sqrt(10)) if len(sizes) % 2 else 10 * sizes[-2]
    rows = []
    for n_clips in sizes:
        assignments = np.empty((n_clips, 10), dtype=np.uint16)
        planted_into(assignments, 500, keep=KEEP, seed=0)
        n_select, took = n_clips // 3, []
        for seed in range(3 if n_clips <= 10_000_000 else 1):
            started = time.perf_counter()
            for _ in in_progress(assignments, 500, n_select, seed, 1).steps():
                pass
            took.append(time.perf_counter() - started)
        rows.append(
            {"n_clips": n_clips, "us_a_pick": float(np.median(took)) / n_select * 1e6}
        )
        print(f"N={n_clips:>11,d} {rows[-1]['us_a_pick']:7.2f} us", flush=True)
    slope = float(
        np.polyfit(
            np.log([row["n_clips"] for row in rows]),
            np.log([row["us_a_pick"] for row in rows]),
            1,
        )[0]
    )
    print(f"slope of log time by log size: {slope:.3f}")
    return {"rows": rows, "slope": slope}


def full(options: argparse.Namespace) -> dict[str, object]:
    """Select 100 million of 300 million; picks are not kept, as in the engine."""
    n_clips, n_select = FULL
    assignments = np.empty((n_clips, 10), dtype=np.uint16)
    started = time.perf_counter()
    is_positive = planted_into(assignments, 500, keep=KEEP, seed=0)
    print(f"made {n_clips:,d} clips in {time.perf_counter() - started:.0f} s")
    started, cpu = time.perf_counter(), time.process_time()
    selecting = in_progress(assignments, 500, n_select, 0, options.threads)
    n_positive, next_word, last = 0, 5_000_000, 0.0
    log: list[dict[str, float]] = []
    for picks in selecting.steps():
        n_positive += int(is_positive[picks.rows].sum())
        last = float(picks.objectives[-1])
        if selecting.n_done >= next_word:
            next_word += 5_000_000
            log.append(
                {
                    "n_selected": selecting.n_done,
                    "seconds": time.perf_counter() - started,
                    "objective": last,
                    "precision": n_positive / selecting.n_done,
                    "peak_gb": peak_gb(),
                }
            )
            print(json.dumps(log[-1]), flush=True)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    tables = selecting.tables()
    assert tables.n_clips == n_select
    assert abs(tables.objective() - last) < 1e-6
    result: dict[str, object] = {
        "n_clips": n_clips,
        "n_select": n_select,
        "n_threads": options.threads,
        "seconds": took,
        "cpu_seconds": cpu,
        "us_a_pick": took / n_select * 1e6,
        "objective": last,
        "precision": n_positive / n_select,
        "peak_gb": peak_gb(),
        "log": log,
    }
    print({name: value for name, value in result.items() if name != "log"})
    return result


def in_progress(
    assignments: NDArray[np.uint16],
    n_clusters: int,
    n_select: int,
    seed: int,
    n_threads: int,
) -> SelectionInProgress:
    """Return a selection of all pairs that yields its picks batch by batch."""
    none = np.empty(0, dtype=np.int64)
    return SelectionInProgress(
        assignments,
        ContingencyTables.empty(combination(10), n_clusters=n_clusters, n_views=10),
        n_select,
        settings=BatchSettings(seed=seed, n_threads=n_threads),
        constraints=Constraints(len(assignments), n_select, (), none, none),
    )


def peak_gb() -> float:
    """Return the peak of this process's resident set in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
