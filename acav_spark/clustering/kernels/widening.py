"""Half-precision numbers as float32, and the largest magnitude of a block.

numpy widens half a number a nanosecond; a matrix product with 500 centroids takes ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGNITUDE = 0x7FFF
_SMALLEST_NORMAL = 0x0400
_SMALLEST = np.float32(2.0**-24)


@compiled
def widen_half(
    halves: NDArray[np.uint16], words: NDArray[np.uint32], values: NDArray[np.float32]
) -> int:
    """Write finite halves as float32; return the bits of the largest magnitude.

    Parameters
    ----------
    halves : ndarray of uint16, shape (n_rows, n_features)
        The bits of IEEE 754's binary16.
    words, values : ndarray of uint32 and of float32, shape (n_rows, n_features)
        One memory, written.

    Returns
    -------
    int
        From ``0x7C00`` on there is an infinity or a NaN, which is written wrongly.
    """
    n_rows, n_features = halves.shape
    largest = np.uint32(0)
    for i in range(n_rows):
        half, word, value = halves[i], words[i], values[i]
        for j in range(n_features):
            bits = np.uint32(half[j])
            magnitude = bits & np.uint32(_MAGNITUDE)
            largest = max(largest, magnitude)
            # The exponents' zeros are 15 and 127.
            word[j] = ((bits & np.uint32(0x8000)) << np.uint32(16)) | (
                (magnitude << np.uint32(13)) + np.uint32(112 << 23)
            )
        for j in range(n_features):
            # Zeros and subnormals are plain multiples of the smallest one.
            magnitude = np.int32(half[j]) & np.int32(_MAGNITUDE)
            small = np.float32(magnitude) * _SMALLEST
            if half[j] > np.uint16(_MAGNITUDE):
                small = -small
            value[j] = small if magnitude < _SMALLEST_NORMAL else value[j]
    return largest


@compiled
def largest_magnitude(words: NDArray[np.uint32]) -> int:
    """Return the bits of the largest magnitude, given those of float32.

    Infinities are larger than all numbers, and NaNs than infinities.
    """
    largest = np.uint32(0)
    for i in range(words.shape[0]):
        row = words[i]
        for j in range(row.size):
            largest = max(largest, row[j] & np.uint32(0x7FFFFFFF))
    return largest
