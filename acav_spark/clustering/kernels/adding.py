"""Adding vectors and numbers in the order of rows."""

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
