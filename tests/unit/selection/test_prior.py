"""The population's tables as pseudo-counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    bipartite,
    combination,
    extend,
    replay,
)
from acav_spark.selection.fixed_point import FRACTION_BITS
from acav_spark.selection.prior import pseudo_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEN = ["visual"] * 5 + ["audio"] * 5


def planted(seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return cluster ids of ten views, and which of the clips correspond (29 %)."""
    generator = np.random.default_rng(seed)
    n, n_clusters = 4_000, 60
    is_positive = generator.random(n) < 0.29
    visual = generator.integers(n_clusters, size=n)
    audio = np.where(is_positive, visual, generator.integers(n_clusters, size=n))
    classes = np.stack([visual] * 5 + [audio] * 5, axis=1)
    noise = generator.integers(n_clusters, size=classes.shape)
    return np.where(generator.random(classes.shape) < 0.5, classes, noise), is_positive


def test_without_a_prior_the_selection_is_the_papers() -> None:
    ids, _ = planted(0)
    runs = [
        batch_greedy(ids, 200, n_clusters=60, pairs=combination(10), prior=prior)
        for prior in (None, 0, 0.0)
    ]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.indices, runs[0].indices)


@pytest.mark.parametrize("seed", range(3))
def test_a_prior_finds_more_of_what_corresponds(seed: int) -> None:
    ids, is_positive = planted(seed)
    options = {"n_clusters": 60, "batch_size": 400, "per_batch": 20, "seed": seed}
    precision = {}
    for prior in (0.0, 0.3, "recommended"):
        found = batch_greedy(
            ids,
            400,
            pairs=bipartite(TEN),
            prior=prior,
            **options,  # type: ignore[arg-type]  # sizes
        )
        precision[prior] = is_positive[found.indices].mean()
    # Measured: .45 to .5 without, .95 and more with a prior.
    assert precision[0.3] > precision[0.0] + 0.2
    assert precision["recommended"] > precision[0.0] + 0.2


def test_gains_and_tables_do_not_count_the_prior() -> None:
    ids, _ = planted(1)
    pairs = combination(10)
    found = batch_greedy(ids, 300, n_clusters=60, pairs=pairs, prior=0.7)
    again = replay(ids, found.indices, n_clusters=60, pairs=pairs)
    np.testing.assert_array_equal(found.tables.counters, again.tables.counters)
    np.testing.assert_allclose(found.gains, again.gains, atol=1e-12)
    np.testing.assert_allclose(found.objectives, again.objectives, atol=1e-12)


def test_the_prior_may_be_that_of_a_larger_population() -> None:
    ids, _ = planted(2)
    pairs = combination(10)
    population = ContingencyTables.from_assignments(ids, pairs, n_clusters=60)
    part = ids[:1_000]
    options = {"n_clusters": 60, "pairs": pairs}
    own = batch_greedy(part, 200, prior=0.3, **options)  # type: ignore[arg-type]  # options
    given = batch_greedy(
        part,
        200,
        prior=0.3,
        population=population,
        **options,  # type: ignore[arg-type]  # options
    )
    counted = ContingencyTables.from_assignments(part, pairs, n_clusters=60)
    same = batch_greedy(
        part,
        200,
        prior=0.3,
        population=counted,
        **options,  # type: ignore[arg-type]  # options
    )
    np.testing.assert_array_equal(own.indices, same.indices)
    assert (own.indices != given.indices).any()


def test_a_selection_is_extended_with_a_prior() -> None:
    ids, _ = planted(3)
    pairs = combination(10)
    first = batch_greedy(ids[:2_000], 200, n_clusters=60, pairs=pairs, prior=0.3)
    second = extend(first, ids[2_000:], 200, prior=0.3)
    assert second.tables.n_clips == 400
    assert second.objective == pytest.approx(second.tables.objective(), abs=1e-12)


def test_where_cells_are_full_the_prior_is_the_population_times_its_strength() -> None:
    counts = np.array([[9_000, 1_000], [2_000, 8_000]])
    ids = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts.reshape(-1), axis=0)
    tables = ContingencyTables.empty([(0, 1)], n_clusters=2, n_views=2)
    found = pseudo_counts(0.25, None, tables, ids)
    assert found is not None
    expected = (
        0.25 * ContingencyTables.from_assignments(ids, [(0, 1)], n_clusters=2).counters
    )
    np.testing.assert_allclose(found / 2.0**FRACTION_BITS, expected, rtol=2e-3)


def test_a_clip_alone_in_a_cell_gives_it_what_chance_would() -> None:
    # One clip in each cell of four clusters by four: all say nothing, so that no cell's
    # pseudo-count may exceed what its clusters' sizes make of them.
    ids = np.array([[u, v] for u in range(4) for v in range(4)])
    tables = ContingencyTables.empty([(0, 1)], n_clusters=4, n_views=2)
    found = pseudo_counts(1.0, None, tables, ids)
    assert found is not None
    expected = 3 * 3 / 15
    assert (found[:16] == round(4096 * expected * 0.5 / (expected + 0.5))).all()
    assert (found[16:] == 3 * 4096).all()


def test_pseudo_counts_are_multiples_of_a_4096th_of_a_clip() -> None:
    ids = np.array([[0, 0], [0, 0], [0, 1], [1, 1]])
    tables = ContingencyTables.empty([(0, 1)], n_clusters=2, n_views=2)
    found = pseudo_counts(0.3, None, tables, ids)
    assert found is not None
    # Cells 2 1 0 1, margins 3 1 and 2 2; one clip less: 1 0 0 0, 2 0 and 1 1 of three
    # clips, of which chance puts 2/3 into each cell of the first row. Those get
    # 2/3 * 1.5 / (2/3 + .5) = 6/7 and 2/7 clips, times .3 * 4096 = 1228.8.
    expected = [1053, 351, 0, 0, 2458, 0, 1229, 1229]
    assert FRACTION_BITS == 12
    assert found.tolist() == expected


@pytest.mark.parametrize("prior", [-0.1, float("nan"), float("inf"), "strong", True])
def test_strengths_that_mean_nothing_are_refused(prior: object) -> None:
    ids = np.zeros((5, 2), dtype=int)
    with pytest.raises(ValueError, match="prior: expected a strength of at least 0"):
        batch_greedy(
            ids,
            2,
            n_clusters=1,
            pairs=[(0, 1)],
            prior=prior,  # type: ignore[arg-type]  # on purpose
        )


def test_a_population_of_other_clusters_is_refused() -> None:
    ids = np.zeros((5, 2), dtype=int)
    other = ContingencyTables.from_assignments(ids, [(0, 1)], n_clusters=3)
    with pytest.raises(ValueError, match="population: expected tables of the pairs"):
        batch_greedy(ids, 2, n_clusters=2, pairs=[(0, 1)], prior=0.2, population=other)


def test_a_prior_beyond_all_measure_is_refused() -> None:
    ids = np.zeros((5, 2), dtype=int)
    with pytest.raises(ValueError, match="Rank by pointwise mutual information"):
        batch_greedy(ids, 2, n_clusters=2, pairs=[(0, 1)], prior=1e12)
