"""A clip's file shows and plays what the video does, to the frame and the sample.

ffmpeg, another build of the library and a reader of its own, says what that is.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from extreme_files import RATE_HZ, with_ffmpeg, write_pictures
from ffmpeg_oracle import Shown, played, shown

from acav_spark.cutting import CutSettings, encode_clip, encode_clip_isolated
from acav_spark.cutting.picture import ticks_per_s
from acav_spark.errors import MediaError
from acav_spark.features.registry import create_extractor
from acav_spark.media import (
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
)
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_PIXELS = 4096 * 4096
_FINE = CutSettings(crf=12)
# Frames come at times that no rate explains.
_TIMES_S = [0, 0.4, 0.5, 0.75, 0.9, 1.333, 2.0, 2.25, 3.0]
_GREYS = [40, 60, 80, 100, 120, 140, 160, 180, 200]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(time_s=60)) as real:
        yield real


def _cut(
    path: Path, start_s: float, end_s: float, settings: CutSettings = _FINE
) -> Path:
    target = path.parent / f"{path.stem}-{start_s}-{end_s}.mp4"
    encoded = encode_clip(path, start_s, end_s, settings, max_pixels=_MAX_PIXELS)
    target.write_bytes(encoded.file)
    return target


def _expected(source: Shown, start_s: float, end_s: float) -> tuple[slice, list[float]]:
    """Return which frames are on display in a clip, and their times in its file."""
    first = int(np.searchsorted(source.times_s, start_s + 1e-5, side="right")) - 1
    end = int(np.searchsorted(source.times_s, end_s - 1e-5, side="left"))
    times = source.times_s[first:end] - start_s
    return slice(first, end), [max(float(time), 0.0) for time in times]


def _assert_same_pictures(
    source_path: Path, cut_path: Path, start_s: float, end_s: float
) -> tuple[Shown, Shown]:
    source, cut = shown(source_path, end_s), shown(cut_path)
    chosen, times_s = _expected(source, start_s, end_s)
    # ffmpeg prints six digits.
    np.testing.assert_allclose(cut.times_s, times_s, atol=2e-6)
    height, width = cut.frames.shape[1:]
    frames = source.frames[chosen, :height, :width]
    error = np.abs(frames.astype(np.int16) - cut.frames).mean(axis=(1, 2))
    assert error.max() < 2.5
    return source, cut


def _video_duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return float(stream.duration * stream.time_base)


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [
        (0.0, 3.0),
        (0.45, 2.1),
        (0.5, 2.0),
        (0.501, 2.251),
        (0.899, 0.901),
        (2.5, 3.6),  # the last frame of the video is on display at its end
    ],
)
def test_frames_of_a_changing_rate_keep_their_times(
    tmp_path: Path, start_s: float, end_s: float
) -> None:
    path = write_pictures(tmp_path / "vfr.mkv", _TIMES_S, _GREYS)

    cut = _cut(path, start_s, end_s)

    _assert_same_pictures(path, cut, start_s, end_s)
    # The last frame is on display until the end.
    assert _video_duration_s(cut) == pytest.approx(end_s - start_s, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "turn"),
    [
        (("-display_rotation", "90"), 1),
        (("-display_rotation", "180"), 2),
        (("-display_rotation", "-90"), 3),
        (("-display_hflip",), 0),
    ],
    ids=["90", "180", "270", "flip"],
)
def test_a_turned_picture_stays_as_coded_and_players_turn_it(
    tmp_path: Path, options: tuple[str, ...], turn: int
) -> None:
    plain = with_ffmpeg(
        tmp_path / "plain.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=128x96:d=2:r=10"),
        *("-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p"),
    )
    path = with_ffmpeg(
        tmp_path / "turned.mp4", *options, "-i", f"file:{plain}", "-c", "copy"
    )

    cut = _cut(path, 0.35, 1.65)

    source, copy = _assert_same_pictures(path, cut, 0.35, 1.65)
    upright = (96, 128) if turn % 2 == 0 else (128, 96)
    assert source.frames.shape[1:] == copy.frames.shape[1:] == upright
    with av.open(str(cut)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (128, 96)


@pytest.mark.parametrize("aspect", ["4/3", "16/15"])
def test_the_aspect_of_pixels_is_kept(tmp_path: Path, aspect: str) -> None:
    plain = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    path = with_ffmpeg(
        tmp_path / "wide.mkv",
        *("-i", f"file:{plain}", "-vf", f"setsar={aspect}", "-c:v", "ffv1"),
    )
    source, cut = _assert_same_pictures(path, _cut(path, 0.5, 2.5), 0.5, 2.5)
    assert cut.pixel_aspect == source.pixel_aspect == aspect.replace("/", ":")


@pytest.mark.parametrize(
    ("pixels", "size", "expected"),
    [
        ("yuv420p", "65x49", (64, 48)),
        ("yuv444p", "64x49", (64, 48)),
        ("yuv422p10le", "64x48", (64, 48)),
        ("yuvj420p", "66x50", (66, 50)),
        ("rgb24", "64x48", (64, 48)),
    ],
)
def test_sizes_and_formats_that_x264_does_not_take_become_such_that_it_does(
    tmp_path: Path, pixels: str, size: str, expected: tuple[int, int]
) -> None:
    path = with_ffmpeg(
        tmp_path / "odd.mkv",
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:d=1:r=10"),
        *("-c:v", "ffv1" if pixels != "yuvj420p" else "mjpeg", "-pix_fmt", pixels),
    )
    cut = _cut(path, 0.2, 0.8)
    _, copy = _assert_same_pictures(path, cut, 0.2, 0.8)
    assert (copy.frames.shape[2], copy.frames.shape[1]) == expected


def test_the_shorter_side_is_bounded(tmp_path: Path) -> None:
    path = with_ffmpeg(
        tmp_path / "large.mkv",
        *("-f", "lavfi", "-i", "testsrc2=s=96x170:d=1:r=10", "-c:v", "ffv1"),
    )
    for bound, expected in ((50, (50, 88)), (96, (96, 170)), (200, (96, 170))):
        settings = CutSettings(max_short_side=bound)
        clip = encode_clip(path, 0.0, 0.5, settings, max_pixels=_MAX_PIXELS)
        assert (clip.width, clip.height) == expected


def _clicks(rate_hz: int, duration_s: float) -> NDArray[np.float32]:
    """Return noise that correlates with itself at one shift only."""
    draws = np.random.default_rng(5)
    return draws.uniform(-0.5, 0.5, round(rate_hz * duration_s)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_sound_lies_where_it_was_to_the_sample(
    tmp_path: Path, rate_hz: int, layout: str
) -> None:
    n_channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    noise = _clicks(rate_hz, 3.0)
    samples = np.stack([noise * (1 - channel / 10) for channel in range(n_channels)])
    path = _with_sound(tmp_path, samples, rate_hz, layout)
    start_s, end_s = 0.613, 2.207

    settings = CutSettings(audio_kbps=256)
    cut = _cut(path, start_s, end_s, settings)

    heard = played(cut, rate_hz, n_channels)
    first, n = round(start_s * rate_hz), round((end_s - start_s) * rate_hz)
    # The encoder's last frame of 1024 samples may be longer than the clip.
    assert n <= heard.shape[1] <= n + 1024
    # Channel 4 of 5.1 is for low frequencies alone.
    for channel in {0, 1, n_channels - 1} & set(range(n_channels)):
        expected = samples[channel, first : first + n]
        shifts = range(-40, 41)
        likeness = [
            float(np.dot(np.roll(expected, s)[50:-50], heard[channel, 50 : n - 50]))
            for s in shifts
        ]
        assert shifts[int(np.argmax(likeness))] == 0
    assert np.abs(heard[:, n + 64 :]).max(initial=0.0) < 0.3


def _with_sound(
    folder: Path, samples: NDArray[np.float32], rate_hz: int, layout: str
) -> Path:
    raw = folder / "sound.f32"
    raw.write_bytes(np.ascontiguousarray(samples.T).tobytes())
    kind = ("-f", "f32le", "-ar", f"{rate_hz}", "-ch_layout", layout)
    return with_ffmpeg(
        # Its clock is that of the samples; Matroska's has milliseconds.
        folder / "sound.mov",
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:d=3:r=10", *kind, "-i", f"file:{raw}"),
        *("-c:v", "mjpeg", "-c:a", "pcm_f32le"),
    )


def test_sound_that_begins_late_begins_late_in_the_file(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS, sound_s=1.0)
    cut = _cut(path, 0.5, 2.5, CutSettings(audio_kbps=256))
    heard = played(cut, RATE_HZ, 1)[0]
    np.testing.assert_allclose(heard[400:3600], 0.25, atol=0.03)
    assert np.abs(heard[4400:]).max() < 0.03  # zeros after the sound's end
    assert len(heard) >= 2 * RATE_HZ


def test_a_video_without_sound_gives_a_file_without(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "mute.mkv", _TIMES_S, _GREYS, sound=None)
    clip = encode_clip(path, 0.0, 2.0, _FINE, max_pixels=_MAX_PIXELS)
    assert (clip.n_channels, clip.sample_rate_hz) == (None, None)
    with av.open(io.BytesIO(clip.file)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_channels_that_aac_does_not_have_become_their_mean(tmp_path: Path) -> None:
    sound = (0.5, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.25)
    path = write_pictures(tmp_path / "many.mkv", _TIMES_S, _GREYS, sound=sound)
    cut = _cut(path, 0.0, 2.0)
    heard = played(cut, RATE_HZ, 1)[0]
    np.testing.assert_allclose(heard[400:15_600], 0.125, atol=0.02)


def test_the_index_comes_first_and_the_same_clip_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    one, two = (
        bytes(encode_clip(path, 0.5, 2.5, _FINE, max_pixels=_MAX_PIXELS).file)
        for _ in range(2)
    )
    assert one == two
    assert one.index(b"moov") < one.index(b"mdat")
    assert b"Lavf" not in one


def test_an_empty_range_and_a_range_beyond_the_video_are_refused(
    tmp_path: Path,
) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    with pytest.raises(ValueError, match="end_s: expected a number above"):
        encode_clip(path, 1.0, 1.0, _FINE, max_pixels=_MAX_PIXELS)
    with pytest.raises(MediaError, match="no_frames"):
        encode_clip(path, 60.0, 61.0, _FINE, max_pixels=_MAX_PIXELS)
    with pytest.raises(MediaError, match="too_many_pixels"):
        encode_clip(path, 1.0, 2.0, _FINE, max_pixels=1000)


@pytest.mark.parametrize(
    ("time_base", "expected"),
    [
        (Fraction(1, 12_800), 64_000),
        (Fraction(1, 90_000), 90_000),
        (Fraction(1001, 30_000), 30_000),
        (Fraction(1, 11_988), 2_997_000),
        (Fraction(1, 1_000_000_000), 10_000_000),
        (None, 10_000_000),
    ],
)
def test_a_clock_tells_both_the_streams_times_and_milliseconds(
    time_base: Fraction | None, expected: int
) -> None:
    assert ticks_per_s(time_base) == expected


# In the sandbox, and on real clips


def test_a_file_comes_through_the_sandbox_in_pieces_unchanged(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = with_ffmpeg(
        tmp_path / "noise.mkv",
        *("-f", "lavfi", "-i", "nullsrc=s=320x240:d=2:r=25,noise=alls=100:allf=t"),
        *("-c:v", "libx264", "-crf", "12", "-preset", "ultrafast"),
    )
    pieces: list[bytes] = []
    settings = CutSettings(crf=10, preset="ultrafast")
    facts = encode_clip_isolated(sandbox, path, 0.2, 1.8, settings, pieces.append)
    direct = encode_clip(path, 0.2, 1.8, settings, max_pixels=_MAX_PIXELS)
    assert len(pieces) > 2
    assert {len(piece) for piece in pieces[:-1]} == {2**20}
    assert b"".join(pieces) == bytes(direct.file)
    assert facts == {
        "n_frames": 40,
        "width": 320,
        "height": 240,
        "sample_rate_hz": None,
        "n_channels": None,
    }
    # The child is in step: the next answer is to the next question.
    frames = decode_clip_isolated(
        sandbox, path, 0.0, 1.0, video=[VideoSampling(24, n_frames=1)]
    ).frames[0][0]
    assert frames.shape == (1, 24, 32, 3)


def test_a_sink_that_fails_raises_its_error_and_costs_one_child(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        encode_clip_isolated(sandbox, path, 0.5, 2.5, _FINE, full)
    pieces: list[bytes] = []
    encode_clip_isolated(sandbox, path, 0.5, 2.5, _FINE, pieces.append)
    direct = encode_clip(path, 0.5, 2.5, _FINE, max_pixels=_MAX_PIXELS)
    assert b"".join(pieces) == bytes(direct.file)


def test_a_file_larger_than_the_memory_of_the_child_is_refused(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "plain.mkv", _TIMES_S, _GREYS)
    with Sandbox(Limits(time_s=60)) as sandbox:
        object.__setattr__(sandbox.limits, "memory_bytes", 2**30)
        sandbox.call("probe", path=path)  # starts a child that has the memory
        object.__setattr__(sandbox.limits, "memory_bytes", 500)
        with pytest.raises(MediaError, match=r"decoder_crashed.*at most 500 bytes"):
            encode_clip_isolated(sandbox, path, 0.5, 2.5, _FINE, lambda _: None)


@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [
        ("women_long_jump.mp4", 4.033, 9.033),
        ("chrome.webm", 7.21, 10.21),
        ("trailer.ogv", 12.5, 15.5),
        ("mdn_chroma_video.mp4", 1.001, 4.0),
        ("obama_speech.mp4", 3.3, 6.7),
        ("difffoley_car.mp4", 0.0, 3.0),
        ("video_00331.mp4", 5.123, 8.456),
    ],
)
def test_cuts_of_real_clips_show_what_ffmpeg_shows(
    data_dir: Path, tmp_path: Path, name: str, start_s: float, end_s: float
) -> None:
    source = tmp_path / name
    source.symlink_to(data_dir / "videos" / name)
    cut = _cut(source, start_s, end_s, CutSettings())
    _assert_same_pictures(source, cut, start_s, end_s)
    assert _video_duration_s(cut) == pytest.approx(end_s - start_s, abs=1e-5)


@pytest.mark.parametrize("name", ["chrome.webm", "zkXOcxGnUhs_000025_000035.mp4"])
def test_features_of_a_file_are_those_of_the_video_to_a_tolerance(
    data_dir: Path, tmp_path: Path, sandbox: Sandbox, name: str
) -> None:
    source = tmp_path / name
    source.symlink_to(data_dir / "videos" / name)
    start_s, end_s = 2.345, 7.345
    cut = _cut(source, start_s, end_s, CutSettings())
    for extractor in map(create_extractor, ("handcrafted_visual", "handcrafted_audio")):
        seen, heard = extractor.video_sampling, extractor.audio_sampling
        clips = []
        for path, first_s, last_s in (
            (source, start_s, end_s),
            (cut, 0.0, end_s - start_s),
        ):
            decoded = decode_clip_isolated(
                sandbox,
                path,
                first_s,
                last_s,
                video=[seen] if seen else [],
                audio=[heard] if heard else [],
            )
            clips.append(
                DecodedClip(
                    "a",
                    frames=decoded.frames[0][0] if seen else None,
                    frame_times_s=decoded.frames[0][1] if seen else None,
                    waveform=decoded.waveforms[0] if heard else None,
                    sample_rate_hz=heard.sample_rate_hz if heard else None,
                )
            )
        of_video, of_file = extractor.extract(clips)
        for one, other in zip(of_video, of_file, strict=True):
            cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
            assert cosine > 0.99
