"""How a feature vector lies in a table: little-endian half-precision bytes.

Half the size of float32 and read into Arrow without a copy for each number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import MediaError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = [
    "FP16",
    "NON_FINITE_VECTOR",
    "VECTOR_OVERFLOW",
    "decode_fp16",
    "encode_fp16",
    "fp16_vectors",
]

VECTOR_OVERFLOW = "vector_overflow"
NON_FINITE_VECTOR = "non_finite_vector"

FP16 = np.dtype("<f2")


def encode_fp16(vector: NDArray[np.floating]) -> bytes:
    """Return a vector as little-endian fp16 bytes, two for each number.

    Parameters
    ----------
    vector : ndarray of float, shape (dimension,)
        Finite numbers that round to at most 65,504 in absolute value.

    Raises
    ------
    MediaError
        With code ``non_finite_vector`` for NaN or infinity, ``vector_overflow`` for
        a number that fp16 cannot hold.
    ValueError
        If ``vector`` is not one-dimensional.
    """
    if vector.ndim != 1:
        msg = f"encode_fp16: expected one dimension, got shape {vector.shape}."
        raise ValueError(msg)
    if not np.isfinite(vector).all():
        where = np.flatnonzero(~np.isfinite(vector))
        message = f"{len(where)} of {len(vector)} numbers, such as number {where[0]}"
        raise MediaError(NON_FINITE_VECTOR, message)
    with np.errstate(over="ignore"):  # told below, with the number
        half = vector.astype(FP16)
    if not np.isfinite(half).all():
        largest = float(np.abs(vector).max())
        message = f"fp16 holds numbers up to 65504, got {largest:g}"
        raise MediaError(VECTOR_OVERFLOW, message)
    return half.tobytes()


def decode_fp16(
    buffers: Sequence[bytes] | pa.BinaryArray | pa.LargeBinaryArray, dimension: int
) -> NDArray[np.float32]:
    """Return vectors written by ``encode_fp16`` as the rows of a matrix.

    Parameters
    ----------
    buffers : sequence of bytes, or Arrow array of binary
        One vector each; none is missing.
    dimension : int
        Numbers of a vector.

    Returns
    -------
    ndarray of float32, shape (len(buffers), dimension)
        Exactly the fp16 values.

    Raises
    ------
    ValueError
        If a vector is missing or of another length.

    Notes
    -----
    An Arrow array is read in place: its values lie one behind the other.
    """
    joined = (
        _joined(buffers, dimension)
        if isinstance(buffers, Sequence)
        else _arrow_values(buffers, dimension)
    )
    half = np.frombuffer(joined, dtype=FP16)
    return half.reshape(len(buffers), dimension).astype(np.float32)


def fp16_vectors(
    buffers: pa.BinaryArray | pa.LargeBinaryArray, dimension: int
) -> NDArray[np.float16]:
    """Return vectors as the rows of a matrix of halves, read in place.

    Raises
    ------
    ValueError
        As ``decode_fp16``.
    """
    half = np.frombuffer(_arrow_values(buffers, dimension), dtype=FP16)
    return half.reshape(len(buffers), dimension)


def _joined(buffers: Sequence[bytes], dimension: int) -> bytes:
    """Return the bytes of all vectors, whose lengths are checked."""
    lengths = np.fromiter((len(buffer) for buffer in buffers), np.int64, len(buffers))
    _require_lengths(lengths, dimension)
    return b"".join(buffers)


def _arrow_values(
    array: pa.BinaryArray | pa.LargeBinaryArray, dimension: int
) -> memoryview | bytes:
    """Return the part of the value buffer that the array covers."""
    if array.null_count:
        msg = (
            f"decode_fp16: expected no missing vector, got {array.null_count} "
            f"of {len(array)}."
        )
        raise ValueError(msg)
    if len(array) == 0:
        return b""
    _, offset_buffer, value_buffer = array.buffers()
    bits = array.type.bit_width if str(array.type).startswith("fixed") else None
    if bits is not None:
        msg = f"decode_fp16: expected variable-length binary, got {array.type}."
        raise ValueError(msg)
    width = np.int64 if str(array.type).startswith("large") else np.int32
    offsets = np.frombuffer(offset_buffer, dtype=width)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    _require_lengths(np.diff(offsets), dimension)
    return memoryview(value_buffer)[int(offsets[0]) : int(offsets[-1])]


def _require_lengths(lengths: NDArray[np.integer], dimension: int) -> None:
    """Refuse vectors of another dimension."""
    wrong = np.flatnonzero(lengths != dimension * FP16.itemsize)
    if len(wrong):
        found = sorted({int(lengths[row]) // 2 for row in wrong[:1000]})
        msg = (
            f"decode_fp16: expected vectors of {dimension} numbers, got "
            f"{len(wrong)} of {len(lengths)} with other lengths, such as {found[:5]}."
        )
        raise ValueError(msg)
