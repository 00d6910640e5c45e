import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from acav_spark.clustering import Codebook, nearest_centroids
from acav_spark.clustering import assignment as assignment_module
from acav_spark.clustering.assignment import NearestFinder, squared_distances
from acav_spark.clustering.kernels.widening import largest_magnitude, widen_half


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
@pytest.mark.parametrize(
    ("n_features", "n_clusters"), [(1, 3), (17, 50), (300, 8), (65, 33), (32, 1)]
)
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
    for size in (64, 100, 333):
        monkeypatch.setattr(assignment_module, "_MAX_BLOCK_ROWS", size)
        blocked = nearest_centroids(x, centroids)
        np.testing.assert_array_equal(blocked[0], labels)
        np.testing.assert_array_equal(blocked[1], squared)


def test_half_precision_vectors_are_widened() -> None:
    x = np.random.default_rng(2).normal(size=(50, 9)).astype(np.float16)
    centroids = x[:5].astype(np.float32)
    expected = nearest_centroids(x.astype(np.float32), centroids)
    actual = nearest_centroids(x, centroids)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])
    assert actual[0][:5].tolist() == [0, 1, 2, 3, 4]


def test_every_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).reshape(-1, 128)
    values = np.empty(halves.shape, dtype=np.float32)
    words = values.view(np.uint32)
    assert widen_half(halves, words, values) == 0x7FFF
    is_finite = (halves & 0x7FFF) < 0x7C00
    expected = halves.view(np.float16).astype(np.float32).view(np.uint32)
    np.testing.assert_array_equal(words[is_finite], expected[is_finite])
    assert widen_half(halves[:10], words[:10], values[:10]) < 0x7C00


