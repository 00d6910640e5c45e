"""Whether two clips look the same: the elements of their stretches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.duplicates.pairing import blocks_of_one_size
from acav_spark.segment.signature_elements import N_ELEMENTS
from acav_spark.segment.stretches import N_BYTES, ternary_elements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Of a frame two thirds of the elements are not near zero. Of a stretch that shows many
# pictures fewer are: below this, there is no one look.
_LEAST_ELEMENTS: Final = N_ELEMENTS // 4
# Elements that are compared at once: some 50 MB.
_AT_ONCE: Final = 2**22


def paired_agreement(
    first: Sequence[bytes], second: Sequence[bytes]
) -> NDArray[np.float64]:
    """Return how far each pair of clips looks the same, by the elements of stretches.

    Parameters
    ----------
    first, second : sequence of bytes
        Elements of stretches, as ``stretch_elements`` returns them; the pairs are
        those at the same places.

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
        In [-1, 1]. Two stretches agree by the cosine of their elements of -1, 0 and 1:
        equal ones less opposite ones, over the geometric mean of how many of each are
        not 0. Each stretch counts with the one of the other clip that agrees most; the
        mean is over the stretches of the clip that has fewer, since it may be a part
        of the other. 0 where one of them shows nothing.

    Raises
    ------
    ValueError
        If there are not as many of both, or one is not a whole number of stretches.

    Notes
    -----
    Time: some 30 us a pair of ten seconds.
    """
    agreement = np.zeros(len(first))
    blocks = blocks_of_one_size(
        first,
        second,
        stretch_bytes=N_BYTES,
        what="stretch elements",
        n_values=lambda n_first, n_second: max(n_first, n_second) * N_ELEMENTS,
        most_values=_AT_ONCE,
    )
    for places, (n_first, n_second) in blocks:
        agreement[places] = _agreement(
            _unpacked([first[place] for place in places], n_first),
            _unpacked([second[place] for place in places], n_second),
        )
    return agreement


def _agreement(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the agreement of clips of shape (n_pairs, n_stretches, 380)."""
    n_first, n_second = (np.abs(one).sum(axis=2) for one in (first, second))
    # Sums of at most 380 ones: exact, in whatever order they are made.
    both = first @ second.transpose(0, 2, 1)
    norms = np.sqrt(n_first[:, :, np.newaxis] * n_second[:, np.newaxis])
    cosines = np.where(norms > 0, both / np.maximum(norms, 1), 0.0)
    seen_first, seen_second = n_first >= _LEAST_ELEMENTS, n_second >= _LEAST_ELEMENTS
    is_seen = seen_first[:, :, np.newaxis] & seen_second[:, np.newaxis]
    cosines = np.where(is_seen, cosines, -1.0)
    forth = _mean_of(cosines.max(axis=2), seen_first)
    back = _mean_of(cosines.max(axis=1), seen_second)
    is_fewer = seen_first.sum(axis=1) <= seen_second.sum(axis=1)
    is_any = is_seen.any(axis=(1, 2))
    return np.where(is_any, np.where(is_fewer, forth, back), 0.0)


def _mean_of(
    values: NDArray[np.float64], counts: NDArray[np.bool_]
) -> NDArray[np.float64]:
    total = np.where(counts, values, 0.0).sum(axis=1)
    means: NDArray[np.float64] = total / np.maximum(counts.sum(axis=1), 1)
    return means


def _unpacked(elements: Sequence[bytes], n_stretches: int) -> NDArray[np.float32]:
    joined = np.frombuffer(b"".join(elements), dtype=np.uint8)
    packed = joined.reshape(len(elements), n_stretches, N_BYTES)
    return ternary_elements(packed).astype(np.float32)
