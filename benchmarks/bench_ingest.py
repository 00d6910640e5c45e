"""How fast metadata is read, normalised, judged and written under Spark.

    python benchmarks/bench_ingest.py --parts words --json FILE

Parts:

- words: the trending lists, repeated, as CSV with texts over several lines. Five
  passes to Parquet, one after another in each repeat: the stage's columns read and
  written by Spark alone, without a judge (``same_columns``, what shares are of); only
  the text that the filters look at, read and written as it is; that moved through a
  Python worker which does no more than to make lists of tags, the least that any judge
  in Python costs; read, judged by the filters of ``conf/paper.yaml`` (categories,
  topics) and written; and the stage's own reader and judge. The most that a Python
  worker held with a quarter of the rows and with all; and processor time of the
  automaton with ten keywords and with thousands.

Rejections are counted, by reason and keyword, and compared with those of one row after
another before times are told.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from record import about
from workers import WorkerMemory, processor_seconds

from acav_spark.config import load_config
from acav_spark.ingest.batch_words import BatchMatcher
from acav_spark.ingest.job import _rules
from acav_spark.ingest.judging import JUDGED, judge_beside
from acav_spark.ingest.metadata import known_columns
from acav_spark.ingest.reading import read_metadata
from acav_spark.ingest.rules import RESULT, Judge
from acav_spark.ingest.sources import find_sources
from acav_spark.ingest.video_rows import judge_rows, judged_row
from acav_spark.ingest.words import KeywordMatcher, tokens
from acav_spark.rows import spark_schema
from acav_spark.session import get_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.config.models import Config

PACKAGES = ("pyspark", "pyarrow", "numpy", "numba")
ROOT = Path(__file__).resolve().parents[1]
ROWS_PER_FILE = 49_000
Row = dict[str, str]


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    options = parsed_options()
    # Workers import the package from here.
    known = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, known))
    record: dict[str, object] = {"subject": "ingest"}
    if options.json and options.json.exists():
        # Parts that were measured apart stay.
        record = json.loads(options.json.read_text())
    used = {k: str(v) for k, v in vars(options).items() if k not in ("json", "parts")}
    # Where files are is of this machine only.
    used.pop("data")
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.parts:
            print(f"\n{part}", flush=True)
            measured = PARTS[part](options, Path(scratch))
            record[part] = {**measured, **about(*PACKAGES), "options": used}
            if options.json:
                options.json.write_text(json.dumps(record, indent=1) + "\n")


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("ACAV_TEST_DATA", ROOT.parent / "shared" / "data")),
        help="folder with metadata/yt_trending_2018",
    )
    parser.add_argument("--json", type=Path, help="write a record")
    return parser.parse_args()


def words(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Return rates without language, beside a pass that only reads and writes."""
    rows = trending_rows(options.data)
    source = scratch / "source"
    n_rows = write_repeated(rows, source, options.rows)
    spark = get_session(
        {"spark.master": f"local[{options.cores},4]"}, app_name="bench_ingest"
    )
    config = load_config(
        ROOT / "conf" / "paper.yaml",
        [f"input.uri={source}", "input.allowed_schemes=[https]"],
    ).config
    passes = {
        "same_columns": partial(same_columns, spark, config),
        "read_write": partial(plain_rows, spark, source),
        "moved": partial(moved_rows, spark, source),
        "judged": partial(judged_rows, spark, source, config),
        "stage": partial(stage_rows, spark, config),
    }
    few = scratch / "few"
    memory = {}
    write_repeated(rows, few, n_rows // 4)
    for name, folder in (("quarter", few), ("all", source)):
        with WorkerMemory() as watched:
            write(judged_rows(spark, folder, config), scratch / "result")
        memory[name] = round(watched.largest_mib)
        print(f"  most of a worker, {name}: {memory[name]} MiB", flush=True)
    check(spark, scratch / "result", rows, n_rows, config)

    wall: dict[str, list[float]] = {name: [] for name in passes}
    used: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(options.repeats):
        for name, made in passes.items():
            # Workers that had nothing to do for a minute have ended; to start is apart.
            judged_rows(spark, few, config).count()
            before, started = processor_seconds(), time.perf_counter()
            write(made(), scratch / "result")
            wall[name].append(time.perf_counter() - started)
            used[name].append(processor_seconds() - before)
            told = n_rows / used[name][-1]
            print(f"  {name:11s} {told:9,.0f} rows/s of processor time", flush=True)
    spark.stop()
    medians = {
        name: {
            "rows_per_s": round(n_rows / statistics.median(wall[name])),
            "rows_per_core_s": round(n_rows / statistics.median(used[name])),
            "us_per_row": [round(s / n_rows * 1e6, 1) for s in used[name]],
            "share_of_same_columns": share(used["same_columns"], used[name]),
            "share_of_same_columns_by_wall": share(wall["same_columns"], wall[name]),
            "share_of_read_write": share(used["read_write"], used[name]),
        }
        for name in passes
    }
    for name, told_of in medians.items():
        print(f"  {name:11s} {told_of}", flush=True)
    return {
        "n_rows": n_rows,
        "passes": medians,
        "worker_mib": memory,
        "keywords": keyword_costs(rows),
    }


def share(of: Sequence[float], own: Sequence[float]) -> float:
    """Return the median of a rate's share of another in the same repeat."""
    ratios = [base / mine for base, mine in zip(of, own, strict=True)]
    return round(statistics.median(ratios), 3)


def trending_rows(data: Path) -> list[Row]:
    """Return the rows of the trending lists of all countries."""
    rows: list[Row] = []
    for path in sorted((data / "metadata" / "yt_trending_2018").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    assert rows, f"no trending lists in {data}"
    return rows


def write_repeated(rows: list[Row], folder: Path, n_rows: int) -> int:
    """Write rows again and again, whole lists at a time; return how many."""
    folder.mkdir()
    n_times = max(n_rows // len(rows), 1)
    per_file = max(ROWS_PER_FILE // len(rows), 1)
    for number, first in enumerate(range(0, n_times, per_file)):
        path = folder / f"part_{number:04d}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            for _ in range(min(per_file, n_times - first)):
                writer.writerows(rows)
    return n_times * len(rows)


def same_columns(spark: SparkSession, config: Config) -> DataFrame:
    """Return the columns that the stage writes, made by Spark from what it reads.

    Nothing is normalised, checked or judged: tags are split, addresses put together.
    """
    sources = find_sources(config.input.uris, config.input.format, {})
    rows = read_metadata(spark, sources, {})
    made = {
        "item_id": F.col("video_id"),
        "uri": F.concat(F.lit("https://www.youtube.com/watch?v="), "video_id"),
        "tags": F.split("tags", r"\|"),
        "fetched_at": F.expr("try_to_timestamp(fetched)"),
    }
    known = {name: F.col(name) for name in rows.columns} | made
    return rows.select(
        *[
            known.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name)
            for field in spark_schema(JUDGED)
        ]
    )


def plain_rows(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the rows of the files, with the columns that the filters look at."""
    reader = spark.read.option("header", True).option("multiLine", True)
    raw = reader.option("escape", '"').csv(str(folder))
    return raw.select(*dict.fromkeys(known_columns(raw.columns, {}).values()))


def moved_rows(spark: SparkSession, folder: Path) -> DataFrame:
    """Return them from a worker, with a list of tags as judged rows have it."""
    raw = plain_rows(spark, folder)
    kinds = ["array<string>" if name == "tags" else "string" for name in raw.columns]
    fields = [f"`{name}` {kind}" for name, kind in zip(raw.columns, kinds, strict=True)]

    def moved(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            place = batch.schema.get_field_index("tags")
            lists = pc.split_pattern(batch.column(place), "|")
            yield batch.set_column(place, "tags", lists)

    return raw.mapInArrow(moved, ", ".join(fields))


def judged_rows(spark: SparkSession, folder: Path, config: Config) -> DataFrame:
    """Return them judged."""
    raw = plain_rows(spark, folder)
    mapping = known_columns(raw.columns, {})
    return raw.mapInArrow(
        partial(judge_rows, rules=_rules(config), mapping=mapping), spark_schema(RESULT)
    )


def stage_rows(spark: SparkSession, config: Config) -> DataFrame:
    """Return them read and judged as ``ingest_videos`` does before it merges rows."""
    sources = find_sources(config.input.uris, config.input.format, {})
    return read_metadata(spark, sources, {}).mapInArrow(
        partial(judge_beside, rules=_rules(config)), spark_schema(JUDGED)
    )


def write(rows: DataFrame, folder: Path) -> None:
    """Write rows as Parquet."""
    rows.write.mode("overwrite").parquet(str(folder))


def check(
    spark: SparkSession, result: Path, rows: list[Row], n_rows: int, config: Config
) -> None:
    """Compare what was written with what is judged one row after another."""
    mapping = known_columns(list(rows[0]), {})
    judge = Judge(_rules(config))
    one_by_one = (judged_row(row, mapping, judge) for row in rows)
    expected = Counter(
        (row.get("reject_reason"), row.get("reject_detail")) for row in one_by_one
    )
    found = {
        (row["reject_reason"], row["reject_detail"]): row["n"]
        for row in spark.read.parquet(str(result))
        .groupBy("reject_reason", "reject_detail")
        .agg(F.count("*").alias("n"))
        .collect()
    }
    n_times = n_rows // len(rows)
    assert found == {key: n * n_times for key, n in expected.items()}
    n_rejected = len(rows) - expected[None, None]
    print(f"  {n_rejected} of {len(rows)} rejected, as one by one", flush=True)
    shutil.rmtree(result)


def keyword_costs(rows: list[Row]) -> dict[str, float]:
    """Return microseconds a row of looking for few and for many keywords."""
    texts = [row["description"] for row in rows]
    every = sorted({word for text in texts for word in tokens(text) if len(word) > 3})
    every = [str(word) for word in np.random.default_rng(0).permutation(every)]
    # Words that nearly all texts lack: the other half of each is the word reversed.
    missing = [f"{word} {word[::-1]}" for word in every]
    column = pa.array(texts)
    wanted = np.ones(len(rows), np.bool_)
    costs = {}
    for n_keywords in (10, 100, 1000, 10_000):
        matcher = BatchMatcher(KeywordMatcher(missing[:n_keywords]))
        costs[str(n_keywords)] = round(
            1e6 * processor_time(partial(matcher.find, [column], wanted)) / len(rows), 2
        )
        print(f"  {n_keywords:6d} keywords {costs[str(n_keywords)]:6.2f} us a row")
    return costs


def processor_time(run: Callable[[], object], n_repeats: int = 7) -> float:
    """Return the median of the processor time of calls."""
    run()
    times = []
    for _ in range(n_repeats):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return statistics.median(times)


PARTS = {"words": words}

if __name__ == "__main__":
    main()
