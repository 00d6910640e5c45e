"""Which clips make the mini-batches of an epoch: hashes of seed and epoch, no state.

A batch takes one clip of each group, where there are groups: the classes of a data
set (paper, section 4.1), or the shares of a sample that processes read apart. A process
can so draw its own part of every batch without knowing the clips of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Draw = Callable[[int], NDArray[np.int64]]


def random_batches(
    n_rows: int, batch_size: int, *, seed: int, share: slice = slice(None)
) -> Draw:
    """Return what draws the batches of an epoch from all rows.

    Parameters
    ----------
    n_rows, batch_size : int
        Of the sample; of a batch, at most ``n_rows``.
    seed : int
        Of the draws, at least 0.
    share : slice
        Columns that are wanted, of ``batch_size``.

    Returns
    -------
    callable
        From an epoch's number to rows of shape (n_steps, n_columns). Every row is in at
        most one batch of an epoch, and the remainder of ``n_rows`` by ``batch_size`` in
        none: other rows in every epoch.
    """
    n_steps = n_rows // batch_size

    def drawn(epoch: int) -> NDArray[np.int64]:
        order = np.random.default_rng([seed, epoch]).permutation(n_rows)
        return order[: n_steps * batch_size].reshape(n_steps, batch_size)[:, share]

    return drawn


def grouped_batches(
    groups: Sequence[NDArray[np.int64]],
    *,
    n_steps: int,
    seed: int,
    first_number: int = 0,
) -> Draw:
    """Return what draws batches of one row of each group.

    Parameters
    ----------
    groups : sequence of ndarray of int64
        Rows of each, at least one.
    n_steps : int
        Batches of an epoch.
    seed : int
        Of the draws, at least 0.
    first_number : int
        Number of the first group among those of all processes: what is drawn from a
        group hangs on its number.

    Returns
    -------
    callable
        From an epoch's number to rows of shape (n_steps, n_groups). A group of fewer
        rows than ``n_steps`` is gone through again, in another order.
    """

    def column(number: int, rows: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng([seed, epoch, first_number + number])
        rounds = -(-n_steps // len(rows))
        orders = [generator.permutation(rows) for _ in range(rounds)]
        return np.concatenate(orders)[:n_steps]

    def drawn(epoch: int) -> NDArray[np.int64]:
        columns = [column(number, rows, epoch) for number, rows in enumerate(groups)]
        return np.stack(columns, axis=1)

    return drawn


def rows_of_classes(classes: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Return the rows of each class, by the order of the classes' numbers."""
    order = np.argsort(classes, kind="stable").astype(np.int64)
    starts = np.flatnonzero(np.diff(classes[order])) + 1
    return np.split(order, starts)
