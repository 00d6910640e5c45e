"""Curate audio-visual data sets whose picture and sound belong together.

The system of "ACAV100M: Automatic Curation of Large-Scale Datasets for Audio-Visual
Video Representation Learning" (ICCV 2021) as Spark jobs on Delta tables. Names are
loaded when they are first used, so that importing the package imports neither Spark nor
torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from acav_spark._version import __version__
from acav_spark.errors import (
    AcavError,
    ConfigError,
    DependencyError,
    MediaError,
    StageError,
    TableError,
)

_LAZY = {
    "SGDKMeans": "acav_spark.clustering",
    "assign_clusters": "acav_spark.assign.job",
    "batch_greedy": "acav_spark.selection",
    "cut_clips": "acav_spark.cutting.job",
    "detect_shots": "acav_spark.segment",
    "extract_features": "acav_spark.features.job",
    "find_duplicates": "acav_spark.duplicates.job",
    "fit_centroids": "acav_spark.clustering.job",
    "ingest_videos": "acav_spark.ingest.job",
    "mutual_information": "acav_spark.selection",
    "publish_clips": "acav_spark.publish.job",
    "segment_clips": "acav_spark.segment.job",
    "select_clips": "acav_spark.selection.job",
}

__all__ = [  # noqa: RUF022 - grouped as a reader looks for them
    "__version__",
    # stages
    "ingest_videos",
    "segment_clips",
    "find_duplicates",
    "cut_clips",
    "extract_features",
    "fit_centroids",
    "assign_clusters",
    "select_clips",
    "publish_clips",
    # core functions
    "SGDKMeans",
    "batch_greedy",
    "detect_shots",
    "mutual_information",
    # errors
    "AcavError",
    "ConfigError",
    "DependencyError",
    "MediaError",
    "StageError",
    "TableError",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
    """Load a public name when it is first asked for (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    msg = f"module 'acav_spark' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
