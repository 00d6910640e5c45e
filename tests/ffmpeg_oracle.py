"""What ffmpeg, as a program, shows and plays of a file."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Shown:
    """Frames as a player shows them, turned where the file says so.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_frames,)
        In seconds from the container's start.
    frames : ndarray of uint8, shape (n_frames, height, width)
        Luma.
    pixel_aspect : str
        Such as ``4:3``; empty where the file says nothing.
    """

    times_s: NDArray[np.float64]
    frames: NDArray[np.uint8]
    pixel_aspect: str


def shown(path: Path, until_s: float = 1e6) -> Shown:
    """Return the frames of a file before a time."""
    trimmed = f"trim=end={until_s},{_FILTER}"
    done = _ran(path, "-map", "0:V:0", "-fps_mode", "passthrough", "-vf", trimmed)
    # The filter tells times and sizes of what comes out.
    said = done.stderr.decode()
    found = re.findall(r"pts_time:\s*(-?[0-9.]+).* sar:(\d+)/(\d+) s:(\d+)x(\d+)", said)
    sizes = {(int(width), int(height)) for *_, width, height in found}
    ((width, height),) = sizes
    aspect = f"{found[0][1]}:{found[0][2]}" if found[0][1] != "0" else ""
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width)
    times_s = np.array([float(row[0]) for row in found])
    assert len(times_s) == len(frames)
    return Shown(times_s, frames, aspect)


def played(path: Path, rate_hz: int, n_channels: int) -> NDArray[np.float32]:
    """Return a file's sound from its clock's start, shape (n_channels, n_samples)."""
    place = ("-map", "0:a:0", "-af", "aresample=async=1:first_pts=0")
    done = _ran(path, *place, "-ar", f"{rate_hz}", "-ac", f"{n_channels}", kind="f32le")
    samples = np.frombuffer(done.stdout, np.float32).reshape(-1, n_channels)
    transposed: NDArray[np.float32] = samples.T
    return transposed


_FILTER = "format=gray,showinfo=checksum=0"


def _ran(
    path: Path, *arguments: str, kind: str = "rawvideo"
) -> subprocess.CompletedProcess[bytes]:
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner"]
    return subprocess.run(
        [*program, "-i", f"file:{path}", *arguments, "-f", kind, "-"],
        check=True,
        capture_output=True,
    )
