"""How much faster the stage ``segment_clips`` is on two cores than on one.

Makes a video of 640 by 360 pixels from the real clips of the test data, lists it many
times under other ids, and runs the stage's own function over the list under
``local[1]`` and ``local[2]`` in turns, each in a process and session of its own, after
a warm-up in the same session. Beside it, what this machine's cores give at most: ffmpeg
that decodes the video with one thread, alone and twice at a time.

    python benchmarks/bench_segmentation_cores.py --data ../shared/data
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

import imageio_ffmpeg
from bench_segmentation import built_video
from record import about

from acav_spark.config import load_config
from acav_spark.segment.job import _rules, _segment_all
from acav_spark.session import get_session

PACKAGES = ("av", "numpy", "opencv-python-headless", "pyspark")
ROOT = Path(__file__).resolve().parents[1]
LEAST = 1.7


def main() -> None:
    """Build the video, measure in turns, print, write and check."""
    options = parsed_options()
    if options.cores:
        print(stage_seconds(options.video, options.n_videos, options.cores))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = built_video(options.data / "videos", Path(scratch), options.seconds)
        walls: dict[str, list[float]] = {
            name: [] for name in ("one_core", "two_cores", "ffmpeg_one", "ffmpeg_two")
        }
        for turn in range(options.repeats):
            walls["one_core"].append(in_own_process(path, options.n_videos, 1))
            walls["two_cores"].append(in_own_process(path, options.n_videos, 2))
            walls["ffmpeg_one"].append(ffmpeg_seconds(path, 1))
            walls["ffmpeg_two"].append(ffmpeg_seconds(path, 2))
            print({name: round(values[turn], 2) for name, values in walls.items()})
    seconds = {name: statistics.median(values) for name, values in walls.items()}
    ratios = {
        "stage": seconds["one_core"] / seconds["two_cores"],
        # Two at a time do twice the work.
        "ffmpeg": 2 * seconds["ffmpeg_one"] / seconds["ffmpeg_two"],
    }
    print({name: round(ratio, 3) for name, ratio in ratios.items()})
    if options.json:
        record = {
            **about(*PACKAGES),
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
            "n_videos": options.n_videos,
            "seconds_of_video": options.seconds,
            "load": os.getloadavg(),
            "wall_seconds": walls,
            "ratios": ratios,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    assert ratios["stage"] >= LEAST, ratios


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--n-videos", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(path: Path, n_videos: int, n_cores: int) -> float:
    """Return the wall clock of the stage with so many cores."""
    done = subprocess.run(  # noqa: S603 - this script
        [
            *(sys.executable, __file__, "--cores", str(n_cores)),
            *("--video", str(path), "--n-videos", str(n_videos)),
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    return float(done.stdout.split()[-1])


def stage_seconds(path: Path, n_videos: int, n_cores: int) -> float:
    """Return the wall clock of segmenting the video so many times, when warm."""
    spark = get_session({"spark.master": f"local[{n_cores},4]"})
    config = load_config(
        ROOT / "conf" / "local.yaml", [f"input.uri={path}", "storage.root=unused"]
    ).config
    rules = _rules(config)

    def seconds(n: int) -> float:
        rows = [(f"v{i}", str(path), None) for i in range(n)]
        items = spark.createDataFrame(
            rows, "item_id STRING, uri STRING, duration_s DOUBLE"
        )
        started = time.perf_counter()
        segmented = _segment_all(items.repartition(n), rules=rules).collect()
        taken = time.perf_counter() - started
        failed = [row for row in segmented if row["n_clips"] is None]
        assert len(segmented) == n, len(segmented)
        assert not failed, failed
        assert len({str(row["shot_starts_s"]) for row in segmented}) == 1
        return taken

    seconds(n_cores)
    return seconds(n_videos)


def ffmpeg_seconds(path: Path, n_processes: int) -> float:
    """Return the wall clock of decoding with ffmpeg, so many at a time."""
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"),
        *("-threads", "1", "-filter_threads", "1", "-i", f"file:{path}"),
        *("-f", "null", "-"),
    ]
    started = time.perf_counter()
    running = [
        subprocess.Popen(command)  # noqa: S603 - our own command line
        for _ in range(n_processes)
    ]
    assert [one.wait() for one in running] == [0] * n_processes
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
