"""Vectors of somebody else's making as little-endian fp16, a column at a time.

What ``features.vectors.encode_fp16`` does for one vector, for lists, bytes and matrices
of any kind of number, without an object for each row; a vector that cannot be used is
told with its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.errors import MediaError
from acav_spark.features.vectors import NON_FINITE_VECTOR, VECTOR_OVERFLOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING_VECTOR: Final = "missing_vector"
"""Failure code: a row has no vector, or one without numbers, in some layer."""

WRONG_LENGTH: Final = "vector_length"
"""Failure code: a vector has another number of numbers than the others."""

_FP16 = np.dtype("<f2")


@dataclass(frozen=True)
class EncodedLayer:
    """Vectors of one layer.

    Parameters
    ----------
    vectors : Arrow array of binary, shape (n_rows,)
        Little-endian fp16; empty where a row has a problem.
    problems : dict of int to MediaError
        What is wrong, by row.
    """

    vectors: pa.BinaryArray
    problems: dict[int, MediaError]


def encode_array(matrix: NDArray[np.number]) -> EncodedLayer:
    """Return the rows of a matrix as fp16.

    Parameters
    ----------
    matrix : ndarray of numbers, shape (n_rows, dimension)
        Of any real or integer type and byte order.

    Raises
    ------
    ValueError
        If it has not two dimensions.
    """
    if matrix.ndim != 2:
        msg = f"encode_array: expected two dimensions, got shape {matrix.shape}."
        raise ValueError(msg)
    lengths = np.full(matrix.shape[0], matrix.shape[1], dtype=np.int64)
    return _encoded(matrix.reshape(-1), lengths)


def encode_column(column: pa.Array, binary_type: str = "float16") -> EncodedLayer:
    """Return a column of vectors as fp16.

    Parameters
    ----------
    column : Arrow array of lists of numbers, or of binary, shape (n_rows,)
        Lists of fixed or free size.
    binary_type : {"float16", "float32"}
        Little-endian numbers that bytes hold.

    Raises
    ------
    ValueError
        If the column is of another type.
    """
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _from_bytes(column, np.dtype(binary_type).newbyteorder("<"))
    is_list = (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )
    if not is_list or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        msg = f"encode_column: expected lists of numbers, or binary, got {kind}."
        raise ValueError(msg)
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    # A number that is missing inside a vector becomes NaN, and is told as such.
    values = column.flatten().to_numpy(zero_copy_only=False)
    return _encoded(values, lengths.to_numpy(zero_copy_only=False).astype(np.int64))


def _from_bytes(column: pa.Array, kind: np.dtype[np.floating]) -> EncodedLayer:
    """Return vectors out of a column of bytes."""
    n_bytes = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    is_cut = n_bytes % kind.itemsize != 0
    nothing = pa.scalar(b"", column.type)
    whole = pc.if_else(pa.array(~is_cut), pc.fill_null(column, nothing), nothing)
    values = np.frombuffer(b"".join(whole.to_pylist()), dtype=kind)
    encoded = _encoded(values, np.where(is_cut, 0, n_bytes // kind.itemsize))
    for row in np.flatnonzero(is_cut):
        message = f"{n_bytes[row]} bytes are no whole number of {kind.name}"
        encoded.problems[int(row)] = MediaError(WRONG_LENGTH, message)
    return encoded


def _encoded(values: NDArray[np.number], lengths: NDArray[np.int64]) -> EncodedLayer:
    """Return vectors that lie one behind the other, and are so long, as fp16."""
    ends = np.cumsum(lengths)
    problems: dict[int, MediaError] = {}
    for row in np.flatnonzero(lengths == 0):
        problems[int(row)] = MediaError(MISSING_VECTOR, "there is no vector")
    with np.errstate(over="ignore", invalid="ignore"):  # told below, with the number
        half = values.astype(_FP16)
    lost = np.flatnonzero(~np.isfinite(half))
    rows = np.searchsorted(ends, lost, side="right")
    for row in np.unique(rows):
        end, length = int(ends[row]), int(lengths[row])
        problems[int(row)] = _unfit(values[end - length : end])
    is_good = np.ones(len(lengths), dtype=bool)
    is_good[list(problems)] = False
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    offsets[1:] = ends * _FP16.itemsize
    buffers = [
        pa.array(is_good).buffers()[1] if problems else None,
        pa.py_buffer(offsets),
        pa.py_buffer(half),
    ]
    vectors = pa.Array.from_buffers(pa.binary(), len(lengths), buffers)
    return EncodedLayer(vectors, problems)


def _unfit(vector: NDArray[np.number]) -> MediaError:
    """Return what keeps a vector from being fp16, in the words of ``encode_fp16``."""
    where = np.flatnonzero(~np.isfinite(vector))
    if len(where):
        message = f"{len(where)} of {len(vector)} numbers, such as number {where[0]}"
        return MediaError(NON_FINITE_VECTOR, message)
    largest = float(np.abs(vector.astype(np.float64)).max())
    return MediaError(VECTOR_OVERFLOW, f"fp16 holds up to 65504, got {largest:g}")
