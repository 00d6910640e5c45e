"""Shares of made videos that show or sound nothing, computed by hand."""

from __future__ import annotations

import csv
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from acav_spark.config.segmenting import SegmentationConfig
from acav_spark.segment import ClipLimits, cut_plan
from acav_spark.segment.blank import black_and_flat
from acav_spark.segment.measure import measure_video
from acav_spark.segment.sound import SoundMeter
from acav_spark.segment.timeline import FrameTimeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from acav_spark.segment import ClipPlan, Segmentation

_MAX_PIXELS = 4096 * 4096
_RATE_HZ = 16000
_FRAME_RATE = 10
_N_FRAMES = 10 * _FRAME_RATE
_N_SAMPLES = 10 * _RATE_HZ
_DEFAULTS = SegmentationConfig()


def _default_limits() -> ClipLimits:
    return ClipLimits(**{name: getattr(_DEFAULTS, name) for name in vars(ClipLimits())})


def _speech(rng: np.random.Generator, n: int = _N_SAMPLES) -> NDArray[np.float64]:
    """Return noise whose loudness changes by 4 dB and more every half second."""
    levels = 0.3 * 10 ** (-0.2 * (np.arange(n) * 2 // _RATE_HZ % 4))
    return np.asarray(rng.standard_normal(n).clip(-3, 3) * levels, dtype=np.float64)


def _pictures(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return pictures of coarse squares, another one for each frame."""
    small = rng.integers(60, 200, (_N_FRAMES, 6, 8), dtype=np.uint8)
    return np.asarray(small.repeat(8, axis=1).repeat(8, axis=2))


def _written(
    path: Path,
    luma: NDArray[np.uint8],
    pieces: Sequence[tuple[float, NDArray[np.float64]]],
    *,
    times: Sequence[int] | None = None,
    start_s: float = 0.0,
) -> Path:
    """Write luma at ten frames a second, and pieces of sound at their times."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("ffv1", rate=_FRAME_RATE)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono")
        for index, picture in zip(times or range(len(luma)), luma, strict=False):
            planes = np.full((72, 64), 128, dtype=np.uint8)
            planes[:48] = picture
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index + round(start_s * _FRAME_RATE)
            frame.time_base = Fraction(1, _FRAME_RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for begin_s, samples in pieces:
            scaled = (samples * 32768).clip(-32768, 32767).astype(np.int16)
            # 50 ms each: Matroska's time stamps are whole milliseconds.
            for first in range(0, len(scaled), 800):
                part = scaled[np.newaxis, first : first + 800]
                piece = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                piece.sample_rate, piece.time_base = _RATE_HZ, Fraction(1, _RATE_HZ)
                piece.pts = round(begin_s * _RATE_HZ) + first
                container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    return path


def _plan(path: Path, limits: ClipLimits | None = None) -> Segmentation:
    measured = measure_video(path, 100.0, max_pixels=_MAX_PIXELS)
    return cut_plan(measured, clip_duration_s=10.0, max_clips=3, limits=limits)


def _clip(path: Path) -> ClipPlan:
    (clip,) = _plan(path).clips
    assert (clip.start_s, clip.end_s) == (0.0, 10.0)
    return clip


def test_nothing_is_wrong_with_a_video_of_pictures_and_sound(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = _written(tmp_path / "a.mkv", _pictures(rng), [(0.0, _speech(rng))])
    clip = _clip(path)
    assert _shares(clip) == dict.fromkeys(_shares(clip), 0.0)
    assert measure_video(path, max_pixels=_MAX_PIXELS).audio_offset_s == 0.0


def test_black_and_plain_frames_are_shares_of_the_clip(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    luma = _pictures(rng)
    luma[20:30] = 16
    luma[50:75] = 120
    clip = _clip(_written(tmp_path / "a.mkv", luma, [(0.0, _speech(rng))]))
    assert (clip.black_fraction, clip.flat_fraction) == (0.1, 0.35)


def test_a_tone_and_a_noise_that_stay_are_constant_sound(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    sound = _speech(rng)
    second = np.arange(_RATE_HZ) / _RATE_HZ
    sound[_RATE_HZ : 2 * _RATE_HZ] = 0.5 * np.sin(2 * np.pi * 441.0 * second)
    sound[4 * _RATE_HZ : 6 * _RATE_HZ] = rng.standard_normal(2 * _RATE_HZ) * 0.05
    # Digital silence is another measure.
    sound[8 * _RATE_HZ :] = 0.0
    clip = _clip(_written(tmp_path / "a.mkv", _pictures(rng), [(0.0, sound)]))
    assert (clip.tone_fraction, clip.silence_fraction) == (0.3, 0.2)


def test_clipped_samples_are_those_of_runs_of_three_at_full_scale(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    sound = _speech(rng).clip(-0.9, 0.9)
    # A second of a wave that is cut off for half of each period of 20 samples.
    wave = np.sin(2 * np.pi * np.arange(_RATE_HZ) / 20 + 0.1)
    sound[3 * _RATE_HZ : 4 * _RATE_HZ] = np.where(abs(wave) > 0.7, np.sign(wave), wave)
    # Peaks of two samples do not count.
    sound[0:_RATE_HZ:50] = sound[1:_RATE_HZ:50] = 1.0
    clip = _clip(_written(tmp_path / "a.mkv", _pictures(rng), [(0.0, sound)]))
    assert clip.clipped_fraction == pytest.approx(0.05, abs=1e-6)


def test_stretches_without_packets_of_sound_are_missing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    sound = _speech(rng)
    pieces = [(0.0, sound[: 3 * _RATE_HZ]), (4.25, sound[: round(5.75 * _RATE_HZ)])]
    clip = _clip(_written(tmp_path / "a.mkv", _pictures(rng), pieces))
    assert clip.missing_audio_fraction == pytest.approx(0.125, abs=1e-3)
    assert clip.silence_fraction == 0.1


def test_sound_that_starts_late_is_offset_and_missing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    sound = _speech(rng)
    late = _written(
        tmp_path / "late.mkv", _pictures(rng), [(1.5, sound[: 8 * _RATE_HZ])]
    )
    assert measure_video(late, max_pixels=_MAX_PIXELS).audio_offset_s == 1.5
    # 1.5 s before, and 0.5 s after it.
    assert _clip(late).missing_audio_fraction == pytest.approx(0.2, abs=1e-3)
    early = _written(
        tmp_path / "early.mkv", _pictures(rng), [(0.0, sound)], start_s=0.5
    )
    assert measure_video(early, max_pixels=_MAX_PIXELS).audio_offset_s == -0.5


def test_a_video_without_sound_has_no_offset_and_misses_all_of_it(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = _written(tmp_path / "a.mkv", _pictures(rng), [])
    assert measure_video(path, max_pixels=_MAX_PIXELS).audio_offset_s is None
    assert _clip(path).missing_audio_fraction == 1.0


def test_frames_that_are_missing_are_counted_in_the_clip(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    lost = {10, 30, 31, 32, 33, 70}
    kept = [index for index in range(_N_FRAMES) if index not in lost]
    path = _written(
        tmp_path / "a.mkv", _pictures(rng)[kept], [(0.0, _speech(rng))], times=kept
    )
    clip = _clip(path)
    assert (clip.n_dropped_frames, clip.dropped_fraction) == (6, 0.06)


def test_only_frames_that_should_lie_in_the_stretch_are_missing_there() -> None:
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0, 1.14, 1.24])
    nothing = np.zeros(len(times), dtype=np.bool_)
    timeline = FrameTimeline(times, nothing, nothing)
    # 0.4 to 0.7 are missing; 1.0 to 1.14 is less than one and a half.
    assert timeline.dropped(0.0, 2.0) == (4, round(4 / 13, 6))
    assert timeline.dropped(0.5, 0.7) == (2, 1.0)
    assert timeline.dropped(0.8, 2.0) == (0, 0.0)


def test_a_picture_counts_for_the_time_that_it_is_shown() -> None:
    # In the order of decoding; of two at 2 s the later one stays.
    times = np.array([0.0, 4.0, 2.0, 2.0])
    is_black = np.array([True, False, True, False])
    timeline = FrameTimeline(times, is_black, ~is_black)
    assert timeline.black_and_flat(0.0, 8.0) == (0.25, 0.75)
    assert timeline.black_and_flat(1.0, 3.0) == (0.5, 0.5)
    assert timeline.black_and_flat(5.0, 8.0) == (0.0, 1.0)


def test_a_dark_picture_with_something_in_it_is_not_black() -> None:
    cells = np.full((4, 2, 2), 18)
    cells[1] = [[17, 24], [18, 18]]
    cells[2] = 90
    cells[3] = [[17, 18], [18, 20]]
    corners = np.zeros((4, 3, 3), dtype=np.int64)
    corners[:, 1:, 1:] = (cells * 100).cumsum(axis=1).cumsum(axis=2)
    edges = np.array([0, 10, 20])
    is_black, is_flat = black_and_flat(corners.reshape(4, 9), edges, edges)
    assert is_black.tolist() == [True, False, False, True]
    assert is_flat.tolist() == [True, False, True, False]


def test_runs_at_full_scale_are_counted_across_frames() -> None:
    """Of 1, then 1 and 1, three are clipped; so is a frame of nothing else."""
    meter = SoundMeter()
    shapes = ["..1", ".11", "1..", "111", "1.1", "1.."]
    for index, shape in enumerate(shapes):
        samples = np.array([[float(c == "1") for c in shape]], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = _RATE_HZ
        meter.add(index * 3 / _RATE_HZ, frame)
    # ..1 .11 1.. 111 1.1 1..: runs of 1, 3, 4 and 2.
    assert meter.clipped(1)[0] == pytest.approx(7 / 18)


@pytest.mark.parametrize("grey", [16, 120])
def test_by_default_a_clip_that_shows_nothing_is_not_proposed(
    tmp_path: Path, rng: np.random.Generator, grey: int
) -> None:
    luma = np.full((_N_FRAMES, 48, 64), grey, dtype=np.uint8)
    path = _written(tmp_path / "a.mkv", luma, [(0.0, _speech(rng))])
    plan = _plan(path, _default_limits())
    assert (plan.clips, plan.rule, plan.n_candidates) == ((), "beyond_limits", 1)


@pytest.mark.parametrize("limit", list(vars(ClipLimits())))
def test_each_limit_is_about_its_own_share(
    tmp_path: Path, rng: np.random.Generator, limit: str
) -> None:
    """Everything is wrong with this video for a part of the clip."""
    sound = np.zeros(_N_SAMPLES)
    sound[: 4 * _RATE_HZ] = np.sign(np.sin(np.arange(4 * _RATE_HZ) / 20 + 0.1))
    luma = _pictures(rng)
    luma[20:50] = 16
    kept = [index for index in range(_N_FRAMES) if index not in (60, 61)]
    path = _written(
        tmp_path / "a.mkv", luma[kept], [(0.0, sound[: 8 * _RATE_HZ])], times=kept
    )
    share = getattr(_clip(path), limit.removeprefix("max_"))
    assert 0.0 < share < 1.0
    assert len(_plan(path, ClipLimits(**{limit: share})).clips) == 1
    assert not _plan(path, ClipLimits(**{limit: share - 1e-6})).clips


def _shares(clip: ClipPlan) -> dict[str, float]:
    return {
        name: getattr(clip, name)
        for name in (
            *(limit.removeprefix("max_") for limit in vars(ClipLimits())),
            "n_dropped_frames",
        )
    }


def _check_real_videos(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        measured = measure_video(folder / name, max_pixels=_MAX_PIXELS)
        everything, default = (
            cut_plan(measured, clip_duration_s=5.0, max_clips=99, limits=limits)
            for limits in (None, _default_limits())
        )
        assert everything.clips, name
        assert default.clips == everything.clips, name


def test_defaults_keep_the_clips_of_real_videos(data_dir: Path) -> None:
    names = ["00W1lcxW-WU_40.000.mp4", "obama_speech.mp4", "video_02997.mp4"]
    _check_real_videos(data_dir / "videos", names)


@pytest.mark.slow
def test_defaults_keep_the_clips_of_every_real_video(data_dir: Path) -> None:
    with (data_dir / "videos" / "videos.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert len(names) == 33
    _check_real_videos(data_dir / "videos", names)
