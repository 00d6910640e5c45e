from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.clustering import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 1024


def rows_of(seed: int, n_rows: int, n_features: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_features, n_features))
    return (generator.normal(size=(n_rows, n_features)) @ mixing).astype(np.float32)


def moments_of(*parts: NDArray[np.float32], with_products: bool = True) -> Moments:
    moments = Moments(parts[0].shape[1], with_products=with_products)
    for part in parts:
        moments.add(part)
    return moments


def test_three_rows_by_hand() -> None:
    moments = moments_of(np.array([[1, 0], [2, 0], [6, 3]], np.float32))
    assert moments.n_rows == 3
    assert moments.mean.tolist() == [3, 1]
    # Deviations -2, -1, 3 and -1, -1, 2.
    np.testing.assert_allclose(moments.covariance, np.array([[14, 9], [9, 6]]) / 3)
    np.testing.assert_allclose(moments.variances, [14 / 3, 2])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n_features=st.integers(1, 6),
    sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=5),
    offset=st.sampled_from([0.0, -3.0, 1e4, 1e6]),
)
def test_merged_moments_are_those_of_all_rows(
    seed: int, n_features: int, sizes: list[int], offset: float
) -> None:
    n_rows = sum(sizes) + 1
    x = rows_of(seed, n_rows, n_features) + np.float32(offset)
    shards = np.split(x, np.cumsum(sizes))
    merged = Moments(n_features, with_products=True)
    for shard in shards:
        merged.merge(moments_of(shard))
    exact = x.astype(np.longdouble)
    deviations = exact - exact.mean(axis=0)
    covariance = np.asarray(deviations.T @ deviations / n_rows, np.float64)
    assert merged.n_rows == n_rows
    np.testing.assert_allclose(
        merged.mean, exact.mean(axis=0).astype(float), rtol=1e-14, atol=1e-12
    )
    tolerance = 1e-12 * (1 + np.abs(covariance).max())
    np.testing.assert_allclose(merged.covariance, covariance, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(merged.covariance, merged.covariance.T)
    np.testing.assert_allclose(
        moments_of(*shards, with_products=False).variances,
        np.diagonal(covariance),
        rtol=0,
        atol=tolerance,
    )


def test_a_large_offset_loses_no_digits() -> None:
    # At 2**23 float32 still holds whole numbers; squares alone would lose them all.
    x = np.random.default_rng(0).integers(0, 5, size=(5000, 3)).astype(np.float32)
    far, near = moments_of(x + np.float32(2**23)), moments_of(x)
    np.testing.assert_allclose(far.covariance, near.covariance, rtol=1e-14)
    np.testing.assert_allclose(far.mean - 2**23, near.mean, rtol=1e-8)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    n_rows=st.integers(1, 3000),
    with_products=st.booleans(),
)
def test_how_rows_are_cut_does_not_change_a_bit(
    cuts: list[int], n_rows: int, *, with_products: bool
) -> None:
    x = rows_of(1, n_rows, 5) + 100
    parts = np.split(x, sorted(min(cut, n_rows) for cut in cuts))
    whole = moments_of(x, with_products=with_products)
    cut = moments_of(*parts, with_products=with_products)
    assert cut.to_bytes() == whole.to_bytes()


def test_reading_results_between_rows_does_not_change_a_bit() -> None:
    x = rows_of(2, 3 * CHUNK + 17, 4)
    read = Moments(4, with_products=True)
    for start in range(0, len(x), 500):
        read.add(x[start : start + 500])
        assert np.isfinite(read.covariance).all()
        read.to_bytes()
    assert read.to_bytes() == moments_of(x).to_bytes()


@pytest.mark.parametrize("with_products", [False, True])
def test_stored_moments_are_the_same_to_the_last_bit(*, with_products: bool) -> None:
    moments = moments_of(rows_of(3, 1500, 7), with_products=with_products)
    again = Moments.from_bytes(moments.to_bytes())
    assert again.n_rows == 1500
    np.testing.assert_array_equal(again.mean, moments.mean)
    np.testing.assert_array_equal(again.variances, moments.variances)
    if with_products:
        np.testing.assert_array_equal(again.covariance, moments.covariance)
    assert again.to_bytes() == moments.to_bytes()
    assert repr(again) == (
        f"Moments(n_features=7, with_products={with_products}, n_rows=1500)"
    )


def test_merging_stored_shards_is_merging_shards() -> None:
    shards = [moments_of(rows_of(seed, 700 + seed, 3)) for seed in range(4)]
    merged, stored = Moments(3, with_products=True), Moments(3, with_products=True)
    for shard in shards:
        before = shard.to_bytes()
        merged.merge(shard)
        stored.merge(Moments.from_bytes(before))
        assert shard.to_bytes() == before
    assert merged.to_bytes() == stored.to_bytes()


def test_an_empty_shard_changes_nothing() -> None:
    x = rows_of(4, 1500, 3)
    moments = moments_of(x[:700])
    moments.merge(Moments(3, with_products=True))
    moments.add(x[700:])
    moments.add(x[:0])
    assert moments.to_bytes() == moments_of(x).to_bytes()


def test_merging_with_itself_counts_rows_twice() -> None:
    x = rows_of(5, 300, 3)
    moments = moments_of(x)
    moments.merge(moments)
    assert moments.n_rows == 600
    np.testing.assert_allclose(moments.covariance, moments_of(x).covariance)


def test_moments_without_rows_or_products_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row, got none"):
        _ = Moments(2).mean
    with pytest.raises(ValueError, match="expected products, got squares only"):
        _ = moments_of(rows_of(0, 3, 2), with_products=False).covariance
    with pytest.raises(ValueError, match="n_features: expected an integer of at least"):
        Moments(0)


def test_rows_and_shards_that_do_not_fit_are_refused() -> None:
    moments = Moments(2)
    with pytest.raises(ValueError, match=r"Moments.add: x: .* length 2, got length 3"):
        moments.add([[1, 2, 3]])
    with pytest.raises(ValueError, match=r"Moments.add: x: expected finite"):
        moments.add([[1, np.nan]])
    with pytest.raises(ValueError, match=r"expected the same .* got \(3, False\)"):
        moments.merge(Moments(3))
    with pytest.raises(ValueError, match=r"expected the same .* got \(2, True\)"):
        moments.merge(Moments(2, with_products=True))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected b'acav moments 1"),
        (b"acav moments 1\n", "expected b'acav moments 1"),
        (Moments(3).to_bytes()[:-1], "expected 92 bytes, got 91"),
    ],
)
def test_bytes_of_something_else_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Moments.from_bytes(data)
