"""A table of features made without videos, and an extractor of its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.features.job import stage_hash
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from acav_spark.context import StageContext

EXTRACTOR = "planted_tables:Planted"
N_POINTS = 200
# Bytes of vectors that a task makes at a time.
_MADE_BYTES = 32 * 2**20


class Planted:
    """An extractor of one layer, never asked to extract."""

    name = "planted"
    modality = "visual"
    version = "1"
    audio_sampling: AudioSampling | None = None
    wants_gpu = False

    def __init__(self, dimension: int) -> None:
        self.dimensions = (dimension,)
        self.video_sampling = VideoSampling(short_side=96, n_frames=3)

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Refuse."""
        raise NotImplementedError


def write_features(context: StageContext, n_rows: int, dimension: int) -> None:
    """Write planted rows of ``features``; vectors lie around 200 points."""
    points = np.random.default_rng(0).normal(size=(N_POINTS, dimension)) + 0.5
    points = points.astype(np.float32)

    def made(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            rows = batch["id"].to_numpy()
            generator = np.random.default_rng([1, int(rows[0])])
            x = generator.standard_normal((len(rows), dimension), dtype=np.float32)
            x += points[generator.integers(N_POINTS, size=len(rows))]
            offsets = np.arange(len(rows) + 1, dtype=np.int32) * (2 * dimension)
            vectors = pa.BinaryArray.from_buffers(
                pa.binary(),
                len(rows),
                [None, pa.py_buffer(offsets), pa.py_buffer(x.astype("<f2"))],
            )
            # Shaped as real ids are: a hash, then start and end.
            hashes = (row * 0x9E3779B97F4A7C15 % 2**64 for row in rows.tolist())
            ids = pa.array([f"{one:016x}_0_10000" for one in hashes])
            yield pa.RecordBatch.from_arrays([ids, vectors], ["clip_id", "layer_1"])

    spark = context.spark
    limit = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(limit)
    spark.conf.set(limit, str(min(100_000, _MADE_BYTES // (4 * dimension))))
    n_parts = max(4, n_rows * dimension * 2 // (128 * 2**20))
    rows = spark.range(0, n_rows, 1, n_parts).mapInArrow(
        made, "clip_id STRING, layer_1 BINARY"
    )
    marked = rows.select(
        F.lit(EXTRACTOR).alias("extractor"),
        "clip_id",
        "layer_1",
        F.lit("1").alias("model_version"),
        F.lit(stage_hash(context.config)).alias("stage_hash"),
        F.lit("bench").alias("run_id"),
    )
    context.warehouse.insert("features", marked)
    spark.conf.set(limit, str(before))
