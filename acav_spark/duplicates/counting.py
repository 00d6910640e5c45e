"""How many bits of whole numbers are set, with every version of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_ONES: Final = np.unpackbits(
    np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1
).sum(axis=1, dtype=np.uint8)


def bits_set(values: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.uint8]:
    """Return how many bits of each value are set, in the same shape."""
    if hasattr(np, "bitwise_count"):
        ones: NDArray[np.uint8] = np.bitwise_count(values)
        return ones
    # numpy 1 has no such function.
    octets = np.ascontiguousarray(values)[..., np.newaxis].view(np.uint8)
    counts: NDArray[np.uint8] = _N_ONES[octets].sum(axis=-1, dtype=np.uint8)
    return counts
