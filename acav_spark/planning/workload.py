"""What there is to do: the videos, the settings that cost, and the assumptions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# Paper, section 3.1: "140 million full-length videos with a total duration of 1,030
# years"; "we download 360p resolution videos; this still consumes 1.8 petabytes".
PAPER_VIDEOS = 140e6
PAPER_DURATION_S = 1030 * 365.25 * 86_400 / PAPER_VIDEOS
PAPER_BYTES = 1.8e15 / PAPER_VIDEOS
# Section 3.2: "This gives us about 300M clips".
PAPER_CLIPS_PER_VIDEO = 300e6 / PAPER_VIDEOS

InputKind = Literal["media", "metadata"]


@dataclass(frozen=True)
class Assumption:
    """A number that was not measured on the videos that the plan is for.

    Parameters
    ----------
    name, value : str
        What, and how much, with its unit.
    source : str
        Where it comes from.
    change : str
        Option or key that changes it.
    """

    name: str
    value: str
    source: str
    change: str


@dataclass(frozen=True)
class VideoShape:
    """What of a video decides how long it takes.

    Parameters
    ----------
    duration_s, frame_rate : float
        Seconds; frames a second.
    pixels : float
        Of a frame.
    n_bytes : float
        Of the file.
    """

    duration_s: float
    frame_rate: float
    pixels: float
    n_bytes: float

    @property
    def pixel_frames(self) -> float:
        """Pixels of all frames together."""
        return self.duration_s * self.frame_rate * self.pixels


@dataclass(frozen=True)
class Workload:
    """The videos that a plan is for.

    Parameters
    ----------
    n_videos : float
        Candidates.
    kind : {"media", "metadata"}
        Whether ingest opens files, or judges rows about them.
    accepted_share : float
        Share of the candidates that filters accept.
    mean : VideoShape
        The mean accepted video; its ``pixel_frames`` are those of the mean video.
    pixel_frames : float
        Mean of the pixels of all frames; that of ``mean`` where all are alike.
    clips_per_video : float
        Mean of an accepted video.
    longest_s : float
        Length of the longest video, at least the mean.
    shapes : tuple of VideoShape
        Every accepted video, where they are known one by one; else empty.
    clip_pixel_frames : float, optional
        Pixels of all frames of the mean clip; by default those of a stretch of the
        mean video. Long videos have no more clips than others, so that with unlike
        videos the two differ.
    """

    n_videos: float
    kind: InputKind
    accepted_share: float
    mean: VideoShape
    pixel_frames: float
    clips_per_video: float
    longest_s: float
    shapes: tuple[VideoShape, ...] = ()
    clip_pixel_frames: float | None = None

    def __post_init__(self) -> None:
        """Check what everything else is multiplied by.

        Raises
        ------
        ValueError
            If a number is not finite or out of range.
        """
        limits = {
            "n_videos": (self.n_videos, 1, math.inf),
            "accepted_share": (self.accepted_share, 0, 1),
            "duration_s": (self.mean.duration_s, 0, math.inf),
            "frame_rate": (self.mean.frame_rate, 0, math.inf),
            "pixels": (self.mean.pixels, 0, math.inf),
            "n_bytes": (self.mean.n_bytes, 0, math.inf),
            "clips_per_video": (self.clips_per_video, 0, math.inf),
        }
        for name, (value, least, most) in limits.items():
            if not math.isfinite(value) or not least <= value <= most:
                bound = (
                    f"from {least} to {most:g}" if most < math.inf else f">= {least}"
                )
                msg = f"workload: {name}: expected a number {bound}, got {value!r}."
                raise ValueError(msg)

    @property
    def n_accepted(self) -> float:
        """Videos that filters accept."""
        return self.n_videos * self.accepted_share

    @property
    def n_clips(self) -> float:
        """Clips that are cut."""
        return self.n_accepted * self.clips_per_video


def permitted_clips(
    shape: VideoShape, *, clip_duration_s: float, max_clips: int
) -> int:
    """Return how many clips a video's length alone permits.

    A video of 98 % of a clip's length gives one clip, as in ``segment_clips``.

    Examples
    --------
    >>> permitted_clips(VideoShape(25, 30, 1, 1), clip_duration_s=10, max_clips=3)
    2
    """
    whole = math.floor(shape.duration_s / clip_duration_s)
    is_nearly_one = shape.duration_s >= 0.98 * clip_duration_s
    return min(max_clips, max(whole, int(is_nearly_one)))


def mean_clip_pixel_frames(
    shapes: tuple[VideoShape, ...], *, clip_duration_s: float, max_clips: int
) -> float | None:
    """Return the mean over the clips that durations permit; None if there is none."""
    counts = [
        permitted_clips(s, clip_duration_s=clip_duration_s, max_clips=max_clips)
        for s in shapes
    ]
    total = sum(
        count * min(clip_duration_s, s.duration_s) * s.frame_rate * s.pixels
        for count, s in zip(counts, shapes, strict=True)
    )
    return total / sum(counts) if sum(counts) else None


def mean_shape(shapes: tuple[VideoShape, ...]) -> tuple[VideoShape, float]:
    """Return the mean of some videos, and the mean of their pixels of all frames.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not shapes:
        msg = "shapes: expected at least one video, got none."
        raise ValueError(msg)
    n = len(shapes)
    mean = VideoShape(
        sum(s.duration_s for s in shapes) / n,
        sum(s.frame_rate for s in shapes) / n,
        sum(s.pixels for s in shapes) / n,
        sum(s.n_bytes for s in shapes) / n,
    )
    return mean, sum(s.pixel_frames for s in shapes) / n


@dataclass(frozen=True)
class ExtractorSpec:
    """An extractor, as the plan sees it.

    Parameters
    ----------
    name, modality : str
        As in ``features`` and ``codebooks``.
    dimensions : tuple of int
        Length of each layer's vector.
    wants_gpu : bool
        Whether it runs on an accelerator where there is one.
    gmac_per_clip : float, optional
        Multiplications and additions of a clip in 10^9; None where not known.
    """

    name: str
    modality: str
    dimensions: tuple[int, ...]
    wants_gpu: bool
    gmac_per_clip: float | None = None


@dataclass(frozen=True)
class Settings:
    """What of a configuration costs time and space.

    Parameters
    ----------
    clip_duration_s, max_clips
        Of ``segmentation``.
    extractors : tuple of ExtractorSpec
        In their order.
    n_clusters : tuple of int
        One clustering each; empty for ``auto``.
    n_epochs, max_rows, n_shards, n_pairs
        Of ``clustering``; pairs of views that ``selection`` sums.
    size : int or float
        Clips to select: a count (int), or a share in (0, 1] (float).
    engine : str
        Of ``selection``.
    n_formats : int
        Of ``publish``.
    chunk_size, n_partitions
        Of ``execution``; 0 partitions are four a core.
    finds_duplicates : bool
        ``duplicates.enabled``.
    """

    clip_duration_s: float
    max_clips: int
    extractors: tuple[ExtractorSpec, ...]
    n_clusters: tuple[int, ...]
    n_epochs: int
    max_rows: int
    n_shards: int
    n_pairs: int
    size: int | float
    engine: str
    n_formats: int
    chunk_size: int
    n_partitions: int
    finds_duplicates: bool

    @property
    def n_views(self) -> int:
        """Feature spaces of all extractors."""
        return sum(len(extractor.dimensions) for extractor in self.extractors)

    def n_selected(self, n_clips: float) -> float:
        """Return how many of so many clips are selected; all where fewer are there."""
        wanted = self.size if isinstance(self.size, int) else self.size * n_clips
        return min(float(wanted), n_clips)
