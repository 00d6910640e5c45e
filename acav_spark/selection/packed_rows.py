"""Cluster ids from Parquet files into one array, in place by row number.

Row groups are streamed: what is in memory besides the array is a piece of a file.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

_N_EXAMPLES = 5
_ROWS_AT_ONCE = 1 << 17


class PackedRowsError(ValueError):
    """Rows of the packed table that cannot be what they should.

    Parameters
    ----------
    message : str
        What was expected and found.
    rows : sequence of int
        Examples, by row number.
    """

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.rows = list(rows)


def located(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path of a file that Spark named.

    Spark escapes what a URI may not hold (a space is ``%20``) in the names of files.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return fs.LocalFileSystem(), unquote(parts.path)
    scheme = "s3" if parts.scheme == "s3a" else parts.scheme
    return _store(scheme, parts.netloc), unquote(f"{parts.netloc}{parts.path}")


@cache
def _store(scheme: str, bucket: str) -> fs.FileSystem:
    """Return an object store, whose region is asked for once."""
    return fs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]


def file_rows(uri: str, columns: Sequence[str]) -> int | None:
    """Return how many rows a Parquet file has; None if it lacks one of the columns."""
    filesystem, path = located(uri)
    with filesystem.open_input_file(path) as stream:
        metadata = pq.read_metadata(stream)
    if not set(columns) <= set(metadata.schema.to_arrow_schema().names):
        return None
    return int(metadata.num_rows)


def read_columns(
    uris: Iterable[str], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of Parquet files, a piece at a time."""
    for uri in uris:
        filesystem, path = located(uri)
        with filesystem.open_input_file(path) as stream:
            file = pq.ParquetFile(stream, pre_buffer=True)
            yield from file.iter_batches(_ROWS_AT_ONCE, columns=list(columns))


