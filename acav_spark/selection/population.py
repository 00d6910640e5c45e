"""Contingency tables of any set of packed clips, counted where the clips are.

Each task counts its rows into one array, as the core does, and hands it on in blocks;
the blocks are summed by number. What is shuffled is one set of tables a task, whatever
the number of clips.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.config import section_hash
from acav_spark.selection.cells import COLUMNS, TableRows
from acav_spark.selection.writing import selection_marks, write_contingency
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext
    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.problem import Problem

_logger = logging.getLogger(__name__)
_BLOCKS = "block INT, counts BINARY"


@dataclass(frozen=True)
class _Counter:
    """Counts rows into the tables of a problem; travels to executors."""

    problem: Problem

    def count(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Yield the blocks of the counts of all rows of a task."""
        tables = self.problem.empty_tables()
        n_views = len(self.problem.n_clusters)
        n_rows = 0
        for batch in batches:
            ids = batch["clusters"].flatten().to_numpy().reshape(-1, n_views)
            n_rows += len(ids)
            tables.count(ids)
        if n_rows:
            starts = TableRows(tables).block_starts.tolist()
            for number, (start, end) in enumerate(pairwise(starts)):
                yield _block(number, tables.counters[start:end])

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Yield the rows of ``contingency`` of summed blocks."""
        table_rows = TableRows(self.problem.empty_tables())
        for number, counts in _summed(batches).items():
            yield table_rows.batch(number, counts)


def _block(number: int, counts: NDArray[np.int64]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([number], pa.int32()),
            pa.array([counts.tobytes()], pa.binary()),
        ],
        ["block", "counts"],
    )


def _sum_blocks(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """Yield each block's sum; all rows of a block come to one task."""
    for number, counts in _summed(batches).items():
        yield _block(number, counts)


def _summed(batches: Iterable[pa.RecordBatch]) -> dict[int, NDArray[np.int64]]:
    sums: dict[int, NDArray[np.int64]] = {}
    for batch in batches:
        for number, counts in zip(batch["block"], batch["counts"], strict=True):
            values = np.frombuffer(counts.as_buffer(), dtype=np.int64)
            block = number.as_py()
            sums[block] = sums[block] + values if block in sums else values
    return sums


def _counted(clusters: DataFrame, counter: _Counter) -> DataFrame:
    """Return blocks of counts by task, those of a block together."""
    parallelism = clusters.sparkSession.sparkContext.defaultParallelism
    n_blocks = TableRows(counter.problem.empty_tables()).n_blocks
    rows = clusters.select("clusters").coalesce(parallelism)
    blocks = rows.mapInArrow(counter.count, _BLOCKS)
    return blocks.repartition(min(n_blocks, 4 * parallelism), "block")


def count_clips(clusters: DataFrame, problem: Problem) -> ContingencyTables:
    """Return the tables of rows with a column ``clusters``, counted by executors.

    The driver receives the tables alone: 90 MB for 45 pairs of 500 clusters.

    Parameters
    ----------
    clusters : DataFrame
        Packed rows of any clips.
    problem : Problem
        Names the pairs and the clusters.
    """
    blocks = _counted(clusters, _Counter(problem))
    tables = problem.empty_tables()
    starts = TableRows(tables).block_starts
    for row in blocks.mapInArrow(_sum_blocks, _BLOCKS).toLocalIterator():
        start = starts[row["block"]]
        counts = np.frombuffer(bytes(row["counts"]), dtype=np.int64)
        tables.counters[start : start + len(counts)] = counts
    return tables


def contingency_rows(clusters: DataFrame, problem: Problem) -> DataFrame:
    """Return the rows of ``contingency`` of packed rows, without the driver."""
    counter = _Counter(problem)
    blocks = _counted(clusters, counter)
    return blocks.mapInArrow(counter.rows, COLUMNS)


def population_name(clustering: str) -> str:
    """Return the name under which ``contingency`` has all clips of a clustering."""
    return f"population:{clustering}"


def write_population(
    context: StageContext,
    clustering: str,
    packed: DataFrame,
    problem: Problem,
    *,
    counted: Callable[[], ContingencyTables] | None = None,
) -> bool:
    """Put the tables of all packed clips into ``contingency``, unless they are there.

    Parameters
    ----------
    context, clustering, packed
        Where the table is, and the clips.
    problem : Problem
        Names the pairs and the clusters.
    counted : callable, optional
        Counts the clips where they are in memory already; executors do by default.

    Returns
    -------
    bool
        Whether they were counted: the packed table, the pairs or the clusters are
        others than at the last time.
    """
    name = population_name(clustering)
    # All packed rows are of one run; what is in them does not hang on its id.
    packing = packed.select("run_id", "stage_hash").first()
    if packing is None:
        return False
    the_hash = section_hash(
        "population",
        packing["stage_hash"],
        [problem.n_clips, list(problem.n_clusters), [list(p) for p in problem.pairs]],
    )
    contingency = context.warehouse.read("contingency").where(
        F.col("selection") == name
    )
    found = contingency.select("stage_hash", "run_id").first()
    if found is not None and tuple(found) == (the_hash, packing["run_id"]):
        return False
    marks = selection_marks(name, stage_hash=the_hash, run_id=packing["run_id"])
    if counted is not None:
        scratch = Folder(f"{context.folder.uri}/_counting/{clustering}")
        write_contingency(context, name, counted(), scratch, marks=marks)
        scratch.delete(".")
    else:
        rows = contingency_rows(packed, problem).withColumns(marks)
        context.warehouse.replace("contingency", rows, f"selection = '{name}'")
    _logger.info("counted population clustering=%s", clustering)
    return True


def clusters_of(
    context: StageContext, selection: str, packed: DataFrame, n_first: int | None = None
) -> DataFrame:
    """Return the packed rows of a stored selection, or of its first ranks."""
    rows = context.warehouse.read("selections").where(F.col("selection") == selection)
    if n_first is not None:
        rows = rows.where(F.col("rank") <= n_first)
    return packed.join(rows.select("clip_id"), "clip_id", "left_semi")
