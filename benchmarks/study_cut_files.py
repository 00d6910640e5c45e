"""What is lost when clips are cut to files: times, pictures, sound, features.

Five seconds of each real clip are cut as ``cut_clips`` does by default, and decoded
from the video and from the file: at 50 times a second the same frame must be on
display, to a microsecond. Features of the two are compared by their cosine. Prints a
table and, with ``--json FILE``, writes a record; ends with an error where a time
differs, or a cosine is below LEAST_COSINE.

    python benchmarks/study_cut_files.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from record import about

from acav_spark.cutting import CutSettings, encode_clip
from acav_spark.features.registry import create_extractor
from acav_spark.media.decode import decode_clip
from acav_spark.media.probe import probe
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

PACKAGES = ("av", "numpy")
MAX_PIXELS = 1 << 24
SHOWN = VideoSampling(96, frames_per_s=50.0)
HEARD = AudioSampling(16_000)
EXTRACTORS = ("handcrafted_visual", "handcrafted_audio")
LENGTH_S = 5.0
TIME_TOLERANCE_S = 1e-6
# Of a picture that stands still, what moves is the noise of coding, which changes.
LEAST_COSINE = 0.9


def main() -> None:
    """Cut, decode, compare, print, write and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", type=int, help="only so many clips")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clips = sorted(
        path
        for path in (options.data / "videos").iterdir()
        if path.suffix in (".mp4", ".webm", ".ogv")
    )[: options.clips]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for clip in clips:
            rows.append(compared(clip, Path(scratch) / "cut.mp4"))
            print(*(f"{value}" for value in rows[-1].values()), flush=True)
    cosines = np.array([row["least_cosine"] for row in rows], dtype=np.float64)
    errors_s = np.array([row["time_error_s"] for row in rows], dtype=np.float64)
    summary = {
        "n_clips": len(rows),
        "largest_time_error_s": float(errors_s.max()),
        "largest_luma_error": max(float(str(row["luma_error"])) for row in rows),
        "least_cosine": float(cosines.min()),
        "median_least_cosine": float(np.median(cosines)),
        "kbit_per_s": float(np.median([float(str(r["kbit_per_s"])) for r in rows])),
    }
    print(summary)
    if options.json:
        record = {**about(*PACKAGES), "summary": summary, "clips": rows}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    assert errors_s.max() <= TIME_TOLERANCE_S, summary
    assert cosines.min() >= LEAST_COSINE, summary


def compared(clip: Path, target: Path) -> dict[str, object]:
    """Return how a file differs from the five seconds of the video it was cut from."""
    facts = probe(clip, max_pixels=MAX_PIXELS)
    start_s = round(max(facts.duration_s / 3, 0.5), 3)
    end_s = round(min(start_s + LENGTH_S, facts.duration_s - 0.1), 3)
    began_s = time.process_time()
    encoded = encode_clip(clip, start_s, end_s, CutSettings(), max_pixels=MAX_PIXELS)
    spent_s = time.process_time() - began_s
    target.write_bytes(encoded.file)
    extractors = [
        extractor
        for extractor in map(create_extractor, EXTRACTORS)
        if extractor.audio_sampling is None or encoded.n_channels
    ]
    seen = [SHOWN, *(e.video_sampling for e in extractors if e.video_sampling)]
    heard = [HEARD, *(e.audio_sampling for e in extractors if e.audio_sampling)]
    if not encoded.n_channels:
        heard = []
    of_video, of_file = (
        decode_clip(path, *part, video=seen, audio=heard, max_pixels=MAX_PIXELS)
        for path, part in ((clip, (start_s, end_s)), (target, (0.0, end_s - start_s)))
    )
    (frames, times_s), (coded, coded_s) = of_video.frames[0], of_file.frames[0]
    cosines = []
    for extractor in extractors:
        one, other = (
            extractor.extract(
                [
                    DecodedClip(
                        "a",
                        frames=decoded.frames[1][0],
                        frame_times_s=decoded.frames[1][1],
                        waveform=decoded.waveforms[1] if heard else None,
                        sample_rate_hz=heard[1].sample_rate_hz if heard else None,
                    )
                ]
            )[0]
            for decoded in (of_video, of_file)
        )
        cosines += [cosine(a, b) for a, b in zip(one, other, strict=True)]
    return {
        "clip": clip.name,
        "start_s": start_s,
        "n_frames": encoded.n_frames,
        "time_error_s": float(np.abs(np.maximum(times_s, 0.0) - coded_s).max()),
        "luma_error": round(float(np.abs(frames.astype(np.int16) - coded).mean()), 2),
        "least_cosine": round(min(cosines), 5),
        "kbit_per_s": round(len(encoded.file) * 8e-3 / (end_s - start_s), 1),
        "cpu_s": round(spent_s, 2),
    }


def cosine(
    one: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    other: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> float:
    """Return the cosine of the angle between two vectors; 1 where both are zero."""
    length = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / length if length > 0 else float((one == other).all())


if __name__ == "__main__":
    main()
