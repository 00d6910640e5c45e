"""Which clips to cut out of a measured video."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.segment.candidates import propose_candidates
from acav_spark.segment.diversity import choose_diverse
from acav_spark.segment.signature import (
    coarse_signature,
    fine_signature,
    pairwise_similarity,
)
from acav_spark.segment.types import Candidate, ClipPlan, Segmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from acav_spark.segment.types import VideoMeasurements

# -80 dB of full scale: what codecs make of digital silence, and far below any room.
SILENT_RMS = 1e-4
# scdet's mean difference in per cent: a still picture has 0 to 0.02 after coding.
STILL_MOTION = 0.02
# So much shorter than a clip, a video gives one clip of its whole length: headers,
# frames and sound of a "ten second" video disagree by that much.
_SHORTNESS = 0.02
# Similarity is computed for each two candidates: a day of video has 8,640 of them.
MAX_CANDIDATES = 200


def cut_plan(
    measurements: VideoMeasurements,
    *,
    clip_duration_s: float,
    max_clips: int,
    max_silence_fraction: float = 1.0,
    max_stillness_fraction: float = 1.0,
    duration_s: float | None = None,
) -> Segmentation:
    """Return the clips of one video.

    Parameters
    ----------
    measurements : VideoMeasurements
        What was measured of it.
    clip_duration_s : float
        Length of a clip in seconds.
    max_clips : int
        At most so many; the ones least alike are taken (paper, section 3.2).
    max_silence_fraction, max_stillness_fraction : float, default 1.0
        Candidates with larger shares are not proposed.
    duration_s : float, optional
        Length of the video by its table row, where shorter than the measured one.

    Returns
    -------
    Segmentation
        Clips in the order of time; every one lies inside the video. From a video of
        98 % of a clip's length or more, but less than all of it, one clip of its
        whole length.
    """
    end_s = measurements.duration_s
    if duration_s is not None:
        end_s = min(end_s, duration_s)
    candidates = propose_candidates(measurements.shots, end_s, clip_duration_s)
    rule = "across_cuts" if any(c.crosses_cut for c in candidates) else "inside_shots"
    if not candidates:
        candidates, rule = _whole_video(measurements, end_s, clip_duration_s)
    n_candidates = len(candidates)
    plans = [
        plan
        for plan in (_plan(measurements, c) for c in _thinned(candidates))
        if plan.silence_fraction <= max_silence_fraction
        and plan.stillness_fraction <= max_stillness_fraction
    ]
    if candidates and not plans:
        rule = "silent_or_still"
    similarity = pairwise_similarity([plan.signature for plan in plans])
    chosen = choose_diverse(similarity, max_clips)
    return Segmentation(
        clips=tuple(_with_fine(measurements, plans[index]) for index in chosen),
        n_shots=len(measurements.shots),
        n_candidates=n_candidates,
        rule=rule,
        candidate_starts_s=tuple(c.start_s for c in candidates),
    )


def _whole_video(
    measurements: VideoMeasurements, end_s: float, clip_duration_s: float
) -> tuple[list[Candidate], str]:
    """Return a clip of the whole length of a video that is a little too short."""
    start_s = max(measurements.shots[0].start_s, 0.0)
    end_s = min(end_s, measurements.shots[-1].end_s)
    whole_ms = int((end_s - start_s) * 1000)
    if not (1.0 - _SHORTNESS) * clip_duration_s * 1000 <= whole_ms:
        return [], "too_short"
    crosses_cut = any(start_s < shot.start_s < end_s for shot in measurements.shots)
    start_s = int(start_s * 1000 + 0.999) / 1000
    whole = Candidate(start_s, int(end_s * 1000) / 1000, 0, crosses_cut)
    return [whole], "whole_video"


def _thinned(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return at most so many candidates, evenly over the video."""
    n_kept = min(len(candidates), MAX_CANDIDATES)
    return [candidates[i * len(candidates) // n_kept] for i in range(n_kept)]


def _plan(measurements: VideoMeasurements, candidate: Candidate) -> ClipPlan:
    seen = ~np.isnan(measurements.motion)
    return ClipPlan(
        start_s=candidate.start_s,
        end_s=candidate.end_s,
        shot_index=candidate.shot_index,
        crosses_cut=candidate.crosses_cut,
        silence_fraction=_share(measurements, measurements.rms < SILENT_RMS, candidate),
        # A window without a frame shows the frame before it: nothing changes.
        stillness_fraction=_share(
            measurements, ~seen | (measurements.motion < STILL_MOTION), candidate
        ),
        signature=coarse_signature(
            measurements.frame_times_s,
            measurements.words,
            candidate.start_s,
            candidate.end_s,
        ),
    )


def _share(
    measurements: VideoMeasurements, is_so: NDArray[np.bool_], candidate: Candidate
) -> float:
    """Return the share of a stretch that its windows, cut at its ends, say is so."""
    starts = np.arange(len(is_so)) * measurements.window_s
    overlap = np.minimum(starts + measurements.window_s, candidate.end_s) - np.maximum(
        starts, candidate.start_s
    )
    overlap = np.clip(overlap, 0.0, None)
    total = float(overlap.sum())
    return round(float(overlap[is_so].sum()) / total, 6) if total else 1.0


def _with_fine(measurements: VideoMeasurements, plan: ClipPlan) -> ClipPlan:
    """Return a plan with its fine signature, if its elements were measured."""
    if len(measurements.elements) == 0:
        return plan
    fine = fine_signature(
        measurements.frame_times_s,
        measurements.elements,
        measurements.confidences,
        plan.start_s,
        plan.end_s,
    )
    return dataclasses.replace(plan, fine_signature=fine)
