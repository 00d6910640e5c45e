"""K-means by expectation and maximisation (Lloyd 1982), to compare SGD with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering.assignment import nearest_centroids
from acav_spark.clustering.seeding import draw_centres

if TYPE_CHECKING:
    from numpy.typing import NDArray


def lloyd(
    x: NDArray[np.float32],
    n_clusters: int,
    *,
    seed: int = 0,
    n_iterations: int = 100,
) -> NDArray[np.int32]:
    """Return the cluster of each vector.

    Parameters
    ----------
    x : ndarray of float32, shape (n_samples, n_features)
        Vectors, preprocessed already.
    n_clusters : int
        Number of clusters (k), at most ``n_samples``.
    seed : int, default 0
        Seed of the first centres, which greedy k-means++ draws.
    n_iterations : int, default 100
        Most passes; it ends when no vector changes its cluster.

    Raises
    ------
    ValueError
        If there are fewer vectors than clusters, or less than one iteration.

    Notes
    -----
    All vectors are assigned, then every centre becomes the float64 mean of its own. A
    centre that loses all of them stays where it is.
    """
    if not 1 <= n_clusters <= len(x) or n_iterations < 1:
        msg = (
            f"lloyd: expected 1 to {len(x)} clusters, the number of vectors, and at "
            f"least one iteration, got {n_clusters} and {n_iterations}."
        )
        raise ValueError(msg)
    generator = np.random.default_rng([seed, 1])
    centres = x[draw_centres(x, n_clusters, generator)].astype(np.float64)
    labels = np.full(len(x), -1, dtype=np.int32)
    for _ in range(n_iterations):
        found, _ = nearest_centroids(x, centres.astype(np.float32))
        if np.array_equal(found, labels):
            break
        labels = found
        for cluster in np.unique(labels):
            centres[cluster] = x[labels == cluster].mean(axis=0, dtype=np.float64)
    return labels
