"""Whether extractors wait for decoding, and what their job costs beside them.

    python benchmarks/bench_features.py --parts overlap busy sizes memory --json FILE

Parts:

- overlap: ``extract_features``' own function under ``local[1]``, against the same
  network in a bare loop on clips that are decoded already, and against a bare loop that
  only decodes in one child process. The job has one process for each, so that it can be
  as fast as the slower of the two.
- busy: a made-up accelerator that takes 1 ms a clip (it sleeps, as a GPU's driver
  does), with decoding that costs nothing: the share of its time that it works.
- sizes: vectors of 1 KB to 1 MB a row through Spark; the largest Arrow batch.
- memory: the most that a worker and its decoding child hold, 10 s of 1080p a clip.

Vectors are compared with those of one clip at a time before times are told.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from bench_segmentation import built_video, ran_ffmpeg
from made_extractors import MadeDecoder, SleepyExtractor
from record import about

from acav_spark.config import load_config
from acav_spark.features.extraction import Item, SandboxedDecoder
from acav_spark.features.job import _extract_all
from acav_spark.features.registry import create_extractor
from acav_spark.features.result_rows import extracted_batches, extracted_schema
from acav_spark.features.runtime import Ahead, extract_ahead
from acav_spark.features.vectors import decode_fp16
from acav_spark.media.sandbox import Limits
from acav_spark.media.sources import SourceRules
from acav_spark.session import get_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import SparkSession

    from acav_spark.config.models import Config
    from acav_spark.features.extractor import Extractor

PACKAGES = ("av", "numpy", "pyarrow", "pyspark", "torch")
ROOT = Path(__file__).resolve().parents[1]
CLIP_S = 10.0
LEAST_OVERLAP, LEAST_BUSY = 0.9, 0.9
MOST_MEMORY = 2 * 2**30


def main() -> None:
    """Run the parts asked for, print them, write the record, check."""
    options = parsed_options()
    # Workers import the package and the made extractors from here.
    here = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, here))
    record: dict[str, object] = {}
    if options.json and options.json.exists():
        record = json.loads(options.json.read_text())  # parts measured apart stay
    enough = True
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.parts:
            print(f"\n{part}", flush=True)
            measured = PARTS[part](options, Path(scratch))
            print(json.dumps(measured, indent=1), flush=True)
            record[part] = {**measured, **about(*PACKAGES), "load": os.getloadavg()}
            enough = enough and bool(measured["is_enough"])
            if options.json:
                options.json.write_text(json.dumps(record, indent=1) + "\n")
    assert enough, "fell short"


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--extractor",
        default="made_extractors:WorkingExtractor",
        help="the network of part overlap",
    )
    parser.add_argument("--options", default="{}", help="its options, as JSON")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def overlap(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return the rates of decoding alone, the network alone, and the job."""
    video = built_video(options.data / "videos", scratch, 60)
    given = json.loads(options.options)
    spark = local_session(1)
    config = configured(options.extractor, given)
    extractor = create_extractor(options.extractor, given)
    items = items_of(video, options.clips, options.extractor)
    decoder = bare_decoder({options.extractor: extractor})
    clips = [one.clips[options.extractor] for one in decoder.decode(0, items[:6])]
    expected = {
        item.item_id: extractor.extract([clip])[0][-1]
        for item, clip in zip(items, clips, strict=False)
    }

    def network() -> None:
        for first in range(0, len(items), 4):
            batch = [clips[i % 6] for i in range(first, min(first + 4, len(items)))]
            extractor.extract(batch)

    def decoding() -> None:
        for one in decoder.decode(0, items):
            assert one.error is None, one.error

    def job() -> None:
        rows = _extract_all(frame, config=config, n_layers=n_layers).collect()
        assert len(rows) == len(items)
        for row in rows:
            assert row["error_code"] is None, row["message"]
            if row["item_id"] in expected:
                wanted = expected[row["item_id"]]
                vector = decode_fp16([bytes(row[f"layer_{n_layers}"])], len(wanted))
                np.testing.assert_allclose(vector[0], wanted, rtol=0.01, atol=1e-3)

    n_layers = len(extractor.dimensions)
    frame = spark.createDataFrame([vars(item) for item in items], ITEM).coalesce(1)
    frame = frame.cache()
    seconds = in_turns(
        {"network": network, "decoding": decoding, "job": job}, options.repeats
    )
    rates = {name: options.clips / value for name, value in seconds.items()}
    share = rates["job"] / min(rates["network"], rates["decoding"])
    return {
        "extractor": options.extractor,
        "clips_per_s": rates,
        "share_of_slower": share,
        "is_enough": share >= LEAST_OVERLAP,
    }


