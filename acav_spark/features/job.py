"""``extract_features``: fills ``features`` from clips, one decode for all extractors.

Paper, section 3.2, Feature Extraction: every layer of a visual and an audio network.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    pending_items,
    source_rules,
)
from acav_spark.config import section_hash
from acav_spark.cutting.job import are_clips_cut, media_of_clips
from acav_spark.cutting.job import stage_hash as files_hash
from acav_spark.failures import retire
from acav_spark.features.extraction import Item, SandboxedDecoder
from acav_spark.features.placement import assign_gpus, assigned_gpu
from acav_spark.features.registry import create_extractor
from acav_spark.features.resources_job import (
    assigned_gpus,
    decoding_lanes,
    map_with_resources,
)
from acav_spark.features.result_rows import (
    TIMES,
    extracted_batches,
    extracted_schema,
)
from acav_spark.features.runtime import Ahead, extract_ahead
from acav_spark.imports.choosing import computed_extractors
from acav_spark.rows import spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, Row

    from acav_spark.config.extracting import ExtractorConfig
    from acav_spark.config.models import Config
    from acav_spark.context import StageContext
    from acav_spark.features.batching import BatchSize
    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits
    from acav_spark.media.sources import SourceRules

STAGE = "extract_features"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Rules:
    """What the executors need to extract."""

    extractors: tuple[tuple[str, str], ...]  # name, options as JSON
    sources: SourceRules
    limits: Limits
    ahead: Ahead


def extract_features(context: StageContext) -> StageResult:
    """Fill ``features`` with one row for each clip and extractor.

    Reads ``clips`` and ``videos``, or ``clip_files`` where clips are cut; fills
    ``features`` (key extractor, clip_id) and ``failures`` (scope: the extractor). A
    rerun computes what is neither there nor failed for good; rows of clips that are
    gone are deleted.

    Raises
    ------
    StageError
        If rows were made under other settings, or too many items failed.
    ConfigError
        If an extractor is unknown.
    """
    if not computed_extractors(context.config):
        _retire(context)
        message = "every extractor is imported"
        return StageResult(STAGE, is_unchanged=True, is_off=True, message=message)
    config = _settled(context)
    chosen = {
        e.name: create_extractor(e.name, e.options) for e in computed_extractors(config)
    }
    hashes = {name: extractor_hash(config, name) for name in chosen}
    clips = _clips(context, config)
    n_retired = _retire(context)
    n_layers = max(len(extractor.dimensions) for extractor in chosen.values())

    def finish(totals: Counter[str]) -> StageResult:
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_results"] - totals["n_failed"],
            n_failed=totals["n_failed"],
            metrics={"n_retired": n_retired, **{name: totals[name] for name in TIMES}},
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="clips",
        inputs=("clips", "videos", "clip_files"),
        run_hash=stage_hash(config),
        hashes=hashes,
        process=partial(_extract_all, config=config, n_layers=n_layers),
        write=partial(
            _write,
            context,
            hashes=hashes,
            versions={name: extractor.version for name, extractor in chosen.items()},
        ),
        finish=finish,
        counted={name: F.sum(name) for name in TIMES},
        together="uri",
        remark=_shares,
    )
    pending = _pending(context, config, clips, list(chosen))
    return compute_pending(context, stage, pending, config)


def _retire(context: StageContext) -> int:
    """Delete vectors, also imported ones, of clips that are gone."""
    # Imported items have no times, and are there all the same.
    clips = context.warehouse.read("clips").select("clip_id")
    return retire(context, STAGE, clips, ("features",))


def extractor_hash(config: Config, name: str) -> str:
    """Return the hash of what shapes the rows of one extractor."""
    chosen = _find(config, name)
    extractor = create_extractor(chosen.name, chosen.options)
    settings = chosen.model_dump(mode="json", exclude={"imported"})
    for option in getattr(extractor, "placement_options", ()):
        settings["options"].pop(option, None)
    parts: list[object] = [STAGE, settings, extractor.version]
    if are_clips_cut(config):  # what is coded anew looks and sounds a little different
        parts.append(files_hash(config))
    return section_hash(*parts)


def stage_hash(config: Config) -> str:
    """Return the hash of what shapes the rows of all that is computed together."""
    names = [extractor.name for extractor in computed_extractors(config)]
    return section_hash(STAGE, [extractor_hash(config, name) for name in names])


def _find(config: Config, name: str) -> ExtractorConfig:
    return next(e for e in config.features.extractors if e.name == name)


def _settled(context: StageContext) -> Config:
    """Return the configuration under which to go on; every extractor is asked."""
    before = context.config
    for extractor in computed_extractors(before):
        name = extractor.name
        config = settle(
            context,
            stage=STAGE,
            table="features",
            stage_hash_of=partial(extractor_hash, name=name),
            section="features",
            where=f"extractor = '{name}'",
            dependants=(("failures", f"stage = '{STAGE}' AND scope = '{name}'"),),
        )
        if config is not before:  # the former settings of all extractors
            return config
    return before


def _rules(config: Config) -> _Rules:
    return _Rules(
        extractors=tuple(
            (e.name, json.dumps(e.options, sort_keys=True))
            for e in computed_extractors(config)
        ),
        sources=source_rules(config),
        limits=replace(
            decoding_limits(config),
            gpu="" if config.execution.decode_on == "gpu" else None,
        ),
        ahead=Ahead(
            n_lanes=decoding_lanes(config.execution),
            max_bytes=config.execution.decode_ahead_mb * 2**20,
            batch_size=config.execution.batch_size,
        ),
    )


def _shares(counts: Row) -> str:
    """Return what extractors did with their time, for the log."""
    compute_s, wait_s = counts["compute_s"] or 0.0, counts["wait_s"] or 0.0
    busy = compute_s / max(compute_s + wait_s, 1e-9)
    return f"compute={compute_s:.0f}s wait={wait_s:.0f}s busy={busy:.0%}"


def _write(
    context: StageContext,
    good: DataFrame,
    run_id: str,
    *,
    hashes: Mapping[str, str],
    versions: Mapping[str, str],
) -> None:
    def by_extractor(values: Mapping[str, str]) -> Column:
        texts = [F.lit(text) for pair in values.items() for text in pair]
        return F.create_map(*texts)[F.col("scope")]

    context.warehouse.insert(
        "features",
        good.select(
            F.col("scope").alias("extractor"),
            F.col("item_id").alias("clip_id"),
            *[name for name in good.columns if name.startswith("layer_")],
            by_extractor(versions).alias("model_version"),
            by_extractor(hashes).alias("stage_hash"),
            F.lit(run_id).alias("run_id"),
        ),
    )


def _clips(context: StageContext, config: Config) -> DataFrame:
    """Return the clips that can be read: where they are cut, those with a file."""
    clips = context.warehouse.read("clips").where("start_s IS NOT NULL")
    if are_clips_cut(config):
        clips = clips.join(context.warehouse.read("clip_files"), "clip_id", "semi")
    return clips


def _pending(
    context: StageContext, config: Config, clips: DataFrame, names: list[str]
) -> DataFrame:
    """Return clips with the extractors that they lack."""
    wanted = F.explode(F.array(*[F.lit(name) for name in names]))
    lacking = pending_items(
        context,
        STAGE,
        clips.select(F.col("clip_id").alias("item_id"), wanted.alias("scope")),
        table="features",
        key={"item_id": "clip_id", "scope": "extractor"},
    )
    media = media_of_clips(context, is_from_files=are_clips_cut(config))
    return (
        lacking.groupBy(F.col("item_id").alias("clip_id"))
        .agg(F.sort_array(F.collect_set("scope")).alias("extractors"))
        .join(media, "clip_id")
        .select(
            F.col("clip_id").alias("item_id"),
            F.col("media_uri").alias("uri"),
            F.col("media_start_s").alias("start_s"),
            F.col("media_end_s").alias("end_s"),
            "extractors",
        )
    )


def _extract_all(items: DataFrame, *, config: Config, n_layers: int) -> DataFrame:
    # A video's clips follow one another, so that its source is opened once.
    schema = extracted_schema(n_layers)
    return map_with_resources(
        items.sortWithinPartitions("uri", "start_s"),
        partial(_extract_batches, rules=_rules(config), schema=schema),
        spark_schema(schema),
        config.execution,
    )


@lru_cache(maxsize=16)
def _loaded(name: str, options: str) -> Extractor:
    """Return an extractor, made once in each Python worker."""
    return create_extractor(name, json.loads(options))


@lru_cache(maxsize=16)
def _sizes(_rules: _Rules) -> dict[str, BatchSize]:
    """Return what this Python worker has found about batch sizes."""
    return {}


def _extract_batches(
    batches: Iterable[pa.RecordBatch], *, rules: _Rules, schema: pa.Schema
) -> Iterable[pa.RecordBatch]:
    assign_gpus(assigned_gpus())
    extractors = {name: _loaded(name, options) for name, options in rules.extractors}
    items = ([Item(**row) for row in batch.to_pylist()] for batch in batches)
    limits = rules.limits
    if limits.gpu is not None:
        limits = replace(limits, gpu=assigned_gpu() or "")
    decoder = SandboxedDecoder(extractors, sources=rules.sources, limits=limits)
    extracted = extract_ahead(items, extractors, decoder, rules.ahead, _sizes(rules))
    return extracted_batches(extracted, schema)
