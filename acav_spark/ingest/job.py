"""``ingest_videos``: fills ``videos`` from a folder of media or from metadata.

Paper, section 3.1: candidates are filtered by duration, category, keywords and
language; every rejected row keeps its reason.
"""

from __future__ import annotations

import functools
import logging
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    source_rules,
)
from acav_spark.config import section_hash
from acav_spark.errors import ConfigError
from acav_spark.imports.choosing import needs_videos
from acav_spark.ingest.categories import read_category_names
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.judging import JUDGED, judge_beside
from acav_spark.ingest.language_job import (
    DETECTED,
    check_language,
    choose_languages,
    language_settings,
    with_languages,
)
from acav_spark.ingest.merging import (
    best_rows,
    mark_duplicates,
    pending_videos,
    write_videos,
)
from acav_spark.ingest.reading import read_metadata
from acav_spark.ingest.sources import find_sources
from acav_spark.ingest.topics import read_topic
from acav_spark.ingest.video_rows import RESULT, Rules, probe_batches
from acav_spark.media.codes import NOT_MEDIA
from acav_spark.media.listing import list_media
from acav_spark.rows import payload_names, spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter

    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.context import StageContext
    from acav_spark.ingest.sources import Source

STAGE = "ingest_videos"
# A row of metadata costs a thousandth of a video that is opened.
_METADATA_FACTOR = 1024


class _Lists(TypedDict):
    excluded_topics: tuple[tuple[str, tuple[str, ...]], ...]
    category_names: dict[str, dict[str, str]]
    category_region: str


_logger = logging.getLogger(__name__)


def ingest_videos(context: StageContext) -> StageResult:
    """Fill ``videos`` with every candidate, accepted or rejected.

    Reads the media or metadata of ``input.uri``; fills ``videos`` (key video_id) and
    ``failures``. A rerun looks only at what is neither there nor failed for good, and
    at metadata that has changed, whose videos are judged anew.

    Raises
    ------
    ConfigError
        If ``input.uri`` is missing, of no known layout, or holds nothing.
    StageError
        If rows were made under other settings, or too many items failed.
    """
    if not needs_videos(context.config):
        message = "no input, and every extractor is imported"
        return StageResult(STAGE, is_unchanged=True, is_off=True, message=message)
    config = settle(
        context,
        stage=STAGE,
        table="videos",
        stage_hash_of=stage_hash,
        section="ingest",
        dependants=(("failures", f"stage = '{STAGE}'"),),
    )
    check_language(config)
    sources = find_sources(config.input.uris, config.input.format, config.input.columns)
    metadata = [source for source in sources if source.format != "media"]
    media = [source for source in sources if source.format == "media"]
    listed, n_rows, n_listed = _listed(context, config, media, metadata)
    if n_listed == 0:
        named = ", ".join(config.input.uris)
        msg = f"input.uri: expected at least one video, found none in {named}."
        raise ConfigError(msg)

    def write(good: DataFrame, run_id: str) -> None:
        marks = good.select(F.col("item_id").alias("video_id"), "is_update", "is_recut")
        write_videos(context, _video_rows(good, config, run_id), marks)

    def finish(totals: Counter[str]) -> StageResult:
        n_duplicates = mark_duplicates(context)
        languages = choose_languages(context, config)
        n_updated = totals["n_updated"]
        if n_updated:
            _logger.info("updated videos whose metadata changed n=%d", n_updated)
        told = [f"{n_updated} updated"] if n_updated else []
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_results"] - totals["n_failed"],
            n_failed=totals["n_failed"],
            n_rejected=totals["n_rejected"] + n_duplicates + languages.n_rejected,
            metrics={
                "n_listed": n_listed,
                "n_merged": n_rows - n_listed,
                "n_duplicates": n_duplicates,
                "n_updated": n_updated,
                "n_recut": totals["n_recut"],
                **languages.metrics,
            },
            message="; ".join(
                [*told, languages.message] if languages.message else told
            ),
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="videos",
        run_hash=stage_hash(config),
        hashes={"": stage_hash(config)},
        process=with_languages(
            partial(
                _process, rules=_rules(config), kinds=(bool(media), bool(metadata))
            ),
            config,
        ),
        write=write,
        finish=finish,
        counted={
            "n_rejected": F.count("reject_reason"),
            # A text beside the videos is no sign of trouble with the videos.
            "n_tolerated": F.count_if(F.col("error_code") == NOT_MEDIA),
            "n_updated": F.count_if("is_update"),
            "n_recut": F.count_if("is_recut"),
        },
        chunk_factor=1 if media else _METADATA_FACTOR,
    )
    pending = pending_videos(context, STAGE, listed)
    result = compute_pending(context, stage, pending, config)
    listed.unpersist()
    return result


