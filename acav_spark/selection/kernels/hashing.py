"""64-bit hashes of strings, from the buffers of Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


@compiled
def hash_strings(
    ends: NDArray[np.int32], text: NDArray[np.uint8], hashes: NDArray[np.uint64]
) -> None:
    """Write the FNV-1a hash of each string.

    Parameters
    ----------
    ends : ndarray of int32, shape (n_strings + 1,)
        Where each string starts in ``text``; the end of the last one is last.
    text : ndarray of uint8
        The strings, one after another, in UTF-8.
    hashes : ndarray of uint64, shape (n_strings,)
        What is written.
    """
    for i in range(hashes.size):
        value = _BASIS
        for j in range(ends[i], ends[i + 1]):
            value = (value ^ np.uint64(text[j])) * _PRIME
        hashes[i] = value
