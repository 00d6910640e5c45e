"""A warehouse with packed clusters, made without a video: for tests of selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from curation import SPARK, settings_for

from acav_spark.context import StageContext
from acav_spark.features.vectors import encode_fp16

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

N_CLIPS, N_VIEWS, N_CLUSTERS = 600, 4, 6
SIZES = [
    "selection.size=200",
    "selection.batch_size=60",
    "selection.per_batch=9",
    *(f"spark.{name}={value}" for name, value in SPARK.items()),
]
MakePacked = Callable[..., StageContext]
_MARKS = {"stage_hash": "h", "run_id": "r"}


def planted_ids(n_clips: int = N_CLIPS, seed: int = 5) -> NDArray[np.int64]:
    """Return cluster ids, a third of which correspond across views."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(N_CLUSTERS, size=(n_clips, N_VIEWS))
    is_planted = generator.random(n_clips) < 0.33
    ids[is_planted] = ids[is_planted, :1]
    return ids


def clip_name(row: int) -> str:
    """Return the id of the clip in a row; names do not come in the order of rows."""
    return f"clip-{(row * 7919) % 100_003:06d}"


def make_packed_context(spark: SparkSession, root: Path, *more: str) -> StageContext:
    """Return a context whose warehouse has packed clips of synthetic videos."""
    context = StageContext(spark, settings_for(root, "nowhere", *SIZES, *more))
    if not context.warehouse.exists("codebooks"):
        write_tables(context, planted_ids())
    return context


def write_tables(
    context: StageContext, ids: NDArray[np.int64], *, dimension: int = 1
) -> None:
    """Write codebooks, packed, clips and videos of so many clips."""
    spark, warehouse = context.spark, context.warehouse
    books = [
        {
            **_MARKS,
            "clustering": "main",
            "extractor": f"extractor_{view // 2}",
            "layer": view % 2 + 1,
            "view_position": view,
            "modality": "visual" if view < N_VIEWS // 2 else "audio",
            "n_clusters": N_CLUSTERS,
            "dimension": dimension,
            "preprocess": "none",
            "model_version": "1",
            "n_rows": len(ids),
            "inertia": 0.0,
            "n_used": N_CLUSTERS,
            "fingerprint": "f",
        }
        for view in range(ids.shape[1])
    ]
    warehouse.insert("codebooks", spark.createDataFrame(books))
    write_packed(context, ids)
    n_videos = len(ids) // 3
    clips = [
        {
            **_MARKS,
            "clip_id": clip_name(row),
            "video_id": f"video-{row % n_videos}",
            "start_s": float(row // n_videos * 10),
            "end_s": float(row // n_videos * 10 + 5 + row % 10),
        }
        for row in range(len(ids))
    ]
    warehouse.insert("clips", spark.createDataFrame(clips))
    videos = [
        {
            **_MARKS,
            "video_id": f"video-{number}",
            "uri": f"file:///videos/{number}.mp4",
            "channel_id": None if number % 20 == 0 else f"channel-{number % 17}",
            "category": ["Music", "Sports", "People"][number % 3],
            "language": "en" if number % 2 else "de",
            "duration_s": 100.0,
            "status": "accepted",
            "source": "media",
        }
        for number in range(n_videos)
    ]
    schema = (
        "video_id STRING, uri STRING, channel_id STRING, category STRING, "
        "language STRING, duration_s DOUBLE, status STRING, source STRING, "
        "stage_hash STRING, run_id STRING"
    )
    warehouse.insert("videos", spark.createDataFrame(videos, schema))


def write_features(context: StageContext, vectors: NDArray[np.float32]) -> None:
    """Write vectors, shape (n_views, n_clips, dimension), as two extractors' layers."""
    rows = [
        {
            **_MARKS,
            "extractor": f"extractor_{extractor}",
            "clip_id": clip_name(row),
            "layer_1": encode_fp16(vectors[2 * extractor, row]),
            "layer_2": encode_fp16(vectors[2 * extractor + 1, row]),
            "model_version": "1",
        }
        for extractor in range(len(vectors) // 2)
        for row in range(vectors.shape[1])
    ]
    # Neither in the order of the clips nor in that of their ids.
    rows.sort(key=lambda row: str(row["clip_id"])[::-1])
    frame = context.spark.createDataFrame(rows).repartition(3)
    context.warehouse.insert("features", frame)


def write_packed(
    context: StageContext, ids: NDArray[np.int64], n_partitions: int = 3
) -> None:
    """Write the packed table anew, in so many files."""
    rows = [
        {
            **_MARKS,
            "clustering": "main",
            "row_number": row,
            "clip_id": clip_name(row),
            "clusters": values,
        }
        for row, values in enumerate(ids.tolist())
    ]
    frame = context.spark.createDataFrame(rows).repartition(n_partitions)
    context.warehouse.replace("packed", frame, "clustering = 'main'")
