"""How much oftener two clusters meet in a population than by chance, told with care.

The ratio of the observed to the expected count of a cell is what pointwise mutual
information is the logarithm of. Two things mislead where cells are thin, as they are
when clips are fewer than the cells of a table. A clip is counted in its own cells, so
that one which lies alone in a cell speaks for itself: with 20,000 clips and 500
clusters a cell expects 0.08 clips, and a lone clip's ratio is 12. So the clip that is
judged is left out. And a ratio of small counts is more noise than signal; so half a
clip is added to both counts, which draws it to 1 (Noren, Hopstadius and Bate, Shrinkage
observed-to-expected ratios for robust and transparent large-scale pattern discovery,
Statistical Methods in Medical Research 22, 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHRINKAGE = 0.5
"""Clips that are added to the observed and to the expected count of a cell."""


def left_out(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts without the clip that is judged, which each of its own holds."""
    return np.maximum(counts - 1, 0)


def expected_counts(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what independent clusterings would give, the judged clip left out.

    Parameters
    ----------
    first, second : ndarray of int64, shape (n_first_clusters,), (n_second_clusters,)
        Sizes of the clusters of two views, of the same number of clips.

    Returns
    -------
    ndarray of float64, shape (n_first_clusters, n_second_clusters)
        Clips in each cell.
    """
    n_others = max(int(first.sum()) - 1, 1)
    return np.multiply.outer(left_out(first), left_out(second)) / n_others


def shrunk_ratios(
    table: NDArray[np.int64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how many times oftener two clusters meet than by chance, drawn to 1.

    Parameters
    ----------
    table : ndarray of int64, shape (n_first_clusters, n_second_clusters)
        Clips in each pair of clusters; the one that is judged is among them.
    expected : ndarray of float64, of the same shape
        As from ``expected_counts``.

    Returns
    -------
    ndarray of float64, of the same shape
        ``(n - 1 + 1/2) / (e + 1/2)``, above zero; of an empty cell as of one clip's.
    """
    ratios: NDArray[np.float64] = (left_out(table) + SHRINKAGE) / (expected + SHRINKAGE)
    return ratios
