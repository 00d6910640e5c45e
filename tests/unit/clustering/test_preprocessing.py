from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score

from acav_spark.clustering import (
    Codebook,
    Moments,
    PreprocessName,
    SGDKMeans,
    moments_for,
    preprocessing_from,
)
from acav_spark.clustering.preprocessing import Preprocessing, fit_preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


def correlated(
    seed: int, n_rows: int, n_features: int, offset: float = 0.0
) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_features, n_features))
    x = generator.normal(size=(n_rows, n_features)) @ mixing + offset
    return x.astype(np.float32)


def components_of(x: NDArray[np.float32], part: float = 0.0) -> NDArray[np.float32]:
    components = whiten(x, part).components
    assert components is not None
    return components


def whiten(x: NDArray[np.float32], regularisation: float = 0.0) -> Preprocessing:
    return fit_preprocessing("pca_whiten", x, regularisation=regularisation)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_plain_whitening_is_that_of_scikit_learn(offset: float) -> None:
    x = correlated(0, 400, 12, offset)
    preprocessing = whiten(x)
    whitened = preprocessing.apply(x)
    assert whitened.dtype == np.float32
    pca = PCA(whiten=True, svd_solver="full").fit(x.astype(np.float64))
    # It divides by one row less. Signs are those of the same rule.
    expected = pca.transform(x.astype(np.float64)) * np.sqrt(400 / 399)
    signs = np.sign((expected * whitened).sum(axis=0))
    np.testing.assert_allclose(whitened, expected * signs, atol=2e-3)
    mean = preprocessing.arrays()["mean"]
    np.testing.assert_allclose(mean, pca.mean_, rtol=1e-5, atol=1e-6)


def test_plainly_whitened_vectors_are_not_correlated() -> None:
    x = correlated(1, 2000, 20, 7.0)
    whitened = whiten(x).apply(x).astype(np.float64)
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(
        np.cov(whitened.T, bias=True), np.eye(whitened.shape[1]), atol=1e-4
    )


def test_regularisation_adds_its_part_of_the_mean_to_eigenvalues() -> None:
    x = correlated(2, 1000, 8)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T.astype(np.float64), bias=True))[::-1]
    for part in (0.3, 1.0):
        variances = whiten(x, part).apply(x).var(axis=0, dtype=np.float64)
        expected = eigenvalues / (eigenvalues + part * eigenvalues.mean())
        np.testing.assert_allclose(variances, expected, rtol=1e-4)
    default = fit_preprocessing("pca_whiten", x).components
    np.testing.assert_array_equal(default, components_of(x, 1.0))


def test_fewer_rows_than_dimensions_leave_one_direction_less_than_rows() -> None:
    x = correlated(3, 10, 40, 5.0)
    preprocessing = whiten(x)
    assert preprocessing.components is not None
    assert preprocessing.components.shape == (9, 40)
    whitened = preprocessing.apply(x).astype(np.float64)
    np.testing.assert_allclose(np.cov(whitened.T, bias=True), np.eye(9), atol=1e-3)


def test_dimensions_that_do_not_vary_count_for_nothing() -> None:
    x = correlated(4, 500, 4)
    constant = np.full((500, 1), 0.1, np.float32)
    rounding = np.full((500, 1), 1000, np.float32)
    rounding[::7] = np.nextafter(np.float32(1000), np.float32(2000))
    wide = np.hstack([x[:, :2], constant, x[:, 2:], rounding])
    components = components_of(wide)
    np.testing.assert_array_equal(components[:, [2, 5]], 0)
    np.testing.assert_array_equal(components[:, [0, 1, 3, 4]], components_of(x))


@pytest.mark.parametrize("n_rows", [1, 5])
def test_rows_that_do_not_vary_are_only_centred(n_rows: int) -> None:
    x = np.full((n_rows, 3), -700.1, np.float32)
    preprocessing = whiten(x)
    np.testing.assert_array_equal(preprocessing.components, np.eye(3))
    assert preprocessing.apply(x).tolist() == [[0.0] * 3] * n_rows
    assert preprocessing.apply(x + 2)[0] == pytest.approx([2.0] * 3, abs=1e-4)


def test_the_largest_loading_is_positive() -> None:
    x = correlated(5, 300, 9)
    components = components_of(x)
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(9), largest] > 0).all()
    np.testing.assert_array_equal(components[:, ::-1], components_of(x[:, ::-1]))


