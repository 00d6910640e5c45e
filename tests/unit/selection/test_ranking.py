import numpy as np
import pytest
from numpy.typing import NDArray

from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    combination,
    objective,
)
from acav_spark.selection.ranking import pointwise_information, pointwise_ranking

# Tables of views 0 and 1: [[3, 1], [0, 2]]; margins [4, 2] and [3, 3].
SIX = np.array([[0, 1], [0, 0], [1, 1], [0, 0], [1, 1], [0, 0]])


def drawn(seed: int, n_clips: int = 400) -> NDArray[np.int64]:
    """Return ids of four views of 5 clusters, the first two often the same."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(5, size=(n_clips, 4))
    is_same = generator.random(n_clips) < 0.5
    ids[is_same, 1] = ids[is_same, 0]
    return ids


def test_information_of_a_hand_computed_case() -> None:
    actual = pointwise_information(SIX, n_clusters=2, pairs=[(0, 1)])

    by_cell = {(0, 1): 6 * 1 / (4 * 3), (0, 0): 6 * 3 / (4 * 3), (1, 1): 6 * 2 / 6}
    expected = [np.log(by_cell[u, v]) for u, v in SIX.tolist()]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_ranking_of_a_hand_computed_case_takes_equal_clips_by_row() -> None:
    # log 2 for rows 2 and 4, log 1.5 for 1, 3 and 5, log .5 for 0.
    for n_select in range(1, 7):
        actual = pointwise_ranking(SIX, n_select, n_clusters=2, pairs=[(0, 1)])
        assert actual.tolist() == [2, 4, 1, 3, 5, 0][:n_select]
        assert actual.dtype == np.int64


def test_sums_that_are_equal_in_another_order_are_ties() -> None:
    # Views 0 to 2 are permuted from clip to clip, and so are all counts.
    ids = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])

    order = pointwise_ranking(ids, 3, n_clusters=3, pairs=combination(3))

    assert order.tolist() == [0, 1, 2]


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1e4]])
def test_ranking_sorts_the_information(weights: list[float] | None) -> None:
    ids, pairs = drawn(0), combination(4)
    scores = pointwise_information(ids, n_clusters=5, pairs=pairs, weights=weights)

    order = pointwise_ranking(ids, 400, n_clusters=5, pairs=pairs, weights=weights)

    assert sorted(order.tolist()) == list(range(400))
    assert (np.diff(scores[order]) <= 0).all()


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1e4]])
def test_mean_information_of_the_population_is_its_objective(
    weights: list[float] | None,
) -> None:
    ids, pairs = drawn(1), combination(4)
    tables = ContingencyTables.from_assignments(
        ids, pairs, n_clusters=5, pair_weights=weights
    )

    scores = pointwise_information(ids, n_clusters=5, pairs=pairs, weights=weights)

    # A weight is a multiple of 2**-16 of the largest, which moves the mean by 1e-5.
    tolerance = 1e-10 if weights is None else 1e-4
    assert scores.mean() == pytest.approx(tables.objective(), abs=tolerance)
    if weights is None:
        assert scores.mean() == pytest.approx(
            objective(ids, pairs, n_clusters=5), abs=1e-10
        )


def test_blocks_do_not_change_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, pairs = drawn(2), combination(4)
    whole = pointwise_ranking(ids, 100, n_clusters=5, pairs=pairs)

    monkeypatch.setattr("acav_spark.selection.ranking._BLOCK", 7)

    pieces = pointwise_ranking(ids, 100, n_clusters=5, pairs=pairs)
    np.testing.assert_array_equal(pieces, whole)


def test_a_strong_prior_tends_to_the_ranking() -> None:
    ids, pairs = drawn(3, 60), [(0, 1)]
    ranked = pointwise_ranking(ids, 10, n_clusters=5, pairs=pairs)
    scores = pointwise_information(ids, n_clusters=5, pairs=pairs)

    chosen = batch_greedy(
        ids, 10, n_clusters=5, pairs=pairs, batch_size=60, per_batch=10, prior=1e6
    )

    np.testing.assert_allclose(
        np.sort(scores[chosen.indices]), np.sort(scores[ranked]), atol=1e-4
    )


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0, 1.0, 1.0, 1e4]])
def test_clips_that_the_population_has_not_come_last(
    weights: list[float] | None,
) -> None:
    ids, pairs = drawn(4), combination(4)
    tables = ContingencyTables.from_assignments(
        ids[:50], pairs, n_clusters=5, pair_weights=weights
    )
    is_unseen = (
        tables.counters[tables.counter_ids(ids)[:, : len(pairs)]].min(axis=1) == 0
    )

    scores = pointwise_information(
        ids, n_clusters=5, pairs=pairs, weights=weights, population=tables
    )
    order = pointwise_ranking(
        ids, 400, n_clusters=5, pairs=pairs, weights=weights, population=tables
    )

    assert is_unseen.any()
    np.testing.assert_array_equal(np.isneginf(scores), is_unseen)
    np.testing.assert_array_equal(order[-is_unseen.sum() :], np.flatnonzero(is_unseen))


def test_tables_of_another_population_are_refused() -> None:
    pairs = combination(4)
    other = ContingencyTables.from_assignments(drawn(5), pairs, n_clusters=6)
    with pytest.raises(ValueError, match="population: expected tables of the given"):
        pointwise_ranking(drawn(5), 3, n_clusters=5, pairs=pairs, population=other)

    empty = ContingencyTables.empty(pairs, n_clusters=5, n_views=4)
    with pytest.raises(ValueError, match="at least one clip, got empty"):
        pointwise_ranking(drawn(5), 3, n_clusters=5, pairs=pairs, population=empty)


@pytest.mark.parametrize(
    ("n_select", "words"),
    [(7, "at most 6, the number of clips there are, got 7"), (0, "at least 1, got 0")],
)
def test_sizes_out_of_range_are_refused(n_select: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pointwise_ranking(SIX, n_select, n_clusters=2, pairs=[(0, 1)])
