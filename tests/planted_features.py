"""Features made without a video, and extractors that have their shapes.

For tests of clustering: the extractors are never asked to extract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from curation import SPARK, settings_for

from acav_spark.context import StageContext
from acav_spark.features.vectors import encode_fp16
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

    from acav_spark.config import Config

N_ROWS, N_GROUPS = 2_400, 9
LOOKS, SOUNDS = "planted_features:Looks", "planted_features:Sounds"
SETTINGS = [
    f"features.extractors=[{{name: '{LOOKS}'}}, {{name: '{SOUNDS}'}}]",
    "clustering.n_clusters=12",
    "clustering.n_epochs=3",
    "clustering.minibatch_size=600",
    "clustering.n_shards=3",
    *(f"spark.{name}={value}" for name, value in SPARK.items()),
]
# Constants that have few rows cut into several shards, and some of them held out.
SMALL_SHARDS = {
    "acav_spark.clustering.fit._SHARD_ROWS": 300,
    "acav_spark.clustering.fit._HELD_OUT_FROM": 2_000,
    "acav_spark.clustering.fit._HELD_OUT_ROWS": 150,
}
# A constant that has every fit go epoch by epoch.
IN_EPOCHS = {"acav_spark.clustering.job._ONE_TASK_BYTES": 0}
MakeFeatures = Callable[..., StageContext]


class Looks:
    """Two layers of a picture."""

    name = "looks"
    modality = "visual"
    version = "1"
    dimensions = (12, 6)
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self) -> None:
        self.video_sampling: VideoSampling | None = VideoSampling(
            short_side=96, n_frames=3
        )

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Refuse."""
        raise NotImplementedError


class Sounds(Looks):
    """One layer of a sound."""

    name = "sounds"
    modality = "audio"
    dimensions = (8,)  # type: ignore[assignment]  # another number of layers
    audio_sampling = AudioSampling(sample_rate_hz=16_000)

    def __init__(self) -> None:
        self.video_sampling = None


def planted_vectors(dimension: int, seed: int) -> NDArray[np.float32]:
    """Return overlapping groups of unequal sizes, away from the origin."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, N_GROUPS + 1)
    groups = generator.choice(N_GROUPS, N_ROWS, p=shares / shares.sum())
    centres = 3 * generator.normal(size=(N_GROUPS, dimension)) + 20
    noise = generator.normal(size=(N_ROWS, dimension))
    return np.asarray(centres[groups] + noise, dtype=np.float32)


def feature_rows(n_rows: int = N_ROWS) -> dict[str, pa.Table]:
    """Return rows of ``features`` by extractor, without what marks a run."""
    tables = {}
    for name, kind in ((LOOKS, Looks), (SOUNDS, Sounds)):
        columns: dict[str, list[object]] = {
            "extractor": [name] * n_rows,
            "clip_id": [f"clip-{(row * 7919) % 100_003:06d}" for row in range(n_rows)],
        }
        for layer, dimension in enumerate(kind.dimensions, start=1):
            vectors = planted_vectors(dimension, dimension)[:n_rows]
            columns[f"layer_{layer}"] = [encode_fp16(vector) for vector in vectors]
        columns["model_version"] = ["1"] * n_rows
        tables[name] = pa.table(columns)
    return tables


def planted_config(root: Path, *more: str) -> Config:
    """Return a configuration of the planted extractors."""
    return settings_for(root, "nowhere", *SETTINGS, *more)


def make_features_context(
    spark: SparkSession, root: Path, *more: str, n_rows: int = N_ROWS
) -> StageContext:
    """Return a context whose warehouse has features."""
    context = StageContext(spark, planted_config(root, *more))
    if not context.warehouse.exists("features"):
        from acav_spark.features.job import stage_hash

        marks = {"stage_hash": stage_hash(context.config), "run_id": "r"}
        for table in feature_rows(n_rows).values():
            marked = table
            for name, value in marks.items():
                marked = marked.append_column(name, pa.array([value] * len(table)))
            context.warehouse.insert("features", spark.createDataFrame(marked))
    return context
