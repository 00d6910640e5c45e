"""Constraints on a selection: at most so many of a group, quotas, clips in or out.

All are kept exactly: a clip whose group has given as many as it may is never drawn
again, and never taken from a batch that it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import checked_integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from acav_spark.selection.kernels.draw import Groups

_N_EXAMPLES = 5
_UNLIMITED = 2**62


@dataclass(frozen=True, eq=False)
class Limit:
    """At most so many selected clips from each group; make one by the functions below.

    Parameters
    ----------
    name : str
        For messages, such as ``video``.
    codes : ndarray of int32, shape (n_clips,)
        The group of each clip.
    capacity : ndarray of int64, shape (n_groups,)
        How many clips of each group may be selected.
    labels : sequence
        Name of each group, for messages.
    """

    name: str
    codes: NDArray[np.int32]
    capacity: NDArray[np.int64]
    labels: Sequence[object]


def at_most(n: int, groups: ArrayLike, *, name: str = "group") -> Limit:
    """Return the limit of at most ``n`` selected clips from each group.

    Parameters
    ----------
    n : int
        At least 1.
    groups : array_like, shape (n_clips,)
        Video, channel or whatever else groups the clips; numbers or text.
    name : str
        For messages.
    """
    number = checked_integer(n, name=f"at_most ({name})", minimum=1)
    labels, codes = _coded(groups, name)
    capacity = np.full(len(labels), number, dtype=np.int64)
    return Limit(name, codes, capacity, labels)


def quotas(
    upper: Mapping[object, int | float],
    values: ArrayLike,
    n_select: int,
    *,
    name: str = "value",
) -> Limit:
    """Return upper bounds on how many clips of each value are selected.

    Parameters
    ----------
    upper : mapping of value to int or float
        A count, or a share in (0, 1) of ``n_select``, rounded down. Values that are not
        named have no bound.
    values : array_like, shape (n_clips,)
        Language, category or the like of each clip.
    n_select : int
        Size of the selection that shares are of.
    name : str
        For messages.

    Raises
    ------
    ValueError
        If a bound is neither a count of at least 0 nor a share in (0, 1), or a value is
        that of no clip.
    """
    labels, codes = _coded(values, name)
    capacity = np.full(len(labels), _UNLIMITED, dtype=np.int64)
    places = {label: i for i, label in enumerate(labels)}
    unknown = [value for value in upper if value not in places]
    if unknown:
        msg = (
            f"quotas ({name}): expected values that clips have, got "
            f"{unknown[:_N_EXAMPLES]}. There are {list(labels)[:_N_EXAMPLES]}."
        )
        raise ValueError(msg)
    for value, bound in upper.items():
        capacity[places[value]] = _count_of(bound, n_select, f"{name} {value!r}")
    return Limit(name, codes, capacity, labels)


def _count_of(bound: float, n_select: int, what: str) -> int:
    if isinstance(bound, float):
        if 0 < bound < 1:
            # The decimal that was written: 0.29 of 100 is 29, not 28.
            return int(Fraction(str(bound)) * n_select)
        msg = f"quotas ({what}): expected a share in (0, 1), got {bound}."
        raise ValueError(msg)
    return checked_integer(bound, name=f"quotas ({what})", minimum=0)


def _coded(groups: ArrayLike, name: str) -> tuple[list[object], NDArray[np.int32]]:
    """Return the distinct groups and each clip's place among them."""
    import pandas as pd

    array = np.asarray(groups)
    if array.ndim != 1 or array.size == 0:
        msg = f"{name}: expected one group for each clip, got shape {array.shape}."
        raise ValueError(msg)
    codes, labels = pd.factorize(array, use_na_sentinel=False)
    return list(labels), codes.astype(np.int32)


def checked_rows(rows: ArrayLike | None, n_clips: int, name: str) -> NDArray[np.int64]:
    """Return distinct row numbers in rising order; none for None."""
    array = np.asarray([] if rows is None else rows)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        msg = (
            f"{name}: expected row numbers of integer type and one axis, got shape "
            f"{array.shape} of {array.dtype}."
        )
        raise ValueError(msg)
    distinct = np.unique(array).astype(np.int64)
    if distinct[0] < 0 or distinct[-1] >= n_clips:
        msg = (
            f"{name}: expected row numbers from 0 to {n_clips - 1}, got values from "
            f"{distinct[0]} to {distinct[-1]}."
        )
        raise ValueError(msg)
    return distinct


