from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from media_files import (
    HEIGHT,
    RATE_HZ,
    WIDTH,
    grey_of,
    write_pieces_of_sound,
    write_video,
)

from acav_spark.errors import MediaError
from acav_spark.media import (
    AudioSampling,
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
    poster_isolated,
    waveform_envelope_isolated,
)
from acav_spark.media import part as part_module
from acav_spark.media.container import open_media
from acav_spark.media.decode import DecodedStreams, decode_clip, poster
from acav_spark.media.frames import resized_shape, sampling_times_s
from acav_spark.media.packets import FrameReader
from acav_spark.media.waveform import resampled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_PIXELS = 4096 * 4096


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(time_s=60)) as real:
        yield real


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds at ten frames a second; frame i has the grey level of i."""
    return write_video(
        tmp_path_factory.mktemp("decode") / "counted.mkv", duration_s=20.0
    )


def _grey_levels(frames: NDArray[np.uint8]) -> list[float]:
    return [float(level) for level in frames.mean(axis=(1, 2, 3))]


# Frames


def test_middles_of_equal_parts_are_the_wanted_times() -> None:
    times = sampling_times_s(VideoSampling(32, n_frames=4), 10.0)
    np.testing.assert_allclose(times, [1.25, 3.75, 6.25, 8.75])


def test_a_rate_gives_its_multiples_below_the_duration() -> None:
    times = sampling_times_s(VideoSampling(32, frames_per_s=2.0), 1.5)
    np.testing.assert_allclose(times, [0.0, 0.5, 1.0])
    assert len(sampling_times_s(VideoSampling(32, frames_per_s=29.97), 10.0)) == 300
    assert len(sampling_times_s(VideoSampling(32, frames_per_s=0.01), 10.0)) == 1


def test_a_sampling_asks_for_a_number_or_a_rate() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        VideoSampling(32)
    with pytest.raises(ValueError, match="exactly one"):
        VideoSampling(32, n_frames=1, frames_per_s=1.0)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((1920, 1080), 256, (455, 256)),
        ((204, 360), 102, (102, 180)),
        ((10, 10), 3, (3, 3)),
        ((4000, 1), 1, (4000, 1)),
    ],
)
def test_the_shorter_side_is_as_asked_and_the_aspect_kept(
    size: tuple[int, int], short_side: int, expected: tuple[int, int]
) -> None:
    assert resized_shape(*size, short_side) == expected


@pytest.mark.parametrize("start_s", [0.0, 3.0, 4.25, 9.55, 15.0])
def test_each_wanted_time_gets_the_frame_on_display(
    counted: Path, start_s: float
) -> None:
    decoded = decode_clip(
        counted,
        start_s,
        start_s + 5.0,
        video=[VideoSampling(24, n_frames=7), VideoSampling(48, frames_per_s=4.0)],
        max_pixels=_MAX_PIXELS,
    )
    for (frames, times_s), wanted_s in zip(
        decoded.frames,
        [(np.arange(7) + 0.5) * 5.0 / 7, np.arange(20) / 4.0],
        strict=True,
    ):
        index = np.floor((start_s + wanted_s) * 10 + 1e-6).astype(int)
        np.testing.assert_allclose(times_s, index / 10 - start_s, atol=1e-9)
        expected = [grey_of(int(i)) for i in index]
        np.testing.assert_allclose(_grey_levels(frames), expected, atol=4)
    assert decoded.frames[0][0].shape == (7, 24, 32, 3)
    assert decoded.frames[1][0].shape == (20, 48, 64, 3)
    assert decoded.frames[0][0].dtype == np.uint8
    assert decoded.frames[0][1].dtype == np.float64
    assert decoded.waveforms == []


def test_after_the_last_frame_it_stays_on_display(counted: Path) -> None:
    decoded = decode_clip(
        counted,
        18.0,
        22.0,
        video=[VideoSampling(24, frames_per_s=1.0)],
        max_pixels=_MAX_PIXELS,
    )
    np.testing.assert_allclose(decoded.frames[0][1], [0.0, 1.0, 1.9, 1.9], atol=1e-9)


def test_a_clip_beyond_the_video_has_no_frames(counted: Path) -> None:
    with pytest.raises(MediaError, match="no_frames"):
        decode_clip(
            counted,
            60.0,
            70.0,
            video=[VideoSampling(24, n_frames=2)],
            max_pixels=_MAX_PIXELS,
        )


def test_an_empty_range_is_a_mistake_of_the_caller(counted: Path) -> None:
    with pytest.raises(ValueError, match="end_s"):
        decode_clip(counted, 5.0, 5.0, max_pixels=_MAX_PIXELS)


def test_resized_frames_are_bounded_too(counted: Path) -> None:
    sampling = VideoSampling(short_side=480, n_frames=1)
    with pytest.raises(MediaError, match="640 x 480") as caught:
        decode_clip(counted, 0.0, 1.0, video=[sampling], max_pixels=300_000)
    assert caught.value.code == "too_many_pixels"


def test_streams_that_are_not_there_are_named(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "silent.mp4", duration_s=1.0, tone_hz=None)
    blind = write_video(tmp_path / "blind.mp4", duration_s=1.0, with_picture=False)
    with pytest.raises(MediaError, match="no_audio_stream"):
        decode_clip(silent, 0, 1, audio=[AudioSampling(8000)], max_pixels=_MAX_PIXELS)
    with pytest.raises(MediaError, match="no_video_stream"):
        decode_clip(
            blind, 0, 1, video=[VideoSampling(8, n_frames=1)], max_pixels=_MAX_PIXELS
        )


@pytest.mark.parametrize(
    ("name", "starts_s"),
    [
        ("chrome.webm", (5.3, 17.77)),
        ("trailer.ogv", (5.3, 17.77)),
        ("women_long_jump.mp4", (5.3, 17.77)),
        # Its key frames cannot be decoded without what the first packet tells.
        ("cockatoo.mp4", (5.3, 9.77)),
    ],
)
def test_seeking_gives_what_reading_from_the_start_gives(
    data_dir: Path,
    name: str,
    starts_s: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = data_dir / "videos" / name
    video, audio = [VideoSampling(64, n_frames=9)], [AudioSampling(16000)]

    def decoded(start_s: float) -> DecodedStreams:
        return decode_clip(
            path,
            start_s,
            start_s + 4,
            video=video,
            audio=audio,
            max_pixels=_MAX_PIXELS,
        )

    for start_s in starts_s:
        sought = decoded(start_s)
        with monkeypatch.context() as patched:
            patched.setattr(part_module, "_SEEK_FROM_S", 1e9)
            read = decoded(start_s)
        np.testing.assert_array_equal(sought.frames[0][1], read.frames[0][1])
        np.testing.assert_array_equal(sought.frames[0][0], read.frames[0][0])
        # Codecs with overlapping windows may differ in the last bits after a seek.
        np.testing.assert_allclose(sought.waveforms[0], read.waveforms[0], atol=1e-3)


def test_all_good_frames_of_a_damaged_stream_are_used(data_dir: Path) -> None:
    with open_media(data_dir / "videos" / "trailer.ogv") as container:
        reader = FrameReader(
            container, with_video=True, with_audio=False, max_pixels=_MAX_PIXELS
        )
        n_frames = sum(1 for _ in reader.frames())
    assert (n_frames, reader.n_bad_packets) == (1340, 209)


def test_frame_times_are_those_of_ffmpeg(data_dir: Path) -> None:
    path = data_dir / "videos" / "echo-hereweare.webm"  # of a changing frame rate
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", f"file:{path}"]
    shown = subprocess.run(
        [*command, "-map", "0:v:0", "-vf", "showinfo", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    expected = [
        float(line.split("pts_time:")[1].split()[0])
        for line in shown.splitlines()
        if "pts_time:" in line
    ]
    with open_media(path) as container:
        reader = FrameReader(
            container, with_video=True, with_audio=False, max_pixels=_MAX_PIXELS
        )
        actual = [time_s for time_s, _ in reader.frames()]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


# Sound


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_tone_keeps_its_frequency_phase_and_length(
    tmp_path: Path, rate_hz: int, suffix: str
) -> None:
    path = write_video(tmp_path / f"tone{suffix}", duration_s=8.0, tone_hz=440.0)

    decoded = decode_clip(
        path, 5.0, 7.5, audio=[AudioSampling(rate_hz)], max_pixels=_MAX_PIXELS
    )

    waveform = decoded.waveforms[0]
    assert waveform.dtype == np.float32
    assert len(waveform) == round(2.5 * rate_hz)
    times_s = 5.0 + np.arange(len(waveform)) / rate_hz
    expected = 0.5 * np.sin(2 * np.pi * 440.0 * times_s)
    # Matroska's time stamps are milliseconds, a fifth of a radian; AAC is lossy.
    error = np.abs(waveform - expected).max()
    assert error < 0.15
    wrong = np.abs(waveform - 0.5 * np.sin(2 * np.pi * 445.0 * times_s)).max()
    assert wrong > 0.5


def test_samples_at_their_own_rate_are_passed_on_exactly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "exact.mkv", duration_s=2.0, tone_hz=440.0)
    decoded = decode_clip(
        path, 0.0, 2.0, audio=[AudioSampling(RATE_HZ)], max_pixels=_MAX_PIXELS
    )
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(2 * RATE_HZ) / RATE_HZ)
    expected = (tone * 32767).astype(np.int16) / 32768
    np.testing.assert_array_equal(decoded.waveforms[0], expected.astype(np.float32))


def test_gaps_stay_in_their_place_as_zeros(tmp_path: Path) -> None:
    path = write_pieces_of_sound(
        tmp_path / "gaps.mkv",
        [(1.0, np.full(RATE_HZ, 0.5)), (3.0, np.full(RATE_HZ, -0.5))],
    )

    decoded = decode_clip(
        path, 0.5, 5.0, audio=[AudioSampling(RATE_HZ)], max_pixels=_MAX_PIXELS
    )

    # The container's clock starts with its first stream.
    half = RATE_HZ // 2
    expected = np.zeros(round(4.5 * RATE_HZ))
    expected[:half] = 0.5
    expected[3 * half : 5 * half] = -0.5
    actual = decoded.waveforms[0]
    assert np.abs(actual - expected).max() < 1e-4
    assert not actual[5 * half :].any()


def test_sound_that_starts_late_stays_late(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "late.mkv", duration_s=3.0, tone_hz=440.0, sound_start_s=1.5
    )
    waveform = decode_clip(
        path, 0.0, 4.0, audio=[AudioSampling(RATE_HZ)], max_pixels=_MAX_PIXELS
    ).waveforms[0]
    first = int(np.flatnonzero(waveform)[0])
    assert abs(first - 1.5 * RATE_HZ) <= 0.002 * RATE_HZ
    assert len(waveform) == 4 * RATE_HZ


def test_resampling_keeps_a_click_in_its_place() -> None:
    samples = np.zeros(44100, dtype=np.float32)
    samples[22050] = 1.0
    for rate_hz in (8000, 16000, 48000):
        moved = resampled(samples, 44100, rate_hz)
        assert abs(len(moved) - rate_hz) <= 2
        assert abs(int(np.argmax(np.abs(moved))) - rate_hz // 2) <= 1


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [
        ("-BAKe6QGTUk_000030.mp4", 44100),
        ("crystal.webm", 44100),
        ("trailer.ogv", 32000),
    ],
)
def test_sound_is_that_of_ffmpeg(data_dir: Path, name: str, rate_hz: int) -> None:
    path = data_dir / "videos" / name
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", f"file:{path}"]
    mean = "pan=mono|c0=0.5*c0+0.5*c1"
    sound = ["-map", "0:a:0", "-af", mean, "-f", "f32le", "-"]
    raw = subprocess.run([*command, *sound], check=True, capture_output=True).stdout
    whole = np.frombuffer(raw, dtype=np.float32)

    actual = decode_clip(
        path, 1.0, 9.0, audio=[AudioSampling(rate_hz)], max_pixels=_MAX_PIXELS
    ).waveforms[0]

    # ffmpeg counts samples from the first one; the time stamps of these files waver
    # by 20 ms, so that is how well the place can be known.
    reach = round(0.025 * rate_hz)
    second = whole[rate_hz - reach : 2 * rate_hz + reach]
    lag = int(np.argmax(np.correlate(second, actual[:rate_hz], "valid"))) - reach
    expected = whole[rate_hz + lag :][: len(actual)]
    np.testing.assert_allclose(actual, np.clip(expected, -1, 1), atol=1e-4)


# Everything at once


def test_one_decode_serves_all_samplings_and_the_sandbox_changes_nothing(
    sandbox: Sandbox, counted: Path
) -> None:
    video = [VideoSampling(24, n_frames=3), VideoSampling(12, frames_per_s=1.0)]
    audio = [AudioSampling(8000), AudioSampling(16000)]

    here = decode_clip(
        counted, 6.0, 8.0, video=video, audio=audio, max_pixels=_MAX_PIXELS
    )
    there = decode_clip_isolated(sandbox, counted, 6.0, 8.0, video=video, audio=audio)

    assert [len(waveform) for waveform in there.waveforms] == [16000, 32000]
    for (a, a_times), (b, b_times) in zip(here.frames, there.frames, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a_times, b_times)
    for one, other in zip(here.waveforms, there.waveforms, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_payload_belongs_to_its_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """Frame 0 and the tone of each file say which file it is."""
    tones = {f"{hz}.mkv": hz for hz in (300, 500, 700, 900)}
    for name, hz in tones.items():
        write_video(tmp_path / name, duration_s=1.0, tone_hz=hz)
    for name, hz in [*tones.items(), *reversed(tones.items())]:
        decoded = decode_clip_isolated(
            sandbox, tmp_path / name, 0.0, 1.0, audio=[AudioSampling(8000)]
        )
        spectrum = np.abs(np.fft.rfft(decoded.waveforms[0]))
        assert int(np.argmax(spectrum)) == hz


def test_a_poster_is_a_jpeg_of_the_frame_at_its_time(
    sandbox: Sandbox, counted: Path
) -> None:
    data = poster_isolated(sandbox, counted, 7.55, short_side=24)
    picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (24, 32, 3)
    assert abs(float(picture.mean()) - grey_of(75)) < 5
    assert poster(counted, 0.0, 24, max_pixels=_MAX_PIXELS).startswith(b"\xff\xd8\xff")


def test_an_envelope_holds_least_and_greatest_samples(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "half.mkv", duration_s=1.0, tone_hz=440.0)
    envelope = waveform_envelope_isolated(sandbox, path, 0.0, 2.0, n_bins=8)
    assert envelope.shape == (8, 2)
    np.testing.assert_allclose(envelope[:3], [[-0.5, 0.5]] * 3, atol=0.02)
    np.testing.assert_array_equal(envelope[5:], np.zeros((3, 2)))
    assert envelope.dtype == np.float32


def test_sizes_of_the_fixture_are_as_stated(counted: Path) -> None:
    with open_media(counted) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
