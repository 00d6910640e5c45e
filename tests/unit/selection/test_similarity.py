import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn.metrics.pairwise import paired_cosine_distances

from acav_spark.selection import cosine_similarity, highest


def test_cosines_of_a_hand_computed_case() -> None:
    first = [[1, 0], [3, 4], [1, 2], [0, 0], [2, 2]]
    second = [[0, 5], [3, 4], [-2, -4], [1, 1], [1, 0]]

    actual = cosine_similarity(first, second)

    np.testing.assert_allclose(actual, [0, 1, -1, 0, np.sqrt(0.5)], atol=1e-15)
    assert actual[1] == 1
    assert actual.dtype == np.float64


def test_cosines_are_those_of_scikit_learn() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 5000, 33)).astype("f4")

    actual = cosine_similarity(first, second)

    expected = 1 - paired_cosine_distances(
        first.astype(np.float64), second.astype(np.float64)
    )
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)


@given(
    arrays.arrays(
        np.float32, (6, 5), elements=st.floats(-(2.0**49), 2.0**49, width=32)
    ),
    st.integers(0, 5),
)
def test_cosines_are_bounded_symmetric_and_of_a_row_alone(
    x: NDArray[np.float32], row: int
) -> None:
    y = x[::-1]
    actual = cosine_similarity(x, y)

    assert (np.abs(actual) <= 1).all()
    np.testing.assert_array_equal(actual, cosine_similarity(y, x))
    alone = cosine_similarity(x[row : row + 1], y[row : row + 1])
    assert alone[0] == actual[row]
    # Squares of the smallest float32 vanish; of all others a vector is its own equal.
    own = cosine_similarity(x, x)
    assert set(own[np.abs(x).max(axis=1) > 1e-30].tolist()) <= {1.0}


def test_sides_of_different_shapes_or_without_numbers_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"one space, got shapes \(3, 2\) and \(3, 4\)"
    ):
        cosine_similarity(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"got shapes \(3, 2\) and \(2, 2\)"):
        cosine_similarity(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"second: expected finite.*1 of 3 rows \(1\)"):
        cosine_similarity(np.ones((3, 1)), [[1.0], [np.inf], [2.0]])


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=60),
    st.sampled_from([np.int64, np.float64]),
    st.data(),
)
def test_the_highest_are_the_first_of_a_stable_sort(
    values: list[int], dtype: type, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(values)))

    actual = highest(np.array(values, dtype=dtype), n)

    by_score = sorted(range(len(values)), key=lambda row: -values[row])
    assert actual.tolist() == by_score[:n]


def test_scores_that_are_no_numbers_are_refused_and_infinite_ones_ordered() -> None:
    order = highest(np.array([0.0, -np.inf, np.inf, -np.inf]), 4)
    assert order.tolist() == [2, 0, 1, 3]
    with pytest.raises(ValueError, match=r"NaN for 1 of 3 \(\[1\]\)"):
        highest(np.array([1.0, np.nan, 2.0]), 1)
    with pytest.raises(ValueError, match="n_select: expected at most 3"):
        highest(np.zeros(3), 4)
    with pytest.raises(
        ValueError, match=r"one number for each clip, got shape \(2, 2\)"
    ):
        highest(np.zeros((2, 2)), 1)