def test_of_equal_loadings_the_first_is_positive() -> None:
    # Both dimensions weigh the same in x + y and x - y, up to rounding.
    x = np.array([[3, 3], [-3, -3], [1, -1], [-1, 1]], np.float32)
    # Variances 9 and 1 along the diagonals: both times the root of a half.
    expected = np.sqrt(0.5) * np.array([[1 / 3, 1 / 3], [1, -1]])
    np.testing.assert_allclose(components_of(x), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["none", "standardise", "l2", "pca_whiten"])
def test_a_row_gets_the_same_bits_whatever_stands_beside_it(
    name: PreprocessName,
) -> None:
    x = correlated(6, 400, 150, 20.0)
    preprocessing = fit_preprocessing(name, x)
    expected = preprocessing.apply(x)
    order = np.random.default_rng(0).permutation(400)
    np.testing.assert_array_equal(preprocessing.apply(x[order]), expected[order])
    for size in (1, 3, 64, 65):
        parts = [preprocessing.apply(x[i : i + size]) for i in range(0, 400, size)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("name", ["none", "standardise", "l2", "pca_whiten"])
def test_a_fit_from_moments_is_a_fit_from_rows(name: PreprocessName) -> None:
    x = correlated(7, 3000, 6, 50.0)
    expected = fit_preprocessing(name, x)
    moments = moments_for(name, 6)
    assert (moments is None) == (name in ("none", "l2"))
    if moments is not None:
        for start in range(0, 3000, 333):
            moments.add(x[start : start + 333])
    actual = preprocessing_from(name, moments)
    assert actual.name == name
    assert list(actual.arrays()) == list(expected.arrays())
    for part, values in actual.arrays().items():
        np.testing.assert_array_equal(values, expected.arrays()[part])


def test_a_fit_from_merged_shards_is_close_to_one_from_rows() -> None:
    x = correlated(8, 3000, 6, 50.0)
    merged = Moments(6, with_products=True)
    for shard in np.array_split(x, 4):
        moments = Moments(6, with_products=True)
        moments.add(shard)
        merged.merge(moments)
    actual = preprocessing_from("pca_whiten", merged)
    np.testing.assert_allclose(
        actual.arrays()["components"], components_of(x, 1.0), rtol=1e-5
    )


def test_a_vector_far_from_the_fit_stays_finite() -> None:
    x = correlated(9, 50, 3) * np.float32(1e-12)
    far = np.array([[1e15, -1e15, 1e15]], np.float32)
    whitened = whiten(x).apply(far)
    assert np.isfinite(np.square(whitened)).all()


def test_tiny_and_huge_vectors_can_be_whitened() -> None:
    for scale in (1e-30, 1e-12, 1e12):
        x = correlated(10, 50, 3) * np.float32(scale)
        preprocessing = whiten(x)
        book = Codebook(
            preprocessing.apply(x)[:4], "pca_whiten", **preprocessing.arrays()
        )
        assert book.assign(x[:4])[0].tolist() == [0, 1, 2, 3] or scale == 1e-30


def test_parameters_that_cannot_be_used_are_refused() -> None:
    x = correlated(11, 20, 3)
    squares = Moments(3)
    squares.add(x)
    with pytest.raises(ValueError, match=r"preprocess: expected one of .* got 'pca'"):
        fit_preprocessing("pca", x)  # type: ignore[arg-type]
    for value in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="regularisation: expected a finite"):
            whiten(x, value)
    with pytest.raises(ValueError, match=r"moments: expected those .* got None"):
        preprocessing_from("standardise", None)
    with pytest.raises(ValueError, match="expected products, got squares only"):
        preprocessing_from("pca_whiten", squares)
    with pytest.raises(ValueError, match="at least one row"):
        preprocessing_from("standardise", Moments(3))


def fitted(n_rows: int = 300) -> tuple[NDArray[np.float32], SGDKMeans]:
    x = correlated(12, n_rows, 30, 3.0)
    return x, SGDKMeans(8, n_epochs=5, preprocess="pca_whiten").fit(x)


