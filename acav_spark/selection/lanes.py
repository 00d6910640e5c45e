"""Algorithm 1 in lanes: many batches at once, each against tables a little old.

Clips lie in a random order (that of a hash of their ids) and are cut into a fixed
number of *lanes*, equal stretches of that order. A lane is read forward from a cursor;
a *batch* is its next rows that are not picked, and comes round again when the lane
ends. In a *round* every lane takes the best of its own batches, against the tables of
all picks of former rounds and its own picks of this one. Then the picks of all lanes
are counted in a fixed order.

What a lane cannot see is what others pick in the same round: at most
``max_round_growth`` of what was picked before. While all lanes together would pick
more than that, a round is one *chain* of batches through lane after lane, each of which
sees everything before it: as long as tables are nearly empty, picks depend on each
other most. Sizes of rounds hang on counts and never on time, so that machines,
partitions and failures change nothing.

``lane_rounds`` plans rounds and merges what they return, in the driver;
``lane_batches`` takes the best of batches, in executors; ``lane_greedy`` runs both on
arrays in one process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import checked_assignments, checked_n_select
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.lane_batches import (
    lane_starts,
    picker_of,
    take_chain,
    wrapped,
)
from acav_spark.selection.lane_rounds import LanesInProgress
from acav_spark.selection.lane_settings import LaneSettings
from acav_spark.selection.limits import Constraints, Limit, checked_rows, require_all
from acav_spark.selection.prior import pseudo_counts
from acav_spark.selection.result import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from acav_spark.selection.lane_rounds import RoundPicks
    from acav_spark.selection.prior import Prior


def lane_greedy(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    n_lanes: int = 64,
    batch_size: int = 10_000,
    per_batch: int = 500,
    max_round_growth: float = 0.05,
    weights: ArrayLike | None = None,
    prior: Prior = None,
    population: ContingencyTables | None = None,
    limits: Sequence[Limit] = (),
    exclude: ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Select clips as ``engine: broadcast`` does, on arrays in one process.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view. Rows must be in random order: a batch is
        a stretch of neighbours.
    n_select : int
        Number of clips to select, from 1 to ``n_clips``.
    n_clusters, pairs, weights, prior, population, limits, exclude
        As in ``batch_greedy``.
    n_lanes, batch_size, per_batch, max_round_growth, seed
        As in ``LaneSettings``.
    progress : callable, optional
        Called after each round with the clips taken so far and ``n_select``.

    Returns
    -------
    Selection
        As from ``batch_greedy``; ``batches`` holds the number of the round.

    Raises
    ------
    ValueError
        As ``batch_greedy``; or if weights are too steep for exact integers.
    """
    ids, sizes = checked_assignments(assignments, n_clusters)
    number = checked_n_select(n_select, len(ids))
    before = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    require_exact(before)
    settings = LaneSettings(n_lanes, batch_size, per_batch, max_round_growth, seed)
    closed = checked_rows(exclude, len(ids), "exclude")
    nothing = np.empty(0, dtype=np.int64)
    constraints = Constraints(len(ids), number, tuple(limits), nothing, closed)
    n_possible, rule = constraints.n_possible()
    if n_possible < number:
        msg = (
            f"n_select: expected at most {n_possible}, which {rule} allow, got "
            f"{number}. Ask for fewer, or loosen the limits."
        )
        raise ValueError(msg)
    pseudo = pseudo_counts(prior, population, before, ids)
    lanes = LanesInProgress(
        len(ids),
        before,
        number,
        settings=settings,
        exclude=closed,
        groups=constraints.groups(),
    )
    starts = lane_starts(len(ids), min(n_lanes, len(ids)))

    def read(lane: int, start: int, n_rows: int) -> NDArray[np.integer]:
        first, end = int(starts[lane]), int(starts[lane + 1])
        return wrapped(ids[first:end], start, n_rows)

    found: list[RoundPicks] = []
    while chains := lanes.next_round():
        picker = picker_of(lanes.tables, chains, pseudo)
        picks = [take_chain(picker, chain, read) for chain in chains]
        found.append(lanes.merge(chains, picks))
        if progress is not None:
            progress(lanes.n_done, number)
    require_all(lanes.n_done, number, limits)
    return Selection(
        np.concatenate([picks.rows for picks in found]),
        np.concatenate([picks.gains for picks in found]),
        np.concatenate([picks.objectives for picks in found]),
        np.repeat(np.arange(len(found), dtype=np.int32), [len(p.rows) for p in found]),
        lambda: lanes.tables,
    )


def require_exact(tables: ContingencyTables) -> None:
    """Refuse weights that are too steep for choices by integers.

    Raises
    ------
    ValueError
        If the weights need floating point, whose sums depend on the order.
    """
    if not tables.scoring.is_exact:
        msg = (
            "weights: expected weights of pairs from 1 to 512 times the smallest, as "
            "choices in lanes are by exact integers. Take less steep weights, or the "
            "driver engine."
        )
        raise ValueError(msg)
