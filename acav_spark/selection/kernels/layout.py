"""How the tables of all pairs lie in memory for the loops.

Each pair belongs to one of its two views. A *strip* is a view with up to five pairs it
owns (with none, when its partners own them all): one row for each cluster of the view,
and in the row the clusters of each partner view side by side. The candidates of a batch
are visited cluster by cluster, so that a strip is read from front to back; and the
partner clusters of a candidate fit one 64-bit word, a lane for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Bits of a lane, and lanes of a word. A lane holds a cluster id and one bit to spare;
# 60 bits at most are used, so that a word is never negative.
_LANES = ((12, 5), (15, 4), (20, 3), (30, 2))


class Layout(NamedTuple):
    """Strips and lanes as arrays; a lane is a pair in the order of the strips.

    Parameters
    ----------
    width : int
        Bits of a lane.
    own_view, n_lanes, first_lane, base, stride : ndarray of int64, shape (n_strips,)
        View of a strip, its number of pairs, the first of them, where it starts, and
        the cells of one of its rows.
    high, low, gather, shift, n_patterns : ndarray of int64, shape (n_strips,)
        To find which lanes of two words agree: see ``matching_lanes``.
    lane_view, lane_offset, lane_weight : ndarray of int64, shape (n_pairs,)
        Partner view of a lane, where its clusters start in a row, its integer weight.
    view_weight : ndarray of int64, shape (n_views,)
        Sum of the weights of the pairs that hold a view.
    """

    width: int
    own_view: NDArray[np.int64]
    n_lanes: NDArray[np.int64]
    first_lane: NDArray[np.int64]
    base: NDArray[np.int64]
    stride: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    gather: NDArray[np.int64]
    shift: NDArray[np.int64]
    n_patterns: NDArray[np.int64]
    lane_view: NDArray[np.int64]
    lane_offset: NDArray[np.int64]
    lane_weight: NDArray[np.int64]
    view_weight: NDArray[np.int64]


@dataclass(frozen=True)
class _Strip:
    """A view, and the pairs it owns as (place in ``pairs``, partner view)."""

    view: int
    owned: list[tuple[int, int]]


class StripLayout:
    """Makes a ``Layout``, and moves counters between it and the order of pairs.

    Parameters
    ----------
    pairs : sequence of (int, int)
        Pairs of views.
    n_clusters : sequence of int
        Clusters of each view.
    pair_weights : ndarray of int64, shape (n_pairs,)
        Integer weights in the order of ``pairs``.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[int, int]],
        n_clusters: Sequence[int],
        pair_weights: NDArray[np.int64],
    ) -> None:
        self._pairs = tuple(pairs)
        self._n_clusters = tuple(n_clusters)
        largest = max(n_clusters)
        width, most = next(
            (bits, lanes) for bits, lanes in _LANES if largest <= 1 << (bits - 1)
        )
        self._strips = _strips(self._pairs, len(self._n_clusters), most)
        self.n_cells = sum(n_clusters[u] * n_clusters[v] for u, v in self._pairs)
        self.arrays = self._layout(width, pair_weights)

    def _layout(self, width: int, pair_weights: NDArray[np.int64]) -> Layout:
        rows = []
        lanes: list[tuple[int, int, int]] = []
        base = 0
        for strip in self._strips:
            n, first_lane, offset = len(strip.owned), len(lanes), 0
            for place, partner in strip.owned:
                lanes.append((partner, offset, int(pair_weights[place])))
                offset += self._n_clusters[partner]
            shift = (width - 1) * max(n - 1, 0)
            rows.append(
                (
                    *(strip.view, n, first_lane, base, offset),
                    sum(1 << (width * k + width - 1) for k in range(n)),
                    sum(((1 << (width - 1)) - 1) << (width * k) for k in range(n)),
                    sum(1 << (shift - (width - 1) * k) for k in range(n)),
                    *(shift, 1 << n),
                )
            )
            base += self._n_clusters[strip.view] * offset
        view_weight = np.zeros(len(self._n_clusters), dtype=np.int64)
        for pair, weight in zip(self._pairs, pair_weights, strict=True):
            view_weight[list(pair)] += weight
        columns = np.ascontiguousarray(np.array(rows, dtype=np.int64).T)
        by_lane = np.ascontiguousarray(np.array(lanes, dtype=np.int64).T)
        return Layout(width, *columns, *by_lane, view_weight)

    def to_cells(self, counters: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the cells of ``counters``, which is in the order of pairs, by strips.

        Parameters
        ----------
        counters : ndarray of int64, shape (at least n_cells,)
            Tables of all pairs, one after another and each by rows.
        """
        cells = np.empty(self.n_cells, dtype=np.int64)
        for table, block in self._blocks(counters, cells):
            block[...] = table
        return cells

    def from_cells(self, cells: NDArray[np.int64], counters: NDArray[np.int64]) -> None:
        """Write cells into the tables of ``counters``."""
        for table, block in self._blocks(counters, cells):
            table[...] = block

    def _blocks(
        self, counters: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return each pair's table and its block of cells, rows for the same view."""
        sizes = [self._n_clusters[u] * self._n_clusters[v] for u, v in self._pairs]
        starts = np.cumsum([0, *sizes])
        layout, found = self.arrays, []
        for number, strip in enumerate(self._strips):
            n_rows, stride = self._n_clusters[strip.view], int(layout.stride[number])
            base = int(layout.base[number])
            rows = cells[base : base + n_rows * stride].reshape(n_rows, stride)
            for lane, (place, partner) in enumerate(strip.owned):
                u, v = self._pairs[place]
                table = counters[starts[place] : starts[place + 1]].reshape(
                    self._n_clusters[u], self._n_clusters[v]
                )
                offset = int(layout.lane_offset[layout.first_lane[number] + lane])
                block = rows[:, offset : offset + self._n_clusters[partner]]
                found.append((table if u == strip.view else table.T, block))
        return found


def _strips(
    pairs: tuple[tuple[int, int], ...], n_views: int, most: int
) -> list[_Strip]:
    """Give every pair to the view that owns fewer, and cut views into strips."""
    owned: list[list[tuple[int, int]]] = [[] for _ in range(n_views)]
    # Pairs of near views first: of all pairs of n views each then owns (n - 1) / 2.
    distance = [min((v - u) % n_views, (u - v) % n_views) for u, v in pairs]
    for place in sorted(range(len(pairs)), key=lambda p: (distance[p], p)):
        u, v = pairs[place]
        owner, partner = (u, v) if len(owned[u]) <= len(owned[v]) else (v, u)
        owned[owner].append((place, partner))
    strips = []
    in_pairs = {view for pair in pairs for view in pair}
    for view, pairs_of in enumerate(owned):
        # A view that owns no pair has a strip all the same, for its margin.
        n_strips = max(-(-len(pairs_of) // most), int(view in in_pairs))
        strips += [_Strip(view, pairs_of[k::n_strips]) for k in range(n_strips)]
    return strips
