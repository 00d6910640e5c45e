"""Cluster ids of a retrieval set in every view, computed once for all methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from acav_spark.clustering import PreprocessName, SGDKMeans
from acav_spark.clustering.preprocessing import fit_preprocessing
from acav_spark.evaluate.lloyd import lloyd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Algorithm = Literal["sgd", "em"]


@dataclass(frozen=True)
class ClusteringSettings:
    """How views are clustered.

    Parameters
    ----------
    n_clusters : int
        Clusters of every view (k).
    preprocess : {"none", "standardise", "l2", "pca_whiten"}, default "pca_whiten"
        What is done to vectors first; the authors' code whitens them.
    algorithm : {"sgd", "em"}, default "sgd"
        Mini-batch SGD (section 3.3.2) or Lloyd's.
    n_epochs : int, default 20
        Passes of SGD, the most iterations of EM; the authors' code takes 20.
    """

    n_clusters: int
    preprocess: PreprocessName = "pca_whiten"
    algorithm: Algorithm = "sgd"
    n_epochs: int = 20


@dataclass(eq=False)
class Clusterings:
    """Clusters the views of one retrieval set when they are first asked for.

    Parameters
    ----------
    features : sequence of ndarray of float32, each of shape (n_pairs, n_dimensions)
        Vectors of each view.
    seed : int
        Seed of the fits; views of one set share it.
    """

    features: Sequence[NDArray[np.float32]]
    seed: int
    _prepared: dict[tuple[PreprocessName, int], NDArray[np.float32]] = field(
        default_factory=dict
    )
    _ids: dict[ClusteringSettings, NDArray[np.int32]] = field(default_factory=dict)

    def ids(self, settings: ClusteringSettings) -> NDArray[np.int32]:
        """Return the cluster of each pair in each view, shape (n_pairs, n_views).

        Raises
        ------
        ValueError
            If there are fewer pairs than clusters, or a vector is not finite.
        """
        if settings not in self._ids:
            columns = [self._of_view(settings, v) for v in range(len(self.features))]
            self._ids[settings] = np.stack(columns, axis=1)
        return self._ids[settings]

    def _of_view(self, settings: ClusteringSettings, view: int) -> NDArray[np.int32]:
        vectors = self._vectors(settings.preprocess, view)
        if settings.algorithm == "em":
            return lloyd(
                vectors,
                settings.n_clusters,
                seed=self.seed,
                n_iterations=settings.n_epochs,
            )
        fitted = SGDKMeans(
            settings.n_clusters,
            n_epochs=settings.n_epochs,
            seed=self.seed,
        ).fit(vectors)
        return fitted.labels_

    def _vectors(self, name: PreprocessName, view: int) -> NDArray[np.float32]:
        """Return a view's preprocessed vectors: once, not in every epoch."""
        if (name, view) not in self._prepared:
            raw = self.features[view]
            self._prepared[name, view] = fit_preprocessing(name, raw).apply(raw)
        return self._prepared[name, view]
