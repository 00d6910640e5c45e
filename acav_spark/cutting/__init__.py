"""Clips as files of their own, cut to the frame by coding them anew."""

from __future__ import annotations

from acav_spark.cutting.encoder import EncodedClip, encode_clip
from acav_spark.cutting.isolated import encode_clip_isolated
from acav_spark.cutting.settings import CutSettings

__all__ = ["CutSettings", "EncodedClip", "encode_clip", "encode_clip_isolated"]
