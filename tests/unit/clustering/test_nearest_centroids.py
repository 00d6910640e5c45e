import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from acav_spark.clustering import Codebook, nearest_centroids
from acav_spark.clustering import assignment as assignment_module


def brute_force(
    x: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    differences = x[:, None].astype(np.float64) - centroids[None].astype(np.float64)
    distances = np.square(differences).sum(axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


def test_hand_computed_neighbours_and_distances() -> None:
    labels, squared = nearest_centroids(
        [[0.0, 0.0], [3.0, 4.0], [0.5, 0.0]], [[10.0, 0.0], [0.0, 0.0], [3.0, 3.0]]
    )
    assert labels.tolist() == [1, 2, 1]
    assert squared.tolist() == [0.0, 1.0, 0.25]
    assert labels.dtype == np.int32
    assert squared.dtype == np.float32


@pytest.mark.parametrize("offset", [0.0, 100.0, 3_000.0])
@pytest.mark.parametrize(("n_features", "n_clusters"), [(1, 3), (17, 50), (300, 8)])
def test_neighbours_equal_a_brute_force_in_float64(
    offset: float, n_features: int, n_clusters: int
) -> None:
    # Far from the origin, |c|^2 - 2 x.c keeps few correct digits of the distance.
    generator = np.random.default_rng(n_features)
    x = (generator.normal(size=(500, n_features)) + offset).astype(np.float32)
    centroids = (generator.normal(size=(n_clusters, n_features)) + offset).astype(
        np.float32
    )
    labels, squared = nearest_centroids(x, centroids)
    expected, distances = brute_force(x, centroids)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_allclose(squared, distances, rtol=1e-6)


def test_ties_go_to_the_lowest_index() -> None:
    generator = np.random.default_rng(0)
    # Points of a coarse grid lie between many centroids, and centroids repeat.
    x = generator.integers(-3, 4, size=(2_000, 3)).astype(np.float32)
    centroids = generator.integers(-3, 4, size=(60, 3)).astype(np.float32)
    labels, _ = nearest_centroids(x, centroids)
    np.testing.assert_array_equal(labels, brute_force(x, centroids)[0])


def test_rows_do_not_depend_on_the_rows_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(1)
    # Pairs of nearly equal centroids, so that rounding would decide.
    half = generator.normal(size=(30, 200)) + 20
    centroids = np.concatenate([half, half + 1e-6]).astype(np.float32)
    x = (generator.normal(size=(700, 200)) + 20).astype(np.float32)
    labels, squared = nearest_centroids(x, centroids)

    order = generator.permutation(700)
    shuffled = nearest_centroids(x[order], centroids)
    np.testing.assert_array_equal(shuffled[0], labels[order])
    np.testing.assert_array_equal(shuffled[1], squared[order])
    for size in (1, 3, 64, 65):
        parts = [
            nearest_centroids(x[i : i + size], centroids) for i in range(0, 700, size)
        ]
        np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), labels)
        np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), squared)
    monkeypatch.setattr(assignment_module, "_MAX_BLOCK_ROWS", 64)
    np.testing.assert_array_equal(nearest_centroids(x, centroids)[0], labels)


def test_half_precision_vectors_are_widened() -> None:
    x = np.random.default_rng(2).normal(size=(50, 9)).astype(np.float16)
    centroids = x[:5].astype(np.float32)
    expected = nearest_centroids(x.astype(np.float32), centroids)
    actual = nearest_centroids(x, centroids)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])
    assert actual[0][:5].tolist() == [0, 1, 2, 3, 4]


def test_no_vector_has_no_neighbour() -> None:
    labels, squared = nearest_centroids(np.empty((0, 2)), [[1.0, 2.0]])
    assert labels.shape == squared.shape == (0,)


