from __future__ import annotations

import numpy as np
import pytest

from acav_spark.clustering.projection import Projection


@pytest.mark.parametrize("n_in", [1, 3, 130, 700])
def test_a_projection_is_the_float32_nearest_to_sums_in_float64(n_in: int) -> None:
    generator = np.random.default_rng(n_in)
    matrix = generator.normal(size=(40, n_in)).astype(np.float32)
    x = generator.normal(size=(300, n_in)).astype(np.float32)
    products = x[:, None].astype(np.float64) * matrix
    expected = products.sum(axis=2).astype(np.float32)
    np.testing.assert_array_equal(Projection(matrix).apply(x), expected)


def test_a_row_gets_the_same_bits_whatever_stands_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(0)
    # Directions of very different weight that cancel: much is decided by rounding.
    matrix = generator.normal(size=(90, 600)) * 10.0 ** generator.integers(0, 4, 600)
    x = (generator.normal(size=(500, 600)) * 1e3 + 1e5).astype(np.float32)
    projection = Projection(matrix.astype(np.float32))
    expected = projection.apply(x)
    order = generator.permutation(500)
    np.testing.assert_array_equal(projection.apply(x[order]), expected[order])
    for size in (1, 3, 63, 64, 65):
        parts = [projection.apply(x[i : i + size]) for i in range(0, 500, size)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    monkeypatch.setattr("acav_spark.clustering.projection._BLOCK_NUMBERS", 1)
    smaller = Projection(matrix.astype(np.float32))
    np.testing.assert_array_equal(smaller.apply(x), expected)


def test_sums_between_two_float32_are_decided_by_definition() -> None:
    # 2**24 + 1 lies in the middle: to even, in whatever order it is summed.
    one, large = np.float32(1), np.float32(2**24)
    x = np.array([[large, one], [one, large], [large, one * 3]], np.float32)
    projected = Projection(np.ones((1, 2), np.float32)).apply(x)
    assert projected[:, 0].tolist() == [2**24, 2**24, 2**24 + 4]


def test_zero_has_no_sign() -> None:
    x = np.array([[0.0, -0.0], [1.0, 1.0]], np.float32)
    projected = Projection(np.array([[-1.0, 1.0]], np.float32)).apply(x)
    assert np.signbit(projected).tolist() == [[False], [False]]


def test_no_vector_is_projected_on_nothing() -> None:
    assert Projection(np.ones((2, 3), np.float32)).apply(
        np.empty((0, 3), np.float32)
    ).shape == (0, 2)
