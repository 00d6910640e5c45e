"""How long several cores take for items that are not alike."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_N_DEALS = 32


def expected_makespan(
    seconds: Sequence[float], *, n_cores: int, n_tasks: int, seed: int = 0
) -> float:
    """Return the mean time until the last of some items is done.

    Items are dealt out to tasks at random, as a hash of their id deals them, and tasks
    start in order on whichever core is free first.

    Parameters
    ----------
    seconds : sequence of float
        What each item takes on one core.
    n_cores, n_tasks : int
        Cores; tasks to which items are dealt.
    seed : int, default 0
        Seed of the deals, over which the mean is taken.

    Returns
    -------
    float
        Seconds; between the larger of the longest item and the sum over the cores,
        and the sum.
    """
    costs = np.asarray(seconds, dtype=np.float64)
    if costs.size == 0:
        return 0.0
    if n_cores == 1:
        return float(costs.sum())
    generator = np.random.default_rng(seed)
    ends = []
    for _ in range(_N_DEALS):
        place = generator.integers(n_tasks, size=costs.size)
        tasks = np.bincount(place, weights=costs, minlength=n_tasks)
        free = [0.0] * n_cores
        for task in tasks:
            heapq.heapreplace(free, free[0] + float(task))
        ends.append(max(free))
    return float(np.mean(ends))
