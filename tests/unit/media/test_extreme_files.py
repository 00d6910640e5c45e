"""Files that are unusual and right have exact results, worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from extreme_files import (
    HEIGHT,
    RATE_HZ,
    WIDTH,
    with_ffmpeg,
    write_pictures,
)

from acav_spark.media import (
    AudioSampling,
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
    probe_isolated,
)
from acav_spark.segment.clips import cut_plan
from acav_spark.segment.isolated import measure_video_isolated
from acav_spark.segment.types import ClipLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from acav_spark.media.decode import DecodedStreams
    from acav_spark.segment.types import VideoMeasurements

# Two seconds, dark and then bright: one cut, at 1 s.
_TIMES_S = [i / 10 for i in range(20)]
_GREYS = [40] * 10 + [200] * 10


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(time_s=30, memory_bytes=2**29)) as real:
        yield real


def _edges(measured: VideoMeasurements) -> list[float]:
    return [*(shot.start_s for shot in measured.shots), measured.shots[-1].end_s]


def _decoded(
    sandbox: Sandbox, path: Path, start_s: float, end_s: float, frames_per_s: float
) -> DecodedStreams:
    return decode_clip_isolated(
        sandbox,
        path,
        start_s,
        end_s,
        video=[VideoSampling(16, frames_per_s=frames_per_s)],
        audio=[AudioSampling(RATE_HZ)],
    )


def _greys(decoded: DecodedStreams) -> list[float]:
    return [float(level) for level in decoded.frames[0][0].mean(axis=(1, 2, 3))]


def _assert_is_two_seconds(sandbox: Sandbox, path: Path, level: float) -> None:
    """The two seconds of pictures above, and a sound of constant level."""
    assert probe_isolated(sandbox, path).duration_s == pytest.approx(2.0, abs=1e-6)
    measured = measure_video_isolated(sandbox, path)
    assert (measured.n_frames, measured.n_bad_packets) == (20, 0)
    assert measured.duration_s == pytest.approx(2.0, abs=1e-6)
    assert _edges(measured) == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)
    np.testing.assert_allclose(measured.rms[:4], level, rtol=1e-6)
    decoded = _decoded(sandbox, path, 0.5, 1.5, 4.0)
    np.testing.assert_allclose(_greys(decoded), [40, 40, 200, 200], atol=2)
    np.testing.assert_allclose(decoded.frames[0][1], [0.0, 0.2, 0.5, 0.7], atol=1e-6)
    np.testing.assert_allclose(decoded.waveforms[0], level, rtol=1e-6)


def test_the_plain_file_is_as_stated(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    _assert_is_two_seconds(sandbox, path, 0.25)


def test_frames_of_a_changing_rate_are_on_display_until_the_next(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    times_s, greys = [0, 0.4, 0.5, 2.0, 2.25, 3.0], [40, 40, 200, 200, 40, 40]
    path = write_pictures(tmp_path / "vfr.mkv", times_s, greys)

    # The last picture stays for 0.75 s, as the one before.
    assert probe_isolated(sandbox, path).duration_s == 3.75
    measured = measure_video_isolated(sandbox, path)
    assert measured.n_frames == 6
    assert measured.duration_s == measured.video_end_s == 3.75
    assert _edges(measured) == [0.0, 0.5, 2.25, 3.75]
    decoded = _decoded(sandbox, path, 0.0, 3.75, 2.0)
    shown = [0.0, 0.5, 0.5, 0.5, 2.0, 2.25, 3.0, 3.0]
    np.testing.assert_allclose(decoded.frames[0][1], shown, atol=1e-9)
    expected = [40, 200, 200, 200, 200, 40, 40, 40]
    np.testing.assert_allclose(_greys(decoded), expected, atol=2)


@pytest.mark.parametrize(
    ("channels", "mean"),
    [
        ((0.5, 0.0), 0.25),
        ((0.5, 0.0, 0.0, 0.0, 0.25, 0.0), 0.125),
        ((0.5, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.25), 0.125),
    ],
    ids=["stereo", "5.1", "7.1"],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "wavpack"])
def test_channels_count_alike(
    sandbox: Sandbox,
    tmp_path: Path,
    channels: Sequence[float],
    mean: float,
    codec: str,
) -> None:
    """Interleaved (PCM, FLAC) and as planes (WavPack), of which eight are a trap."""
    plain = write_pictures(tmp_path / "pcm.mkv", _TIMES_S, _GREYS, sound=channels)
    copy = ("-i", f"file:{plain}", "-c:v", "copy", "-c:a", codec)
    path = with_ffmpeg(tmp_path / f"{codec}.mkv", *copy)
    assert probe_isolated(sandbox, path).n_channels == len(channels)
    _assert_is_two_seconds(sandbox, path, mean)


def test_sound_of_24_channels_decodes(sandbox: Sandbox, tmp_path: Path) -> None:
    plain = write_pictures(tmp_path / "mono.mkv", _TIMES_S, _GREYS)
    levels = "|".join(f"{i / 64}" for i in range(24))
    path = with_ffmpeg(
        tmp_path / "many.mkv",
        *("-i", f"file:{plain}", "-f", "lavfi"),
        *("-i", f"aevalsrc={levels}:c=22.2:d=2:s={RATE_HZ}"),
        *("-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "wavpack"),
    )
    assert probe_isolated(sandbox, path).n_channels == 24
    _assert_is_two_seconds(sandbox, path, sum(range(24)) / 64 / 24)


def test_sound_of_8_bits_is_centred(sandbox: Sandbox, tmp_path: Path) -> None:
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    copy = ("-i", f"file:{plain}", "-c:v", "copy", "-c:a", "pcm_u8")
    path = with_ffmpeg(tmp_path / "8bit.mkv", *copy)
    _assert_is_two_seconds(sandbox, path, 0.25)


def test_of_several_sound_tracks_the_first_is_heard(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    path = with_ffmpeg(
        tmp_path / "tracks.mkv",
        *("-i", f"file:{plain}", "-f", "lavfi", "-i", "aevalsrc=0.75:d=2:s=16000"),
        *("-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "pcm_s16le"),
    )
    facts = probe_isolated(sandbox, path)
    assert (facts.n_audio_streams, facts.sample_rate_hz) == (2, RATE_HZ)
    _assert_is_two_seconds(sandbox, path, 0.25)


@pytest.mark.parametrize(
    "options", [("-display_rotation", "90"), ("-display_hflip",)], ids=["90", "flip"]
)
def test_a_rotated_picture_stays_as_coded(
    sandbox: Sandbox, tmp_path: Path, options: Sequence[str]
) -> None:
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    copy = ("-i", f"file:{plain}", "-c", "copy")
    path = with_ffmpeg(tmp_path / "turned.mov", *options, *copy)
    facts = probe_isolated(sandbox, path)
    assert (facts.width, facts.height) == (WIDTH, HEIGHT)
    _assert_is_two_seconds(sandbox, path, 0.25)
    frames = _decoded(sandbox, path, 0.0, 1.0, 1.0).frames[0][0]
    assert frames.shape == (1, 16, 21, 3)  # 16 / 48 of 64 x 48


def test_an_anamorphic_picture_stays_as_coded(sandbox: Sandbox, tmp_path: Path) -> None:
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    stretch = ("-i", f"file:{plain}", "-vf", "setsar=2", "-c:v", "ffv1")
    path = with_ffmpeg(tmp_path / "wide.mkv", *stretch, "-c:a", "copy")
    facts = probe_isolated(sandbox, path)
    assert (facts.width, facts.height) == (WIDTH, HEIGHT)
    _assert_is_two_seconds(sandbox, path, 0.25)


@pytest.mark.parametrize("offset_s", [0.2, 0.7, 100.0, 90_000.0])
def test_times_count_from_where_the_clock_starts(
    sandbox: Sandbox, tmp_path: Path, offset_s: float
) -> None:
    times_s = [offset_s + time_s for time_s in _TIMES_S]
    path = write_pictures(tmp_path / "offset.mkv", times_s, _GREYS)
    if offset_s < 0.5:
        # Less is left to the header, which counts from zero.
        assert probe_isolated(sandbox, path).duration_s == pytest.approx(2.2)
        return
    _assert_is_two_seconds(sandbox, path, 0.25)


def test_a_jump_of_the_clock_is_a_picture_that_stays(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    times_s = [0, 0.1, 0.2, 0.3, 1000.0, 1000.1, 1000.2]
    greys = [40, 40, 200, 200, 200, 40, 40]
    path = write_pictures(tmp_path / "jump.mkv", times_s, greys, sound_s=0.4)

    measured = measure_video_isolated(sandbox, path)

    assert measured.n_frames == 7
    assert measured.duration_s == pytest.approx(1000.3)
    assert measured.audio_end_s == 0.4
    assert _edges(measured) == pytest.approx([0.0, 0.2, 1000.1, 1000.3])
    assert len(measured.rms) == len(measured.motion) == 2001
    assert np.flatnonzero(np.isfinite(measured.motion)).tolist() == [0, 2000]
    # Nothing changes, and nothing is to be heard, where the clock jumped.
    plan = cut_plan(
        measured,
        clip_duration_s=10.0,
        max_clips=3,
        limits=ClipLimits(max_silence_fraction=0.9, max_stillness_fraction=0.9),
        duration_s=1000.3,
    )
    assert plan.clips == ()


def test_frames_of_a_clock_that_goes_back_are_counted_and_not_shown(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A transport stream and itself once more: after 2 s comes 0 s again."""
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    once = with_ffmpeg(
        tmp_path / "once.ts",
        *("-i", f"file:{plain}", "-c:v", "mpeg2video", "-g", "1"),
        *("-c:a", "mp2", "-ar", "16000"),
    )
    path = tmp_path / "twice.ts"
    path.write_bytes(once.read_bytes() * 2)

    one, two = (measure_video_isolated(sandbox, p) for p in (once, path))

    assert (one.n_frames, two.n_frames) == (20, 40)
    assert two.n_bad_packets == 0
    # The sound's encoder adds some milliseconds before the first picture.
    assert np.diff(_edges(one)) == pytest.approx([1.0, 1.0], abs=1e-6)
    assert _edges(two) == _edges(one)
    assert two.duration_s == one.duration_s
    greys = [_greys(_decoded(sandbox, p, 0.5, 2.0, 4.0)) for p in (once, path)]
    assert greys[0] == greys[1]


def test_ten_thousand_shots_are_found_and_none_is_long_enough(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """1,000 s of pictures that change every 0.1 s, two frames each."""
    n_frames = 20_000
    times_s = [i / 20 for i in range(n_frames)]
    greys = [40 + 160 * (i // 2 % 2) for i in range(n_frames)]
    path = write_pictures(tmp_path / "shots.mkv", times_s, greys)

    measured = measure_video_isolated(sandbox, path)

    assert (measured.n_frames, len(measured.shots)) == (n_frames, 10_000)
    lengths = np.diff(_edges(measured))
    np.testing.assert_allclose(lengths, 0.1, atol=1e-9)
    plan = cut_plan(
        measured,
        clip_duration_s=10.0,
        max_clips=3,
        limits=ClipLimits(max_silence_fraction=0.9, max_stillness_fraction=0.9),
        duration_s=1000.0,
    )
    assert plan.rule == "across_cuts"
    assert len(plan.clips) == 3
    assert all(clip.crosses_cut for clip in plan.clips)
