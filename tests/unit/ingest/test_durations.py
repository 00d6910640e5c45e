from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.ingest.durations import parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (217, 217.0),
        (217.5, 217.5),
        (0, 0.0),
        (np.int64(9), 9.0),
        (np.float32(1.5), 1.5),
        (Decimal("12.25"), 12.25),
        (dt.timedelta(minutes=2), 120.0),
        ("217", 217.0),
        (" 217.5 ", 217.5),
        (".5", 0.5),
        ("PT3M20S", 200.0),
        ("PT20M", 1200.0),
        ("PT1H0M5S", 3605.0),
        ("PT12.5S", 12.5),
        ("P1DT2H", 93_600.0),
        ("P1W", 604_800.0),
        ("P0D", 0.0),
        ("pt3m", 180.0),
        ("3:20", 200.0),
        ("03:20", 200.0),
        ("90:00", 5400.0),
        ("1:02:03", 3723.0),
        ("1:02:03.5", 3723.5),
    ],
)
def test_durations_are_read_in_every_common_form(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        True,
        "nan",
        "inf",
        float("nan"),
        float("inf"),
        -1,
        "-1",
        "1e3",
        "3,5",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "T3M",
        "PT3M20",
        "3:60",
        "1:60:00",
        "1:2:3:4",
        ":30",
        "three",
        "٣:٢٠",
        b"217",
        [217],
        "9" * 400,
        "1" * 65,
    ],
)
def test_what_is_no_duration_is_missing(value: object) -> None:
    assert parse_duration(value) is None


@given(st.text(max_size=80) | st.floats() | st.integers() | st.binary())
def test_no_value_breaks_the_parser(value: object) -> None:
    seconds = parse_duration(value)
    assert seconds is None or 0 <= seconds < float("inf")