def busy(options: argparse.Namespace, _scratch: Path) -> dict[str, object]:
    """Return how much of its time an accelerator works."""
    n_clips = 4000
    extractor = SleepyExtractor(seconds_a_clip=0.001)
    name = extractor.name
    items = [Item(str(i), f"{i // 3}", 0.0, CLIP_S, [name]) for i in range(n_clips)]
    schema = extracted_schema(len(extractor.dimensions))
    shares = []
    for _ in range(options.repeats):
        extractor.worked_s = 0.0
        ahead = Ahead(n_lanes=2)
        extracted = extract_ahead([items], {name: extractor}, MadeDecoder(), ahead)
        started = time.perf_counter()
        n_rows = sum(len(batch) for batch in extracted_batches(extracted, schema))
        shares.append(extractor.worked_s / (time.perf_counter() - started))
        assert n_rows == n_clips
    share = statistics.median(shares)
    return {"busy": share, "all": shares, "is_enough": share >= LEAST_BUSY}


def sizes(_options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return the largest Arrow batch and rates for vectors of many sizes."""
    video = built_video(_options.data / "videos", scratch, 30)
    spark = local_session(1)
    rates, largest = {}, {}
    for n_bytes in (2**10, 2**14, 2**17, 2**20):
        name, given = "made_extractors:WideExtractor", {"dimension": n_bytes // 2}
        items = items_of(video, 48, name)
        frame = spark.createDataFrame([vars(item) for item in items], ITEM).coalesce(1)
        started = time.perf_counter()
        rows = _extract_all(frame, config=configured(name, given), n_layers=1).collect()
        rates[n_bytes] = len(rows) / (time.perf_counter() - started)
        assert all(len(row["layer_1"]) == n_bytes for row in rows)
        extractor = create_extractor(name, given)
        batches = extracted_batches(
            extract_ahead([items], {name: extractor}, MadeDecoder(), Ahead(n_lanes=1)),
            extracted_schema(1),
        )
        largest[n_bytes] = max(batch.nbytes for batch in batches)
    bound = 9 * 2**20
    return {
        "clips_per_s": rates,
        "largest_batch_bytes": largest,
        "is_enough": max(largest.values()) <= bound,
    }


def memory(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return the most that a worker and its child hold, clips of 1080p."""
    small = built_video(options.data / "videos", scratch, 30)
    video = scratch / "1080p.mp4"
    ran_ffmpeg(
        *("-v", "error", "-i", str(small), "-vf", "scale=1920:1080"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", str(video)),
    )
    name, given = "made_extractors:WorkingExtractor", {"n_frames": 32}
    spark = local_session(1)
    items = items_of(video, options.clips, name)
    frame = spark.createDataFrame([vars(item) for item in items], ITEM).coalesce(1)
    with ProcessMemory() as watched:
        rows = _extract_all(frame, config=configured(name, given), n_layers=1).collect()
    assert len(rows) == len(items)
    held = {name: round(value / 2**20) for name, value in watched.largest.items()}
    total = sum(watched.largest.values())
    return {"MiB": held, "is_enough": total < MOST_MEMORY}


class ProcessMemory:
    """Watches this process's Python workers and decoding children."""

    def __init__(self) -> None:
        from threading import Event, Thread

        self.largest = {"worker": 0, "child": 0}
        self._stop = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for process in psutil.Process().children(recursive=True):
                try:
                    command = " ".join(process.cmdline())
                    held = process.memory_info().rss
                except psutil.Error:
                    continue
                kind = "child" if "media.child" in command else "worker"
                if "python" in command and "java" not in command:
                    self.largest[kind] = max(self.largest[kind], held)


ITEM = (
    "item_id STRING, uri STRING, start_s DOUBLE, end_s DOUBLE, extractors ARRAY<STRING>"
)


def items_of(video: Path, n: int, extractor: str) -> list[Item]:
    """Return clips of a video, three in turn."""
    return [
        Item(str(i), str(video), CLIP_S * (i % 2), CLIP_S * (i % 2 + 1), [extractor])
        for i in range(n)
    ]


def configured(name: str, options: Mapping[str, object]) -> Config:
    """Return the configuration of a run with one extractor."""
    chosen = f"features.extractors={json.dumps([{'name': name, 'options': options}])}"
    return load_config(
        ROOT / "conf" / "local.yaml", [chosen, "input.uri=x", "storage.root=unused"]
    ).config


def bare_decoder(extractors: dict[str, Extractor]) -> SandboxedDecoder:
    """Return the stage's decoder, for this process."""
    return SandboxedDecoder(extractors, sources=SourceRules(), limits=Limits())


def local_session(n_cores: int) -> SparkSession:
    """Return a session on so many cores."""
    return get_session({"spark.master": f"local[{n_cores},4]"}, app_name="bench")


def in_turns(parts: dict[str, Callable[[], None]], n_repeats: int) -> dict[str, float]:
    """Return the median wall clock of each, taking turns, after one to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(n_repeats + 1):
        for name, run in parts.items():
            started = time.perf_counter()
            run()
            if turn:
                taken[name].append(time.perf_counter() - started)
        if turn:
            print({name: round(v[-1], 2) for name, v in taken.items()}, flush=True)
    return {name: statistics.median(values) for name, values in taken.items()}


PARTS = {"overlap": overlap, "busy": busy, "sizes": sizes, "memory": memory}

if __name__ == "__main__":
    main()
