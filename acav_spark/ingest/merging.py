"""One row for each video: of several rows the best, of several runs the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.ingest.filters import DUPLICATE_CONTENT
from acav_spark.ingest.language_job import IS_CANDIDATE
from acav_spark.ingest.metadata import FIELDS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from acav_spark.context import StageContext

# Sources state a duration in whole seconds, rounded either way.
_SAME_DURATION_S = 1.0


def best_rows(rows: DataFrame) -> DataFrame:
    """Return one row for each item: of several the best, whatever their order.

    Best is a row without an error; then the one fetched last, where that is known;
    then the one with most fields; then the one with the least hash. Adds
    ``metadata_hash`` and ``n_rows``, how many there were.
    """
    filled = sum((F.col(f).isNotNull().cast("int") for f in _compared(rows)), F.lit(0))
    hashed = rows.withColumn("metadata_hash", _hash(rows)).withColumn("filled", filled)
    every = Window.partitionBy("item_id")
    order = every.orderBy(
        F.col("error_code").isNotNull(),
        F.col("fetched_at").desc_nulls_last(),
        F.col("filled").desc(),
        "metadata_hash",
        # Two rows of one hash differ in what is not hashed at most.
        "source",
        "message",
    )
    return (
        hashed.withColumn("n_rows", F.count("*").over(every))
        .withColumn("place", F.row_number().over(order))
        .where("place = 1")
        .drop("place", "filled")
    )


def pending_videos(context: StageContext, stage: str, listed: DataFrame) -> DataFrame:
    """Return what is to be written: what is new, and metadata that has changed.

    Parameters
    ----------
    context : StageContext
        Where the tables are.
    stage : str
        Whose failures count.
    listed : DataFrame
        ``item_id``; of metadata also ``metadata_hash``, ``fetched_at``, ``error_code``
        and ``duration_s``.

    Returns
    -------
    DataFrame
        The same with ``is_update``, and ``is_recut`` where the duration is another.
        Metadata older than what is there is no update; media never is.
    """
    warehouse = context.warehouse
    if "metadata_hash" not in listed.columns:
        listed = listed.withColumn("metadata_hash", F.lit(None).cast("bigint"))
        for name, kind in _OF_METADATA.items():
            if name not in listed.columns:
                listed = listed.withColumn(name, F.lit(None).cast(kind))
    videos = warehouse.read("videos")
    # A table of an earlier version does not have them yet.
    hashed, fetched = (
        F.col(name) if name in videos.columns else F.lit(None).cast(kind)
        for name, kind in (("metadata_hash", "bigint"), ("fetched_at", "timestamp"))
    )
    known = videos.select(
        F.col("video_id").alias("item_id"),
        (F.col("source") == "media").alias("is_probed"),
        hashed.alias("known_hash"),
        fetched.alias("known_at"),
        F.col("duration_s").alias("known_duration_s"),
    )
    failed = (
        warehouse.read("failures")
        .where((F.col("stage") == stage) & F.col("is_permanent"))
        .select("item_id", F.lit(True).alias("is_hopeless"))
    )
    joined = listed.join(known, "item_id", "left").join(failed, "item_id", "left")
    is_read = F.col("metadata_hash").isNotNull() & F.col("error_code").isNull()
    is_older = F.coalesce(F.col("fetched_at") < F.col("known_at"), F.lit(False))
    is_update = (
        (~F.col("is_probed"))
        & is_read
        & ~F.col("metadata_hash").eqNullSafe(F.col("known_hash"))
        & ~is_older
    )
    change_s = F.abs(F.col("duration_s") - F.col("known_duration_s"))
    is_new = F.col("is_probed").isNull() & (F.col("is_hopeless").isNull() | is_read)
    return (
        joined.withColumn("is_update", F.coalesce(is_update, F.lit(False)))
        .where(is_new | F.col("is_update"))
        .withColumn(
            "is_recut",
            F.col("is_update") & F.coalesce(change_s > _SAME_DURATION_S, F.lit(False)),
        )
        .drop(*known.columns[1:], "is_hopeless")
    )


def write_videos(context: StageContext, rows: DataFrame, marks: DataFrame) -> None:
    """Write rows of ``videos``; those that are there already get the new metadata.

    Parameters
    ----------
    context : StageContext
        Where the tables are.
    rows : DataFrame
        Rows of the table.
    marks : DataFrame
        ``video_id``, ``is_update`` and ``is_recut`` of each.

    Notes
    -----
    A video of another duration is another one, as an editor's cut is: its clips and
    its row in ``segmentations`` go before the video's row changes, so that a driver
    killed in between does both again.
    """
    if marks.where("is_update").isEmpty():
        context.warehouse.insert("videos", rows)
        return
    recut = marks.where("is_recut").select("video_id")
    if not recut.isEmpty():
        for table in ("clips", "segmentations"):
            context.warehouse.delete_keys(table, recut)
    context.warehouse.upsert("videos", rows)


def mark_duplicates(context: StageContext) -> int:
    """Reject all but one of the accepted videos with the same content.

    A video that is segmented already stays; of new ones the lowest uri does, whatever
    the order in which they were probed.
    """
    accepted = context.warehouse.read("videos").where(
        f"{IS_CANDIDATE} AND content_sha256 IS NOT NULL"
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


_OF_METADATA = {
    "fetched_at": "timestamp",
    "error_code": "string",
    "duration_s": "double",
}


def _compared(rows: DataFrame) -> list[str]:
    return [name for name in FIELDS if name in rows.columns]


def _hash(rows: DataFrame) -> Column:
    """Return the hash of what the metadata says; not of when it was fetched."""
    # Absent values would leave the hash as it is, wherever they are.
    parts = [
        F.to_json(name) if name == "tags" else F.col(name).cast("string")
        for name in _compared(rows)
    ]
    return F.xxhash64(*[F.coalesce(part, F.lit("\x00")) for part in parts])
