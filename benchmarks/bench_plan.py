"""Compare what `acav plan` foretells with what `acav run` takes.

In each turn a few of the videos are calibrated on, the run of all of them is predicted,
and then done, each in processes of their own. Told apart by stage: the wall clock,
which contains whatever else the machine does meanwhile, and processor time, which
hardly does. On a machine that is busy with other work only the latter says something.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from record import about

if TYPE_CHECKING:
    from acav_spark.runs import StageResult

ROOT = Path(__file__).parents[1]
PACKAGES = ("pyspark", "delta-spark", "numpy", "numba", "av")
# The aim: predicted within so much of what is taken.
AIM = 0.25


def main() -> None:
    """Predict, run, compare; end with an error where the run is not whole."""
    options = parsed_options()
    if options.warehouse:
        print(json.dumps(run_and_watch(options.videos, options.warehouse)))
        return
    videos = (options.data / "videos").resolve()
    turns: list[dict[str, Any]] = []
    for turn in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            turns.append(one_turn(videos, Path(folder), options.rates))
        print(f"turn {turn + 1}")
        print_table(turns[-1])
    errors = {
        kind: statistics.median(turn["errors"][kind] for turn in turns)
        for kind in ("wall", "core")
    }
    print({kind: f"{error:+.0%}" for kind, error in errors.items()})
    if options.json:
        record = {
            **about(*PACKAGES),
            "n_turns": len(turns),
            "aim": AIM,
            "median_errors": errors,
            "turns": turns,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if options.check:
        assert abs(errors[options.check]) <= AIM, errors


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rates", type=Path, help="rates instead of a calibration")
    parser.add_argument(
        "--check", choices=["wall", "core"], help="end with an error beyond 25 %%"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--videos", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--warehouse", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def one_turn(videos: Path, folder: Path, rates: Path | None) -> dict[str, Any]:
    """Calibrate on some videos, predict for all, run all; return all three."""
    common = ["--config", "local", "--set", f'input.uri="{videos}"']
    load = [os.getloadavg()[0]]
    if rates is None:
        rates = folder / "rates.json"
        acav("plan", "--calibrate", "--rates", str(rates), *common)
    load.append(os.getloadavg()[0])
    predicted = json.loads(
        acav(
            *("plan", "--from-input", "--hardware", "local", "--json"),
            *("--rates", str(rates), *common),
        )
    )
    taken = json.loads(
        python(
            *(__file__, "--videos", str(videos), "--warehouse", str(folder / "w")),
        ).splitlines()[-1]
    )
    load.append(os.getloadavg()[0])
    foretold = {
        stage["name"]: (stage["wall_hours"] * 3600, stage["core_hours"] * 3600)
        for stage in predicted["stages"]
    }
    foretold["start and end"] = (
        predicted["other_hours"] * 3600,
        predicted["other_core_hours"] * 3600,
    )
    nothing = (0.0, 0.0)  # foretold of stages that no plan has, and that are off here
    rows = {
        name: {
            "predicted_wall_s": foretold.get(name, nothing)[0],
            "taken_wall_s": taken["stages"][name][0],
            "predicted_core_s": foretold.get(name, nothing)[1],
            "taken_core_s": taken["stages"][name][1],
        }
        for name in taken["stages"]
    }
    rows["all"] = {
        key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))
    }
    whole = rows["all"]
    return {
        "rates": json.loads(rates.read_text(encoding="utf-8")),
        "load": load,
        "clips": {"predicted": predicted["n_clips"], "taken": taken["n_clips"]},
        "stages": rows,
        "errors": {
            kind: whole[f"predicted_{kind}_s"] / whole[f"taken_{kind}_s"] - 1
            for kind in ("wall", "core")
        },
    }


def run_and_watch(videos: Path, warehouse: Path) -> dict[str, object]:
    """Do what `acav run` does; return each stage's wall clock and processor time."""
    import psutil

    from acav_spark.cli_support import CONSOLE, Options, opened
    from acav_spark.pipeline import run_stages, stages_named
    from acav_spark.planning.processor import Clock
    from acav_spark.report.counts_job import gather_counts
    from acav_spark.report.text import funnel_table

    clock = Clock()
    begun_core_s = clock.look()
    begun = time.time() - psutil.Process().create_time()
    options = Options(
        Path("local"),
        [f'input.uri="{videos}"', f'storage.root="{warehouse}"'],
        quiet=True,
    )
    stages: dict[str, tuple[float, float]] = {}
    with clock.watching(), opened(options, reads_input=True) as context:
        wall_s, core_s = clock.lap()
        start = (begun + wall_s, begun_core_s + core_s)

        def note(result: StageResult) -> None:
            stages[result.stage] = clock.lap()

        run_stages(context, stages_named([]), note)
        steps = gather_counts(context)
        CONSOLE.print(funnel_table(*steps))
        end = clock.lap()
        n_clips = context.warehouse.read("clips").count()
        n_files = sum(1 for path in videos.iterdir() if path.suffix != ".csv")
        n_videos = context.warehouse.read("videos").count()
        assert n_videos == n_files, (n_videos, n_files)
    stages["start and end"] = (start[0] + end[0], start[1] + end[1])
    return {"stages": stages, "n_clips": n_clips}


def acav(*words: str) -> str:
    """Return what a command of the package prints."""
    return python("-c", "from acav_spark.cli import main; main()", *words)


def python(*words: str) -> str:
    """Return what a Python process prints; its messages pass on."""
    done = subprocess.run(  # noqa: S603 - this script, or the package's command
        [sys.executable, *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    return done.stdout


def print_table(turn: dict[str, Any]) -> None:
    """Print the predicted and the taken seconds of every stage."""
    print(f"{'stage':<18}{'wall clock, s':>28}{'processor time, s':>28}")
    for name, row in turn["stages"].items():
        parts = [f"{name:<18}"]
        for kind in ("wall", "core"):
            said, took = row[f"predicted_{kind}_s"], row[f"taken_{kind}_s"]
            ratio = f"{said / took - 1:+.0%}" if took else ""
            parts.append(f"{said:>9.1f} /{took:>8.1f} {ratio:>8}")
        print("".join(parts))


if __name__ == "__main__":
    main()
