"""splitmix64: a hash of whole numbers that is the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The 64-bit golden ratio and the multipliers of splitmix64.
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_MIXERS: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT: Final = np.uint64(31)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64 of each value (Steele, Lea and Flood, 2014)."""
    result = values + _STEP
    for shift, factor in _MIXERS:
        result = (result ^ (result >> shift)) * factor
    return result ^ (result >> _LAST_SHIFT)
