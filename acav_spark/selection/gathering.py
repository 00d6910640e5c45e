"""What the driver engine chooses from: packed rows, less those that are out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import StageError
from acav_spark.selection.candidates import read_packed, written_batches
from acav_spark.selection.driver import Candidates

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.selection.candidates import PackedFiles
    from acav_spark.selection.limits import Limit
    from acav_spark.selection.problem import Problem
    from acav_spark.selection.restrictions import Restrictions
    from acav_spark.storage import Folder


@dataclass(frozen=True, eq=False)
class Former:
    """Clips of the selection that is extended.

    Parameters
    ----------
    is_in : ndarray of bool, shape (n_clips,), optional
        Whether each packed row is among them; None where there are none.
    """

    is_in: NDArray[np.bool_] | None

    @classmethod
    def none(cls) -> Self:
        """Return the clips of a new selection."""
        return cls(None)


def former_rows(
    selected: DataFrame, packed: DataFrame, problem: Problem, scratch: Folder
) -> Former:
    """Return where in the packed table the clips of a selection are.

    Raises
    ------
    StageError
        If one of them is packed no more.
    """
    is_in = np.zeros(problem.n_clips, dtype=bool)
    rows = packed.join(selected.select("clip_id"), "clip_id").select("row_number")
    for batch in written_batches(rows, scratch, "former"):
        is_in[batch["row_number"].to_numpy()] = True
    n_found = int(is_in.sum())
    if n_found != problem.n_before:
        msg = (
            f"select_clips: expected the {problem.n_before} selected clips among the "
            f"candidates, found {n_found}: clips were deleted since. "
            "Choose --on-change recompute, or another selection.name."
        )
        raise StageError(msg)
    return Former(is_in)


def gather_candidates(
    packed: DataFrame,
    files: PackedFiles,
    problem: Problem,
    former: Former,
    rules: Restrictions,
    scratch: Folder,
) -> Candidates:
    """Return the clips that may be chosen, in memory; see ``PackedRows`` for how much.

    Raises
    ------
    StageError
        If packed rows are not what they should be, or no clip is left.
    """
    kept = rules.allowed
    if former.is_in is not None:
        kept = ~former.is_in if kept is None else kept & ~former.is_in
    if kept is not None and not kept.any():
        msg = (
            "selection: expected clips that may be selected, got none. Loosen "
            "selection.where, or take clips out of selection.must_exclude."
        )
        raise StageError(msg)
    before = problem.empty_tables()
    rows = read_packed(
        packed,
        files,
        scratch,
        n_clusters=problem.n_clusters,
        kept=kept,
        counted=former.is_in,
        tables=before,
    )
    include = rules.include
    if former.is_in is not None:
        include = include[~former.is_in[include]]
    candidates = Candidates(
        rows.assignments,
        before,
        rows.row_numbers,
        tuple(_limit_left(limit, kept, former) for limit in rules.limits),
    )
    return replace(candidates, include=candidates.places_of(include))


def _limit_left(limit: Limit, kept: NDArray[np.bool_] | None, former: Former) -> Limit:
    """Return what is left of a limit, for the rows that are kept."""
    capacity, codes = limit.capacity, limit.codes
    if former.is_in is not None:
        used = np.bincount(codes[former.is_in], minlength=len(capacity))
        capacity = np.maximum(capacity - used, 0)
    if kept is not None:
        codes = codes[kept]
    return replace(limit, codes=codes, capacity=capacity)
