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
    is_copy = np.zeros(len(agreement), dtype=np.bool_)
    # Most candidates look another way: their words and sounds need no comparison.
    least = min(rule.min_agreement, rule.min_agreement_with_sound)
    seen = np.flatnonzero(agreement >= least)
    similarity = paired_similarity(
        *(
            [without_flat(clips.signatures[place]) for place in seen.tolist()]
            for clips in (first, second)
        )
    )
    is_sure = agreement[seen] >= rule.min_agreement
    is_sure &= similarity >= rule.min_similarity
    is_copy[seen[is_sure]] = True
    is_open = ~is_sure & (agreement[seen] >= rule.min_agreement_with_sound)
    is_open &= similarity >= rule.min_similarity_with_sound
    heard = seen[is_open]
    errors = paired_bit_errors(
        *(
            [clips.fingerprints[place] for place in heard.tolist()]
            for clips in (first, second)
        )
    )
    # No common sound is NaN, which is not below anything.
    is_copy[heard] = errors <= rule.max_bit_errors
    return is_copy
