"""What is chosen from: packed rows, less those that are out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import StageError
from acav_spark.selection.candidates import read_packed, written_batches
from acav_spark.selection.driver import Candidates, require_possible
from acav_spark.selection.limits import Constraints

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.selection.candidates import PackedFiles
    from acav_spark.selection.limits import Limit
    from acav_spark.selection.problem import Extent, Problem
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
    selected: DataFrame, packed: DataFrame, extent: Problem | Extent, scratch: Folder
) -> Former:
    """Return where in the packed table the clips of a selection are.

    Raises
    ------
    StageError
        If one of them is packed no more.
    """
    is_in = np.zeros(extent.n_clips, dtype=bool)
    rows = packed.join(selected.select("clip_id"), "clip_id").select("row_number")
    for batch in written_batches(rows, scratch, "former"):
        is_in[batch["row_number"].to_numpy()] = True
    require_all_former(int(is_in.sum()), extent.n_before)
    return Former(is_in)


def require_all_former(n_found: int, n_before: int) -> None:
    """Refuse a selection some of whose clips are packed no more.

    Raises
    ------
    StageError
        If fewer were found than were selected before.
    """
    if n_found != n_before:
        msg = (
            f"select_clips: expected the {n_before} selected clips among the "
            f"candidates, found {n_found}: clips were deleted since. "
            "Choose --on-change recompute, or another selection.name."
        )
        raise StageError(msg)


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


def constraints_left(
    extent: Problem | Extent, rules: Restrictions, is_former: NDArray[np.bool_] | None
) -> Constraints:
    """Return the constraints on new picks, if they can be met.

    Raises
    ------
    ValueError
        If fewer clips can be selected than are asked for.
    """
    kept, include, limits = rules.allowed, rules.include, list(rules.limits)
    if is_former is not None:
        kept = ~is_former if kept is None else kept & ~is_former
        include = include[~is_former[include]]
        for number, limit in enumerate(limits):
            used = np.bincount(limit.codes[is_former], minlength=len(limit.capacity))
            limits[number] = replace(
                limit, capacity=np.maximum(limit.capacity - used, 0)
            )
    exclude = np.empty(0, dtype=np.int64) if kept is None else np.flatnonzero(~kept)
    constraints = Constraints(
        extent.n_clips, extent.n_new, tuple(limits), include, exclude
    )
    require_possible(extent, constraints)
    return constraints
