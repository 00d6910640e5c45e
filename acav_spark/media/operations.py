"""What a decoding child may be asked to do: nothing else can be called in it."""

from __future__ import annotations

from typing import Final

# Modules are imported on first use, so that a child starts quickly.
OPERATIONS: Final[dict[str, str]] = {
    "probe": "acav_spark.media.isolated:probe_operation",
    "decode": "acav_spark.media.isolated:decode_operation",
    "poster": "acav_spark.media.isolated:poster_operation",
    "envelope": "acav_spark.media.isolated:envelope_operation",
    "cut": "acav_spark.cutting.isolated:cut_operation",
    "measure": "acav_spark.segment.isolated:measure_operation",
}
