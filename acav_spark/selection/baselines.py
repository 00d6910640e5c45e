"""Selections that look at nothing, to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import checked_integer, checked_n_select

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_selection(
    n_clips: int, n_select: int, *, seed: int = 0
) -> NDArray[np.int64]:
    """Return row numbers drawn at random, each at most once, in random order.

    Parameters
    ----------
    n_clips : int
        Number of clips there are, at least 1.
    n_select : int
        Number of clips to select, from 1 to ``n_clips``.
    seed : int, default 0
        Seed of the draw; a shorter selection by it is a prefix of a longer one.

    Raises
    ------
    ValueError
        If more clips are asked for than there are.
    """
    n = checked_integer(n_clips, name="n_clips", minimum=1)
    generator = np.random.default_rng(checked_integer(seed, name="seed", minimum=0))
    return generator.permutation(n)[: checked_n_select(n_select, n)]
