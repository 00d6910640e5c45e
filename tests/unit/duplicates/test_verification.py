from __future__ import annotations

import numpy as np
import pytest
from planted_signatures import copy_of, signature

from acav_spark.duplicates import (
    MinHashBands,
    connected_groups,
    n_bands_for,
    paired_similarity,
    verification,
)
from acav_spark.segment.signature import pairwise_similarity


@pytest.mark.parametrize("is_counted_by_table", [False, True])
def test_pairs_are_as_similar_as_segmentation_says(
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    is_counted_by_table: bool,  # noqa: FBT001 - given by name
) -> None:
    if is_counted_by_table:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    monkeypatch.setattr(verification, "_AT_ONCE", 100)
    one = signature(rng)
    coarse = [
        b"",
        one,
        copy_of(one, 0.5, rng),
        one[:155],
        signature(rng, n_stretches=2),
    ]
    a, b = (places.ravel() for places in np.indices((5, 5)))
    actual = paired_similarity([coarse[i] for i in a], [coarse[i] for i in b])
    expected = pairwise_similarity(coarse)
    np.testing.assert_allclose(actual.reshape(5, 5), expected, atol=1e-6)
    assert 0.3 < actual[1 * 5 + 2] < 0.7


def test_what_is_no_signature_or_no_pair_is_refused(rng: np.random.Generator) -> None:
    one = signature(rng)
    with pytest.raises(ValueError, match="multiple of 155 bytes, got 1"):
        paired_similarity([one], [b"\0"])
    with pytest.raises(ValueError, match="shorter"):
        paired_similarity([one, one], [one])


def test_candidates_hold_what_a_comparison_of_all_finds(
    rng: np.random.Generator,
) -> None:
    originals = [signature(rng) for _ in range(150)]
    coarse = originals + [
        copy_of(one, similarity, rng)
        for one, similarity in zip(originals, rng.uniform(0.6, 1, 150), strict=True)
    ]
    similar = pairwise_similarity(coarse) >= 0.35
    bands = MinHashBands(n_bands=n_bands_for(0.45, 0.95, 4), n_rows=4, seed=0)
    keys = np.stack([bands.keys(one)[0] for one in coarse])
    is_candidate = (keys[:, np.newaxis] == keys).any(axis=2)
    a, b = np.nonzero(np.triu(similar, 1))
    assert len(a) >= 150
    assert is_candidate[a, b].mean() >= 0.95
    # Others are hardly ever compared.
    assert np.triu(is_candidate & ~similar, 1).mean() < 0.01


def test_groups_are_those_of_a_walk_from_each(rng: np.random.Generator) -> None:
    ends = rng.integers(-(2**62), 2**62, size=300)
    first, second = ends[rng.integers(300, size=(2, 160))]
    ids, groups = connected_groups(first, second)
    for start, group in zip(ids, groups, strict=True):
        reached, edge = {start}, {start}
        while edge:
            near = {b for a, b in zip(first, second, strict=True) if a in edge}
            near |= {a for a, b in zip(first, second, strict=True) if b in edge}
            edge = near - reached
            reached |= edge
        assert group == min(reached)
    flipped = connected_groups(second[::-1], first[::-1])
    np.testing.assert_array_equal(flipped[1], groups)


def test_no_links_make_no_groups() -> None:
    nothing = np.empty(0, dtype=np.int64)
    ids, groups = connected_groups(nothing, nothing)
    assert len(ids) == len(groups) == 0
    with pytest.raises(ValueError, match="two arrays of shape"):
        connected_groups(nothing, np.zeros(1, dtype=np.int64))
