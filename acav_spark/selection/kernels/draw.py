"""Random batches from a pool of rows, by a bitmap and rejection.

The numbers drawn for a batch hang on the seed and the number of the batch alone, so
that a selection goes on after its checkpoint as if nothing had happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.compiling import compiled, prefetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# Numbers drawn ahead, so that the words of the bitmap they point to are on their way.
_AHEAD = 256


class Groups(NamedTuple):
    """Limits on how many clips of a group may be taken; none has an empty first axis.

    Parameters
    ----------
    of_row : ndarray of int32, shape (n_limits, n_clips)
        The group of each clip, by each limit.
    left : ndarray of int64, shape (n_groups_of_all_limits,)
        How many clips each group may still give.
    first : ndarray of int64, shape (n_limits,)
        Where each limit's groups start in ``left``.
    """

    of_row: NDArray[np.int32]
    left: NDArray[np.int64]
    first: NDArray[np.int64]


@compiled
def mixed(state: np.uint64) -> np.uint64:
    """Return the output function of SplitMix64 (Steele, Lea and Flood, 2014)."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@compiled
def stream_of(seed: np.uint64, batch: np.uint64) -> np.uint64:
    """Return where the random numbers of a batch start."""
    return mixed(mixed(seed + _GOLDEN) + (batch + np.uint64(1)) * _GOLDEN)


@compiled
def below(bits: np.uint64, n: int) -> int:
    """Return 64 random bits scaled to an integer in [0, n)."""
    wide = np.uint64(n)
    high = bits >> np.uint64(32)
    low = bits & np.uint64(0xFFFFFFFF)
    scaled = (high * wide + ((low * wide) >> np.uint64(32))) >> np.uint64(32)
    return np.int64(scaled)


@compiled
def is_open(row: int, groups: Groups) -> bool:
    """Return whether every group of a clip may still give one."""
    for limit in range(groups.first.size):
        if groups.left[groups.first[limit] + groups.of_row[limit, row]] <= 0:
            return False
    return True


@compiled
def draw_by_rejection(
    taken: NDArray[np.uint64],
    pool: NDArray[np.uint32],
    n_pool: int,
    n_draw: int,
    stream: np.uint64,
    max_attempts: int,
    groups: Groups,
    places: NDArray[np.int64],
) -> int:
    """Draw distinct places of the pool that are not taken; return their number.

    Fewer than ``n_draw`` come back when the attempts are used up. ``pool`` maps places
    to rows, and is empty where a place is a row. A place whose clip may no longer be
    taken is marked as taken; what is drawn is marked only meanwhile.
    """
    ahead = np.empty(_AHEAD, dtype=np.int64)
    state = stream
    n_drawn = n_attempts = 0
    while n_drawn < n_draw and n_attempts < max_attempts:
        for i in range(_AHEAD):
            state += _GOLDEN
            ahead[i] = below(mixed(state), n_pool)
            prefetch(taken, ahead[i] >> 6)
        n_attempts += _AHEAD
        for i in range(_AHEAD):
            place = ahead[i]
            bit = np.uint64(1) << np.uint64(place & 63)
            word = taken[place >> 6]
            if word & bit != np.uint64(0):
                continue
            taken[place >> 6] = word | bit
            row = place if pool.size == 0 else np.int64(pool[place])
            if not is_open(row, groups):
                continue
            places[n_drawn] = place
            n_drawn += 1
            if n_drawn == n_draw:
                break
    for i in range(n_drawn):
        if i + 16 < n_drawn:
            prefetch(taken, places[i + 16] >> 6)
        taken[places[i] >> 6] &= ~(np.uint64(1) << np.uint64(places[i] & 63))
    return n_drawn


@compiled
def draw_by_shuffle(
    n_pool: int, n_draw: int, stream: np.uint64, places: NDArray[np.int64]
) -> None:
    """Draw distinct places of a small pool by a partial Fisher-Yates shuffle."""
    order = np.arange(n_pool)
    state = stream
    for i in range(n_draw):
        state += _GOLDEN
        j = i + below(mixed(state), n_pool - i)
        places[i] = order[j]
        order[j] = order[i]


@compiled
def mark(taken: NDArray[np.uint64], places: NDArray[np.int64]) -> None:
    """Mark places as taken."""
    for place in places:
        taken[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@compiled
def find_ghosts(
    taken: NDArray[np.uint64],
    places: NDArray[np.int64],
    rows: NDArray[np.int64],
    size: int,
    groups: Groups,
    ghosts: NDArray[np.int64],
) -> int:
    """Write which of the places drawn are no longer in a batch of ``size``.

    They were taken since, their clips may no longer be taken (and are marked), or
    ``size`` others come before them. Returns their number.
    """
    n_ghosts = 0
    for i in range(places.size):
        if i + 16 < places.size:
            prefetch(taken, places[i + 16] >> 6)
        place = places[i]
        bit = np.uint64(1) << np.uint64(place & 63)
        is_gone = taken[place >> 6] & bit != np.uint64(0)
        if not is_gone and not is_open(rows[i], groups):
            taken[place >> 6] |= bit
            is_gone = True
        if is_gone or i - n_ghosts >= size:
            ghosts[n_ghosts] = i
            n_ghosts += 1
    return n_ghosts


@compiled
def open_rows(
    taken: NDArray[np.uint64],
    pool: NDArray[np.uint32],
    n_pool: int,
    groups: Groups,
    rows: NDArray[np.uint32],
) -> int:
    """Write the rows that may still be taken in rising order; return their number."""
    n_rows = 0
    for place in range(n_pool):
        if (taken[place >> 6] >> np.uint64(place & 63)) & np.uint64(1) == np.uint64(0):
            row = place if pool.size == 0 else np.int64(pool[place])
            if is_open(row, groups):
                rows[n_rows] = row
                n_rows += 1
    return n_rows
