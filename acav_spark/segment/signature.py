"""Signatures of videos: what stays when a video is coded, scaled or cropped anew.

Built like the MPEG-7 video signature (ISO/IEC 15938-3 Amd. 4, "Video Signature
Tools"), whose tables of areas and words are not used: see ``signature_elements``. A
frame has 380 elements of three values each, a confidence, and five words of five
elements. A *fine* signature holds these for every frame, a *coarse* one which words
occur in stretches of three seconds.

Where the standard counts frames (90, every 45), stretches are of the time that these
take at 30 frames per second, so that the rate of a copy does not matter.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from acav_spark.segment.blank import black_and_flat
from acav_spark.segment.signature_elements import (
    N_CELLS,
    N_CORNERS,
    N_ELEMENTS,
    N_PER_WORD,
    N_WORDS,
    Weights,
    family_elements,
    weights_for,
)
from acav_spark.segment.stretches import (
    N_BYTES,
    N_VALUES,
    STEP_S,
    STRETCH_S,
    TIME_TOLERANCE_S,
    FrameSampler,
    are_inside,
    n_stretches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# One bit for each value of a word, in whole bytes.
_BAG_BYTES: Final = (N_VALUES + 7) // 8
STRETCH_BYTES: Final = N_WORDS * _BAG_BYTES
_BATCH: Final = 64
# Sums of 255 over more pixels do not fit into 31 bits.
_MAX_INT_PIXELS: Final = (2**31 - 1) // 255
# Less than this is no evidence: black, or a flat title.
LEAST_CONFIDENCE: Final = 12
# A confidence of 255 is a median difference of 32 levels of luma.
_CONFIDENCE_SCALE: Final = 8.0
_POWERS: Final = 3 ** np.arange(N_PER_WORD, dtype=np.uint8)
FINE_FRAME: Final = np.dtype(
    [("time_ms", "<u4"), ("confidence", "u1"), ("elements", "u1", (N_BYTES,))]
)


class SignatureMeter:
    """Takes the luma of a video's frames in order; gives the video's signature.

    Parameters
    ----------
    keep_elements : bool, default False
        Whether to keep what fine signatures need: 77 bytes a frame beside 15.

    Notes
    -----
    Only whole numbers decide which value an element has, so that every machine finds
    the same. Cost at 640 by 360: some 60 us a frame, most of it the sums of areas.
    """

    def __init__(self, *, keep_elements: bool = False) -> None:
        self._keep_elements = keep_elements
        self._shape = (0, 0)
        self._weights: Weights | None = None
        self._table: NDArray[np.int32] | NDArray[np.float64] | None = None
        self._corners = np.empty((_BATCH, N_CORNERS), dtype=np.int64)
        self._n_pending = 0
        self._times_s = array("d")
        self._packed: list[NDArray[np.uint8]] = []
        self._sampler = FrameSampler()
        self._confidences: list[NDArray[np.uint8]] = []
        self._blank: list[NDArray[np.bool_]] = []

    def add(self, time_s: float, luma: NDArray[np.uint8]) -> None:
        """Take the next frame.

        Parameters
        ----------
        time_s : float
            When it is shown, in seconds.
        luma : ndarray of uint8, shape (height, width)
            Its luma, of any size and stride.

        Raises
        ------
        ValueError
            If ``luma`` is of another type or has no pixels.
        """
        if luma.ndim != 2 or luma.dtype != np.uint8 or luma.size == 0:
            got = f"{luma.dtype} of shape {luma.shape}"
            msg = f"luma: expected uint8 of shape (height, width), got {got}."
            raise ValueError(msg)
        if min(luma.shape) < N_CELLS:
            luma = _enlarged(luma)
        if luma.shape != self._shape:
            self._flush()
            self._resize(luma.shape[1], luma.shape[0])
        if self._table is None or self._weights is None:
            return
        cv2.integral(luma, self._table, sdepth=_depth_of(self._table))
        rows, columns = self._weights.rows, self._weights.columns
        corners = self._table.take(rows, axis=0).take(columns, axis=1)
        self._corners[self._n_pending] = corners.ravel()
        self._times_s.append(time_s)
        self._n_pending += 1
        if self._n_pending == _BATCH:
            self._flush()

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Times of the frames in seconds, shape (n_frames,)."""
        return np.array(self._times_s, dtype=np.float64)

    @property
    def words(self) -> NDArray[np.uint8]:
        """Words of the frames, each below 243, shape (n_frames, 5)."""
        return self._kept()[:, :N_WORDS]

    @property
    def elements(self) -> NDArray[np.uint8]:
        """Elements, five in a byte, shape (n_frames, 76), or (0, 76) if not kept."""
        return self._kept() if self._keep_elements else np.empty((0, N_BYTES), np.uint8)

    @property
    def samples(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Times and elements of a frame of each quarter of a second, if not flat."""
        self._flush()
        return self._sampler.times_s, self._sampler.elements

    @property
    def confidences(self) -> NDArray[np.uint8]:
        """How far from flat each picture is, shape (n_frames,)."""
        self._flush()
        return np.concatenate([np.empty(0, np.uint8), *self._confidences])

    @property
    def is_black(self) -> NDArray[np.bool_]:
        """Which pictures are black, shape (n_frames,); see ``black_and_flat``."""
        return self._kept_blank()[0]

    @property
    def is_flat(self) -> NDArray[np.bool_]:
        """Which pictures are of one colour, shape (n_frames,)."""
        return self._kept_blank()[1]

    def coarse(self) -> bytes:
        """Return the coarse signature of all frames so far."""
        if not self._times_s:
            return b""
        times = self.times_s
        # The last frame is shown for some time.
        end_s = float(times.max()) + 2 * TIME_TOLERANCE_S
        return coarse_signature(times, self.words, float(times[0]), end_s)

    def fine(self) -> bytes:
        """Return the fine signature of all frames so far.

        Raises
        ------
        ValueError
            If elements were not kept.
        """
        if not self._keep_elements:
            msg = "fine: expected keep_elements=True, got False."
            raise ValueError(msg)
        return fine_signature(
            self.times_s, self.elements, self.confidences, -math.inf, math.inf
        )

    def _kept(self) -> NDArray[np.uint8]:
        self._flush()
        n_bytes = N_BYTES if self._keep_elements else N_WORDS
        return np.concatenate([np.empty((0, n_bytes), np.uint8), *self._packed])

    def _kept_blank(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        self._flush()
        is_black, is_flat = np.concatenate(
            [np.empty((2, 0), np.bool_), *self._blank], axis=1
        )
        return is_black, is_flat

    def _resize(self, width: int, height: int) -> None:
        self._shape = (height, width)
        self._weights = weights_for(width, height)
        shape = (height + 1, width + 1)
        if width * height <= _MAX_INT_PIXELS:
            self._table = np.empty(shape, dtype=np.int32)
        else:
            self._table = np.empty(shape, dtype=np.float64)

    def _flush(self) -> None:
        """Turn the pending sums into elements."""
        if self._n_pending == 0 or self._weights is None:
            return
        corners = self._corners[: self._n_pending]
        levels = _levels(corners, self._weights)
        rows, columns = self._weights.rows, self._weights.columns
        self._blank.append(black_and_flat(corners, rows, columns))
        self._n_pending = 0
        confidence = np.median(np.abs(levels), axis=0) * _CONFIDENCE_SCALE
        self._confidences.append(np.minimum(confidence, 255).astype(np.uint8))
        packed = _packed(_ternary(levels))
        is_evidence = self._confidences[-1] >= LEAST_CONFIDENCE
        self._sampler.add(self._times_s[-len(packed) :], packed, is_evidence)
        if not self._keep_elements:
            packed = packed[:, :N_WORDS].copy()
        self._packed.append(packed)


def coarse_signature(
    times_s: NDArray[np.float64],
    words: NDArray[np.uint8],
    start_s: float,
    end_s: float,
) -> bytes:
    """Return which words occur in each stretch of [start_s, end_s).

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_frames,)
        Times of the frames.
    words : ndarray of uint8, shape (n_frames, 5)
        Their words.
    start_s, end_s : float
        Part of the video.

    Returns
    -------
    bytes
        155 for each stretch of 3 s that begins every 1.5 s (the last one may be
        shorter): for each of the five words 243 bits, lowest first, in 31 bytes.
        Empty without a frame in the part.
    """
    inside = are_inside(times_s, start_s, end_s)
    times, words = times_s[inside] - start_s + TIME_TOLERANCE_S, words[inside]
    if len(times) == 0:
        return b""
    n_kept = n_stretches(start_s, end_s)
    bits = np.zeros((n_kept, N_WORDS, 8 * _BAG_BYTES), dtype=np.bool_)
    places = np.arange(N_WORDS)[np.newaxis]
    latest = np.minimum((times / STEP_S).astype(np.int64), n_kept - 1)
    bits[latest[:, np.newaxis], places, words] = True
    # Two steps make a stretch: a frame lies in the one before, too.
    again = latest > 0
    again &= times < (latest - 1) * STEP_S + STRETCH_S
    bits[latest[again, np.newaxis] - 1, places, words[again]] = True
    return np.packbits(bits, axis=-1, bitorder="little").tobytes()


def fine_signature(
    times_s: NDArray[np.float64],
    elements: NDArray[np.uint8],
    confidences: NDArray[np.uint8],
    start_s: float,
    end_s: float,
) -> bytes:
    """Return the signature of each frame in [start_s, end_s).

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_frames,)
        Times of the frames.
    elements : ndarray of uint8, shape (n_frames, 76)
        Five ternary elements in a byte.
    confidences : ndarray of uint8, shape (n_frames,)
        How far from flat the pictures are.
    start_s, end_s : float
        Part of the video.

    Returns
    -------
    bytes
        81 a frame: milliseconds since the first one (little-endian uint32),
        confidence, 76 bytes of elements.
    """
    inside = are_inside(times_s, start_s, end_s)
    frames = np.empty(int(inside.sum()), dtype=FINE_FRAME)
    if len(frames):
        since_s = np.maximum(times_s[inside] - times_s[inside][0], 0.0)
        frames["time_ms"] = np.rint(since_s * 1000)
        frames["elements"] = elements[inside]
        frames["confidence"] = confidences[inside]
    return frames.tobytes()


def similarity(coarse_a: bytes, coarse_b: bytes) -> float:
    """Return how alike two videos are by their coarse signatures, in [0, 1].

    Two stretches are as alike as the means of their words' Jaccard indices (words in
    both over words in either). Each stretch counts with the most similar one of the
    other video; the mean of both directions is returned, 0 where one has no frame.

    Raises
    ------
    ValueError
        If one is not a coarse signature.
    """
    return float(pairwise_similarity([coarse_a, coarse_b])[0, 1])


def pairwise_similarity(coarse: Sequence[bytes]) -> NDArray[np.float64]:
    """Return ``similarity`` of each two coarse signatures, shape (n, n).

    Raises
    ------
    ValueError
        If one is not a coarse signature.
    """
    bags = [_bags(one) for one in coarse]
    seen = [index for index, one in enumerate(bags) if len(one)]
    similar = np.zeros((len(bags), len(bags)))
    if not seen:
        return similar
    stretches = np.concatenate([bags[index] for index in seen])
    starts = np.cumsum([0, *(len(bags[index]) for index in seen[:-1])])
    sizes = stretches.sum(axis=2)
    for index in seen:
        jaccard = np.zeros((len(bags[index]), len(stretches)), dtype=np.float32)
        for word in range(N_WORDS):
            both = bags[index][:, word] @ stretches[:, word].T
            mine = bags[index][:, word].sum(axis=1)[:, np.newaxis]
            jaccard += both / np.maximum(mine + sizes[:, word] - both, 1)
        nearest = np.maximum.reduceat(jaccard, starts, axis=1)
        similar[index, seen] = nearest.mean(axis=0, dtype=np.float64) / N_WORDS
    return np.minimum((similar + similar.T) / 2.0, 1.0)


def _bags(coarse: bytes) -> NDArray[np.float32]:
    """Return the bits of a coarse signature, shape (n_stretches, 5, 248)."""
    if len(coarse) % STRETCH_BYTES:
        msg = (
            "coarse signature: expected a multiple of "
            f"{STRETCH_BYTES} bytes, got {len(coarse)}."
        )
        raise ValueError(msg)
    values = np.frombuffer(coarse, dtype=np.uint8).reshape(-1, N_WORDS, _BAG_BYTES)
    return np.unpackbits(values, axis=-1, bitorder="little").astype(np.float32)


def _enlarged(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small picture with its pixels repeated to at least a cell each."""
    for axis in (0, 1):
        luma = np.repeat(luma, -(-N_CELLS // luma.shape[axis]), axis=axis)
    return luma


def _depth_of(table: NDArray[np.int32] | NDArray[np.float64]) -> int:
    return int(cv2.CV_32S if table.dtype == np.int32 else cv2.CV_64F)


def _levels(corners: NDArray[np.int64], weights: Weights) -> NDArray[np.float64]:
    """Return the elements in levels of luma, shape (380, n_frames)."""
    tables = np.ascontiguousarray(corners.T)
    total = np.zeros((N_ELEMENTS, len(corners)), dtype=np.int64)
    for places, factors in zip(weights.corners, weights.factors, strict=True):
        total += tables[places] * factors[:, np.newaxis]
    return total * weights.scales[:, np.newaxis]


def _ternary(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return 0, 1 or 2 for elements below, near and above 0, by thirds of a family."""
    ternary = np.ones(levels.shape, dtype=np.uint8)
    for places in family_elements():
        family = levels[places]
        size = np.abs(family)
        third = len(places) // 3
        threshold = np.partition(size, third, axis=0)[third]
        ternary[places] = np.where(size <= threshold, 1, np.where(family > 0, 2, 0))
    return ternary


def _packed(ternary: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return five elements a byte, shape (n_frames, 76)."""
    grouped = ternary.reshape(N_BYTES, N_PER_WORD, -1)
    packed = np.einsum("bpf,p->fb", grouped, _POWERS)
    return np.ascontiguousarray(packed, dtype=np.uint8)
