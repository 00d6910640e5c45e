"""From staged picks to ``selections``, from counts to ``contingency``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.selection.candidates import packed_batches
from acav_spark.selection.cells import TableRows
from acav_spark.selection.picked_clips import PickedClips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyspark.sql import Column, DataFrame

    from acav_spark.context import StageContext
    from acav_spark.selection.candidates import PackedFiles
    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.staging import PickStaging
    from acav_spark.storage import Folder

_logger = logging.getLogger(__name__)
# A block has a million counters.
_BLOCKS_PER_FILE = 4
# A file of so many picks has some 40 MB.
_PICKS_PER_FILE = 1 << 19


def write_selection(
    context: StageContext,
    name: str,
    packed: DataFrame,
    staging: PickStaging,
    *,
    n_before: int,
    marks: Mapping[str, Column],
    scratch: Folder,
    files: PackedFiles | None = None,
) -> None:
    """Write staged picks with their clip ids to ``selections``: one commit.

    Parameters
    ----------
    context : StageContext
        Where the table is.
    name : str
        Name of the selection.
    packed : DataFrame
        Rows of one clustering.
    staging : PickStaging
        All new picks, flushed.
    n_before : int
        Clips of the selection that are in the table already.
    marks : mapping of str to Column
        Columns that all rows have alike.
    scratch : Folder
        Takes the picks with their ids, where the driver puts them together.
    files : PackedFiles, optional
        Where the packed rows are, if the driver is to look up the ids in them: it needs
        four bytes a clip and 32 a pick, and is done before Spark has sorted both sides
        of a join. By default Spark joins.
    """
    started = time.monotonic()
    if files is None:
        picks = context.spark.read.parquet(*staging.uris).drop("score")
        clips = packed.select("row_number", "clip_id")
        rows = picks.join(clips, "row_number").drop("row_number")
    else:
        uris = _put_together(packed, files, staging, scratch)
        rows = context.spark.read.parquet(*uris)
    where = f"selection = '{name}' AND rank > {n_before}"
    context.warehouse.replace("selections", rows.withColumns(dict(marks)), where)
    seconds = time.monotonic() - started
    _logger.info(
        "wrote selection name=%s n_picks=%d seconds=%.1f", name, len(staging), seconds
    )


def _put_together(
    packed: DataFrame, files: PackedFiles, staging: PickStaging, scratch: Folder
) -> list[str]:
    """Write picks with clip ids to scratch files; return where they are."""
    scratch.delete("picked")
    picked = PickedClips(staging.tables(), files.n_clips)
    uris: list[str] = []
    columns = ("row_number", "clip_id")
    batches = packed_batches(packed, files, columns, scratch)
    for table in _by_size(map(picked.of, batches), _PICKS_PER_FILE):
        scratch.write_table(f"picked/{len(uris):06d}.parquet", table)
        uris.append(f"{scratch.uri}/picked/{len(uris):06d}.parquet")
    return uris


def _by_size(tables: Iterable[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    """Yield tables put together until they have so many rows; the last has fewer."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= n_rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def write_contingency(
    context: StageContext,
    name: str,
    tables: ContingencyTables,
    scratch: Folder,
    *,
    marks: Mapping[str, Column],
) -> None:
    """Put counts in the place of those that ``contingency`` has under a name.

    They pass through files of the scratch folder: 45 pairs of 500 clusters have eleven
    million cells, too many to hand over from Python value by value.
    """
    scratch.delete("cells")
    uris = []
    for number, rows_of_tables in enumerate(_table_rows(tables)):
        scratch.write_table(f"cells/{number:06d}.parquet", rows_of_tables)
        uris.append(f"{scratch.uri}/cells/{number:06d}.parquet")
    rows = context.spark.read.parquet(*uris).withColumns(dict(marks))
    context.warehouse.replace("contingency", rows, f"selection = '{name}'")
    scratch.delete("cells")


def _table_rows(tables: ContingencyTables) -> Iterator[pa.Table]:
    """Yield the rows of ``contingency``, some millions of cells at a time."""
    rows = TableRows(tables)
    starts = rows.block_starts.tolist()
    for first in range(0, rows.n_blocks, _BLOCKS_PER_FILE):
        blocks = range(first, min(first + _BLOCKS_PER_FILE, rows.n_blocks))
        yield pa.Table.from_batches(
            [
                rows.batch(block, tables.counters[starts[block] : starts[block + 1]])
                for block in blocks
            ]
        )


def selection_marks(
    name: str, *, stage_hash: str, run_id: str, **further: str
) -> dict[str, Column]:
    """Return the columns that all rows of one selection have alike."""
    values = {"selection": name, "stage_hash": stage_hash, "run_id": run_id, **further}
    return {column: F.lit(value) for column, value in values.items()}