@dataclass(frozen=True, eq=False)
class Constraints:
    """What a selection must keep to; checked against each other.

    Parameters
    ----------
    n_clips, n_select : int
        Clips there are, and clips that are selected in all.
    limits : sequence of Limit
        At most so many of each group.
    include, exclude : ndarray of int64
        Rows that must be selected, and rows that must not.
    """

    n_clips: int
    n_select: int
    limits: tuple[Limit, ...]
    include: NDArray[np.int64]
    exclude: NDArray[np.int64]

    def __post_init__(self) -> None:
        both = np.intersect1d(self.include, self.exclude)
        if len(both):
            msg = (
                f"include, exclude: expected no row in both, got {len(both)} "
                f"({both[:_N_EXAMPLES].tolist()}). Take them out of one."
            )
            raise ValueError(msg)
        if len(self.include) > self.n_select:
            msg = (
                f"include: expected at most n_select ({self.n_select}) rows, got "
                f"{len(self.include)}. Select more, or include fewer."
            )
            raise ValueError(msg)
        for limit in self.limits:
            if limit.codes.shape != (self.n_clips,):
                msg = (
                    f"limits ({limit.name}): expected one group for each of "
                    f"{self.n_clips} clips, got {limit.codes.shape}."
                )
                raise ValueError(msg)
            self._check_included(limit)

    def _check_included(self, limit: Limit) -> None:
        counts = np.bincount(limit.codes[self.include], minlength=len(limit.capacity))
        over = np.flatnonzero(counts > limit.capacity)
        if len(over):
            group = int(over[0])
            msg = (
                f"include: expected to keep the limits, got {counts[group]} rows of "
                f"{limit.name} {limit.labels[group]!r}, which may give "
                f"{limit.capacity[group]}. Include fewer, or raise the limit."
            )
            raise ValueError(msg)

    def n_possible(self) -> tuple[int, str]:
        """Return how many clips each rule alone allows at most, and the tightest rule.

        Two limits together may allow fewer; that shows when no clip is left to draw.
        """
        is_allowed = np.ones(self.n_clips, dtype=bool)
        is_allowed[self.exclude] = False
        n_allowed, rule = int(is_allowed.sum()), "rows that must stay out"
        for limit in self.limits:
            sizes = np.bincount(limit.codes[is_allowed], minlength=len(limit.capacity))
            n = int(np.minimum(sizes, limit.capacity).sum())
            if n < n_allowed:
                n_allowed, rule = n, f"the limit by {limit.name}"
        return n_allowed, rule

    def groups(self) -> Groups:
        """Return what is left of each group, the included clips being counted."""
        from acav_spark.selection.kernels.draw import Groups

        if not self.limits:
            return no_groups(self.n_clips)
        left = []
        for limit in self.limits:
            used = np.bincount(limit.codes[self.include], minlength=len(limit.capacity))
            left.append(limit.capacity - used)
        sizes = [len(part) for part in left]
        return Groups(
            np.stack([limit.codes for limit in self.limits]),
            np.concatenate(left),
            np.cumsum([0, *sizes[:-1]]).astype(np.int64),
        )


def no_groups(n_clips: int) -> Groups:
    """Return limits that limit nothing."""
    from acav_spark.selection.kernels.draw import Groups

    return Groups(
        np.empty((0, n_clips), dtype=np.int32),
        np.empty(0, dtype=np.int64),
        np.empty(0, dtype=np.int64),
    )


def require_all(n_found: int, n_wanted: int, limits: Sequence[Limit]) -> None:
    """Refuse a selection that ended early.

    Raises
    ------
    ValueError
        If fewer were found than wanted: limits that allow enough clips each alone, and
        too few together, are found out at the end only.
    """
    if n_found < n_wanted:
        msg = (
            f"limits: expected to allow {n_wanted} clips, got {n_found}: each allows "
            "as many alone, all together do not. Ask for fewer, or loosen one of "
            f"{', '.join(limit.name for limit in limits)}."
        )
        raise ValueError(msg)
