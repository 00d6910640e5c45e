"""Film strips: a video's frames, and under them its shots, candidates and clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 1000
"""Units from a video's start to its end."""

# Frames of a strip, and the shorter side of each in pixels.
N_FRAMES = 12
FRAME_SIDE = 96
# Stretches nearer than half a unit cannot be seen apart.
_STEP = 0.5


@dataclass(frozen=True)
class StripClip:
    """One clip on a strip.

    Parameters
    ----------
    clip_id : str
        Its key.
    start_s, end_s : float
        Half-open range in seconds.
    rank : int, optional
        Place in the selection, from 1.
    """

    clip_id: str
    start_s: float
    end_s: float
    rank: int | None = None


@dataclass(frozen=True)
class FilmStrip:
    """How one video was cut.

    Parameters
    ----------
    video_id, uri, title : str
        Of the video; title may be empty.
    duration_s : float
        Length of the video in seconds, more than 0.
    rule : str
        Rule by which the clips were cut, as in ``segmentations``.
    shot_starts_s : sequence of float
        Where shots begin, in order.
    candidates : sequence of (float, float)
        Start and end of each clip that was possible.
    clips : sequence of StripClip
        Those that were cut.
    frames : sequence of bytes or None
        JPEGs of ``N_FRAMES`` moments, see ``frame_times``; None where none decodes.
    note : str
        What went wrong, if anything did.
    """

    video_id: str
    uri: str
    title: str
    duration_s: float
    rule: str
    shot_starts_s: Sequence[float] = ()
    candidates: Sequence[tuple[float, float]] = ()
    clips: Sequence[StripClip] = ()
    frames: Sequence[bytes | None] = ()
    note: str = ""


def frame_times(duration_s: float) -> list[float]:
    """Return the middles of ``N_FRAMES`` equal parts of a video, in seconds."""
    return [(i + 0.5) * duration_s / N_FRAMES for i in range(N_FRAMES)]


def stretch(start_s: float, end_s: float, duration_s: float) -> tuple[float, float]:
    """Return where a stretch begins on a strip and how wide it is, at least visibly."""
    left = min(max(start_s / duration_s, 0.0), 1.0) * WIDTH
    right = min(max(end_s / duration_s, 0.0), 1.0) * WIDTH
    return round(left, 1), round(max(right - left, _STEP), 1)


def ticks_path(times_s: Iterable[float], duration_s: float) -> str:
    """Return cuts as an SVG path of upright lines; those that coincide are drawn once.

    So ten thousand shots take no more of the page than two thousand.
    """
    places = {
        round(time_s / duration_s * WIDTH / _STEP)
        for time_s in times_s
        if 0 < time_s < duration_s
    }
    return "".join(f"M{place * _STEP:g} 0V8" for place in sorted(places))


def stretches_path(
    stretches: Iterable[tuple[float, float]], duration_s: float, top: float, height: int
) -> str:
    """Return stretches as an SVG path of boxes; those that coincide are drawn once."""
    boxes = dict.fromkeys(stretch(*one, duration_s) for one in stretches)
    # A gap of a unit tells neighbours apart.
    return "".join(
        f"M{left:g} {top:g}h{max(width - 1, _STEP):g}v{height}"
        f"h-{max(width - 1, _STEP):g}z"
        for left, width in boxes
    )
