"""Planted correspondence: cluster ids of clips of which a known share corresponds.

Each clip has a latent class for its first views ("visual") and one for the others
("audio"): the same for a clip that corresponds, an independent one for the rest. A view
shows its class, under a relabelling of its own, with a probability called ``keep``;
else a cluster at random. Real clusters are unequal, and some classes are told more
easily than others: ``tail`` and ``spread`` vary that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Planted:
    """Clips whose correspondence is known.

    Parameters
    ----------
    assignments : ndarray of uint16, shape (n_clips, n_views)
        Cluster ids.
    is_positive : ndarray of bool, shape (n_clips,)
        Whether sound and picture are of one class.
    classes : ndarray of int64, shape (n_clips,)
        Class of the picture.
    """

    assignments: NDArray[np.uint16]
    is_positive: NDArray[np.bool_]
    classes: NDArray[np.int64]

    @property
    def modalities(self) -> list[str]:
        """Modality of each view: the first half is visual, the others audio."""
        n_views = self.assignments.shape[1]
        return ["visual"] * (n_views // 2) + ["audio"] * (n_views - n_views // 2)


def planted(
    n_clips: int,
    n_clusters: int,
    *,
    n_views: int = 10,
    share: float = 0.29,
    keep: float = 0.45,
    tail: float = 0.0,
    spread: float = 0.0,
    seed: int = 0,
) -> Planted:
    """Return clips with planted correspondence.

    Parameters
    ----------
    n_clips, n_clusters, n_views : int
        Sizes; there are as many classes as clusters.
    share : float, default 0.29
        Share of clips that correspond, that of the paper: 100 of 350 million.
    keep : float, default 0.45
        Probability that a view shows its class.
    tail : float, default 0
        Exponent of Zipf's law for the sizes of classes, and in an order of its own in
        each view for the clusters that noise falls into. 0: all are equal.
    spread : float, default 0
        ``keep`` of a class is uniform within so much of the given one: some classes
        are easy, some hard.
    seed : int, default 0
        Seed of everything.
    """
    generator = np.random.default_rng(seed)
    sizes = np.arange(1, n_clusters + 1, dtype=np.float64) ** -tail
    bounds = np.cumsum(sizes / sizes.sum())
    keeps = keep + spread * generator.uniform(-1, 1, n_clusters)
    is_positive = generator.random(n_clips) < share
    picture = _drawn(generator, bounds, n_clips)
    sound = np.where(is_positive, picture, _drawn(generator, bounds, n_clips))
    assignments = np.empty((n_clips, n_views), dtype=np.uint16)
    for view in range(n_views):
        classes = picture if view < n_views // 2 else sound
        shown = generator.permutation(n_clusters)[classes]
        noise = generator.permutation(n_clusters)[_drawn(generator, bounds, n_clips)]
        is_kept = generator.random(n_clips) < keeps[classes]
        assignments[:, view] = np.where(is_kept, shown, noise)
    return Planted(assignments, is_positive, picture)


def _drawn(
    generator: np.random.Generator, bounds: NDArray[np.float64], n: int
) -> NDArray[np.int64]:
    """Return ``n`` classes with the given cumulative probabilities."""
    found = np.searchsorted(bounds, generator.random(n), side="right")
    return np.minimum(found, len(bounds) - 1)
