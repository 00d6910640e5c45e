"""What is done to vectors before they are clustered, fitted once and stored.

The authors' code whitens features before it clusters them in the retrieval experiment.
Plain PCA-whitening gives directions of noise the weight of the others, and clusters
then follow noise. Agreement (normalised mutual information, mean of three seeds) of
clusters with classes that the fit does not see, whitened with eigenvalues raised by 0
(plain), 0.3, 1 and 3 times their mean:

================================ ==== =========== ===== ==== ==== ====
30 clusters                      none standardise plain 0.3  1    3
================================ ==== =========== ===== ==== ==== ====
digits, 64 pixels                .725 .704        .615  .689 .726 .732
the same, fitted to 50 digits    .725 .679        .125  .647 .693 .732
MNIST, 784 pixels                .535 .487        .067  .418 .471 .517
MNIST, 512 units of a perceptron .636 .646        .246  .652 .654 .647
spoken digits, log-mel, digit    .383 .408        .470  .518 .529 .497
spoken digits, log-mel, speaker  .426 .421        .488  .594 .571 .529
mean of 15 such rows             .451 .433        .325  .472 .488 .484
the same, 10 clusters            .381 .368        .231  .371 .398 .418
================================ ==== =========== ===== ==== ==== ====

So ``REGULARISATION`` is 1: directions of more than average variance come out nearly
equal, and those far below stay small. It pays for most layers of sound, not for
pixels. All rows are in ``benchmarks/results/study_whitening.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from acav_spark.clustering._validation import LARGEST
from acav_spark.clustering.moments import Moments
from acav_spark.clustering.principal import principal_directions, varying_dimensions
from acav_spark.clustering.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PreprocessName = Literal["none", "standardise", "l2", "pca_whiten"]

#: What is added to eigenvalues when whitening, in units of their mean.
REGULARISATION = 1.0


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A fitted transformation of vectors; validation is assumed.

    Parameters
    ----------
    name : {"none", "standardise", "l2", "pca_whiten"}
        ``standardise`` subtracts ``mean`` and divides by ``scale``; ``l2`` divides
        each vector by its length, and leaves the zero vector as it is; ``pca_whiten``
        subtracts ``mean`` and multiplies with ``components``.
    mean : ndarray of float32, shape (n_features,), optional
        Given exactly when vectors are standardised or whitened.
    scale : ndarray of float32, shape (n_features,), optional
        Given exactly when vectors are standardised.
    components : ndarray of float32, shape (n_out, n_features), optional
        Given exactly when vectors are whitened.
    """

    name: PreprocessName
    mean: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    components: NDArray[np.float32] | None = None

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the transformed vectors; ``x`` itself stays as it is.

        Parameters
        ----------
        x : ndarray of float32, shape (n_samples, n_features)
            Finite vectors, as ``checked_vectors`` returns them.

        Returns
        -------
        ndarray of float32, shape (n_samples, n_out)
            ``n_out`` is ``n_features`` unless vectors are whitened. Each row has the
            same bits whatever rows stand beside it (see ``Projection``).
        """
        if self.mean is not None and self.scale is not None:
            with np.errstate(over="ignore"):
                standardised: NDArray[np.float32] = (x - self.mean) / self.scale
            # A vector far from those of the fit must not overflow when squared.
            np.clip(standardised, -LARGEST, LARGEST, out=standardised)
            return standardised
        if self.mean is not None and self._projection is not None:
            whitened = self._projection.apply(x - self.mean)
            np.clip(whitened, -LARGEST, LARGEST, out=whitened)
            return whitened
        if self.name == "l2":
            squares = np.sum(np.square(x, dtype=np.float64), axis=1, keepdims=True)
            lengths = np.sqrt(squares)
            lengths[lengths == 0] = 1
            unit: NDArray[np.float32] = (x / lengths).astype(np.float32)
            return unit
        return x

    def is_like(self, other: Preprocessing) -> bool:
        """Return whether both do the same."""
        ours, theirs = self.arrays(), other.arrays()
        return (
            self.name == other.name
            and ours.keys() == theirs.keys()
            and all(np.array_equal(ours[name], theirs[name]) for name in ours)
        )

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the fitted arrays by name, those that there are."""
        named = {"mean": self.mean, "scale": self.scale, "components": self.components}
        return {name: values for name, values in named.items() if values is not None}

    @cached_property
    def _projection(self) -> Projection | None:
        return None if self.components is None else Projection(self.components)


