"""Copies of real clips, picture and sound changed as uploads change them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import imageio_ffmpeg

if TYPE_CHECKING:
    from pathlib import Path

LENGTH_S: Final = 10
_CODED: Final = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast")
_WHOLE: Final = ("-t", str(LENGTH_S))
ORIGINAL: Final = (
    *(*_WHOLE, "-vf", "scale=426:-2", "-crf", "18"),
    *("-c:a", "aac", "-b:a", "128k"),
)
# Picture and sound of each kind; trims are no multiples of anything that is measured.
COPIES: Final = {
    "coded": (
        *(*_WHOLE, "-vf", "scale=320:-2", "-crf", "34"),
        *("-c:a", "aac", "-b:a", "64k"),
    ),
    "scaled": (
        *(*_WHOLE, "-vf", "scale=256:144", "-crf", "23"),
        *("-c:a", "libopus", "-b:a", "48k", "-ac", "1"),
    ),
    "cropped": (
        *(*_WHOLE, "-vf", "crop=iw*0.95:ih*0.95,scale=320:-2", "-crf", "26"),
        *("-c:a", "libmp3lame", "-b:a", "64k", "-ar", "22050", "-ac", "1"),
    ),
    "starved": (
        *(*_WHOLE, "-vf", "scale=240:-2", "-b:v", "80k"),
        *("-c:a", "aac", "-b:a", "48k", "-ar", "32000", "-ac", "1"),
    ),
    "trimmed": (
        *("-ss", "1.75", "-t", "6", "-vf", "scale=320:-2", "-crf", "26"),
        *("-c:a", "aac", "-b:a", "64k", "-af", "volume=-6dB"),
    ),
    "trimmed_twice": (
        *("-ss", "0.94", "-t", "7", "-vf", "scale=368:-2,eq=brightness=0.06"),
        *("-crf", "28", "-c:a", "libopus", "-b:a", "64k"),
    ),
}


def real_clips(data: Path) -> list[Path]:
    """Return the media files of the test data, by name."""
    return sorted(
        path
        for path in (data / "videos").iterdir()
        if path.suffix in (".mp4", ".webm", ".ogv")
    )


def make_copy(clip: Path, path: Path, changes: tuple[str, ...]) -> Path:
    """Write a changed copy of a clip with ffmpeg, and return where."""
    subprocess.run(  # noqa: S603 - our own command line
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-v", "error"),
            *("-i", f"file:{clip}", *changes, *_CODED, str(path)),
        ],
        check=True,
    )
    return path
