from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acav_spark.demo.labels import (
    LABEL_COLUMNS,
    ShotLabel,
    label_of_clip,
    read_labels,
)
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LABELS = [
    ShotLabel("a.mp4", 0, 0.0, 5.0, "rain", "rain", True),
    ShotLabel("a.mp4", 1, 5.0, 10.0, "bell", "rain", False),
    ShotLabel("b.mp4", 0, 0.0, 6.0, "bird", "bird", True),
]


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [(0.5, 4.5, 0), (3.5, 7.5, 1), (5.0, 9.0, 1), (3.0, 7.0, 0), (9.9, 13.9, 1)],
)
def test_a_clip_gets_the_shot_that_it_shows_most_of(
    start_s: float, end_s: float, expected: int
) -> None:
    assert label_of_clip(LABELS, "a.mp4", start_s, end_s) == LABELS[expected]


def test_a_clip_outside_all_shots_has_no_label() -> None:
    assert label_of_clip(LABELS, "a.mp4", 10.0, 14.0) is None
    assert label_of_clip(LABELS, "c.mp4", 0.0, 4.0) is None


def test_labels_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        ",".join(LABEL_COLUMNS)
        + "\na.mp4,0,0.0,5.0,rain,rain,true\na.mp4,1,5.0,10.0,bell,rain,false\n"
    )

    assert read_labels(path) == LABELS[:2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,start_s\n", "missing"),
        ("", "missing"),
        (",".join(LABEL_COLUMNS) + "\na.mp4,0,0,5,rain,rain,maybe\n", "line 2"),
        (",".join(LABEL_COLUMNS) + "\na.mp4,0,zero,5,rain,rain,true\n", "line 2"),
        (",".join(LABEL_COLUMNS) + "\na.mp4,0\n", "line 2"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)

    with pytest.raises(ConfigError, match=words):
        read_labels(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"labels\.csv"):
        read_labels(tmp_path / "labels.csv")
