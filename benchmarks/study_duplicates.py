"""Whether near-duplicates are found among 100,000 signatures, and only these.

Copies of real clips (coded anew, scaled, cropped by 5 %, starved of bits, trimmed) are
measured first. Synthetic signatures then take the words of real clips, with elements
turned and exchanged at random, so that sizes and flat elements are real; one in twenty
gets one to three copies whose similarity is drawn from the measured ones. Prints recall
and precision over pairs of videos and, with ``--json FILE``, writes a record; ends with
an error below 95 % or 99 %.

    python benchmarks/study_duplicates.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from record import about
from study_signature import COPIES, ORIGINAL, signed

from acav_spark.config.models import DuplicatesConfig
from acav_spark.duplicates import connected_groups
from acav_spark.duplicates.links_job import links_between
from acav_spark.segment.signature import N_VALUES, similarity
from acav_spark.segment.signature_elements import N_PER_WORD, N_WORDS
from acav_spark.session import get_session

PACKAGES = ("av", "numpy", "scipy", "pyspark", "imageio-ffmpeg")
LEAST_RECALL, LEAST_PRECISION = 0.95, 0.99
ORIGINAL_SHARE = 0.05
N_BITS = 248
Bags = NDArray[np.bool_]


def main() -> None:
    """Measure, make, find, print, write and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", type=int, help="only so many real clips")
    parser.add_argument("--n", type=int, default=100_000, help="signatures to make")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    real, distortions = measured(options.data, options.clips)
    for kind, values in distortions.items():
        print(f"{kind:8s} similarity {min(values):.3f} .. {max(values):.3f}")
    coarse, truth = made(real, distortions, options.n)
    started = time.monotonic()
    found, n_links = grouped(coarse, options.master)
    seconds = time.monotonic() - started
    recall, precision, n_pairs = judged(truth, found)
    print(
        f"{options.n} signatures, {n_pairs} pairs of copies: recall {recall:.4f}, "
        f"precision {precision:.4f}; {n_links} links, {seconds:.0f} s"
    )
    if options.json:
        record = {
            **about(*PACKAGES),
            "settings": DuplicatesConfig().model_dump(mode="json"),
            "n_signatures": options.n,
            "n_pairs": n_pairs,
            "n_links": n_links,
            "recall": recall,
            "precision": precision,
            "seconds": round(seconds, 1),
            "measured_similarity": distortions,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    assert recall >= LEAST_RECALL, recall
    assert precision >= LEAST_PRECISION, precision


def measured(
    data: Path, n_clips: int | None
) -> tuple[list[bytes], dict[str, list[float]]]:
    """Return signatures of real clips, and how alike their copies are, by kind."""
    clips = sorted(
        path
        for path in (data / "videos").iterdir()
        if path.suffix in (".mp4", ".webm", ".ogv")
    )[:n_clips]
    real: list[bytes] = []
    alike: dict[str, list[float]] = {kind: [] for kind in COPIES}
    with tempfile.TemporaryDirectory() as scratch:
        for number, clip in enumerate(clips):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            original = signed(clip, folder / "original.mp4", ORIGINAL).coarse
            real.append(original)
            for kind, changes in COPIES.items():
                copy = signed(clip, folder / f"{kind}.mp4", changes).coarse
                alike[kind].append(round(similarity(original, copy), 3))
    return real, alike


def made(
    real: list[bytes], distortions: dict[str, list[float]], n: int
) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return synthetic signatures, and the group of each."""
    rng = np.random.default_rng(20211017)
    bags = [unpacked(coarse) for coarse in real if coarse]
    kinds = list(distortions)
    coarse: list[bytes] = []
    groups: list[int] = []
    group = 0
    while len(coarse) < n:
        original = turned(bags[rng.integers(len(bags))], rng)
        n_copies = int(rng.integers(1, 4)) if rng.random() < ORIGINAL_SHARE else 0
        members = [original]
        for _ in range(n_copies):
            values = distortions[kinds[rng.integers(len(kinds))]]
            members.append(distorted(original, values[rng.integers(len(values))], rng))
        coarse += [packed(one) for one in members]
        groups += [group] * len(members)
        group += 1
    return coarse[:n], np.array(groups[:n])


def turned(bags: Bags, rng: np.random.Generator) -> Bags:
    """Return bags with the elements of each word exchanged, and signs turned."""
    result = np.zeros_like(bags)
    values = np.arange(N_VALUES)
    digits = values[:, np.newaxis] // 3 ** np.arange(N_PER_WORD) % 3
    for word in range(N_WORDS):
        moved = digits[:, rng.permutation(N_PER_WORD)]
        signs = rng.random(N_PER_WORD) < 0.5
        moved = np.where(signs, 2 - moved, moved)
        result[:, word, moved @ 3 ** np.arange(N_PER_WORD)] = bags[:, word, :N_VALUES]
    return result


def distorted(bags: Bags, alike: float, rng: np.random.Generator) -> Bags:
    """Return bags of which so many words stay that their Jaccard index is this."""
    result = np.zeros_like(bags)
    stays = 2 * alike / (1 + alike)
    for word in range(N_WORDS):
        goes = rng.random(N_VALUES) >= stays
        places = np.arange(N_VALUES)
        places[goes] = rng.integers(N_VALUES, size=int(goes.sum()))
        stretches, values = np.nonzero(bags[:, word])
        result[stretches, word, places[values]] = True
    return result


def grouped(coarse: list[bytes], master: str) -> tuple[NDArray[np.int64], int]:
    """Return the group that the job finds for each signature, and the links."""
    names = [f"v{number:07d}" for number in range(len(coarse))]
    table = pa.table(
        {
            "clip_id": names,
            "video_id": names,
            "signature": pa.array(coarse, pa.binary()),
            "fine_signature": pa.nulls(len(coarse), pa.binary()),
        }
    )
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
        clips = spark.read.parquet(path).repartition(8)
        links = links_between(clips, DuplicatesConfig()).collect()
        spark.stop()
    ends = [
        np.array([int(row[end][1:]) for row in links], dtype=np.int64)
        for end in ("first", "second")
    ]
    ids, found = connected_groups(*ends)
    groups = np.arange(len(coarse), dtype=np.int64)
    groups[ids] = found
    return groups, len(links)


def judged(
    truth: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[float, float, int]:
    """Return recall and precision over pairs of one group, and how many there are."""
    n_true, n_found = n_pairs_of(truth), n_pairs_of(found)
    n_right = n_pairs_of(truth * len(truth) + found)
    return n_right / n_true, n_right / max(n_found, 1), n_true


def n_pairs_of(groups: NDArray[np.int64]) -> int:
    """Return how many pairs of places are of one group."""
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def unpacked(coarse: bytes) -> Bags:
    """Return the bits of a coarse signature, shape (n_stretches, 5, 248)."""
    raw = np.frombuffer(coarse, dtype=np.uint8).reshape(-1, N_WORDS, N_BITS // 8)
    return np.unpackbits(raw, axis=-1, bitorder="little").astype(np.bool_)


def packed(bags: Bags) -> bytes:
    """Return bits as a coarse signature."""
    return np.packbits(bags, axis=-1, bitorder="little").tobytes()


if __name__ == "__main__":
    main()
