"""Whether two videos show the same: the best alignment of their fine signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.segment.signature import FINE_FRAME, LEAST_CONFIDENCE
from acav_spark.segment.signature_elements import N_PER_WORD
from acav_spark.segment.stretches import N_VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Sum over 380 elements of the differences, each 0 to 2. Different pictures are 250 to
# 400 apart, copies 20 to 110.
SAME_DISTANCE: Final = 120.0
# At most every tenth of a second of one video is compared with every frame of the
# other: neighbouring frames say the same.
_STEP_MS: Final = 100
MIN_LENGTH_S: Final = 1.5
# Of a video shorter than that, so much has to be the same.
_MIN_SHARE: Final = 0.7
# The product of the two lengths, in compared frames: 256 MB of distances.
_MAX_DISTANCES: Final = 2**26


@dataclass(frozen=True)
class Alignment:
    """The stretch in which two videos are most clearly the same.

    Parameters
    ----------
    start_a_s, start_b_s : float
        Where it begins in each, in seconds from the first frame.
    length_s : float
        Its length; 0 where nothing is alike.
    distance : float
        Mean distance of its frames, 0 to 760.
    shorter_s : float
        Length of the shorter one of the two videos.
    """

    start_a_s: float
    start_b_s: float
    length_s: float
    distance: float
    shorter_s: float


def best_alignment(fine_a: bytes, fine_b: bytes) -> Alignment:
    """Return where two videos are most clearly the same, played at the same speed.

    Parameters
    ----------
    fine_a, fine_b : bytes
        Fine signatures; frame rates may differ.

    Returns
    -------
    Alignment
        Of all shifts of one against the other, the stretch with the largest sum of
        what its frames' distances are less than ``SAME_DISTANCE``; flat pictures
        count nothing.

    Raises
    ------
    ValueError
        If one is not a fine signature, or they are too long for each other: each
        tenth of a second of the longer one meets each frame of the shorter one.

    Notes
    -----
    Time and memory grow with the product of the lengths; some 20 ms and 1 MB for ten
    seconds each.
    """
    a, b = _frames(fine_a, "fine_a"), _frames(fine_b, "fine_b")
    if len(a) == 0 or len(b) == 0:
        return Alignment(0.0, 0.0, 0.0, 0.0, 0.0)
    length_a, length_b = (int(frames["time_ms"][-1]) / 1000 for frames in (a, b))
    if length_a < length_b:
        turned = best_alignment(fine_b, fine_a)
        return Alignment(
            turned.start_b_s,
            turned.start_a_s,
            turned.length_s,
            turned.distance,
            turned.shorter_s,
        )
    a = a[_places(a["time_ms"], _grid(a))]
    if len(a) * len(b) > _MAX_DISTANCES:
        msg = (
            f"fine_a, fine_b: expected at most {_MAX_DISTANCES} pairs of frames, got "
            f"{len(a)} by {len(b)}. Compare parts of the longer video."
        )
        raise ValueError(msg)
    distances = _distances(a["elements"], b["elements"])
    seen = (a["confidence"] >= LEAST_CONFIDENCE)[:, np.newaxis] & (
        b["confidence"] >= LEAST_CONFIDENCE
    )
    gains = np.where(seen, SAME_DISTANCE - distances, 0.0)
    start, row, n_rows = _best_stretch(gains, b["time_ms"])
    if n_rows == 0:
        return Alignment(0.0, 0.0, 0.0, 0.0, length_b)
    rows = np.arange(row, row + n_rows)
    columns = _places(b["time_ms"], rows * _STEP_MS + start)
    used = seen[rows, columns]
    return Alignment(
        start_a_s=row * _STEP_MS / 1000,
        start_b_s=(row * _STEP_MS + start) / 1000,
        length_s=int(used.sum()) * _STEP_MS / 1000,
        distance=float(distances[rows, columns][used].mean()),
        shorter_s=length_b,
    )


def is_match(alignment: Alignment) -> bool:
    """Return whether an alignment is of two copies of the same.

    Frames that are not flat have to be the same for 1.5 seconds in one stretch, or
    for 70 % of a video that is shorter.
    """
    needed_s = min(MIN_LENGTH_S, max(_MIN_SHARE * alignment.shorter_s, 0.5))
    return alignment.length_s >= needed_s


def _frames(fine: bytes, name: str) -> NDArray[np.void]:
    if len(fine) % FINE_FRAME.itemsize:
        msg = (
            f"{name}: expected a multiple of {FINE_FRAME.itemsize} bytes, got "
            f"{len(fine)}."
        )
        raise ValueError(msg)
    frames = np.frombuffer(fine, dtype=FINE_FRAME)
    if len(frames) and int(frames["elements"].max()) >= N_VALUES:
        msg = f"{name}: expected elements below {N_VALUES}, got a larger one."
        raise ValueError(msg)
    return frames[np.argsort(frames["time_ms"], kind="stable")]


def _grid(frames: NDArray[np.void]) -> NDArray[np.int64]:
    return np.arange(0, int(frames["time_ms"][-1]) + 1, _STEP_MS)


def _places(
    times_ms: NDArray[np.unsignedinteger], wanted_ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the frames nearest to the wanted times."""
    times = times_ms.astype(np.int64)
    after = np.clip(np.searchsorted(times, wanted_ms), 1, max(len(times) - 1, 1))
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    is_before = wanted_ms - times[before] <= times[after] - wanted_ms
    places: NDArray[np.int64] = np.where(is_before, before, after)
    return places


def _distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the sums of the elements' differences, shape (n_a, n_b)."""
    above_a, above_b = _above(a), _above(b)
    # Of ones and zeros: those in one only are all less twice those in both.
    both = above_a @ above_b.T
    only: NDArray[np.float32] = (
        above_a.sum(axis=1)[:, np.newaxis] + above_b.sum(axis=1)[np.newaxis] - 2 * both
    )
    return only


def _above(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return whether each element is above 0 and above 1, as ones and zeros."""
    values = np.arange(N_VALUES)[:, np.newaxis] // 3 ** np.arange(N_PER_WORD) % 3
    table = np.concatenate([values > 0, values > 1], axis=1).astype(np.float32)
    return table[packed].reshape(len(packed), -1)


def _best_stretch(
    gains: NDArray[np.float64], times_ms: NDArray[np.unsignedinteger]
) -> tuple[int, int, int]:
    """Return shift, first row and number of rows of the stretch that gains most."""
    n_rows = len(gains)
    frame_ms = max(int(times_ms[-1]) // max(len(times_ms) - 1, 1), 1)
    last_ms = int(times_ms[-1])
    # Whole frames from no shift at all, which is the commonest.
    n_before = -(-(n_rows - 1) * _STEP_MS // frame_ms)
    shifts = np.arange(-n_before, last_ms // frame_ms + 1) * frame_ms
    best, found = 0.0, (0, 0, 0)
    for shift in shifts:
        first = max(-(int(shift) // _STEP_MS), 0)
        last = min((last_ms - int(shift)) // _STEP_MS + 1, n_rows)
        if last <= first:
            continue
        rows = np.arange(first, last)
        line = gains[rows, _places(times_ms, rows * _STEP_MS + int(shift))]
        sums = np.concatenate([[0.0], np.cumsum(line)])
        rises = sums - np.minimum.accumulate(sums)
        end = int(rises.argmax())
        if rises[end] > best:
            begin = int(sums[: end + 1].argmin())
            best, found = float(rises[end]), (int(shift), first + begin, end - begin)
    return found
