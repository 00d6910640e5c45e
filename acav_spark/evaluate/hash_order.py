"""Orders that look drawn at random and are the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.ingest.ids import stable_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hash_order(n: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """Return the numbers below ``n`` in an order that seed and purpose fix.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the draw.
    purpose : str
        What is drawn: two purposes have orders that know nothing of each other.

    Notes
    -----
    Sorted by ``stable_hash``, which no version of a library changes, as the streams of
    a generator may. 2 us a number.

    Examples
    --------
    >>> hash_order(5, 0, "classes").tolist()
    [1, 2, 0, 4, 3]
    """
    hashes = [stable_hash(seed, f"{purpose}:{i}") for i in range(n)]
    return np.argsort(np.array(hashes, np.int64), kind="stable").astype(np.int64)
