"""What the driver does in a round of lanes: plan its batches, merge its picks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.fixed_point import gain_table
from acav_spark.selection.kernels import draw, rounds
from acav_spark.selection.lane_batches import PIECE, Chain, Stretch, lane_starts
from acav_spark.selection.limits import no_groups
from acav_spark.selection.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.kernels.draw import Groups
    from acav_spark.selection.lane_batches import ChainPicks, LaneRows
    from acav_spark.selection.lane_settings import LaneSettings
    from acav_spark.selection.trajectory import Scores

# Picks of a round at most: 200 MB in the driver with ten views.
_MOST_PICKS = 1 << 22
# Batches of a round of one chain at most: 128,000 picks by default, about a second.
_MOST_BATCHES = 256


class RoundPicks(NamedTuple):
    """The picks of a round in their final order.

    Parameters
    ----------
    number : int
        Number of the round, from 0; -1 for clips that had to be in.
    rows : ndarray of int64, shape (n_picks,)
        Row numbers.
    lanes : ndarray of int32, shape (n_picks,)
        Lane of each.
    scores : ndarray of int64, shape (n_picks,)
        Score of each against all before it.
    gains, objectives : ndarray of float64, shape (n_picks,)
        Change of the objective, and the objective after it, in nats.
    staleness : float
        Most picks that a chain did not see, as a share of those before the round.
    """

    number: int
    rows: NDArray[np.int64]
    lanes: NDArray[np.int32]
    scores: NDArray[np.int64]
    gains: NDArray[np.float64]
    objectives: NDArray[np.float64]
    staleness: float


class LanePosition(NamedTuple):
    """Where a selection in lanes is; with its picks, all that ``resume`` needs.

    Parameters
    ----------
    n_rounds : int
        Rounds that were merged.
    turn : int
        The lane that the next chain begins with.
    cursors : tuple of int, shape (n_lanes,)
        Where each lane is read on.
    """

    n_rounds: int
    turn: int
    cursors: tuple[int, ...]


class LanesInProgress:
    """A selection in lanes, round by round; validation is assumed.

    Parameters
    ----------
    n_clips : int
        Candidates, in random order.
    before : ContingencyTables
        Clips that were selected before; not changed.
    n_select : int
        How many to pick.
    settings : LaneSettings
        How lanes are cut and rounds sized.
    exclude : ndarray of int64, optional
        Rows that are never picked.
    groups : Groups, optional
        Limits, whose counts are brought down; rows that must be in are counted in
        them already. Lanes do not see each other: of a round's picks those are dropped,
        in their final order, whose group is full by then.

    Notes
    -----
    Memory: one bit for each clip, the tables, and the picks of a round.
    """

    def __init__(
        self,
        n_clips: int,
        before: ContingencyTables,
        n_select: int,
        *,
        settings: LaneSettings,
        exclude: NDArray[np.int64] | None = None,
        groups: Groups | None = None,
    ) -> None:
        self._settings = settings
        self._groups = no_groups(n_clips) if groups is None else groups
        n_lanes = min(settings.n_lanes, n_clips)
        self._starts = lane_starts(n_clips, n_lanes)
        sizes = np.diff(self._starts)
        self.batch_size = min(settings.batch_size, int(sizes.min()))
        share = settings.per_batch * self.batch_size
        self.per_batch = max(1, share // settings.batch_size)
        self._taken = np.zeros(n_clips // 64 + 1, dtype=np.uint64)
        self._n_open = sizes.copy()
        self._n_select = n_select
        self.tables = before.copy()
        self._n_before = before.n_clips
        self._trajectory = Trajectory(before, before.scoring.units_per_nat)
        self._cursors = _first_cursors(sizes, settings.seed)
        self._turn = 0
        self._n_rounds = 0
        self.n_done = 0
        if exclude is not None:
            self._close(exclude)

    @property
    def position(self) -> LanePosition:
        """Where the selection is after the last round that was merged."""
        return LanePosition(self._n_rounds, self._turn, tuple(self._cursors.tolist()))

    def resume(
        self,
        pieces: Iterable[tuple[NDArray[np.int64], Scores]],
        position: LanePosition,
        read: LaneRows,
        *,
        n_included: int = 0,
    ) -> None:
        """Go on after picks that were made before a break; call it first.

        Parameters
        ----------
        pieces : iterable of (rows, scores)
            All picks so far, in order.
        position : LanePosition
            Where the selection was after them.
        read : LaneRows
            Where rows come from; all lanes are read once.
        n_included : int, default 0
            How many of the picks, the first ones, had to be in.
        """
        found = [np.empty(0, dtype=np.int64)]
        for rows, scores in pieces:
            self._close(rows)
            n_first = min(n_included, len(rows))
            n_included -= n_first
            everything = np.empty(len(rows) - n_first, dtype=bool)
            rounds.keep_to_groups(rows[n_first:], len(rows), self._groups, everything)
            self._trajectory.follow(scores)
            found.append(rows)
        rows = np.sort(np.concatenate(found))
        for clusters in self.clusters_of(rows, read):
            self.tables.count(clusters)
        self.n_done = len(rows)
        self._n_rounds, self._turn = position.n_rounds, position.turn
        self._cursors = np.array(position.cursors, dtype=np.int64)

    def clusters_of(
        self, rows: NDArray[np.int64], read: LaneRows
    ) -> Iterator[NDArray[np.integer]]:
        """Yield the cluster ids of rising rows, some at a time."""
        for lane, first in enumerate(self._starts[:-1].tolist()):
            end = int(self._starts[lane + 1])
            for start in range(first, end, PIECE):
                stop = min(start + PIECE, end)
                part = rows[slice(*np.searchsorted(rows, [start, stop]))]
                if len(part):
                    lowest, n = int(part[0]), int(part[-1] - part[0]) + 1
                    yield read(lane, lowest - first, n)[part - lowest]

    def include(self, rows: NDArray[np.int64], read: LaneRows) -> RoundPicks:
        """Pick rising rows that must be selected, before the first round."""
        clusters = np.concatenate(list(self.clusters_of(rows, read)))
        lanes = np.searchsorted(self._starts, rows, side="right") - 1
        return self._picked(-1, rows, lanes.astype(np.int32), clusters, 0)

    def next_round(self) -> list[Chain]:
        """Return the chains of the next round; none when all is picked.

        Moves the cursors: ``merge`` must follow before it is called again.
        """
        n_left = self._n_select - self.n_done
        if n_left <= 0 or not self._n_open.any():
            return []
        n_lanes = len(self._n_open)
        n_seen = self._n_before + self.n_done
        growth = self._settings.max_round_growth
        allowed = min(int(growth * n_seen), _MOST_PICKS)
        depth = allowed // (n_lanes * self.per_batch)
        if depth >= 1 and n_lanes > 1:
            lanes = [[lane] for lane in range(n_lanes)]
        else:
            # On to the point from which all lanes may pick at once.
            enough = math.ceil(n_lanes * self.per_batch / growth) - n_seen
            n_alone = n_left if n_lanes == 1 else min(n_left, max(enough, 1))
            lanes, depth = [self._turns(n_alone)], 1
        planned = [self._stretches(chain, depth) for chain in lanes]
        if not any(chain for chain, _ in planned):
            # Limits have closed what is left of the lanes whose turn it was.
            planned = [self._stretches(list(range(n_lanes)), 1)]
        stretches = [chain for chain, _ in planned if chain]
        if not stretches:
            return []
        sizes = np.array([size for chain, size in planned if chain])
        most = _most_each(sizes, n_left)
        return [
            Chain(number, chain, self.batch_size, self.per_batch, min(most, int(size)))
            for number, (chain, size) in enumerate(zip(stretches, sizes, strict=True))
        ]

    def merge(self, chains: list[Chain], results: list[ChainPicks]) -> RoundPicks:
        """Count the picks of a round, one of every chain and then the next of every.

        Parameters
        ----------
        chains : list of Chain
            From ``next_round``.
        results : list of ChainPicks
            What ``take_chain`` returned for each, in any order.

        Raises
        ------
        RuntimeError
            If results are not those of these chains, or hold a row that was picked.
        """
        results = sorted(results, key=lambda picks: picks.number)
        sizes = [len(picks.places) for picks in results]
        if [(p.number, len(p.places)) for p in results] != [
            (chain.number, chain.n_take) for chain in chains
        ]:
            msg = (
                f"merge: expected {[chain.n_take for chain in chains]} picks of "
                f"{len(chains)} chains, got {sizes}. This is a bug in acav_spark."
            )
            raise RuntimeError(msg)
        ranks = np.concatenate([np.arange(n, dtype=np.int32) for n in sizes])
        order = np.argsort(ranks, kind="stable")
        lanes = np.concatenate([picks.lanes for picks in results])[order]
        places = np.concatenate([picks.places for picks in results])[order]
        rows = self._starts[lanes] + places % np.diff(self._starts)[lanes]
        is_kept = np.empty(len(rows), dtype=bool)
        n_wanted = self._n_select - self.n_done
        rounds.keep_to_groups(rows, n_wanted, self._groups, is_kept)
        order, lanes, rows = order[is_kept], lanes[is_kept], rows[is_kept]
        clusters = np.concatenate([picks.clusters for picks in results])[order]
        n_kept = len(rows)
        unseen = n_kept - min(sizes) if len(sizes) > 1 else 0
        self._n_rounds += 1
        return self._picked(self._n_rounds - 1, rows, lanes, clusters, unseen)

    def _picked(
        self,
        number: int,
        rows: NDArray[np.int64],
        lanes: NDArray[np.int32],
        clusters: NDArray[np.integer],
        n_unseen: int,
    ) -> RoundPicks:
        """Count picks in their order."""
        staleness = n_unseen / max(self._n_before + self.n_done, 1)
        self._close(rows)
        scores = self._replayed(clusters)
        gains, objectives = self._trajectory.follow(scores)
        self.n_done += len(rows)
        return RoundPicks(number, rows, lanes, scores, gains, objectives, staleness)

    def _turns(self, n_wanted: int) -> list[int]:
        """Return the lanes that a single chain goes through, and move the turn."""
        n_lanes = len(self._n_open)
        most = np.maximum(self._n_open // self.batch_size, self._n_open > 0)
        turns: list[int] = []
        while n_wanted > 0 and len(turns) < _MOST_BATCHES and most.any():
            lane = self._turn
            self._turn = (lane + 1) % n_lanes
            if most[lane]:
                most[lane] -= 1
                turns.append(lane)
                n_wanted -= self.per_batch
        return turns

    def _stretches(
        self, lanes: list[int], depth: int
    ) -> tuple[tuple[Stretch, ...], int]:
        """Return the next batches of lanes, and how many picks they give."""
        stretches, n_picks = [], 0
        # With limits fewer rows may be open than are counted as such: a chain that
        # comes to a lane again must not come round to the rows it has read.
        n_read: dict[int, int] = {}
        for lane in lanes:
            size = int(self._starts[lane + 1] - self._starts[lane])
            n_open = int(self._n_open[lane])
            n_wanted = min(depth, max(n_open // self.batch_size, 1)) * self.batch_size
            is_open = np.empty(size, dtype=bool)
            start = int(self._cursors[lane])
            span, n_found = rounds.find_open(
                *(self._taken, self._starts[lane], size, start),
                *(size - n_read.get(lane, 0), n_wanted, self._groups, is_open),
            )
            n_read[lane] = n_read.get(lane, 0) + span
            if n_found == 0:
                continue
            stretches.append(
                Stretch(lane, start, span, np.packbits(is_open[:span]).tobytes())
            )
            self._cursors[lane] = (start + span) % size
            full, rest = divmod(n_found, self.batch_size)
            n_picks += full * self.per_batch + min(rest, self.per_batch)
        return tuple(stretches), n_picks

    def _close(self, rows: NDArray[np.int64]) -> None:
        """Mark rows that are open, so that they are never in a batch again."""
        if rounds.mark_open(self._taken, rows):
            msg = (
                "lanes: expected rows that are not picked. This is a bug in acav_spark."
            )
            raise RuntimeError(msg)
        lanes = np.searchsorted(self._starts, rows, side="right") - 1
        self._n_open -= np.bincount(lanes, minlength=len(self._n_open))

    def _replayed(self, clusters: NDArray[np.integer]) -> NDArray[np.int64]:
        """Count picks in their order, and return the score of each."""
        tables = self.tables
        columns = np.ascontiguousarray(clusters.T)
        table = gain_table(tables.scoring.unit_bits)
        scores = np.zeros(len(clusters), dtype=np.int64)
        views = [(u, v, tables.n_clusters[v]) for u, v in tables.pairs]
        views += [(v, v, 0) for v in range(len(tables.n_clusters))]
        weights, offsets = tables.weights.tolist(), tables.offsets.tolist()
        for (u, v, width), weight, offset in zip(
            views, weights, offsets[:-1], strict=True
        ):
            rounds.replay_pair(
                *(columns[u], columns[v], width, offset, weight),
                *(tables.counters, table, scores),
            )
        return scores


def _first_cursors(sizes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return where each lane is first read."""
    start = np.uint64(seed & (2**64 - 1))
    return np.array(
        [
            int(draw.stream_of(start, np.uint64(lane))) % size
            for lane, size in enumerate(sizes.tolist())
        ],
        dtype=np.int64,
    )


def _most_each(sizes: NDArray[np.int64], n_wanted: int) -> int:
    """Return the least number of picks of every chain that makes up what is wanted."""
    low, high = 0, int(sizes.max())
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = int(np.minimum(sizes, middle).sum()) >= n_wanted
        low, high = (low, middle) if is_enough else (middle, high)
    return high
