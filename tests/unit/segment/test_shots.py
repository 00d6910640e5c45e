from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import imageio_ffmpeg
import numpy as np
import pytest

from acav_spark.errors import MediaError
from acav_spark.media import Limits, Sandbox
from acav_spark.segment import Shot, detect_shots, measure_video_isolated
from acav_spark.segment.measure import measure_video
from acav_spark.segment.shots import shots_from_cuts

if TYPE_CHECKING:
    from pathlib import Path

_MAX_PIXELS = 4096 * 4096
_RATE_HZ = 16000
_FRAME_RATE = 10


def _write_shots(
    path: Path, levels: list[int], *, shot_s: float = 2.0, loudness: list[float]
) -> Path:
    """Write still shots of the given grey levels, each with noise of a loudness."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="matroska") as container:
        picture = container.add_stream("mpeg4", rate=_FRAME_RATE)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono")
        n_frames = round(shot_s * _FRAME_RATE)
        for index in range(n_frames * len(levels)):
            pixels = np.full((48, 64, 3), levels[index // n_frames], dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, _FRAME_RATE)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for index, volume in enumerate(loudness):
            n_samples = round(shot_s * _RATE_HZ)
            samples = (noise.standard_normal((1, n_samples)) * volume * 32768).astype(
                np.int16
            )
            piece = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            piece.sample_rate, piece.pts = _RATE_HZ, index * n_samples
            piece.time_base = Fraction(1, _RATE_HZ)
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    return path


def test_shots_lie_between_the_first_frame_the_cuts_and_the_end() -> None:
    assert shots_from_cuts(0.5, [2.0, 3.5], 6.0) == (
        Shot(0.5, 2.0),
        Shot(2.0, 3.5),
        Shot(3.5, 6.0),
    )
    assert shots_from_cuts(0.0, [], 6.0) == (Shot(0.0, 6.0),)


def test_cuts_outside_the_video_make_no_empty_shots() -> None:
    assert shots_from_cuts(1.0, [0.5, 1.0, 2.0, 3.0, 4.0], 3.0) == (
        Shot(1.0, 2.0),
        Shot(2.0, 3.0),
    )


def test_a_hard_cut_is_found_at_its_frame(tmp_path: Path) -> None:
    path = _write_shots(tmp_path / "cuts.mkv", [30, 200, 90], loudness=[0.1] * 3)
    assert detect_shots(path) == [Shot(0.0, 2.0), Shot(2.0, 4.0), Shot(4.0, 6.0)]
    assert detect_shots(path, threshold=100.0) == [Shot(0.0, 6.0)]
    # 30 to 200 is two thirds of the range, 200 to 90 less.
    assert detect_shots(path, threshold=55.0) == [Shot(0.0, 2.0), Shot(2.0, 6.0)]


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("chrome.webm", 10.0),
        ("women_long_jump.mp4", 2.0),
        ("echo-hereweare.webm", 10.0),
        ("trailer.ogv", 1.0),
    ],
)
def test_cuts_are_those_of_ffmpeg(data_dir: Path, name: str, threshold: float) -> None:
    path = data_dir / "videos" / name
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", f"file:{path}"]
    scdet = ["-map", "0:v:0", "-vf", f"scdet=threshold={threshold}"]
    said = subprocess.run(
        [*command, *scdet, "-fps_mode", "passthrough", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    expected = [float(time) for time in re.findall(r"lavfi.scd.time: ([\d.]+)", said)]

    shots = detect_shots(path, threshold)

    assert len(expected) > 0
    assert len(shots) == len(expected) + 1
    np.testing.assert_allclose([s.start_s for s in shots[1:]], expected, atol=1e-4)
    assert all(a.end_s == b.start_s for a, b in pairwise(shots))


def test_silence_stillness_and_signatures_are_measured_where_they_are(
    tmp_path: Path,
) -> None:
    path = _write_shots(
        tmp_path / "curves.mkv", [30, 30, 200], loudness=[0.1, 0.0, 0.02]
    )

    measured = measure_video(path, 10.0, max_pixels=_MAX_PIXELS)

    assert (measured.n_frames, measured.n_bad_packets) == (60, 0)
    assert measured.duration_s == pytest.approx(6.0, abs=1e-6)
    assert (measured.width, measured.height) == (64, 48)
    assert (measured.frame_rate, measured.sample_rate_hz) == (10.0, _RATE_HZ)
    assert measured.window_s == 0.5
    np.testing.assert_allclose(measured.rms[0:4], 0.1, rtol=0.05)
    np.testing.assert_allclose(measured.rms[4:8], 0.0, atol=1e-3)
    np.testing.assert_allclose(measured.rms[8:12], 0.02, rtol=0.05)
    assert (measured.motion[:8] < 0.02).all()
    assert measured.motion[8] > 5
    assert (measured.motion[9:12] < 1).all()
    assert (measured.words.shape, measured.elements.shape) == ((60, 5), (0, 76))
    np.testing.assert_allclose(measured.frame_times_s, np.arange(60) / 10)
    # Flat pictures: every element is near 0, and there is nothing to trust.
    assert set(measured.words.ravel()) == {121}
    assert measured.confidences.max() < 10


def test_one_bad_packet_does_not_cost_a_video(data_dir: Path) -> None:
    measured = measure_video(
        data_dir / "videos" / "trailer.ogv", max_pixels=_MAX_PIXELS
    )
    assert (measured.n_frames, measured.n_bad_packets) == (1340, 209)
    assert (measured.width, measured.height) == (300, 180)
    assert measured.duration_s == pytest.approx(64.54, abs=0.01)


def test_a_sandbox_measures_the_same(tmp_path: Path) -> None:
    path = _write_shots(tmp_path / "same.mkv", [30, 200], loudness=[0.1, 0.2])
    here = measure_video(path, 10.0, max_pixels=_MAX_PIXELS, keep_elements=True)

    with Sandbox(Limits(time_s=30)) as sandbox:
        there = measure_video_isolated(sandbox, path, 10.0, keep_elements=True)

    assert there.shots == here.shots
    for name in ("rms", "motion", "frame_times_s", "words", "elements", "confidences"):
        one, other = getattr(here, name), getattr(there, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert (there.duration_s, there.n_frames) == (here.duration_s, here.n_frames)


def test_a_video_without_sound_still_has_shots(tmp_path: Path) -> None:
    path = tmp_path / "mute.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        picture = container.add_stream("mpeg4", rate=_FRAME_RATE)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for index in range(10):
            pixels = np.full((48, 64, 3), 100, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, _FRAME_RATE)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))

    measured = measure_video(path, max_pixels=_MAX_PIXELS)

    assert measured.shots == (Shot(0.0, 1.0),)
    assert measured.sample_rate_hz is None
    assert not measured.rms.any()


def test_a_sound_without_picture_has_no_shots(tmp_path: Path) -> None:
    path = tmp_path / "blind.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        sound = container.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono")
        samples = np.zeros((1, _RATE_HZ), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = _RATE_HZ
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(MediaError, match="no_video_stream"):
        detect_shots(path)
