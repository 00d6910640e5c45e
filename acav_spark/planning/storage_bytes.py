"""How large every table becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.planning.workload import Settings, Workload

# Bytes of an id that looks random, which nothing compresses: 64 bits in hexadecimal
# take 8 as they are, and some 14 in Parquet's blocks.
_ID_BYTES = 24.0
_SIGNATURE_STRETCHES = 6  # of ten seconds; 155 bytes each


def table_rows(workload: Workload, settings: Settings, k: int) -> dict[str, float]:
    """Return the rows of each table that grows with the input."""
    n_clips = workload.n_clips
    n_clusterings = max(1, len(settings.n_clusters))
    n_extractors = len(settings.extractors)
    n_selected = settings.n_selected(n_clips)
    return {
        "videos": workload.n_videos,
        "segmentations": workload.n_accepted,
        "clips": n_clips,
        "features": n_clips * n_extractors,
        "centroids": float(settings.n_views * _sum_of_k(settings, k)),
        "assignments": n_clips * n_extractors * n_clusterings,
        "packed": n_clips * n_clusterings,
        "selections": n_selected,
        # Of the selection and of the population, a row for each cluster of a pair.
        "contingency": float(2 * settings.n_pairs * k),
        "published": n_selected * settings.n_formats,
    }


def bytes_per_row(
    settings: Settings, measured: Mapping[str, float]
) -> dict[str, float]:
    """Return the bytes of a row: measured, or reckoned from what it holds."""
    widths = [sum(e.dimensions) for e in settings.extractors]
    n_dimensions = sum(widths)
    reckoned = {
        "videos": 700.0,  # title, description and tags of a public list, compressed
        "segmentations": 250.0,
        "clips": 150.0 + _SIGNATURE_STRETCHES * 155.0,
        # fp16 does not compress; the id is in every row.
        "features": _ID_BYTES + 2.0 * n_dimensions / max(1, len(widths)),
        "centroids": 4.0 * n_dimensions / max(1, settings.n_views),
        "assignments": 40.0,
        "packed": _ID_BYTES + 1.2 * settings.n_views,
        "selections": 48.0,
        "contingency": 2500.0,
        "published": 250.0,
    }
    # The width of vectors is the extractors', not that of other extractors' tables.
    own = ("features", "centroids")
    return {
        name: reckoned[name] if name in own else measured.get(name, value)
        for name, value in reckoned.items()
    }


def table_bytes(
    workload: Workload,
    settings: Settings,
    k: int,
    measured: Mapping[str, float],
) -> dict[str, float]:
    """Return the bytes of each table, without Delta's log."""
    widths = bytes_per_row(settings, measured)
    rows = table_rows(workload, settings, k)
    return {name: n * widths[name] for name, n in rows.items()}


def _sum_of_k(settings: Settings, k: int) -> int:
    return sum(settings.n_clusters) if settings.n_clusters else k
