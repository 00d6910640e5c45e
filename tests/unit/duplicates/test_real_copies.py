"""Copies of real clips: coded anew, scaled, cropped and trimmed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np
import pytest

from acav_spark.config.models import DuplicatesConfig
from acav_spark.duplicates import MinHashBands, n_bands_for, paired_similarity
from acav_spark.segment.measure import measure_video
from acav_spark.segment.signature import coarse_signature

if TYPE_CHECKING:
    from pathlib import Path

CLIPS = ("0nib7bMm8BA_15000_25000.mp4", "6zlMP_kQ_-w_30000_40000.mp4")
COPIES = {
    "coded": ("-t", "6", "-vf", "scale=320:-2", "-crf", "34"),
    "scaled": ("-t", "6", "-vf", "scale=256:144", "-crf", "23"),
    "cropped": ("-t", "6", "-vf", "crop=iw*0.95:ih*0.95,scale=320:-2"),
    "trimmed": ("-ss", "1.2", "-t", "4", "-vf", "scale=320:-2"),
}


def _coarse(path: Path) -> bytes:
    found = measure_video(path, max_pixels=1 << 24)
    whole = (0.0, min(found.duration_s, 6.0))
    return coarse_signature(found.frame_times_s, found.words, *whole)


@pytest.fixture(scope="module")
def signatures(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[bytes]]:
    """Of each clip its own signature, and those of its copies."""
    folder = tmp_path_factory.mktemp("copies")
    found = {}
    for name in CLIPS:
        clip = data_dir / "videos" / name
        found[name] = [_coarse(clip)]
        for kind, changes in COPIES.items():
            copy = folder / f"{kind} {name}"
            subprocess.run(
                [
                    *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"),
                    *("-i", f"file:{clip}", *changes, "-an", "-c:v", "libx264"),
                    *("-preset", "ultrafast", "-pix_fmt", "yuv420p", str(copy)),
                ],
                check=True,
            )
            found[name].append(_coarse(copy))
    return found


def test_copies_are_candidates_and_alike_and_others_are_not(
    signatures: dict[str, list[bytes]],
) -> None:
    defaults = DuplicatesConfig()
    bands = MinHashBands(
        n_bands=n_bands_for(
            defaults.band_similarity, defaults.band_recall, defaults.band_rows
        ),
        n_rows=defaults.band_rows,
        seed=defaults.seed,
    )
    for name, (original, *copies) in signatures.items():
        others = [
            one for key, all_of in signatures.items() if key != name for one in all_of
        ]
        keys = bands.keys(original)[0]
        for kind, copy in zip(COPIES, copies, strict=True):
            assert np.any(keys == bands.keys(copy)[0]), (name, kind)
        alike = paired_similarity([original] * len(copies), copies)
        assert alike.min() >= defaults.min_similarity, alike
        unlike = paired_similarity([original] * len(others), others)
        assert unlike.max() < defaults.min_similarity, unlike
