from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_signatures import copy_of, signature

from acav_spark.duplicates import MinHashBands, n_bands_for, without_flat
from acav_spark.segment.signature import STRETCH_BYTES


def _jaccard(one: bytes, other: bytes) -> float:
    a, b = (
        np.unpackbits(
            np.bitwise_or.reduce(
                np.frombuffer(coarse, np.uint8).reshape(-1, STRETCH_BYTES), axis=0
            )
        ).astype(bool)
        for coarse in (one, other)
    )
    return float((a & b).sum() / (a | b).sum())


def test_bands_are_as_many_as_the_recall_needs() -> None:
    assert n_bands_for(0.5, 0.5, 1) == 1
    assert n_bands_for(0.5, 0.75, 1) == 2
    assert n_bands_for(0.45, 0.95, 4) == 72


@pytest.mark.parametrize(
    ("similarity", "recall", "n_rows"),
    [(0, 0.5, 1), (1, 0.5, 1), (0.5, 1, 1), (0.5, 0.5, 0)],
)
def test_bands_of_impossible_wishes_are_refused(
    similarity: float, recall: float, n_rows: int
) -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\) and n_rows >= 1"):
        n_bands_for(similarity, recall, n_rows)


def test_keys_agree_as_often_as_the_sets_are_alike(rng: np.random.Generator) -> None:
    bands = MinHashBands(n_bands=4000, n_rows=2, seed=3)
    one = signature(rng)
    for similarity in (0.3, 0.6, 0.9):
        other = copy_of(one, similarity, rng)
        shared = np.mean(bands.keys(one)[0] == bands.keys(other)[0])
        assert shared == pytest.approx(_jaccard(one, other) ** 2, abs=0.04)


def test_keys_are_of_the_seed_and_of_the_words_alone(rng: np.random.Generator) -> None:
    one = signature(rng)
    turned = b"".join(
        one[place : place + STRETCH_BYTES]
        for place in reversed(range(0, len(one), STRETCH_BYTES))
    )
    make = [MinHashBands(n_bands=9, n_rows=3, seed=seed) for seed in (5, 5, 6)]
    first, same, other = (bands.keys(one)[0] for bands in make)
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(first, make[0].keys(turned)[0])
    assert not set(first) & set(other)
    assert len(set(first)) == 9


def test_keys_stay_those_of_earlier_versions() -> None:
    one = signature(np.random.default_rng(1))
    keys, places = MinHashBands(n_bands=2, n_rows=2, seed=0).keys(one)
    assert (keys.tolist(), places.tolist()) == (
        [-835006251344019134, -1494405672270945748],
        [1207131489927966819, 137117871556431425],
    )


def test_flat_pictures_have_no_keys(rng: np.random.Generator) -> None:
    bands = MinHashBands(n_bands=4, n_rows=1, seed=0)
    black, seen = signature(rng, is_flat=True), signature(rng)
    assert without_flat(black + seen + black) == seen
    assert bands.keys(black)[0].shape == bands.keys(b"")[1].shape == (0,)
    np.testing.assert_array_equal(bands.keys(black + seen)[0], bands.keys(seen)[0])


def test_what_is_no_signature_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 155 bytes, got 154"):
        MinHashBands(n_bands=1, n_rows=1, seed=0).keys(b"\0" * 154)
    with pytest.raises(ValueError, match="n_bands >= 1"):
        MinHashBands(n_bands=0, n_rows=1, seed=0)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.99), st.integers(1, 6))
def test_one_band_less_is_too_few(
    similarity: float, recall: float, n_rows: int
) -> None:
    n_bands = n_bands_for(similarity, recall, n_rows)
    missed = 1 - similarity**n_rows
    assert 1 - missed**n_bands >= recall - 1e-9
    assert n_bands == 1 or 1 - missed ** (n_bands - 1) < recall + 1e-9
