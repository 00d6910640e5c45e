"""Whether two clips sound the same: bit errors of audio fingerprints, and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.duplicates.counting import bits_set
from acav_spark.duplicates.hashing import mixed
from acav_spark.segment.fingerprint import N_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WORD_BYTES: Final = N_BITS // 8
# Three seconds: of fewer words strangers agree by chance.
MIN_OVERLAP: Final = 30
# Words that are compared at once: some 20 MB.
_AT_ONCE: Final = 2**19
# Keys of sound are not to meet those of pictures.
_SALT: Final = np.uint64(0x50DA)


def paired_bit_errors(
    first: Sequence[bytes], second: Sequence[bytes]
) -> NDArray[np.float64]:
    """Return the share of bits that differ where each pair of fingerprints fits best.

    Parameters
    ----------
    first, second : sequence of bytes
        Fingerprints; the pairs are those at the same places.

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
        In [0, 1], the least of all shifts of one against the other that leave
        ``MIN_OVERLAP`` words that are heard in both; strangers have some 0.45. NaN
        where there is no such shift: one is silent, or too short.

    Raises
    ------
    ValueError
        If there are not as many of both, or one is not a whole number of words.

    Notes
    -----
    Haitsma and Kalker (2002), section 4. Time: some 50 us a pair of ten seconds.
    """
    errors = np.full(len(first), np.nan)
    pairs = list(zip(first, second, strict=True))
    long_enough = MIN_OVERLAP * _WORD_BYTES
    for fingerprint in (one for pair in pairs for one in pair):
        _require_words(fingerprint)
    places = [
        place
        for place, pair in enumerate(pairs)
        if min(len(one) for one in pair) >= long_enough
    ]
    # Pairs of about one length go together, so that little is filled up.
    places.sort(key=lambda place: max(len(one) for one in pairs[place]))
    while places:
        # The longest ones are last.
        n_words = max(len(one) for one in pairs[places[-1]]) // _WORD_BYTES
        chosen = places[-max(_AT_ONCE // n_words, 1) :]
        del places[-len(chosen) :]
        errors[chosen] = _least_errors(
            *(
                _filled([pairs[place][side] for place in chosen], n_words)
                for side in (0, 1)
            )
        )
    return errors


def sound_keys(fingerprint: bytes, n_keys: int, seed: int) -> NDArray[np.int64]:
    """Return keys of a fingerprint; clips that share one are candidates.

    Parameters
    ----------
    fingerprint : bytes
        Words, as ``clip_fingerprint`` returns them.
    n_keys : int
        At most so many.
    seed : int
        Seed of the hashes.

    Returns
    -------
    ndarray of int64, shape (n,)
        The least hashes of its words, each word once: two clips keep the same ones of
        what they share, wherever it lies (a bottom-k sketch; Broder, 1997).
    """
    _require_words(fingerprint)
    words = np.unique(np.frombuffer(fingerprint, dtype="<u4"))
    start = mixed(np.array([seed], dtype=np.uint64) ^ _SALT)
    hashes = np.sort(mixed(words[words != 0].astype(np.uint64) ^ start))
    return hashes[:n_keys].view(np.int64)


def _least_errors(
    first: NDArray[np.uint32], second: NDArray[np.uint32]
) -> NDArray[np.float64]:
    """Return the least shares of errors, of words of shape (n_pairs, n_words)."""
    least = np.full(len(first), np.nan)
    n_words = first.shape[1]
    for shift in range(MIN_OVERLAP - n_words, n_words - MIN_OVERLAP + 1):
        a = first[:, max(shift, 0) : n_words + min(shift, 0)]
        b = second[:, max(-shift, 0) : n_words - max(shift, 0)]
        is_heard = (a != 0) & (b != 0)
        n_heard = np.count_nonzero(is_heard, axis=1)
        n_errors = (bits_set(a ^ b) * is_heard).sum(axis=1, dtype=np.int64)
        share = n_errors / np.maximum(N_BITS * n_heard, 1)
        share[n_heard < MIN_OVERLAP] = np.nan
        least = np.fmin(least, share)
    return least


def _filled(fingerprints: Sequence[bytes], n_words: int) -> NDArray[np.uint32]:
    """Return words of shape (n_pairs, n_words), with zeros where there are no more."""
    size = n_words * _WORD_BYTES
    joined = b"".join(one.ljust(size, b"\0") for one in fingerprints)
    return np.frombuffer(joined, dtype="<u4").reshape(-1, n_words)


def _require_words(fingerprint: bytes) -> None:
    if len(fingerprint) % _WORD_BYTES:
        msg = (
            f"audio fingerprint: expected a multiple of {_WORD_BYTES} bytes, got "
            f"{len(fingerprint)}."
        )
        raise ValueError(msg)
