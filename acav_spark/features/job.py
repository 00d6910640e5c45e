"""``extract_features``: fills ``features`` from clips, one decode for all extractors.

Paper, section 3.2, Feature Extraction: every layer of a visual and an audio network.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    pending_items,
    source_rules,
)
from acav_spark.config import section_hash
from acav_spark.failures import retire
from acav_spark.features.extraction import Item, extract_items
from acav_spark.features.registry import create_extractor
from acav_spark.imports.choosing import computed_extractors
from acav_spark.rows import failure, record_batch, result_schema, spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from pyspark.sql import Column, DataFrame

    from acav_spark.config.models import Config, ExtractorConfig
    from acav_spark.context import StageContext
    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits
    from acav_spark.media.sources import SourceRules

STAGE = "extract_features"
_logger = logging.getLogger(__name__)

# Clips that an extractor gets at once; a decoded clip of the handcrafted extractors is
# some 3 MB, of a network at 256 pixels some 10 MB.
_BATCH = 8


@dataclass(frozen=True)
class _Rules:
    """What the executors need to extract."""

    extractors: tuple[tuple[str, str], ...]  # name, options as JSON
    sources: SourceRules
    limits: Limits


def extract_features(context: StageContext) -> StageResult:
    """Fill ``features`` with one row for each clip and extractor.

    Reads ``clips`` and ``videos``; fills ``features`` (key extractor, clip_id) and
    ``failures`` (scope: the extractor). A rerun computes what is neither there nor
    failed for good; rows of clips that are gone are deleted.

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
        return StageResult(STAGE, is_unchanged=True, message=message)
    config = _settled(context)
    chosen = {
        e.name: create_extractor(e.name, e.options) for e in computed_extractors(config)
    }
    hashes = {name: extractor_hash(config, name) for name in chosen}
    clips = context.warehouse.read("clips").where("start_s IS NOT NULL")
    n_retired = _retire(context)
    schema = _schema(max(len(extractor.dimensions) for extractor in chosen.values()))

    def finish(totals: Counter[str]) -> StageResult:
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_results"] - totals["n_failed"],
            n_failed=totals["n_failed"],
            metrics={"n_retired": n_retired},
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="clips",
        inputs=("clips", "videos"),
        run_hash=stage_hash(config),
        hashes=hashes,
        process=partial(_extract_all, rules=_rules(config), schema=schema),
        write=partial(
            _write,
            context,
            hashes=hashes,
            versions={name: extractor.version for name, extractor in chosen.items()},
        ),
        finish=finish,
    )
    pending = _pending(context, clips, list(chosen))
    return compute_pending(context, stage, pending, config)


def _retire(context: StageContext) -> int:
    """Delete vectors, also imported ones, of clips that are gone."""
    # Imported items have no times, and are there all the same.
    clips = context.warehouse.read("clips").select("clip_id")
    return retire(context, STAGE, clips, ("features",))


def extractor_hash(config: Config, name: str) -> str:
    """Return the hash of what shapes the rows of one extractor."""
    chosen = _find(config, name)
    version = create_extractor(chosen.name, chosen.options).version
    settings = chosen.model_dump(mode="json", exclude={"imported"})
    return section_hash(STAGE, settings, version)


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
        limits=decoding_limits(config),
    )


def _schema(n_layers: int) -> pa.Schema:
    layers = [(f"layer_{i}", pa.binary()) for i in range(1, n_layers + 1)]
    return result_schema(("scope", pa.string()), *layers)


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


def _pending(context: StageContext, clips: DataFrame, names: list[str]) -> DataFrame:
    """Return clips with the extractors that they lack."""
    wanted = F.explode(F.array(*[F.lit(name) for name in names]))
    lacking = pending_items(
        context,
        STAGE,
        clips.select(F.col("clip_id").alias("item_id"), wanted.alias("scope")),
        table="features",
        key={"item_id": "clip_id", "scope": "extractor"},
    )
    videos = context.warehouse.read("videos").select(
        "video_id", F.col("uri").alias("video_uri")
    )
    return (
        lacking.groupBy(F.col("item_id").alias("clip_id"))
        .agg(F.sort_array(F.collect_set("scope")).alias("extractors"))
        .join(clips, "clip_id")
        .join(videos, "video_id", "left")
        .select(
            F.col("clip_id").alias("item_id"),
            F.coalesce("uri", "video_uri").alias("uri"),
            "start_s",
            "end_s",
            "extractors",
        )
    )


def _extract_all(items: DataFrame, *, rules: _Rules, schema: pa.Schema) -> DataFrame:
    # A video's clips stay together, so that its file is likely still cached.
    return items.mapInArrow(
        partial(_extract_batches, rules=rules, schema=schema), spark_schema(schema)
    )


@lru_cache(maxsize=16)
def _loaded(name: str, options: str) -> Extractor:
    """Return an extractor, made once in each Python worker."""
    return create_extractor(name, json.loads(options))


def _extract_batches(
    batches: Iterable[pa.RecordBatch], *, rules: _Rules, schema: pa.Schema
) -> Iterable[pa.RecordBatch]:
    extractors = {name: _loaded(name, options) for name, options in rules.extractors}
    for batch in batches:
        rows = batch.to_pylist()
        for first in range(0, len(rows), _BATCH):
            items = [Item(**row) for row in rows[first : first + _BATCH]]
            results = extract_items(
                items,
                extractors,
                sources=rules.sources,
                limits=rules.limits,
            )
            yield record_batch(
                [
                    {
                        "item_id": result.item_id,
                        "uri": result.uri,
                        "scope": result.extractor,
                        **(failure(result.error) if result.error else {}),
                        **{
                            f"layer_{i}": layer
                            for i, layer in enumerate(result.layers, start=1)
                        },
                    }
                    for result in results
                ],
                schema,
            )