def test_k_means_of_whitened_vectors_is_that_of_vectors_whitened_before() -> None:
    x, model = fitted(20)
    assert list(model.preprocessing_) == ["mean", "components"]
    assert model.n_features_in_ == 30
    assert model.cluster_centers_.shape == (8, 19)
    whitened = Preprocessing("pca_whiten", **model.preprocessing_).apply(x)
    before = SGDKMeans(8, n_epochs=5).fit(whitened)
    np.testing.assert_array_equal(before.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(before.predict(whitened), model.predict(x))
    np.testing.assert_array_equal(before.transform(whitened), model.transform(x))


def test_a_whitening_codebook_assigns_rows_one_by_one_as_together() -> None:
    x, model = fitted()
    labels, squared = model.codebook_.assign(x)
    for i in range(0, len(x), 10):
        alone = model.codebook_.assign(x[i : i + 1])
        assert (alone[0][0], alone[1][0]) == (labels[i], squared[i])


def test_a_whitening_codebook_survives_its_table_form() -> None:
    x, model = fitted(20)
    book = model.codebook_
    assert book.n_features == 30
    assert book.centroids.shape == (8, 19)
    cells = {
        name: v.astype("<f4").tobytes() for name, v in model.preprocessing_.items()
    }
    centroids = [centroid.astype("<f4").tobytes() for centroid in book.centroids]
    again = Codebook.from_stored("pca_whiten", centroids, **cells)
    assert again.fingerprint() == book.fingerprint()
    for actual, expected in zip(again.assign(x), book.assign(x), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_stored_codebooks_without_components_are_read_as_before() -> None:
    centroids = np.arange(6, dtype=np.float32).reshape(2, 3)
    one = np.ones(3, np.float32)
    cells = [row.tobytes() for row in centroids]
    standard = Codebook.from_stored(
        "standardise", cells, mean=one.tobytes(), scale=one.tobytes()
    )
    expected = Codebook(centroids, "standardise", one, one)
    assert standard.fingerprint() == expected.fingerprint()
    plain = Codebook.from_stored("none", cells)
    assert plain.fingerprint() == Codebook(centroids).fingerprint()


def test_fingerprints_of_codebooks_without_whitening_stay() -> None:
    centroids = np.arange(6, dtype=np.float32).reshape(2, 3)
    one = np.ones(3, np.float32)
    standardised = Codebook(centroids, "standardise", one, one)
    # Written down when there was no whitening yet.
    assert Codebook(centroids).fingerprint()[:16] == "09beebd5f5bf241a"
    assert standardised.fingerprint()[:16] == "836bef8347de7224"


def test_a_fingerprint_tells_components() -> None:
    centroids = np.zeros((2, 2), np.float32)
    mean = np.zeros(3, np.float32)
    first = np.eye(2, 3, dtype=np.float32)
    books = [
        Codebook(centroids, "pca_whiten", mean, None, first),
        Codebook(centroids, "pca_whiten", mean, None, first * 2),
        Codebook(centroids, "pca_whiten", mean + 1, None, first),
    ]
    assert len({book.fingerprint() for book in books}) == 3


MEAN, COMPONENTS = np.zeros(3, np.float32), np.eye(2, 3, dtype=np.float32)


@pytest.mark.parametrize(
    ("preprocess", "mean", "components", "words"),
    [
        ("pca_whiten", MEAN, None, "components exactly .* components left out"),
        ("pca_whiten", None, COMPONENTS, "mean left out .* components given"),
        ("none", None, COMPONENTS, "got preprocess 'none' .* components given"),
        ("pca_whiten", MEAN, np.eye(3), "as many rows as .* coordinates, 2, got 3"),
        ("pca_whiten", MEAN[:2], COMPONENTS, "Codebook.mean: .* length 3, got"),
        ("pca_whiten", MEAN, COMPONENTS + np.inf, "components: expected finite"),
    ],
)
def test_whitening_codebooks_of_parts_that_do_not_fit_are_refused(
    preprocess: PreprocessName,
    mean: NDArray[np.float32] | None,
    components: NDArray[np.float32] | None,
    words: str,
) -> None:
    with pytest.raises(ValueError, match=words):
        Codebook(np.zeros((4, 2), np.float32), preprocess, mean, None, components)


@pytest.mark.parametrize(
    ("centroids", "components", "words"),
    [
        ([], b"", r"centroids of one length, got \[\]"),
        ([b"1234", b"12345678"], b"", r"of one length, got \[4, 8\] bytes"),
        ([b"12345678"], b"1234", "components of 24 bytes for a mean of 3 .* got 4"),
    ],
)
def test_stored_codebooks_of_other_lengths_are_refused(
    centroids: list[bytes], components: bytes, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Codebook.from_stored(
            "pca_whiten", centroids, mean=MEAN.tobytes(), components=components
        )


def test_regularised_whitening_keeps_noise_from_deciding() -> None:
    digits = load_digits()
    x = digits.data[:800].astype(np.float32)
    noise = np.random.default_rng(0).normal(size=(800, 64)) * 0.5
    x = np.hstack([x, noise.astype(np.float32)])
    agreement = [
        normalized_mutual_info_score(
            digits.target[:800],
            SGDKMeans(20, n_epochs=15).fit(whiten(x, part).apply(x)).labels_,
        )
        for part in (0.0, 1.0)
    ]
    assert agreement[1] > agreement[0] + 0.1
