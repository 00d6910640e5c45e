"""What is done to vectors before they are clustered, fitted once and stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from acav_spark.clustering._validation import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

PreprocessName = Literal["none", "standardise", "l2"]

# Rows that are summed at once; fixed, so that sums do not depend on anything else.
_CHUNK_ROWS = 4096
# A dimension that varies by less than float32 resolves of its mean does not vary.
_RESOLUTION = 1e-6


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A fitted transformation of vectors; validation is assumed.

    Parameters
    ----------
    name : {"none", "standardise", "l2"}
        ``standardise`` subtracts ``mean`` and divides by ``scale``; ``l2`` divides
        each vector by its length, and leaves the zero vector as it is.
    mean, scale : ndarray of float32, shape (n_features,), optional
        Given exactly when vectors are standardised.
    """

    name: PreprocessName
    mean: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the transformed vectors; ``x`` itself stays as it is."""
        if self.mean is not None and self.scale is not None:
            with np.errstate(over="ignore"):
                standardised: NDArray[np.float32] = (x - self.mean) / self.scale
            # A vector far from those of the fit must not overflow when squared.
            np.clip(standardised, -LARGEST, LARGEST, out=standardised)
            return standardised
        if self.name == "l2":
            squares = np.sum(np.square(x, dtype=np.float64), axis=1, keepdims=True)
            lengths = np.sqrt(squares)
            lengths[lengths == 0] = 1
            unit: NDArray[np.float32] = (x / lengths).astype(np.float32)
            return unit
        return x

    def is_like(self, other: Preprocessing) -> bool:
        """Return whether both do the same."""
        pairs = ((self.mean, other.mean), (self.scale, other.scale))
        return self.name == other.name and all(
            a is b is None or (a is not None and b is not None and np.array_equal(a, b))
            for a, b in pairs
        )


def check_preprocess_name(name: str) -> None:
    """Refuse an unknown name."""
    if name not in get_args(PreprocessName):
        msg = (
            f"preprocess: expected one of {list(get_args(PreprocessName))}, got "
            f"{name!r}."
        )
        raise ValueError(msg)


def fit_preprocessing(name: PreprocessName, x: NDArray[np.float32]) -> Preprocessing:
    """Return the transformation for the vectors ``x``; validation is assumed.

    Notes
    -----
    Mean and standard deviation are summed in float64 in two passes. A dimension that
    does not vary keeps the scale 1.
    """
    if name != "standardise":
        return Preprocessing(name)
    chunks = [x[i : i + _CHUNK_ROWS] for i in range(0, len(x), _CHUNK_ROWS)]
    total = np.zeros(x.shape[1])
    for chunk in chunks:
        total += chunk.sum(axis=0, dtype=np.float64)
    mean = total / len(x)
    squares = np.zeros(x.shape[1])
    for chunk in chunks:
        squares += np.square(chunk - mean).sum(axis=0)
    scale = np.sqrt(squares / len(x))
    scale[scale <= _RESOLUTION * np.abs(mean)] = 1
    return Preprocessing(name, mean.astype(np.float32), scale.astype(np.float32))
