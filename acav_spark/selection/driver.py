"""``engine: driver``: the whole selection in one process, its picks staged as made.

Arrays in and files out; killed at any moment and started again with the same
arguments, it ends with the same picks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.baselines import random_selection
from acav_spark.selection.in_progress import BatchSettings, SelectionInProgress
from acav_spark.selection.limits import Constraints, require_all
from acav_spark.selection.mixture import mixture_ranking
from acav_spark.selection.prior import pseudo_counts
from acav_spark.selection.ranking import pointwise_ranking
from acav_spark.selection.replaying import replay_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.in_progress import Choices
    from acav_spark.selection.limits import Limit
    from acav_spark.selection.problem import Extent, Problem
    from acav_spark.selection.staging import PickStaging

# Candidates of a batch of Algorithm 2 that are taken before the next look at all.
_MOST_IN_ORDER = 10_000
# Picks of a given order that are replayed at once.
_PIECE = 1 << 18


@dataclass(frozen=True, eq=False)
class Candidates:
    """Clips that may be chosen, and what was chosen before.

    Parameters
    ----------
    assignments : ndarray of integers, shape (n_candidates, n_views)
        Cluster ids.
    before : ContingencyTables
        Counts of the clips selected before, which are no candidates.
    row_numbers : ndarray of integers, shape (n_candidates,), optional
        Rising row numbers of the packed table; by default candidates are all its rows.
    limits : tuple of Limit
        By candidate; what was selected before is taken off the capacities already.
    include : ndarray of int64
        Candidates, by their place in ``assignments``, that must be selected.
    """

    assignments: NDArray[np.integer]
    before: ContingencyTables
    row_numbers: NDArray[np.integer] | None = None
    limits: tuple[Limit, ...] = ()
    include: NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, dtype=np.int64)
    )

    def __len__(self) -> int:
        return len(self.assignments)

    def rows_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row numbers of candidates."""
        if self.row_numbers is None:
            return places
        return self.row_numbers[places].astype(np.int64)

    def places_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the candidates of row numbers."""
        if self.row_numbers is None:
            return rows
        places = np.searchsorted(self.row_numbers, rows.astype(self.row_numbers.dtype))
        return places.astype(np.int64)

    def population(self) -> ContingencyTables:
        """Return the counts of all candidates and of the clips before."""
        tables = self.before.copy()
        tables.count(self.assignments)
        return tables


def check_possible(problem: Problem, candidates: Candidates) -> Constraints:
    """Return the constraints, if they can be met; nothing has been chosen then.

    Raises
    ------
    ValueError
        If fewer clips can be selected than are asked for.
    """
    nothing = np.empty(0, dtype=np.int64)
    constraints = Constraints(
        len(candidates),
        problem.n_new,
        candidates.limits,
        candidates.include,
        nothing,
    )
    require_possible(problem, constraints)
    return constraints


def require_possible(extent: Problem | Extent, constraints: Constraints) -> None:
    """Refuse constraints on new picks that one rule alone cannot meet.

    Raises
    ------
    ValueError
        If fewer clips can be selected than are asked for.
    """
    n_possible, rule = constraints.n_possible()
    if n_possible < extent.n_new:
        if rule == "rows that must stay out":
            rule = "where and must_exclude"
        msg = (
            f"expected at most {extent.n_before + n_possible} clips, which {rule} "
            f"allow, got {extent.n_select}. Ask for fewer, or loosen the rules."
        )
        raise ValueError(msg)


def select_on_driver(
    problem: Problem,
    candidates: Candidates,
    staging: PickStaging,
    *,
    n_threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> ContingencyTables:
    """Stage all picks of a selection that are not staged yet.

    Parameters
    ----------
    problem : Problem
        What is selected and how.
    candidates : Candidates
        From which clips.
    staging : PickStaging
        Takes the picks; holds those made before a break.
    n_threads : int, default 1
        Threads that set up a batch; no result depends on it.
    progress : callable
        Called after each batch with the new clips so far.

    Returns
    -------
    ContingencyTables
        Counts of all selected clips, those before included.

    Raises
    ------
    ValueError
        If the constraints cannot be met. Limits that allow enough clips each alone and
        too few together are found out at the end only.
    """
    constraints = check_possible(problem, candidates)
    if problem.method in ("pmi", "mixture", "random"):
        return _stage_in_given_order(
            problem, candidates, constraints, staging, progress
        )
    included = constraints.include
    tables = _stage_included(candidates, included, staging)
    selecting = SelectionInProgress(
        candidates.assignments,
        tables,
        problem.n_new - len(included),
        settings=_settings(problem, len(candidates), n_threads),
        constraints=constraints,
        prior=_pseudo_counts(problem, candidates),
    )
    if staging.n_picks > len(included):
        pieces = _without_first(staging, len(included), candidates)
        selecting.resume_in_pieces(pieces, staging.position)
    progress(len(staging))
    for picks in selecting.steps():
        rows = candidates.rows_of(picks.rows)
        staging.add(rows, picks.scores, picks.gains, picks.objectives, picks.batch)
        if staging.is_due:
            staging.flush(selecting.position)
        progress(len(staging))
    staging.flush(selecting.position)
    require_staged(problem, candidates.limits, staging)
    return selecting.tables()


def _settings(problem: Problem, n_candidates: int, n_threads: int) -> BatchSettings:
    if problem.method == "greedy":
        most = min(n_candidates, _MOST_IN_ORDER)
        return BatchSettings(n_candidates, most, 0, n_threads, is_in_order=True)
    return BatchSettings(
        problem.batch_size,
        problem.per_batch,
        problem.seed,
        n_threads,
        "released" if problem.method == "released" else "paper",
    )


def _pseudo_counts(
    problem: Problem, candidates: Candidates
) -> NDArray[np.int64] | None:
    if problem.prior == 0:
        return None
    return pseudo_counts(
        problem.prior,
        candidates.population(),
        candidates.before,
        candidates.assignments,
    )


def _stage_included(
    candidates: Candidates, included: NDArray[np.int64], staging: PickStaging
) -> ContingencyTables:
    """Stage the clips that must be in, if they are not; return the counts with them."""
    if staging.n_picks or len(included) == 0:
        tables = candidates.before.copy()
        tables.count(candidates.assignments[included])
        return tables
    gains, objectives, tables = replay_into(
        candidates.before, candidates.assignments, included
    )
    # They were not chosen by a score; a file's scores are of one type.
    scores = np.zeros(len(included), dtype=np.int64)
    staging.add(candidates.rows_of(included), scores, gains, objectives, -1)
    staging.flush()
    return tables


def _without_first(
    staging: PickStaging, n: int, candidates: Candidates
) -> Iterator[Choices]:
    """Yield staged candidates and scores, less the first ``n``."""
    for rows, scores in staging.pieces():
        if n < len(rows):
            yield candidates.places_of(rows[n:]), scores[n:]
        n = max(n - len(rows), 0)


def require_staged(
    problem: Problem, limits: Sequence[Limit], staging: PickStaging
) -> None:
    """Refuse a selection that ended early, and forget its picks.

    Raises
    ------
    ValueError
        If limits together allow fewer clips than are asked for.
    """
    n_found = problem.n_before + len(staging)
    if len(staging) < problem.n_new:
        staging.discard()
    require_all(n_found, problem.n_select, limits)


def _stage_in_given_order(
    problem: Problem,
    candidates: Candidates,
    constraints: Constraints,
    staging: PickStaging,
    progress: Callable[[int], None],
) -> ContingencyTables:
    """Stage the first clips of an order that does not hang on what is chosen."""
    if problem.method == "random":
        n = len(candidates)
        order = random_selection(n, n, seed=problem.seed)
    elif problem.method == "mixture":
        order = mixture_ranking(
            candidates.assignments,
            len(candidates),
            n_clusters=problem.n_clusters,
            pairs=problem.pairs,
            weights=problem.pair_weights,
            share=problem.share,
        )
    else:
        population = candidates.population()
        order = pointwise_ranking(
            candidates.assignments,
            len(candidates),
            n_clusters=population.n_clusters,
            pairs=population.pairs,
            weights=population.pair_weights,
            population=population,
        )
    included = constraints.include
    order = order[~np.isin(order, included)]
    n_wanted = problem.n_new - len(included)
    chosen = np.concatenate([included, first_open(order, n_wanted, constraints)])
    tables = candidates.before.copy()
    for rows, _ in staging.pieces():
        tables.count(candidates.assignments[candidates.places_of(rows)])
    for start in range(staging.n_picks, len(chosen), _PIECE):
        piece = chosen[start : start + _PIECE]
        gains, objectives, tables = replay_into(tables, candidates.assignments, piece)
        batches = np.where(np.arange(start, start + len(piece)) < len(included), -1, 0)
        scores = np.zeros(len(piece), dtype=np.int64)
        staging.add(candidates.rows_of(piece), scores, gains, objectives, batches)
        staging.flush()
        progress(len(staging))
    require_staged(problem, candidates.limits, staging)
    return tables


def first_open(
    order: NDArray[np.int64], n: int, constraints: Constraints
) -> NDArray[np.int64]:
    """Return the first ``n`` of an order that the limits leave open, or fewer."""
    if not constraints.limits:
        return order[:n]
    from acav_spark.selection.picker import open_positions

    groups = constraints.groups()
    return order[open_positions(np.arange(len(order)), order, n, groups)]
