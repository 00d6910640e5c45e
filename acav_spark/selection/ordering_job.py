"""The best of scored clips, as a full sort by score and clip id would give them.

Clips are parted by ranges of (score, id), each part is sorted and written, and the
number of rows of each part tells the rank of its first. No task and no driver sees all.
Where there are rules (limits of groups, conditions, clips in or out) the driver keeps
them, as for the other methods: it then reads row numbers in the order of the scores, a
piece at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection.gathering import Former, constraints_left, former_rows
from acav_spark.selection.limits import require_all
from acav_spark.selection.restrictions import read_restrictions
from acav_spark.selection.ruled_order import RuledOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame

    from acav_spark.config.selecting import SelectionConfig
    from acav_spark.context import StageContext
    from acav_spark.selection.limits import Constraints
    from acav_spark.selection.problem import Extent
    from acav_spark.storage import Folder

_ORDERED = "ordered"
# A part has some 40 MB.
_ROWS_PER_PART = 500_000
# monotonically_increasing_id has the partition above so many bits, the row below.
_ROW_BITS = 33


def in_order(scores: DataFrame, scratch: Folder, *, n_rows: int) -> DataFrame:
    """Write scored clips in their order; return them with their ``place``.

    Parameters
    ----------
    scores : DataFrame
        ``row_number``, ``clip_id`` and a finite ``score``, read from files: to find
        ranges they are read twice.
    scratch : Folder
        Takes the files.
    n_rows : int
        How many clips there are.

    Returns
    -------
    DataFrame
        The same rows with ``place``: rising with falling score, and with the id among
        equal scores; not without gaps.
    """
    order = [F.desc("score"), F.asc("clip_id")]
    n_parts = max(1, -(-n_rows // _ROWS_PER_PART))
    rows = scores.repartitionByRange(n_parts, *order).sortWithinPartitions(*order)
    scratch.delete(_ORDERED)
    placed = rows.withColumn("place", F.monotonically_increasing_id())
    # What is written stays: places cannot come out otherwise when a task runs again.
    placed.write.mode("overwrite").parquet(f"{scratch.uri}/{_ORDERED}")
    return scores.sparkSession.read.parquet(f"{scratch.uri}/{_ORDERED}")


def first_places(
    context: StageContext,
    chosen: SelectionConfig,
    packed: DataFrame,
    ordered: DataFrame,
    extent: Extent,
    name: str,
    scratch: Folder,
) -> DataFrame:
    """Return the new picks: ``clip_id``, ``rank``, ``score``, ``batch``.

    Parameters
    ----------
    context, packed, name
        Where clips are described, and the selection that is extended.
    chosen : SelectionConfig
        Condition, limits, quotas, clips in and out.
    ordered : DataFrame
        As ``in_order`` returns it, of all packed clips less those selected before.
    extent : Extent
        How many.
    scratch : Folder
        Where the files of ``ordered`` are.

    Raises
    ------
    StageError, ValueError
        If a rule is none, or rules leave too few clips.
    """
    rules = (chosen.where, chosen.max_per_group, chosen.quotas)
    if not any((*rules, chosen.must_include, chosen.must_exclude)):
        ranked = _ranked(ordered)
        return ranked.where(F.col("rank") <= extent.n_new).select(
            "clip_id",
            (F.col("rank") + extent.n_before).alias("rank"),
            "score",
            F.lit(0).alias("batch"),
        )
    restrictions = read_restrictions(
        context, chosen, packed, extent.n_clips, extent.n_select, scratch
    )
    former = Former.none()
    if extent.n_before:
        selected = context.warehouse.read("selections").where(f"selection = '{name}'")
        former = former_rows(selected, packed, extent, scratch)
    constraints = constraints_left(extent, restrictions, former.is_in)
    uris = _write_picks(ordered, constraints, extent, scratch)
    picks = context.spark.read.parquet(*uris)
    return ordered.join(picks, "place").select("clip_id", "rank", "score", "batch")


def _part(column: str) -> Column:
    return F.shiftright(column, _ROW_BITS)


def _ranked(ordered: DataFrame) -> DataFrame:
    """Return the rows with their ``rank`` among all, from 1."""
    counts = ordered.groupBy(_part("place").alias("part")).count().collect()
    sizes = {row["part"]: row["count"] for row in counts}
    firsts, first = [], 1
    for part in sorted(sizes):
        # What is added to a place to make a rank.
        firsts.append((part, first - (part << _ROW_BITS)))
        first += sizes[part]
    offsets = ordered.sparkSession.createDataFrame(firsts, "part LONG, offset LONG")
    rows = ordered.withColumn("part", _part("place").cast("long"))
    return rows.join(F.broadcast(offsets), "part").withColumn(
        "rank", F.col("place") + F.col("offset")
    )


def _write_picks(
    ordered: DataFrame, constraints: Constraints, extent: Extent, scratch: Folder
) -> list[str]:
    """Write ``place``, ``rank`` and ``batch`` of new picks; return the files."""
    scratch.delete("picks")
    uris: list[str] = []
    n_picked = extent.n_before

    def write(places: NDArray[np.int64], batch: int) -> None:
        nonlocal n_picked
        if not len(places):
            return
        first = n_picked + 1
        n_picked += len(places)
        table = pa.table(
            {
                "place": places,
                "rank": np.arange(first, n_picked + 1, dtype=np.int64),
                "batch": np.full(len(places), batch, dtype=np.int32),
            }
        )
        name = f"picks/{len(uris):06d}.parquet"
        scratch.write_table(name, table)
        uris.append(f"{scratch.uri}/{name}")

    write(_places_of(ordered, constraints.include), -1)
    order = RuledOrder(constraints)
    for rows, places in _pieces(scratch):
        if not order.n_left:
            break
        write(places[order.take(rows)], 0)
    require_all(n_picked, extent.n_select, constraints.limits)
    return uris


def _places_of(ordered: DataFrame, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of some rows, the best first; rows are named by users."""
    if not len(rows):
        return rows
    spark = ordered.sparkSession
    wanted = spark.createDataFrame([(row,) for row in rows.tolist()], "row_number LONG")
    found = ordered.join(F.broadcast(wanted), "row_number").select("place").collect()
    return np.sort(np.array([row["place"] for row in found], dtype=np.int64))


def _pieces(
    scratch: Folder,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield row numbers and places in the order of places, some at a time."""
    parts = [part for part in scratch.list(_ORDERED) if part.endswith(".parquet")]
    last = -1
    # Names of parts begin with their number, in digits of one length.
    for part in parts:
        for batch in scratch.batches(f"{_ORDERED}/{part}", ["row_number", "place"]):
            places = batch["place"].to_numpy()
            if len(places) and places[0] <= last:
                msg = (
                    f"select_clips: expected parts of the order to follow each other, "
                    f"got place {places[0]} after {last} in {part}."
                )
                raise StageError(msg)
            last = int(places[-1]) if len(places) else last
            yield batch["row_number"].to_numpy(), places
