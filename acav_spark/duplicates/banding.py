"""Which clips may show the same: MinHash bands over words of coarse signatures.

The words that occur anywhere in a clip are a set. Two sets share the least value of a
random hash with the probability of their Jaccard index (Broder, 1997); a band joins a
few of such values to one key, and clips that share any key are candidates (Leskovec et
al., Mining of Massive Datasets, section 3.4).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.duplicates.hashing import mixed
from acav_spark.segment.signature import STRETCH_BYTES
from acav_spark.segment.signature_elements import N_WORDS
from acav_spark.segment.stretches import FLAT_VALUE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BAG_BYTES: Final = STRETCH_BYTES // N_WORDS
_N_BITS: Final = STRETCH_BYTES * 8


def n_bands_for(similarity: float, recall: float, n_rows: int) -> int:
    """Return how many bands find pairs of a similarity with a probability.

    Parameters
    ----------
    similarity : float
        Jaccard index of the pairs, in (0, 1).
    recall : float
        Probability with which such a pair is to share a band, in (0, 1).
    n_rows : int
        Values that a band joins.

    Returns
    -------
    int
        The least b for which 1 - (1 - similarity ** n_rows) ** b >= recall.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    if not (0 < similarity < 1 and 0 < recall < 1 and n_rows >= 1):
        msg = (
            "n_bands_for: expected similarity and recall in (0, 1) and n_rows >= 1, "
            f"got {similarity}, {recall}, {n_rows}."
        )
        raise ValueError(msg)
    return max(math.ceil(math.log1p(-recall) / math.log1p(-(similarity**n_rows))), 1)


def without_flat(coarse: bytes) -> bytes:
    """Return a coarse signature without its stretches that are no evidence.

    Black, or one colour, has the same word everywhere, in every video.

    Raises
    ------
    ValueError
        If it is not a coarse signature.
    """
    stretches = _stretches(coarse)
    is_seen = (stretches != _FLAT_STRETCH).any(axis=1) & stretches.any(axis=1)
    seen: bytes = stretches[is_seen].tobytes()
    return seen


class MinHashBands:
    """Keys of clips; those that share one are candidates.

    Parameters
    ----------
    n_bands : int
        Keys of a clip, at least 1.
    n_rows : int
        MinHash values that a key joins, at least 1.
    seed : int
        Seed of the hashes; keys of one seed are the same on every machine.

    Raises
    ------
    ValueError
        If there are no bands or no rows.

    Notes
    -----
    Holds 10 kB for each band and row; some 0.1 ms a clip for 72 bands of 4.
    """

    def __init__(self, *, n_bands: int, n_rows: int, seed: int) -> None:
        if n_bands < 1 or n_rows < 1:
            msg = (
                "MinHashBands: expected n_bands >= 1 and n_rows >= 1, got "
                f"{n_bands}, {n_rows}."
            )
            raise ValueError(msg)
        self._shape = (n_bands, n_rows)
        counters = np.arange(n_bands * n_rows * _N_BITS, dtype=np.uint64)
        start = mixed(np.array([seed], dtype=np.uint64))
        # A value for each bit: item-major, since a clip has few of them.
        self._values = mixed(counters + start).reshape(_N_BITS, n_bands * n_rows)
        self._bands = np.arange(n_bands, dtype=np.uint64)

    def keys(self, coarse: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return a clip's keys, and its places in the buckets of these keys.

        Parameters
        ----------
        coarse : bytes
            Coarse signature.

        Returns
        -------
        keys, places : ndarray of int64, shape (n_bands,)
            A place is a MinHash value that is not part of the key: of a bucket that is
            too large for all its pairs, clips next to each other are the likeliest.
            Both are empty where nothing is seen but flat pictures.

        Raises
        ------
        ValueError
            If it is not a coarse signature.
        """
        stretches = _stretches(without_flat(coarse))
        if len(stretches) == 0:
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing
        words = np.bitwise_or.reduce(stretches, axis=0)
        items = np.flatnonzero(np.unpackbits(words, bitorder="little"))
        least = self._values[items].min(axis=0).reshape(self._shape)
        keys = mixed(self._bands)
        for row in range(self._shape[1]):
            keys = mixed(keys ^ least[:, row])
        places = np.roll(least[:, 0], -1)
        return keys.view(np.int64), np.ascontiguousarray(places).view(np.int64)


def _stretches(coarse: bytes) -> NDArray[np.uint8]:
    """Return the bytes of each stretch, shape (n_stretches, 155)."""
    if len(coarse) % STRETCH_BYTES:
        msg = (
            "coarse signature: expected a multiple of "
            f"{STRETCH_BYTES} bytes, got {len(coarse)}."
        )
        raise ValueError(msg)
    return np.frombuffer(coarse, dtype=np.uint8).reshape(-1, STRETCH_BYTES)


def _flat_stretch() -> NDArray[np.uint8]:
    bits = np.zeros((N_WORDS, 8 * _BAG_BYTES), dtype=np.bool_)
    bits[:, FLAT_VALUE] = True
    return np.packbits(bits, axis=-1, bitorder="little").ravel()


_FLAT_STRETCH: Final = _flat_stretch()
