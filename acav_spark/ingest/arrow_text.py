"""Columns of Arrow as the compiled loops want them, and with some values replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def text_bytes(column: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of a column of text, and where each text begins in them.

    Parameters
    ----------
    column : pyarrow.Array, shape (n_texts,)
        Of strings; missing ones count as empty.

    Returns
    -------
    data : ndarray of uint8
        UTF-8.
    starts : ndarray of int64, shape (n_texts + 1,)
        The last one is where the last text ends.
    """
    column = column.cast(pa.large_string())
    if column.null_count:
        column = column.fill_null("")
    _, offsets, data = column.buffers()
    if len(column) == 0 or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    starts = np.frombuffer(offsets, np.int64)
    starts = starts[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8), starts


def with_values(column: pa.Array, values: Mapping[int, object]) -> pa.Array:
    """Return a column that has other values in some rows, by their number."""
    if not values:
        return column
    places = np.arange(len(column))
    places[list(values)] = len(column) + np.arange(len(values))
    others = pa.array(list(values.values()), column.type)
    return pa.concat_arrays([column, others]).take(pa.array(places))
