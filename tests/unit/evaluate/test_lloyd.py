"""Lloyd's algorithm against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from acav_spark.evaluate.lloyd import lloyd


def _inertia(x: np.ndarray, labels: np.ndarray) -> float:
    means = [x[labels == c].mean(axis=0) for c in np.unique(labels)]
    return sum(
        float(((x[labels == c] - mean) ** 2).sum())
        for c, mean in zip(np.unique(labels), means, strict=True)
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_ends_where_scikit_learn_would_stay(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(400, 6)).astype(np.float32)
    x[:, :3] += 3 * generator.integers(3, size=(400, 1))
    labels = lloyd(x, 5, seed=seed, n_iterations=300)
    centres = np.stack([x[labels == c].mean(axis=0) for c in range(5)])
    theirs = KMeans(5, init=centres, n_init=1, max_iter=300).fit(x)
    assert _inertia(x, labels) == pytest.approx(float(theirs.inertia_), rel=1e-4)
    assert np.mean(theirs.labels_ == labels) > 0.99


def test_clear_clusters_are_found() -> None:
    x = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    labels = lloyd(x, 4)
    assert [len(set(labels[i : i + 5].tolist())) for i in range(0, 20, 5)] == [1] * 4
    assert len(set(labels.tolist())) == 4


@pytest.mark.parametrize(("k", "n"), [(0, 5), (4, 5), (2, 0)])
def test_wrong_numbers_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="lloyd: expected 1 to 3 clusters"):
        lloyd(np.zeros((3, 2), np.float32), k, n_iterations=n)
