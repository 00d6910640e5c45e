"""Copies of real clips: coded anew, scaled, cropped, trimmed and dubbed."""

from __future__ import annotations

import subprocess
from dataclasses import fields
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np
import pytest
from planted_signatures import PlantedClip

from acav_spark.config.segmenting import DuplicatesConfig
from acav_spark.duplicates import (
    ClipEvidence,
    CopyRule,
    MinHashBands,
    are_copies,
    n_bands_for,
    paired_bit_errors,
    sound_keys,
)
from acav_spark.segment.fingerprint import clip_fingerprint
from acav_spark.segment.measure import measure_video
from acav_spark.segment.signature import coarse_signature
from acav_spark.segment.stretches import stretch_elements

if TYPE_CHECKING:
    from pathlib import Path

CLIPS = ("0nib7bMm8BA_15000_25000.mp4", "6zlMP_kQ_-w_30000_40000.mp4")
COPIES = {
    "coded": ("-t", "6", "-vf", "scale=320:-2", "-crf", "34", "-b:a", "48k"),
    "scaled": ("-t", "6", "-vf", "scale=256:144", "-ac", "1", "-c:a", "libopus"),
    "cropped": ("-t", "6", "-vf", "crop=iw*0.95:ih*0.95,scale=320:-2", "-ar", "22050"),
    # Half a hop of the fingerprint: its worst place.
    "trimmed": ("-ss", "1.25", "-t", "4.7", "-vf", "scale=320:-2", "-b:a", "64k"),
}


def _measured(path: Path) -> PlantedClip:
    found = measure_video(path, max_pixels=1 << 24)
    whole = (0.0, min(found.duration_s, 6.0))
    return PlantedClip(
        coarse_signature(found.frame_times_s, found.words, *whole),
        stretch_elements(found.sampled_times_s, found.sampled_elements, *whole),
        clip_fingerprint(found.sound_words, *whole),
    )


@pytest.fixture(scope="module")
def measured(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[PlantedClip]]:
    """Of each clip what it is compared by, then the same of its copies."""
    folder = tmp_path_factory.mktemp("copies")
    found = {}
    for name in CLIPS:
        clip = data_dir / "videos" / name
        found[name] = [_measured(clip)]
        for kind, changes in COPIES.items():
            copy = folder / f"{kind} {name}"
            subprocess.run(
                [
                    *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"),
                    *("-i", f"file:{clip}", *changes, "-c:v", "libx264"),
                    *("-preset", "ultrafast", "-pix_fmt", "yuv420p", str(copy)),
                ],
                check=True,
            )
            found[name].append(_measured(copy))
    return found


def _are_copies(one: PlantedClip, others: list[PlantedClip]) -> list[bool]:
    defaults = DuplicatesConfig()
    rule = CopyRule(
        **{limit.name: getattr(defaults, limit.name) for limit in fields(CopyRule)}
    )
    a, b = (
        ClipEvidence(*zip(*of, strict=True)) for of in ([one] * len(others), others)
    )
    return [bool(is_copy) for is_copy in are_copies(a, b, rule)]


def test_copies_are_candidates_and_alike_and_others_are_not(
    measured: dict[str, list[PlantedClip]],
) -> None:
    defaults = DuplicatesConfig()
    bands = MinHashBands(
        n_bands=n_bands_for(
            defaults.band_similarity, defaults.band_recall, defaults.band_rows
        ),
        n_rows=defaults.band_rows,
        seed=defaults.seed,
    )
    for name, (original, *copies) in measured.items():
        others = [
            one for key, all_of in measured.items() if key != name for one in all_of
        ]
        keys = bands.keys(original.signature)[0]
        for kind, copy in zip(COPIES, copies, strict=True):
            assert np.any(keys == bands.keys(copy.signature)[0]), (name, kind)
        assert _are_copies(original, copies) == [True] * len(copies)
        assert _are_copies(original, others) == [False] * len(others)


def test_sounds_of_copies_have_few_wrong_bits_and_common_words(
    measured: dict[str, list[PlantedClip]],
) -> None:
    defaults = DuplicatesConfig()
    (one, *its), (other, *theirs) = measured.values()
    for original, copies, others in ((one, its, theirs), (other, theirs, its)):
        errors, strange = (
            paired_bit_errors(
                [original.fingerprint] * len(of), [clip.fingerprint for clip in of]
            )
            for of in (copies, others)
        )
        assert errors.max() < 0.25
        assert strange.min() > 0.38
        keys = [
            set(sound_keys(clip.fingerprint, defaults.n_sound_keys, 0).tolist())
            for clip in (original, *copies)
        ]
        # Trimmed by half a hop, words hardly stay whole.
        assert any(keys[0] & of_copy for of_copy in keys[1:4])


def test_a_dubbed_copy_is_one_and_the_same_music_is_not(
    measured: dict[str, list[PlantedClip]],
) -> None:
    (one, *_), (other, *_) = measured.values()
    dubbed = one._replace(fingerprint=other.fingerprint)
    silent = one._replace(fingerprint=b"")
    assert _are_copies(one, [dubbed, silent]) == [True, True]
    assert _are_copies(other, [dubbed]) == [False]
