"""Whether two clips are copies, by what they look like and how they sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.duplicates.banding import without_flat
from acav_spark.duplicates.pictures import paired_agreement
from acav_spark.duplicates.sounds import paired_bit_errors
from acav_spark.duplicates.verification import paired_similarity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class CopyRule:
    """From where two clips are copies.

    Parameters
    ----------
    min_similarity, min_agreement : float
        Words and elements of pictures that are the same whatever the sound is: two
        silent videos, or one that was dubbed.
    max_bit_errors : float
        Share of bits of the fingerprints up to which two clips sound the same.
    min_similarity_with_sound, min_agreement_with_sound : float
        Words and elements that are enough where the sound is the same. The same music
        over other pictures is no copy.
    """

    min_similarity: float
    min_agreement: float
    max_bit_errors: float
    min_similarity_with_sound: float
    min_agreement_with_sound: float


@dataclass(frozen=True)
class ClipEvidence:
    """What clips are compared by; each sequence has one entry for each clip.

    Parameters
    ----------
    signatures : sequence of bytes
        Coarse signatures.
    elements : sequence of bytes
        Elements of their stretches.
    fingerprints : sequence of bytes
        Fingerprints of the sound.
    """

    signatures: Sequence[bytes]
    elements: Sequence[bytes]
    fingerprints: Sequence[bytes]


def are_copies(
    first: ClipEvidence, second: ClipEvidence, rule: CopyRule
) -> NDArray[np.bool_]:
    """Return which pairs of clips are copies, shape (n_pairs,).

    The pairs are those at the same places. Pictures decide alone where they are nearly
    the same; where they are only much alike, the sound has to be the same, too.

    Raises
    ------
    ValueError
        If there are not as many of both, or one is not a signature.
    """
    agreement = paired_agreement(first.elements, second.elements)
    similarity = paired_similarity(
        [without_flat(coarse) for coarse in first.signatures],
        [without_flat(coarse) for coarse in second.signatures],
    )
    is_copy = (similarity >= rule.min_similarity) & (agreement >= rule.min_agreement)
    is_open = ~is_copy
    is_open &= similarity >= rule.min_similarity_with_sound
    is_open &= agreement >= rule.min_agreement_with_sound
    places = np.flatnonzero(is_open).tolist()
    errors = paired_bit_errors(
        [first.fingerprints[place] for place in places],
        [second.fingerprints[place] for place in places],
    )
    # No common sound is NaN, which is not below anything.
    is_copy[places] = errors <= rule.max_bit_errors
    return is_copy
