import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from acav_spark.clustering.principal import (
    PrincipalComponents,
    fit_principal_components,
)
from acav_spark.selection import (
    combination,
    feature_scores,
    highest,
    shared_components,
)
from acav_spark.selection.feature_ranking import Metric

METRICS: tuple[Metric, ...] = ("inner", "cos", "l2")


def drawn(
    n_clips: int, n_features: int, seed: int, rank: int = 0
) -> NDArray[np.float32]:
    """Return vectors whose directions have clearly different variances."""
    generator = np.random.default_rng(seed)
    n_free = rank or n_features
    free = generator.normal(size=(n_clips, n_free)) * np.arange(n_free, 0, -1)
    mixed = free @ np.linalg.qr(generator.normal(size=(n_features, n_free)))[0].T
    vectors: NDArray[np.float32] = (mixed + 5).astype(np.float32)
    return vectors


def identity(n: int) -> PrincipalComponents:
    """Return projections that leave vectors as they are."""
    return PrincipalComponents(np.zeros(n, np.float32), np.eye(n, dtype=np.float32))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("inner", [11.0, -1.0, 0.0]),
        ("cos", [11 / np.sqrt(5 * 25), -1 / (np.sqrt(1) * np.sqrt(1)), 0.0]),
        ("l2", [-np.sqrt(8), -2.0, -5.0]),
    ],
)
def test_scores_of_a_hand_computed_case(metric: Metric, expected: list[float]) -> None:
    first = [[1.0, 2.0], [1.0, 0.0], [0.0, 0.0]]
    second = [[3.0, 4.0], [-1.0, 0.0], [3.0, 4.0]]

    actual = feature_scores(
        [first, second], [(0, 1)], metric=metric, projections=[identity(2)] * 2
    )

    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)
    assert actual.dtype == np.float64


def test_the_score_is_the_mean_over_the_pairs() -> None:
    views = [drawn(50, 4, seed) for seed in range(3)]
    pairs = combination(3)

    actual = feature_scores(views, pairs, metric="cos", n_components=3)

    by_pair = [feature_scores(views, [p], metric="cos", n_components=3) for p in pairs]
    np.testing.assert_allclose(actual, np.mean(by_pair, axis=0), rtol=0, atol=1e-15)


def test_projections_are_those_of_scikit_learn_up_to_signs() -> None:
    x = drawn(400, 20, 1)

    ours = fit_principal_components(x, 6)

    theirs = PCA(6).fit(x)
    signs = np.sign(np.sum(ours.components * theirs.components_, axis=1))
    np.testing.assert_allclose(
        ours.components * signs[:, None], theirs.components_, atol=2e-6
    )
    np.testing.assert_allclose(ours.apply(x) * signs, theirs.transform(x), atol=2e-4)


def test_the_largest_loading_of_a_component_is_positive() -> None:
    components = fit_principal_components(drawn(200, 9, 3), 9).components

    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(9), largest] > 0).all()
    flipped = fit_principal_components(-drawn(200, 9, 3), 9).components
    np.testing.assert_allclose(flipped, components, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_agree_with_scikit_learn_where_signs_do_not_matter(
    metric: Metric,
) -> None:
    # Both sides by one projection: its signs cancel.
    x, y = drawn(300, 12, 5), drawn(300, 12, 6)
    shared = shared_components(x, y, n_components=5)

    actual = feature_scores([x, y], [(0, 1)], metric=metric, projections=[shared] * 2)

    pca = PCA(5).fit(np.concatenate([x, y]).astype(np.float64))
    a, b = pca.transform(x.astype(np.float64)), pca.transform(y.astype(np.float64))
    inner = np.sum(a * b, axis=1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    expected = {
        "inner": inner,
        "cos": inner / lengths,
        "l2": -np.linalg.norm(a - b, axis=1),
    }[metric]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3)


def test_a_view_has_no_more_components_than_vary() -> None:
    assert fit_principal_components(drawn(100, 7, 0), 64).components.shape == (7, 7)
    flat = fit_principal_components(drawn(100, 7, 0, rank=3), 64)
    assert flat.components.shape == (3, 7)
    alike = fit_principal_components(np.full((10, 7), 2.5), 64)
    assert alike.components.shape == (0, 7)


@pytest.mark.parametrize("metric", METRICS)
def test_views_that_do_not_vary_say_nothing(metric: Metric) -> None:
    alike = np.full((40, 3), 7.0)
    assert feature_scores(
        [drawn(40, 5, 0), alike], [(0, 1)], metric=metric
    ).tolist() == ([0.0] * 40)


@pytest.mark.parametrize("metric", METRICS)
def test_of_unequal_components_the_common_ones_are_compared(metric: Metric) -> None:
    wide, narrow = drawn(60, 8, 0), drawn(60, 3, 1)
    fitted = [fit_principal_components(wide, 64), fit_principal_components(narrow, 64)]
    first = PrincipalComponents(fitted[0].mean, fitted[0].components[:3])

    actual = feature_scores([wide, narrow], [(0, 1)], metric=metric)

    expected = feature_scores(
        [wide, narrow], [(0, 1)], metric=metric, projections=[first, fitted[1]]
    )
    np.testing.assert_array_equal(actual, expected)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(METRICS))
