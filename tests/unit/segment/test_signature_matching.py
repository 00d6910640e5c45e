from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from acav_spark.segment import SignatureMeter, best_alignment, is_match, similarity
from acav_spark.segment.measure import measure_video
from acav_spark.segment.signature import (
    FINE_FRAME,
    coarse_signature,
    fine_signature,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# ffmpeg's own first sieve drops most copies; opened, its frames decide, with th_xh=116.
_FFMPEGS_THRESHOLDS = "th_d=100000:th_dc=1000000:th_xh=116:th_di=0:th_it=0.5"
_COPIES = {
    "coded": ("-vf", "scale=320:-2", "-crf", "36"),
    "scaled": ("-vf", "scale=176:144", "-crf", "23"),
    "cropped": ("-vf", "crop=iw*0.95:ih*0.95,scale=320:-2", "-crf", "26"),
    "starved": ("-vf", "scale=240:-2", "-b:v", "70k"),
    "trimmed": ("-vf", "scale=320:-2", "-crf", "26", "-ss", "1.3"),
}
_REAL = ("women_long_jump.mp4", "chrome.webm", "obama_speech.mp4")


def _pictures(seed: int, n: int) -> list[NDArray[np.uint8]]:
    """Return a sequence of pictures that turn into one another, one in ten new."""
    rng = np.random.default_rng(seed)
    keys = [
        cv2.resize(rng.integers(0, 256, (5, 7)).astype(np.float32), (112, 80))
        for _ in range(n // 10 + 2)
    ]
    return [
        np.clip(
            keys[i // 10] * (1 - i % 10 / 10) + keys[i // 10 + 1] * (i % 10 / 10),
            0,
            255,
        ).astype(np.uint8)
        for i in range(n)
    ]


def _fine(pictures: list[NDArray[np.uint8]], rate: float = 25.0) -> bytes:
    meter = SignatureMeter(keep_elements=True)
    for index, picture in enumerate(pictures):
        meter.add(index / rate, picture)
    return meter.fine()


def test_a_part_is_found_where_it_was_taken_from() -> None:
    whole = _pictures(0, 250)
    for a, b, starts in (
        (_fine(whole), _fine(whole[75:200]), (3.0, 0.0)),
        (_fine(whole[75:200]), _fine(whole), (0.0, 3.0)),
        # The end of one is the start of the other.
        (_fine(whole[:150]), _fine(whole[50:]), (2.0, 0.0)),
    ):
        found = best_alignment(a, b)
        assert (found.start_a_s, found.start_b_s) == pytest.approx(starts, abs=0.06)
        assert found.length_s == pytest.approx(
            5.0 if starts[0] != 2.0 else 4.0, abs=0.2
        )
        assert found.distance < 20
        assert is_match(found)


def test_another_frame_rate_is_the_same_video() -> None:
    whole = _pictures(1, 250)
    found = best_alignment(_fine(whole), _fine(whole[::2], 12.5))
    assert found.length_s == pytest.approx(10.0, abs=0.2)
    assert is_match(found)


def test_other_pictures_and_flat_ones_do_not_match() -> None:
    a, b = _fine(_pictures(2, 150)), _fine(_pictures(3, 150))
    assert not is_match(best_alignment(a, b))
    black = _fine([np.zeros((80, 112), dtype=np.uint8)] * 150)
    found = best_alignment(black, black)
    assert found.length_s == 0.0
    assert found.shorter_s == pytest.approx(5.96)
    assert not is_match(found)
    assert not is_match(best_alignment(b"", a))


def test_a_short_video_has_to_match_for_its_larger_part() -> None:
    whole = _pictures(4, 100)
    short = whole[30:55]
    assert is_match(best_alignment(_fine(whole), _fine(short)))
    half = [*short[:12], *_pictures(5, 13)]
    assert not is_match(best_alignment(_fine(whole), _fine(half)))


def test_one_frame_is_no_video() -> None:
    one = _fine(_pictures(6, 1))
    found = best_alignment(one, one)
    assert found.length_s == pytest.approx(0.1)
    assert not is_match(found)


def test_impossible_signatures_are_refused() -> None:
    with pytest.raises(ValueError, match="fine_b: expected a multiple of 81"):
        best_alignment(bytes(81), bytes(80))
    wrong = np.zeros(1, dtype=FINE_FRAME)
    wrong["elements"] = 243
    with pytest.raises(ValueError, match="fine_a: expected elements below 243"):
        best_alignment(wrong.tobytes(), bytes(81))
    long = np.zeros(20_000, dtype=FINE_FRAME)
    long["time_ms"] = np.arange(20_000) * 100
    with pytest.raises(ValueError, match="pairs of frames"):
        best_alignment(long.tobytes(), long.tobytes())


def test_times_that_jump_back_are_put_in_order() -> None:
    whole = _pictures(7, 100)
    meter = SignatureMeter(keep_elements=True)
    order = [*range(50, 100), *range(50)]
    for index in order:
        meter.add(index / 25, whole[index])
    times = meter.times_s
    fine = fine_signature(times, meter.elements, meter.confidences, 0.0, 9.0)
    assert is_match(best_alignment(fine, _fine(whole[50:])))


def _ran_ffmpeg(*arguments: str) -> str:
    return subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stderr


def _ffmpeg_matches(a: Path, b: Path) -> bool:
    said = _ran_ffmpeg(
        *("-f", "lavfi", "-i"),
        f"movie={a}[a];movie={b}[b];"
        f"[a][b]signature=nb_inputs=2:detectmode=full:{_FFMPEGS_THRESHOLDS}",
        *("-f", "null", "-"),
    )
    found = re.search(r"(no )?matching of video 0", said)
    assert found is not None
    return found.group(1) is None


def test_decisions_are_those_of_ffmpegs_signature(
    data_dir: Path, tmp_path: Path
) -> None:
    signatures = {}
    for number, name in enumerate(_REAL):
        source = ("-v", "error", "-t", "5", "-i", str(data_dir / "videos" / name))
        for kind, changes in {"as_is": ("-crf", "18"), **_COPIES}.items():
            path = tmp_path / f"{number}_{kind}.mkv"
            coded = ("-an", "-pix_fmt", "yuv420p", "-c:v", "libx264")
            _ran_ffmpeg(*source, *changes, *coded, "-preset", "ultrafast", str(path))
            measured = measure_video(path, max_pixels=1 << 22, keep_elements=True)
            fine = fine_signature(
                measured.frame_times_s,
                measured.elements,
                measured.confidences,
                -np.inf,
                np.inf,
            )
            signatures[number, kind] = path, fine
    for number in range(len(_REAL)):
        for kind in _COPIES:
            original, fine = signatures[number, "as_is"]
            for is_copy in (True, False):
                other = number if is_copy else (number + 1) % len(_REAL)
                path, copy = signatures[other, kind]
                ours = is_match(best_alignment(fine, copy))
                assert ours == is_copy, (original.name, path.name)
                assert _ffmpeg_matches(original, path) == ours, path.name


def test_coarse_signatures_tell_copies_from_others(
    data_dir: Path, tmp_path: Path
) -> None:
    coarse = {}
    for name in _REAL[:2]:
        source = ("-v", "error", "-t", "6", "-i", str(data_dir / "videos" / name))
        for kind in ("coded", "cropped"):
            path = tmp_path / f"{name}_{kind}.mkv"
            _ran_ffmpeg(
                *source, *_COPIES[kind], "-an", "-preset", "ultrafast", str(path)
            )
            measured = measure_video(path, max_pixels=1 << 22)
            meter = (measured.frame_times_s, measured.words)
            coarse[name, kind] = coarse_signature(*meter, 0.0, measured.duration_s)
    for name in _REAL[:2]:
        other = _REAL[1 - _REAL.index(name)]
        assert similarity(coarse[name, "coded"], coarse[name, "cropped"]) > 0.25
        assert similarity(coarse[name, "coded"], coarse[other, "cropped"]) < 0.15
