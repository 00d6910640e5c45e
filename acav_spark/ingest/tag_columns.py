"""Columns of tags: lists of text, whatever form the metadata has them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.ingest.arrow_text import text_bytes, with_values
from acav_spark.ingest.metadata import normalise_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAFE_BYTES: Final = 100_000
_SAFE_TAGS: Final = 10_000


def tag_lists(column: pa.Array, odd: NDArray[np.bool_]) -> pa.Array:
    """Return the tags of each row, as ``normalise_row`` has them.

    Parameters
    ----------
    column : pyarrow.Array, shape (n_rows,)
        Of text, or of lists of text.
    odd : ndarray of bool, shape (n_rows,)
        Set for rows whose tags ``normalise_row`` refuses.

    Returns
    -------
    pyarrow.ListArray, shape (n_rows,)
        Without nulls.
    """
    if pa.types.is_list(column.type):
        values = [
            _tags(row, value, odd) for row, value in enumerate(column.to_pylist())
        ]
        return pa.array(values, pa.list_(pa.string()))
    # Compiled code, which a few rows are done without.
    from acav_spark.ingest.kernels.splitting import split_tags

    data, starts = text_bytes(column)
    n_bytes = int(starts[-1] - starts[0])
    found = np.empty(n_bytes, np.uint8)
    # A tag has a byte at least, and all but a row's last one a separator.
    tag_starts = np.empty(n_bytes // 2 + len(column) + 1, np.int32)
    row_starts = np.empty(len(column) + 1, np.int32)
    is_hard = np.empty(len(column), np.bool_)
    split_tags(
        data, starts, _SAFE_BYTES, _SAFE_TAGS, found, tag_starts, row_starts, is_hard
    )
    n_tags = int(row_starts[-1])
    tags = pa.StringArray.from_buffers(
        n_tags, pa.py_buffer(tag_starts[: n_tags + 1]), pa.py_buffer(found)
    )
    lists = pa.ListArray.from_arrays(pa.array(row_starts), tags)
    hard = {
        row: _tags(row, column[row].as_py(), odd)
        for row in map(int, np.flatnonzero(is_hard))
    }
    return with_values(lists, hard)


def _tags(row: int, value: object, odd: NDArray[np.bool_]) -> list[str]:
    try:
        return normalise_row({"uri": "x", "tags": value}, {}).tags
    except MediaError:
        odd[row] = True
        return []
