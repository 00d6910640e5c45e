"""``ingest_videos``: fills ``videos`` from a folder of media or from metadata.

Paper, section 3.1: candidates are filtered by duration, category and keywords; every
rejected row keeps its reason.
"""

from __future__ import annotations

import glob
import logging
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    pending_items,
)
from acav_spark.config import section_hash
from acav_spark.errors import ConfigError
from acav_spark.ingest.categories import read_category_names
from acav_spark.ingest.filters import DUPLICATE_CONTENT
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.metadata import known_columns
from acav_spark.ingest.topics import read_topic
from acav_spark.ingest.video_rows import RESULT, Rules, judge_rows, probe_batches
from acav_spark.media.codes import NOT_MEDIA
from acav_spark.media.listing import list_media
from acav_spark.rows import (
    payload_names,
    spark_schema,
)
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter

    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.context import StageContext

STAGE = "ingest_videos"


class _Lists(TypedDict):
    excluded_topics: tuple[tuple[str, tuple[str, ...]], ...]
    category_names: dict[str, dict[str, str]]
    category_region: str


_logger = logging.getLogger(__name__)


def ingest_videos(context: StageContext) -> StageResult:
    """Fill ``videos`` with every candidate, accepted or rejected.

    Reads the files or metadata of ``input.uri``; fills ``videos`` (key video_id) and
    ``failures``. A rerun looks only at what is neither there nor failed for good.

    Raises
    ------
    ConfigError
        If ``input.uri`` is missing or holds nothing.
    StageError
        If rows were made under other settings, or too many items failed.
    """
    config = settle(
        context,
        stage=STAGE,
        table="videos",
        stage_hash_of=stage_hash,
        section="ingest",
        dependants=(("failures", f"stage = '{STAGE}'"),),
    )
    source = input_format(config)
    listed, n_listed = _listed(context, config, source)
    if n_listed == 0:
        msg = (
            f"input.uri: expected at least one video, found none in {config.input.uri}."
        )
        raise ConfigError(msg)

    def write(good: DataFrame, run_id: str) -> None:
        context.warehouse.insert("videos", _video_rows(good, source, config, run_id))

    def finish(totals: Counter[str]) -> StageResult:
        n_duplicates = _mark_duplicates(context)
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_results"] - totals["n_failed"],
            n_failed=totals["n_failed"],
            n_rejected=totals["n_rejected"] + n_duplicates,
            metrics={"n_listed": n_listed, "n_duplicates": n_duplicates},
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="videos",
        run_hash=stage_hash(config),
        hashes={"": stage_hash(config)},
        process=partial(_probe_all, rules=_rules(config))
        if source == "media"
        else _unchanged,
        write=write,
        finish=finish,
        counted={
            "n_rejected": F.count("reject_reason"),
            # A text beside the videos is no sign of trouble with the videos.
            "n_tolerated": F.count_if(F.col("error_code") == NOT_MEDIA),
        },
    )
    pending = pending_items(
        context, STAGE, listed, table="videos", key={"item_id": "video_id"}
    )
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
    settings = config.ingest.model_dump(mode="json")
    return section_hash(STAGE, {**settings, **_lists(config)})


def input_format(config: Config) -> str:
    """Return ``media``, or the format of the metadata, by name where it is ``auto``.

    Raises
    ------
    ConfigError
        If ``input.uri`` is empty.
    """
    uri = config.input.uri
    if not uri:
        msg = (
            "input.uri: expected a folder, glob or metadata file, got nothing. "
            "Name it with --set input.uri=FOLDER."
        )
        raise ConfigError(msg)
    if config.input.format != "auto":
        return config.input.format
    endings = {
        ".csv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "jsonl",
        ".parquet": "parquet",
    }
    for ending, name in endings.items():
        if uri.lower().rstrip("/").endswith(ending):
            return name
    return "media"


def check_input(config: Config) -> None:
    """Check that ``input.uri`` names something, as far as that needs no Spark.

    Raises
    ------
    ConfigError
        If it is empty, or there is no such metadata, list of a topic or of categories.
    StageError
        If there is no such folder, file or pattern.
    """
    _lists(config)
    if input_format(config) == "media":
        list_media(config.input.uri)
        return
    uri = config.input.uri
    if "://" not in uri and not glob.glob(uri):  # noqa: PTH207 - also absolute ones
        msg = (
            f"input.uri: expected a file of metadata, or a folder or pattern of such, "
            f"got {uri!r}, which does not exist. Check the path."
        )
        raise ConfigError(msg)


