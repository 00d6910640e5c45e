import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.metrics import mutual_info_score

from acav_spark.selection import (
    ContingencyTables,
    combination,
    contingency_table,
    gain_by_pair,
    mutual_information,
    objective,
)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Independent: every cell is the product of its margins.
        ([[1, 1], [1, 1]], 0.0),
        ([[2, 4], [3, 6]], 0.0),
        # One clustering tells the other: the entropy of a half and a half.
        ([[5, 0], [0, 5]], np.log(2)),
        # Equation 2 by hand, N = 4, margins (2, 2) and (3, 1):
        # 2/4 log(4*2/(2*3)) + 1/4 log(4*1/(2*3)) + 1/4 log(4*1/(2*1)).
        (
            [[2, 0], [1, 1]],
            np.log(4 / 3) / 2 + np.log(2 / 3) / 4 + np.log(2) / 4,
        ),
        # Equation 2 by hand, 3 x 2, N = 8, margins (3, 3, 2) and (5, 3):
        (
            [[3, 0], [2, 1], [0, 2]],
            3 / 8 * np.log(8 * 3 / (3 * 5))
            + 2 / 8 * np.log(8 * 2 / (3 * 5))
            + 1 / 8 * np.log(8 * 1 / (3 * 3))
            + 2 / 8 * np.log(8 * 2 / (2 * 3)),
        ),
        # A single cluster tells nothing.
        ([[7]], 0.0),
        ([[3, 4]], 0.0),
    ],
)
def test_mutual_information_of_hand_computed_tables(
    table: list[list[int]], expected: float
) -> None:
    assert mutual_information(table) == pytest.approx(expected, abs=1e-15)


def test_mutual_information_ignores_empty_clusters() -> None:
    padded = [[3, 0, 0], [0, 0, 0], [1, 0, 4]]
    assert mutual_information(padded) == mutual_information([[3, 0], [1, 4]])


def test_mutual_information_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        k = int(generator.integers(1, 30))
        first = generator.integers(k, size=500)
        second = np.where(generator.random(500) < 0.4, first, first[::-1])
        table = contingency_table(first, second, n_clusters=k)
        expected = mutual_info_score(first, second)
        assert mutual_information(table) == pytest.approx(expected, abs=1e-9)


def test_mutual_information_is_never_below_zero() -> None:
    generator = np.random.default_rng(1)
    for _ in range(100):
        a, b = generator.integers(1, 1000, size=(2, 4))
        assert mutual_information(np.outer(a, b)) >= 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([1, 2], "two axes"),
        ([[0.5, 0.5]], "integer counts"),
        ([[0, 0], [0, 0]], "at least one clip"),
        ([[3, -1], [0, 2]], "none below"),
        (np.empty((0, 2), dtype=np.int64), "at least one clip"),
    ],
)
def test_mutual_information_refuses_what_is_no_table(
    table: ArrayLike, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        mutual_information(table)


def test_contingency_table_counts_clips_by_pairs_of_clusters() -> None:
    table = contingency_table([0, 0, 1, 1, 1], [0, 2, 1, 1, 0], n_clusters=(2, 3))
    assert table.tolist() == [[1, 0, 1], [1, 2, 0]]
    assert table.dtype == np.int64


def test_contingency_table_refuses_views_of_other_lengths() -> None:
    with pytest.raises(ValueError, match=r"same clips.*\(3,\) and \(2,\)"):
        contingency_table([0, 1, 0], [0, 1], n_clusters=2)


def test_objective_is_the_mean_over_the_pairs() -> None:
    assignments = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
    # Views 0 and 1 are equal (log 2); view 2 is independent of both.
    value = objective(assignments, combination(3), n_clusters=2)
    assert value == pytest.approx(np.log(2) / 3, abs=1e-15)
    assert objective(assignments, [(1, 0)], n_clusters=2) == pytest.approx(np.log(2))


def test_tables_hold_counts_and_margins() -> None:
    assignments = np.array([[0, 1, 2], [0, 0, 2], [1, 1, 0]])
    tables = ContingencyTables.from_assignments(
        assignments, [(0, 1), (2, 0)], n_clusters=[2, 2, 3]
    )
    assert tables.n_clips == 3
    assert tables.table(0, 1).tolist() == [[1, 1], [0, 1]]
    assert tables.table(2, 0).tolist() == [[0, 1], [0, 0], [2, 0]]
    assert tables.table(0, 2).tolist() == [[0, 0, 2], [1, 0, 0]]
    assert [tables.margin(view).tolist() for view in range(3)] == [
        [2, 1],
        [1, 2],
        [1, 0, 2],
    ]
    expected = objective(assignments, [(0, 1), (2, 0)], n_clusters=[2, 2, 3])
    assert tables.objective() == pytest.approx(expected, abs=1e-15)


def test_tables_of_many_rows_equal_those_of_each_pair() -> None:
    # More rows than are counted at once.
    ids = np.random.default_rng(0).integers(3, size=(70_000, 2))
    tables = ContingencyTables.from_assignments(ids, [(0, 1)], n_clusters=3)
    expected = contingency_table(ids[:, 0], ids[:, 1], n_clusters=3)
    np.testing.assert_array_equal(tables.table(0, 1), expected)


def test_tables_refuse_a_pair_that_they_do_not_hold() -> None:
    tables = ContingencyTables.empty([(0, 1)], n_clusters=2, n_views=3)
    with pytest.raises(ValueError, match=r"one of the 1 pairs.*\(1, 2\)"):
        tables.table(1, 2)


def test_tables_refuse_counters_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"shape \(8,\), got int64 of shape \(7,\)"):
        ContingencyTables(((0, 1),), (2, 2), np.zeros(7, dtype=np.int64))


def test_gain_by_pair_is_the_change_of_each_pair() -> None:
    generator = np.random.default_rng(3)
    ids = generator.integers(4, size=(30, 4))
    pairs = combination(4)
    before = ContingencyTables.from_assignments(ids[:-1], pairs, n_clusters=4)
    after = ContingencyTables.from_assignments(ids, pairs, n_clusters=4)
    changes = after.mutual_information_by_pair() - before.mutual_information_by_pair()
    gains = gain_by_pair(before, ids[-1])
    np.testing.assert_allclose(gains, changes / len(pairs), atol=1e-12)
    assert gains.sum() == pytest.approx(after.objective() - before.objective())


def test_gain_by_pair_against_no_clip_is_zero() -> None:
    tables = ContingencyTables.empty(combination(3), n_clusters=2, n_views=3)
    assert gain_by_pair(tables, [0, 1, 1]).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("row", "words"),
    [([0, 1], "the 3 views of the former"), ([0, 1, 2], "from 0 to 1 in view 2")],
)
def test_gain_by_pair_refuses_a_row_of_other_clusters(
    row: list[int], words: str
) -> None:
    tables = ContingencyTables.empty(combination(3), n_clusters=2, n_views=3)
    with pytest.raises(ValueError, match=words):
        gain_by_pair(tables, row)
