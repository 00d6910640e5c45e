"""Setting up a batch: its rows, who is in which cluster, and bounds of all scores.

A cell's count is kept beside its exact value as a one-byte code for a number that it
does not exceed: a strip of codes is an eighth of a strip of counts, and reading counts
is what takes the time. The sum of the gains of these numbers bounds a score from above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from acav_spark.compiling import compiled, named, prefetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from acav_spark.selection.kernels.layout import Layout

    Clusters = NDArray[np.uint16] | NDArray[np.uint32]

# A row of codes longer than this is not brought near as a whole: a batch reads too few.
_STREAMED = 8192
_LINE = 64


class Codes(NamedTuple):
    """One-byte bounds of counts.

    Parameters
    ----------
    of_cell : ndarray of uint8, shape (n_cells + padding,)
        Code of each cell.
    limit : ndarray of int64, shape (256,)
        The largest count that has a code.
    gain : ndarray of int32, shape (n_distinct_weights * 256,)
        Weighted gain at that count, in units of ``2**shift`` score units, rounded up.
    gain_row : ndarray of int64, shape (n_pairs,), or None
        Where in ``gain`` the row of a lane's weight starts; None where all weights are
        equal, for which the loops are compiled apart.
    shift : int
        See ``gain``.
    """

    of_cell: NDArray[np.uint8]
    limit: NDArray[np.int64]
    gain: NDArray[np.int32]
    gain_row: NDArray[np.int64] | None
    shift: int


class Batch(NamedTuple):
    """Space for the candidates of a batch; sizes are those of the largest batch.

    Parameters
    ----------
    clusters : ndarray, shape (batch_size, row_stride)
        Cluster ids of each candidate.
    columns : ndarray, shape (n_views, batch_size)
        The same by views.
    starts : ndarray of int32, shape (n_strips, most_clusters + 1)
        Where a cluster's candidates start in ``members``.
    members : ndarray of uint16 or int32, shape (n_strips, batch_size)
        Candidates by their cluster in the strip's view, in the order of the batch.
    words : ndarray of int64, shape (n_strips, batch_size)
        Clusters of a member in the strip's partner views, a lane for each.
    bounds : ndarray of int32, shape (n_threads, batch_size)
        Sums of bounds of the strips of each thread.
    """

    clusters: Clusters
    columns: Clusters
    starts: NDArray[np.int32]
    members: NDArray[np.int32]
    words: NDArray[np.int64]
    bounds: NDArray[np.int32]


@compiled
def gather(
    assignments: NDArray[np.integer], rows: NDArray[np.int64], batch: Batch
) -> None:
    """Copy the cluster ids of the drawn rows."""
    n_views = batch.columns.shape[0]
    flat = assignments.reshape(-1)
    for i in range(rows.size):
        if i + 32 < rows.size:
            place = rows[i + 32] * n_views
            prefetch(flat, place)
            prefetch(flat, place + n_views - 1)
        row = rows[i] * n_views
        for view in range(n_views):
            cluster = flat[row + view]
            batch.clusters[i, view] = cluster
            batch.columns[view, i] = cluster


def _filling(n: int) -> Callable[..., None]:
    """Return the loop that lists a batch by cluster, for strips of ``n`` lanes.

    ``n`` is a constant to the compiler, which unrolls the inner loop.
    """

    def fill(
        clusters: Clusters,
        column: Clusters,
        n_rows: int,
        lane_view: NDArray[np.int64],
        width: int,
        starts: NDArray[np.int32],
        members: NDArray[np.int32],
        words: NDArray[np.int64],
    ) -> None:
        n_clusters = starts.size - 1
        partners = to_fixed_tuple(lane_view, n)
        starts[:] = 0
        for i in range(n_rows):
            starts[np.int64(column[i]) + 1] += 1
        for c in range(n_clusters):
            starts[c + 1] += starts[c]
        places = starts[:n_clusters].copy()
        for i in range(n_rows):
            cluster = column[i]
            place = places[cluster]
            places[cluster] = place + 1
            members[place] = i
            word = np.int64(0)
            for k in range(n):
                word |= np.int64(clusters[i, partners[k]]) << (width * k)
            words[place] = word

    return named(fill, f"fill_{n}")


def _scanning(n: int) -> Callable[..., None]:
    """Return the loop that adds a strip's bounds, for strips of ``n`` lanes."""

    def scan(
        codes: NDArray[np.uint8],
        base: int,
        stride: int,
        lane_offset: NDArray[np.int64],
        width: int,
        starts: NDArray[np.int32],
        members: NDArray[np.int32],
        words: NDArray[np.int64],
        gain: NDArray[np.int32],
        gain_row: NDArray[np.int64] | None,
        first_lane: int,
        bounds: NDArray[np.int32],
    ) -> None:
        mask = (np.int64(1) << width) - 1
        row = base
        # Tuples of constant length live in registers; arrays would be read again.
        offsets = to_fixed_tuple(lane_offset, n)
        if gain_row is not None:
            rows = to_fixed_tuple(gain_row[first_lane : first_lane + n], n)
        for cluster in range(starts.size - 1):
            if stride <= _STREAMED:
                for place in range(0, stride, _LINE):
                    prefetch(codes, row + stride + place)
            for m in range(starts[cluster], starts[cluster + 1]):
                word = words[m]
                total = np.int32(0)
                for k in range(n):
                    cell = row + offsets[k] + ((word >> (width * k)) & mask)
                    if gain_row is None:
                        total += gain[codes[cell]]
                    else:
                        total += gain[rows[k] + np.int64(codes[cell])]
                bounds[members[m]] += total
            row += stride

    return named(scan, f"scan_{n}")


