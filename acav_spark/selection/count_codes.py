"""Which counts share a one-byte code; ``kernels.bounds`` says what codes are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.fixed_point import gain_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.gain import GainTable

# Codes of counts: so many are the counts themselves, the rest grow with their gain.
_N_EXACT_CODES = 64
# The largest count a code is made for is met in no selection (10**9.6 clips).
_BEYOND = 1 << 32


def code_limits(largest: int, table: GainTable, step: int) -> NDArray[np.int64]:
    """Return the largest count of each code, the last of them never reached.

    Whole counts below 64 have codes of their own where counts are whole; from there on
    codes are equally far apart in gain.
    """
    bits = table.fraction_bits
    highest = largest
    n_exact = _N_EXACT_CODES if bits == 0 else 1
    exact = np.arange(n_exact, dtype=np.int64)
    unit = table.units_per_nat
    low = gain_units(exact[-1:], unit_bits=int(np.log2(unit)), fraction_bits=bits)[0]
    top = gain_units(
        np.array([highest]), unit_bits=int(np.log2(unit)), fraction_bits=bits
    )[0]
    n_rest = 256 - n_exact - 1
    wanted = np.linspace(float(low), float(top), n_rest + 1)[1:]
    rest = _counts_of_gain(wanted, table)
    limit = np.concatenate([exact, rest, [_BEYOND * step]])
    return np.maximum.accumulate(limit)


def _counts_of_gain(gains: NDArray[np.float64], table: GainTable) -> NDArray[np.int64]:
    """Return the largest counts whose gain is at most so many units, by bisection."""
    low = np.zeros(len(gains), dtype=np.int64)
    high = np.full(len(gains), _BEYOND << table.fraction_bits, dtype=np.int64)
    unit_bits = int(np.log2(table.units_per_nat))
    while (high - low > 1).any():
        middle = (low + high) // 2
        at = gain_units(middle, unit_bits=unit_bits, fraction_bits=table.fraction_bits)
        is_below = at <= gains
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return low
