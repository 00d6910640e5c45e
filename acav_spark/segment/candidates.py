"""Where clips could be cut: inside shots, or across cuts where no shot is long enough.

All arithmetic is in whole milliseconds, which are also what clip ids hold.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from acav_spark.segment.types import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.segment.types import Shot

# Sums of frame lengths miss a whole millisecond by rounding only.
_ROUNDING_MS = 0.01


def propose_candidates(
    shots: Sequence[Shot], duration_s: float, clip_duration_s: float
) -> list[Candidate]:
    """Return the stretches of a video that could become clips, in order of time.

    Parameters
    ----------
    shots : sequence of Shot
        Half open, in order, without gaps.
    duration_s : float
        Length of the video; no candidate ends later.
    clip_duration_s : float
        Length of a clip.

    Returns
    -------
    list of Candidate
        As many as fit side by side into each shot, centred in it. Without any such
        shot: stretches across as few cuts as possible, side by side. Empty when the
        video, from its first frame, is shorter than a clip.
    """
    clip_ms = round(clip_duration_s * 1000)
    if clip_ms < 1:
        msg = (
            f"clip_duration_s: expected at least a millisecond, got {clip_duration_s}."
        )
        raise ValueError(msg)
    end_ms = _floor_ms(duration_s)
    bounds = [
        (max(_ceil_ms(shot.start_s), 0), min(_floor_ms(shot.end_s), end_ms))
        for shot in shots
    ]
    inside = [
        _candidate(start, clip_ms, index, crosses_cut=False)
        for index, (first, last) in enumerate(bounds)
        for start in _side_by_side(first, last, clip_ms)
    ]
    return inside or _across_cuts(bounds, clip_ms)


def _side_by_side(first_ms: int, last_ms: int, clip_ms: int) -> list[int]:
    """Return the starts of as many clips as fit, centred in [first, last)."""
    n_clips = max(last_ms - first_ms, 0) // clip_ms
    first_ms += (last_ms - first_ms - n_clips * clip_ms) // 2
    return [first_ms + clip_ms * i for i in range(n_clips)]


def _across_cuts(bounds: Sequence[tuple[int, int]], clip_ms: int) -> list[Candidate]:
    """Return stretches across the least number of cuts, the earliest ones first.

    That number can change only where a cut enters or leaves the stretch, so it is
    enough to look at stretches that start or end at a cut or at the video's ends.
    """
    if not bounds:
        return []
    first_ms, last_ms = bounds[0][0], max(last for _, last in bounds)
    # A cut is where the later shot's first frame is.
    cuts = sorted(start for start, _ in bounds[1:] if first_ms < start < last_ms)
    latest_ms = last_ms - clip_ms
    edges = {first_ms, latest_ms, *cuts, *(cut - clip_ms for cut in cuts)}
    starts = sorted(start for start in edges if first_ms <= start <= latest_ms)
    # Videos may have a cut at every frame: nothing here looks at cuts one by one.
    n_cuts = {
        start: bisect_left(cuts, start + clip_ms) - bisect_right(cuts, start)
        for start in starts
    }
    least = min(n_cuts.values(), default=0)
    chosen: list[int] = []
    for start in starts:
        is_free = not chosen or start >= chosen[-1] + clip_ms
        if is_free and n_cuts[start] == least:
            chosen.append(start)
    return [
        _candidate(start, clip_ms, _shot_at(bounds, start), crosses_cut=True)
        for start in chosen
    ]


def _shot_at(bounds: Sequence[tuple[int, int]], start_ms: int) -> int:
    return bisect_right(bounds, start_ms, key=lambda bound: bound[0]) - 1


def _candidate(
    start_ms: int, clip_ms: int, shot_index: int, *, crosses_cut: bool
) -> Candidate:
    return Candidate(
        start_s=start_ms / 1000,
        end_s=(start_ms + clip_ms) / 1000,
        shot_index=shot_index,
        crosses_cut=crosses_cut,
    )


def _floor_ms(time_s: float) -> int:
    return int((time_s * 1000 + _ROUNDING_MS) // 1)


def _ceil_ms(time_s: float) -> int:
    return -int((-time_s * 1000 + _ROUNDING_MS) // 1)
