"""Near-duplicates across the whole collection, by the signatures of clips."""

from __future__ import annotations

from acav_spark.duplicates.banding import MinHashBands, n_bands_for, without_flat
from acav_spark.duplicates.components import connected_groups
from acav_spark.duplicates.verification import paired_similarity

__all__ = [
    "MinHashBands",
    "connected_groups",
    "n_bands_for",
    "paired_similarity",
    "without_flat",
]
