"""Which pictures show nothing: black ones, and ones of a single colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Black is 16 in video's range of luma, 0 in the full one; codecs add a little.
_BLACK_MEAN: Final = 24.0
_BLACK_DEVIATION: Final = 2.0
# Coding leaves less than half a level in pictures of one colour.
_FLAT_DEVIATION: Final = 1.0


def black_and_flat(
    corners: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which pictures are black, and which are of one colour.

    Parameters
    ----------
    corners : ndarray of int64, shape (n_frames, n_rows * n_columns)
        Sums of luma above and to the left of the corners of cells, row by row.
    rows, columns : ndarray of int64, shape (n_rows,), (n_columns,)
        Pixels at which cells begin, and the end.

    Returns
    -------
    ndarray of bool, shape (2, n_frames)
        Black: the mean of luma is below 24 and the standard deviation of the cells'
        means below 2 (of 255). Flat: the standard deviation is below 1.

    Notes
    -----
    Means of cells are what the signature adds up anyway. They do not see what is
    finer than a cell, as stripes of single pixels, nor colours of the same luma.
    """
    sums = corners.reshape(-1, len(rows), len(columns))
    cells = np.diff(np.diff(sums, axis=1), axis=2)
    means = cells / np.outer(np.diff(rows), np.diff(columns))
    deviation = means.std(axis=(1, 2))
    is_black = (means.mean(axis=(1, 2)) < _BLACK_MEAN) & (deviation < _BLACK_DEVIATION)
    return np.stack([is_black, deviation < _FLAT_DEVIATION])
