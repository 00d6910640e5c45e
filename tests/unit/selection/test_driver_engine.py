"""The driver engine on arrays: killed and started again, it stages the same picks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from acav_spark.selection import at_most, batch_greedy, combination
from acav_spark.selection.driver import Candidates, select_on_driver
from acav_spark.selection.problem import Method, Problem
from acav_spark.selection.staging import STATE_FILE, PickStaging
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CLIPS, N_SELECT, N_CLUSTERS = 3000, 2300, 8
PAIRS = combination(4)
_TESTS = Path(__file__).parent


class Stopped(Exception):  # noqa: N818 - not an error: a stand-in for a kill
    """Raised in the middle of a selection."""


def problem_of(method: Method = "batch_greedy", prior: float = 0.0) -> Problem:
    return Problem(
        N_CLIPS,
        0,
        N_SELECT,
        (N_CLUSTERS,) * 4,
        tuple(PAIRS),
        method=method,
        batch_size=200,
        per_batch=13,
        prior=prior,
        seed=4,
    )


def ids_of_clips() -> NDArray[np.uint16]:
    generator = np.random.default_rng(8)
    return generator.integers(N_CLUSTERS, size=(N_CLIPS, 4)).astype(np.uint16)


def candidates_of(problem: Problem) -> Candidates:
    groups = np.arange(N_CLIPS) % 700
    return Candidates(
        ids_of_clips(),
        problem.empty_tables(),
        limits=(at_most(4, groups),),
        include=np.array([5, 17]),
    )


def run(folder: Path, problem: Problem, stop_after: int | None = None) -> pa.Table:
    """Select; raise after so many batches, each of which was flushed."""
    n_calls = 0

    def progress(_: int) -> None:
        nonlocal n_calls
        n_calls += 1
        if stop_after is not None and n_calls > stop_after:
            raise Stopped

    staging = PickStaging(Folder(str(folder)), problem.fingerprint(), picks_per_file=40)
    select_on_driver(problem, candidates_of(problem), staging, progress=progress)
    return pa.concat_tables(staging.tables())


@pytest.mark.parametrize(
    ("method", "prior"),
    [("batch_greedy", 0.0), ("batch_greedy", 0.4), ("released", 0.0), ("random", 0.0)],
)
def test_stopped_again_and_again_it_ends_with_the_same_picks(
    tmp_path: Path, method: Method, prior: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acav_spark.selection.driver._PIECE", 100)
    problem = problem_of(method, prior)
    whole = run(tmp_path / "whole", problem)
    n_stops = 0
    for stop_after in range(2, 60, 9):
        try:
            stopped = run(tmp_path / "stopped", problem, stop_after)
        except Stopped:
            n_stops += 1
        else:
            break
    else:
        stopped = run(tmp_path / "stopped", problem)
    assert n_stops >= 2
    assert stopped.drop_columns(["objective", "gain"]).equals(
        whole.drop_columns(["objective", "gain"])
    )
    np.testing.assert_array_equal(stopped["gain"], whole["gain"])
    np.testing.assert_array_equal(stopped["objective"], whole["objective"])
    if method == "batch_greedy" and prior == 0:
        expected = batch_greedy(
            ids_of_clips(),
            N_SELECT,
            n_clusters=N_CLUSTERS,
            pairs=PAIRS,
            batch_size=200,
            per_batch=13,
            limits=[at_most(4, np.arange(N_CLIPS) % 700)],
            include=[5, 17],
            seed=4,
        )
        assert whole["row_number"].to_pylist() == expected.indices.tolist()
        np.testing.assert_array_equal(whole["gain"], expected.gains)


def test_killed_between_batches_it_ends_with_the_same_picks(tmp_path: Path) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(_TESTS)!r})
        import test_driver_engine as t
        from acav_spark.selection.driver import select_on_driver
        from acav_spark.selection.staging import PickStaging
        from acav_spark.storage import Folder
        problem = t.problem_of()
        staging = PickStaging(
            Folder(sys.argv[1]), problem.fingerprint(), picks_per_file=40
        )
        select_on_driver(
            problem, t.candidates_of(problem), staging,
            progress=lambda done: time.sleep(0.01),
        )
    """
    folder = tmp_path / "killed"
    n_kills = 0
    for n_files in (3, 20):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder)]
        )
        deadline = time.monotonic() + 120
        while len(list(folder.glob("picks-*.parquet"))) < n_files:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (folder / STATE_FILE).exists()
        n_kills += 1

    found = run(folder, problem_of())

    assert n_kills == 2
    assert found.equals(run(tmp_path / "whole", problem_of()))


def test_picks_that_are_staged_are_not_made_again(tmp_path: Path) -> None:
    problem = problem_of()
    run(tmp_path, problem)
    staging = PickStaging(Folder(str(tmp_path)), problem.fingerprint())
    calls: list[int] = []

    tables = select_on_driver(
        problem, candidates_of(problem), staging, progress=calls.append
    )

    assert calls == [N_SELECT]
    assert tables.n_clips == N_SELECT