@pytest.mark.parametrize(
    ("x", "centroids", "words"),
    [
        ([[0.0, np.nan], [1, 1]], [[0.0, 0.0]], r"x: .*1 of 2 rows \(0\)"),
        ([[0.0, 1.0], [np.inf, 1]], [[0.0, 0.0]], r"x: .*1 of 2 rows \(1\)"),
        ([[0.0, 1e300]], [[0.0, 0.0]], r"x: expected finite values up to 1e\+15"),
        ([[-1e16, 0.0]], [[0.0, 0.0]], "x: expected finite values"),
        ([[0.0, 1.0]], [[-np.inf, 0.0]], "centroids: expected finite"),
        (np.full((9, 1), np.nan), [[0.0]], r"9 of 9 rows \(0, 1, 2, 3, 4\)"),
        ([[0.0, 1.0, 2.0]], [[0.0, 0.0]], "vectors of length 2, got length 3"),
        ([0.0, 1.0], [[0.0, 0.0]], r"shape \(n_samples, n_features\).*\(2,\)"),
        ([["a", "b"]], [[0.0, 0.0]], "expected numbers, got <U1"),
        ([[0.0]], np.empty((0, 1)), "centroids: .* at least 1 rows"),
    ],
)
def test_values_and_shapes_that_cannot_be_used_are_refused(
    x: ArrayLike, centroids: ArrayLike, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        nearest_centroids(x, centroids)


def test_a_codebook_preprocesses_before_it_assigns() -> None:
    mean = np.array([10.0, 0.0], np.float32)
    scale = np.array([100.0, 1.0], np.float32)
    centroids = np.array([[0.0, 0.0], [0.0, 3.0]], np.float32)
    codebook = Codebook(centroids, "standardise", mean, scale)
    # (210 - 10) / 100 = 2 is the whole distance to centroid 0.
    labels, squared = codebook.assign([[210.0, 0.0], [10.0, 3.0]])
    assert labels.tolist() == [0, 1]
    assert squared.tolist() == [4.0, 0.0]


def test_a_codebook_of_unit_vectors_ignores_lengths() -> None:
    codebook = Codebook(np.eye(2, dtype=np.float32), "l2")
    labels, squared = codebook.assign([[5.0, 0.0], [0.0, 0.01], [0.0, 0.0]])
    assert labels.tolist() == [0, 1, 0]
    assert squared[:2].tolist() == [0.0, 0.0]


def test_a_vector_far_from_the_fit_is_still_assigned() -> None:
    tiny = np.full(2, 1e-30, np.float32)
    codebook = Codebook(
        np.array([[0.0, 0.0], [1.0, 1.0]], np.float32), "standardise", tiny, tiny
    )
    assert codebook.assign([[1e10, 1e10], [-1e10, 0.0]])[0].tolist() == [1, 0]


def test_a_codebook_rebuilt_from_its_parts_is_the_same() -> None:
    generator = np.random.default_rng(0)
    centroids = generator.normal(size=(4, 3)).astype(np.float32)
    mean, scale = np.ones(3, np.float32), np.full(3, 2, np.float32)
    first = Codebook(centroids, "standardise", mean, scale)
    rebuilt = Codebook(
        np.frombuffer(first.centroids.tobytes(), "<f4").reshape(4, 3),
        first.preprocess,
        mean.copy(),
        scale.copy(),
    )
    assert rebuilt.fingerprint() == first.fingerprint()
    assert len(first.fingerprint()) == 64


def test_a_fingerprint_tells_every_part() -> None:
    centroids = np.arange(6, dtype=np.float32).reshape(2, 3)
    one = np.ones(3, np.float32)
    moved = centroids.copy()
    moved[1, 2] = np.nextafter(moved[1, 2], np.float32(9))
    books = [
        Codebook(centroids),
        Codebook(centroids.reshape(3, 2)),
        Codebook(moved),
        Codebook(centroids, "l2"),
        Codebook(centroids, "standardise", one, one),
        Codebook(centroids, "standardise", one, one * 2),
        Codebook(centroids, "standardise", one * 2, one),
    ]
    assert len({book.fingerprint() for book in books}) == len(books)


def test_a_codebook_shows_its_shape_rather_than_its_data() -> None:
    book = Codebook(np.zeros((2, 3), np.float32))
    assert repr(book) == "Codebook(n_clusters=2, n_features=3, preprocess='none')"


ONE = np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("preprocess", "mean", "scale", "words"),
    [
        ("whiten", None, None, "preprocess: expected one of .* got 'whiten'"),
        ("none", ONE, ONE, "exactly for preprocess 'standardise', got .*'none'"),
        ("standardise", ONE, None, "mean given and scale left out"),
        ("standardise", ONE, np.ones(3, np.float32), "scale: .* length 2, got"),
        ("standardise", ONE, ONE * 0, "above zero, got 2 others of 2"),
        ("standardise", ONE * np.nan, ONE, "Codebook.mean: expected finite"),
    ],
)
def test_a_codebook_of_parts_that_do_not_fit_is_refused(
    preprocess: str,
    mean: NDArray[np.float32] | None,
    scale: NDArray[np.float32] | None,
    words: str,
) -> None:
    with pytest.raises(ValueError, match=words):
        Codebook(np.zeros((3, 2), np.float32), preprocess, mean, scale)  # type: ignore[arg-type]
