"""Cards of the contact sheets: picture and sound of a clip made small, and drawn."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

POSTER_SIDE = 360
POSTER_QUALITY = 78
N_BINS = 120
# Ten times a usual poster; a page of 36 cards stays under 10 MB whatever comes.
MAX_POSTER_BYTES = 200_000

_JPEG = b"\xff\xd8\xff"
_LAYER = re.compile(r"^(.+?)[\s/:._-]+(?:layer[\s_-]?)?(\d{1,2})$")


def poster_jpeg(
    frame: NDArray[np.uint8],
    *,
    max_side: int = POSTER_SIDE,
    quality: int = POSTER_QUALITY,
) -> bytes:
    """Return a frame as a small JPEG, some 10 to 25 kB.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        RGB picture.
    max_side : int, default 360
        Longer side of the poster in pixels; smaller frames stay as they are. Sharp
        at the width of a card (about 230 pixels) on most screens.
    quality : int in 1..100, default 78
        JPEG quality.

    Raises
    ------
    ValueError
        If the frame is not an RGB picture.
    """
    import cv2

    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        msg = f"frame: expected a shape (height, width, 3), got {frame.shape}."
        raise ValueError(msg)
    height, width = frame.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    small: cv2.typing.MatLike = frame
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def peak_envelope(
    waveform: NDArray[np.float32], n_bins: int = N_BINS
) -> NDArray[np.float32]:
    """Return the peak of each of ``n_bins`` equal parts of a waveform.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        Mono samples in [-1, 1]; samples that are not finite count as silence.
    n_bins : int, default 120
        Parts; fewer where there are fewer samples.

    Returns
    -------
    ndarray of float32, shape (min(n_bins, n_samples),)
        Peaks in [0, 1].
    """
    n = min(n_bins, waveform.size)
    if n == 0:
        return np.zeros(0, dtype=np.float32)
    finite = np.nan_to_num(np.abs(waveform), nan=0.0, posinf=0.0, neginf=0.0)
    edges = np.arange(n) * waveform.size // n
    peaks = np.maximum.reduceat(finite, edges)
    return np.clip(peaks, 0.0, 1.0).astype(np.float32)


def poster_uri(jpeg: bytes | None) -> str:
    """Return a poster as a data URI; nothing where it is no JPEG or too large."""
    if jpeg is None or not jpeg.startswith(_JPEG) or len(jpeg) > MAX_POSTER_BYTES:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def waveform_path(envelope: NDArray[np.float32] | None) -> str:
    """Return an envelope as an SVG path, one unit wide a bin, in y from -1 to 1.

    Nothing where there is no sound; silence is a thin line. More than ``N_BINS``
    values are reduced to their peaks.
    """
    if envelope is None or envelope.size == 0:
        return ""
    peaks = peak_envelope(envelope)
    # A line stays visible where there is silence.
    heights = [f"{height:.2f}".lstrip("0") for height in np.maximum(peaks, 0.02)]
    return "".join(
        f"M{place} -{height}V{height}" for place, height in enumerate(heights)
    )


def cluster_groups(
    clusters: Mapping[str, int],
) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return cluster ids by extractor: ``[("vggish", [("1", 17), ("2", 3)])]``.

    A view whose name does not end in a layer's number is a group of its own.
    """
    groups: dict[str, list[tuple[str, int]]] = {}
    for view, cluster in clusters.items():
        match = _LAYER.match(view)
        extractor, layer = (match[1], match[2]) if match else (view, "")
        groups.setdefault(extractor, []).append((layer, int(cluster)))
    return list(groups.items())
