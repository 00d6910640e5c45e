"""Near-duplicates across the whole collection, by the signatures of clips."""

from __future__ import annotations

from acav_spark.duplicates.banding import MinHashBands, n_bands_for, without_flat
from acav_spark.duplicates.components import connected_groups
from acav_spark.duplicates.decision import ClipEvidence, CopyRule, are_copies
from acav_spark.duplicates.pictures import paired_agreement
from acav_spark.duplicates.sounds import paired_bit_errors, sound_keys
from acav_spark.duplicates.verification import paired_similarity

__all__ = [
    "ClipEvidence",
    "CopyRule",
    "MinHashBands",
    "are_copies",
    "connected_groups",
    "n_bands_for",
    "paired_agreement",
    "paired_bit_errors",
    "paired_similarity",
    "sound_keys",
    "without_flat",
]
