"""From videos to clips: cuts, candidates, and a choice of unlike ones (section 3.2)."""

from __future__ import annotations

from acav_spark.segment.candidates import propose_candidates
from acav_spark.segment.clips import cut_plan
from acav_spark.segment.diversity import choose_diverse
from acav_spark.segment.isolated import measure_video_isolated
from acav_spark.segment.shots import detect_shots
from acav_spark.segment.signature import SignatureMeter, similarity
from acav_spark.segment.signature_matching import (
    Alignment,
    best_alignment,
    is_match,
)
from acav_spark.segment.types import (
    Candidate,
    ClipLimits,
    ClipPlan,
    Segmentation,
    Shot,
    VideoMeasurements,
)

__all__ = [
    "Alignment",
    "Candidate",
    "ClipLimits",
    "ClipPlan",
    "Segmentation",
    "Shot",
    "SignatureMeter",
    "VideoMeasurements",
    "best_alignment",
    "choose_diverse",
    "cut_plan",
    "detect_shots",
    "is_match",
    "measure_video_isolated",
    "propose_candidates",
    "similarity",
]
