"""The limit of bytes a second, by a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.download.rate import RateLimit, parse_rate
from acav_spark.errors import ConfigError


class Clock:
    """Time that passes when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500", 500), ("2K", 2048), ("2M", 2097152), ("1.5m", 1572864), (" 1G ", 2**30)],
)
def test_rates_are_numbers_with_binary_units(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "0.5", "-2M", "2MB/s", "2T", "1e6"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--rate-limit: expected bytes a second"):
        parse_rate(text)


def test_bytes_wait_for_as_long_as_they_are_worth() -> None:
    clock = Clock()
    limit = RateLimit(1000, clock=clock, sleep=clock.sleep)
    limit.take(500)
    limit.take(2000)
    assert clock.slept_s == pytest.approx([0.5, 2.0])


def test_idle_time_is_not_saved_up_and_work_between_counts() -> None:
    clock = Clock()
    limit = RateLimit(1000, clock=clock, sleep=clock.sleep)
    limit.take(1000)
    clock.now_s += 60
    limit.take(1000)
    assert clock.slept_s == pytest.approx([1.0, 1.0])
    clock.now_s += 0.25  # the network was half as fast as allowed
    limit.take(500)
    assert clock.slept_s[2] == pytest.approx(0.5)


def test_without_a_limit_nobody_waits() -> None:
    clock = Clock()
    RateLimit(None, clock=clock, sleep=clock.sleep).take(10**12)
    assert clock.slept_s == []


@given(
    st.lists(st.integers(1, 10**7), min_size=1, max_size=30),
    st.integers(1, 10**7),
)
def test_no_more_than_the_rate_comes_in_any_run(sizes: list[int], rate: int) -> None:
    clock = Clock()
    limit = RateLimit(rate, clock=clock, sleep=clock.sleep)
    for size in sizes:
        limit.take(size)
    assert clock.now_s - 100.0 == pytest.approx(sum(sizes) / rate)
