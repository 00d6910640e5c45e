"""Whether near-duplicates are found among 100,000 clips, and only these.

Real clips are copied (coded anew, scaled, cropped by 5 %, starved of bits, trimmed
twice; the sound with AAC, Opus and MP3 at 48 to 64 kbit/s and other rates) and measured
as ``segment_clips`` does. Every second clip is for tuning, the others for testing.

First the real clips and copies of the split, each a video of one clip, go through the
stage's own functions. A dubbed copy, with the sound of the next clip, is to be found by
its picture, and not by its sound. Then synthetic clips (``synthetic_clips.py``): one in
twenty has one to three copies, changed as one of the split's real copies was; of the
copies one in twenty is dubbed, of the originals one in twenty is silent, and one in
twenty has the sound of another. Recall and precision are over pairs of videos.

Both go through arrays as well (``without_spark.py``), and have to end alike;
``--without-spark`` leaves Spark out for the synthetic ones.

Prints tables and, with ``--json FILE``, writes a record; ends with an error where
recall is below 95 % or precision below 99 %.

    python benchmarks/study_duplicates.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from copies import COPIES, LENGTH_S, ORIGINAL, make_copy, real_clips
from record import about
from synthetic_clips import Change, ClipMaker, Signed, cells_of, measured_change, sound
from without_spark import found_without_spark

from acav_spark.config.segmenting import DuplicatesConfig
from acav_spark.duplicates import (
    paired_agreement,
    paired_bit_errors,
    paired_similarity,
    without_flat,
)
from acav_spark.duplicates.groups_job import verified_duplicates
from acav_spark.duplicates.links_job import EVIDENCE, links_between
from acav_spark.segment.fingerprint import clip_fingerprint
from acav_spark.segment.measure import measure_video
from acav_spark.segment.signature import coarse_signature
from acav_spark.segment.stretches import stretch_elements
from acav_spark.session import get_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGES = ("av", "numpy", "scipy", "pyspark", "imageio-ffmpeg")
LEAST_RECALL, LEAST_PRECISION = 0.95, 0.99
PARTS = ("real", "synthetic")
SPLITS = {"tuning": 0, "testing": 1}
COPIED_SHARE: Final = 0.05
DUBBED_SHARE: Final = 0.05
SILENT_SHARE: Final = 0.05
SHARED_SOUND_SHARE: Final = 0.05
PER_TASK: Final = 500


class Video(NamedTuple):
    """A video of one clip."""

    group: int
    kind: str
    signed: Signed
    duration_s: float
    n_pixels: int


def main() -> None:
    """Measure, make, find, print, write and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=100_000, help="clips to make")
    parser.add_argument("--split", choices=SPLITS, default="testing")
    parser.add_argument("--seed", type=int, default=20211017)
    parser.add_argument("--clips", type=int, help="only so many real clips")
    parser.add_argument("--scratch", type=Path, help="folder that keeps what is made")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--without-spark", action="store_true", help="the synthetic clips"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=("real", "synthetic"), default=PARTS
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clips = real_clips(options.data)[: options.clips][SPLITS[options.split] :: 2]
    tables: dict[str, list[Video]] = {}
    evidence: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = options.scratch or Path(folder)
        kept = scratch / f"{options.split}_{options.seed}_{options.n}.parquet"
        if "real" in options.parts or not kept.exists():
            originals, copies = measured(clips, scratch)
            evidence = compared(originals, copies)
            tables["real"] = real_videos(originals, copies)
        if "synthetic" in options.parts:
            if not kept.exists():
                films = [cells_of(scratch / one.stem / "original.mkv") for one in clips]
                changes = [
                    measured_change(kind, original, *copy)
                    for original, of in zip(originals, copies, strict=True)
                    for kind, copy in of.items()
                ]
                pq.write_table(table_of(made(films, changes, options)), kept)
            tables["synthetic"] = videos_of(pq.read_table(kept))
    settings = DuplicatesConfig()
    results: dict[str, object] = {}
    for name in options.parts:
        videos = tables[name]
        found, n_candidates, n_links = found_without_spark(
            [video.signed for video in videos],
            [(video.duration_s, video.n_pixels) for video in videos],
            settings,
            options.processes,
        )
        print(f"{n_candidates} candidates")
        seconds = 0.0
        if name == "real" or not options.without_spark:
            started = time.monotonic()
            there, n_links = grouped(videos, options.master, settings)
            seconds = time.monotonic() - started
            np.testing.assert_array_equal(there, found)
        results[name] = reported(name, videos, found, n_links, seconds)
    if options.json:
        record = {
            **about(*PACKAGES),
            "settings": settings.model_dump(mode="json"),
            "split": options.split,
            "synthetic_without_spark": options.without_spark,
            "seed": options.seed,
            "real_clips": [clip.name for clip in clips],
            "evidence": evidence,
            **results,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for result in results.values():
        assert isinstance(result, dict)
        assert result["recall"] >= LEAST_RECALL, result["recall"]
        assert result["precision"] >= LEAST_PRECISION, result["precision"]


def measured(
    clips: list[Path], scratch: Path
) -> tuple[list[Signed], list[dict[str, tuple[Signed, float]]]]:
    """Return what originals are compared by, and their copies, with lengths."""
    originals, copies = [], []
    for clip in clips:
        folder = scratch / clip.stem
        folder.mkdir(exist_ok=True, parents=True)
        of = {}
        for kind, changes in {"original": ORIGINAL, **COPIES}.items():
            path = folder / f"{kind}.mkv"
            if not path.exists():
                make_copy(clip, path, changes)
            of[kind] = signed(path)
        originals.append(of.pop("original")[0])
        copies.append(of)
    return originals, copies


def signed(path: Path) -> tuple[Signed, float]:
    """Return what a whole file is compared by, and its length in seconds."""
    found = measure_video(path, max_pixels=1 << 24)
    whole = (0.0, found.duration_s)
    return Signed(
        coarse_signature(found.frame_times_s, found.words, *whole),
        stretch_elements(found.sampled_times_s, found.sampled_elements, *whole),
        clip_fingerprint(found.sound_words, *whole),
    ), found.duration_s


def compared(
    originals: list[Signed], copies: list[dict[str, tuple[Signed, float]]]
) -> dict[str, dict[str, list[float]]]:
    """Return and print quantiles of what copies and strangers have in common."""
    pairs = {
        kind: [(one, of[kind][0]) for one, of in zip(originals, copies, strict=True)]
        for kind in COPIES
    }
    pairs["strangers"] = [
        (one, of[kind][0])
        for place, one in enumerate(originals)
        for other, of in enumerate(copies)
        for kind in COPIES
        if other != place
    ]
    table: dict[str, dict[str, list[float]]] = {}
    print("least, median and largest: words, elements, wrong bits of the sound")
    for kind, both in pairs.items():
        first, second = ([pair[side] for pair in both] for side in (0, 1))
        measures = {
            "similarity": paired_similarity(
                *([without_flat(one.signature) for one in of] for of in (first, second))
            ),
            "agreement": paired_agreement(
                *([one.elements for one in of] for of in (first, second))
            ),
            "bit_errors": paired_bit_errors(
                *([one.fingerprint for one in of] for of in (first, second))
            ),
        }
        table[kind] = {
            name: np.nanquantile(values, (0, 0.5, 1)).round(3).tolist()
            for name, values in measures.items()
        }
        print(f"{kind:14s}", *table[kind].values())
    return table


def real_videos(
    originals: list[Signed], copies: list[dict[str, tuple[Signed, float]]]
) -> list[Video]:
    """Return originals, copies, and copies with the sound of the next clip."""
    videos = []
    for group, (original, of) in enumerate(zip(originals, copies, strict=True)):
        videos.append(Video(group, "original", original, LENGTH_S, 400))
        videos += [
            Video(group, kind, copy, duration_s, 300 - place)
            for place, (kind, (copy, duration_s)) in enumerate(of.items())
        ]
        other = copies[(group + 1) % len(copies)]["scaled"][0].fingerprint
        dubbed = of["scaled"][0]._replace(fingerprint=other)
        videos.append(Video(group, "dubbed", dubbed, of["scaled"][1], 100))
    return videos


def made(
    films: list[NDArray[np.float32]],
    changes: list[Change],
    options: argparse.Namespace,
) -> list[Video]:
    """Return so many synthetic videos; groups have the numbers of their places."""
    maker = ClipMaker(films, changes)
    n_tasks = -(-options.n // PER_TASK)
    seeds = [(options.seed, task) for task in range(n_tasks)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes) as pool:
        parts = pool.map(partial(made_part, maker), seeds, chunksize=4)
    videos = []
    for task, part in enumerate(parts):
        first = task * PER_TASK
        videos += [video._replace(group=video.group + first) for video in part]
    return videos[: options.n]


def made_part(maker: ClipMaker, seed: tuple[int, int]) -> list[Video]:
    """Return some 500 videos."""
    rng = np.random.default_rng(seed)
    videos: list[Video] = []
    sound_before = sound(rng)
    group = 0
    while len(videos) < PER_TASK:
        original = maker.original(rng)
        draw = rng.random()
        if draw < SILENT_SHARE:
            original = original._replace(fingerprint=b"")
        elif draw < SILENT_SHARE + SHARED_SOUND_SHARE:
            original = original._replace(fingerprint=sound_before)
        else:
            sound_before = original.fingerprint
        videos.append(
            Video(group, "original", original, LENGTH_S, int(rng.integers(1000)))
        )
        n_copies = int(rng.integers(1, 4)) if rng.random() < COPIED_SHARE else 0
        for _ in range(n_copies):
            copy, change = maker.copy(original, rng)
            kind = change.kind
            if rng.random() < DUBBED_SHARE:
                copy, kind = copy._replace(fingerprint=sound(rng)), "dubbed"
            videos.append(
                Video(group, kind, copy, change.duration_s, int(rng.integers(1000)))
            )
        group += 1
    return videos[:PER_TASK]


def table_of(videos: list[Video]) -> pa.Table:
    """Return rows as of ``clips``, with the truth beside them."""
    names = [f"v{number:07d}" for number in range(len(videos))]
    parts = zip(*(video.signed for video in videos), strict=True)
    evidence = [pa.array(values, pa.binary()) for values in parts]
    return pa.table(
        {
            "clip_id": names,
            "video_id": names,
            **dict(zip(EVIDENCE[:-1], evidence, strict=True)),
            EVIDENCE[-1]: pa.nulls(len(videos), pa.binary()),
            "duration_s": [float(video.duration_s) for video in videos],
            "n_pixels": [video.n_pixels for video in videos],
            "group": [video.group for video in videos],
            "kind": [video.kind for video in videos],
        }
    )


def videos_of(table: pa.Table) -> list[Video]:
    """Return the videos of such rows."""
    columns = [table[name].to_pylist() for name in EVIDENCE[:-1]]
    rest = [table[name].to_pylist() for name in ("group", "kind")]
    sizes = [table[name].to_pylist() for name in ("duration_s", "n_pixels")]
    return [
        Video(group, kind, Signed(*evidence), *size)
        for group, kind, *evidence, size in zip(
            *rest, *columns, zip(*sizes, strict=True), strict=True
        )
    ]


def grouped(
    videos: list[Video], master: str, settings: DuplicatesConfig
) -> tuple[NDArray[np.int64], int]:
    """Return the video kept of each one's group, by the stage, and count the links."""
    table = table_of(videos)
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{scratch}/clips.parquet"
        pq.write_table(table, path, row_group_size=10_000)
        spark = get_session(
            {
                "spark.master": master,
                "spark.sql.shuffle.partitions": "16",
                "spark.local.dir": scratch,
            },
            app_name="study_duplicates",
        )
        rows = spark.read.parquet(path).repartition(8)
        clips = rows.select("clip_id", "video_id", *EVIDENCE)
        qualities = rows.select("video_id", "duration_s", "n_pixels")
        links = links_between(clips, settings).persist()
        n_links = links.count()
        marks = verified_duplicates(links, clips, qualities, settings).collect()
        spark.stop()
    found = np.arange(len(videos), dtype=np.int64)
    for row in marks:
        found[int(row["video_id"][1:])] = int(row["kept"][1:])
    return found, n_links


def reported(
    name: str,
    videos: list[Video],
    found: NDArray[np.int64],
    n_links: int,
    seconds: float,
) -> dict[str, object]:
    """Print and return recall and precision, over pairs and by kinds of copies."""
    truth = np.array([video.group for video in videos])
    n_true, n_found = n_pairs_of(truth), n_pairs_of(found)
    n_right = n_pairs_of(truth * len(truth) + found)
    recall, precision = n_right / n_true, n_right / max(n_found, 1)
    print(
        f"{name}: {len(videos)} videos, {n_true} pairs of copies: recall {recall:.4f}, "
        f"precision {precision:.4f} ({n_found - n_right} wrong pairs); "
        f"{n_links} links, {seconds:.0f} s"
    )
    first_of: dict[int, int] = {}
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for place, video in enumerate(videos):
        first = first_of.setdefault(video.group, place)
        if place != first:
            by_kind[video.kind].append(bool(found[place] == found[first]))
    shares = {kind: round(float(np.mean(of)), 4) for kind, of in by_kind.items()}
    print("  found with their original:", shares)
    return {
        "n_videos": len(videos),
        "n_pairs": n_true,
        "n_wrong_pairs": n_found - n_right,
        "n_links": n_links,
        "recall": recall,
        "precision": precision,
        "found_with_original": shares,
        "seconds": round(seconds, 1),
    }


def n_pairs_of(groups: NDArray[np.int64]) -> int:
    """Return how many pairs of places are of one group."""
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


if __name__ == "__main__":
    main()
