"""Whether signatures decide as ffmpeg's filter does, on transformed real clips.

Each real clip (eight seconds of it) is compared with five copies of itself, coded anew,
scaled, cropped, starved of bits and trimmed, and with as many copies of another clip,
drawn with a fixed seed. ffmpeg's ``signature`` decides on the same files, as a program,
with its sieve by words opened (its own thresholds drop most copies) and by default.
Prints a table and, with ``--json FILE``, writes a record; ends with an error where less
than 99 % of the decisions agree with those of the opened filter.

    python benchmarks/study_signature.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from record import about

from acav_spark.segment.measure import measure_video
from acav_spark.segment.signature import (
    coarse_signature,
    fine_signature,
    similarity,
)
from acav_spark.segment.signature_matching import best_alignment, is_match

PACKAGES = ("av", "numpy", "opencv-python-headless", "imageio-ffmpeg")
THRESHOLDS = {"opened": ":th_d=100000:th_dc=1000000", "default": ""}
LEAST_AGREEMENT = 0.99
CODED = ("-an", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast")
ORIGINAL = ("-t", "8", "-vf", "scale=426:-2", "-crf", "18")
COPIES = {
    "coded": ("-t", "8", "-vf", "scale=320:-2", "-crf", "34"),
    "scaled": ("-t", "8", "-vf", "scale=256:144", "-crf", "23"),
    "cropped": ("-t", "8", "-vf", "crop=iw*0.95:ih*0.95,scale=320:-2", "-crf", "26"),
    "starved": ("-t", "8", "-vf", "scale=240:-2", "-b:v", "80k"),
    "trimmed": ("-ss", "1.7", "-t", "4", "-vf", "scale=320:-2", "-crf", "26"),
}


@dataclass(frozen=True)
class Signed:
    """A file and its signatures."""

    path: Path
    coarse: bytes
    fine: bytes


def main() -> None:
    """Transform, sign, compare, print, write and check."""
    options = parsed_options()
    clips = sorted(
        path
        for path in (options.data / "videos").iterdir()
        if path.suffix in (".mp4", ".webm", ".ogv")
    )[: options.clips]
    with tempfile.TemporaryDirectory() as scratch:
        originals, copies = [], []
        for number, clip in enumerate(clips):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            originals.append(signed(clip, folder / "original.mp4", ORIGINAL))
            copies.append(
                {
                    kind: signed(clip, folder / f"{kind}.mp4", changes)
                    for kind, changes in COPIES.items()
                }
            )
        rows = compared(originals, copies)
    agreement = {
        name: float(np.mean([row["ours"] == row[name] for row in rows]))
        for name in THRESHOLDS
    }
    for decider in ("ours", *THRESHOLDS):
        found, wrong = (
            sum(bool(row[decider]) for row in rows if row["is_copy"] == is_copy)
            for is_copy in (True, False)
        )
        print(f"{decider:8s} copies found {found}, others taken for copies {wrong}")
    print(f"{len(rows)} pairs; decisions that agree with ours: {agreement}")
    if options.json:
        record = {
            **about(*PACKAGES),
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
            "agreement": agreement,
            "pairs": rows,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    assert agreement["opened"] >= LEAST_AGREEMENT, agreement


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", type=int, help="only so many clips")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def signed(clip: Path, path: Path, changes: tuple[str, ...]) -> Signed:
    """Return a transformed copy with its signatures."""
    ran_ffmpeg("-v", "error", "-i", f"file:{clip}", *changes, *CODED, str(path))
    measured = measure_video(path, max_pixels=1 << 24, keep_elements=True)
    times_s = measured.frame_times_s
    whole = (0.0, measured.duration_s)
    return Signed(
        path,
        coarse_signature(times_s, measured.words, *whole),
        fine_signature(times_s, measured.elements, measured.confidences, *whole),
    )


def compared(
    originals: list[Signed], copies: list[dict[str, Signed]]
) -> list[dict[str, object]]:
    """Return one row for each pair of an original and a copy of it or of another."""
    draws = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for number, original in enumerate(originals):
        for kind in COPIES:
            other = int(number + 1 + draws.integers(len(originals) - 1)) % len(
                originals
            )
            for is_copy, place in ((True, number), (False, other)):
                copy = copies[place][kind]
                found = best_alignment(original.fine, copy.fine)
                rows.append(
                    {
                        "kind": kind,
                        "is_copy": is_copy,
                        "ours": is_match(found),
                        "length_s": round(found.length_s, 3),
                        "distance": round(found.distance, 1),
                        "similarity": round(
                            similarity(original.coarse, copy.coarse), 3
                        ),
                        **{
                            name: ffmpeg_matches(original.path, copy.path, thresholds)
                            for name, thresholds in THRESHOLDS.items()
                        },
                    }
                )
    return rows


def ffmpeg_matches(a: Path, b: Path, thresholds: str) -> bool:
    """Return the decision of ffmpeg's filter."""
    # Through lavfi: with two inputs on the command line ffmpeg may end before the
    # filter has seen both to their ends.
    said = ran_ffmpeg(
        *("-f", "lavfi", "-i"),
        f"movie={a}[a];movie={b}[b];"
        f"[a][b]signature=nb_inputs=2:detectmode=full{thresholds}",
        *("-f", "null", "-"),
    )
    found = re.search(r"(no )?matching of video 0", said)
    assert found is not None, said
    return found.group(1) is None


def ran_ffmpeg(*arguments: str) -> str:
    """Run ffmpeg and return what it said."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr


if __name__ == "__main__":
    main()
