from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.selection.contrastive_loss import (
    contrastive_loss,
    gradient_through_lengths,
    normalised,
)
from acav_spark.selection.kernels.amsgrad import amsgrad_step

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn(seed: int, n: int = 5, width: int = 4) -> list[NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    return [normalised(generator.normal(size=(n, width)))[0] for _ in range(2)]


def test_loss_of_a_hand_computed_case() -> None:
    # Cosines [[1, 0], [.6, .8]]; with temperature .5 twice that.
    first, second = np.array([[1.0, 0], [0.6, 0.8]]), np.eye(2)

    loss, _, _ = contrastive_loss(first, second, temperature=0.5)

    e = np.exp
    from_first = -np.log(e(2) / (e(2) + e(0))) - np.log(e(1.6) / (e(1.2) + e(1.6)))
    from_second = -np.log(e(2) / (e(2) + e(1.2))) - np.log(e(1.6) / (e(0) + e(1.6)))
    assert loss == pytest.approx((from_first + from_second) / 2, abs=1e-14)


def test_two_times_log_n_is_the_loss_of_clips_that_are_all_alike() -> None:
    same = np.tile([[0.6, 0.8]], (7, 1))

    loss, by_first, _ = contrastive_loss(same, same, temperature=0.1)

    assert loss == pytest.approx(2 * np.log(7), abs=1e-12)
    np.testing.assert_allclose(by_first, 0, atol=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 1.0]))
def test_gradients_are_those_of_finite_differences(
    seed: int, temperature: float
) -> None:
    first, second = drawn(seed)
    step = 1e-6

    loss, *gradients = contrastive_loss(first, second, temperature=temperature)

    for side, gradient in enumerate(gradients):
        for place in np.ndindex(gradient.shape):
            moved = []
            for sign in (1, -1):
                sides = [first.copy(), second.copy()]
                sides[side][place] += sign * step
                moved.append(contrastive_loss(*sides, temperature=temperature)[0])
            slope = (moved[0] - moved[1]) / (2 * step)
            assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-6)
    assert loss > 0


def test_sides_can_be_exchanged() -> None:
    first, second = drawn(1)

    one = contrastive_loss(first, second, temperature=0.1)
    other = contrastive_loss(second, first, temperature=0.1)

    assert one[0] == pytest.approx(other[0], abs=1e-14)
    np.testing.assert_allclose(one[1], other[2], atol=1e-14)


def test_shares_of_a_gradient_are_its_rows() -> None:
    first, second = drawn(2)
    _, whole, _ = contrastive_loss(first, second, temperature=0.1)

    _, part, other = contrastive_loss(first, second, temperature=0.1, rows=slice(1, 3))

    np.testing.assert_allclose(part, whole[1:3], atol=1e-15)
    assert other.shape == (2, 4)


def test_a_small_temperature_does_not_overflow() -> None:
    first, second = drawn(3)

    loss, by_first, _ = contrastive_loss(
        first.astype(np.float32), second.astype(np.float32), temperature=1e-3
    )

    assert np.isfinite(loss)
    assert np.isfinite(by_first).all()


def test_gradient_through_lengths_is_that_of_finite_differences() -> None:
    generator = np.random.default_rng(4)
    vectors, weights = generator.normal(size=(2, 3, 4))
    directions, lengths = normalised(vectors)

    actual = gradient_through_lengths(weights, directions, lengths)

    for place in np.ndindex(vectors.shape):
        moved = []
        for sign in (1, -1):
            other = vectors.copy()
            other[place] += sign * 1e-6
            moved.append((normalised(other)[0] * weights).sum())
        assert actual[place] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-8)


def test_a_vector_of_zeros_has_no_direction_and_no_infinity() -> None:
    directions, _ = normalised(np.zeros((1, 3), np.float32))

    np.testing.assert_array_equal(directions, 0)


def test_a_step_of_amsgrad_keeps_the_largest_second_moment() -> None:
    """By hand: gradients 1 and 0, beta_1 = .5, beta_2 = .75, learning rate .1."""
    state = [np.zeros(1, np.float32) for _ in range(5)]
    parameters, gradient, first, second, largest = state
    for step, value in ((1, 1.0), (2, 0.0)):
        gradient[:] = value
        amsgrad_step(
            parameters,
            gradient,
            first,
            second,
            largest,
            np.float32(0.1 / (1 - 0.5**step)),
            np.float32(1 / np.sqrt(1 - 0.75**step)),
            np.float32(0.5),
            np.float32(0.75),
            np.float32(0),
        )
    # Moments .5 and .25, then .25 and .1875; but the largest stays .25.
    assert (first[0], second[0], largest[0]) == (0.25, 0.1875, 0.25)
    moved = 0.2 * 0.5 / np.sqrt(0.25 / 0.25)
    moved += (0.1 / 0.75) * 0.25 / np.sqrt(0.25 / 0.4375)
    assert parameters[0] == pytest.approx(-moved, rel=1e-6)
