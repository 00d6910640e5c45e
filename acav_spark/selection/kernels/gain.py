"""The gain of one more clip in a counter, for counts of any size and fraction.

The logarithm is our own: of additions, multiplications and divisions only, which IEEE
754 defines to the last bit, so that every machine of a cluster computes the same
integers. A library's logarithm differs by processor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray


class GainTable(NamedTuple):
    """What ``gain_of`` looks up.

    Parameters
    ----------
    whole : ndarray of int64, shape (n_whole,)
        Gain of each whole count from 0.
    part : ndarray of int64, shape (n_part,), or None
        Gain of each count from 0 in fixed point; None where counts are whole, for
        which the loops are compiled apart.
    fraction_bits : int
        Counts are in units of ``2**-fraction_bits`` clips.
    units_per_nat : float
        Gains are in so many units a nat, a power of two.
    """

    whole: NDArray[np.int64]
    part: NDArray[np.int64] | None
    fraction_bits: int
    units_per_nat: float


_SQRT_HALF = math.sqrt(0.5)
# ln 2 as a sum whose first part times an exponent is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
# From here on the series in 1/n is exact to 2e-16.
_SERIES_FROM = 512.0


@compiled
def natural_log(x: float) -> float:
    """Return the natural logarithm of a positive number; relative error 2e-16."""
    mantissa, exponent = math.frexp(x)
    if mantissa < _SQRT_HALF:
        mantissa *= 2.0
        exponent -= 1
    # log m = 2 artanh((m - 1) / (m + 1)), whose argument is below 0.172.
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    tail = 1.0 / 23.0
    tail = tail * z + 1.0 / 21.0
    tail = tail * z + 1.0 / 19.0
    tail = tail * z + 1.0 / 17.0
    tail = tail * z + 1.0 / 15.0
    tail = tail * z + 1.0 / 13.0
    tail = tail * z + 1.0 / 11.0
    tail = tail * z + 1.0 / 9.0
    tail = tail * z + 1.0 / 7.0
    tail = tail * z + 1.0 / 5.0
    tail = tail * z + 1.0 / 3.0
    log_mantissa = 2.0 * s + 2.0 * s * (z * tail)
    return exponent * _LN2_HIGH + (log_mantissa + exponent * _LN2_LOW)


@compiled
def gain_in_nats(n: float) -> float:
    """Return ``(n + 1) log(n + 1) - n log n`` of a count above zero."""
    if n >= _SERIES_FROM:
        r = 1.0 / n
        series = r * (0.5 - r * (1.0 / 6.0 - r * (1.0 / 12.0 - r * 0.05)))
        return natural_log(n) + 1.0 + series
    high = natural_log(n + 1.0)
    return high + n * (high - natural_log(n))


@inlined
def gain_in(
    count: int,
    whole: NDArray[np.int64],
    part: NDArray[np.int64] | None,
    fraction_bits: int,
    units_per_nat: float,
) -> int:
    """Return the gain of one more clip in a counter, by the fields of a table."""
    if part is None:
        if count < whole.size:
            return whole[count]
        clips = float(count)
    else:
        n = count >> fraction_bits
        if n < whole.size and n << fraction_bits == count:
            return whole[n]
        if count < part.size:
            return part[count]
        clips = float(count) / float(1 << fraction_bits)
    return np.int64(np.rint(gain_in_nats(clips) * units_per_nat))


@compiled
def fill_gains(
    counts: NDArray[np.int64], table: GainTable, gains: NDArray[np.int64]
) -> None:
    """Write the gain of every count."""
    for i in range(counts.size):
        gains[i] = gain_in(
            counts[i],
            table.whole,
            table.part,
            table.fraction_bits,
            table.units_per_nat,
        )
