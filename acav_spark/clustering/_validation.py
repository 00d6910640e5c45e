"""Checks of vectors that users hand to the clustering."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Squares of larger values, summed, would leave float32; features are far smaller.
LARGEST = 1e15
_N_EXAMPLES = 5
_CHUNK_ROWS = 8192


def checked_vectors(
    x: ArrayLike, *, name: str, n_features: int | None = None, min_rows: int = 1
) -> NDArray[np.float32]:
    """Return finite vectors as a float32 matrix; float32 is not copied."""
    array = checked_matrix(x, name=name, n_features=n_features, min_rows=min_rows)
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    require_finite(vectors, name=name)
    return vectors


def checked_matrix(
    x: ArrayLike, *, name: str, n_features: int | None = None, min_rows: int = 1
) -> NDArray[np.number]:
    """Return vectors as a matrix of numbers, as they came: values are not checked."""
    if hasattr(x, "toarray"):
        msg = f"{name}: sparse input is not supported. Give {name}.toarray()."
        raise TypeError(msg)
    array: NDArray[np.number] = np.asarray(x)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)
    if array.ndim == 1:
        msg = (
            f"{name}: expected vectors of shape (n_samples, n_features), got shape "
            f"{array.shape}. Reshape your data with {name}.reshape(1, -1) if it is a "
            "single vector."
        )
        raise ValueError(msg)
    if array.ndim == 2 and array.shape[1] == 0:
        msg = (
            f"{name}: expected vectors of at least one number, got 0 feature(s) "
            f"(shape={array.shape}) while a minimum of 1 is required."
        )
        raise ValueError(msg)
    if array.ndim != 2 or len(array) < min_rows:
        msg = (
            f"{name}: expected vectors of shape (n_samples, n_features) with at least "
            f"{min_rows} rows and one feature, got shape {array.shape}."
        )
        raise ValueError(msg)
    if array.dtype.kind == "c":
        msg = f"{name}: expected real numbers. Complex data not supported."
        raise ValueError(msg)
    if array.dtype.kind not in "fiu":
        msg = f"{name}: expected numbers, got {array.dtype}."
        raise ValueError(msg)
    if n_features is not None and array.shape[1] != n_features:
        msg = (
            f"{name}: expected vectors of length {n_features}, got length "
            f"{array.shape[1]}. Vectors and codebook must be of the same extractor "
            "layer and model version."
        )
        raise ValueError(msg)
    return array


def require_finite(vectors: NDArray[np.number], *, name: str) -> None:
    """Refuse NaN, infinities and absurd values, naming the rows."""
    bad: list[int] = []
    for start in range(0, len(vectors), _CHUNK_ROWS):
        with np.errstate(over="ignore"):
            block = vectors[start : start + _CHUNK_ROWS].astype(np.float32, copy=False)
        # Written so that a comparison with NaN counts as bad.
        is_bad = ~(np.abs(block).max(axis=1, initial=0.0) <= LARGEST)
        bad.extend((start + np.flatnonzero(is_bad)).tolist())
    if bad:
        rows = ", ".join(str(row) for row in bad[:_N_EXAMPLES])
        msg = (
            f"{name}: expected finite values up to {LARGEST:g}, got others (NaN, inf) "
            f"in {len(bad)} of {len(vectors)} rows ({rows}). Leave these rows out."
        )
        raise ValueError(msg)


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
