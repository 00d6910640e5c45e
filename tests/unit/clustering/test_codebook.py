import numpy as np
import pytest
from numpy.typing import NDArray

from acav_spark.clustering import Codebook


@pytest.mark.parametrize("preprocess", ["none", "l2", "standardise"])
def test_a_codebook_takes_vectors_of_any_type_and_layout(preprocess: str) -> None:
    generator = np.random.default_rng(6)
    # More rows than a block, and the last one is not full.
    halves = generator.integers(-9, 10, size=(2_500, 20)).astype(np.float16)
    fitted = [np.full(20, 2, np.float32)] * 2 if preprocess == "standardise" else []
    book = Codebook(
        generator.normal(size=(7, 20)).astype(np.float32),
        preprocess,  # type: ignore[arg-type]
        *fitted,
    )
    single = halves.astype(np.float32)
    labels, squared = book.assign(single)
    vectors = book.preprocessing.apply(single)[:, None].astype(np.float64)
    exact = np.square(vectors - book.centroids).sum(axis=2)
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))
    np.testing.assert_allclose(squared, exact.min(axis=1), rtol=1e-6)
    locked = np.frombuffer(halves.tobytes(), np.float16).reshape(halves.shape)
    for x in (
        halves,
        locked,
        halves.astype(">f2"),
        halves.astype(np.float64),
        halves.astype(np.int8),
        np.asfortranarray(single),
        np.repeat(single, 2, axis=1)[:, ::2],
        np.repeat(halves, 2, axis=0)[::2],
    ):
        found = book.assign(x)
        np.testing.assert_array_equal(found[0], labels)
        np.testing.assert_array_equal(found[1], squared)
        np.testing.assert_array_equal(book.labels(x), labels)


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
