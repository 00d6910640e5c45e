"""How fast a video is measured, beside ffmpeg's command line, on one core.

Makes a video of 640 by 360 pixels and 30 frames a second from the real clips of the
test data, ten minutes long unless told otherwise. Then, in turns, in one run:
``measure_video`` (cuts, signature, sanity), ``ffmpeg`` with ``scdet``
and ``signature``, and ``ffmpeg`` that only decodes, both with one thread. Checks that
all see the same frames and cuts, and that the figures asked for are reached; prints a
table and, with ``--json FILE``, writes a record.

    python benchmarks/bench_segmentation.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
from record import about

from acav_spark.segment.measure import measure_video

PACKAGES = ("av", "numpy", "opencv-python-headless", "imageio-ffmpeg")
RATE = 30
MAX_PIXELS = 1 << 24
COLOURS = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
# Seconds of processor time, ffmpeg's over ours.
LEAST_OF_FILTERS, LEAST_OF_DECODING = 0.85, 0.5


def main() -> None:
    """Build the video, measure in turns, print, write and check."""
    options = parsed_options()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        path = options.video or built_video(
            options.data / "videos", Path(scratch), options.seconds
        )
        n_frames, cuts_s = seen_by_ffmpeg(path)
        seconds: dict[str, list[float]] = {"ours": [], "filters": [], "decoding": []}
        for turn in range(options.repeats + 1):
            ours = our_seconds(path, n_frames, cuts_s)
            filters = ffmpeg_seconds(path, "-vf", "scdet,signature")
            decoding = ffmpeg_seconds(path)
            # The first turn warms the disk's cache and is not counted.
            if turn:
                seconds["ours"].append(ours)
                seconds["filters"].append(filters)
                seconds["decoding"].append(decoding)
                print(f"ours {ours:.2f} s, filters {filters:.2f}, bare {decoding:.2f}")
    rates = {
        name: n_frames / statistics.median(values) for name, values in seconds.items()
    }
    ratios = {
        "of_filters": rates["ours"] / rates["filters"],
        "of_decoding": rates["ours"] / rates["decoding"],
    }
    for name, rate in rates.items():
        print(f"{name:10s} {rate:8.0f} frames/s of processor time")
    print({name: round(ratio, 3) for name, ratio in ratios.items()})
    if options.json:
        record = {
            **about(*PACKAGES),
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
            "n_frames": n_frames,
            "n_cuts": len(cuts_s),
            "load": os.getloadavg(),
            "cpu_seconds": seconds,
            "frames_per_cpu_s": rates,
            "ratios": ratios,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    assert ratios["of_filters"] >= LEAST_OF_FILTERS, ratios
    assert ratios["of_decoding"] >= LEAST_OF_DECODING, ratios


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--video", type=Path, help="measure this file instead")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def built_video(folder: Path, scratch: Path, n_seconds: int) -> Path:
    """Return a 360p H.264 and AAC video of the clips in turn, again and again."""
    parts: list[Path] = []
    for clip in sorted(folder.glob("*.mp4")):
        with av.open(str(clip)) as container:
            if not container.streams.audio:
                continue
        part = scratch / f"{len(parts)}.mp4"
        ran_ffmpeg(
            *("-v", "error", "-t", "12", "-i", f"file:{clip}", "-shortest"),
            *("-map", "0:v:0", "-map", "0:a:0"),
            # ffmpeg's filters begin anew where the colour space changes, and then
            # miss the cut: all parts are of one.
            *("-vf", f"scale=640:360,setsar=1,fps={RATE},format=yuv420p,{COLOURS}"),
            *("-c:v", "libx264", "-preset", "medium", "-crf", "23"),
            *("-c:a", "aac", "-ar", "44100", "-ac", "2", "-b:a", "128k", str(part)),
        )
        parts.append(part)
    listing = scratch / "parts.txt"
    listing.write_text("".join(f"file '{part}'\n" for part in parts), encoding="utf-8")
    path = scratch / "all.mp4"
    ran_ffmpeg(
        *("-v", "error", "-stream_loop", "-1", "-f", "concat", "-safe", "0"),
        *("-i", str(listing), "-t", str(n_seconds), "-c", "copy", str(path)),
    )
    return path


def ran_ffmpeg(*arguments: str) -> str:
    """Run ffmpeg and return what it said."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr


def seen_by_ffmpeg(path: Path) -> tuple[int, list[float]]:
    """Return the number of frames, and the cuts of scdet."""
    said = ran_ffmpeg(
        *("-i", f"file:{path}", "-an", "-vf", "scdet", "-fps_mode", "passthrough"),
        *("-f", "null", "-"),
    )
    cuts = [float(time_s) for time_s in re.findall(r"lavfi.scd.time: ([\d.]+)", said)]
    return int(re.findall(r"frame= *(\d+)", said)[-1]), cuts


def our_seconds(path: Path, n_frames: int, cuts_s: list[float]) -> float:
    """Return the processor time of one measurement, after checking its answer."""
    start = time.process_time()
    measured = measure_video(path, max_pixels=MAX_PIXELS)
    seconds = time.process_time() - start
    assert measured.n_frames == len(measured.words) == n_frames
    starts = [shot.start_s for shot in measured.shots[1:]]
    np.testing.assert_allclose(starts, cuts_s, atol=1e-3)
    return seconds


def ffmpeg_seconds(path: Path, *filters: str) -> float:
    """Return the processor time of ffmpeg with one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran_ffmpeg(
        *("-v", "error", "-threads", "1", "-filter_threads", "1"),
        *("-i", f"file:{path}", *filters, "-f", "null", "-"),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
