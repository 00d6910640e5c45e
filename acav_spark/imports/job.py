"""``import_features``: fills ``features`` and ``clips`` with vectors made elsewhere.

The source is passed over twice: for a hash of every row, by which rows that are new,
changed or broken are told apart, and for the vectors of those that are to be written.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.chunks import run_in_chunks
from acav_spark.failures import record_failures, require_few_failures
from acav_spark.imports.choosing import (
    STAGE,
    ImportedExtractor,
    all_imports,
    check_imports,
)
from acav_spark.imports.comparing_job import Comparison, compare
from acav_spark.imports.reading_job import read_source
from acav_spark.imports.sources import find_source
from acav_spark.runs import StageResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from acav_spark.config.extracting import ExtractorConfig
    from acav_spark.context import StageContext
    from acav_spark.imports.reading_job import Reading

_logger = logging.getLogger(__name__)
# Ten million items are committed together: a chunk reads the whole source once.
_CHUNK_FACTOR = 40_000


def import_features(context: StageContext) -> StageResult:
    """Fill ``features`` with the vectors of every source that is named.

    Reads the sources of ``features.extractors[].imported``; fills ``features`` (key
    extractor, clip_id), ``clips`` with items that are not there, ``imports`` and
    ``failures`` (scope: the extractor). A rerun adds rows of ids that are new; where
    vectors of an id have changed, ``execution.on_change`` says what to do.

    Raises
    ------
    ConfigError
        If a source is not there, or is not what it should be.
    StageError
        If vectors have changed, no row can be used, or too many items failed.
    """
    check_imports(context.config)
    named = [e for e in context.config.features.extractors if e.imported.uris]
    results = [import_vectors(context, extractor) for extractor in named]
    messages = [result.message for result in results if result.message]
    return StageResult(
        STAGE,
        n_in=sum(result.n_in for result in results),
        n_out=sum(result.n_out for result in results),
        n_failed=sum(result.n_failed for result in results),
        is_unchanged=all(result.is_unchanged for result in results),
        is_off=not named,
        message="; ".join(messages) if named else "no source is named",
    )


def import_vectors(context: StageContext, chosen: ExtractorConfig) -> StageResult:
    """Import the vectors of one extractor; see ``import_features``."""
    name, options = chosen.name, chosen.imported
    source = find_source(options.uris, options.format, options.layers)
    reading = read_source(context.spark, source, options)
    known = all_imports(context).get(name)
    context.spark.sparkContext.setJobDescription(f"{STAGE} {name}")
    found = compare(context, name, reading, known)
    try:
        choice = found.settled(context, options.modality, options.version)
        given = f"imported {options.version}" if options.version else ""
        version = f"imported from {source.name} {found.content_hash}"
        if known is not None and choice != "recompute":
            version = known.version
        extractor = ImportedExtractor(
            *(name, options.modality, given or version),
            *(found.dimensions, tuple(reading.layers)),
        )
        if choice == "keep" and known is not None:
            extractor = known
        is_anew = choice == "recompute"
        n_new = found.counts["n_good"] if is_anew else found.counts["n_new"]
        if not is_anew and known is not None and not found.is_news:
            return StageResult(STAGE, is_unchanged=True)
        inputs = ("clips",)
        with context.run(STAGE, extractor.stage_hash, scope=name, inputs=inputs) as run:
            _write_failures(context, found, extractor, run.run_id, is_anew=is_anew)
            _write_clips(context, found, extractor, run.run_id)
            _write_import(context, extractor, options.uris, run.run_id)
            if is_anew:
                _forget_assignments(context, name)
            if n_new:
                _write_features(
                    *(context, reading, found, extractor, run.run_id, n_new),
                    is_anew=is_anew,
                    is_first=known is None or is_anew,
                )
            run.result = StageResult(
                STAGE,
                n_in=found.counts["n_ids"],
                n_out=n_new,
                n_failed=found.counts["n_bad"],
                metrics={name: float(n) for name, n in found.counts.items()},
                message=_message(extractor, found),
            )
    finally:
        found.close()
        context.spark.sparkContext.setJobDescription("")
    require_few_failures(context, STAGE, found.counts["n_bad"], found.counts["n_ids"])
    return run.result


def _message(extractor: ImportedExtractor, found: Comparison) -> str:
    numbers = " + ".join(map(str, extractor.dimensions))
    told = f"{extractor.name}, {extractor.modality}, {numbers} numbers"
    n_again = found.counts["n_rows"] - found.counts["n_ids"]
    return f"{told}, {n_again} rows of ids that came before" if n_again else told


def _write_failures(
    context: StageContext,
    found: Comparison,
    extractor: ImportedExtractor,
    run_id: str,
    *,
    is_anew: bool,
) -> None:
    """Record what is wrong and was not, and forget what was mended."""
    name = extractor.name
    if is_anew:
        context.warehouse.delete("failures", f"stage = '{STAGE}' AND scope = '{name}'")
        is_told = F.col("error_code").isNotNull()
        n_failed = found.counts["n_bad"]
    else:
        is_told = F.col("is_newly_bad") | F.col("is_mended")
        n_failed = found.counts["n_newly_bad"]
        if not n_failed and not found.counts["n_mended"]:
            return
    record_failures(
        context,
        stage=STAGE,
        results=found.items.where(is_told).select(
            *("item_id", "uri", "error_code", "message"),
            F.lit(True).alias("is_permanent"),
            F.lit(name).alias("scope"),
        ),
        n_failed=n_failed,
        hashes={name: extractor.stage_hash},
        run_id=run_id,
    )


def _write_clips(
    context: StageContext, found: Comparison, extractor: ImportedExtractor, run_id: str
) -> None:
    """Add items that are no clips yet; tell where known ones are, if that is new."""
    marks = (
        F.lit(extractor.stage_hash).alias("stage_hash"),
        F.lit(run_id).alias("run_id"),
    )
    place = ("uri", "start_s", "end_s")
    key = F.col("item_id").alias("clip_id")
    if found.counts["n_without_clip"]:
        rows = found.items.where("is_without_clip").select(key, *place, *marks)
        context.warehouse.insert("clips", rows)
    if found.counts["n_better_placed"]:
        rows = found.items.where("is_better_placed").select(
            key,
            F.coalesce("clip_uri", "uri").alias("uri"),
            *[F.coalesce(f"clip_{name}", name).alias(name) for name in place[1:]],
        )
        context.warehouse.update("clips", rows, list(place))


def _write_import(
    context: StageContext, extractor: ImportedExtractor, uris: list[str], run_id: str
) -> None:
    row = (
        extractor.name,
        extractor.modality,
        list(extractor.layers),
        list(extractor.dimensions),
        extractor.version,
        uris,
        extractor.stage_hash,
        run_id,
    )
    schema = (
        "extractor STRING, modality STRING, layers ARRAY<STRING>, "
        "dimensions ARRAY<INT>, version STRING, sources ARRAY<STRING>, "
        "stage_hash STRING, run_id STRING"
    )
    rows = context.spark.createDataFrame([row], schema)
    context.warehouse.replace("imports", rows, f"extractor = '{extractor.name}'")


def _forget_assignments(context: StageContext, name: str) -> None:
    """Delete what was made, clip by clip, of vectors that are imported anew."""
    context.warehouse.delete("assignments", f"extractor = '{name}'")
    # What later stages learnt from the whole was learnt from rows that go.
    context.is_refit = True
    _logger.info("importing anew extractor=%s", name)


def _write_features(
    context: StageContext,
    reading: Reading,
    found: Comparison,
    extractor: ImportedExtractor,
    run_id: str,
    n_new: int,
    *,
    is_anew: bool,
    is_first: bool,
) -> None:
    """Write vectors, some millions at a time."""
    own = f"extractor = '{extractor.name}'"
    # In one commit where they fit into one; it is atomic, and costs no merge.
    is_whole = n_new <= context.config.execution.chunk_size * _CHUNK_FACTOR
    if is_anew and not is_whole:
        context.warehouse.delete("features", own)
    # At first all rows are new; a join would sort their vectors for nothing.
    is_all = n_new == found.counts["n_rows"]
    wanted = F.col("error_code").isNull() if is_anew else F.col("is_new")
    pending = reading.rows if is_all else found.items.where(wanted).select("item_id")
    layers = [f"layer_{i}" for i in range(1, len(reading.layers) + 1)]

    def process(items: DataFrame) -> DataFrame:
        if is_all:
            return items
        rows = reading.rows.join(items, "item_id", "semi")
        has_twins = found.counts["n_rows"] > found.counts["n_ids"]
        return rows.dropDuplicates(["item_id"]) if has_twins else rows

    def commit(results: DataFrame, _: Row) -> None:
        rows = results.select(
            F.lit(extractor.name).alias("extractor"),
            F.col("item_id").alias("clip_id"),
            *layers,
            F.lit(extractor.version).alias("model_version"),
            F.lit(extractor.stage_hash).alias("stage_hash"),
            F.lit(run_id).alias("run_id"),
        )
        if is_first and is_whole:
            context.warehouse.replace("features", rows, own)
        else:
            context.warehouse.insert("features", rows)

    run_in_chunks(
        context,
        stage=STAGE,
        pending=pending,
        n_pending=n_new,
        unit="items",
        process=process,
        commit=commit,
        chunk_factor=_CHUNK_FACTOR,
        is_spread=False,
    )
