"""The compiled loops where small random problems do not reach: large counts, many
clusters, several threads, every shape of a strip.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

import numpy as np
import pytest
from oracle import Pairs, Problem, brute_force

from acav_spark.selection import (
    ContingencyTables,
    at_most,
    batch_greedy,
    combination,
    extend,
)
from acav_spark.selection.batch_setup import BatchSetup
from acav_spark.selection.fixed_point import FRACTION_BITS
from acav_spark.selection.kernels import dense
from acav_spark.selection.kernels.layout import StripLayout
from acav_spark.selection.limits import no_groups
from acav_spark.selection.picker import ExactPicker
from acav_spark.selection.pool import CandidatePool, DrawnAhead

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


def problem_of(
    seed: int,
    *,
    n_clips: int,
    sizes: tuple[int, ...],
    pairs: Pairs | None = None,
    n_select: int,
    batch: tuple[int, int],
) -> Problem:
    generator = np.random.default_rng(seed)
    ids = np.stack([generator.integers(k, size=n_clips) for k in sizes], axis=1)
    pairs = combination(len(sizes)) if pairs is None else pairs
    return Problem(ids, sizes, pairs, n_select, *batch, seed=seed)


def solved(problem: Problem, n_threads: int = 1) -> list[int]:
    selection = batch_greedy(
        problem.ids,
        problem.n_select,
        n_clusters=problem.sizes,
        pairs=problem.pairs,
        batch_size=problem.batch_size,
        per_batch=problem.per_batch,
        seed=problem.seed,
        n_threads=n_threads,
    )
    indices: list[int] = selection.indices.tolist()
    return indices


@pytest.fixture(params=[False, True], ids=["by lists", "over all"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have scores changed in one of the two ways, whatever takes less time."""
    monkeypatch.setattr(dense, "is_better", lambda *_: request.param)


@pytest.mark.usefixtures("_way")
def test_counts_beyond_those_with_codes_of_their_own_keep_the_sequence() -> None:
    # 500 clips in 2 x 2 cells: counts pass 64, from where codes only bound them.
    problem = problem_of(0, n_clips=560, sizes=(2, 2, 3), n_select=500, batch=(60, 20))
    assert solved(problem) == brute_force(problem).chosen


@pytest.mark.parametrize("n_views", [2, 3, 6, 7, 11, 12, 13])
def test_any_number_of_views_keeps_the_sequence(n_views: int) -> None:
    # 12 views own five or six pairs each: more than one strip holds.
    sizes = tuple(2 + view % 3 for view in range(n_views))
    problem = problem_of(n_views, n_clips=80, sizes=sizes, n_select=50, batch=(40, 11))
    assert solved(problem) == brute_force(problem).chosen


@pytest.mark.parametrize(
    "sizes", [(3_000, 4, 3), (20_000, 3, 2), (3, 40_000, 2), (70_000, 2, 2)]
)
def test_many_clusters_keep_the_sequence(sizes: tuple[int, ...]) -> None:
    # Wider lanes, and ids of more than 16 bits.
    problem = problem_of(1, n_clips=90, sizes=sizes, n_select=40, batch=(50, 9))
    problem.ids[::3, 0] = problem.ids[0, 0]
    assert solved(problem) == brute_force(problem).chosen


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    "pairs",
    [
        [(0, 3), (1, 4), (2, 5)],
        [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)],
        [(5, 0), (5, 1), (2, 4)],
        [(0, 1)],
    ],
)
def test_any_pairs_keep_the_sequence(pairs: Pairs) -> None:
    problem = problem_of(
        3, n_clips=90, sizes=(4,) * 6, pairs=pairs, n_select=60, batch=(45, 10)
    )
    assert solved(problem) == brute_force(problem).chosen


def test_a_batch_of_more_than_16_bits_of_rows_is_selected_from() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(50, size=(70_000, 3))
    pairs = combination(3)
    tables = ContingencyTables.from_assignments(ids[:5_000], pairs, n_clusters=50)
    found = extend(tables, ids, 30, batch_size=70_000, per_batch=30)
    scores = tables.counters[tables.counter_ids(ids)]
    best = np.log1p(scores.astype(float))
    first = int(found.indices[0])
    # The first choice has the highest score of all rows, by the plain formula.
    n = scores.astype(float)
    gains = np.where(n > 0, (n + 1) * np.log(n + 1) - n * np.log(np.maximum(n, 1)), 0)
    totals = gains @ tables.weights
    assert totals[first] == pytest.approx(totals.max(), abs=1e-9)
    assert best.shape == (70_000, 6)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_the_number_of_threads_does_not_change_the_sequence(n_threads: int) -> None:
    problem = problem_of(
        5, n_clips=3_000, sizes=(9,) * 10, n_select=700, batch=(400, 60)
    )
    assert solved(problem, n_threads) == solved(problem)


