"""Which clips to cut out of a measured video."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.segment.candidates import propose_candidates
from acav_spark.segment.diversity import choose_diverse
from acav_spark.segment.fingerprint import clip_fingerprint
from acav_spark.segment.signature import (
    coarse_signature,
    fine_signature,
    pairwise_similarity,
)
from acav_spark.segment.sound import SILENT_RMS
from acav_spark.segment.stretches import stretch_elements
from acav_spark.segment.timeline import FrameTimeline
from acav_spark.segment.types import Candidate, ClipLimits, ClipPlan, Segmentation
from acav_spark.segment.windows import share_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from acav_spark.segment.types import VideoMeasurements

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
    limits: ClipLimits | None = None,
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
    limits : ClipLimits, optional
        Candidates beyond one of them are not proposed; by default all are.
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
    limits = limits or ClipLimits()
    timeline = FrameTimeline(
        measurements.frame_times_s, measurements.is_black, measurements.is_flat
    )
    plans = [_plan(measurements, timeline, one) for one in _thinned(candidates)]
    plans = [plan for plan in plans if limits.allow(plan)]
    if candidates and not plans:
        rule = "beyond_limits"
    similarity = pairwise_similarity([plan.signature for plan in plans])
    chosen = choose_diverse(similarity, max_clips)
    return Segmentation(
        clips=tuple(_described(measurements, plans[index]) for index in chosen),
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


def _plan(
    measurements: VideoMeasurements, timeline: FrameTimeline, candidate: Candidate
) -> ClipPlan:
    start_s, end_s = candidate.start_s, candidate.end_s

    def share(curve: NDArray[np.bool_] | NDArray[np.float32]) -> float:
        return share_of(curve, start_s, end_s, window_s=measurements.window_s)

    # A window without a frame shows the frame before it: nothing changes.
    is_still = np.isnan(measurements.motion) | (measurements.motion < STILL_MOTION)
    black_fraction, flat_fraction = timeline.black_and_flat(start_s, end_s)
    n_dropped_frames, dropped_fraction = timeline.dropped(start_s, end_s)
    return ClipPlan(
        start_s=start_s,
        end_s=end_s,
        shot_index=candidate.shot_index,
        crosses_cut=candidate.crosses_cut,
        silence_fraction=share(measurements.rms < SILENT_RMS),
        stillness_fraction=share(is_still),
        black_fraction=black_fraction,
        flat_fraction=flat_fraction,
        tone_fraction=share(measurements.is_constant),
        clipped_fraction=share(measurements.clipped),
        missing_audio_fraction=share(measurements.missing),
        n_dropped_frames=n_dropped_frames,
        dropped_fraction=dropped_fraction,
        signature=coarse_signature(
            measurements.frame_times_s, measurements.words, start_s, end_s
        ),
    )


def _described(measurements: VideoMeasurements, plan: ClipPlan) -> ClipPlan:
    """Return a plan with what duplicates are found by, beside its signature.

    The fine signature is among it if the elements of all frames were measured.
    """
    start_s, end_s = plan.start_s, plan.end_s
    plan = dataclasses.replace(
        plan,
        stretch_elements=stretch_elements(
            measurements.sampled_times_s, measurements.sampled_elements, start_s, end_s
        ),
        audio_fingerprint=clip_fingerprint(measurements.sound_words, start_s, end_s),
    )
    if len(measurements.elements) == 0:
        return plan
    fine = fine_signature(
        measurements.frame_times_s,
        measurements.elements,
        measurements.confidences,
        start_s,
        end_s,
    )
    return dataclasses.replace(plan, fine_signature=fine)
