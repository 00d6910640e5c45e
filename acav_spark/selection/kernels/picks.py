"""Taking the best of a batch, again and again, each choice counted before the next.

Every candidate has a bound of its score, which is the score itself once it was read
from the exact counts. A candidate is read exactly when its bound is the highest; when
it still is the highest then, it is taken. A choice changes the counts that it shares
with others of the batch, by the same amount for bound and score: so a bound stays a
bound, and only candidates in one of its clusters are touched.

Only some candidates can come up: those above a threshold stand side by side (the *hot*
ones), and the highest is looked for among them. A cold one that rises above the
threshold joins them. When the highest falls below it, a new threshold is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.selection.kernels.compiling import compiled, inlined, prefetch
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
    from acav_spark.selection.kernels.scores import Counts

# The score of what was taken, below every other, with room for what is still added.
_TAKEN = np.int64(-(1 << 62))
_LOWEST = np.int64(-(1 << 61))
# The highest hot score is looked for in whole vectors of the processor.
_BLOCK = 32
_N_BINS = 1024
# More risen candidates than this are made hot ones, to be looked through faster.
_MAX_RISEN = 256


class Ranking(NamedTuple):
    """Space for the scores of a batch.

    Parameters
    ----------
    score : ndarray of int64, shape (first_cold + batch_size,)
        Scores or bounds: the hot candidates' side by side at the front, the others'
        from ``first_cold`` in the order of the batch.
    first_cold : int
        See ``score``; leaves room for a whole batch and a block.
    place : ndarray of int32, shape (batch_size,)
        Where each candidate's score is.
    hot : ndarray of int32, shape (batch_size,)
        The candidates of the first places, in the order of the batch.
    is_exact, is_risen : ndarray of bool, shape (batch_size,)
        Whether a score is exact; whether a candidate is among the risen.
    risen : ndarray of int32, shape (batch_size + 1,)
        Cold candidates that rose above the threshold.
    histogram : ndarray of int64, shape (1024,)
        For the choice of a threshold.
    """

    score: NDArray[np.int64]
    first_cold: int
    place: NDArray[np.int32]
    hot: NDArray[np.int32]
    is_exact: NDArray[np.bool_]
    is_risen: NDArray[np.bool_]
    risen: NDArray[np.int32]
    histogram: NDArray[np.int64]


def ranking_space(batch_size: int) -> Ranking:
    """Return space for batches of up to so many candidates."""
    first_cold = -(-batch_size // _BLOCK) * _BLOCK + _BLOCK
    return Ranking(
        np.zeros(first_cold + batch_size, dtype=np.int64),
        first_cold,
        np.zeros(batch_size, dtype=np.int32),
        np.zeros(batch_size, dtype=np.int32),
        np.zeros(batch_size, dtype=bool),
        np.zeros(batch_size, dtype=bool),
        np.zeros(batch_size + 1, dtype=np.int32),
        np.zeros(_N_BINS, dtype=np.int64),
    )


@compiled
def start_ranking(
    batch: Batch, n: int, margin_terms: NDArray[np.int64], shift: int, ranking: Ranking
) -> None:
    """Write the bound of every candidate, from the sums of the threads' strips."""
    first = ranking.first_cold
    cold, place = ranking.score[first : first + n], ranking.place
    is_exact, is_risen = ranking.is_exact, ranking.is_risen
    cold[:] = 0
    for thread in range(batch.bounds.shape[0]):
        bounds = batch.bounds[thread]
        for i in range(n):
            cold[i] += np.int64(bounds[i]) << shift
    for view in range(margin_terms.shape[0]):
        terms, column = margin_terms[view], batch.columns[view]
        for i in range(n):
            cold[i] -= terms[column[i]]
    for i in range(n):
        place[i] = first + i
        is_exact[i] = False
        is_risen[i] = False


@inlined
def _threshold(
    cold: NDArray[np.int64], n_wanted: int, histogram: NDArray[np.int64]
) -> int:
    """Return a score that about ``n_wanted`` of those left reach, or a few more."""
    highest, lowest = _TAKEN, -_TAKEN
    for i in range(cold.size):
        value = cold[i]
        highest = max(highest, value)
        lowest = min(lowest, value if value > _LOWEST else -_TAKEN)
    shift = 0
    while ((highest - lowest) >> shift) >= _N_BINS:
        shift += 1
    histogram[:] = 0
    for i in range(cold.size):
        if cold[i] > _LOWEST:
            histogram[(highest - cold[i]) >> shift] += 1
    n_above, last = histogram[0], 0
    while last < _N_BINS - 1 and n_above < n_wanted:
        last += 1
        n_above += histogram[last]
    return highest - ((np.int64(last) + 1) << shift) + 1


@inlined
def _heat(
    score: NDArray[np.int64],
    first_cold: int,
    n: int,
    threshold: int,
    place: NDArray[np.int32],
    hot: NDArray[np.int32],
) -> int:
    """Bring the cold candidates from the threshold on to the front; return how many."""
    n_hot = 0
    for i in range(n):
        value = score[first_cold + i]
        if value >= threshold:
            place[i] = n_hot
            score[n_hot] = value
            hot[n_hot] = i
            n_hot += 1
    for h in range(n_hot, ((n_hot + _BLOCK - 1) & ~(_BLOCK - 1)) + _BLOCK):
        score[h] = _TAKEN
    return n_hot


@inlined
def _highest(score: NDArray[np.int64], n: int) -> int:
    """Return the highest of the first ``n`` scores."""
    highest = score[0]
    for h in range(1, n):
        highest = max(highest, score[h])
    return highest


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
    n_take: int,
    n_hot_wanted: int,
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

    Writes the positions taken, in order, and their scores. Returns how many were taken
    (fewer than ``n_take`` when no other may be taken) and how many scores were read.
    Where ``own`` has cells, it counts the clips themselves without the prior's
    pseudo-counts, and the scores written are those against it.
    """
    n = rows.size
    clusters, starts = batch.clusters, batch.starts
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
    threshold = _threshold(cold, min(n, n_hot_wanted), histogram)
    n_hot = _heat(score, first_cold, n, threshold, place, hot)
    n_taken = n_read = n_closed = n_risen = 0
    while n_taken < n_take and n_taken + n_closed < n:
        best_hot = _highest(score, (n_hot + _BLOCK - 1) & ~(_BLOCK - 1))
        best = best_hot
        for r in range(n_risen):
            best = max(best, score[place[risen[r]]])
        if best < threshold or n_risen > _MAX_RISEN:
            for h in range(n_hot):
                place[hot[h]] = first_cold + hot[h]
                cold[hot[h]] = score[h]
            for r in range(n_risen):
                is_risen[risen[r]] = False
            n_risen = 0
            wanted = max(64, min(2 * (n_take - n_taken), n_hot_wanted))
            threshold = _threshold(cold, wanted, histogram)
            n_hot = _heat(score, first_cold, n, threshold, place, hot)
            continue
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
                continue
        score[place[i]] = _TAKEN
        row, may_take = rows[i], True
        for rule in range(group_first.size):
            group = group_first[rule] + group_of[rule, row]
            may_take = may_take and group_left[group] > 0
        if not may_take:
            n_closed += 1
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
        n_risen = _spread(clusters, i, starts, members, words, width, own_view, n_lanes,
                          high, low, gather, shift, own_words, cell_change,
                          margin_change, score, place, is_risen, risen, threshold,
                          first_cold, patterns, n_risen)  # fmt: skip
    return n_taken, n_read
