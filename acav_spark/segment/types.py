"""What is measured of a video, and what is cut out of it: plain values and arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Shot:
    """A stretch [start_s, end_s) between two cuts."""

    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class VideoMeasurements:
    """What one decode of a whole video finds out.

    Times count from the container's start. The curves have one value for each
    window of ``window_s`` seconds from time 0.

    Parameters
    ----------
    shots : tuple of Shot
        Half open and without gaps, from the first frame to the end.
    n_frames : int
        Frames that decoded.
    n_bad_packets : int
        Packets, of picture or sound, that did not decode.
    duration_s : float
        End of the last frame or of the sound, whichever is later, but not after the
        length that the container states.
    video_end_s, audio_end_s : float
        End of the last frame, and of the sound (0 where there is none).
    window_s : float
        Length of a window.
    rms : ndarray of float32, shape (n_windows,)
        Root mean square of the sound in each window; 0 where there is none.
    is_constant : ndarray of bool, shape (n_windows,)
        Windows that sound as a window beside them.
    clipped, missing : ndarray of float32, shape (n_windows,)
        Share of the samples that are clipped, and of the window that has none.
    motion : ndarray of float32, shape (n_windows,)
        Mean absolute difference to the frame before (scdet's mafd, in per cent);
        NaN where a window has no frame.
    frame_times_s : ndarray of float64, shape (n_frames,)
        Times of the frames, in the order of decoding.
    words : ndarray of uint8, shape (n_frames, 5)
        Words of their signatures.
    elements : ndarray of uint8, shape (n_frames, 76)
        Elements of their signatures, five in a byte; shape (0, 76) if not wanted.
    confidences : ndarray of uint8, shape (n_frames,)
        How far from flat the pictures are.
    sampled_times_s : ndarray of float64, shape (n_samples,)
        Times of the first frame of each quarter of a second, without flat pictures.
    sampled_elements : ndarray of uint8, shape (n_samples, 76)
        Their elements, five in a byte.
    sound_words : ndarray of uint32, shape (n_words,)
        Words of the sound's fingerprint, one for each tenth of a second.
    is_black, is_flat : ndarray of bool, shape (n_frames,)
        Pictures that are black, and of one colour.
    width, height : int
        Pixels of the first frame.
    frame_rate : float, optional
        Average frames per second by the container.
    sample_rate_hz : int, optional
        Rate of the sound; None where there is none.
    audio_offset_s : float, optional
        Start of the sound less that of the picture; None where there is no sound.
    """

    shots: tuple[Shot, ...]
    n_frames: int
    n_bad_packets: int
    duration_s: float
    video_end_s: float
    audio_end_s: float
    window_s: float
    rms: NDArray[np.float32]
    is_constant: NDArray[np.bool_]
    clipped: NDArray[np.float32]
    missing: NDArray[np.float32]
    motion: NDArray[np.float32]
    frame_times_s: NDArray[np.float64]
    words: NDArray[np.uint8]
    elements: NDArray[np.uint8]
    confidences: NDArray[np.uint8]
    sampled_times_s: NDArray[np.float64]
    sampled_elements: NDArray[np.uint8]
    sound_words: NDArray[np.uint32]
    is_black: NDArray[np.bool_]
    is_flat: NDArray[np.bool_]
    width: int
    height: int
    frame_rate: float | None
    sample_rate_hz: int | None
    audio_offset_s: float | None


@dataclass(frozen=True)
class Candidate:
    """A stretch of a video that could become a clip.

    Parameters
    ----------
    start_s, end_s : float
        Half-open range, whole milliseconds.
    shot_index : int
        The shot it lies in, or starts in when it crosses cuts.
    crosses_cut : bool
        Whether a cut lies inside.
    """

    start_s: float
    end_s: float
    shot_index: int
    crosses_cut: bool


@dataclass(frozen=True)
class ClipLimits:
    """How much of a clip may be without content; what is beyond is not proposed.

    Parameters
    ----------
    max_silence_fraction, max_stillness_fraction, max_black_fraction, \
    max_flat_fraction, max_tone_fraction, max_clipped_fraction, \
    max_missing_audio_fraction, max_dropped_fraction : float, default 1.0
        Largest shares of a clip, each in [0, 1].
    """

    max_silence_fraction: float = 1.0
    max_stillness_fraction: float = 1.0
    max_black_fraction: float = 1.0
    max_flat_fraction: float = 1.0
    max_tone_fraction: float = 1.0
    max_clipped_fraction: float = 1.0
    max_missing_audio_fraction: float = 1.0
    max_dropped_fraction: float = 1.0

    def allow(self, clip: ClipPlan) -> bool:
        """Return whether no share of a clip is beyond its limit."""
        return all(
            getattr(clip, limit.name.removeprefix("max_")) <= getattr(self, limit.name)
            for limit in fields(self)
        )


@dataclass(frozen=True)
class ClipPlan:
    """A clip to be, with what is known of it.

    Parameters
    ----------
    start_s, end_s, shot_index, crosses_cut
        As in ``Candidate``.
    silence_fraction : float
        Share of the clip with digital silence.
    stillness_fraction : float
        Share of the clip in which the picture does not change.
    black_fraction, flat_fraction : float
        Share of the clip in which black frames show, and frames of one colour.
    tone_fraction : float
        Share of the clip with a tone or noise that does not change.
    clipped_fraction : float
        Share of the sound's samples that are clipped.
    missing_audio_fraction : float
        Share of the clip for which the file has no sound.
    n_dropped_frames : int
        Frames that are missing by the distances of the others.
    dropped_fraction : float
        Of them among the frames that there should be.
    signature : bytes
        Coarse signature.
    stretch_elements : bytes
        What each of its stretches looks like.
    audio_fingerprint : bytes
        Fingerprint of the sound; empty where nothing is heard.
    fine_signature : bytes, optional
        Fine signature, where it was asked for.
    """

    start_s: float
    end_s: float
    shot_index: int
    crosses_cut: bool
    silence_fraction: float
    stillness_fraction: float
    black_fraction: float
    flat_fraction: float
    tone_fraction: float
    clipped_fraction: float
    missing_audio_fraction: float
    n_dropped_frames: int
    dropped_fraction: float
    signature: bytes = field(repr=False)
    stretch_elements: bytes = field(default=b"", repr=False)
    audio_fingerprint: bytes = field(default=b"", repr=False)
    fine_signature: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Segmentation:
    """The clips of one video, in the order of time, and how they came about.

    Parameters
    ----------
    clips : tuple of ClipPlan
        What to cut; empty when ``rule`` says why.
    n_shots : int
        Shots found.
    n_candidates : int
        Candidates among which the clips were chosen.
    rule : str
        ``inside_shots``; ``across_cuts`` (no shot is long enough); ``whole_video``
        (a little shorter than a clip); ``too_short``; ``beyond_limits`` (every
        candidate is silent, still, black, ... for more than the allowed share).
    candidate_starts_s : tuple of float
        Where they start, in the order of time.
    """

    clips: tuple[ClipPlan, ...]
    n_shots: int
    n_candidates: int
    rule: str
    candidate_starts_s: tuple[float, ...] = ()
