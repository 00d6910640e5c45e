"""How well the demo finds corresponding clips, over five seeds, without Spark.

For each seed: writes the corpus of that seed, segments it, extracts both handcrafted
extractors, clusters and selects with the same seed, and only then reads the labels.
Prints a table and, with ``--json FILE``, writes a record.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from record import about as about_here

from acav_spark.clustering import auto_n_clusters
from acav_spark.demo.corpus import Corpus, write_corpus
from acav_spark.demo.evaluation import SeedShares, Settings, shares_of_seed, summarise
from acav_spark.demo.labels import label_of_clip, read_labels
from acav_spark.features import create_extractor, decode_fp16, encode_fp16
from acav_spark.media.decode import decode_clip
from acav_spark.media.types import DecodedClip
from acav_spark.segment.clips import cut_plan
from acav_spark.segment.measure import measure_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTRACTORS = ("handcrafted_visual", "handcrafted_audio")
LOWEST_PRECISION = 0.80
MAX_PIXELS = 1 << 24
PACKAGES = ("av", "numpy", "scipy", "opencv-python-headless", "librosa")


@dataclass(frozen=True)
class ClipVectors:
    """One clip: where it lies and its fp16 vectors by view."""

    file: str
    start_s: float
    end_s: float
    vectors: dict[str, bytes]


def main() -> None:
    """Run, print the table, write the record, and fail if a seed falls short."""
    options = parsed_options()
    rows: list[SeedShares] = []
    corpora: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in options.seeds:
            folder = (options.folder or Path(scratch)) / f"seed_{seed}"
            shares, about = run_seed(folder, seed, options)
            rows.append(shares)
            corpora.append(about)
            print(f"seed {seed}: {about}", flush=True)
    results = summarise(rows)
    print("\nseed  selected  best single layer  random")
    for row in results:
        print(
            f"{row.seed:4d}  {row.selected:8.3f}  {row.best_single:17.3f}  "
            f"{row.random:6.3f}"
        )
    worst = min(row.selected for row in results)
    print(f"best single layer: {results[0].best_single_pair}; worst seed: {worst:.3f}")
    if options.json:
        record = {
            "subject": "demo",
            **about_here(*PACKAGES),
            "settings": {
                "share": options.share,
                "pairing": options.pairing,
                "batch_size": options.batch_size,
                "prior": options.prior,
                "per_batch": options.per_batch,
                "n_clusters": options.n_clusters or "auto",
                "n_videos": options.n_videos,
            },
            "corpora": corpora,
            "results": [asdict(row) for row in results],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    assert worst >= LOWEST_PRECISION or options.no_check, worst


def _prior(text: str) -> float | Literal["recommended"]:
    return "recommended" if text == "recommended" else float(text)


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--n-videos", type=int, default=100)
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.4, help="selected share")
    parser.add_argument("--n-clusters", type=int, default=0, help="0: auto")
    parser.add_argument("--pairing", default="bipartite")
    parser.add_argument("--batch-size", type=int, default=60)
    parser.add_argument("--per-batch", type=int, default=3)
    parser.add_argument("--prior", type=_prior, default="recommended")
    parser.add_argument("--clip-duration-s", type=float, default=4.0)
    parser.add_argument("--max-clips", type=int, default=5, help="of one video")
    parser.add_argument("--folder", type=Path, help="keep the corpora here")
    parser.add_argument("--json", type=Path, help="write a record to this file")
    parser.add_argument("--no-check", action="store_true", help="never fail")
    return parser.parse_args()


def run_seed(
    folder: Path, seed: int, options: argparse.Namespace
) -> tuple[SeedShares, dict[str, object]]:
    """Return the shares of one seed, and sizes and seconds of its steps."""
    started = time.perf_counter()
    corpus = write_corpus(
        folder, n_videos=options.n_videos, seed=seed, n_workers=options.n_workers
    )
    written = time.perf_counter()
    clips = extract_corpus(corpus, options)
    extracted = time.perf_counter()
    n_clusters = options.n_clusters or auto_n_clusters(len(clips))
    shares = shares_of_seed(
        matrices(clips),
        is_corresponding(corpus, clips),
        seed=seed,
        settings=Settings(
            modalities={
                view: create_extractor(view.partition("/")[0]).modality
                for view in clips[0].vectors
            },
            n_clusters=n_clusters,
            n_select=round(options.share * len(clips)),
            pairing=options.pairing,
            batch_size=options.batch_size,
            prior=options.prior,
            per_batch=options.per_batch,
        ),
    )
    about: dict[str, object] = {
        "seed": seed,
        "n_shots": corpus.n_shots,
        "n_clips": len(clips),
        "n_clusters": n_clusters,
        "write_s": round(written - started, 1),
        "segment_and_extract_s": round(extracted - written, 1),
        "evaluate_s": round(time.perf_counter() - extracted, 1),
    }
    return shares, about


def extract_corpus(corpus: Corpus, options: argparse.Namespace) -> list[ClipVectors]:
    """Return the clips of all videos, in the order of their names."""
    paths = sorted(corpus.videos.iterdir())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.n_workers, context) as pool:
        lists = pool.map(
            extract_video,
            paths,
            [options.clip_duration_s] * len(paths),
            [options.max_clips] * len(paths),
        )
        return [clip for clips in lists for clip in clips]


def extract_video(
    path: Path, clip_duration_s: float, max_clips: int
) -> list[ClipVectors]:
    """Segment one video and extract its clips."""
    plan = cut_plan(
        measure_video(path, max_pixels=MAX_PIXELS),
        clip_duration_s=clip_duration_s,
        max_clips=max_clips,
    )
    return [
        ClipVectors(path.name, x.start_s, x.end_s, extract(path, x.start_s, x.end_s))
        for x in plan.clips
    ]


def extract(path: Path, start_s: float, end_s: float) -> dict[str, bytes]:
    """Return the fp16 vectors of one clip by view."""
    visual, audio = (create_extractor(name) for name in EXTRACTORS)
    assert visual.video_sampling is not None
    assert audio.audio_sampling is not None
    decoded = decode_clip(
        path,
        start_s,
        end_s,
        video=[visual.video_sampling],
        audio=[audio.audio_sampling],
        max_pixels=MAX_PIXELS,
    )
    frames, times = decoded.frames[0]
    clip = DecodedClip(
        clip_id=f"{path.name}@{start_s}",
        frames=frames,
        frame_times_s=times,
        waveform=decoded.waveforms[0],
        sample_rate_hz=audio.audio_sampling.sample_rate_hz,
    )
    return {
        f"{extractor.name}/{layer}": encode_fp16(vector)
        for extractor in (visual, audio)
        for layer, vector in enumerate(extractor.extract([clip])[0], start=1)
    }


def matrices(clips: list[ClipVectors]) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of all clips by view."""
    return {
        view: decode_fp16([clip.vectors[view] for clip in clips], len(first) // 2)
        for view, first in clips[0].vectors.items()
    }


def is_corresponding(corpus: Corpus, clips: list[ClipVectors]) -> NDArray[np.bool_]:
    """Return what the labels say of each clip."""
    labels = read_labels(corpus.labels)
    found = [label_of_clip(labels, x.file, x.start_s, x.end_s) for x in clips]
    assert all(label is not None for label in found)
    return np.array([label is not None and label.is_corresponding for label in found])


if __name__ == "__main__":
    main()
