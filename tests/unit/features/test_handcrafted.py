from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acav_spark.errors import MediaError
from acav_spark.features.handcrafted_audio import HandcraftedAudio
from acav_spark.features.handcrafted_visual import HandcraftedVisual
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from acav_spark.features.extractor import Extractor

Vectors = tuple[NDArray[np.float32], ...]
VISUAL, AUDIO = HandcraftedVisual(), HandcraftedAudio()
RATE_HZ = 16_000


def seen(frames: NDArray[np.uint8], *, rate_hz: float = 12.0) -> DecodedClip:
    return DecodedClip(
        "a", frames=frames, frame_times_s=np.arange(len(frames)) / rate_hz
    )


def heard(waveform: NDArray[np.floating]) -> DecodedClip:
    return DecodedClip(
        "a", waveform=waveform.astype(np.float32), sample_rate_hz=RATE_HZ
    )


def features(extractor: Extractor, clip: DecodedClip) -> Vectors:
    return extractor.extract([clip])[0]


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b))


def moving_disc(
    *,
    speed: float = 2.0,
    colour: tuple[int, int, int] = (230, 60, 40),
    blink_hz: float = 0.0,
    rate_hz: float = 12.0,
    n_frames: int = 48,
    size: tuple[int, int] = (96, 128),
) -> NDArray[np.uint8]:
    """A disc on a textured background that moves, or blinks, or neither."""
    height, width = size
    texture = np.random.default_rng(1).integers(70, 110, (12, 16, 3), dtype=np.uint8)
    backdrop = cv2.resize(texture, (width, height), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(n_frames):
        frame = backdrop.copy()
        if not blink_hz or (number / rate_hz * blink_hz) % 1.0 < 0.5:
            centre = (int(20 + speed * number) % width, height // 2)
            cv2.circle(frame, centre, 10, colour, -1)
        frames.append(frame)
    return np.stack(frames).astype(np.uint8)


def noise(*, seconds: float = 4.0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(2).standard_normal(int(RATE_HZ * seconds))


def tone(*, hertz: float = 440.0, seconds: float = 4.0) -> NDArray[np.float64]:
    times = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    return np.asarray(0.1 * np.sin(2 * np.pi * hertz * times))


def clicks(*, per_second: float) -> NDArray[np.float64]:
    wave = 1e-4 * np.random.default_rng(3).standard_normal(4 * RATE_HZ)
    for start in np.arange(0.1, 3.9, 1 / per_second):
        wave[int(start * RATE_HZ) :][:200] += noise()[:200]
    return wave


ODD_PICTURES = {
    "one frame": moving_disc(n_frames=1),
    "two frames": moving_disc(n_frames=2),
    "three frames": moving_disc(n_frames=3),
    "black frames": np.zeros((48, 96, 128, 3), np.uint8),
    "white frames": np.full((48, 96, 128, 3), 255, np.uint8),
    "one pixel": np.full((20, 1, 1, 3), 90, np.uint8),
    "upright": moving_disc(size=(160, 96)),
    "noise": np.random.default_rng(4).integers(0, 256, (30, 96, 96, 3), dtype=np.uint8),
}
ODD_SOUNDS = {
    "silence": np.zeros(4 * RATE_HZ),
    "a tenth of a second": tone(seconds=0.1),
    "one sample": np.array([0.5]),
    "constant": np.full(RATE_HZ, 0.3),
    "the last bit": 2.0**-15 * np.sign(noise()),
    "clipped": np.sign(noise()),
    "one click": np.eye(1, RATE_HZ)[0],
    "not a number": np.full(RATE_HZ, np.nan),
}


def assert_sound(extractor: Extractor, vectors: Vectors) -> None:
    """Check shapes, types and that fp16 holds the numbers with room to spare."""
    assert tuple(len(vector) for vector in vectors) == extractor.dimensions
    for vector in vectors:
        assert vector.dtype == np.float32
        assert np.isfinite(vector).all()
        assert np.abs(vector).max() < 1000


@pytest.mark.parametrize("what", ODD_PICTURES)
def test_odd_pictures_give_finite_vectors(what: str) -> None:
    assert_sound(VISUAL, features(VISUAL, seen(ODD_PICTURES[what])))


@pytest.mark.parametrize("what", ODD_SOUNDS)
def test_odd_sounds_give_finite_vectors(what: str) -> None:
    assert_sound(AUDIO, features(AUDIO, heard(ODD_SOUNDS[what])))


@pytest.mark.parametrize("extractor", [VISUAL, AUDIO], ids=lambda x: x.name)
def test_the_table_in_the_docstring_gives_the_dimensions(extractor: Extractor) -> None:
    table = re.findall(r"^ +([1-5]) +(\d+) +[a-zA-Z]", extractor.__doc__ or "", re.M)

    assert [int(layer) for layer, _ in table] == [1, 2, 3, 4, 5]
    assert tuple(int(dimension) for _, dimension in table) == extractor.dimensions


def test_frames_without_times_are_taken_at_the_rate_asked_for() -> None:
    frames = moving_disc()
    untimed = features(VISUAL, DecodedClip("a", frames=frames))

    for with_times, without in zip(
        features(VISUAL, seen(frames)), untimed, strict=True
    ):
        np.testing.assert_allclose(with_times, without, atol=1e-6)


def test_a_clip_without_frames_or_sound_is_a_failure_of_that_clip() -> None:
    with pytest.raises(MediaError, match="clip a") as caught:
        VISUAL.extract([DecodedClip("a", waveform=np.zeros(9, np.float32))])
    assert caught.value.code == "no_frames"
    with pytest.raises(MediaError, match="clip a") as caught:
        AUDIO.extract([seen(moving_disc(n_frames=2))])
    assert caught.value.code == "no_samples"


def test_another_rate_than_asked_for_is_refused() -> None:
    clip = DecodedClip("a", waveform=np.zeros(900, np.float32), sample_rate_hz=44_100)
    with pytest.raises(ValueError, match="44100"):
        AUDIO.extract([clip])


def test_vectors_do_not_depend_on_the_batch() -> None:
    pictures = [seen(frames) for frames in ODD_PICTURES.values()]
    sounds = [heard(wave) for wave in ODD_SOUNDS.values()]

    for extractor, clips in ((VISUAL, pictures), (AUDIO, sounds)):
        together = extractor.extract(clips)
        backwards = extractor.extract(clips[::-1])[::-1]
        for clip, one, other in zip(clips, together, backwards, strict=True):
            alone = features(extractor, clip)
            for a, b, c in zip(alone, one, other, strict=True):
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(a, c)


def test_opencv_keeps_the_threads_that_it_had() -> None:
    before = cv2.getNumThreads()
    VISUAL.extract([seen(moving_disc(n_frames=2))])
    assert cv2.getNumThreads() == before


def test_colour_tells_colours_and_gradients_and_rhythm_do_not() -> None:
    red = features(VISUAL, seen(moving_disc(colour=(230, 60, 40))))
    green = features(VISUAL, seen(moving_disc(colour=(40, 150, 40))))

    assert distance(red[0], green[0]) > 0.5
    assert distance(red[0], green[0]) > 2 * distance(red[4], green[4])


def test_gradients_tell_upright_from_level_bars() -> None:
    bars = np.zeros((24, 96, 96, 3), np.uint8)
    for number in range(24):
        bars[number, :, (8 * number) % 90 :][:, :6] = 200
    level = np.ascontiguousarray(bars.transpose(0, 2, 1, 3))

    a, b = features(VISUAL, seen(bars))[1], features(VISUAL, seen(level))[1]

    assert distance(a, b) > 1.0


def test_layout_tells_left_from_right() -> None:
    left = moving_disc(speed=0, blink_hz=2)
    right = np.ascontiguousarray(left[:, :, ::-1])

    a, b = features(VISUAL, seen(left))[2], features(VISUAL, seen(right))[2]

    assert distance(a, b) > 0.5


def test_motion_tells_moving_from_still_and_fast_from_slow() -> None:
    still, slow, fast = (
        features(VISUAL, seen(moving_disc(speed=speed)))[3] for speed in (0.0, 1.0, 4.0)
    )

    assert distance(still, slow) > 0.5
    assert distance(slow, fast) > 0.5


def test_visual_rhythm_tells_two_from_five_pulses_a_second() -> None:
    def rhythm(blink_hz: float, rate_hz: float = 12.0) -> NDArray[np.float32]:
        frames = moving_disc(
            speed=0, blink_hz=blink_hz, rate_hz=rate_hz, n_frames=int(4 * rate_hz)
        )
        return features(VISUAL, seen(frames, rate_hz=rate_hz))[4]

    assert distance(rhythm(2.0), rhythm(5.0)) > 1.0
    # A rhythm is in seconds, not in frames.
    assert distance(rhythm(2.0), rhythm(2.0, 25.0)) < distance(rhythm(2.0), rhythm(5.0))


def test_visual_rhythm_tells_how_often_the_whole_picture_flashes() -> None:
    def flashing(per_second: float) -> NDArray[np.float32]:
        frames = moving_disc(speed=0)
        is_dark = (np.arange(48) / 12 * per_second) % 1.0 < 0.5
        frames[is_dark] = frames[is_dark] // 3
        return features(VISUAL, seen(frames))[4]

    still = features(VISUAL, seen(moving_disc(speed=0)))[4]
    assert distance(flashing(1), flashing(3)) > 0.1
    assert distance(flashing(1), still) > 0.5


def test_brightness_of_the_whole_picture_hardly_matters() -> None:
    frames = moving_disc(colour=(200, 60, 40))
    dimmed = (frames * 0.7).astype(np.uint8)
    other = moving_disc(colour=(60, 200, 40), speed=0, blink_hz=5)

    rows = (features(VISUAL, seen(x)) for x in (frames, dimmed, other))
    for bright, dim, different in zip(*rows, strict=True):
        assert distance(bright, dim) < 0.35 * distance(bright, different)


def test_loudness_does_not_matter() -> None:
    wave = clicks(per_second=3) + 0.2 * tone()

    for loud, faint in zip(
        features(AUDIO, heard(wave)), features(AUDIO, heard(0.05 * wave)), strict=True
    ):
        np.testing.assert_allclose(loud, faint, atol=0.01)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_spectral_layers_tell_a_tone_from_noise(layer: int) -> None:
    a = features(AUDIO, heard(tone()))[layer]
    b = features(AUDIO, heard(noise()))[layer]
    again = features(AUDIO, heard(noise()[::-1].copy()))[layer]

    assert distance(a, b) > 10 * distance(b, again)


@pytest.mark.parametrize("layer", [3, 4])
def test_onsets_and_modulation_tell_two_from_five_clicks_a_second(layer: int) -> None:
    two, five = (features(AUDIO, heard(clicks(per_second=x)))[layer] for x in (2, 5))

    assert distance(two, five) > 0.5


def test_the_number_of_onsets_is_counted() -> None:
    layer = features(AUDIO, heard(clicks(per_second=5)))[3]

    assert layer[-4] == pytest.approx(5, abs=0.5)
    assert layer[-3] == pytest.approx(0.2, abs=0.02)


def test_mfcc_are_those_of_the_cosine_transform_of_librosas_mel_bands() -> None:
    from librosa.filters import mel
    from scipy.fft import dct

    wave = noise() + tone()
    loud = wave - wave.mean()
    loud /= np.sqrt(np.mean(loud**2))
    frames = np.lib.stride_tricks.sliding_window_view(loud, 512)[::160]
    power = np.abs(np.fft.rfft(frames * np.hanning(513)[:-1], axis=1)) ** 2
    decibel = 10 * np.log10(power @ mel(sr=RATE_HZ, n_fft=512, n_mels=40).T)
    floored = np.maximum(decibel - decibel.max(), -60) / 10
    expected = dct(floored, axis=1, norm="ortho")[:, 1:14].mean(axis=0)

    actual = features(AUDIO, heard(wave))[1][:13]

    # The waveform and its frames are float32 in the extractor.
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_a_process_that_extracts_loads_nothing_that_compiles() -> None:
    code = (
        "import sys, numpy as np\n"
        "from acav_spark.media.types import DecodedClip\n"
        "from acav_spark.features import create_extractor\n"
        "clip = DecodedClip('a', np.zeros((9, 9, 9, 3), np.uint8), None,\n"
        "                   np.ones(9000, np.float32), 16000)\n"
        "for name in ('handcrafted_audio', 'handcrafted_visual'):\n"
        "    create_extractor(name).extract([clip])\n"
        # Importing these compiles for up to half a minute.
        "slow = {'librosa.core.audio', 'librosa.core.spectrum', 'librosa.feature'}\n"
        "sys.exit(bool(slow & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)

    assert done.returncode == 0
