"""What an executor does in a round of lanes: the best of some batches, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from acav_spark.selection.limits import no_groups
from acav_spark.selection.picker import ExactPicker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

# Rows that are read at once: 20 MB with ten views.
PIECE = 1 << 20


class Stretch(NamedTuple):
    """Batches of one lane, one after another.

    Parameters
    ----------
    lane : int
        Number of the lane.
    start, span : int
        First row, counted from the lane's first, and over how many rows it goes; past
        the lane's end it goes on at its beginning.
    is_open : bytes
        A bit for each of these rows: whether it is not picked.
    """

    lane: int
    start: int
    span: int
    is_open: bytes


class Chain(NamedTuple):
    """Batches that are used one after another, each seeing the picks before it.

    Parameters
    ----------
    number : int
        Place among the chains of a round.
    stretches : tuple of Stretch
        Where its batches are.
    batch_size, per_batch : int
        Open rows of a batch (fewer in a stretch's last), and picks from each.
    n_take : int
        Picks of the whole chain.
    """

    number: int
    stretches: tuple[Stretch, ...]
    batch_size: int
    per_batch: int
    n_take: int


class ChainPicks(NamedTuple):
    """What a chain took, in order.

    Parameters
    ----------
    number : int
        The chain's.
    lanes : ndarray of int32, shape (n_taken,)
        Lane of each pick.
    places : ndarray of int64, shape (n_taken,)
        Row of each pick, counted from its lane's first.
    clusters : ndarray of integers, shape (n_taken, n_views)
        Cluster ids of each pick.
    """

    number: int
    lanes: NDArray[np.int32]
    places: NDArray[np.int64]
    clusters: NDArray[np.integer]


class LaneRows(Protocol):
    """Reads rows of a lane."""

    def __call__(self, lane: int, start: int, n_rows: int) -> NDArray[np.integer]:
        """Return the cluster ids of rows from ``start`` on, beginning anew at the end.

        Parameters
        ----------
        lane, start, n_rows : int
            ``start`` counts from the lane's first row and may lie past its end.
        """
        ...


def lane_starts(n_clips: int, n_lanes: int) -> NDArray[np.int64]:
    """Return the first row of each lane, and the number of clips last."""
    starts: NDArray[np.int64] = np.arange(n_lanes + 1, dtype=np.int64) * n_clips
    return starts // n_lanes


def wrapped(lane: NDArray[np.integer], start: int, n_rows: int) -> NDArray[np.integer]:
    """Return rows of a lane from ``start`` on, beginning anew at its end."""
    first = start % len(lane)
    if first + n_rows <= len(lane):
        return lane[first : first + n_rows]
    return np.concatenate([lane[first:], lane[: first + n_rows - len(lane)]])


def picker_of(
    tables: ContingencyTables, chains: Sequence[Chain], prior: NDArray[np.int64] | None
) -> ExactPicker:
    """Return a picker for the chains of a round."""
    return ExactPicker(
        tables,
        prior=prior,
        batch_size=max(chain.batch_size for chain in chains),
        n_expected=max(chain.n_take for chain in chains),
    )


def take_chain(picker: ExactPicker, chain: Chain, read: LaneRows) -> ChainPicks:
    """Take the best of a chain's batches; the picker ends as it began.

    Parameters
    ----------
    picker : ExactPicker
        With the tables of all picks of former rounds.
    chain : Chain
        What to do.
    read : LaneRows
        Where rows come from.
    """
    lanes, places, clusters = [], [], []
    n_left = chain.n_take
    for stretch in chain.stretches:
        bits = np.frombuffer(stretch.is_open, dtype=np.uint8)
        opened = np.flatnonzero(np.unpackbits(bits, count=stretch.span))
        for batches in _pieces(opened, chain.batch_size):
            if n_left == 0:
                break
            first, last = int(batches[0][0]), int(batches[-1][-1])
            ids = read(stretch.lane, stretch.start + first, last - first + 1)
            for batch in batches:
                n = min(chain.per_batch, n_left, len(batch))
                if n == 0:
                    break
                taken = picker.take_best(ids, batch - first, n, no_groups(len(ids)))
                chosen = batch[taken.positions]
                lanes.append(np.full(len(chosen), stretch.lane, dtype=np.int32))
                places.append(stretch.start + chosen)
                clusters.append(ids[chosen - first])
                n_left -= len(chosen)
    picked = np.concatenate(clusters)
    picker.forget(picked)
    return ChainPicks(
        chain.number, np.concatenate(lanes), np.concatenate(places), picked
    )


def _pieces(
    opened: NDArray[np.int64], batch_size: int
) -> Iterator[list[NDArray[np.int64]]]:
    """Yield consecutive batches of open rows that are read at once."""
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(opened), batch_size):
        batch = opened[start : start + batch_size]
        if batches and batch[-1] - batches[0][0] >= PIECE:
            yield batches
            batches = []
        batches.append(batch)
    if batches:
        yield batches