def _rules(config: Config) -> Rules:
    return Rules(
        min_duration_s=config.ingest.min_duration_s,
        max_duration_s=config.ingest.max_duration_s,
        excluded_categories=tuple(config.ingest.excluded_categories),
        excluded_keywords=tuple(config.ingest.excluded_keywords),
        allowed_schemes=tuple(config.input.allowed_schemes),
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
    context: StageContext, config: Config, source: str
) -> tuple[DataFrame, int]:
    """Return what the input holds, and how many; the driver holds names of files."""
    if source != "media":
        rows = _metadata(context, config, source).persist()
        return rows, rows.count()
    files = [
        (video_id_from_uri(file.uri), file.uri, file.problem)
        for file in list_media(config.input.uri)
    ]
    schema = "item_id STRING, uri STRING, problem STRING"
    return context.spark.createDataFrame(files, schema), len(files)


def _metadata(context: StageContext, config: Config, source: str) -> DataFrame:
    """Return normalised and judged rows of metadata, one for each video id."""
    reader = context.spark.read
    uri = config.input.uri
    if source == "csv":
        raw = (
            reader.option("header", True)
            .option("multiLine", True)
            .option("escape", '"')
            .csv(uri)
        )
    elif source == "jsonl":
        raw = reader.json(uri)
    else:
        raw = reader.parquet(uri)
    mapping = known_columns(raw.columns, config.input.columns)
    _logger.info("reading metadata format=%s columns=%s", source, mapping)
    rows = raw.select(*dict.fromkeys(mapping.values())).mapInArrow(
        partial(judge_rows, rules=_rules(config), mapping=mapping),
        spark_schema(RESULT),
    )
    # Of several rows of one video the one with the smallest hash stays, in whatever
    # order they arrive.
    order = Window.partitionBy("item_id").orderBy(
        F.col("error_code").isNotNull(),
        F.xxhash64("uri", "title", "description", "duration_s"),
        "title",
        "description",
    )
    return (
        rows.withColumn("place", F.row_number().over(order))
        .where("place = 1")
        .drop("place")
    )


def _video_rows(
    results: DataFrame, source: str, config: Config, run_id: str
) -> DataFrame:
    return results.select(
        F.col("item_id").alias("video_id"),
        "uri",
        *payload_names(RESULT),
        F.when(F.col("reject_reason").isNull(), "accepted")
        .otherwise("rejected")
        .alias("status"),
        F.lit(source).alias("source"),
        F.lit(stage_hash(config)).alias("stage_hash"),
        F.lit(run_id).alias("run_id"),
    )


def _mark_duplicates(context: StageContext) -> int:
    """Reject all but one of the accepted videos with the same content.

    A video that is segmented already stays; of new ones the lowest uri does, whatever
    the order in which they were probed.
    """
    accepted = context.warehouse.read("videos").where(
        "status = 'accepted' AND content_sha256 IS NOT NULL"
    )
    segmented = context.warehouse.read("segmentations").select(
        "video_id", F.lit(0).alias("rank")
    )
    by_content = Window.partitionBy("content_sha256").orderBy(
        F.coalesce("rank", F.lit(1)), "uri"
    )
    marked = (
        accepted.join(segmented, "video_id", "left")
        .withColumn("duplicate_of", F.first("video_id").over(by_content))
        .where("video_id != duplicate_of")
        .select(
            "video_id",
            "duplicate_of",
            F.lit("rejected").alias("status"),
            F.lit(DUPLICATE_CONTENT).alias("reject_reason"),
        )
        .persist()
    )
    n_marked = marked.count()
    if n_marked:
        context.warehouse.update(
            "videos", marked, ["status", "reject_reason", "duplicate_of"]
        )
    marked.unpersist()
    return n_marked


def _unchanged(rows: DataFrame) -> DataFrame:
    return rows


def _probe_all(items: DataFrame, *, rules: Rules) -> DataFrame:
    return items.mapInArrow(partial(probe_batches, rules=rules), spark_schema(RESULT))
