"""What a round of ``engine: broadcast`` costs beside picking, and how fast it picks.

Clips with planted correspondence are written as lanes; a selection goes on from tables
of as many clips as there are candidates, so that rounds are long from the first. The
answer is checked before anything is reported: rows distinct, tables recounted, gains
replayed. The core (``extend``) then runs on the same cores, one process for each.
Prints a table and, with ``--json FILE``, writes a record.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import psutil

from acav_spark.selection import ContingencyTables, combination, extend
from acav_spark.selection.lane_batches import lane_starts
from acav_spark.selection.lane_files import LaneFiles
from acav_spark.selection.lane_settings import LaneSettings
from acav_spark.selection.lanes_job import select_in_lanes
from acav_spark.selection.replaying import replay_into
from acav_spark.selection.staging import PickStaging
from acav_spark.session import get_session
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.lanes_job import LaneOutcome

N_VIEWS = 10
# Most seconds of a round beside picking (of processors, which other work on the machine
# hardly lengthens), and the least share of the core's speed.
MOST_BESIDE_S = 3.0
LEAST_SHARE = 0.5


def main() -> None:
    """Run, check, print the table, write the record, and fail if it falls short."""
    options = parsed_options()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        clusters = planted(options.n_clips, options.n_clusters, options.seed)
        record = measured(options, clusters, Path(scratch))
    print_table(record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    assert cast("float", record["beside_cpu_s"]) <= MOST_BESIDE_S
    assert cast("float", record["picking_share_of_core"]) >= LEAST_SHARE


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-clips", type=int, default=8_000_000)
    parser.add_argument("--n-clusters", type=int, default=500)
    parser.add_argument("--n-rounds", type=int, default=5)
    parser.add_argument("--n-cores", type=int, default=2)
    parser.add_argument("--n-lanes", type=int, default=64)
    parser.add_argument("--growth", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", help="Folder for the lanes; a temporary one.")
    parser.add_argument("--json", type=Path, help="Where to write the record.")
    return parser.parse_args()


def planted(n_clips: int, n_clusters: int, seed: int) -> NDArray[np.uint16]:
    """Return cluster ids of which 29 % of the clips agree, a view in 60 %."""
    generator = np.random.default_rng(seed)
    half = N_VIEWS // 2
    first = generator.integers(n_clusters, size=n_clips, dtype=np.uint16)
    second = generator.integers(n_clusters, size=n_clips, dtype=np.uint16)
    second = np.where(generator.random(n_clips) < 0.29, first, second)
    clusters = np.empty((n_clips, N_VIEWS), dtype=np.uint16)
    for view in range(N_VIEWS):
        noise = generator.integers(n_clusters, size=n_clips, dtype=np.uint16)
        shown = first if view < half else second
        is_shown = generator.random(n_clips, dtype=np.float32) < 0.6
        clusters[:, view] = np.where(is_shown, shown, noise)
    return clusters


def measured(
    options: argparse.Namespace, clusters: NDArray[np.uint16], scratch: Path
) -> dict[str, object]:
    """Return the record of a run whose answer was checked."""
    files = written(clusters, scratch / "lanes", options)
    before = ContingencyTables.from_assignments(
        clusters, combination(N_VIEWS), n_clusters=options.n_clusters
    )
    settings = LaneSettings(options.n_lanes, max_round_growth=options.growth)
    n_round = int(options.growth * before.n_clips)
    spark = get_session(
        {
            "spark.master": f"local[{options.n_cores},4]",
            "spark.local.dir": str(scratch / "spark"),
        }
    )
    staging = PickStaging(Folder(str(scratch / "picks")), {})
    cpu: list[float] = []
    outcome = select_in_lanes(
        spark,
        files,
        staging,
        before=before,
        n_select=options.n_rounds * n_round,
        settings=settings,
        progress=lambda _done, _total: cpu.append(cpu_seconds()),
    )
    check(staging, outcome, before, clusters)
    spark.stop()
    core, core_us = core_speed(options, before, clusters)
    # The first round starts the workers and loads the compiled code.
    rounds = outcome.seconds[1:]
    picks = np.diff(
        np.flatnonzero(np.diff(batches_of(staging), prepend=-1)),
        append=staging.n_picks,
    )[1:]
    clock = [s.total - s.picking / options.n_cores for s in rounds]
    pairs = zip(np.diff(cpu).tolist(), rounds, strict=True)
    beside = [total - s.picking_cpu for total, s in pairs]
    us = sum(s.picking_cpu for s in rounds) / float(sum(picks)) * 1e6
    speed = float(sum(picks) / sum(s.total for s in rounds))
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        "git": commit(),
        "machine": f"{platform.machine()}, {options.n_cores} cores used",
        "load": f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "numba", "pyspark")},
        "settings": {
            k: str(v) for k, v in vars(options).items() if k != "json" and v is not None
        },
        "rounds": [
            {**s._asdict(), "n_picks": int(n), "total": s.total, "cpu": b, "clock": c}
            for n, s, b, c in zip(picks, rounds, beside, clock, strict=True)
        ],
        "beside_cpu_s": float(np.median(beside)),
        "beside_clock_s": float(np.median(clock)),
        "picking_cpu_us": us,
        "core_cpu_us": core_us,
        "picking_share_of_core": core_us / us,
        "picks_per_s": speed,
        "core_picks_per_s": core,
        "share_of_core": speed / core,
        "staleness": outcome.staleness,
    }


def written(
    clusters: NDArray[np.uint16], folder: Path, options: argparse.Namespace
) -> LaneFiles:
    """Return lanes, written without Spark."""
    files = LaneFiles(str(folder), len(clusters), options.n_lanes, N_VIEWS, False)
    starts = lane_starts(len(clusters), options.n_lanes)
    for lane in range(options.n_lanes):
        files.write(lane, clusters[starts[lane] : starts[lane + 1]])
    return files


def batches_of(staging: PickStaging) -> NDArray[np.int32]:
    """Return the round of every pick."""
    return np.concatenate([t["batch"].to_numpy() for t in staging.tables()])


def check(
    staging: PickStaging,
    outcome: LaneOutcome,
    before: ContingencyTables,
    clusters: NDArray[np.uint16],
) -> None:
    """Assert that picks are distinct, counts a recount and gains a replay."""
    rows = np.concatenate([t["row_number"].to_numpy() for t in staging.tables()])
    gains = np.concatenate([t["gain"].to_numpy() for t in staging.tables()])
    assert len(np.unique(rows)) == len(rows) == staging.n_picks
    tables = before.copy()
    tables.count(clusters[rows])
    assert np.array_equal(tables.counters, outcome.tables.counters)
    first = slice(0, 200_000)
    replayed, _, _ = replay_into(before, clusters, rows[first])
    assert np.array_equal(replayed, gains[first])


def cpu_seconds() -> float:
    """Return the processor time of this process and all it started, so far."""
    own = psutil.Process()
    times = [process.cpu_times() for process in [own, *own.children(recursive=True)]]
    return float(sum(t.user + t.system for t in times))


def core_speed(
    options: argparse.Namespace,
    before: ContingencyTables,
    clusters: NDArray[np.uint16],
) -> tuple[float, float]:
    """Return the core's picks a second, a process on each core, and CPU us a pick."""
    with ProcessPoolExecutor(options.n_cores) as pool:
        share = len(clusters) // options.n_cores
        parts = [clusters[i * share : (i + 1) * share] for i in range(options.n_cores)]
        speeds = list(pool.map(_core_speed, [before] * len(parts), parts))
    return sum(s for s, _ in speeds), float(np.mean([us for _, us in speeds]))


def _core_speed(
    before: ContingencyTables, clusters: NDArray[np.uint16]
) -> tuple[float, float]:
    extend(before, clusters[:50_000], 500)
    times: list[tuple[float, float, int]] = []
    extend(
        before,
        clusters,
        100_000,
        progress=lambda done, _: times.append(
            (time.perf_counter(), time.process_time(), done)
        ),
    )
    (first_s, first_cpu, first), (last_s, last_cpu, last) = times[0], times[-1]
    n = last - first
    return n / (last_s - first_s), (last_cpu - first_cpu) / n * 1e6


def commit() -> str:
    """Return the hash of the commit that is checked out."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    return found.stdout.strip()


def print_table(record: dict[str, object]) -> None:
    """Print where the time of each round went."""
    names = (
        *("n_picks", "total", "picking", "picking_cpu", "clock", "cpu"),
        *("planning", "broadcasting", "tasks", "merging", "committing"),
    )
    print("".join(f"{name:>13}" for name in names))
    for row in cast("list[dict[str, float]]", record["rounds"]):
        print("".join(f"{row[name]:13.2f}" for name in names))
    for name, value in record.items():
        if isinstance(value, float):
            print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
