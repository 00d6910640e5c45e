"""Film strips: where shots, candidates and clips stand on them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from acav_spark.report.film import (
    N_FRAMES,
    frame_times,
    stretch,
    stretches_path,
    ticks_path,
)


def test_frames_are_taken_in_the_middle_of_equal_parts() -> None:
    times = frame_times(24.0)
    assert times == [1.0 + 2 * i for i in range(N_FRAMES)]


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (0.0, 20.0, (0.0, 1000.0)),
        (5.0, 10.0, (250.0, 250.0)),
        (10.0, 10.0, (500.0, 0.5)),  # seen, however short
        (15.0, 25.0, (750.0, 250.0)),  # not beyond the end
        (-5.0, 5.0, (0.0, 250.0)),
    ],
)
def test_a_stretch_stands_where_its_time_is(
    start_s: float, end_s: float, expected: tuple[float, float]
) -> None:
    assert stretch(start_s, end_s, 20.0) == expected


def test_cuts_are_lines_and_neither_the_start_nor_the_end_is_one() -> None:
    assert ticks_path([0.0, 5.0, 15.0, 20.0], 20.0) == "M250 0V8M750 0V8"


def test_ten_thousand_shots_and_candidates_stay_small() -> None:
    times = np.arange(10_000) * 0.1
    assert len(re.findall("M", ticks_path(times.tolist(), 1000.0))) <= 2001
    boxes = stretches_path([(t, t + 0.01) for t in times.tolist()], 1000.0, 11, 8)
    assert len(boxes) < 300_000


def test_neighbouring_candidates_have_a_gap() -> None:
    path = stretches_path([(0.0, 10.0), (10.0, 20.0), (10.0, 20.0)], 20.0, 11, 8)
    assert path == "M0 11h499v8h-499zM500 11h499v8h-499z"
