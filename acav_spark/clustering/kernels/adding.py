"""Adding vectors and numbers in the order of rows, and moving centres by the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.compiling import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@compiled
def add_rows(
    x: NDArray[np.float32],
    labels: NDArray[np.int32],
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Add each vector to the sum of its label, row after row.

    In the order of rows, whatever pieces they come in: sums have the same last bits.
    """
    for i in range(x.shape[0]):
        label = labels[i]
        counts[label] += 1
        for j in range(x.shape[1]):
            sums[label, j] += x[i, j]


@compiled
def add_in_order(total: float, values: NDArray[np.float64]) -> float:
    """Return a sum of numbers added one after another."""
    for i in range(values.size):
        total += values[i]
    return total


@compiled
def move_centres(
    used: NDArray[np.int64],
    kept: NDArray[np.float64],
    weights: NDArray[np.float64],
    batch_sums: NDArray[np.float64],
    centres: NDArray[np.float64],
    drawn: NDArray[np.float64],
) -> None:
    """Move centres by a mini-batch's sums, which become zero, in one pass over memory.

    ``centre = kept * centre + weight * sum``, and the same for ``drawn``.
    """
    for i in range(used.size):
        row = used[i]
        for j in range(centres.shape[1]):
            step = weights[i] * batch_sums[row, j]
            centres[row, j] = kept[i] * centres[row, j] + step
            drawn[row, j] = kept[i] * drawn[row, j] + step
            batch_sums[row, j] = 0.0