def cluster_type(n_clusters: Sequence[int]) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest type that holds all cluster ids."""
    return np.uint16 if max(n_clusters) <= 1 << 16 else np.uint32


class PackedRows:
    """Gathers the rows of the packed table, each exactly once.

    Parameters
    ----------
    n_clips : int
        Rows that there are to be, numbered from 0.
    n_clusters : sequence of int
        Clusters of each view.
    kept : ndarray of bool, shape (n_clips,), optional
        Rows to keep; by default all.
    counted : ndarray of bool, shape (n_clips,), optional
        Rows to count in ``tables``.
    tables : ContingencyTables, optional
        Where to.

    Attributes
    ----------
    row_numbers : ndarray of uint32 or int64, shape (n_kept,), or None
        Row numbers of those that are kept, rising; None where all are.
    assignments : ndarray of uint16 or uint32, shape (n_kept, n_views)
        Their cluster ids.
    """

    def __init__(
        self,
        n_clips: int,
        n_clusters: Sequence[int],
        *,
        kept: NDArray[np.bool_] | None = None,
        counted: NDArray[np.bool_] | None = None,
        tables: ContingencyTables | None = None,
    ) -> None:
        self._n_clips = n_clips
        self._sizes = np.array(n_clusters, dtype=np.int64)
        self._kept = kept
        self._counted = counted
        self._tables = tables
        self.row_numbers: NDArray[np.integer] | None = None
        n_kept = n_clips
        if kept is not None:
            rows = np.flatnonzero(kept)
            small = n_clips < 1 << 32
            self.row_numbers = rows.astype(np.uint32) if small else rows
            n_kept = len(rows)
        shape = (n_kept, len(n_clusters))
        self.assignments: NDArray[np.integer] = np.empty(
            shape, dtype=cluster_type(n_clusters)
        )
        self._is_filled = np.zeros(n_clips, dtype=bool)
        self._n_read = 0
        self._n_wrong = np.zeros(len(n_clusters), dtype=np.int64)
        self._wrong: dict[int, list[tuple[int, int]]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in rows with columns ``row_number`` and ``clusters``.

        Raises
        ------
        PackedRowsError
            If a row number is out of range or came before, or a row has another number
            of views.
        """
        rows = batch["row_number"].to_numpy(zero_copy_only=False)
        if len(rows) == 0:
            return
        ids = self._matrix(rows, batch["clusters"])
        if rows.min() < 0 or rows.max() >= self._n_clips:
            outside = rows[(rows < 0) | (rows >= self._n_clips)]
            self._refuse_rows(f"{len(outside)} outside", outside)
        if self._is_filled[rows].any():
            self._refuse_rows("some twice", rows[self._is_filled[rows]])
        self._is_filled[rows] = True
        self._n_read += len(rows)
        self._note_wrong(rows, ids)
        if self._counted is not None and self._tables is not None:
            self._count(rows, ids)
        places: NDArray[np.integer] | slice = rows
        if self._kept is not None and self.row_numbers is not None:
            is_kept = self._kept[rows]
            rows, ids = rows[is_kept], ids[is_kept]
            places = np.searchsorted(
                self.row_numbers, rows.astype(self.row_numbers.dtype)
            )
        elif rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            places = slice(int(rows[0]), int(rows[-1]) + 1)
        self.assignments[places] = ids

    def finish(self) -> None:
        """Check that every row came, and that all ids are in range.

        Raises
        ------
        PackedRowsError
            If a row is missing or was twice in one piece, or an id is out of range.
        """
        if self._n_read != self._n_clips or not self._is_filled.all():
            missing = np.flatnonzero(~self._is_filled)
            what = f"{self._n_read} rows, {len(missing)} numbers missing"
            self._refuse_rows(what, missing)
        for view in np.flatnonzero(self._n_wrong).tolist():
            examples = self._wrong[view]
            shown = ", ".join(f"row {row}: {value}" for row, value in examples)
            msg = (
                f"packed: expected cluster ids from 0 to {self._sizes[view] - 1} in "
                f"view {view}, got {self._n_wrong[view]} of {self._n_clips} outside "
                f"({shown}). Assign the clips anew: acav run assign_clusters "
                "--on-change recompute."
            )
            raise PackedRowsError(msg, [row for row, _ in examples])

    def _matrix(
        self, rows: NDArray[np.int64], clusters: pa.ListArray
    ) -> NDArray[np.int32]:
        n_views = len(self._sizes)
        flat = clusters.flatten()
        lengths = clusters.value_lengths()
        is_regular = len(flat) == n_views * len(rows) and flat.null_count == 0
        if is_regular and clusters.null_count == 0:
            numbers = lengths.to_numpy(zero_copy_only=False)
            is_regular = bool((numbers == n_views).all())
        if not is_regular or clusters.null_count:
            found = lengths.fill_null(0).to_numpy(zero_copy_only=False)
            wrong = rows[found != n_views]
            msg = (
                f"packed: expected {n_views} cluster ids in every row, one a view, got "
                f"other rows ({wrong[:_N_EXAMPLES].tolist() or 'ids that are empty'}). "
                "Run 'acav run assign_clusters'."
            )
            raise PackedRowsError(msg, wrong[:_N_EXAMPLES].tolist())
        values: NDArray[np.int32] = flat.to_numpy().reshape(-1, n_views)
        return values

    def _note_wrong(self, rows: NDArray[np.int64], ids: NDArray[np.int32]) -> None:
        if ids.min() >= 0 and (ids.max(axis=0) < self._sizes).all():
            return
        is_wrong = (ids < 0) | (ids >= self._sizes)
        self._n_wrong += is_wrong.sum(axis=0)
        for view in np.flatnonzero(is_wrong.any(axis=0)).tolist():
            known = self._wrong.setdefault(view, [])
            places = np.flatnonzero(is_wrong[:, view])[: _N_EXAMPLES - len(known)]
            known += zip(rows[places].tolist(), ids[places, view].tolist(), strict=True)

    def _count(self, rows: NDArray[np.int64], ids: NDArray[np.int32]) -> None:
        if self._counted is None or self._tables is None or self._n_wrong.any():
            return
        self._tables.count(ids[self._counted[rows]])

    def _refuse_rows(self, found: str, rows: NDArray[np.integer]) -> None:
        examples = rows[:_N_EXAMPLES].tolist()
        msg = (
            f"packed: expected each row number from 0 to {self._n_clips - 1} once, got "
            f"{found} ({examples}). Run 'acav run assign_clusters' to pack anew."
        )
        raise PackedRowsError(msg, examples)
