"""What decoding takes of a worker's memory, for how long, and what it gives back.

Three parts, each of which ends with an error when it falls short:

- ``slope``: many decodes of a clip of one second in one child that is never replaced;
  every twentieth file is damaged. Its memory must not grow, nor its open files.
- ``peak``: a 1080p video of several lengths; the child's greatest resident memory.
- ``length``: a video repeated up to an hour; processor time and memory by length.

Real clips come from the folder of test data. Prints a table and, with ``--json FILE``,
writes a record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import imageio_ffmpeg
import numpy as np
import psutil
from record import about

from acav_spark.errors import MediaError
from acav_spark.media import (
    AudioSampling,
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
)
from acav_spark.segment.isolated import measure_video_isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_SLOPE_BYTES = 1024.0
MOST_PEAK_BYTES = 400e6
# Processor time of a second of video in the longest one, over that in the shortest.
MOST_GROWTH = 1.15
_EVERY = 100
_UNLIMITED = Limits(time_s=3600, n_calls_before_recycle=10**9)


def main() -> None:
    """Run the parts asked for, print, write the record, fail where one falls short."""
    options = parsed_options()
    parts: dict[str, Callable[[argparse.Namespace, Path], dict[str, object]]] = {
        "slope": slope,
        "peak": peak,
        "length": length,
    }
    with tempfile.TemporaryDirectory() as scratch:
        results = {name: parts[name](options, Path(scratch)) for name in options.parts}
    record = {**about("av", "numpy"), "parts": results}
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    fallen_short = [name for name in results if results[name]["is_enough"] is not True]
    assert not fallen_short, f"{fallen_short} fell short"


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    here = Path(__file__).resolve().parents[1]
    data = os.environ.get("ACAV_TEST_DATA", str(here.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["slope", "peak", "length"])
    parser.add_argument("--n-decodes", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 40, 120])
    parser.add_argument("--minutes", type=float, nargs="+", default=[7.5, 15, 30, 60])
    parser.add_argument("--videos", type=Path, default=Path(data) / "videos")
    parser.add_argument("--json", type=Path, help="Where to write the record.")
    return parser.parse_args()


def slope(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return how a child's memory and open files change with the clips it decodes.

    The slope is that of a line through the second half: the first half loads code and
    fills the allocator's free lists.
    """
    clip = repeated(options.videos / "obama_speech.mp4", scratch / "1s.mp4", 1.0)
    damaged = scratch / "damaged.mp4"
    data = bytearray(clip.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    damaged.write_bytes(data)
    counts: list[int] = []
    memory: list[int] = []
    files: list[int] = []
    began = time.perf_counter()
    with Sandbox(_UNLIMITED) as sandbox:
        for number in range(options.n_decodes):
            path = damaged if number % 20 == 19 else clip
            # The damaged one may fail, the good one may not.
            with suppress(MediaError) if path is damaged else nullcontext():
                decoded_once(sandbox, path, number)
            if number % _EVERY == 0:
                child = psutil.Process(cast("int", sandbox.child_pid))
                counts.append(number)
                memory.append(child.memory_info().rss)
                files.append(child.num_fds())
    half = len(counts) // 2
    bytes_a_clip = float(np.polyfit(counts[half:], memory[half:], 1)[0])
    result: dict[str, object] = {
        "n_decodes": options.n_decodes,
        "seconds": round(time.perf_counter() - began, 1),
        "slope_bytes_a_clip": round(bytes_a_clip, 1),
        "first_bytes": memory[0],
        "half_bytes": memory[half],
        "last_bytes": memory[-1],
        "open_files": sorted(set(files)),
        "is_enough": bytes_a_clip < MOST_SLOPE_BYTES and len(set(files[1:])) == 1,
    }
    print("slope", result)
    return result


def decoded_once(sandbox: Sandbox, path: Path, number: int) -> None:
    """Decode a clip once: by turns as segmentation and as extraction do it."""
    if number % 2:
        measured = measure_video_isolated(sandbox, path)
        assert measured.n_frames > 0
        return
    decoded = decode_clip_isolated(
        sandbox,
        path,
        0.0,
        1.0,
        video=[VideoSampling(112, n_frames=8)],
        audio=[AudioSampling(16_000)],
    )
    assert decoded.frames[0][0].shape[0] == 8


def peak(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return the greatest resident memory of a child by length of a 1080p video."""
    rows = []
    for seconds in options.seconds:
        path = repeated(
            options.videos / "test_video.mp4", scratch / f"{seconds}s.mp4", seconds
        )
        rows.append({"seconds": seconds, **cost_of(path)})
    greatest = max(cast("int", row["peak_bytes"]) for row in rows)
    result = {"rows": rows, "is_enough": greatest < MOST_PEAK_BYTES}
    print_rows("peak", rows)
    return result


def length(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return processor time and memory by length of a video made by repeating."""
    rows = []
    for minutes in options.minutes:
        path = repeated(
            options.videos / "obama_speech.mp4",
            scratch / f"{minutes:g}min.mp4",
            60 * minutes,
        )
        rows.append({"minutes": minutes, **cost_of(path)})
        path.unlink()
    # The first second costs more than the others: start, imports, compiled code.
    each = [cast("float", r["cpu_s"]) / cast("float", r["minutes"]) for r in rows]
    growth = each[-1] / each[0]
    print_rows("length", rows)
    print(f"processor time of a minute, longest over shortest: {growth:.3f}")
    return {"rows": rows, "growth": growth, "is_enough": growth < MOST_GROWTH}


def cost_of(path: Path) -> dict[str, float | int]:
    """Measure a video in a child of its own; return what that took."""
    with Sandbox(_UNLIMITED) as sandbox:
        measured = measure_video_isolated(sandbox, path)
        child = psutil.Process(cast("int", sandbox.child_pid))
        times = child.cpu_times()
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        n_files = child.num_fds()
    (line,) = (row for row in status.splitlines() if row.startswith("VmHWM:"))
    return {
        "n_frames": measured.n_frames,
        "duration_s": round(measured.duration_s, 2),
        "cpu_s": round(times.user + times.system, 2),
        "peak_bytes": int(line.split()[1]) * 1024,
        "open_files": n_files,
    }


def repeated(source: Path, target: Path, seconds: float) -> Path:
    """Write a video of the packets of another, again and again, up to a length."""
    subprocess.run(  # noqa: S603 - a fixed command
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error"),
            *("-y", "-stream_loop", "-1", "-i", f"file:{source}", "-t", str(seconds)),
            *("-c", "copy", "-f", "mp4", f"file:{target}"),
        ],
        check=True,
    )
    return target


def print_rows(title: str, rows: Sequence[dict[str, float | int]]) -> None:
    """Print a table of rows with the same columns."""
    print(title, *rows[0], sep="\t")
    for row in rows:
        print("", *row.values(), sep="\t")


if __name__ == "__main__":
    main()
