"""Reading the packed table into the driver: integers only, straight from its files."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection.distinct_ids import have_distinct_hashes
from acav_spark.selection.packed_rows import (
    PackedRows,
    PackedRowsError,
    file_rows,
    read_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.storage import Folder

_logger = logging.getLogger(__name__)
_COLUMNS = ("row_number", "clusters")
_N_EXAMPLES = 5


@dataclass(frozen=True)
class PackedFiles:
    """The files of one clustering's packed rows.

    Parameters
    ----------
    n_clips : int
        Rows in all.
    rows_by_file : dict of str to int
        Rows that count, by the file's URI.
    """

    n_clips: int
    rows_by_file: dict[str, int]

    def are_whole(self, columns: Sequence[str]) -> bool:
        """Return whether the files hold the rows and no others, columns by their names.

        Otherwise rows were deleted without rewriting their file (deletion vectors), or
        columns go by other names (column mapping).
        """
        return all(file_rows(uri, columns) == n for uri, n in self.rows_by_file.items())


def packed_files(packed: DataFrame) -> PackedFiles:
    """Return the files of packed rows, and how many rows each gives.

    Raises
    ------
    StageError
        If row numbers are not those of so many rows.
    """
    rows = (
        packed.select("row_number", F.col("_metadata.file_path").alias("file"))
        .groupBy("file")
        .agg(F.count("*").alias("n"), F.max("row_number").alias("last"))
        .collect()
    )
    n_clips = sum(row["n"] for row in rows)
    last = max((row["last"] for row in rows), default=-1)
    if n_clips and last != n_clips - 1:
        msg = (
            f"packed: expected row numbers from 0 to {n_clips - 1}, for {n_clips} "
            f"rows, got {last} as the largest. Run 'acav run assign_clusters' to pack "
            "anew."
        )
        raise StageError(msg)
    return PackedFiles(n_clips, {row["file"]: row["n"] for row in rows})


def require_distinct_clips(packed: DataFrame) -> None:
    """Refuse clips that are packed twice; 8 bytes a clip are shuffled.

    Raises
    ------
    StageError
        If a clip is there twice; with examples.
    """
    hashes = packed.select(F.xxhash64("clip_id").alias("hash"))
    doubled = [
        row["hash"]
        for row in hashes.groupBy("hash")
        .count()
        .where("count > 1")
        .limit(1000)
        .collect()
    ]
    if not doubled:
        return
    # Different clips may share a hash: three pairs among ten thousand million clips.
    clips = (
        packed.where(F.xxhash64("clip_id").isin(doubled))
        .groupBy("clip_id")
        .count()
        .where("count > 1")
        .orderBy("clip_id")
        .collect()
    )
    if clips:
        examples = [row["clip_id"] for row in clips[:_N_EXAMPLES]]
        msg = (
            f"packed: expected each clip once, got {len(clips)} clips more than once "
            f"({examples}). Run 'acav run assign_clusters' to pack anew."
        )
        raise StageError(msg)


def require_distinct_in_files(
    packed: DataFrame, files: PackedFiles, scratch: Folder
) -> None:
    """Refuse clips that are packed twice, as ``require_distinct_clips`` does.

    The driver reads the ids and keeps 8 bytes of each for the while: several times as
    fast as a shuffle. Only where hashes meet does Spark look which clips they are of.
    """
    started = time.monotonic()
    batches = packed_batches(packed, files, ("clip_id",), scratch)
    ids = (batch["clip_id"] for batch in batches)
    if not have_distinct_hashes(ids, files.n_clips):
        require_distinct_clips(packed)
    seconds = time.monotonic() - started
    _logger.info("found clips distinct n=%d seconds=%.1f", files.n_clips, seconds)


def read_packed(
    packed: DataFrame,
    files: PackedFiles,
    scratch: Folder,
    *,
    n_clusters: tuple[int, ...],
    kept: NDArray[np.bool_] | None = None,
    counted: NDArray[np.bool_] | None = None,
    tables: ContingencyTables | None = None,
) -> PackedRows:
    """Return packed rows as arrays in the driver; see ``PackedRows`` for what is kept.

    Parameters
    ----------
    packed : DataFrame
        Rows of one clustering.
    files : PackedFiles
        Where they are.
    scratch : Folder
        Where Spark may write them again, if the files cannot be read as they are.
    n_clusters, kept, counted, tables
        As in ``PackedRows``.

    Raises
    ------
    StageError
        If a row is missing or there twice, or an id is out of range.

    Notes
    -----
    Memory: two bytes (four from 65,537 clusters on) for each view of a kept clip, one
    for each clip, and a piece of a file.
    """
    started = time.monotonic()
    rows = PackedRows(
        files.n_clips, n_clusters, kept=kept, counted=counted, tables=tables
    )
    try:
        for batch in packed_batches(packed, files, _COLUMNS, scratch):
            rows.add(batch)
        rows.finish()
    except PackedRowsError as error:
        clips = (
            packed.where(F.col("row_number").isin(error.rows))
            .select("row_number", "clip_id")
            .orderBy("row_number")
            .collect()
            if error.rows
            else []
        )
        named = ", ".join(f"row {r['row_number']} is {r['clip_id']}" for r in clips)
        msg = f"{error} {named}".strip()
        raise StageError(msg) from error
    seconds = time.monotonic() - started
    _logger.info("read packed n_clips=%d seconds=%.1f", files.n_clips, seconds)
    return rows


def packed_batches(
    packed: DataFrame, files: PackedFiles, columns: Sequence[str], scratch: Folder
) -> Iterator[pa.RecordBatch]:
    """Yield columns of packed rows from their files, or written again by Spark."""
    if files.are_whole(columns):
        yield from read_columns(sorted(files.rows_by_file), columns)
        return
    _logger.info("packed files cannot be read as they are: Spark writes them again")
    yield from written_batches(packed.select(*columns), scratch, "packed")


def written_batches(
    rows: DataFrame, scratch: Folder, name: str
) -> Iterator[pa.RecordBatch]:
    """Let Spark write rows to a scratch folder, and yield them from there.

    The driver holds a piece at a time; a collect would hold all.
    """
    scratch.delete(name)
    rows.write.mode("overwrite").parquet(f"{scratch.uri}/{name}")
    parts = [part for part in scratch.list(name) if part.endswith(".parquet")]
    columns = rows.columns
    for part in parts:
        yield from scratch.batches(f"{name}/{part}", columns)
    scratch.delete(name)
