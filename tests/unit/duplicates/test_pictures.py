from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.duplicates import paired_agreement, pictures
from acav_spark.segment.stretches import packed_elements

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _elements(rng: np.random.Generator, n_stretches: int) -> NDArray[np.int64]:
    looks = rng.integers(-1, 2, size=(n_stretches, 380))
    # Some show nothing: hardly an element is not near zero.
    looks[rng.random(n_stretches) < 0.2, 90:] = 0
    return looks


def _agreement(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return the mean of the best cosines of the clip with fewer stretches."""
    seen_a = [one for one in a if np.abs(one).sum() >= 95]
    seen_b = [one for one in b if np.abs(one).sum() >= 95]
    if not seen_a or not seen_b:
        return 0.0
    if len(seen_a) > len(seen_b):
        seen_a, seen_b = seen_b, seen_a
    best = [
        max(
            float(one @ other) / np.sqrt(np.abs(one).sum() * np.abs(other).sum())
            for other in seen_b
        )
        for one in seen_a
    ]
    return float(np.mean(best))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    st.integers(0, 2**32),
)
def test_agreement_is_that_of_the_best_stretches(
    sizes: list[tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first = [_elements(rng, n) for n, _ in sizes]
    second = [_elements(rng, n) for _, n in sizes]
    expected = [_agreement(a, b) for a, b in zip(first, second, strict=True)]
    packed = [[packed_elements(one).tobytes() for one in of] for of in (first, second)]
    np.testing.assert_allclose(paired_agreement(*packed), expected, atol=1e-6)


def test_a_part_agrees_with_the_whole_and_the_opposite_does_not(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_AT_ONCE", 4000)
    looks = rng.choice([-1, 1], size=(6, 380))
    near = looks[2:4].copy()
    near[:, :19] *= -1
    whole, part, opposite = (
        packed_elements(one).tobytes() for one in (looks, near, -looks[:1])
    )
    flat = packed_elements(np.zeros((3, 380), dtype=np.int64)).tobytes()
    actual = paired_agreement(
        [whole, part, whole, opposite, whole, whole],
        [part, whole, whole, packed_elements(looks[:1]).tobytes(), flat, b""],
    )
    # 19 of 380 elements are opposite: (361 - 19) / 380.
    np.testing.assert_allclose(actual, [0.9, 0.9, 1, -1, 0, 0], atol=1e-6)


def test_what_are_no_stretches_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 76 bytes, got 75"):
        paired_agreement([b"\0" * 75], [b""])
    with pytest.raises(ValueError, match="shorter"):
        paired_agreement([b"", b""], [b""])
