"""A fitted codebook: everything that turns a vector into a cluster id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from acav_spark.clustering._validation import checked_matrix, checked_vectors
from acav_spark.clustering.assignment import NearestFinder
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    check_preprocess_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray


# The arrays of each preprocessing.
_PARTS: dict[PreprocessName, tuple[str, ...]] = {
    "none": (),
    "l2": (),
    "standardise": ("mean", "scale"),
    "pca_whiten": ("mean", "components"),
}


@dataclass(frozen=True, eq=False)
class Codebook:
    """The centroids of one view and the preprocessing of its vectors.

    Parameters
    ----------
    centroids : ndarray of float32, shape (n_clusters, n_out)
        Centroids of preprocessed vectors.
    preprocess : {"none", "standardise", "l2", "pca_whiten"}, default "none"
        What is done to a vector first.
    mean : ndarray of float32, shape (n_features,), optional
        Given exactly for ``standardise`` and ``pca_whiten``.
    scale : ndarray of float32, shape (n_features,), optional
        Given exactly for ``standardise``; above zero.
    components : ndarray of float32, shape (n_out, n_features), optional
        Given exactly for ``pca_whiten``; otherwise ``n_out`` is ``n_features``.

    Raises
    ------
    ValueError
        If shapes do not fit or a value is not finite.
    """

    centroids: NDArray[np.float32]
    preprocess: PreprocessName = "none"
    mean: NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    components: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        check_preprocess_name(self.preprocess)
        centroids = checked_vectors(self.centroids, name="Codebook.centroids")
        object.__setattr__(self, "centroids", centroids)
        self._check_parts()
        if self.components is not None:
            components = checked_vectors(self.components, name="Codebook.components")
            if len(components) != centroids.shape[1]:
                msg = (
                    "Codebook.components: expected as many rows as centroids have "
                    f"coordinates, {centroids.shape[1]}, got {len(components)}."
                )
                raise ValueError(msg)
            object.__setattr__(self, "components", components)
        for name in ("mean", "scale"):
            if getattr(self, name) is None:
                continue
            values = checked_vectors(
                np.asarray(getattr(self, name))[None],
                name=f"Codebook.{name}",
                n_features=self.n_features,
            )
            object.__setattr__(self, name, values[0])
        if self.scale is not None and not (self.scale > 0).all():
            msg = (
                "Codebook.scale: expected values above zero, got "
                f"{int((self.scale <= 0).sum())} others of {len(self.scale)}."
            )
            raise ValueError(msg)

    def _check_parts(self) -> None:
        """Refuse arrays that the preprocessing does not have, and missing ones."""
        parts = ("mean", "scale", "components")
        given = tuple(name for name in parts if getattr(self, name) is not None)
        if given != _PARTS[self.preprocess]:
            states = [
                f"{name} {'given' if name in given else 'left out'}" for name in parts
            ]
            msg = (
                "Codebook: expected mean and components exactly for preprocess "
                "'pca_whiten', mean and scale exactly for preprocess 'standardise', "
                f"got preprocess {self.preprocess!r} with {' and '.join(states)}."
            )
            raise ValueError(msg)

    def __repr__(self) -> str:
        return (
            f"Codebook(n_clusters={self.n_clusters}, n_features={self.n_features}, "
            f"preprocess={self.preprocess!r})"
        )

    @classmethod
    def from_stored(
        cls,
        preprocess: PreprocessName,
        centroids: Sequence[bytes],
        *,
        mean: bytes | None = None,
        scale: bytes | None = None,
        components: bytes | None = None,
    ) -> Self:
        """Return a codebook from cells of the tables ``codebooks`` and ``centroids``.

        Parameters
        ----------
        preprocess : str
            Kind of preprocessing.
        centroids : sequence of bytes
            Coordinates of each centroid in order, little-endian float32, as the others.
        mean, scale, components : bytes, optional
            Values row by row; where components are given, the mean tells their length.

        Raises
        ------
        ValueError
            As the constructor, and if numbers of bytes do not fit.
        """
        lengths = sorted({len(centroid) for centroid in centroids})
        if len(lengths) != 1:
            msg = (
                "Codebook.from_stored: expected centroids of one length, got "
                f"{lengths[:5]} bytes."
            )
            raise ValueError(msg)
        vectors = {
            name: None if data is None else np.frombuffer(data, "<f4")
            for name, data in (("mean", mean), ("scale", scale))
        }
        matrix = None
        if components is not None:
            n_features = max(1, len(mean or b"") // 4)
            if len(components) != n_features * lengths[0]:
                msg = (
                    "Codebook.from_stored: expected components of "
                    f"{n_features * lengths[0]} bytes for a mean of {n_features} "
                    f"numbers, got {len(components)}."
                )
                raise ValueError(msg)
            matrix = np.frombuffer(components, "<f4").reshape(-1, n_features)
        stored = np.frombuffer(b"".join(centroids), "<f4").reshape(len(centroids), -1)
        return cls(stored, preprocess, vectors["mean"], vectors["scale"], matrix)

    @property
    def n_clusters(self) -> int:
        """Number of centroids."""
        return len(self.centroids)

    @property
    def n_features(self) -> int:
        """Length of a vector before it is preprocessed."""
        matrix = self.centroids if self.components is None else self.components
        return int(matrix.shape[1])

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """The transformation that is applied to vectors."""
        return Preprocessing(self.preprocess, self.mean, self.scale, self.components)

    @cached_property
    def _finder(self) -> NearestFinder:
        return NearestFinder(self.centroids)

    def assign(self, x: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return each vector's cluster id, and squared distance to its centroid.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors as the extractor made them; none at all is allowed. float32 is read
            in place, float16 and other types are made float32 a block at a time.

        Returns
        -------
        labels : ndarray of int32, shape (n_samples,)
            The lowest of equally near centroids; independent of the other rows.
        squared_distances : ndarray of float32, shape (n_samples,)
            Between the preprocessed vector and its centroid.

        Raises
        ------
        ValueError
            If vectors are of another length, or a value is not finite.

        Notes
        -----
        Memory besides vectors and result: some blocks of up to 8 MiB, as
        ``nearest_centroids``; twice as many, and for ``l2`` six times, where vectors
        are preprocessed.
        """
        rows = self._checked(x)
        labels = np.empty(len(rows), dtype=np.int32)
        distances = np.empty(len(rows), dtype=np.float32)
        self._finder.find(self._preprocessed(rows), labels, distances)
        return labels, distances

    def labels(self, x: ArrayLike) -> NDArray[np.int32]:
        """Return each vector's cluster id alone, as ``assign`` does, in less time.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors as the extractor made them; none at all is allowed.

        Returns
        -------
        ndarray of int32, shape (n_samples,)

        Raises
        ------
        ValueError
            As ``assign``.
        """
        rows = self._checked(x)
        labels = np.empty(len(rows), dtype=np.int32)
        self._finder.find(self._preprocessed(rows), labels)
        return labels

    def _checked(self, x: ArrayLike) -> NDArray[np.number]:
        """Return vectors whose shape is checked; values are checked block by block."""
        return checked_matrix(x, name="x", n_features=self.n_features, min_rows=0)

    def _preprocessed(self, rows: NDArray[np.number]) -> Iterable[NDArray[np.float32]]:
        return map(self.preprocessing.apply, self._finder.blocks(rows, name="x"))

    def distances(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the distance of each preprocessed vector to each centroid.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors as the extractor made them; none at all is allowed.

        Returns
        -------
        ndarray of float32, shape (n_samples, n_clusters)

        Raises
        ------
        ValueError
            If vectors are of another length, or a value is not finite.
        """
        samples = checked_vectors(x, name="x", n_features=self.n_features, min_rows=0)
        distances = np.empty((len(samples), self.n_clusters), dtype=np.float32)
        finder = self._finder
        for start in range(0, len(samples), finder.block_rows):
            block = slice(start, start + finder.block_rows)
            vectors = self.preprocessing.apply(samples[block])
            distances[block] = finder.distances(vectors)
        return distances

    def fingerprint(self) -> str:
        """Return the sha256 of preprocessing and centroids, as 64 hex digits."""
        digest = hashlib.sha256(b"acav codebook 1\n")
        digest.update(f"{self.preprocess} {self.centroids.shape}\n".encode())
        if self.components is not None:
            digest.update(f"components {self.components.shape}\n".encode())
        for array in (self.mean, self.scale, self.components, self.centroids):
            if array is not None:
                digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()
