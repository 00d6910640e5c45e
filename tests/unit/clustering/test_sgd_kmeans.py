from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from acav_spark.clustering import (
    MAX_AUTO_CLUSTERS,
    PreprocessName,
    SGDKMeans,
    auto_n_clusters,
    nearest_centroids,
)
from acav_spark.clustering.fit import EpochStatistics, Fit, FitSettings, run_epoch
from acav_spark.clustering.rules import kept_weight
from acav_spark.clustering.seeding import draw_centres


def mixture(
    seed: int, n_samples: int, n_features: int, n_groups: int
) -> NDArray[np.float32]:
    """Return overlapping groups of unequal sizes."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.ones(n_groups))
    centres = 6 * generator.normal(size=(n_groups, n_features)) / np.sqrt(n_features)
    groups = generator.choice(n_groups, n_samples, p=weights)
    noise = generator.normal(size=(n_samples, n_features))
    samples: NDArray[np.float32] = (centres[groups] + noise).astype(np.float32)
    return samples


def n_empty(model: SGDKMeans) -> int:
    counts = np.bincount(model.labels_, minlength=model.n_clusters)
    return int(np.count_nonzero(counts == 0))


@pytest.mark.parametrize(
    ("shape", "n_clusters"), [((300, 50, 10), 17), ((300, 50, 40), 40)]
)
def test_inertia_on_few_rows_is_that_of_scikit_learn(
    shape: tuple[int, int, int], n_clusters: int
) -> None:
    ours, theirs = [], []
    for seed in range(4):
        x = mixture(seed, *shape)
        model = SGDKMeans(n_clusters, seed=seed).fit(x)
        assert n_empty(model) == 0
        ours.append(model.inertia_)
        theirs.append(
            KMeans(n_clusters, n_init=1, random_state=seed, tol=0).fit(x).inertia_
        )
    # Both stop in local optima; measured means are within 1 %.
    assert np.mean(ours) < 1.02 * np.mean(theirs)
    assert max(np.array(ours) / theirs) < 1.05


@pytest.mark.parametrize("minibatch_size", [2_000, 100_000])
def test_inertia_on_many_rows_is_that_of_scikit_learn(minibatch_size: int) -> None:
    x = mixture(0, 10_000, 64, 20)
    model = SGDKMeans(40, minibatch_size=minibatch_size, n_epochs=30).fit(x)
    expected = KMeans(40, n_init=1, random_state=0).fit(x).inertia_
    assert model.inertia_ < 1.02 * expected
    assert n_empty(model) == 0


def test_separate_groups_are_found() -> None:
    generator = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    groups = generator.permutation(np.repeat(np.arange(4), 25))
    x = centres[groups] + generator.normal(size=(100, 2)).astype(np.float32) * 0.1
    model = SGDKMeans(4, n_epochs=20).fit(x)
    pairs = np.unique(np.stack([groups, model.predict(x)], axis=1), axis=0)
    assert len(pairs) == 4
    found = model.cluster_centers_[
        nearest_centroids(centres, model.cluster_centers_)[0]
    ]
    np.testing.assert_allclose(found, centres, atol=0.1)


def test_statistics_tell_each_epoch() -> None:
    x = mixture(1, 500, 10, 5)
    model = SGDKMeans(8, n_epochs=12).fit(x)
    statistics = model.epoch_statistics_
    assert [s.epoch for s in statistics] == list(range(1, 13))
    assert statistics[-1].inertia < statistics[0].inertia
    # Each sample is assigned before its centre moves, so the last is near the final.
    assert statistics[-1].inertia == pytest.approx(model.inertia_, rel=0.01)
    assert statistics[-1].shift < statistics[0].shift
    assert all(1 <= s.n_used <= 8 for s in statistics)
    assert statistics[-1].n_replaced == 0
    if sum(s.n_replaced for s in statistics) == 0:
        assert model.n_updates_.sum() == 12 * 500


def test_labels_and_inertia_are_those_of_the_final_centres() -> None:
    x = mixture(2, 200, 5, 4)
    model = SGDKMeans(6, preprocess="standardise", n_epochs=5).fit(x)
    np.testing.assert_array_equal(model.labels_, model.predict(x))
    standardised = (x - model.preprocessing_["mean"]) / model.preprocessing_["scale"]
    labels, squared = nearest_centroids(standardised, model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, labels)
    assert model.inertia_ == pytest.approx(squared.sum(dtype=np.float64))
    assert model.n_features_in_ == 5


def test_transform_returns_distances_to_all_centres() -> None:
    x = mixture(3, 100, 4, 3)
    model = SGDKMeans(3, preprocess="l2", n_epochs=5).fit(x)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = np.linalg.norm(unit[:, None] - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(model.transform(x), expected, atol=1e-5)
    assert model.transform(x[:0]).shape == (0, 3)


def test_standardising_stores_means_and_deviations() -> None:
    x = np.column_stack([mixture(4, 300, 2, 1) * [1, 50] + [7, -3], np.full(300, 0.1)])
    model = SGDKMeans(2, preprocess="standardise", n_epochs=3).fit(x)
    stored = model.preprocessing_
    np.testing.assert_allclose(stored["mean"], x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stored["scale"][:2], x.std(axis=0)[:2], rtol=1e-5)
    assert stored["scale"][2] == 1
    assert SGDKMeans(2, n_epochs=1).fit(x).preprocessing_ == {}


def test_a_dimension_that_varies_by_rounding_only_is_not_blown_up() -> None:
    x = mixture(4, 300, 2, 1)
    x[:, 1] = np.float32(1_000)
    x[::7, 1] = np.nextafter(np.float32(1_000), np.float32(2_000))
    model = SGDKMeans(2, preprocess="standardise", n_epochs=1).fit(x)
    assert model.preprocessing_["scale"][1] == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_type_is_accepted(dtype: type[np.floating]) -> None:
    x = mixture(5, 100, 4, 3).astype(np.float16)
    expected = SGDKMeans(3, n_epochs=5).fit(x.astype(np.float32))
    actual = SGDKMeans(3, n_epochs=5).fit(x.astype(dtype))
    np.testing.assert_array_equal(actual.cluster_centers_, expected.cluster_centers_)


@pytest.mark.parametrize("minibatch_size", [37, 1000])
def test_equal_seeds_repeat_a_fit_to_the_last_bit(minibatch_size: int) -> None:
    x = mixture(6, 400, 20, 6)
    fits = [
        SGDKMeans(9, n_epochs=10, minibatch_size=minibatch_size, seed=seed).fit(x)
        for seed in (0, 0, 1)
    ]
    first, again, other = (fit.cluster_centers_ for fit in fits)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert fits[0].epoch_statistics_ == fits[1].epoch_statistics_
    assert fits[0].codebook_.fingerprint() == fits[1].codebook_.fingerprint()


def test_the_size_of_blocks_does_not_change_a_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = mixture(7, 500, 30, 6)
    expected = SGDKMeans(9, n_epochs=10, minibatch_size=200).fit(x)
    monkeypatch.setattr("acav_spark.clustering.assignment._MAX_BLOCK_ROWS", 64)
    actual = SGDKMeans(9, n_epochs=10, minibatch_size=200).fit(x)
    np.testing.assert_array_equal(actual.cluster_centers_, expected.cluster_centers_)
    assert actual.epoch_statistics_ == expected.epoch_statistics_


def test_one_cluster_ends_at_the_mean() -> None:
    x = mixture(8, 250, 6, 3)
    model = SGDKMeans(1).fit(x)
    np.testing.assert_allclose(model.cluster_centers_[0], x.mean(axis=0), atol=1e-5)
    assert model.labels_.tolist() == [0] * 250


def test_as_many_clusters_as_rows_give_each_its_own() -> None:
    x = mixture(9, 30, 4, 3)
    model = SGDKMeans(30).fit(x)
    assert sorted(model.labels_.tolist()) == list(range(30))
    assert model.inertia_ == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("preprocess", ["none", "standardise", "l2"])
@pytest.mark.parametrize("value", [0.0, 3.0, -700.1])
def test_equal_rows_fall_into_one_cluster(
    preprocess: PreprocessName, value: float
) -> None:
    model = SGDKMeans(5, n_epochs=5, preprocess=preprocess)
    model.fit(np.full((40, 3), value))
    assert model.labels_.tolist() == [0] * 40
    assert np.isfinite(model.cluster_centers_).all()
    assert model.inertia_ == pytest.approx(0, abs=1e-9)
    assert all(s.n_replaced == 0 for s in model.epoch_statistics_)


def test_fewer_distinct_rows_than_clusters_each_get_a_centre() -> None:
    distinct = mixture(10, 6, 4, 2)
    x = np.repeat(distinct, [50, 1, 30, 2, 9, 8], axis=0)
    model = SGDKMeans(10, n_epochs=20).fit(x)
    assert len(np.unique(model.labels_)) == 6
    assert model.inertia_ == pytest.approx(0, abs=1e-9)


class Run:
    """A fit in progress whose centres are where a test wants them."""

    def __init__(self, x: NDArray[np.float32], centres: ArrayLike) -> None:
        given = np.array(centres, dtype=np.float64)
        self._x = x
        self.fit = Fit(FitSettings(len(given), reinit="none"), x, centres=given)

    def epoch(self) -> EpochStatistics:
        """Pass over the samples, and leave dead centres where they are."""
        return run_epoch(self.fit, [lambda: [self._x]])

    def replace_dead(self) -> int:
        """Place dead centres anew."""
        judging = Fit(FitSettings(len(self.fit.centres)), self._x)
        judging.restore(self.fit.to_arrays())
        n_placed = judging.replace_dead()
        self.fit.restore(judging.to_arrays())
        return n_placed


def test_dead_centres_are_placed_anew_where_the_data_is() -> None:
    x = mixture(11, 1_000, 8, 12)
    far = np.full((12, 8), 1e4)
    far[0] = 0
    run = Run(x, far)
    first = run.epoch()
    assert first.n_used == 1
    assert run.replace_dead() == 11
    assert run.fit.n_updates[1:].tolist() == [0] * 11
    second = run.epoch()
    assert second.n_used == 12
    assert second.inertia < first.inertia


def test_centres_that_all_start_on_one_point_are_spread() -> None:
    x = mixture(12, 5_000, 8, 40)
    run = Run(x, np.repeat(x[:1], 100, axis=0))
    used = []
    for _ in range(3):
        used.append(run.epoch().n_used)
        run.replace_dead()
    assert used[0] == 1
    assert used[2] == 100


def test_a_fit_places_dead_centres_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    x = mixture(15, 1_000, 8, 12)
    good = SGDKMeans(12, n_epochs=40).fit(x)

    def drawn_once(
        rows: NDArray[np.float32],
        n_centres: int,
        generator: np.random.Generator,
        others: NDArray[np.floating] | None = None,
    ) -> NDArray[np.int64]:
        if others is None:
            return np.array([0])
        return draw_centres(rows, n_centres, generator, others)

    monkeypatch.setattr("acav_spark.clustering.fit.draw_centres", drawn_once)
    model = SGDKMeans(12, n_epochs=40).fit(x)
    assert model.epoch_statistics_[0].n_replaced == 11
    assert n_empty(model) == 0
    assert model.inertia_ < 1.05 * good.inertia_
    # The last tenth of the epochs lets every centre settle.
    assert [s.n_replaced for s in model.epoch_statistics_[-4:]] == [0] * 4


def test_steps_of_a_centre_count_from_its_placement() -> None:
    # A twentieth of the samples is enough for one of ten, but not of six epochs' steps.
    x = np.repeat(np.arange(20, dtype=np.float32), 50)[:, None]
    run = Run(x, [[0.0], *[[1e6 + i] for i in range(9)]])
    for _ in range(6):
        run.epoch()
    assert run.replace_dead() == 9
    run.epoch()
    assert run.fit.n_updates[1:].min() < 0.01 * 7 * 1_000
    assert run.replace_dead() == 0


def test_samples_come_in_another_order_when_there_are_more_batches() -> None:
    x = mixture(16, 300, 4, 3)

    def centres(seed: int, minibatch_size: int) -> NDArray[np.float32]:
        model = SGDKMeans(
            5, init=x[:5], n_epochs=1, minibatch_size=minibatch_size, seed=seed
        )
        return model.fit(x).cluster_centers_

    assert not np.array_equal(centres(0, 20), centres(1, 20))
    np.testing.assert_array_equal(centres(0, 300), centres(1, 300))


def test_a_centre_is_dead_below_the_square_of_an_equal_share() -> None:
    # Ten clusters: (1/10)**2 of 1,000 samples are 10.
    x = np.repeat(
        np.arange(10, dtype=np.float32), [200, 200, 150, 150, 100, 100, 50, 31, 10, 9]
    )
    run = Run(x[:, None], np.arange(10.0)[:, None])
    run.epoch()
    assert run.fit.n_updates.tolist()[-2:] == [10, 9]
    run.replace_dead()
    assert run.fit.n_updates.tolist()[-2] == 10
    # The only place off a centre is the dead one's own.
    assert run.fit.n_updates[-1] == 0
    assert run.fit.centres.ravel().tolist() == list(range(10))


def test_a_small_cluster_of_two_is_not_dead() -> None:
    # (1/2)**2 would call it dead at every epoch.
    x = np.repeat(np.array([[0.0], [1.0]], np.float32), [90, 10], axis=0)
    model = SGDKMeans(2, n_epochs=20).fit(x)
    assert sorted(model.cluster_centers_.ravel().tolist()) == pytest.approx([0, 1])
    assert sum(s.n_replaced for s in model.epoch_statistics_) == 0


def test_duplicates_of_a_point_get_one_centre() -> None:
    # Nearly all rows are one far point; the others are few and apart.
    x = np.concatenate([np.full((5_000, 2), 1e3), mixture(13, 20, 2, 20)])
    x = x.astype(np.float32)
    for seed in range(20):
        rows = draw_centres(x, 8, np.random.default_rng(seed))
        assert len(np.unique(x[rows], axis=0)) == 8
        others = np.full((1, 2), 1e3)
        rows = draw_centres(x, 8, np.random.default_rng(seed), others)
        assert (x[rows] < 500).all()
        assert len(np.unique(x[rows], axis=0)) == 8


def test_rounding_does_not_make_a_place_of_a_duplicate() -> None:
    # Distances of these duplicates are of the order of 1e-8 when they are computed.
    distinct = (np.random.default_rng(0).normal(size=(3, 50)) * 1e3).astype(np.float32)
    rows = draw_centres(np.repeat(distinct, 20, axis=0), 7, np.random.default_rng(0))
    assert len(rows) == 3


def test_a_place_is_far_from_all_of_many_other_centres() -> None:
    others = np.arange(150.0)[:, None]
    x = np.append(np.arange(150), 151).astype(np.float32)[:, None]
    rows = draw_centres(x, 5, np.random.default_rng(0), others)
    assert rows.tolist() == [150]


def test_no_centre_is_drawn_on_another() -> None:
    x = np.repeat(np.array([[0.1, 7e3], [0.2, 7e3], [0.3, 7e3]], np.float32), 9, axis=0)
    rows = draw_centres(x, 7, np.random.default_rng(0))
    assert len(rows) == 3
    assert len(np.unique(x[rows], axis=0)) == 3
    assert len(draw_centres(x, 2, np.random.default_rng(0), x[rows])) == 0


@pytest.mark.parametrize("rate", [0.01, 0.3, 1.0])
def test_the_weight_that_a_centre_keeps_is_the_product_of_single_steps(
    rate: float,
) -> None:
    for before, samples in [(0, 1), (0, 500), (3, 1), (60, 80), (100, 7), (999, 3)]:
        expected = 1.0
        for i in range(before + 1, before + samples + 1):
            expected *= 1 - max(rate, 1 / i)
        actual = kept_weight(np.array([before]), np.array([samples]), rate)
        assert actual[0] == pytest.approx(expected, abs=1e-12)


def test_heavy_tailed_sizes_leave_no_centre_unused() -> None:
    generator = np.random.default_rng(14)
    sizes = np.maximum(1, (3_000 / np.arange(1, 61) ** 1.5).astype(int))
    centres = generator.normal(size=(60, 16)) * 2
    x = np.repeat(centres, sizes, axis=0)
    x = (x + generator.normal(size=x.shape) * 0.5).astype(np.float32)
    for seed in range(2):
        model = SGDKMeans(60, n_epochs=20, seed=seed, minibatch_size=2_000).fit(x)
        assert n_empty(model) == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n_clusters": 11}, "at most 10, the number of samples, got 11"),
        ({"n_clusters": 0}, "n_clusters: expected an integer of at least 1, got 0"),
        ({"n_clusters": 2.0}, r"n_clusters: .* got 2\.0"),
        ({"learning_rate": 0.0}, r"learning_rate: .*\(0, 1\], got 0\.0"),
        ({"learning_rate": 1.5}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"minibatch_size": 0}, "minibatch_size: expected an integer of at least 1"),
        ({"n_epochs": 0}, "n_epochs: expected an integer of at least 1"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
        ({"preprocess": "pca"}, "preprocess: expected one of .* got 'pca'"),
    ],
)
def test_parameters_out_of_range_are_refused_at_fit(
    parameters: dict[str, Any], words: str
) -> None:
    given: dict[str, Any] = {"n_clusters": 2} | parameters
    with pytest.raises(ValueError, match=words):
        SGDKMeans(**given).fit(mixture(0, 10, 3, 1))


def test_rows_that_are_not_finite_are_named() -> None:
    x = mixture(0, 10, 3, 1)
    x[4, 1], x[7, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 of 10 rows \(4, 7\)"):
        SGDKMeans(2).fit(x)
    model = SGDKMeans(2, n_epochs=1).fit(x[:4])
    with pytest.raises(ValueError, match=r"2 of 10 rows \(4, 7\)"):
        model.predict(x)


def test_vectors_of_another_length_are_refused() -> None:
    model = SGDKMeans(2, n_epochs=1).fit(mixture(0, 10, 3, 1))
    with pytest.raises(ValueError, match="length 3, got length 4"):
        model.predict(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="length 3, got length 2"):
        model.transform(np.zeros((2, 2)))


def test_an_estimator_that_is_not_fitted_says_so() -> None:
    with pytest.raises(ValueError, match="Call fit first"):
        SGDKMeans(2).predict([[0.0]])


def test_no_rows_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match=r"at least 1 rows.*\(0, 3\)"):
        SGDKMeans(1).fit(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("n_clips", "expected"),
    [(1, 1), (2, 2), (3, 2), (6, 2), (7, 3), (300, 17), (250_000, 500), (10**8, 500)],
)
def test_the_automatic_number_of_clusters_is_the_root(
    n_clips: int, expected: int
) -> None:
    assert auto_n_clusters(n_clips) == expected
    assert expected <= MAX_AUTO_CLUSTERS


def test_no_clip_has_no_number_of_clusters() -> None:
    with pytest.raises(ValueError, match="n_clips: expected an integer of at least 1"):
        auto_n_clusters(0)
