"""Loops of a round of many lanes: what is open, replaying its picks, taking them back.

A round's picks are replayed pair by pair rather than pick by pick: a table of one pair
stays in the processor's cache, and scores are sums of integers, in any order the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled
from acav_spark.selection.kernels.draw import is_open as has_room
from acav_spark.selection.kernels.gain import gain_in
from acav_spark.selection.kernels.scores import find_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.draw import Groups
    from acav_spark.selection.kernels.gain import GainTable
    from acav_spark.selection.kernels.layout import Layout
    from acav_spark.selection.kernels.scores import Counts


@compiled
def find_open(
    taken: NDArray[np.uint64],
    first_row: int,
    n_rows: int,
    start: int,
    most: int,
    n_wanted: int,
    groups: Groups,
    is_open: NDArray[np.bool_],
) -> tuple[int, int]:
    """Write which rows of a lane may be taken, from a place on, once around.

    Stops after ``n_wanted`` open ones or ``most`` rows. Returns over how many rows it
    went and how many of them are open.
    """
    n_open = span = 0
    place = start
    while span < most and n_open < n_wanted:
        row = first_row + place
        bit = (taken[row >> 6] >> np.uint64(row & 63)) & np.uint64(1)
        is_open[span] = bit == np.uint64(0) and has_room(row, groups)
        n_open += np.int64(is_open[span])
        span += 1
        place += 1
        if place == n_rows:
            place = 0
    return span, n_open


@compiled
def keep_to_groups(
    rows: NDArray[np.int64], n_wanted: int, groups: Groups, is_kept: NDArray[np.bool_]
) -> None:
    """Write which rows the limits allow, in this order, and count them."""
    n_kept = 0
    for i in range(rows.size):
        is_kept[i] = n_kept < n_wanted and has_room(rows[i], groups)
        if is_kept[i]:
            n_kept += 1
            for limit in range(groups.first.size):
                group = groups.of_row[limit, rows[i]]
                groups.left[groups.first[limit] + group] -= 1


@compiled
def mark_open(taken: NDArray[np.uint64], rows: NDArray[np.int64]) -> int:
    """Mark rows as taken; return how many were so before, one given twice included."""
    n = 0
    for row in rows:
        bit = np.uint64(1) << np.uint64(row & 63)
        n += np.int64(taken[row >> 6] & bit != np.uint64(0))
        taken[row >> 6] |= bit
    return n


@compiled
def replay_pair(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    width: int,
    offset: int,
    weight: int,
    counters: NDArray[np.int64],
    table: GainTable,
    scores: NDArray[np.int64],
) -> None:
    """Add the gain of one pair's cells to the scores of picks, counting them in order.

    With ``width`` 0 it is the margin of the view ``second``.
    """
    whole, units = table.whole, table.units_per_nat
    for i in range(second.size):
        cell = offset + np.int64(first[i]) * width + np.int64(second[i])
        scores[i] += weight * gain_in(counters[cell], whole, None, 0, units)
        counters[cell] += 1


@compiled
def uncount(
    clusters: NDArray[np.integer],
    layout: Layout,
    counts: Counts,
    of_cell: NDArray[np.uint8],
    limit: NDArray[np.int64],
    table: GainTable,
) -> None:
    """Take clips out of the counts, and bring the codes of their cells down.

    Everything is as it was before these clips were counted, bit by bit. ``of_cell`` is
    empty where there are no codes.
    """
    own_view, n_lanes = layout.own_view, layout.n_lanes
    base, stride, width = layout.base, layout.stride, layout.width
    lane_view, lane_offset = layout.lane_view, layout.lane_offset
    view_weight, cell_counts = layout.view_weight, counts.cells
    margins, margin_terms, step = counts.margins, counts.margin_terms, counts.step
    whole, part = table.whole, table.part
    bits, units = table.fraction_bits, table.units_per_nat
    cells = np.empty(lane_view.size, dtype=np.int64)
    own_words = np.empty(own_view.size, dtype=np.int64)
    for i in range(clusters.shape[0]):
        find_cells(clusters, i, own_view, n_lanes, base, stride, lane_view,
                   lane_offset, width, cells, own_words)  # fmt: skip
        for lane in range(cells.size):
            cell = cells[lane]
            after = cell_counts[cell] - step
            cell_counts[cell] = after
            if of_cell.size > 0:
                code = np.int64(of_cell[cell])
                while code > 0 and after <= limit[code - 1]:
                    code -= 1
                of_cell[cell] = code
        for view in range(margins.shape[0]):
            cluster = clusters[i, view]
            after = margins[view, cluster] - step
            margins[view, cluster] = after
            gain = gain_in(after, whole, part, bits, units)
            margin_terms[view, cluster] = view_weight[view] * gain


@compiled
def code_counts(
    counts: NDArray[np.int64],
    small: NDArray[np.uint8],
    limit: NDArray[np.int64],
    of_cell: NDArray[np.uint8],
) -> None:
    """Write the first code whose limit each count does not exceed.

    ``small`` holds the codes of small counts, which are looked up.
    """
    for i in range(counts.size):
        count = counts[i]
        if count < small.size:
            of_cell[i] = small[count]
            continue
        low, high = 0, limit.size - 1
        while low < high:
            middle = (low + high) // 2
            if limit[middle] < count:
                low = middle + 1
            else:
                high = middle
        of_cell[i] = low
