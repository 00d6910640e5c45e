"""The mixture of clips that correspond and clips that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.selection import mixture_ranking, mixture_scores, pointwise_information
from acav_spark.selection.mixture import _probabilities

CROSSING = [(u, v) for u in (0, 1) for v in (2, 3)]


def planted(
    n: int,
    *,
    share: float,
    n_clusters: int = 8,
    agreement: float = 0.7,
    n_layers: int = 2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids of the views of two sides, and which clips correspond.

    A side has one class; each view shows it, by a permutation of its own, or else
    anything. The sides of a clip that corresponds have the same class.
    """
    rng = np.random.default_rng(seed)
    is_true = rng.random(n) < share
    classes = rng.integers(n_clusters, size=(2, n))
    classes[1, is_true] = classes[0, is_true]
    ids = np.empty((n, 2 * n_layers), np.int64)
    for view in range(2 * n_layers):
        names = rng.permutation(n_clusters)
        shown = names[classes[view // n_layers]]
        other = rng.integers(n_clusters, size=n)
        ids[:, view] = np.where(rng.random(n) < agreement, shown, other)
    return ids, is_true


def precision(picks: np.ndarray, is_true: np.ndarray) -> float:
    return float(is_true[picks].mean())


def test_two_turns_are_those_of_the_formulas() -> None:
    # Written out with loops over clips, in place of tables.
    ids, _ = planted(40, share=0.5, n_clusters=3)
    n, share, pairs, weights = len(ids), 0.3, [(0, 2), (1, 3)], [1.0, 3.0]
    scores = pointwise_information(ids, n_clusters=3, pairs=pairs, weights=weights)
    for _ in range(2):
        p = _probabilities(2.0 * scores, share)  # four views, half of each
        expected = np.zeros(n)
        for i in range(n):
            for (u, v), weight in zip(pairs, (0.25, 0.75), strict=True):
                others = [j for j in range(n) if j != i]
                is_first = [ids[j, u] == ids[i, u] for j in others]
                is_second = [ids[j, v] == ids[i, v] for j in others]
                t = sum(
                    p[j]
                    for j, a, b in zip(others, is_first, is_second, strict=True)
                    if a and b
                )
                e = share * sum(is_first) * sum(is_second) / (n - 1)
                expected[i] += weight * np.log((t + 0.5) / (e + 0.5))
        scores = expected
    found = mixture_scores(
        ids, n_clusters=3, pairs=pairs, weights=weights, share=share, n_iterations=2
    )
    # Weights are rounded to whole numbers of a unit.
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-5)


def test_no_turn_is_pointwise_information() -> None:
    ids, _ = planted(100, share=0.5)
    none = mixture_scores(ids, n_clusters=8, pairs=CROSSING, n_iterations=0)
    expected = pointwise_information(ids, n_clusters=8, pairs=CROSSING)
    np.testing.assert_array_equal(none, expected)


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_more_than_pointwise_information(seed: int) -> None:
    k, pairs = 40, [(u, v) for u in range(5) for v in range(5, 10)]
    ids, is_true = planted(
        4000, share=0.4, n_clusters=k, agreement=0.5, n_layers=5, seed=seed
    )
    n_select = int(is_true.sum())
    scores = pointwise_information(ids, n_clusters=k, pairs=pairs)
    plain = precision(np.argsort(-scores)[:n_select], is_true)
    picks = mixture_ranking(ids, n_select, n_clusters=k, pairs=pairs)
    assert precision(picks, is_true) > plain + 0.015


def test_chance_alone_is_not_taken_for_more() -> None:
    ids, _ = planted(2000, share=0.0)
    scores = mixture_scores(ids, n_clusters=8, pairs=CROSSING)
    assert np.isfinite(scores).all()


@settings(max_examples=40)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 5),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_it_is_defined_whatever_the_ids(
    n: int, k: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(k, size=(n, 4))
    scores = mixture_scores(ids, n_clusters=k, pairs=CROSSING, share=share)
    assert scores.shape == (n,)
    assert np.isfinite(scores).all()
    picks = mixture_ranking(ids, n, n_clusters=k, pairs=CROSSING, share=share)
    assert sorted(picks.tolist()) == list(range(n))
    for i in range(n):
        for j in range(i + 1, n):
            if (ids[i] == ids[j]).all():
                # Clips with the same ids are equal.
                assert scores[i] == pytest.approx(scores[j], abs=1e-9)
    # The names of clusters say nothing.
    renamed = mixture_scores((ids + 1) % k, n_clusters=k, pairs=CROSSING, share=share)
    np.testing.assert_allclose(renamed, scores, rtol=1e-6, atol=1e-6)


@given(
    evidence=st.lists(st.floats(-200, 200), min_size=1, max_size=50),
    share=st.floats(0.01, 0.99),
)
def test_probabilities_average_to_the_share(
    evidence: list[float], share: float
) -> None:
    values = np.array(evidence)
    found = _probabilities(values, share)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(values)
    assert (np.diff(found[order]) >= 0).all()
    # The threshold is looked for in bins.
    width = (values.max() - values.min()) / (1 << 14) or 1 / (1 << 14)
    assert abs(found.mean() - share) <= width


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_is_between_none_and_all(share: float) -> None:
    ids, _ = planted(10, share=0.5)
    with pytest.raises(ValueError, match="share: expected a number between 0 and 1"):
        mixture_scores(ids, n_clusters=8, pairs=CROSSING, share=share)


def test_more_than_there_are_cannot_be_selected() -> None:
    ids, _ = planted(10, share=0.5)
    with pytest.raises(ValueError, match="n_select"):
        mixture_ranking(ids, 11, n_clusters=8, pairs=CROSSING)