def check_preprocess_name(name: str) -> None:
    """Refuse an unknown name."""
    if name not in get_args(PreprocessName):
        msg = (
            f"preprocess: expected one of {list(get_args(PreprocessName))}, got "
            f"{name!r}."
        )
        raise ValueError(msg)


def moments_for(name: PreprocessName, n_features: int) -> Moments | None:
    """Return an empty accumulator of what a preprocessing is fitted from.

    Returns
    -------
    Moments or None
        None where nothing is fitted: the pass over the data can be left out.
    """
    if name in ("none", "l2"):
        return None
    return Moments(n_features, with_products=name == "pca_whiten")


def merged_moments(of_shards: Iterable[Moments]) -> Moments | None:
    """Return the moments of all shards, merged in the given order; None for none."""
    total: Moments | None = None
    for one in of_shards:
        if total is None:
            total = one
        else:
            total.merge(one)
    return total


def preprocessing_from(
    name: PreprocessName,
    moments: Moments | None,
    *,
    regularisation: float = REGULARISATION,
) -> Preprocessing:
    """Return the transformation for vectors with such moments.

    Parameters
    ----------
    name : {"none", "standardise", "l2", "pca_whiten"}
        Kind of transformation.
    moments : Moments or None
        Of the vectors, as ``moments_for`` begins them; not looked at for ``none`` and
        ``l2``.
    regularisation : float, default 1.0
        For ``pca_whiten``: added to eigenvalues, in units of the mean of those kept;
        0 is plain whitening. The module's table is the default's reason.

    Raises
    ------
    ValueError
        If the name is unknown, regularisation is negative or not finite, moments are
        missing or without rows, or products were not kept for ``pca_whiten``.

    Notes
    -----
    ``standardise``: a dimension that does not vary keeps the scale 1.

    ``pca_whiten``: with eigenvectors ``v`` of the covariance and eigenvalues ``l`` in
    falling order, the components are ``v / sqrt(l + regularisation * mean(l))``.
    Directions of less than 1e-6 of the largest variance are dropped, such as all but
    ``n_rows - 1`` where there are fewer rows than dimensions; dimensions that do not
    vary count for nothing. The largest loading of a component is positive, the first
    of equal ones. Where no dimension varies, the components are the identity.
    Variances divide by the number of rows, unlike those of scikit-learn's ``PCA``,
    which divides by one less. Time: an eigendecomposition, some ``10 n_features**3``
    operations (3 s of a core for 2,304).
    """
    check_preprocess_name(name)
    if not 0 <= regularisation < np.inf:
        msg = (
            "regularisation: expected a finite number of at least 0, got "
            f"{regularisation!r}."
        )
        raise ValueError(msg)
    if name in ("none", "l2"):
        return Preprocessing(name)
    if moments is None:
        msg = f"moments: expected those of the vectors for {name!r}, got None."
        raise ValueError(msg)
    mean = moments.mean
    varies = varying_dimensions(moments)
    if name == "standardise":
        scale = np.where(varies, np.sqrt(moments.variances), 1)
        return Preprocessing(name, mean.astype(np.float32), scale.astype(np.float32))
    varying = np.flatnonzero(varies)
    loadings = _whitening(moments.covariance[np.ix_(varying, varying)], regularisation)
    components = np.eye(len(mean), dtype=np.float32)
    if len(loadings):
        components = np.zeros((len(loadings), len(mean)), dtype=np.float32)
        components[:, varying] = loadings
    return Preprocessing(name, mean.astype(np.float32), components=components)


def fit_preprocessing(
    name: PreprocessName,
    x: NDArray[np.float32],
    *,
    regularisation: float = REGULARISATION,
) -> Preprocessing:
    """Return the transformation for the vectors ``x``, shape (n_samples, n_features).

    As ``preprocessing_from`` of the moments of all rows, added to one accumulator.
    """
    check_preprocess_name(name)
    moments = moments_for(name, x.shape[1])
    if moments is not None:
        moments.add(x)
    return preprocessing_from(name, moments, regularisation=regularisation)


def _whitening(
    covariance: NDArray[np.float64], regularisation: float
) -> NDArray[np.float64]:
    """Return the components, largest variance first; none where nothing varies."""
    kept, rows = principal_directions(covariance)
    if not len(kept):
        return rows
    deviations = np.sqrt(kept + regularisation * kept.mean())
    components: NDArray[np.float64] = rows / deviations[:, None]
    return components
