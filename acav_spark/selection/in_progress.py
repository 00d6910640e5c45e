"""A selection in progress: batches drawn, the best taken, the rest put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from acav_spark.selection.batches import Batches
from acav_spark.selection.float_picker import FloatPicker
from acav_spark.selection.picker import ExactPicker
from acav_spark.selection.pool import CandidatePool, most_extra
from acav_spark.selection.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.limits import Constraints

    Choices = tuple[NDArray[np.int64], NDArray[np.int64] | NDArray[np.float64]]

Mode = Literal["paper", "released"]


@dataclass(frozen=True)
class BatchSettings:
    """How batches are drawn and used; checked by who makes it.

    Parameters
    ----------
    batch_size, per_batch : int
        Candidates of a batch, and clips taken from it (b and s of the paper).
    seed : int
        Seed of the draws.
    n_threads : int
        Threads that set up a batch, and the next one; no result depends on it.
    mode : {"paper", "released"}
        Whether the best is taken again after each choice (Algorithm 1), or a batch is
        scored once and its top taken, as the authors' published code does.
    is_in_order : bool
        Whether every batch is all that is left, in the order of rows (Algorithm 2).
    """

    batch_size: int = 10_000
    per_batch: int = 500
    seed: int = 0
    n_threads: int = 1
    mode: Mode = "paper"
    is_in_order: bool = False


class Position(NamedTuple):
    """Where a selection is, apart from its choices.

    Parameters
    ----------
    n_batches : int
        Batches that were used.
    listed_at : int
        How many clips had been selected when the pool was last listed; -1 for never.
    """

    n_batches: int = 0
    listed_at: int = -1


class Picks(NamedTuple):
    """The choices of one batch.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_taken,)
        Row numbers in the order of choice.
    scores : ndarray of int64 or float64, shape (n_taken,)
        Score of each when it was chosen.
    gains, objectives : ndarray of float64, shape (n_taken,)
        Change of the objective, and the objective after it, in nats.
    batch : int
        Number of the batch, from 0.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.int64] | NDArray[np.float64]
    gains: NDArray[np.float64]
    objectives: NDArray[np.float64]
    batch: int


class SelectionInProgress:
    """Algorithm 1 step by step; validation is assumed.

    Parameters
    ----------
    assignments : ndarray of integers, shape (n_clips, n_views)
        Cluster ids of all candidates.
    before : ContingencyTables
        Clips that were selected before, included ones among them; not changed.
    n_select : int
        How many to choose.
    settings : BatchSettings
        How batches are drawn and used.
    constraints : Constraints
        Limits, rows in and rows out. The rows that must be in were counted in
        ``before`` and are not drawn.
    prior : ndarray of int64, optional
        Pseudo-counts in units of ``2**-12`` clips.
    """

    def __init__(
        self,
        assignments: NDArray[np.integer],
        before: ContingencyTables,
        n_select: int,
        *,
        settings: BatchSettings,
        constraints: Constraints,
        prior: NDArray[np.int64] | None = None,
    ) -> None:
        self._assignments = assignments
        self._before = before
        self._n_select = n_select
        self._settings = settings
        self._constraints = constraints
        self._prior = prior
        self._groups = constraints.groups()
        self._out = np.concatenate([constraints.include, constraints.exclude])
        self._pool = self._fresh_pool()
        self._batch_size = len(assignments)
        if not settings.is_in_order:
            self._batch_size = min(settings.batch_size, len(assignments))
        self._picker = self._picker_from(before)
        self._trajectory = Trajectory(before, self._picker.units_per_nat)
        self.n_done = 0
        self._n_batches = 0

    @property
    def position(self) -> Position:
        """Where the selection is; with the choices, all that ``resume`` needs."""
        return Position(self._n_batches, self._pool.listed_at)

    def tables(self) -> ContingencyTables:
        """Return the counts of the clips before and of all choices."""
        return self._picker.tables()

    def resume(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.int64] | NDArray[np.float64],
        position: Position,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Go on after choices that were made before a break; call it first.

        Parameters
        ----------
        rows, scores : ndarray, shape (n_done,)
            All choices so far, in order.
        position : Position
            Where the selection was after them.

        Returns
        -------
        gains, objectives : ndarray of float64, shape (n_done,)
            As they were.
        """
        ((gains, objectives),) = self.resume_in_pieces([(rows, scores)], position)
        return gains, objectives

    def resume_in_pieces(
        self, pieces: Iterable[Choices], position: Position
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Go on after choices that come in pieces, of which one is held at a time.

        Parameters and returns are those of ``resume``, once for each piece.
        """
        tables = self._before.copy()
        listed = max(position.listed_at, 0)
        is_listed = position.listed_at < 0
        followed = []
        for rows, scores in pieces:
            tables.count(self._assignments[rows])
            n_first = len(rows) if is_listed else min(listed - self.n_done, len(rows))
            self._select(rows[:n_first])
            if not is_listed and self.n_done == listed:
                self._pool.list_anew()
                is_listed = True
            self._select(rows[n_first:])
            followed.append(self._trajectory.follow(scores))
        if not is_listed:
            self._pool.list_anew()
        self._picker = self._picker_from(tables)
        self._n_batches = position.n_batches
        return followed

    def steps(self) -> Iterator[Picks]:
        """Yield the choices of batch after batch until all are made.

        Ends early when no candidate is left that the limits allow.
        """
        batches = Batches(
            *(self._pool, self._picker, self._assignments),
            *(self._groups, self._batch_size),
        )
        while self.n_done < self._n_select:
            rows, scores = self._taken(batches)
            if len(rows) == 0:
                return
            gains, objectives = self._trajectory.follow(scores)
            self.n_done += len(rows)
            self._n_batches += 1
            yield Picks(rows, scores, gains, objectives, self._n_batches - 1)

    def _taken(self, batches: Batches) -> Choices:
        """Take from the next batch; nothing where no candidate is left."""
        settings, pool = self._settings, self._pool
        n_left = self._n_select - self.n_done
        n_most = min(settings.per_batch, n_left)
        if settings.mode == "paper" and not settings.is_in_order:
            rows, taken = batches.take_best(self._n_batches, n_most, n_left - n_most)
            return rows, taken.scores
        if settings.is_in_order:
            rows = pool.draw_all()
        else:
            rows = pool.draw(self._batch_size, self._n_batches)
        picker, n_take = self._picker, min(n_most, len(rows))
        take = picker.take_best if settings.mode == "paper" else picker.take_top
        taken = take(self._assignments, rows, n_take, self._groups)
        pool.keep(taken.positions)
        return rows[taken.positions], taken.scores

    def _fresh_pool(self) -> CandidatePool:
        return CandidatePool(
            len(self._assignments),
            self._settings.seed,
            self._groups,
            excluded=self._out,
        )

    def _picker_from(self, tables: ContingencyTables) -> ExactPicker | FloatPicker:
        if not tables.scoring.is_exact:
            return FloatPicker(tables, prior=self._prior)
        return ExactPicker(
            tables,
            prior=self._prior,
            batch_size=self._batch_size + most_extra(self._batch_size),
            n_expected=self._n_select,
            n_threads=self._settings.n_threads,
        )

    def _select(self, rows: NDArray[np.int64]) -> None:
        """Count rows as chosen, in the pool and in their groups."""
        self._take_from_groups(rows)
        self._pool.select(rows)
        self.n_done += len(rows)

    def _take_from_groups(self, rows: NDArray[np.int64]) -> None:
        for limit, first in enumerate(self._groups.first.tolist()):
            codes = self._groups.of_row[limit, rows]
            np.subtract.at(self._groups.left, first + codes, 1)
