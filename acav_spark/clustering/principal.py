"""Principal components from moments that were summed shard by shard."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from acav_spark.clustering._validation import checked_integer, checked_vectors
from acav_spark.clustering.moments import Moments
from acav_spark.clustering.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# A dimension that varies by less than float32 resolves of its mean does not vary.
_RESOLUTION = 1e-6
# Directions below this part of the largest variance are float32's rounding, or none.
_SMALLEST_SHARE = 1e-6
# Directions of less variance do not vary; components stay well below LARGEST.
_SMALLEST_VARIANCE = 1e-28
# Loadings that differ by less count as equal where the largest gives the sign.
_EQUAL_LOADINGS = 1e-6


def varying_dimensions(moments: Moments) -> NDArray[np.bool_]:
    """Return which dimensions vary by more than float32 resolves of their mean."""
    varies: NDArray[np.bool_] = np.sqrt(moments.variances) > _RESOLUTION * np.abs(
        moments.mean
    )
    return varies


def principal_directions(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances in falling order, and unit vectors with as many rows.

    Directions of less than 1e-6 of the largest variance are left out; where nothing
    varies there are none. The largest loading of a direction is positive, the first of
    equal ones.

    Parameters
    ----------
    covariance : ndarray of float64, shape (n_features, n_features)
        Symmetric; may have no rows.
    """
    if not covariance.size:
        return np.empty(0), covariance
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvalues, rows = eigenvalues[::-1], eigenvectors.T[::-1]
    smallest = max(_SMALLEST_SHARE * float(eigenvalues[0]), _SMALLEST_VARIANCE)
    is_kept = eigenvalues > smallest
    variances, rows = eigenvalues[is_kept], rows[is_kept]
    if not len(variances):
        return variances, rows
    loadings = np.abs(rows)
    largest = loadings.max(axis=1, keepdims=True)
    deciding = np.argmax(loadings >= (1 - _EQUAL_LOADINGS) * largest, axis=1)
    signs = np.sign(rows[np.arange(len(rows)), deciding])
    return variances, rows * signs[:, None]


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """A fitted principal component analysis; validation is assumed.

    Parameters
    ----------
    mean : ndarray of float32, shape (n_features,)
        Subtracted from vectors.
    components : ndarray of float32, shape (n_components, n_features)
        Unit vectors of falling variance.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @property
    def n_features(self) -> int:
        """Length of a vector."""
        return len(self.mean)

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return projected vectors, shape (n_samples, n_components).

        Each row has the same bits whatever rows stand beside it (see ``Projection``).
        """
        return self._projection.apply(x - self.mean)

    @cached_property
    def _projection(self) -> Projection:
        return Projection(self.components)


def principal_components(moments: Moments, n_components: int) -> PrincipalComponents:
    """Return the principal components of vectors with such moments.

    Parameters
    ----------
    moments : Moments
        Of the vectors, with products.
    n_components : int
        Components wanted. There are fewer where vectors have fewer dimensions, or
        fewer directions of at least 1e-6 of the largest variance: none, if all
        vectors are alike.

    Raises
    ------
    ValueError
        If there are no rows, products were not kept, or ``n_components`` is below 1.

    Notes
    -----
    As ``sklearn.decomposition.PCA``, but for the signs: here the largest loading of a
    component is positive, the first of equal ones. Time: an eigendecomposition, some
    ``10 n_features**3`` operations (3 s of a core for 2,304).
    """
    n_kept = checked_integer(n_components, name="n_components", minimum=1)
    varying = np.flatnonzero(varying_dimensions(moments))
    _, rows = principal_directions(moments.covariance[np.ix_(varying, varying)])
    rows = rows[:n_kept]
    components = np.zeros((len(rows), moments.n_features), dtype=np.float32)
    components[:, varying] = rows
    return PrincipalComponents(moments.mean.astype(np.float32), components)


def fit_principal_components(x: ArrayLike, n_components: int) -> PrincipalComponents:
    """Return the principal components of vectors, shape (n_samples, n_features).

    Raises
    ------
    ValueError
        If there are no rows, a value is not finite, or ``n_components`` is below 1.
    """
    vectors = checked_vectors(x, name="x")
    moments = Moments(vectors.shape[1], with_products=True)
    moments.add(vectors)
    return principal_components(moments, n_components)


def components_to_bytes(fitted: Sequence[PrincipalComponents]) -> bytes:
    """Return several analyses for ``components_from_bytes``: arrays in ``.npz``."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {}
    for number, one in enumerate(fitted):
        arrays[f"mean_{number}"] = one.mean
        arrays[f"components_{number}"] = one.components
    np.savez(stream, **arrays)
    return stream.getvalue()


def components_from_bytes(data: bytes) -> tuple[PrincipalComponents, ...]:
    """Return the analyses that ``components_to_bytes`` wrote, to the last bit."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return tuple(
            PrincipalComponents(arrays[f"mean_{i}"], arrays[f"components_{i}"])
            for i in range(len(arrays.files) // 2)
        )