def test_the_largest_magnitude_is_that_of_the_bits() -> None:
    for values, largest in (
        ([0.0, -3.0, 2.0], 3.0),
        ([-0.0, 1e-45, 0.0], 1e-45),
        ([1.0, -np.inf, 5.0], np.inf),
    ):
        words = np.array([values], np.float32).view(np.uint32)
        assert largest_magnitude(words) == np.float32(largest).view(np.uint32)
    nan = np.array([[1.0, -np.nan]], np.float32).view(np.uint32)
    assert largest_magnitude(nan) > np.float32(np.inf).view(np.uint32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_halves_that_are_not_finite_are_refused(value: float) -> None:
    x = np.zeros((3_000, 4), np.float16)
    x[[7, 2_900], 3] = value
    book = Codebook(np.zeros((1, 4), np.float32), "l2")
    for assign in (book.assign, book.labels, lambda x: nearest_centroids(x, [[0] * 4])):
        with pytest.raises(ValueError, match=r"x: .*2 of 3000 rows \(7, 2900\)"):
            assign(x)


def test_a_finder_takes_any_rows_and_leaves_them_as_they_are() -> None:
    generator = np.random.default_rng(8)
    x = generator.normal(size=(3_000, 30)).astype(np.float16)
    centroids = np.frombuffer(x[:9].astype(np.float32).tobytes(), np.float32)
    finder = NearestFinder(centroids.reshape(9, 30))
    assert len(x) > finder.scored_rows
    single = x.astype(np.float32)
    before = single.copy()
    labels, squared = finder.nearest(single)
    assert labels.dtype == np.int32
    assert squared.dtype == np.float64
    np.testing.assert_array_equal(single, before)
    for rows in (x, single[::-1][::-1]):
        np.testing.assert_array_equal(finder.nearest(rows)[0], labels)
        np.testing.assert_array_equal(finder.nearest(rows)[1], squared)
        np.testing.assert_array_equal(finder.labels(rows), labels)
    np.testing.assert_array_equal(
        squared_distances(single, centroids.reshape(9, 30), labels), squared
    )
    distances = finder.distances(single)
    np.testing.assert_allclose(distances.min(axis=1) ** 2, squared, atol=1e-4)


def test_copies_of_a_centroid_are_never_chosen() -> None:
    generator = np.random.default_rng(9)
    some = generator.normal(size=(5, 40)).astype(np.float32)
    # Zero and minus zero are equally near, but not the same bytes.
    zeros = np.zeros((2, 40), np.float32)
    zeros[1] = -zeros[1]
    centroids = np.concatenate([some, some[::-1], zeros, some, zeros])
    x = np.concatenate([generator.normal(size=(200, 40)), centroids, -some])
    labels, squared = nearest_centroids(x, centroids)
    expected, distances = brute_force(x.astype(np.float32), centroids)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_allclose(squared, distances, rtol=1e-6)
    assert set(labels.tolist()) <= {0, 1, 2, 3, 4, 10}


@pytest.mark.parametrize("scale", [1e-38, 1e-24, 1e-22, 1e-18, 1e-10, 1e10, 9e13])
def test_scales_that_float32_cannot_square_are_decided_by_float64(scale: float) -> None:
    generator = np.random.default_rng(10)
    x = (generator.normal(size=(300, 50)) * scale).astype(np.float32)
    centroids = (generator.normal(size=(40, 50)) * scale).astype(np.float32)
    labels, squared = NearestFinder(centroids).nearest(x)
    expected, distances = brute_force(x, centroids)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_allclose(squared, distances, rtol=1e-12)


def test_a_centroid_far_from_all_others_does_not_blur_them() -> None:
    generator = np.random.default_rng(11)
    centroids = generator.normal(size=(30, 64)).astype(np.float32)
    centroids[17] = 1e9
    x = generator.normal(size=(300, 64)).astype(np.float32)
    x = np.concatenate([x, centroids[:20]])
    labels, _ = nearest_centroids(x, centroids)
    np.testing.assert_array_equal(labels, brute_force(x, centroids)[0])


def all_squared_distances(
    x: NDArray[np.float32], centroids: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return float64 distances that are summed as the finder sums them."""
    columns = [
        squared_distances(x, centroids, np.full(len(x), j))
        for j in range(len(centroids))
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("scale", [1.0, 1e14])
def test_vectors_far_from_all_centroids_are_decided_as_in_float64(scale: float) -> None:
    generator = np.random.default_rng(12)
    half = generator.normal(size=(150, 64)) / 1000
    twins = half + generator.normal(size=(150, 64)) * 3e-10
    centroids = np.concatenate([half, twins]).astype(np.float32)
    # From afar, distances to twins differ by less than float32 resolves; from 1e15,
    # those to all centroids by less than float64 does.
    x = (generator.normal(size=(2_000, 64)) * scale).astype(np.float32)
    labels, squared = NearestFinder(centroids).nearest(x)
    distances = all_squared_distances(x, centroids)
    np.testing.assert_array_equal(labels, distances.argmin(axis=1))
    np.testing.assert_array_equal(squared, distances.min(axis=1))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(1, 40),
    n_clusters=st.integers(1, 90),
    n_features=st.integers(1, 140),
    log_offset=st.integers(-3, 4),
    log_spread=st.integers(-7, 2),
    is_coarse=st.booleans(),
    cuts=st.lists(st.integers(0, 40), max_size=3),
)
def test_any_vectors_are_assigned_as_by_float64_however_they_are_cut(
    *,
    seed: int,
    n_rows: int,
    n_clusters: int,
    n_features: int,
    log_offset: int,
    log_spread: int,
    is_coarse: bool,
    cuts: list[int],
) -> None:
    generator = np.random.default_rng(seed)
    shape = (n_rows + n_clusters, n_features)
    values = generator.normal(size=shape) * 10.0**log_spread
    if is_coarse:  # many exact ties, and copies
        values = np.rint(values)
    values = (values + np.rint(10.0**log_offset)).astype(np.float32)
    x, centroids = values[:n_rows], values[n_rows:]
    finder = NearestFinder(centroids)
    labels, squared = finder.nearest(x)
    distances = all_squared_distances(x, centroids)
    np.testing.assert_array_equal(labels, distances.argmin(axis=1))
    np.testing.assert_array_equal(squared, distances.min(axis=1))
    differences = x[:, None].astype(np.float64) - centroids
    exact = np.square(differences).sum(axis=2)
    np.testing.assert_allclose(distances, exact, rtol=1e-13)
    if is_coarse:  # sums of small integers are exact
        np.testing.assert_array_equal(distances, exact)
    np.testing.assert_array_equal(finder.labels(x), labels)
    parts = [finder.nearest(part) for part in np.split(x, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), labels)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), squared)


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
