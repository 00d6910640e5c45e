"""Vectors of any type of number as blocks of float32, without a copy of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering._validation import LARGEST, require_finite
from acav_spark.clustering.kernels.widening import largest_magnitude, widen_half

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_INFINITE_HALF = 0x7C00
_LARGEST_BITS = int(np.float32(LARGEST).view(np.uint32))


def float32_blocks(
    x: NDArray[np.number], block_rows: int, *, name: str | None = None
) -> Iterable[NDArray[np.float32]]:
    """Yield consecutive rows as contiguous float32 blocks; shapes are assumed.

    Parameters
    ----------
    x : ndarray of float or integer, shape (n_samples, n_features)
        Contiguous float32 rows are handed on in place; others are written to one
        block, which the next one overwrites.
    block_rows : int
        Rows of a block; the last one may have fewer.
    name : str, optional
        Check values, and call them so: where this is left out they are taken as they
        are.

    Raises
    ------
    ValueError
        If values are checked and one is not finite, or beyond 1e15; all rows of ``x``
        that have one are counted.
    """
    held = np.empty((0, 0), dtype=np.float32)
    for start in range(0, len(x), block_rows):
        rows = x[start : start + block_rows]
        if _is_plain(rows, np.float32):
            block = rows.view(np.float32)
            is_usable = name is None or _is_usable(block)
        else:
            if not held.size:
                held = np.empty(rows.shape, dtype=np.float32)
            block = held[: len(rows)]
            is_usable = _widen(rows, block) and (name is None or _is_usable(block))
        if name is not None and not is_usable:
            require_finite(x, name=name)
        yield block


def widened(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return halves as float32, several times as fast as numpy does."""
    block = np.empty(halves.shape, dtype=np.float32)
    _widen(halves, block)
    return block


def _is_plain(rows: NDArray[np.number], kind: type[np.number]) -> bool:
    """Return whether loops can read rows in place, by the code they are compiled to."""
    return rows.dtype == kind and rows.flags.carray


def _is_usable(block: NDArray[np.float32]) -> bool:
    """Return whether all values are finite and none is absurd."""
    return bool(largest_magnitude(block.view(np.uint32)) <= _LARGEST_BITS)


def _widen(rows: NDArray[np.number], block: NDArray[np.float32]) -> bool:
    """Write rows as float32; return whether halves are finite, True for other types."""
    if rows.dtype != np.float16:
        with np.errstate(over="ignore"):
            np.copyto(block, rows, casting="unsafe")
        return True
    halves = rows if _is_plain(rows, np.float16) else np.array(rows, order="C")
    words = block.view(np.uint32)
    if widen_half(halves.view(np.uint16), words, block) < _INFINITE_HALF:
        return True
    np.copyto(block, rows)
    return False
