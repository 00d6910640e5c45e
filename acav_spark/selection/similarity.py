"""Cosine similarity of joint embeddings, and the order of scores.

Networks such as ImageBind, CLIP and CLAP put two modalities into one space, in which
clips whose picture and sound (or text) belong together lie near each other. Filtering
by their cosine is what today's audio-visual data pipelines do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering._validation import checked_vectors
from acav_spark.selection._validation import checked_n_select

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_N_EXAMPLES = 5
# Rows that are widened to float64 at once.
_BLOCK = 1 << 12


def cosine_similarity(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of the angle between two vectors of each clip, in [-1, 1].

    Parameters
    ----------
    first, second : array_like of float, shape (n_clips, n_features)
        Embeddings of the two sides of each clip in one space; read as float32. Their
        lengths do not matter. A vector of zeros has no direction: its cosine is 0.

    Returns
    -------
    ndarray of float64, shape (n_clips,)
        Larger is better. A row's cosine has the same bits whatever rows stand beside
        it, and 1 is exact for equal vectors.

    Raises
    ------
    ValueError
        If the sides are of different numbers of clips or of different dimensions, or a
        value is not finite.
    """
    left = checked_vectors(first, name="first", min_rows=0)
    right = checked_vectors(second, name="second", min_rows=0)
    if left.shape != right.shape:
        msg = (
            "first, second: expected embeddings of the same clips in one space, got "
            f"shapes {left.shape} and {right.shape}. Use a network that embeds both "
            "sides jointly, or rank by projections (feature_scores)."
        )
        raise ValueError(msg)
    return row_cosines(left, right)


def row_cosines(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the cosine of each row of two matrices; validation is assumed."""
    cosines = np.empty(len(first))
    for start in range(0, len(first), _BLOCK):
        rows = slice(start, start + _BLOCK)
        # C order, so that every row is summed alike however many there are.
        left = np.ascontiguousarray(first[rows], dtype=np.float64)
        right = np.ascontiguousarray(second[rows], dtype=np.float64)
        # Squares of float32 and their products are far inside the range of float64;
        # one root of the product makes the cosine of equal vectors exactly 1.
        squares = np.sum(left * left, axis=1) * np.sum(right * right, axis=1)
        lengths = np.sqrt(squares)
        lengths[squares == 0] = 1
        cosines[rows] = np.sum(left * right, axis=1) / lengths
    return np.clip(cosines, -1, 1)


def highest(
    scores: NDArray[np.int64] | NDArray[np.float64], n_select: int
) -> NDArray[np.int64]:
    """Return the rows of the highest scores, best first.

    Parameters
    ----------
    scores : ndarray of int64 or float64, shape (n_clips,)
        Larger is better; minus infinity is allowed, NaN is not.
    n_select : int
        How many, from 1 to ``n_clips``.

    Returns
    -------
    ndarray of int64, shape (n_select,)
        Row numbers; of equal scores the lower row comes first.

    Raises
    ------
    ValueError
        If a score is not a number, or more are asked for than there are.
    """
    values = np.asarray(scores)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        msg = (
            "scores: expected one number for each clip, got shape "
            f"{values.shape} of {values.dtype}."
        )
        raise ValueError(msg)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        msg = (
            f"scores: expected a number for each clip, got NaN for {len(missing)} of "
            f"{len(values)} ({missing[:_N_EXAMPLES].tolist()}). Leave these clips out."
        )
        raise ValueError(msg)
    n = checked_n_select(n_select, len(values))
    threshold = np.partition(values, len(values) - n)[len(values) - n]
    above = np.flatnonzero(values > threshold)
    equal = np.flatnonzero(values == threshold)[: n - len(above)]
    chosen = np.sort(np.concatenate([above, equal]))
    falling = np.argsort(values[chosen][::-1], kind="stable")[::-1]
    ordered: NDArray[np.int64] = chosen[len(chosen) - 1 - falling]
    return ordered
