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

    # Of the five others, without one: margins 3, 1 and 2, 2 less one each; the cells
    # of the three kinds of clips hold 0, 2 and 1 others, and expect 6, 6 and 2 fifths.
    by_cell = {
        (0, 1): 0.5 / (6 / 5 + 0.5),
        (0, 0): 2.5 / (6 / 5 + 0.5),
        (1, 1): 1.5 / (2 / 5 + 0.5),
    }
    expected = [np.log(by_cell[u, v]) for u, v in SIX.tolist()]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_uncorrected_information_of_a_hand_computed_case() -> None:
    actual = pointwise_information(SIX, n_clusters=2, pairs=[(0, 1)], corrected=False)

    by_cell = {(0, 1): 6 * 1 / (4 * 3), (0, 0): 6 * 3 / (4 * 3), (1, 1): 6 * 2 / 6}
    expected = [np.log(by_cell[u, v]) for u, v in SIX.tolist()]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_a_clip_does_not_speak_for_itself() -> None:
    # Ten clips of clusters that always go together, and one that lies alone in a cell
    # of small clusters: with itself counted, chance would never explain it.
    ids = np.array([[0, 0]] * 5 + [[1, 1]] * 5 + [[2, 2]])

    plain = pointwise_ranking(ids, 11, n_clusters=3, pairs=[(0, 1)], corrected=False)
    ranked = pointwise_ranking(ids, 11, n_clusters=3, pairs=[(0, 1)])
    scores = pointwise_information(ids, n_clusters=3, pairs=[(0, 1)])

    assert plain[0] == 10
    assert ranked[-1] == 10
    assert scores[10] == 0.0  # nothing is known of it: neither for nor against


@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1e4]])
def test_each_clip_is_scored_by_the_tables_of_the_others(
    weights: list[float] | None,
) -> None:
    ids, pairs = drawn(6, 60), combination(4)

    scores = pointwise_information(ids, n_clusters=5, pairs=pairs, weights=weights)

    for row in range(0, 60, 7):
        others = np.delete(ids, row, axis=0)
        terms = []
        for u, v in pairs:
            i, j = ids[row, u], ids[row, v]
            n = ((others[:, u] == i) & (others[:, v] == j)).sum()
            e = (others[:, u] == i).sum() * (others[:, v] == j).sum() / 59
            terms.append(np.log((n + 0.5) / (e + 0.5)))
        expected = np.average(terms, weights=weights)
        assert scores[row] == pytest.approx(expected, abs=1e-4 if weights else 1e-12)


def test_ranking_of_a_hand_computed_case_takes_equal_clips_by_row() -> None:
    # log 1.67 for rows 2 and 4, log 1.47 for 1, 3 and 5, log .29 for 0.
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

    scores = pointwise_information(
        ids, n_clusters=5, pairs=pairs, weights=weights, corrected=False
    )

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
def test_uncorrected_clips_that_the_population_has_not_come_last(
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
        ids,
        n_clusters=5,
        pairs=pairs,
        weights=weights,
        population=tables,
        corrected=False,
    )
    order = pointwise_ranking(
        ids,
        400,
        n_clusters=5,
        pairs=pairs,
        weights=weights,
        population=tables,
        corrected=False,
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
