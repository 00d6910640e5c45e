"""Shots: the stretches of a video between two cuts (paper, section 3.2)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from acav_spark.segment.types import Shot

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_MAX_PIXELS = 4096 * 4096


def detect_shots(path: str | os.PathLike[str], threshold: float = 10.0) -> list[Shot]:
    """Return the shots of a video, as ffmpeg's ``scdet`` finds them.

    Parameters
    ----------
    path : str or path
        Media file. It is decoded in this process; for untrusted files use
        ``measure_video_isolated``.
    threshold : float, default 10.0
        Score in per cent, 0 to 100, from which a frame begins a new shot.

    Returns
    -------
    list of Shot
        Half open and without gaps, from the first frame to the video's end.

    Raises
    ------
    MediaError
        If there is no picture that decodes.
    """
    from acav_spark.segment.measure import measure_video

    return list(measure_video(path, threshold, max_pixels=_MAX_PIXELS).shots)


def shots_from_cuts(
    first_s: float, cuts_s: Sequence[float], end_s: float
) -> tuple[Shot, ...]:
    """Return the shots between the first frame, the cuts in order, and the end."""
    edges = [first_s, *(cut for cut in cuts_s if first_s < cut < end_s), end_s]
    return tuple(Shot(start, end) for start, end in pairwise(edges))
