"""Which videos there are: metadata in one shape, ids, and filters with reasons."""

from __future__ import annotations

from acav_spark.ingest.durations import parse_duration
from acav_spark.ingest.filters import REASONS, KeywordMatcher, reject_reason
from acav_spark.ingest.ids import (
    ClipKey,
    clip_id,
    parse_clip_id,
    stable_hash,
    video_id_from_uri,
)
from acav_spark.ingest.metadata import VideoRow, known_columns, normalise_row

__all__ = [
    "REASONS",
    "ClipKey",
    "KeywordMatcher",
    "VideoRow",
    "clip_id",
    "known_columns",
    "normalise_row",
    "parse_clip_id",
    "parse_duration",
    "reject_reason",
    "stable_hash",
    "video_id_from_uri",
]
