"""How fast the language filter is, beside nothing but fastText's ``predict``.

    python benchmarks/bench_language.py --data ../shared/data --json FILE

The texts are titles and descriptions of the trending lists, repeated. In turns are run:

- bare: ``predict`` of the library on cleaned texts, in as many processes as cores;
- pass: the stage's pass under Spark, from a Parquet file of rows to no sink;
- reading: the same pass without naming languages;
- loop: ``LanguageIdentifier.identify``, cleaning included, in the bare ones' place.

The languages of the pass are compared with those of ``predict`` before times are told.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F
from record import about
from study_language import trending

from acav_spark.config import load_config
from acav_spark.ingest.language import N_CHARACTERS, cleaned
from acav_spark.ingest.language_job import with_languages
from acav_spark.ingest.language_model import load_identifier
from acav_spark.session import get_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.pool import Pool

    from pyspark.sql import DataFrame

    from acav_spark.config.language import LanguageConfig

PAPER_ROWS = 140_000_000

_held: dict[str, list[str]] = {}


def main() -> None:
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = options.data / "lid" / "lid.176.ftz"
    config = load_config(
        None, [f'ingest.language.model="{model}"', "ingest.language.keep=[en]"]
    ).config
    rows = [text for _, text in trending(options.data)]
    texts = [text[: 2 * N_CHARACTERS] for text in rows]
    share = options.rows // options.cores // len(texts) + 1
    n_rows = share * options.cores * len(texts)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.parquet"
        write_rows(path, texts, n_rows)
        context = multiprocessing.get_context("spawn")
        with context.Pool(
            options.cores, _hold, (config.ingest.language, texts)
        ) as pool:
            spark = get_session(
                {
                    **config.spark,
                    "spark.master": f"local[{options.cores}]",
                    "spark.driver.memory": "2g",
                }
            )
            items = spark.read.parquet(str(path))
            named = with_languages(lambda frame: frame, config)(items)
            check(named, config.ingest.language, texts)
            seconds = in_turns(
                {
                    "bare": lambda: spread(pool, _bare, share, options.cores),
                    "pass": lambda: consume(named),
                    "reading": lambda: consume(items),
                    "loop": lambda: spread(pool, _loop, share, options.cores),
                },
                options.repeats,
            )
            spark.stop()
    record = {
        **about("acav_spark", "fasttext-community", "pyspark", "pyarrow"),
        "n_rows": n_rows,
        "mean_characters": sum(map(len, cleaned(texts).to_pylist())) / len(texts) - 1,
        "cores": options.cores,
        **told(seconds, n_rows),
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_rows(path: Path, texts: list[str], n_rows: int) -> None:
    """Write rows as the other filters pass them on; title and description apart."""
    titles = [text[:60] for text in texts]
    rest = [text[60:] for text in texts]
    nothing = pa.nulls(len(texts), pa.string())
    table = pa.table(
        {
            "title": titles,
            "description": rest,
            "error_code": nothing,
            "reject_reason": nothing,
        }
    )
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(n_rows // len(texts)):
            writer.write_table(table)


def check(named: DataFrame, chosen: LanguageConfig, texts: list[str]) -> None:
    """Compare the languages of some rows with those of the library's ``predict``."""
    import fasttext

    model = fasttext.load_model(chosen.model)
    rows = named.limit(len(texts)).select(
        F.concat_ws(" ", "title", "description").alias("text"),
        "detected_language",
        "language_probability",
    )
    n_named = 0
    for row in rows.collect():
        (line,) = cleaned([row["text"]]).to_pylist()
        (label,), (probability,) = model.predict(line.removesuffix("\n"))
        if row["detected_language"] != "und":
            assert label == f"__label__{row['detected_language']}", row
            assert abs(min(probability, 1) - row["language_probability"]) < 1e-6, row
            n_named += 1
    assert n_named > 0.9 * len(texts), n_named


def in_turns(
    ways: dict[str, Callable[[], float]], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Return wall and processor's seconds of each way, after a turn to warm up."""
    seconds: dict[str, dict[str, list[float]]] = {
        way: {"wall": [], "processor": []} for way in ways
    }
    for turn in range(repeats + 1):
        for way, run in ways.items():
            begun, used = time.perf_counter(), tree_seconds()
            processor = run()
            wall = time.perf_counter() - begun
            if turn:
                seconds[way]["wall"].append(wall)
                seconds[way]["processor"].append(processor or tree_seconds() - used)
    return seconds


def tree_seconds() -> float:
    """Return the processor's time of this process and those below it."""
    total = 0.0
    own = psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def consume(rows: DataFrame) -> float:
    """Compute rows for nobody; the caller takes the time."""
    rows.write.format("noop").mode("overwrite").save()
    return 0.0


def spread(pool: Pool, work: Callable[[int], float], share: int, cores: int) -> float:
    """Do the work once in every process; return the processor's seconds."""
    return sum(pool.map(work, [share] * cores, chunksize=1))


def _hold(chosen: LanguageConfig, texts: list[str]) -> None:
    _held["place"] = [chosen.model, chosen.sha256, chosen.cache_dir]
    _held["texts"] = texts
    _held["lines"] = [line.removesuffix("\n") for line in cleaned(texts).to_pylist()]


def _bare(repeats: int) -> float:
    import fasttext

    model = fasttext.load_model(_held["place"][0])
    begun = time.process_time()
    for _ in range(repeats):
        for line in _held["lines"]:
            model.predict(line)
    return time.process_time() - begun


def _loop(repeats: int) -> float:
    identifier = load_identifier(*_held["place"])
    texts = pa.array(_held["texts"])
    begun = time.process_time()
    for _ in range(repeats):
        identifier.identify(texts)
    return time.process_time() - begun


def told(seconds: dict[str, dict[str, list[float]]], n_rows: int) -> dict[str, object]:
    """Print rates, and return them with the seconds."""
    print(
        "| way | rows/s | of bare | rows/s of a core | of bare |\n|---|---|---|---|---|"
    )
    found: dict[str, dict[str, float]] = {}
    for way, took in seconds.items():
        found[way] = {
            "rows_per_s": n_rows / statistics.median(took["wall"]),
            "rows_per_cpu_s": n_rows / statistics.median(took["processor"]),
        }
        for kind, name in (("wall", "of_bare"), ("processor", "of_bare_cpu")):
            turns = zip(seconds["bare"][kind], took[kind], strict=True)
            found[way][name] = statistics.median(bare / own for bare, own in turns)
        row = found[way]
        print(
            f"| {way} | {row['rows_per_s']:,.0f} | {row['of_bare']:.0%} | "
            f"{row['rows_per_cpu_s']:,.0f} | {row['of_bare_cpu']:.0%} |"
        )
    hours = PAPER_ROWS / found["pass"]["rows_per_cpu_s"] / 3600
    print(f"{PAPER_ROWS:,} rows: {hours:.2f} core-hours of the pass")
    return {"ways": found, "core_hours_140m": hours, "seconds": seconds}


if __name__ == "__main__":
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    main()
