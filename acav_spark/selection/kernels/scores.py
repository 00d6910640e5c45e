"""Scores of candidates from the exact counts, and counting what was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.compiling import compiled, inlined, prefetch
from acav_spark.selection.kernels.gain import gain_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.bounds import Batch, Clusters, Codes
    from acav_spark.selection.kernels.gain import GainTable
    from acav_spark.selection.kernels.layout import Layout


class Counts(NamedTuple):
    """What the next choice depends on.

    Parameters
    ----------
    cells : ndarray of int64, shape (n_cells,)
        Counts by pairs of clusters, in the order of the layout.
    margins : ndarray of int64, shape (n_views, most_clusters)
        Counts by clusters.
    margin_terms : ndarray of int64, shape (n_views, most_clusters)
        Weighted gain of each margin, in score units.
    step : int
        What one clip adds to a count: 1, or more where counts are in fixed point.
    """

    cells: NDArray[np.int64]
    margins: NDArray[np.int64]
    margin_terms: NDArray[np.int64]
    step: int


# The helpers below take arrays rather than the tuples these are in: reading an array
# out of a tuple counts a reference, which costs more than what is done with it here.


@inlined
def find_cells(
    clusters: Clusters,
    i: int,
    own_view: NDArray[np.int64],
    n_lanes: NDArray[np.int64],
    base: NDArray[np.int64],
    stride: NDArray[np.int64],
    lane_view: NDArray[np.int64],
    lane_offset: NDArray[np.int64],
    width: int,
    cells: NDArray[np.int64],
    own_words: NDArray[np.int64],
) -> None:
    """Write the cell of candidate ``i`` in each lane, and its word in each strip."""
    lane = 0
    for s in range(own_view.size):
        row = base[s] + np.int64(clusters[i, own_view[s]]) * stride[s]
        word = np.int64(0)
        for k in range(n_lanes[s]):
            partner = np.int64(clusters[i, lane_view[lane]])
            cells[lane] = row + lane_offset[lane] + partner
            word |= partner << (width * k)
            lane += 1
        own_words[s] = word


@inlined
def exact_score(
    clusters: Clusters,
    i: int,
    cells: NDArray[np.int64],
    lane_weight: NDArray[np.int64],
    counts: NDArray[np.int64],
    margin_terms: NDArray[np.int64],
    whole: NDArray[np.int64],
    part: NDArray[np.int64] | None,
    fraction_bits: int,
    units: float,
) -> int:
    """Return the score of candidate ``i``, whose cells were found."""
    for lane in range(cells.size):
        prefetch(counts, cells[lane])
    score = np.int64(0)
    for lane in range(cells.size):
        gain = gain_in(counts[cells[lane]], whole, part, fraction_bits, units)
        score += lane_weight[lane] * gain
    for view in range(margin_terms.shape[0]):
        score -= margin_terms[view, clusters[i, view]]
    return score


@inlined
def count_candidate(
    clusters: Clusters,
    i: int,
    cells: NDArray[np.int64],
    lane_weight: NDArray[np.int64],
    view_weight: NDArray[np.int64],
    counts: NDArray[np.int64],
    margins: NDArray[np.int64],
    margin_terms: NDArray[np.int64],
    step: int,
    whole: NDArray[np.int64],
    part: NDArray[np.int64] | None,
    fraction_bits: int,
    units: float,
    cell_change: NDArray[np.int64],
    margin_change: NDArray[np.int64],
) -> None:
    """Count candidate ``i``, and write by how much its counters' gains change."""
    for lane in range(cells.size):
        cell = cells[lane]
        before = counts[cell]
        after = before + step
        counts[cell] = after
        cell_change[lane] = lane_weight[lane] * (
            gain_in(after, whole, part, fraction_bits, units)
            - gain_in(before, whole, part, fraction_bits, units)
        )
    for view in range(margins.shape[0]):
        cluster = clusters[i, view]
        after = margins[view, cluster] + step
        margins[view, cluster] = after
        gain = gain_in(after, whole, part, fraction_bits, units)
        term = view_weight[view] * gain
        margin_change[view] = margin_terms[view, cluster] - term
        margin_terms[view, cluster] = term


@inlined
def bring_up_codes(
    cells: NDArray[np.int64],
    counts: NDArray[np.int64],
    of_cell: NDArray[np.uint8],
    limit: NDArray[np.int64],
) -> None:
    """Bring the codes of cells up to their counts."""
    for lane in range(cells.size):
        cell = cells[lane]
        code = np.int64(of_cell[cell])
        while counts[cell] > limit[code]:
            code += 1
        of_cell[cell] = code


@compiled
def read_scores(
    batch: Batch,
    n: int,
    layout: Layout,
    counts: Counts,
    table: GainTable,
    scores: NDArray[np.int64],
) -> None:
    """Write the exact score of every candidate of a batch that was gathered."""
    clusters, cell_counts = batch.clusters, counts.cells
    own_view, n_lanes = layout.own_view, layout.n_lanes
    base, stride, width = layout.base, layout.stride, layout.width
    lane_view, lane_offset = layout.lane_view, layout.lane_offset
    lane_weight, margin_terms = layout.lane_weight, counts.margin_terms
    whole, part = table.whole, table.part
    bits, units = table.fraction_bits, table.units_per_nat
    cells = np.empty(lane_view.size, dtype=np.int64)
    own_words = np.empty(own_view.size, dtype=np.int64)
    for i in range(n):
        find_cells(clusters, i, own_view, n_lanes, base, stride, lane_view,
                   lane_offset, width, cells, own_words)  # fmt: skip
        scores[i] = exact_score(clusters, i, cells, lane_weight, cell_counts,
                                margin_terms, whole, part, bits, units)  # fmt: skip


@compiled
def count_given(
    batch: Batch,
    positions: NDArray[np.int64],
    layout: Layout,
    counts: Counts,
    codes: Codes,
    table: GainTable,
    scores: NDArray[np.int64],
) -> None:
    """Count candidates in this order; write the score of each against those before."""
    clusters, cell_counts = batch.clusters, counts.cells
    own_view, n_lanes = layout.own_view, layout.n_lanes
    base, stride, width = layout.base, layout.stride, layout.width
    lane_view, lane_offset = layout.lane_view, layout.lane_offset
    lane_weight, view_weight = layout.lane_weight, layout.view_weight
    margins, margin_terms, step = counts.margins, counts.margin_terms, counts.step
    whole, part = table.whole, table.part
    bits, units = table.fraction_bits, table.units_per_nat
    of_cell, limit = codes.of_cell, codes.limit
    cells = np.empty(lane_view.size, dtype=np.int64)
    own_words = np.empty(own_view.size, dtype=np.int64)
    cell_change = np.empty(lane_view.size, dtype=np.int64)
    margin_change = np.empty(margins.shape[0], dtype=np.int64)
    for j in range(positions.size):
        i = positions[j]
        find_cells(clusters, i, own_view, n_lanes, base, stride, lane_view,
                   lane_offset, width, cells, own_words)  # fmt: skip
        scores[j] = exact_score(clusters, i, cells, lane_weight, cell_counts,
                                margin_terms, whole, part, bits, units)  # fmt: skip
        count_candidate(clusters, i, cells, lane_weight, view_weight, cell_counts,
                        margins, margin_terms, step, whole, part, bits, units,
                        cell_change, margin_change)  # fmt: skip
        if of_cell.size > 0:
            bring_up_codes(cells, cell_counts, of_cell, limit)
