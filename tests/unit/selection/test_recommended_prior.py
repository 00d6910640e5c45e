import numpy as np
import pytest

from acav_spark.evaluate.made_corpus import CorpusModel, made_corpus
from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    bipartite,
    combination,
    pointwise_ranking,
    recommended_strength,
)


@pytest.mark.parametrize(
    ("n_population", "n_clusters", "expected"),
    [
        (20_000, 100, 4.0),  # 80,000 pseudo-clips in 10,000 cells
        (200_000, 500, 10.0),
        (20_000, 500, 100.0),
        (300, 20, 32 / 3),
        (100_000_000, 500, 0.02),
    ],
)
def test_strength_is_eight_clips_a_cell(
    n_population: int, n_clusters: int, expected: float
) -> None:
    actual = recommended_strength(n_population, n_clusters)

    assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n_population", "n_clusters"), [(0, 4), (5, 0)])
def test_strength_of_nothing_is_refused(n_population: int, n_clusters: int) -> None:
    with pytest.raises(ValueError, match="at least one clip and one cluster"):
        recommended_strength(n_population, n_clusters)


def test_recommended_is_the_strength_by_the_mean_of_the_views_clusters() -> None:
    sizes = [4, 6, 11]
    ids = np.random.default_rng(0).integers(sizes, size=(400, 3))
    strength = recommended_strength(400, 7)

    chosen, same = (
        batch_greedy(ids, 60, n_clusters=sizes, pairs=combination(3), prior=prior)
        for prior in ("recommended", strength)
    )

    assert strength == pytest.approx(8 * 49 / 400)
    np.testing.assert_array_equal(chosen.indices, same.indices)


def test_recommended_counts_the_given_population() -> None:
    ids = np.random.default_rng(1).integers(10, size=(4_000, 4))
    pairs = bipartite(["visual"] * 2 + ["audio"] * 2)
    population = ContingencyTables.from_assignments(ids, pairs, n_clusters=10)

    chosen, same = (
        batch_greedy(
            ids[:300],
            30,
            n_clusters=10,
            pairs=pairs,
            prior=prior,
            population=population,
        )
        for prior in ("recommended", recommended_strength(4_000, 10))
    )

    np.testing.assert_array_equal(chosen.indices, same.indices)


def test_a_shorter_selection_with_recommended_prior_begins_a_longer_one() -> None:
    ids = np.random.default_rng(2).integers(12, size=(2_000, 4))

    shorter, longer = (
        batch_greedy(
            ids,
            n_select,
            n_clusters=12,
            pairs=combination(4),
            batch_size=200,
            per_batch=10,
            prior="recommended",
        )
        for n_select in (55, 300)
    )

    np.testing.assert_array_equal(longer.indices[:55], shorter.indices)


@pytest.mark.parametrize("seed", range(3))
def test_thin_cells_of_unequal_classes_do_not_mislead(seed: int) -> None:
    corpus = made_corpus(4_000, CorpusModel(n_clusters=100), seed=seed)
    ids, pairs = corpus.assignments, bipartite(["visual"] * 5 + ["audio"] * 5)

    without, with_prior = (
        batch_greedy(
            ids,
            200,
            n_clusters=100,
            pairs=pairs,
            batch_size=400,
            per_batch=20,
            prior=prior,
            seed=seed,
        ).indices
        for prior in (None, "recommended")
    )
    plain, ranked = (
        pointwise_ranking(ids, 200, n_clusters=100, pairs=pairs, corrected=corrected)
        for corrected in (False, True)
    )

    precision = {
        name: corpus.is_positive[rows].mean()
        for name, rows in {
            "without": without,
            "with_prior": with_prior,
            "plain": plain,
            "ranked": ranked,
        }.items()
    }
    # Measured: .40 to .43, .77 to .80, .51 to .58, .84 to .87; three in ten are right.
    assert precision["with_prior"] > precision["without"] + 0.25
    assert precision["with_prior"] > 0.7
    assert precision["ranked"] > precision["plain"] + 0.2
