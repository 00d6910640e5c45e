"""Columns and constraints that several tables share."""

from __future__ import annotations

from acav_spark.tables.schema import Column

RUN = Column("run_id", "STRING", "Run that wrote the row; joins to runs.", False)
HASH = Column(
    "stage_hash", "STRING", "Hash of the settings that shaped the row.", False
)
CLIP = Column("clip_id", "STRING", "Clip: video, start, end in ms; or own id.", False)
VIDEO = Column("video_id", "STRING", "The source video.", False)
CLUSTERING = Column("clustering", "STRING", "Name of the clustering.", False)
EXTRACTOR = Column("extractor", "STRING", "Name of the extractor.", False)
LAYER = Column("layer", "INT", "Layer of the extractor, 1 (early) upwards.", False)
LAYERS = tuple(
    Column(f"layer_{i}", "BINARY", f"Vector of layer {i}, little-endian fp16.")
    for i in range(1, 6)
)
IN_VIDEO = "start_s IS NULL OR (start_s >= 0 AND start_s < end_s)"
