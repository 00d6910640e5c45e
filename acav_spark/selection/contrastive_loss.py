"""The contrastive loss of a batch and its gradient (paper, section 3.3.1, equation 1).

The gradient is written out: with batches of 10 and two linear maps, recording and
replaying operations would take several times as long as computing them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32] | NDArray[np.float64]
    Real = TypeVar("Real", np.float32, np.float64)

# A shorter vector has no direction; its cosine with any other is near 0.
SHORTEST = 1e-8


def normalised(vectors: NDArray[Real]) -> tuple[NDArray[Real], NDArray[Real]]:
    """Return vectors divided by their lengths, and the lengths as a column."""
    squares = np.einsum("ij,ij->i", vectors, vectors)[:, None]
    lengths = np.maximum(np.sqrt(squares), vectors.dtype.type(SHORTEST))
    return cast("NDArray[Real]", vectors / lengths), lengths


def gradient_through_lengths(
    gradient: NDArray[Real], directions: NDArray[Real], lengths: NDArray[Real]
) -> NDArray[Real]:
    """Return the gradient by vectors, given that by their directions."""
    along = np.einsum("ij,ij->i", gradient, directions)[:, None]
    return cast("NDArray[Real]", (gradient - directions * along) / lengths)


def contrastive_loss(
    first: NDArray[Real],
    second: NDArray[Real],
    *,
    temperature: float,
    rows: slice = slice(None),
) -> tuple[float, NDArray[Real], NDArray[Real]]:
    """Return the symmetric loss of a batch, and its gradient by the embeddings.

    Parameters
    ----------
    first, second : ndarray of float, shape (batch_size, n_dimensions)
        Embeddings of length 1; row ``i`` of both is of the same clip.
    temperature : float
        Above 0.
    rows : slice
        Clips whose gradients are wanted.

    Returns
    -------
    loss : float
        Mean over the clips of ``l(v_i, a_i) + l(a_i, v_i)``, in nats.
    by_first, by_second : ndarray of float, shape (n_rows, n_dimensions)
        Derivatives of the loss of the whole batch.

    Notes
    -----
    Equation 1: ``l(v_i, a_i) = -log(exp(s_ii / t) / sum over j of exp(s_ij / t))``.
    With ``P`` the softmax of ``s / t`` along rows and ``Q`` that along columns, the
    derivative by ``s`` is ``(P + Q - 2 I) / (n t)``.
    """
    n, scale = len(first), first.dtype.type(1 / temperature)
    logits = (first @ second.T) * scale
    shifted = logits - logits.max(axis=1, keepdims=True)
    by_row = np.exp(shifted)
    row_sums = by_row.sum(axis=1, keepdims=True)
    downwards = logits - logits.max(axis=0, keepdims=True)
    by_column = np.exp(downwards)
    column_sums = by_column.sum(axis=0, keepdims=True)
    own = np.diagonal(shifted).sum(dtype=np.float64)
    own += np.diagonal(downwards).sum(dtype=np.float64)
    total = np.log(row_sums).sum(dtype=np.float64)
    total += np.log(column_sums).sum(dtype=np.float64)
    by_row /= row_sums
    by_column /= column_sums
    slopes = by_row + by_column
    slopes.flat[:: n + 1] -= first.dtype.type(2)
    slopes *= scale / first.dtype.type(n)
    loss = float((total - own) / n)
    return loss, slopes[rows] @ second, slopes[:, rows].T @ first
