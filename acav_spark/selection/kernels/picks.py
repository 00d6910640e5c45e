"""Taking the best of a batch, again and again, each choice counted before the next.

Every candidate has a bound of its score, which is the score itself once it was read
from the exact counts. A candidate is read exactly when its bound is the highest; when
it still is the highest then, it is taken. A choice changes the counts that it shares
with others of the batch, by the same amount for bound and score: so a bound stays a
bound, and only candidates in one of its clusters are touched.

Only some candidates can come up: those above a threshold stand side by side (the *hot*
ones), and the highest is looked for among them. A cold one that rises above the
threshold joins them. When the highest falls below it, a new threshold is set. Where
views have few clusters, all scores change at each choice instead: see ``dense``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled, inlined, prefetch
from acav_spark.selection.kernels import dense
from acav_spark.selection.kernels.dense import (
    find_highest,
    first_highest,
    spread_over_all,
    sum_by_agreement,
)
from acav_spark.selection.kernels.ranking import (
    BLOCK,
    TAKEN,
    find_threshold,
    heat,
    highest_of,
)
from acav_spark.selection.kernels.scores import (
    bring_up_codes,
    count_candidate,
    exact_score,
    find_cells,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.kernels.bounds import Batch, Clusters, Codes
    from acav_spark.selection.kernels.draw import Groups
    from acav_spark.selection.kernels.gain import GainTable
    from acav_spark.selection.kernels.layout import Layout
    from acav_spark.selection.kernels.ranking import Ranking
    from acav_spark.selection.kernels.scores import Counts

# More risen candidates than this are made hot ones, to be looked through faster.
_MAX_RISEN = 256
_DENSE_BLOCK = dense.BLOCK


@inlined
def _spread(
    clusters: Clusters,
    chosen: int,
    starts: NDArray[np.int32],
    members: NDArray[np.int32],
    words: NDArray[np.int64],
    width: int,
    own_view: NDArray[np.int64],
    n_lanes: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    gather: NDArray[np.int64],
    shift: NDArray[np.int64],
    own_words: NDArray[np.int64],
    cell_change: NDArray[np.int64],
    margin_change: NDArray[np.int64],
    score: NDArray[np.int64],
    place: NDArray[np.int32],
    is_risen: NDArray[np.bool_],
    risen: NDArray[np.int32],
    threshold: int,
    first_cold: int,
    patterns: NDArray[np.int64],
    n_risen: int,
) -> int:
    """Change the scores of all that share a cluster with the choice.

    A member of the choice's cluster in a strip's view changes by the margin's change
    and by the cell's for each lane in which it agrees: one of ``2**n_lanes`` sums,
    made beforehand. Lanes agree where the exclusive or of two words is zero; adding
    ``low`` then leaves their high bit unset, and one multiplication gathers these bits.
    Returns how many have risen.
    """
    first = 0
    to_bit_0 = width - 1
    for s in range(own_view.size):
        view, n = own_view[s], n_lanes[s]
        cluster = np.int64(clusters[chosen, view])
        # Each member of a view counts its margin once, in the view's first strip.
        is_first = s == 0 or own_view[s - 1] != view
        patterns[0] = margin_change[view] if is_first else 0
        # Four lanes at least, in loops of constant length; unused sums are not read.
        patterns[1] = patterns[0] + cell_change[first]
        for z in range(2):
            patterns[2 + z] = patterns[z] + cell_change[first + 1]
        for z in range(4):
            patterns[4 + z] = patterns[z] + cell_change[first + 2]
        for z in range(8):
            patterns[8 + z] = patterns[z] + cell_change[first + 3]
        if n == 5:
            for z in range(16):
                patterns[16 + z] = patterns[z] + cell_change[first + 4]
        first += n
        own = own_words[s]
        mask, add, factor = high[s], low[s], gather[s]
        right, last = shift[s], (1 << n) - 1
        for m in range(starts[s, cluster], starts[s, cluster + 1]):
            agree = (~((words[s, m] ^ own) + add) & mask) >> to_bit_0
            pattern = ((agree * factor) >> right) & last
            i = np.int64(members[s, m])
            h = np.int64(place[i])
            changed = score[h] + patterns[pattern]
            score[h] = changed
            if changed >= threshold and h >= first_cold and not is_risen[i]:
                is_risen[i] = True
                risen[n_risen] = i
                n_risen += 1
    return n_risen


@compiled
def take(
    batch: Batch,
    rows: NDArray[np.int64],
    n_open: int,
    n_take: int,
    n_hot_wanted: int,
    is_dense: bool,
    layout: Layout,
    counts: Counts,
    codes: Codes,
    table: GainTable,
    groups: Groups,
    own: Counts,
    ranking: Ranking,
    taken: NDArray[np.int64],
    scores: NDArray[np.int64],
) -> tuple[int, int]:
    """Take candidates of a batch whose ranking was started.

    ``n_open`` candidates are no ghosts. ``is_dense`` says whether all scores are
    changed at each choice rather than those of members; the choices are the same.

    Writes the positions taken, in order, and their scores. Returns how many were taken
    (fewer than ``n_take`` when no other may be taken) and how many scores were read.
    Where ``own`` has cells, it counts the clips themselves without the prior's
    pseudo-counts, and the scores written are those against it.
    """
    n = rows.size
    clusters, columns, starts = batch.clusters, batch.columns, batch.starts
    members, words = batch.members, batch.words
    width, own_view, n_lanes = layout.width, layout.own_view, layout.n_lanes
    base, stride = layout.base, layout.stride
    high, low = layout.high, layout.low
    gather, shift = layout.gather, layout.shift
    lane_view, lane_offset = layout.lane_view, layout.lane_offset
    lane_weight, view_weight = layout.lane_weight, layout.view_weight
    cell_counts, margins, step = counts.cells, counts.margins, counts.step
    margin_terms = counts.margin_terms
    of_cell, limit = codes.of_cell, codes.limit
    whole, part = table.whole, table.part
    bits, units = table.fraction_bits, table.units_per_nat
    own_cells, own_margins = own.cells, own.margins
    own_terms, has_own = own.margin_terms, own.cells.size > 0
    group_of, group_left, group_first = groups.of_row, groups.left, groups.first
    score, place, hot = ranking.score, ranking.place, ranking.hot
    is_exact, is_risen, risen = ranking.is_exact, ranking.is_risen, ranking.risen
    first_cold, histogram = ranking.first_cold, ranking.histogram
    cold = score[first_cold : first_cold + n]
    cells = np.empty(lane_view.size, dtype=np.int64)
    own_words = np.empty(own_view.size, dtype=np.int64)
    # Strips of fewer lanes read what they do not use.
    cell_change = np.zeros(lane_view.size + 4, dtype=np.int64)
    margin_change = np.empty(margins.shape[0], dtype=np.int64)
    patterns = np.empty(32, dtype=np.int64)
    n_views = margins.shape[0]
    n_sums = 1 << n_views if is_dense else 1
    sums = np.empty(n_sums, dtype=np.int64)
    with_view = np.empty(n_sums, dtype=np.int64)
    by_pair = np.zeros((n_views, n_views), dtype=np.int64)
    agree = np.empty(_DENSE_BLOCK, dtype=np.uint16)
    highest = np.empty((n + _DENSE_BLOCK - 1) // _DENSE_BLOCK, dtype=np.int64)
    threshold, n_hot = np.int64(0), 0
    if is_dense:
        for block in range(highest.size):
            find_highest(cold, block, highest)
    else:
        threshold = find_threshold(cold, min(n, n_hot_wanted), histogram)
        n_hot = heat(score, first_cold, n, threshold, place, hot)
    n_taken = n_read = n_closed = n_risen = 0
    while n_taken < n_take and n_taken + n_closed < n_open:
        best_hot = np.int64(0)
        if is_dense:
            i, best = first_highest(cold, highest)
        else:
            best_hot = highest_of(score, (n_hot + BLOCK - 1) & ~(BLOCK - 1))
            best = best_hot
            for r in range(n_risen):
                best = max(best, score[place[risen[r]]])
        if not is_dense and (best < threshold or n_risen > _MAX_RISEN):
            for h in range(n_hot):
                place[hot[h]] = first_cold + hot[h]
                cold[hot[h]] = score[h]
            for r in range(n_risen):
                is_risen[risen[r]] = False
            n_risen = 0
            wanted = max(64, min(2 * (n_take - n_taken), n_hot_wanted))
            threshold = find_threshold(cold, wanted, histogram)
            n_hot = heat(score, first_cold, n, threshold, place, hot)
            continue
        if not is_dense:
            # The first of the batch among equal ones.
            i = np.int64(n)
            if best_hot == best:
                h = 0
                while score[h] != best:
                    h += 1
                i = np.int64(hot[h])
            for r in range(n_risen):
                if score[place[risen[r]]] == best and risen[r] < i:
                    i = np.int64(risen[r])
        find_cells(clusters, i, own_view, n_lanes, base, stride, lane_view,
                   lane_offset, width, cells, own_words)  # fmt: skip
        if not is_exact[i]:
            is_exact[i] = True
            n_read += 1
            exact = exact_score(clusters, i, cells, lane_weight, cell_counts,
                                margin_terms, whole, part, bits, units)  # fmt: skip
            if exact != best:
                score[place[i]] = exact
                if is_dense:
                    find_highest(cold, i // _DENSE_BLOCK, highest)
                continue
        score[place[i]] = TAKEN
        row, may_take = rows[i], True
        for rule in range(group_first.size):
            group = group_first[rule] + group_of[rule, row]
            may_take = may_take and group_left[group] > 0
        if not may_take:
            n_closed += 1
            if is_dense:
                find_highest(cold, i // _DENSE_BLOCK, highest)
            continue
        for rule in range(group_first.size):
            group_left[group_first[rule] + group_of[rule, row]] -= 1
        taken[n_taken] = i
        scores[n_taken] = best
        for lane in range(cells.size):
            prefetch(of_cell, cells[lane])
        if has_own:
            scores[n_taken] = exact_score(clusters, i, cells, lane_weight, own_cells,
                                          own_terms, whole, None, 0,
                                          units)  # fmt: skip
            count_candidate(clusters, i, cells, lane_weight, view_weight, own_cells,
                            own_margins, own_terms, 1, whole, None, 0, units,
                            cell_change, margin_change)  # fmt: skip
        n_taken += 1
        count_candidate(clusters, i, cells, lane_weight, view_weight, cell_counts,
                        margins, margin_terms, step, whole, part, bits, units,
                        cell_change, margin_change)  # fmt: skip
        bring_up_codes(cells, cell_counts, of_cell, limit)
        if is_dense:
            sum_by_agreement(own_view, n_lanes, lane_view, cell_change, margin_change,
                             by_pair, with_view, sums)  # fmt: skip
            spread_over_all(columns, clusters, i, sums, agree, cold,
                            highest)  # fmt: skip
        else:
            n_risen = _spread(clusters, i, starts, members, words, width, own_view,
                              n_lanes, high, low, gather, shift, own_words, cell_change,
                              margin_change, score, place, is_risen, risen, threshold,
                              first_cold, patterns, n_risen)  # fmt: skip
    return n_taken, n_read
