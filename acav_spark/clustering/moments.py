"""Means and second moments of vectors, summed shard by shard and merged."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering._validation import checked_integer, checked_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Rows that are summed at once, counted from the first row that was added.
_CHUNK_ROWS = 1024
_MAGIC = b"acav moments 1\n"
# Vectors' length, whether products are kept, number of rows.
_HEADER = struct.Struct("<q?q")


class Moments:
    """Count, mean and centred second moments of the rows that were added.

    Parameters
    ----------
    n_features : int
        Length of a vector.
    with_products : bool, default False
        Whether products of every two dimensions are summed, for ``covariance``; else
        squares only, in a ``n_features``-th of the memory.

    Attributes
    ----------
    n_features : int
        Length of a vector.
    with_products : bool
        Whether ``covariance`` is there.

    Notes
    -----
    All sums are float64. Rows are summed in chunks of 1,024 counted from the first row
    that was added, each about its own mean; a rest waits in a buffer, or is summed as
    the last, shorter chunk where somebody asks. So neither the sizes of the arrays
    that rows come in nor reading results changes a bit. Chunks and shards are joined
    by the formula of Chan, Golub and LeVeque (1979), which never subtracts large sums.
    Rows and means are counted from the first row, whose difference to another is exact
    in float64 where they are near each other: an offset of the data loses no digits.

    Shards merged in the same order give the same bits, in another order the same up to
    some 1e-15. Products are matrix products of fixed shape: they repeat with the same
    BLAS and number of threads, and may differ in last bits between processors. Means
    and variances without products are plain sums, which do not.

    Memory: ``8 n_features**2`` bytes with products (42 MB for 2,304), as much again
    while a chunk is joined, and two chunks.

    Examples
    --------
    >>> first, second = Moments(1), Moments(1)
    >>> first.add([[1.0], [2.0]])
    >>> second.add([[6.0]])
    >>> first.merge(second)
    >>> first.n_rows, first.mean.tolist(), first.variances.round(6).tolist()
    (3, [3.0], [4.666667])
    """

    def __init__(self, n_features: int, *, with_products: bool = False) -> None:
        self.n_features = checked_integer(n_features, name="n_features", minimum=1)
        self.with_products = with_products
        self._n_closed = 0
        # The first row; the mean is counted from it.
        self._origin = np.zeros(self.n_features)
        self._shift = np.zeros(self.n_features)
        shape = (self.n_features,) * (2 if with_products else 1)
        self._seconds = np.zeros(shape)
        self._rest: NDArray[np.float32] | None = None
        self._n_rest = 0

    def __repr__(self) -> str:
        return (
            f"Moments(n_features={self.n_features}, "
            f"with_products={self.with_products}, n_rows={self.n_rows})"
        )

    def add(self, x: ArrayLike) -> None:
        """Add rows.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors, read as float32; none at all is allowed.

        Raises
        ------
        ValueError
            If vectors are of another length, or a value is not finite.
        """
        name = "Moments.add: x"
        rows = checked_vectors(x, name=name, n_features=self.n_features, min_rows=0)
        if self.n_rows == 0 and len(rows):
            self._origin[:] = rows[0]
        start = 0
        while start < len(rows):
            if self._n_rest == 0 and len(rows) - start >= _CHUNK_ROWS:
                self._join(*self._of_chunk(rows[start : start + _CHUNK_ROWS]))
                start += _CHUNK_ROWS
                continue
            if self._rest is None:
                self._rest = np.empty((_CHUNK_ROWS, self.n_features), np.float32)
            taken = rows[start : start + _CHUNK_ROWS - self._n_rest]
            self._rest[self._n_rest : self._n_rest + len(taken)] = taken
            self._n_rest += len(taken)
            start += len(taken)
            if self._n_rest == _CHUNK_ROWS:
                self._close()

    def merge(self, other: Moments) -> None:
        """Add the rows of another accumulator, which stays as it is.

        Rows that are added afterwards start a new chunk.

        Raises
        ------
        ValueError
            If vectors are of another length, or only one of both keeps products.
        """
        mine = (self.n_features, self.with_products)
        theirs = (other.n_features, other.with_products)
        if mine != theirs:
            msg = (
                "Moments.merge: expected the same n_features and with_products, "
                f"{mine}, got {theirs}."
            )
            raise ValueError(msg)
        if other.n_rows == 0:
            return
        closed = other._closed()
        if self.n_rows == 0:
            self._origin[:] = closed._origin
        self._close()
        shift = (closed._origin - self._origin) + closed._shift
        self._join(closed._n_closed, shift, closed._seconds)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self._n_closed + self._n_rest

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the rows, shape (n_features,).

        Raises
        ------
        ValueError
            If there are no rows; so do the other properties.
        """
        closed = self._filled()
        return closed._origin + closed._shift

    @property
    def variances(self) -> NDArray[np.float64]:
        """Mean squared deviation of each dimension, shape (n_features,)."""
        closed = self._filled()
        seconds = closed._seconds
        squares = np.diagonal(seconds) if self.with_products else seconds
        variances: NDArray[np.float64] = squares / closed._n_closed
        return variances

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Mean product of deviations, shape (n_features, n_features), symmetric.

        Raises
        ------
        ValueError
            If products were not kept.
        """
        if not self.with_products:
            msg = (
                "Moments.covariance: expected products, got squares only. Make the "
                "accumulator with with_products=True."
            )
            raise ValueError(msg)
        closed = self._filled()
        covariance: NDArray[np.float64] = closed._seconds / closed._n_closed
        return covariance

    def to_bytes(self) -> bytes:
        """Return the moments for ``from_bytes``, such as a cell of a Spark table.

        Products take ``4 n_features**2`` bytes, their upper triangle.
        """
        closed = self._closed()
        seconds = closed._seconds
        parts = [_MAGIC, _HEADER.pack(self.n_features, self.with_products, self.n_rows)]
        parts.append(closed._origin.astype("<f4").tobytes())
        parts.append(closed._shift.astype("<f8").tobytes())
        if self.with_products:
            parts += [row[i:].astype("<f8").tobytes() for i, row in enumerate(seconds)]
        else:
            parts.append(seconds.astype("<f8").tobytes())
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """Return the accumulator that ``to_bytes`` wrote, to the last bit.

        Rows that are added to it start a new chunk.

        Raises
        ------
        ValueError
            If ``to_bytes`` did not write this.
        """
        start = len(_MAGIC) + _HEADER.size
        if not data.startswith(_MAGIC) or len(data) < start:
            msg = f"Moments.from_bytes: expected {_MAGIC!r} first, got {data[:15]!r}."
            raise ValueError(msg)
        n_features, with_products, n_rows = _HEADER.unpack(data[len(_MAGIC) : start])
        n_seconds = n_features * (n_features + 1) // 2 if with_products else n_features
        n_bytes = start + 4 * n_features + 8 * (n_features + n_seconds)
        if len(data) != n_bytes:
            msg = f"Moments.from_bytes: expected {n_bytes} bytes, got {len(data)}."
            raise ValueError(msg)
        moments = cls(n_features, with_products=with_products)
        moments._n_closed = n_rows
        moments._origin[:] = np.frombuffer(data, "<f4", n_features, start)
        values = np.frombuffer(data, "<f8", offset=start + 4 * n_features)
        moments._shift[:] = values[:n_features]
        values = values[n_features:]
        if not with_products:
            moments._seconds[:] = values
            return moments
        for i in range(n_features):
            row, values = values[: n_features - i], values[n_features - i :]
            moments._seconds[i, i:] = row
            moments._seconds[i:, i] = row
        return moments

    def _of_chunk(
        self, chunk: NDArray[np.float32]
    ) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        """Return count, shift of the mean and centred second moments of some rows."""
        rows = chunk - self._origin
        shift = rows.sum(axis=0) / len(rows)
        rows -= shift
        if self.with_products:
            return len(rows), shift, rows.T @ rows
        rows *= rows
        return len(rows), shift, rows.sum(axis=0)

    def _join(
        self, n: int, shift: NDArray[np.float64], seconds: NDArray[np.float64]
    ) -> None:
        """Add the moments of ``n`` other rows.

        With counts ``a`` and ``b`` and means that are ``d`` apart, the moments of both
        are the sum of theirs and ``d d' a b / (a + b)``; the root of the last factor
        goes to ``d``, so that products stay symmetric.
        """
        total = self._n_closed + n
        apart = shift - self._shift
        self._shift += apart * (n / total)
        apart *= np.sqrt(self._n_closed * n / total)
        self._seconds += seconds
        self._seconds += (
            np.multiply.outer(apart, apart) if self.with_products else apart * apart
        )
        self._n_closed = total

    def _close(self) -> None:
        """Sum the rest of a chunk."""
        if self._n_rest and self._rest is not None:
            self._join(*self._of_chunk(self._rest[: self._n_rest]))
            self._n_rest = 0

    def _closed(self) -> Moments:
        """Return an accumulator of the same rows that has no rest of a chunk."""
        if self._n_rest == 0:
            return self
        closed = Moments(self.n_features, with_products=self.with_products)
        closed._n_closed = self._n_closed
        closed._origin = self._origin
        closed._shift = self._shift.copy()
        closed._seconds = self._seconds.copy()
        closed._rest, closed._n_rest = self._rest, self._n_rest
        closed._close()
        return closed

    def _filled(self) -> Moments:
        """Return ``_closed``, refusing an accumulator without rows."""
        if self.n_rows == 0:
            msg = "Moments: expected at least one row, got none. Add rows first."
            raise ValueError(msg)
        return self._closed()
