"""How clips are coded when they are cut to files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CutSettings:
    """How clips are coded: H.264 (x264) and AAC in MP4.

    Parameters
    ----------
    crf : int, default 20
        x264's constant rate factor, 0 to 51; less is better and larger.
    preset : str, default "veryfast"
        x264's preset.
    max_short_side : int, default 0
        Pixels of the shorter side, at most; 0 keeps the size.
    audio_kbps : int, default 80
        Kilobits of sound a second, for each channel.
    """

    crf: int = 20
    preset: str = "veryfast"
    max_short_side: int = 0
    audio_kbps: int = 80
