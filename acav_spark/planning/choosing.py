"""Which videos a plan is for: what is said, else what was measured, else the paper."""

from __future__ import annotations

from dataclasses import dataclass, field

from acav_spark.errors import ConfigError
from acav_spark.planning.workload import (
    PAPER_BYTES,
    PAPER_CLIPS_PER_VIDEO,
    PAPER_DURATION_S,
    Assumption,
    InputKind,
    VideoShape,
    Workload,
    mean_clip_pixel_frames,
    mean_shape,
    permitted_clips,
)

# What the paper does not say: 360p is taken as 640 x 360 at 30 frames a second.
PAPER_PIXELS = 640.0 * 360.0
PAPER_FRAME_RATE = 30.0


@dataclass(frozen=True)
class Given:
    """What the command line says about the videos; None where it says nothing.

    Parameters
    ----------
    n_videos, accepted_share, mean_duration_s, clips_per_video : float, optional
        As in ``Workload``.
    pixels, frame_rate, mb_per_video : float, optional
        Of the mean video; 10^6 bytes.
    """

    n_videos: float | None = None
    accepted_share: float | None = None
    mean_duration_s: float | None = None
    clips_per_video: float | None = None
    pixels: float | None = None
    frame_rate: float | None = None
    mb_per_video: float | None = None


@dataclass(frozen=True)
class Measured:
    """What an input or a warehouse says about the videos.

    Parameters
    ----------
    source : str
        Which, for people.
    shapes : tuple of VideoShape
        Accepted videos, or some of them.
    n_videos : int
        Candidates of which they are.
    accepted_share : float
        Share of the candidates that are usable.
    clips_per_video : float, optional
        Of an accepted video, where they are cut already.
    bytes_per_row : dict of str to float
        Of its tables, where there are some.
    kind : {"media", "metadata"}
        What ingest read.
    """

    source: str
    shapes: tuple[VideoShape, ...]
    n_videos: int
    accepted_share: float
    clips_per_video: float | None = None
    bytes_per_row: dict[str, float] = field(default_factory=dict)
    kind: InputKind = "media"


@dataclass(frozen=True)
class _Quantity:
    """One number of the workload, and where it may come from."""

    name: str
    unit: str
    said: float | None
    known: float | None
    paper: float
    quote: str
    option: str

    def choose(self, source: str, told: list[Assumption]) -> float:
        """Return the value; what was not said is told as an assumption."""
        if self.said is not None:
            return self.said
        value = self.paper if self.known is None else self.known
        told.append(
            Assumption(
                self.name,
                f"{value:,.4g} {self.unit}".strip(),
                self.quote if self.known is None else source,
                self.option,
            )
        )
        return value


def workload_of(
    given: Given,
    measured: Measured | None,
    *,
    kind: InputKind,
    clip_duration_s: float,
    max_clips: int,
    max_duration_s: float,
    clip_yield: float,
) -> tuple[Workload, list[Assumption]]:
    """Return the videos that a plan is for, and what had to be assumed.

    What the command line says comes first, then what was measured, then the paper's.

    Parameters
    ----------
    given, measured
        What is said, and what was found.
    kind : {"media", "metadata"}
        What ingest reads where nothing was measured.
    clip_duration_s, max_clips, max_duration_s
        Of the configuration.
    clip_yield : float
        Clips cut, divided by those that durations permit.

    Raises
    ------
    ConfigError
        If neither the number of videos nor an input or warehouse is given, or a
        number is out of range.
    """
    if given.n_videos is None and measured is None:
        msg = (
            "plan: expected --videos N, --from-input or --from-warehouse, got none of "
            "them. Name how many videos the plan is for."
        )
        raise ConfigError(msg)
    shapes = measured.shapes if measured else ()
    found, pixel_frames = mean_shape(shapes) if shapes else (None, 0.0)
    cut = measured.clips_per_video if measured else None
    if cut is None and shapes:
        cut = clip_yield * sum(
            permitted_clips(s, clip_duration_s=clip_duration_s, max_clips=max_clips)
            for s in shapes
        )
        cut /= len(shapes)
    quantities = (
        _Quantity(
            *("accepted share", "", given.accepted_share),
            measured.accepted_share if measured else None,
            *(1.0, "paper, section 3.1: the 140 million videos passed the filters"),
            "--accepted-share",
        ),
        _Quantity(
            *("clips an accepted video", "", given.clips_per_video, cut),
            PAPER_CLIPS_PER_VIDEO,
            "paper, section 3.2: about 300M clips, of 140 million videos",
            "--clips-per-video",
        ),
        _Quantity(
            *("mean duration", "s", given.mean_duration_s),
            found.duration_s if found else None,
            PAPER_DURATION_S,
            "paper, section 3.1: a total duration of 1,030 years",
            "--mean-duration-s",
        ),
        _Quantity(
            *("size of a video", "MB", given.mb_per_video),
            found.n_bytes / 1e6 if found else None,
            PAPER_BYTES / 1e6,
            "paper, section 3.1: 1.8 petabytes of storage",
            "--mb-per-video",
        ),
        _Quantity(
            *("pixels of a frame", "", given.pixels),
            found.pixels if found else None,
            PAPER_PIXELS,
            "paper, section 3.1: 360p; taken as 640 x 360",
            "--pixels",
        ),
        _Quantity(
            *("frames a second", "", given.frame_rate),
            found.frame_rate if found else None,
            PAPER_FRAME_RATE,
            "the paper does not say",
            "--frame-rate",
        ),
    )
    told: list[Assumption] = []
    source = measured.source if measured else ""
    accepted, clips, duration, mb, pixels, rate = (
        quantity.choose(source, told) for quantity in quantities
    )
    mean = VideoShape(duration, rate, pixels, mb * 1e6)
    is_as_found = found is not None and all(
        said is None for said in (given.mean_duration_s, given.pixels, given.frame_rate)
    )
    n_videos = given.n_videos
    if n_videos is None:
        n_videos = float(measured.n_videos) if measured else 0.0
    # Videos are known one by one where the plan is for just these.
    is_each = is_as_found and round(n_videos * accepted) == len(shapes)
    longest = max((s.duration_s for s in shapes), default=max_duration_s)
    try:
        workload = Workload(
            n_videos,
            measured.kind if measured else kind,
            accepted,
            mean,
            pixel_frames if is_as_found else mean.pixel_frames,
            clips,
            max(longest, duration),
            shapes if is_each else (),
            mean_clip_pixel_frames(
                shapes, clip_duration_s=clip_duration_s, max_clips=max_clips
            )
            if is_as_found
            else None,
        )
    except ValueError as error:
        msg = f"{error} Correct the option."
        raise ConfigError(msg) from error
    return workload, told
