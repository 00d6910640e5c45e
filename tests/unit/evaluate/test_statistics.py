"""Means and intervals, against numbers of a printed table of Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from acav_spark.evaluate.statistics import Interval, mean_interval


def test_five_runs_by_hand() -> None:
    # Deviations -2..2: variance 10 / 4; t of 4 degrees at 99 % is 4.604 in tables.
    interval = mean_interval([86, 87, 88, 89, 90])
    assert interval.mean == 88
    assert interval.half_width == pytest.approx(4.604 * math.sqrt(2.5 / 5), abs=1e-3)
    assert interval.n == 5


def test_two_runs_by_hand() -> None:
    # t of one degree at 99 % is 63.66; the standard deviation is sqrt(2).
    assert mean_interval([1, 3]).half_width == pytest.approx(63.66, abs=0.01)


def test_a_single_run_has_no_interval() -> None:
    assert math.isnan(mean_interval([4]).half_width)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9), st.floats(0.5, 0.999))
def test_intervals_are_those_of_scipy(values: list[float], level: float) -> None:
    interval = mean_interval(values, confidence=level)
    if np.std(values) > 1e-6:
        low, high = stats.t.interval(
            level, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
        )
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-8)


def test_only_disjoint_intervals_are_above() -> None:
    assert Interval(10, 2, 5).is_above(Interval(6, 1.9, 5))
    assert not Interval(10, 2, 5).is_above(Interval(6, 2, 5))


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [[1.0]]])
def test_runs_without_numbers_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected one finite number"):
        mean_interval(values)


@pytest.mark.parametrize("level", [0, 1, 99])
def test_a_level_in_per_cent_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([1, 2], confidence=level)
