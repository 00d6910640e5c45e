"""Batch greedy against a brute force that recounts everything at each choice."""

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from acav_spark.selection import (
    ContingencyTables,
    Selection,
    batch_greedy,
    combination,
    extend,
)
from acav_spark.selection.batches import CandidatePool
from acav_spark.selection.fixed_point import gain_units

Pairs = list[tuple[int, int]]


def random_instance(
    seed: int,
) -> tuple[NDArray[np.int64], tuple[int, ...], Pairs, dict[str, int]]:
    """Return small assignments with many ties: few clusters, repeated rows."""
    generator = np.random.default_rng(seed)
    n_clips = int(generator.integers(2, 40))
    n_views = int(generator.integers(2, 6))
    sizes = tuple(int(k) for k in generator.integers(1, 6, size=n_views))
    ids = np.stack([generator.integers(k, size=n_clips) for k in sizes], axis=1)
    pairs = combination(n_views)
    kept = generator.permutation(len(pairs))[: int(generator.integers(1, 11))]
    batch_size = int(generator.integers(1, n_clips + 3))
    options = {
        "n_select": int(generator.integers(1, n_clips + 1)),
        "batch_size": batch_size,
        "per_batch": int(generator.integers(1, batch_size + 1)),
        "seed": seed,
    }
    return ids, sizes, [pairs[i] for i in kept], options


def brute_force(
    ids: NDArray[np.int64], pairs: Pairs, options: dict[str, int]
) -> tuple[list[int], list[list[int]]]:
    """Return the choices, and the candidates that each was taken from, in order."""
    f = np.concatenate([[0], np.cumsum(gain_units(np.arange(len(ids) + 1)))])

    def value(rows: list[int]) -> int:
        total = 0
        for u, v in pairs:
            cells = ids[rows][:, u] * 1000 + ids[rows][:, v]
            total += int(f[np.unique(cells, return_counts=True)[1]].sum())
            for view in (u, v):
                margins = np.unique(ids[rows][:, view], return_counts=True)[1]
                total -= int(f[margins].sum())
        return total

    pool = CandidatePool(len(ids), options["seed"])
    chosen: list[int] = []
    candidates: list[list[int]] = []
    while len(chosen) < options["n_select"]:
        batch = pool.draw(options["batch_size"]).tolist()
        left, taken = list(range(len(batch))), []
        for _ in range(min(options["per_batch"], len(batch))):
            values = [value([*chosen, batch[place]]) for place in left]
            best = left[int(np.argmax(values))]
            candidates.append([batch[place] for place in left])
            chosen.append(batch[best])
            left.remove(best)
            taken.append(best)
            if len(chosen) == options["n_select"]:
                break
        pool.remove(np.array(taken))
    return chosen, candidates


def run(seed: int) -> tuple[NDArray[np.int64], Pairs, dict[str, int], Selection]:
    ids, sizes, pairs, options = random_instance(seed)
    selection = batch_greedy(
        ids,
        options["n_select"],
        n_clusters=sizes,
        pairs=pairs,
        batch_size=options["batch_size"],
        per_batch=options["per_batch"],
        seed=options["seed"],
    )
    return ids, pairs, options, selection


@pytest.mark.parametrize("block", range(6))
def test_the_sequence_equals_a_brute_force_over_the_integer_objective(
    block: int,
) -> None:
    for seed in range(block * 50, block * 50 + 50):
        ids, pairs, options, selection = run(seed)
        expected, _ = brute_force(ids, pairs, options)
        assert selection.indices.tolist() == expected, f"seed {seed}"


def test_each_choice_is_within_a_billionth_of_the_maximum() -> None:
    with mpmath.workdps(50):
        f = [n * mpmath.log(n) if n else mpmath.mpf(0) for n in range(60)]
        for seed in range(400, 420):
            ids, pairs, options, selection = run(seed)
            _, candidates = brute_force(ids, pairs, options)
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
    drawn = CandidatePool(50, seed=5).draw(20)
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
