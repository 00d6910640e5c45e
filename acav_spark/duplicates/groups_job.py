"""Groups of videos that show the same, each member compared with the one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.duplicates.components import connected_groups
from acav_spark.duplicates.links_job import linked_pairs
from acav_spark.errors import StageError
from acav_spark.selection.job import to_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.config.segmenting import DuplicatesConfig

# Links between videos that the driver joins to groups: some 2 GB.
MAX_LINKS: Final = 20_000_000
# Chains of wrong links fall apart at once; what is left after so many rounds stays.
MAX_ROUNDS: Final = 5
_PAIR: Final = ["first", "second"]


def verified_duplicates(
    links: DataFrame, clips: DataFrame, qualities: DataFrame, settings: DuplicatesConfig
) -> DataFrame:
    """Return the videos that go, and the one of its group that each is a copy of.

    Parameters
    ----------
    links : DataFrame
        ``first`` and ``second``, ids of videos that show the same, the lesser first.
    clips : DataFrame
        ``clip_id``, ``video_id`` and what clips are compared by.
    qualities : DataFrame
        ``video_id``, ``duration_s`` and ``n_pixels``: of a group the longest is kept,
        to the second; of these the largest; of these the least id.
    settings : DuplicatesConfig
        Thresholds.

    Returns
    -------
    DataFrame
        ``video_id`` and ``kept``. Every one has been compared with the one kept: a
        link that is wrong joins two groups, but makes no duplicates of their members.
        Persisted.

    Raises
    ------
    StageError
        If there are more than ``MAX_LINKS`` links.

    Notes
    -----
    Members that are not like the one kept leave, and those that are linked among
    themselves are groups again, at most ``MAX_ROUNDS`` times.
    """
    spark = links.sparkSession
    found = spark.createDataFrame([], "video_id STRING, kept STRING")
    held = []
    for _ in range(MAX_ROUNDS):
        groups = _groups(spark, links)
        if groups is None:
            break
        marks = _kept(groups, qualities).persist()
        confirmed = _confirmed(marks, links, clips, settings).persist()
        found = found.union(confirmed)
        left = marks.select("video_id").join(
            confirmed.select("video_id"), "video_id", "left_anti"
        )
        for end in _PAIR:
            links = links.join(left.toDF(end), end, "semi")
        links = links.select(*_PAIR).persist()
        held += [marks, confirmed, links]
    found = found.persist()
    found.count()
    for frame in held:
        frame.unpersist()
    return found


def _groups(spark: SparkSession, links: DataFrame) -> DataFrame | None:
    """Return the hash of each linked video and that of its group; None without any."""
    hashed = links.select(*(F.xxhash64(end).alias(end) for end in _PAIR))
    ends = to_arrow(hashed.limit(MAX_LINKS + 1))
    if ends.num_rows > MAX_LINKS:
        msg = (
            f"find_duplicates: expected at most {MAX_LINKS} pairs of videos that show "
            "the same, got more. Raise duplicates.min_agreement or "
            "duplicates.min_matching_share, or lower duplicates.max_bucket_pairs."
        )
        raise StageError(msg)
    if ends.num_rows == 0:
        return None
    ids, groups = connected_groups(*(ends[end].to_numpy() for end in _PAIR))
    table = pa.table({"id": ids, "group": groups})
    is_arrow = hasattr(links, "toArrow")  # Spark 3.5 takes pandas only
    return spark.createDataFrame(
        table if is_arrow else table.to_pandas(), "id LONG, group LONG"
    )


def _kept(groups: DataFrame, qualities: DataFrame) -> DataFrame:
    """Return each member of a group that is not the one kept, and the one kept."""
    by_quality = Window.partitionBy("group").orderBy(
        # Copies differ by some frames; then the larger picture is worth more.
        F.round("duration_s").desc_nulls_last(),
        F.col("n_pixels").desc_nulls_last(),
        "video_id",
    )
    return (
        qualities.withColumn("id", F.xxhash64("video_id"))
        .join(groups, "id")
        .withColumn("kept", F.first("video_id").over(by_quality))
        .where("video_id != kept")
        .select("video_id", "kept")
    )


def _confirmed(
    marks: DataFrame, links: DataFrame, clips: DataFrame, settings: DuplicatesConfig
) -> DataFrame:
    """Return the members that are copies of the one kept."""
    pairs = marks.select(
        "*",
        F.least("video_id", "kept").alias("first"),
        F.greatest("video_id", "kept").alias("second"),
    )
    # Those that are linked have been compared before.
    unlinked = pairs.join(links, _PAIR, "left_anti").select(*_PAIR)
    confirmed = links.select(*_PAIR)
    if not unlinked.isEmpty():
        confirmed = confirmed.union(linked_pairs(unlinked, clips, settings))
    return pairs.join(confirmed, _PAIR, "semi").select("video_id", "kept")
