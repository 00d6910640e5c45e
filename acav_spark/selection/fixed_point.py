"""The gain of one more clip in a counter, as integers, so that sums are exact.

With ``f(n) = n log n`` and ``f(0) = 0``, one more clip in a counter that holds ``n``
changes the objective by multiples of ``g(n) = f(n + 1) - f(n)``. Scores of candidates
are sums of such terms, and ties between them are common and algebraic:
``g(3) + g(2) + g(0) = 3 g(1)``. Floating point would break them by rounding noise, so
that the choice hung on the order of summation. Here ``g`` is an int64 in units of
``2**-46`` nats (coarser ones where pairs have weights). For small ``n`` it is built
from logarithms of primes that are rounded once each, so that an algebraic tie is a tie
of integers.

Counts themselves are in fixed point where a prior adds fractions of clips to them.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.gain import GainTable

UNIT_BITS = 46
UNITS_PER_NAT = 2**UNIT_BITS
# A prior's pseudo-counts are multiples of 2**-12 of a clip.
FRACTION_BITS = 12
# From here on g is rounded on its own: a tie of large counts that is algebraic, yet not
# term by term, is rare, and then goes by rounding, the same way every time.
_N_PRIME_EXACT = 256
# 512 KiB stay in the second-level cache; larger counts are computed when met.
_TABLE_SIZE = 1 << 16
# Fixed-point counts below 256 clips; larger fractions are computed when met.
_PART_SIZE = 256 << FRACTION_BITS


def gain_units(
    counts: NDArray[np.int64], *, unit_bits: int = UNIT_BITS, fraction_bits: int = 0
) -> NDArray[np.int64]:
    """Return ``g(n) = f(n + 1) - f(n)``, ``f(n) = n log n``, as integers.

    Parameters
    ----------
    counts : ndarray of int64, any shape
        Numbers of clips in units of ``2**-fraction_bits``, not negative.
    unit_bits : int, default 46
        Gains are in units of ``2**-unit_bits`` nats.
    fraction_bits : int, default 0
        0 for whole counts, 12 where a prior adds fractions.

    Notes
    -----
    Whole counts, in units of 2**-46 nats: within 6e-12 nats of the true value below
    256, where algebraic ties are exact; rounded to the nearest unit below 65,536, from
    ``log(n + 1) + n log1p(1 / n)``, since the plain difference has no correct digit at
    ``n = 10**8``; within one unit beyond. Fractions are within 3e-12 nats.
    """
    from acav_spark.selection.kernels.gain import fill_gains

    given = np.ascontiguousarray(counts, dtype=np.int64)
    gains = np.empty(given.shape, dtype=np.int64)
    table = gain_table(unit_bits, fraction_bits)
    fill_gains(given.reshape(-1), table, gains.reshape(-1))
    return gains


@lru_cache(maxsize=8)
def gain_table(unit_bits: int = UNIT_BITS, fraction_bits: int = 0) -> GainTable:
    """Return the gains of small counts, made once for each resolution."""
    from acav_spark.selection.kernels.gain import GainTable, fill_gains

    logs = _small_log_units(unit_bits)
    small = [n * logs[n] for n in range(_N_PRIME_EXACT + 1)]
    whole = np.empty(_TABLE_SIZE, dtype=np.int64)
    whole[:_N_PRIME_EXACT] = np.diff(np.array(small, dtype=np.int64))
    whole[_N_PRIME_EXACT:] = _rounded_gains(
        np.arange(_N_PRIME_EXACT, _TABLE_SIZE), unit_bits
    )
    units = float(1 << unit_bits)
    if fraction_bits == 0:
        return GainTable(whole, None, 0, units)
    part = np.empty(_PART_SIZE, dtype=np.int64)
    none = np.empty(0, dtype=np.int64)
    table = GainTable(whole, none, fraction_bits, units)
    fill_gains(np.arange(_PART_SIZE), table, part)
    return table._replace(part=part)


def _small_log_units(unit_bits: int) -> list[int]:
    """Return additive integer logarithms of 0 (by convention 0) to the exact limit."""
    logs = [0] * (_N_PRIME_EXACT + 1)
    with localcontext() as context:
        context.prec = 40
        for n in range(2, _N_PRIME_EXACT + 1):
            factor = next((p for p in range(2, int(n**0.5) + 1) if n % p == 0), n)
            if factor == n:
                units = Decimal(n).ln() * 2**unit_bits
                logs[n] = int(units.to_integral_value(ROUND_HALF_EVEN))
            else:
                logs[n] = logs[factor] + logs[n // factor]
    return logs


def _rounded_gains(counts: NDArray[np.int64], unit_bits: int) -> NDArray[np.int64]:
    """Return rounded gains of counts of at least one."""
    n = counts.astype(np.longdouble)
    gains = np.log(n + 1) + n * np.log1p(1 / n)
    units: NDArray[np.int64] = np.rint(gains * 2**unit_bits).astype(np.int64)
    return units
