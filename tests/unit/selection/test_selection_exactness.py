"""Batch greedy against a brute force that recounts everything at each choice."""

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import Problem, brute_force, random_problem

from acav_spark.selection import (
    ContingencyTables,
    Limit,
    Selection,
    at_most,
    batch_greedy,
    combination,
    extend,
    greedy,
)
from acav_spark.selection.kernels import dense
from acav_spark.selection.limits import no_groups
from acav_spark.selection.pool import CandidatePool
from acav_spark.selection.weights import Scoring

Pairs = list[tuple[int, int]]


def solve(problem: Problem, n_threads: int = 1) -> Selection:
    """Select as the problem says."""
    return batch_greedy(
        problem.ids,
        problem.n_select,
        n_clusters=problem.sizes,
        pairs=problem.pairs,
        batch_size=problem.batch_size,
        per_batch=problem.per_batch,
        weights=problem.weights,
        prior=problem.strength,
        population=problem.population,
        limits=problem.limits,
        include=problem.include,
        exclude=problem.exclude,
        seed=problem.seed,
        mode="paper" if problem.mode == "paper" else "released",
        n_threads=n_threads,
    )


@pytest.fixture(params=[False, True], ids=["by lists", "over all"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have scores changed in one of the two ways, whatever takes less time."""
    monkeypatch.setattr(dense, "is_better", lambda *_: request.param)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("block", range(6))
def test_the_sequence_equals_a_brute_force_over_the_integer_objective(
    block: int,
) -> None:
    for seed in range(block * 50, block * 50 + 50):
        problem = random_problem(seed)
        expected = brute_force(problem).chosen
        assert solve(problem).indices.tolist() == expected, f"seed {seed}"


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("mode", ["paper", "released"])
@pytest.mark.parametrize("has_limits", [False, True])
@pytest.mark.parametrize("has_prior", [False, True])
@pytest.mark.parametrize("has_weights", [False, True])
def test_every_option_keeps_the_sequence_of_the_brute_force(
    mode: str, *, has_limits: bool, has_prior: bool, has_weights: bool
) -> None:
    n_done = 0
    for seed in range(1_000, 1_030):
        problem = random_problem(seed)
        generator = np.random.default_rng(seed)
        problem.mode = mode
        if has_weights:
            problem.weights = generator.integers(1, 60_000, size=len(problem.pairs))
            scoring = Scoring(problem.weights.astype(float))
            problem.weights = scoring.integer_weights
            problem.unit_bits = scoring.unit_bits
        if has_prior:
            problem.strength = float(generator.choice([0.03, 0.3, 1.0, 2.5]))
            problem.population = ContingencyTables.from_assignments(
                problem.ids, problem.pairs, n_clusters=problem.sizes
            )
        if has_limits:
            groups = generator.integers(6, size=len(problem.ids))
            problem.limits = [at_most(int(generator.integers(1, 8)), groups)]
            if seed % 2:
                others = generator.integers(3, size=len(problem.ids))
                problem.limits.append(at_most(8, others, name="other"))
            rows = generator.permutation(len(problem.ids)).tolist()
            problem.include, problem.exclude = rows[:1], rows[1:2]
            problem.n_select = min(
                problem.n_select,
                *(possible(problem, limit) for limit in problem.limits),
                len(problem.ids) - 1,
            )
        try:
            found = solve(problem).indices.tolist()
        except ValueError as error:
            # Two limits together may allow fewer than each alone.
            assert "all together do not" in str(error)  # noqa: PT017
            continue
        assert found == brute_force(problem).chosen, f"seed {seed}"
        n_done += 1
    assert n_done >= 20


def possible(problem: Problem, limit: Limit) -> int:
    sizes = np.bincount(
        np.delete(limit.codes, problem.exclude), minlength=len(limit.capacity)
    )
    return int(np.minimum(sizes, limit.capacity).sum())


def test_algorithm_2_takes_the_best_of_all_that_are_left() -> None:
    for seed in range(2_000, 2_040):
        problem = random_problem(seed)
        problem.is_in_order = True
        problem.batch_size = problem.per_batch = len(problem.ids)
        found = greedy(
            problem.ids,
            problem.n_select,
            n_clusters=problem.sizes,
            pairs=problem.pairs,
        )
        assert found.indices.tolist() == brute_force(problem).chosen, f"seed {seed}"


def test_each_choice_is_within_a_billionth_of_the_maximum() -> None:
    with mpmath.workdps(50):
        f = [n * mpmath.log(n) if n else mpmath.mpf(0) for n in range(60)]
        for seed in range(400, 420):
            problem = random_problem(seed)
            ids, pairs, selection = problem.ids, problem.pairs, solve(problem)
            candidates = brute_force(problem).candidates
            for rank, batch in enumerate(candidates):
                before = selection.indices[:rank].tolist()
                values = {
                    row: true_objective(ids[[*before, row]], pairs, f) for row in batch
                }
                chosen = values[int(selection.indices[rank])]
                assert chosen >= max(values.values()) - mpmath.mpf("1e-9")
                assert selection.objectives[rank] == pytest.approx(
                    float(chosen), abs=1e-12
                )


def true_objective(
    rows: NDArray[np.int64], pairs: Pairs, f: list[mpmath.mpf]
) -> mpmath.mpf:
    total = mpmath.mpf(0)
    for u, v in pairs:
        cells = np.unique(rows[:, [u, v]], axis=0, return_counts=True)[1]
        total += sum(f[n] for n in cells)
        for view in (u, v):
            total -= sum(f[n] for n in np.unique(rows[:, view], return_counts=True)[1])
    return mpmath.log(len(rows)) + total / (len(rows) * len(pairs))


def test_ties_go_to_the_first_of_the_drawn_batch() -> None:
    # All rows are equal, so that every candidate ties at every choice.
    ids = np.zeros((50, 3), dtype=np.int64)
    drawn = CandidatePool(50, 5, no_groups(50)).draw(20, 0)
    selection = batch_greedy(
        ids, 7, n_clusters=4, pairs=combination(3), batch_size=20, per_batch=10, seed=5
    )
    assert selection.indices.tolist() == drawn[:7].tolist()


def large_tables(seed: int, n_clusters: int, pairs: Pairs) -> ContingencyTables:
    """Return consistent tables of some 10**8 clips in each of many cells."""
    generator = np.random.default_rng(seed)
    n_views = 1 + max(max(pair) for pair in pairs)
    ids = generator.integers(n_clusters, size=(400, n_views))
    tables = ContingencyTables.from_assignments(ids, pairs, n_clusters=n_clusters)
    return ContingencyTables(
        tables.pairs, tables.n_clusters, tables.counters * (10**8 // 3)
    )


def test_choices_against_counts_of_a_hundred_million_are_the_best() -> None:
    pairs = combination(3)
    tables = large_tables(0, 3, pairs)
    assert tables.counters.max() > 10**8
    candidates = np.random.default_rng(1).integers(3, size=(60, 3))
    selection = extend(tables, candidates, 40, batch_size=60, per_batch=60)

    counters = tables.counters.copy()
    left = set(range(60))
    with mpmath.workdps(60):
        for row in selection.indices.tolist():
            scores = {
                other: true_score(tables, counters, candidates[other]) for other in left
            }
            assert scores[row] >= max(scores.values()) - mpmath.mpf("1e-9")
            left.remove(row)
            counters[tables.counter_ids(candidates[row : row + 1])[0]] += 1
    np.testing.assert_array_equal(selection.tables.counters, counters)


def true_score(
    tables: ContingencyTables, counters: NDArray[np.int64], row: NDArray[np.int64]
) -> mpmath.mpf:
    total = mpmath.mpf(0)
    places = tables.counter_ids(row[None])[0]
    for weight, count in zip(tables.weights, counters[places], strict=True):
        n = int(count)
        former = n * mpmath.log(n) if n else mpmath.mpf(0)
        total += int(weight) * ((n + 1) * mpmath.log(n + 1) - former)
    return total


def test_gains_against_counts_of_a_hundred_million_keep_their_digits() -> None:
    tables = large_tables(2, 2, [(0, 1)])
    row = np.array([[0, 1]])
    selection = extend(tables, row, 1)
    with mpmath.workdps(60):
        change = true_mutual_information(
            selection.tables.table(0, 1)
        ) - true_mutual_information(tables.table(0, 1))
    # Some 1e-11 nats; the objective's own last place is 1e-17.
    assert selection.gains[0] == pytest.approx(float(change), rel=1e-5)
    assert abs(float(change)) < 1e-9


def true_mutual_information(table: NDArray[np.int64]) -> mpmath.mpf:
    def f(n: int) -> mpmath.mpf:
        return n * mpmath.log(n) if n else mpmath.mpf(0)

    total = sum(f(int(n)) for n in table.ravel())
    total -= sum(f(int(n)) for n in table.sum(axis=0))
    total -= sum(f(int(n)) for n in table.sum(axis=1))
    n_clips = int(table.sum())
    return mpmath.log(n_clips) + total / n_clips