def stage_hash(config: Config) -> str:
    """Return the hash of what shapes the rows of ``videos``.

    Lists of topics and names of categories count by what they hold.

    Raises
    ------
    ConfigError
        If one of them is not there, or cannot be used.
    """
    settings = config.ingest.model_dump(mode="json", exclude={"language"})
    return section_hash(
        STAGE, {**settings, **_lists(config), **language_settings(config)}
    )


def check_input(config: Config) -> None:
    """Check inputs, lists and language model, as far as that needs no Spark.

    Raises
    ------
    ConfigError
        If an input is empty, there is no such metadata, or none of a known layout; or
        there is no such list of a topic or of categories, or language model.
    StageError
        If there is no such folder, file or pattern.
    """
    if not needs_videos(config):
        return
    _lists(config)
    check_language(config)
    find_sources(config.input.uris, config.input.format, config.input.columns)


def _rules(config: Config) -> Rules:
    return Rules(
        min_duration_s=config.ingest.min_duration_s,
        max_duration_s=config.ingest.max_duration_s,
        excluded_categories=tuple(config.ingest.excluded_categories),
        excluded_keywords=tuple(config.ingest.excluded_keywords),
        sources=source_rules(config),
        limits=decoding_limits(config),
        **_lists(config),
    )


def _lists(config: Config) -> _Lists:
    """Return what the files of topics and categories hold."""
    ingest = config.ingest
    names = read_category_names(ingest.category_names, ingest.category_region)
    return {
        "excluded_topics": tuple(read_topic(name) for name in ingest.excluded_topics),
        "category_names": names,
        "category_region": ingest.category_region,
    }


def _listed(
    context: StageContext, config: Config, media: list[Source], metadata: list[Source]
) -> tuple[DataFrame, int, int]:
    """Return what the inputs hold, the number of rows, and that of different videos."""
    files = {
        file.uri: (video_id_from_uri(file.uri), file.uri, file.problem)
        for source in media
        for name in source.files
        for file in list_media(name)
    }
    # The driver holds names of files.
    found = context.spark.createDataFrame(
        list(files.values()), "item_id STRING, uri STRING, problem STRING"
    )
    if not metadata:
        return found, len(files), len(files)
    raw = read_metadata(context.spark, metadata, config.input.columns)
    judged = raw.mapInArrow(
        partial(judge_beside, rules=_rules(config)), spark_schema(JUDGED)
    )
    rows = best_rows(judged)
    if media:
        # What was opened is surer than what was written about it.
        rows = rows.join(found, "item_id", "left_anti")
        rows = rows.unionByName(found, allowMissingColumns=True)
    rows = rows.persist()
    (counts,) = rows.agg(
        F.count("*").alias("n"), F.sum(F.coalesce("n_rows", F.lit(1))).alias("n_rows")
    ).collect()
    return rows, counts["n_rows"] or 0, counts["n"]


def _process(chunk: DataFrame, *, rules: Rules, kinds: tuple[bool, bool]) -> DataFrame:
    """Open what is media; rows of metadata are judged already."""
    is_media = F.col("metadata_hash").isNull()
    has_media, has_metadata = kinds
    parts = []
    if has_media:
        opened = chunk.where(is_media).select("item_id", "uri", "problem")
        parts.append(
            opened.mapInArrow(
                partial(probe_batches, rules=rules), spark_schema(RESULT)
            ).withColumns(
                {
                    "source": F.lit("media"),
                    "is_update": F.lit(False),
                    "is_recut": F.lit(False),
                }
            )
        )
    if has_metadata:
        judged = chunk.where(~is_media) if has_media else chunk
        parts.append(judged.drop("problem", "n_rows"))
    return functools.reduce(
        lambda one, other: one.unionByName(other, allowMissingColumns=True), parts
    )


def _video_rows(results: DataFrame, config: Config, run_id: str) -> DataFrame:
    beside = ("source", "region", "fetched_at", "metadata_hash")
    payload = [*payload_names(RESULT), *beside]
    return results.select(
        F.col("item_id").alias("video_id"),
        "uri",
        *[name for name in dict.fromkeys(payload) if name in results.columns],
        *DETECTED,
        F.when(F.col("reject_reason").isNull(), "accepted")
        .otherwise("rejected")
        .alias("status"),
        F.lit(stage_hash(config)).alias("stage_hash"),
        F.lit(run_id).alias("run_id"),
    )
