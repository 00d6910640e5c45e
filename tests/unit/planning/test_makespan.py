"""Items on several cores: between the trivial bounds, and right by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.planning.makespan import expected_makespan


def test_one_core_does_all_one_after_another() -> None:
    assert expected_makespan([1.0, 2.0, 3.0], n_cores=1, n_tasks=4) == 6.0


def test_one_task_is_one_core() -> None:
    assert expected_makespan([1.0, 2.0, 3.0], n_cores=2, n_tasks=1) == 6.0


def test_two_equal_items_in_two_tasks_meet_half_of_the_time() -> None:
    # Dealt to one task (half of the deals) they take 2, else 1.
    mean = expected_makespan([1.0, 1.0], n_cores=2, n_tasks=2)
    assert 1.2 < mean < 1.8


def test_nothing_takes_no_time() -> None:
    assert expected_makespan([], n_cores=2, n_tasks=8) == 0


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=40),
    st.integers(2, 8),
    st.integers(1, 50),
)
def test_it_lies_between_the_bounds(
    seconds: list[float], n_cores: int, n_tasks: int
) -> None:
    taken = expected_makespan(seconds, n_cores=n_cores, n_tasks=n_tasks)
    total = sum(seconds)
    assert taken >= max(max(seconds), total / n_cores) * (1 - 1e-9)
    assert taken <= total * (1 + 1e-9)
    assert taken == pytest.approx(
        expected_makespan(seconds, n_cores=n_cores, n_tasks=n_tasks)
    )
