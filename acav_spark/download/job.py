"""What is to be downloaded, where Spark reads it: metadata, and ``videos``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.download.items import Item, item_from_row
from acav_spark.errors import MediaError
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.metadata import BAD_ROW, FIELDS
from acav_spark.ingest.reading import BROKEN, read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyspark.sql import SparkSession

    from acav_spark.ingest.sources import Source

_SHOWN_CHARS = 200


def items_of_videos(spark: SparkSession, table: str) -> Iterator[Item]:
    """Yield the accepted videos of a table ``videos`` that are on the web.

    Parameters
    ----------
    spark : SparkSession
        Session.
    table : str
        Folder of the Delta table.

    Yields
    ------
    Item
        With the metadata that was judged; in the order of ids, so that a limit of
        their number means the same videos each time.
    """
    rows = (
        spark.read.format("delta")
        .load(table)
        .where("status = 'accepted' AND lower(uri) RLIKE '^https?://'")
        .select(*FIELDS)
        .orderBy("video_id")
    )
    for row in rows.toLocalIterator():
        yield item_from_row(row.asDict())


def items_of_metadata(
    spark: SparkSession, sources: Sequence[Source], mapping: Mapping[str, str]
) -> Iterator[Item]:
    """Yield the videos of metadata as ``ingest_videos`` reads it, unfiltered.

    A row that cannot be read is an item with its error.
    """
    rows = read_metadata(spark, sources, mapping)
    for row in rows.toLocalIterator():
        broken, origin = row[BROKEN], row["origin"] or ""
        if broken is None:
            yield item_from_row({field: row[field] for field in FIELDS})
            continue
        shown = f"{origin}: a row that cannot be read: {broken[:_SHOWN_CHARS]!a}"
        item_id = video_id_from_uri(f"{origin}\n{broken}")
        yield Item(item_id, origin, error=MediaError(BAD_ROW, shown))
