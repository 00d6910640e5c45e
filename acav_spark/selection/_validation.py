"""Checks of what users hand to the selection; every message says what to do."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Pairs = tuple[tuple[int, int], ...]

# Scores are int64 in units of 2**-46 nats, and g(2**30) is below 22 nats: with so many
# pairs (the paper has 45) no score of 2**30 clips leaves +-2**61.
MAX_PAIRS = 500
_N_EXAMPLES = 5


def checked_integer(value: object, *, name: str, minimum: int) -> int:
    """Return ``value`` as an int, refusing everything that is no integer."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]  # TypeError caught
    except TypeError:
        msg = f"{name}: expected an integer of at least {minimum}, got {value!r}."
        raise ValueError(msg) from None
    if number < minimum:
        msg = f"{name}: expected an integer of at least {minimum}, got {number}."
        raise ValueError(msg)
    return number


def checked_n_clusters(
    n_clusters: int | Sequence[int], n_views: int
) -> tuple[int, ...]:
    """Return one number of clusters for each view."""
    if isinstance(n_clusters, Sequence | np.ndarray):
        if len(n_clusters) != n_views:
            msg = (
                f"n_clusters: expected one number for each of the {n_views} views, got "
                f"{len(n_clusters)}. Give one number for all views or one for each."
            )
            raise ValueError(msg)
        given = list(n_clusters)
    else:
        given = [n_clusters] * n_views
    return tuple(checked_integer(k, name="n_clusters", minimum=1) for k in given)


def checked_weights(
    weights: ArrayLike, n: int | None, *, name: str
) -> NDArray[np.float64]:
    """Return weights that are finite, not negative and not all zero."""
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or n not in (None, array.size):
        expected = "a list of numbers" if n is None else f"{n} numbers, one a pair"
        msg = f"{name}: expected {expected}, got shape {array.shape}."
        raise ValueError(msg)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong) or not array.any():
        examples = ", ".join(f"{i}: {array[i]}" for i in wrong[:_N_EXAMPLES].tolist())
        msg = (
            f"{name}: expected finite numbers of at least 0, one of them above, got "
            f"{len(wrong)} of {array.size} others ({examples or 'all are 0'})."
        )
        raise ValueError(msg)
    return array


def checked_pairs(pairs: Sequence[tuple[int, int]], n_views: int) -> Pairs:
    """Return the pairs as a tuple, each of two different views and named once."""
    if n_views < 2:
        msg = (
            f"assignments: expected at least two views, got {n_views}. Mutual "
            "information is between two clusterings of the same clips."
        )
        raise ValueError(msg)
    checked: list[tuple[int, int]] = []
    seen: set[frozenset[int]] = set()
    for pair in pairs:
        views = tuple(pair)
        if len(views) != 2:
            msg = f"pairs: expected two views in each pair, got {views!r}."
            raise ValueError(msg)
        u, v = (checked_integer(w, name="pairs", minimum=0) for w in views)
        if max(u, v) >= n_views:
            msg = f"pairs: expected views from 0 to {n_views - 1}, got ({u}, {v})."
            raise ValueError(msg)
        if u == v:
            msg = f"pairs: expected two different views in a pair, got ({u}, {v})."
            raise ValueError(msg)
        if frozenset((u, v)) in seen:
            msg = f"pairs: expected each pair once, got ({u}, {v}) twice."
            raise ValueError(msg)
        seen.add(frozenset((u, v)))
        checked.append((u, v))
    if not 1 <= len(checked) <= MAX_PAIRS:
        msg = f"pairs: expected from 1 to {MAX_PAIRS} pairs, got {len(checked)}."
        raise ValueError(msg)
    return tuple(checked)


def checked_assignments(
    assignments: ArrayLike, n_clusters: int | Sequence[int]
) -> tuple[NDArray[np.integer], tuple[int, ...]]:
    """Return the assignments as an array, and the number of clusters of each view."""
    array = np.asarray(assignments)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        msg = (
            "assignments: expected cluster ids of shape (n_clips, n_views) with at "
            f"least one clip and one view, got shape {array.shape}."
        )
        raise ValueError(msg)
    if not np.issubdtype(array.dtype, np.integer):
        msg = (
            f"assignments: expected an integer type, got {array.dtype}. Convert the "
            "cluster ids, and drop clips that have none."
        )
        raise ValueError(msg)
    sizes = checked_n_clusters(n_clusters, array.shape[1])
    _check_ranges(array, sizes)
    return array, sizes


def checked_candidates(
    assignments: ArrayLike, n_clusters: tuple[int, ...]
) -> NDArray[np.integer]:
    """Return the assignments of clips that join others in the same views."""
    shape = np.shape(assignments)
    if len(shape) == 2 and shape[1] != len(n_clusters):
        msg = (
            f"assignments: expected the {len(n_clusters)} views of the former "
            f"selection, got {shape[1]}. Give the same views in the same order."
        )
        raise ValueError(msg)
    return checked_assignments(assignments, n_clusters)[0]


def _check_ranges(array: NDArray[np.integer], sizes: tuple[int, ...]) -> None:
    """Refuse cluster ids outside [0, size) of their view; one pass over the rows."""
    from acav_spark.selection.kernels.counting import ranges

    native = array.dtype.newbyteorder("=")
    lowest, highest = ranges(array.astype(native, copy=False))
    for view, size in enumerate(sizes):
        if lowest[view] < 0 or highest[view] >= size:
            _refuse_range(array[:, view], view, size)


def _refuse_range(ids: NDArray[np.integer], view: int, size: int) -> None:
    """Raise for cluster ids outside [0, size)."""
    clips = np.flatnonzero((ids < 0) | (ids >= size))
    examples = ", ".join(
        f"clip {clip}: {int(ids[clip])}" for clip in clips[:_N_EXAMPLES].tolist()
    )
    msg = (
        f"assignments: expected cluster ids from 0 to {size - 1} in view {view}, got "
        f"{len(clips)} of {len(ids)} outside ({examples}). Give the clustering's own "
        "n_clusters, or assign these clips anew."
    )
    raise ValueError(msg)


def checked_n_select(n_select: int, n_clips: int) -> int:
    """Return the number of clips to select, at most all there are."""
    number = checked_integer(n_select, name="n_select", minimum=1)
    if number > n_clips:
        msg = (
            f"n_select: expected at most {n_clips}, the number of clips there are, got "
            f"{number}. Ask for fewer."
        )
        raise ValueError(msg)
    return number
