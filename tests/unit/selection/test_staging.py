"""Staged picks: what is flushed comes back, what is not is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.selection.in_progress import Position
from acav_spark.selection.staging import STATE_FILE, PickStaging
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from pathlib import Path

PROBLEM = {"n_clips": 10, "pairs": [(0, 1)], "seed": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "picks"))


def _add(staging: PickStaging, *rows: int, batch: int = 0) -> None:
    values = np.array(rows, dtype=np.float64)
    chosen = np.array(rows, dtype=np.int64)
    staging.add(chosen, chosen * 1000, values / 10, values / 100, batch)


def test_flushed_picks_come_back_with_ranks_and_state(folder: Folder) -> None:
    staging = PickStaging(folder, PROBLEM, n_before=5)
    _add(staging, 4, 2)
    staging.flush(Position(1, -1), {"passes": 2})
    _add(staging, 7, batch=1)
    staging.flush(Position(2, 2))

    again = PickStaging(folder, PROBLEM, n_before=5)

    assert len(again) == 3
    assert again.position == Position(2, 2)
    assert again.engine == {"passes": 2}
    rows = [row for table in again.tables() for row in table.to_pylist()]
    assert [row["rank"] for row in rows] == [6, 7, 8]
    assert [row["row_number"] for row in rows] == [4, 2, 7]
    assert [row["batch"] for row in rows] == [0, 0, 1]
    assert [row["lane"] for row in rows] == [None] * 3
    assert [row["gain"] for row in rows] == [0.4, 0.2, 0.7]
    pieces = list(again.pieces())
    assert [scores.tolist() for _, scores in pieces] == [[4000, 2000], [7000]]


def test_a_file_that_the_state_does_not_count_is_forgotten(folder: Folder) -> None:
    staging = PickStaging(folder, PROBLEM)
    _add(staging, 1)
    staging.flush(Position(1, -1))
    before = folder.read_text(STATE_FILE)
    _add(staging, 2, 3)
    staging.flush(Position(2, -1))
    folder.write_text(STATE_FILE, before)  # killed between the file and its state

    again = PickStaging(folder, PROBLEM)
    assert len(again) == 1
    _add(again, 9)
    again.flush(Position(2, -1))

    rows = [r for table in again.tables() for r in table["row_number"].to_pylist()]
    assert rows == [1, 9]


@pytest.mark.parametrize("change", [{"seed": 4}, {"n_clips": 11}])
def test_picks_of_another_problem_are_deleted(
    folder: Folder, change: dict[str, int]
) -> None:
    staging = PickStaging(folder, PROBLEM)
    _add(staging, 1)
    staging.flush()

    other = PickStaging(folder, {**PROBLEM, **change})

    assert len(other) == 0
    assert not folder.exists(STATE_FILE)


def test_a_flush_is_due_after_enough_picks_or_time(folder: Folder) -> None:
    staging = PickStaging(folder, PROBLEM, picks_per_file=2, seconds_per_file=60)
    _add(staging, 1)
    assert not staging.is_due
    _add(staging, 2)
    assert staging.is_due
    staging.flush()
    assert not staging.is_due
    hasty = PickStaging(folder, PROBLEM, seconds_per_file=0)
    assert not hasty.is_due
    _add(hasty, 3)
    assert hasty.is_due