def test_a_batch_drawn_ahead_keeps_the_sequence_under_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A tenth of a batch is taken, and groups of four close after one: batches drawn
    # ahead hold clips that were taken or closed meanwhile.
    generator = np.random.default_rng(9)
    ids = generator.integers(7, size=(4_000, 5))
    limits = [at_most(1, np.arange(4_000) // 4)]
    n_ghosts: list[int] = []
    settle, submit = CandidatePool.settle, BatchSetup.submit

    def submit_and_wait(
        setup: BatchSetup, function: Callable[..., object], *args: object
    ) -> Future[object]:
        # Drawn before the choices begin, however the threads are scheduled.
        submitted = submit(setup, function, *args)
        wait([submitted])
        return submitted

    def counted(pool: CandidatePool, ahead: DrawnAhead) -> np.ndarray | None:
        ghosts = settle(pool, ahead)
        if ghosts is not None:
            n_ghosts.append(int((ghosts < ahead.size).sum()))
        return ghosts

    monkeypatch.setattr(CandidatePool, "settle", counted)
    monkeypatch.setattr(BatchSetup, "submit", submit_and_wait)
    found = [
        batch_greedy(
            ids,
            900,
            n_clusters=7,
            pairs=combination(5),
            batch_size=300,
            per_batch=30,
            limits=limits,
            seed=3,
            n_threads=n_threads,
        ).indices.tolist()
        for n_threads in (1, 2)
    ]
    assert found[0] == found[1]
    # Not all are drawn ahead: the pool is listed anew when it runs low.
    assert len(n_ghosts) >= 15
    assert sum(n_ghosts) >= 30


def test_clips_are_kept_only_once_the_next_batch_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Both mark places in the same words: one of two marks would be lost.
    is_drawing = threading.Event()
    overlaps: list[bool] = []
    draw_ahead, keep = CandidatePool.draw_ahead, CandidatePool.keep

    def slowly_drawn(
        pool: CandidatePool, size: int, batch: int, n_most: int
    ) -> DrawnAhead | None:
        is_drawing.set()
        time.sleep(0.02)
        drawn = draw_ahead(pool, size, batch, n_most)
        is_drawing.clear()
        return drawn

    def watched(pool: CandidatePool, positions: np.ndarray) -> None:
        overlaps.append(is_drawing.is_set())
        keep(pool, positions)

    monkeypatch.setattr(CandidatePool, "draw_ahead", slowly_drawn)
    monkeypatch.setattr(CandidatePool, "keep", watched)
    problem = problem_of(
        8, n_clips=3_000, sizes=(6,) * 4, n_select=200, batch=(200, 20)
    )
    assert solved(problem, n_threads=2) == solved(problem)
    assert overlaps == [False] * 20


@pytest.mark.usefixtures("_way")
def test_hot_candidates_that_run_out_are_replaced() -> None:
    # All of a large batch is taken, far more than are looked through at once.
    problem = problem_of(
        6, n_clips=1_500, sizes=(4, 4, 4), n_select=1_500, batch=(1_500, 1_500)
    )
    found = solved(problem)
    assert sorted(found) == list(range(1_500))
    picks = brute_force(Problem(**{**vars(problem), "n_select": 120})).chosen
    assert found[:120] == picks


@pytest.mark.parametrize("n_views", [2, 5, 10, 12])
def test_counters_survive_the_way_into_strips_and_back(n_views: int) -> None:
    sizes = tuple(3 + view for view in range(n_views))
    pairs = combination(n_views)
    n_cells = sum(sizes[u] * sizes[v] for u, v in pairs)
    counters = np.arange(n_cells + sum(sizes), dtype=np.int64)
    layout = StripLayout(pairs, sizes, np.ones(len(pairs), dtype=np.int64))
    cells = layout.to_cells(counters)
    assert sorted(cells.tolist()) == list(range(n_cells))
    back = np.zeros_like(counters)
    layout.from_cells(cells, back)
    np.testing.assert_array_equal(back[:n_cells], counters[:n_cells])


def test_a_picker_counts_what_it_takes() -> None:
    generator = np.random.default_rng(7)
    ids = generator.integers(6, size=(300, 4)).astype(np.uint16)
    pairs = combination(4)
    tables = ContingencyTables.from_assignments(ids[:100], pairs, n_clusters=6)
    before = tables.counters.copy()
    prior = (tables.counters << FRACTION_BITS) // 3
    for pseudo in (None, prior):
        picker = ExactPicker(tables, prior=pseudo, batch_size=150, n_expected=40)
        rows = np.arange(100, 250)
        taken = picker.take_best(ids, rows, 40, no_groups(300))
        expected = tables.copy()
        expected.count(ids[rows[taken.positions]])
        np.testing.assert_array_equal(picker.tables().counters, expected.counters)
        np.testing.assert_array_equal(tables.counters, before)
