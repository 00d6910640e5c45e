"""Rates, settings and machines in round numbers, for tests of the planner."""

from __future__ import annotations

from acav_spark.planning import (
    ExtractorSpec,
    Hardware,
    Prices,
    Rates,
    Settings,
    VideoShape,
    Workload,
)
from acav_spark.planning.prices import Node, Pool

PRICES = Prices(
    date="2025-01-01",
    source="a test",
    nodes={
        "small": Node(
            cores=2, network_mb_s=100.0, usd_per_hour=1.0, usd_per_hour_spot=0.25
        )
    },
    platform_share=0.5,
    usd_per_tb_month=20.0,
    usd_per_million_reads=0.4,
    usd_per_million_writes=5.0,
    usd_per_tb_out=90.0,
)

SETTINGS = Settings(
    clip_duration_s=10.0,
    max_clips=3,
    extractors=(
        ExtractorSpec("eye", "visual", (100, 200), wants_gpu=False),
        ExtractorSpec("ear", "audio", (50,), wants_gpu=False),
    ),
    n_clusters=(10,),
    n_epochs=4,
    max_rows=500,
    n_shards=64,
    n_pairs=3,
    size=0.5,
    engine="driver",
    n_formats=2,
    chunk_size=100,
    n_partitions=0,
    finds_duplicates=False,
)

SHAPE = VideoShape(duration_s=100.0, frame_rate=10.0, pixels=1000.0, n_bytes=8e6)
"""A million pixels in all frames."""


def rates(**others: object) -> Rates:
    """Return rates in round numbers, some of them others."""
    values: dict[str, object] = {
        "machine": "a test's",
        "date": "2025-01-01",
        "versions": {},
        "n_videos": 0,
        "video_s": 0.0,
        "cores": 2,
        "efficiency": 0.8,
        "start_s": 3.0,
        "start_core_s": 4.0,
        "end_s": 1.0,
        "end_core_s": 1.0,
        "stages": {"segment_clips": {"fixed_s": 7.0, "fixed_core_s": 9.0}},
        "metadata_row_core_s": 0.001,
        "probe_video_core_s": 0.5,
        "segment_pixel_frame_core_s": 1e-6,
        "segment_second_core_s": 0.01,
        "decode_pixel_frame_core_s": 1e-6,
        "decode_clip_core_s": 0.1,
        "extractors": {
            "eye": {"core_s": 0.3, "clip_s": 10.0},
            "ear": {"core_s": 0.1, "clip_s": 5.0},
        },
        "product_core_s": 1e-6,
        "row_core_s": 1e-5,
        "feature_byte_core_s": 1e-6,
        "assigned_row_core_s": 0.001,
        "selection": [{"n_clusters": 10, "n_pairs": 3, "core_s_per_pick": 0.01}],
        "packed_clip_core_s": 0.002,
        "published_row_core_s": 0.003,
        "compared_clip_core_s": 1.0,
        "merged_row_core_s": 0.0,
        "bytes_per_row": {},
    }
    return Rates.model_validate({**values, **others})


def workload(n_videos: float = 50.0, **others: object) -> Workload:
    """Return videos that are all alike: two clips each."""
    values: dict[str, object] = {
        "n_videos": n_videos,
        "kind": "media",
        "accepted_share": 0.8,
        "mean": SHAPE,
        "pixel_frames": SHAPE.pixel_frames,
        "clips_per_video": 2.0,
        "longest_s": 100.0,
    }
    return Workload(**{**values, **others})  # type: ignore[arg-type]  # by name


def hardware(n_nodes: int = 1, **others: object) -> Hardware:
    """Return so many machines of two cores each, without a platform's share."""
    node = PRICES.nodes["small"]
    pool = Pool("cpu", "small", node, n_nodes, float(n_nodes))
    values: dict[str, object] = {
        "pools": {"cpu": pool},
        "storage_months": 2.0,
        "store_videos": True,
        "share_out": 0.0,
    }
    return Hardware(**{**values, **others})  # type: ignore[arg-type]  # by name
