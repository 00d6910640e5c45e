"""What decoding is asked for and what it returns: plain values and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class VideoSampling:
    """Which frames an extractor wants.

    Exactly one of ``n_frames`` and ``frames_per_s`` is given.

    Parameters
    ----------
    short_side : int
        Length in pixels of the shorter side after resizing; the aspect is kept.
    n_frames : int, optional
        So many frames at the middles of equal parts of the clip.
    frames_per_s : float, optional
        Frames at this rate from the clip's start.
    """

    short_side: int
    n_frames: int | None = None
    frames_per_s: float | None = None

    def __post_init__(self) -> None:
        if (self.n_frames is None) == (self.frames_per_s is None):
            msg = "VideoSampling: expected exactly one of n_frames and frames_per_s."
            raise ValueError(msg)


@dataclass(frozen=True)
class AudioSampling:
    """Which waveform an extractor wants: mono float32 at ``sample_rate_hz``."""

    sample_rate_hz: int


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """One clip as an extractor gets it; the id travels with the payload.

    Parameters
    ----------
    clip_id : str
        Key of the clip.
    frames : ndarray of uint8, shape (n_frames, height, width, 3), optional
        RGB frames, sampled and resized as the extractor asked.
    frame_times_s : ndarray of float64, shape (n_frames,), optional
        Presentation time of each frame in seconds since the clip's start.
    waveform : ndarray of float32, shape (n_samples,), optional
        Mono samples in [-1, 1].
    sample_rate_hz : int, optional
        Rate of ``waveform`` in Hz.
    """

    clip_id: str
    frames: NDArray[np.uint8] | None = None
    frame_times_s: NDArray[np.float64] | None = None
    waveform: NDArray[np.float32] | None = None
    sample_rate_hz: int | None = None
