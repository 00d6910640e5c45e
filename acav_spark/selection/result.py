"""What a selection returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from acav_spark.selection._validation import checked_integer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from acav_spark.selection.contingency import ContingencyTables


@dataclass(frozen=True, eq=False)
class Selection:
    """An ordered choice of clips.

    Parameters
    ----------
    indices : ndarray of int64, shape (n_selected,)
        Row numbers of ``assignments`` in the order of choice.
    gains : ndarray of float64, shape (n_selected,)
        Change of the objective by each choice, in nats; may be negative, for mutual
        information is not monotone.
    objectives : ndarray of float64, shape (n_selected,)
        Weighted mean mutual information over the pairs after each choice, in nats.
    batches : ndarray of int32, shape (n_selected,)
        Number, from 0, of the batch that each choice was made from; -1 for clips that
        had to be in.
    make_tables : callable
        Returns the tables; called when they are first asked for.
    """

    indices: NDArray[np.int64]
    gains: NDArray[np.float64]
    objectives: NDArray[np.float64]
    batches: NDArray[np.int32]
    make_tables: Callable[[], ContingencyTables]

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return (
            f"Selection(n_selected={len(self)}, objective={self.objective:.6f}, "
            f"tables={self.tables!r})"
        )

    @cached_property
    def tables(self) -> ContingencyTables:
        """Counts of all selected clips, from which ``extend`` continues."""
        return self.make_tables()

    @property
    def objective(self) -> float:
        """Weighted mean mutual information after the last choice, in nats."""
        return float(self.objectives[-1])

    @property
    def is_exact(self) -> bool:
        """Whether choices were made by exact integers; else by float64."""
        return self.tables.scoring.is_exact

    def first(self, n: int, assignments: ArrayLike) -> Selection:
        """Return the first ``n`` choices as a selection of their own.

        Ranks are meaningful: the first ``n`` of a selection are what Algorithm 1
        chooses when ``n`` are asked for.

        Parameters
        ----------
        n : int
            From 1 to the number selected.
        assignments : array_like of integers, shape (n_clips, n_views)
            What the selection was made from, to take the others out of the tables.

        Raises
        ------
        ValueError
            If there are fewer choices than ``n``.
        """
        from acav_spark.selection._validation import checked_candidates

        number = checked_integer(n, name="n", minimum=1)
        if number > len(self):
            msg = f"n: expected at most {len(self)}, the clips selected, got {number}."
            raise ValueError(msg)
        ids = checked_candidates(assignments, self.tables.n_clusters)
        dropped = self.tables.with_counters(self.tables.counters * 0)
        dropped.count(ids[self.indices[number:]])
        return Selection(
            self.indices[:number],
            self.gains[:number],
            self.objectives[:number],
            self.batches[:number],
            lambda: self.tables.with_counters(self.tables.counters - dropped.counters),
        )
