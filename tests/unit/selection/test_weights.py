"""Weights of layers and pairs, as in appendix B of the paper, and their integers."""

from __future__ import annotations

import numpy as np
import pytest

from acav_spark.selection import (
    batch_greedy,
    combination,
    diagonal,
    exponential_weights,
    extend,
    gain_by_pair,
    linear_weights,
    mutual_information,
    pair_weights,
    replay,
)
from acav_spark.selection.weights import Scoring

TEN = ["visual"] * 5 + ["audio"] * 5


# Table 4 of the paper, which prints two digits.
@pytest.mark.parametrize(
    ("weights", "printed"),
    [
        (exponential_weights(-1), [7.4, 2.7, 1, 0.4, 0.1]),
        (exponential_weights(1), [0.1, 0.4, 1, 2.7, 7.4]),
        (linear_weights(-0.5), [1.9, 1.5, 1, 0.5, 0.1]),
        (linear_weights(0.25), [0.5, 0.8, 1, 1.2, 1.5]),
        (linear_weights(0.5), [0.1, 0.5, 1, 1.5, 1.9]),
    ],
)
def test_layer_weights_are_those_of_table_4(
    weights: np.ndarray, printed: list[float]
) -> None:
    assert weights == pytest.approx(printed, abs=0.051)


def test_a_steep_exponential_is_that_of_table_4_but_for_its_slip() -> None:
    weights = exponential_weights(10)
    assert weights[:4] == pytest.approx([2e-9, 5e-5, 1, 2e4], rel=0.12)
    assert weights[4] == pytest.approx(np.exp(20))


def test_a_pair_of_equal_layers_weighs_what_its_layer_weighs() -> None:
    layers = np.tile(linear_weights(0.5), 2)
    assert pair_weights(layers, diagonal(TEN)) == pytest.approx(linear_weights(0.5))


def test_a_pair_weighs_the_geometric_mean_of_its_layers() -> None:
    assert pair_weights([4.0, 9.0, 1.0], [(0, 1), (1, 2)]) == pytest.approx([6, 3])


def test_equal_weights_are_ones_in_the_finest_units() -> None:
    scoring = Scoring(np.full(45, 0.3))
    assert scoring.integer_weights.tolist() == [1] * 45
    assert scoring.unit_bits == 46
    assert scoring.is_exact


def test_other_weights_keep_their_ratios_and_scores_their_range() -> None:
    weights = pair_weights(np.tile(exponential_weights(1), 2), combination(10))
    scoring = Scoring(weights)
    ratios = scoring.integer_weights / scoring.integer_weights.max()
    assert ratios == pytest.approx(weights / weights.max(), abs=2.0**-17)
    # Gains of 2**31 clips are below 23 nats.
    largest = 2 * int(scoring.integer_weights.sum()) * 23 * 2**scoring.unit_bits
    assert largest < 2**61
    assert scoring.unit_bits >= 33


def test_weights_too_steep_for_integers_say_so() -> None:
    steep = pair_weights(np.tile(exponential_weights(10), 2), combination(10))
    assert not Scoring(steep).is_exact
    assert Scoring(np.array([1.0, 512.0])).is_exact
    assert not Scoring(np.array([1.0, 513.0])).is_exact
    assert Scoring(np.array([0.0, 1.0])).is_exact


def test_the_objective_is_the_weighted_mean(rng: np.random.Generator) -> None:
    ids = rng.integers(5, size=(400, 3))
    pairs, weights = combination(3), [1.0, 2.0, 5.0]
    selection = batch_greedy(
        ids, 120, n_clusters=5, pairs=pairs, weights=weights, batch_size=60, per_batch=9
    )
    by_pair = [mutual_information(selection.tables.table(u, v)) for u, v in pairs]
    # The weights are multiples of 2**-16 of the largest.
    rounded = np.rint(np.array(weights) / 5 * 2**16)
    expected = np.average(by_pair, weights=rounded)
    assert selection.objective == pytest.approx(expected, abs=1e-9)
    assert expected == pytest.approx(np.average(by_pair, weights=weights), abs=1e-5)
    assert selection.tables.objective() == pytest.approx(expected, abs=1e-12)
    assert selection.is_exact


