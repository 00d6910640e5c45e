"""Matrix products that give a row the same bits whatever stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Numbers of one block in float64: 8 MiB, of which there are some five.
_BLOCK_NUMBERS = 1 << 20
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 64, 4096
_ROUNDING = float(np.finfo(np.float64).eps) / 2


class Projection:
    """Projects vectors on the rows of a matrix; validation is assumed.

    Parameters
    ----------
    matrix : ndarray of float32, shape (n_out, n_in)
        What vectors are multiplied with.

    Notes
    -----
    A result is defined as the float32 nearest to numpy's float64 sum of that row's
    products, which are exact. A library for matrix products (BLAS) adds them in orders
    that depend on block shape, place in the block, threads and processor, so neither
    rounding its float64 result nor padding blocks to one shape is enough: the first
    differs where a sum lies between two float32, once in some 1e5 to 1e8 numbers. Here
    the library's float64 sums are taken where they round to the same float32 with
    twice the bound ``n_in * eps/2 * |x| |row|`` of their error added or subtracted
    (Higham 2002, section 3.1; it holds for every order), and the others are summed
    again by definition.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        n_out, n_in = matrix.shape
        self._matrix = np.ascontiguousarray(matrix)
        self._transposed = np.ascontiguousarray(matrix.T, dtype=np.float64)
        # Twice the bound, and room for rounding of norms, bounds and differences.
        self._errors = _norms(matrix) * ((2 * n_in + 64) * _ROUNDING)
        self._block_rows = int(
            np.clip(
                _BLOCK_NUMBERS // max(n_out, n_in), _MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS
            )
        )

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the products, shape (n_samples, n_out).

        Parameters
        ----------
        x : ndarray of float32, shape (n_samples, n_in)
            Vectors; products must not overflow float32.
        """
        products = np.empty((len(x), len(self._matrix)), dtype=np.float32)
        for start in range(0, len(x), self._block_rows):
            block = slice(start, start + self._block_rows)
            products[block] = self._of_block(x[block].astype(np.float64))
        return products

    def _of_block(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        sums = rows @ self._transposed
        errors = np.multiply.outer(_norms(rows), self._errors)
        products: NDArray[np.float32] = (sums - errors).astype(np.float32)
        sums += errors
        doubtful = np.nonzero(products != sums.astype(np.float32))
        step = max(1, _BLOCK_NUMBERS // rows.shape[1])
        for start in range(0, len(doubtful[0]), step):
            i, j = (places[start : start + step] for places in doubtful)
            products[i, j] = np.sum(rows[i] * self._matrix[j], axis=1)
        # Minus zero becomes zero: of which sign it is depends on the order as well.
        products += np.float32(0)
        return products


def _norms(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the length of each row."""
    norms: NDArray[np.float64] = np.sqrt(
        np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    )
    return norms