_fill_0 = compiled(_filling(0))
_fill_1, _scan_1 = compiled(_filling(1)), compiled(_scanning(1))
_fill_2, _scan_2 = compiled(_filling(2)), compiled(_scanning(2))
_fill_3, _scan_3 = compiled(_filling(3)), compiled(_scanning(3))
_fill_4, _scan_4 = compiled(_filling(4)), compiled(_scanning(4))
_fill_5, _scan_5 = compiled(_filling(5)), compiled(_scanning(5))


@compiled
def list_members(
    batch: Batch, n_rows: int, n_clusters: NDArray[np.int64], layout: Layout, s: int
) -> None:
    """List a gathered batch by cluster, for one strip."""
    view, n, w = layout.own_view[s], layout.n_lanes[s], layout.width
    first = layout.first_lane[s]
    partners = layout.lane_view[first : first + n]
    starts = batch.starts[s, : n_clusters[view] + 1]
    members, words = batch.members[s], batch.words[s]
    rows, column = batch.clusters, batch.columns[view]
    if n == 0:
        _fill_0(rows, column, n_rows, partners, w, starts, members, words)
    elif n == 1:
        _fill_1(rows, column, n_rows, partners, w, starts, members, words)
    elif n == 2:
        _fill_2(rows, column, n_rows, partners, w, starts, members, words)
    elif n == 3:
        _fill_3(rows, column, n_rows, partners, w, starts, members, words)
    elif n == 4:
        _fill_4(rows, column, n_rows, partners, w, starts, members, words)
    else:
        _fill_5(rows, column, n_rows, partners, w, starts, members, words)


@compiled
def list_all_members(
    batch: Batch, n_rows: int, n_clusters: NDArray[np.int64], layout: Layout
) -> None:
    """List a gathered batch by cluster, for all strips."""
    for s in range(layout.own_view.size):
        list_members(batch, n_rows, n_clusters, layout, s)


@compiled
def set_up(
    batch: Batch,
    n_rows: int,
    is_listed: bool,
    n_clusters: NDArray[np.int64],
    layout: Layout,
    codes: Codes,
    gain_row: NDArray[np.int64] | None,
    strips: NDArray[np.int64],
    thread: int,
) -> None:
    """List the batch for some strips, and sum their bounds; one thread's share."""
    bounds = batch.bounds[thread]
    bounds[:] = 0
    for s in strips:
        if not is_listed:
            list_members(batch, n_rows, n_clusters, layout, s)
        view, n = layout.own_view[s], layout.n_lanes[s]
        first = layout.first_lane[s]
        offsets = layout.lane_offset[first : first + n]
        starts = batch.starts[s, : n_clusters[view] + 1]
        members, words = batch.members[s], batch.words[s]
        w, base, stride = layout.width, layout.base[s], layout.stride[s]
        of_cell, gain = codes.of_cell, codes.gain
        if n == 1:
            _scan_1(of_cell, base, stride, offsets, w, starts, members, words, gain,
                    gain_row, first, bounds)  # fmt: skip
        elif n == 2:
            _scan_2(of_cell, base, stride, offsets, w, starts, members, words, gain,
                    gain_row, first, bounds)  # fmt: skip
        elif n == 3:
            _scan_3(of_cell, base, stride, offsets, w, starts, members, words, gain,
                    gain_row, first, bounds)  # fmt: skip
        elif n == 4:
            _scan_4(of_cell, base, stride, offsets, w, starts, members, words, gain,
                    gain_row, first, bounds)  # fmt: skip
        elif n == 5:
            _scan_5(of_cell, base, stride, offsets, w, starts, members, words, gain,
                    gain_row, first, bounds)  # fmt: skip