def test_a_score_does_not_hang_on_the_rows_beside_it(
    n_rows: int, seed: int, metric: Metric
) -> None:
    views = [drawn(40, 70, 0), drawn(40, 9, 1)]
    fitted = [fit_principal_components(view, 64) for view in views]
    rows = np.random.default_rng(seed).choice(40, n_rows)

    whole = feature_scores(views, [(0, 1)], metric=metric, projections=fitted)
    part = feature_scores(
        [view[rows] for view in views], [(0, 1)], metric=metric, projections=fitted
    )

    np.testing.assert_array_equal(part, whole[rows])


def test_pairs_of_one_class_rank_before_others_by_one_projection() -> None:
    generator = np.random.default_rng(4)
    centres = 4 * generator.normal(size=(10, 30))
    of_first = generator.integers(10, size=400)
    is_positive = np.arange(400) < 200
    others = (of_first + generator.integers(1, 10, 400)) % 10
    of_second = np.where(is_positive, of_first, others)
    x, y = (
        centres[c] + generator.normal(size=(400, 30)) for c in (of_first, of_second)
    )
    shared = shared_components(x, y)

    for metric in METRICS:
        scores = feature_scores(
            [x, y], [(0, 1)], metric=metric, projections=[shared] * 2
        )
        assert is_positive[highest(scores, 200)].mean() > 0.95


def test_wrong_input_is_refused_by_name() -> None:
    x, bad = drawn(10, 4, 0), drawn(10, 4, 0)
    bad[3, 1] = np.nan
    projections = [identity(4), identity(3)]
    with pytest.raises(ValueError, match=r"one row for each clip.*\[10, 9\]"):
        feature_scores([x, x[:9]], [(0, 1)], metric="cos")
    with pytest.raises(ValueError, match=r"views\[1\]: expected finite.*1 of 10 rows"):
        feature_scores([x, bad], [(0, 1)], metric="cos")
    with pytest.raises(ValueError, match="views from 0 to 1"):
        feature_scores([x, x], [(0, 2)], metric="cos")
    with pytest.raises(ValueError, match=r"metric: expected one of.*'dot'"):
        feature_scores([x, x], [(0, 1)], metric="dot")  # type: ignore[arg-type]  # refused
    with pytest.raises(ValueError, match=r"lengths \[4, 4\], got \[4, 3\]"):
        feature_scores([x, x], [(0, 1)], metric="l2", projections=projections)
    with pytest.raises(ValueError, match="n_components"):
        feature_scores([x, x], [(0, 1)], metric="l2", n_components=0)
    with pytest.raises(ValueError, match=r"views\[1\]: expected vectors of length 4"):
        shared_components(x, x[:, :3])
    with pytest.raises(ValueError, match="at least one, got none"):
        shared_components()