def test_a_pair_of_weight_zero_does_not_count(rng: np.random.Generator) -> None:
    ids = rng.integers(5, size=(300, 3))
    some = batch_greedy(ids, 90, n_clusters=5, pairs=[(0, 1), (1, 2)], batch_size=70,
                        per_batch=7)  # fmt: skip
    zero = batch_greedy(ids, 90, n_clusters=5, pairs=combination(3),
                        weights=[1, 0, 1], batch_size=70, per_batch=7)  # fmt: skip
    np.testing.assert_array_equal(some.indices, zero.indices)
    np.testing.assert_allclose(some.gains, zero.gains, atol=1e-12)


def test_steep_weights_select_as_the_heaviest_pair_alone(
    rng: np.random.Generator,
) -> None:
    ids = rng.integers(5, size=(300, 3))
    sizes = {"n_clusters": 5, "batch_size": 70, "per_batch": 7}
    alone = batch_greedy(ids, 40, pairs=[(0, 2)], **sizes)  # type: ignore[arg-type]  # sizes
    steep = batch_greedy(
        ids,
        40,
        pairs=combination(3),
        weights=[1e-12, 1.0, 1e-12],
        **sizes,  # type: ignore[arg-type]  # sizes
    )
    assert not steep.is_exact
    # Ties of the heavy pair are broken by the light ones, so that picks differ.
    assert steep.objective > 0.95 * alone.objective


def test_the_float_path_agrees_with_a_replay(rng: np.random.Generator) -> None:
    ids = rng.integers(6, size=(300, 4))
    pairs = combination(4)
    weights = [1e-6, 1.0, 3.0, 2.0, 7.0, 1e3]
    for mode in ("paper", "released"):
        found = batch_greedy(
            ids,
            80,
            n_clusters=6,
            pairs=pairs,
            weights=weights,
            batch_size=50,
            per_batch=8,
            mode=mode,
            prior=0.3,
        )
        again = replay(ids, found.indices, n_clusters=6, pairs=pairs, weights=weights)
        np.testing.assert_allclose(found.gains, again.gains, atol=1e-12)
        np.testing.assert_allclose(found.objectives, again.objectives, atol=1e-12)
        np.testing.assert_array_equal(found.tables.counters, again.tables.counters)


def test_extend_goes_on_with_the_weights_of_the_former_selection(
    rng: np.random.Generator,
) -> None:
    ids = rng.integers(5, size=(300, 3))
    first = batch_greedy(
        ids[:150], 40, n_clusters=5, pairs=combination(3), weights=[1, 2, 4]
    )
    second = extend(first, ids[150:], 40)
    assert second.tables.pair_weights == (1.0, 2.0, 4.0)
    assert second.objective == pytest.approx(second.tables.objective(), abs=1e-12)


def test_gains_by_pair_are_weighted(rng: np.random.Generator) -> None:
    ids = rng.integers(5, size=(200, 3))
    weights = [1.0, 2.0, 4.0]
    selection = batch_greedy(
        ids, 60, n_clusters=5, pairs=combination(3), weights=weights
    )
    before = replay(
        ids, selection.indices[:50], n_clusters=5, pairs=combination(3), weights=weights
    )
    by_pair = gain_by_pair(before.tables, ids[selection.indices[50]])
    assert by_pair.sum() == pytest.approx(selection.gains[50], abs=1e-9)


@pytest.mark.parametrize(
    ("weights", "telling"),
    [
        ([1, 2], "3 numbers, one a pair"),
        ([1, float("nan"), 2], "finite numbers of at least 0"),
        ([1, -1, 2], r"got 1 of 3 others \(1: -1.0\)"),
        ([0, 0, 0], "all are 0"),
        ([1, float("inf"), 2], "finite"),
    ],
)
def test_weights_that_mean_nothing_are_refused(
    weights: list[float], telling: str
) -> None:
    ids = np.zeros((5, 3), dtype=int)
    with pytest.raises(ValueError, match=telling):
        batch_greedy(ids, 2, n_clusters=1, pairs=combination(3), weights=weights)


def test_layers_without_a_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="up to view 4, got 2"):
        pair_weights([1.0, 2.0], [(0, 4)])
