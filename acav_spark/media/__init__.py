"""Media files: listing, safe opening, decoding in limited child processes.

``probe``, ``decode`` and their like are in modules of their own names, since those
import the decoder; the ``*_isolated`` functions here run them in a sandbox.
"""

from __future__ import annotations

from acav_spark.media.isolated import (
    decode_clip_isolated,
    poster_isolated,
    probe_isolated,
    waveform_envelope_isolated,
)
from acav_spark.media.listing import ListedFile, list_media
from acav_spark.media.sandbox import Limits, Sandbox, shared_sandbox
from acav_spark.media.sources import (
    LocalSource,
    RangeSource,
    SourceRules,
    SpooledSource,
    open_source,
)
from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling
from acav_spark.media.uri import path_from_uri, uri_from_path

__all__ = [
    "AudioSampling",
    "DecodedClip",
    "Limits",
    "ListedFile",
    "LocalSource",
    "RangeSource",
    "Sandbox",
    "SourceRules",
    "SpooledSource",
    "VideoSampling",
    "decode_clip_isolated",
    "list_media",
    "open_source",
    "path_from_uri",
    "poster_isolated",
    "probe_isolated",
    "shared_sandbox",
    "uri_from_path",
    "waveform_envelope_isolated",
]
