"""Writing the packed table as lanes, and counting them, for ``engine: broadcast``."""

from __future__ import annotations

import json
import logging
import operator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.lane_batches import lane_starts
from acav_spark.selection.lane_files import LaneFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.storage import Folder

MANIFEST = "manifest.json"
_logger = logging.getLogger(__name__)
# Rows of a task that writes lanes: 100 MB with ten views.
_ROWS_PER_TASK = 5_000_000
_WRITTEN = "lane INT, n_rows LONG, n_distinct LONG"


def classic_context(spark: SparkSession) -> SparkContext:
    """Return the session's context, which broadcasts need.

    Raises
    ------
    StageError
        If the session is one of Spark Connect, which has neither broadcasts nor RDDs.
    """
    found: SparkContext | None = getattr(spark, "sparkContext", None)
    if found is None:
        msg = (
            "selection.engine: expected a classic Spark session for 'broadcast', got "
            "one of Spark Connect, which cannot broadcast. Set selection.engine to "
            "'driver', or run on a classic cluster."
        )
        raise StageError(msg)
    return found


def write_lanes(
    packed: DataFrame,
    folder: Folder,
    *,
    packing: str,
    n_clips: int,
    n_lanes: int,
    n_clusters: tuple[int, ...],
) -> LaneFiles:
    """Write the lanes of a packed table, unless they are there.

    Parameters
    ----------
    packed : DataFrame
        ``row_number`` (0 to ``n_clips - 1``, each once) and ``clusters`` of one
        clustering.
    folder : Folder
        Of these lanes alone; what is there of another packing is deleted.
    packing : str
        What changes whenever the packed rows do, such as their ``run_id``.
    n_clips, n_lanes : int
        Rows, and lanes they are cut into.
    n_clusters : tuple of int
        Clusters of each view.

    Raises
    ------
    StageError
        If row numbers are not 0 to ``n_clips - 1``.

    Notes
    -----
    One shuffle; a task holds its lanes in memory, some 100 MB. The manifest is written
    last: without it, lanes are written anew.
    """
    n_lanes = min(n_lanes, n_clips)
    files = LaneFiles(
        folder.uri, n_clips, n_lanes, len(n_clusters), max(n_clusters) > 1 << 16
    )
    wanted = {"packing": packing, "n_clusters": list(n_clusters), **asdict(files)}
    del wanted["uri"]
    if folder.exists(MANIFEST):
        if json.loads(folder.read_text(MANIFEST)) == wanted:
            return files
        folder.delete(MANIFEST)
        folder.delete(".")
    context = classic_context(packed.sparkSession)
    n_tasks = max(context.defaultParallelism, -(-n_clips // _ROWS_PER_TASK))
    context.setJobDescription("select_clips: write lanes")
    try:
        # The lane of a row by integers, as the core cuts them.
        lane = F.expr(f"((row_number + 1) * {n_lanes}L - 1) div {n_clips}L")
        lane = F.least(F.greatest(lane, F.lit(0)), F.lit(n_lanes - 1)).cast("int")
        written = (
            packed.select(lane.alias("lane"), "row_number", "clusters")
            .repartition(min(n_lanes, n_tasks), "lane")
            .mapInArrow(_LaneWriter(files), _WRITTEN)
            .collect()
        )
    finally:
        context.setJobDescription("")
    sizes = [files.size_of(lane) for lane in range(n_lanes)]
    expected = [(lane, size, size) for lane, size in enumerate(sizes)]
    if sorted(tuple(row) for row in written) != expected:
        msg = (
            f"packed: expected the row numbers 0 to {n_clips - 1}, each once, found "
            f"{sum(row['n_rows'] for row in written)} rows, "
            f"{sum(row['n_distinct'] for row in written)} of these numbers among them. "
            "Run assign_clusters again."
        )
        raise StageError(msg)
    folder.write_text(MANIFEST, json.dumps(wanted, sort_keys=True) + "\n")
    _logger.info("wrote lanes=%d n_clips=%d folder=%s", n_lanes, n_clips, folder.uri)
    return files


@dataclass(frozen=True)
class _LaneWriter:
    """Puts the rows of some lanes in their places, in any order, and writes them."""

    files: LaneFiles

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = self.files
        starts = lane_starts(files.n_clips, files.n_lanes)
        lanes: dict[int, _Lane] = {}
        for batch in batches:
            ids = np.asarray(batch["clusters"].flatten()).astype(files.dtype)
            clusters = ids.reshape(batch.num_rows, files.n_views)
            lane_of, rows = np.asarray(batch["lane"]), np.asarray(batch["row_number"])
            for number in np.unique(lane_of).tolist():
                if number not in lanes:
                    lanes[number] = _Lane(files, number)
                chosen = np.flatnonzero(lane_of == number)
                lanes[number].put(rows[chosen] - starts[number], clusters[chosen])
        for number, lane in lanes.items():
            files.write(number, lane.clusters)
        columns = [
            pa.array(list(lanes), pa.int32()),
            pa.array([lane.n_rows for lane in lanes.values()], pa.int64()),
            pa.array([int(lane.is_there.sum()) for lane in lanes.values()], pa.int64()),
        ]
        yield pa.RecordBatch.from_arrays(columns, ["lane", "n_rows", "n_distinct"])


class _Lane:
    """The rows of a lane, put in their places."""

    def __init__(self, files: LaneFiles, number: int) -> None:
        size = files.size_of(number)
        self.clusters = np.zeros((size, files.n_views), files.dtype)
        self.is_there = np.zeros(size, dtype=bool)
        self.n_rows = 0

    def put(
        self, places: NDArray[np.int64], clusters: NDArray[np.unsignedinteger]
    ) -> None:
        """Put rows in their places; count those that have none."""
        self.n_rows += len(places)
        is_in = (places >= 0) & (places < len(self.clusters))
        self.clusters[places[is_in]] = clusters[is_in]
        self.is_there[places[is_in]] = True


def count_lanes(
    spark: SparkSession,
    files: LaneFiles,
    empty: ContingencyTables,
    *,
    counted: NDArray[np.bool_] | None = None,
) -> ContingencyTables:
    """Return the contingency tables of the clips in lanes, counted by executors.

    Parameters
    ----------
    spark : SparkSession
        Classic, not of Spark Connect.
    files : LaneFiles
        The clips.
    empty : ContingencyTables
        Pairs and clusters; not changed.
    counted : ndarray of bool, shape (n_clips,), optional
        Which clips count; all by default.

    Notes
    -----
    A task holds a lane and the tables; the sum goes to the driver in two steps.
    """
    starts = lane_starts(files.n_clips, files.n_lanes).tolist()
    parts: list[tuple[int, bytes]] = []
    for lane, (first, end) in enumerate(pairwise(starts)):
        bits = b"" if counted is None else np.packbits(counted[first:end]).tobytes()
        parts.append((lane, bits))
    context = classic_context(spark)
    context.setJobDescription("select_clips: count lanes")
    try:
        n_tasks = min(files.n_lanes, context.defaultParallelism)
        counters = (
            context.parallelize(parts, n_tasks)
            .mapPartitions(_LaneCounter(files, empty.pairs, empty.n_clusters))
            .treeReduce(operator.add)
        )
    finally:
        context.setJobDescription("")
    return empty.with_counters(counters)


@dataclass(frozen=True)
class _LaneCounter:
    """Counts the clips of a task's lanes."""

    files: LaneFiles
    pairs: tuple[tuple[int, int], ...]
    n_clusters: tuple[int, ...]

    def __call__(
        self, parts: Iterable[tuple[int, bytes]]
    ) -> Iterator[NDArray[np.int64]]:
        tables = ContingencyTables.empty(
            self.pairs, n_clusters=self.n_clusters, n_views=len(self.n_clusters)
        )
        for lane, bits in parts:
            size = self.files.size_of(lane)
            clusters = self.files.read(lane, 0, size)
            if bits:
                packed = np.frombuffer(bits, dtype=np.uint8)
                clusters = clusters[np.unpackbits(packed, count=size).astype(bool)]
            tables.count(clusters)
        yield tables.counters
