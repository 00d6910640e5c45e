import mpmath
import numpy as np
import pytest

from acav_spark.selection.fixed_point import UNITS_PER_NAT, gain_units


def true_gain(n: int) -> mpmath.mpf:
    with mpmath.workdps(60):
        former = n * mpmath.log(n) if n else mpmath.mpf(0)
        return (n + 1) * mpmath.log(n + 1) - former


def units(*counts: int) -> list[int]:
    values: list[int] = gain_units(np.array(counts, dtype=np.int64)).tolist()
    return values


def test_the_gain_of_an_empty_counter_is_zero() -> None:
    assert units(0) == [0]


def test_the_second_clip_of_a_counter_gains_two_log_two() -> None:
    assert units(1)[0] / UNITS_PER_NAT == pytest.approx(2 * np.log(2), abs=1e-14)


def test_small_gains_are_within_the_stated_bound() -> None:
    counts = range(256)
    errors = [
        abs(value / mpmath.mpf(UNITS_PER_NAT) - true_gain(n))
        for n, value in zip(counts, units(*counts), strict=True)
    ]
    assert max(errors) < 6e-12


# Counts on both sides of the end of the table, and far beyond float64's differences.
@pytest.mark.parametrize(
    "n", [256, 257, 1_000, 65_534, 65_535, 65_536, 65_537, 10**8, 2**31]
)
def test_large_gains_are_rounded_to_the_nearest_unit(n: int) -> None:
    error = abs(units(n)[0] - true_gain(n) * UNITS_PER_NAT)
    # A libm that errs in the last place of an extended double moves the boundary.
    assert error < 0.51


def test_counts_on_both_sides_of_the_table_may_be_mixed() -> None:
    assert units(3, 10**8) == [*units(3), *units(10**8)]


def test_gains_grow_with_the_count() -> None:
    gains = gain_units(np.arange(70_000))
    assert (np.diff(gains) > 0).all()


def test_no_counts_have_no_gains() -> None:
    assert gain_units(np.empty((0, 3), dtype=np.int64)).shape == (0, 3)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        # 4 log 4 - 3 log 3 + 3 log 3 - 2 log 2 = 6 log 2
        ([3, 2, 0], [1, 1, 1]),
        # f(8) - f(4) = 24 log 2 - 8 log 2
        ([4, 5, 6, 7], [1] * 8),
        # f(9) - f(6) + 3 f(2) = 12 log 3 = 4 f(3)
        ([6, 7, 8, 1, 1, 1], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]),
    ],
)
def test_algebraic_ties_are_ties_of_integers(left: list[int], right: list[int]) -> None:
    assert sum(units(*left)) == sum(units(*right))


def test_log_identities_hold_exactly_up_to_the_limit() -> None:
    # f(n) is the sum of the gains below n; f(6 m) / (6 m) is additive over factors.
    f = np.concatenate([[0], np.cumsum(gain_units(np.arange(256)))])
    for a in range(2, 17):
        for b in range(2, 256 // a + 1):
            product, remainder = divmod(int(f[a * b]), a * b)
            assert remainder == 0
            assert product == f[a] // a + f[b] // b
