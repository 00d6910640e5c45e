"""One data set in one run, as selection methods see it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.evaluate.clusterings import Clusterings, ClusteringSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from acav_spark.evaluate.made_corpus import MadeCorpus
    from acav_spark.evaluate.retrieval_set import RetrievalSet, Side


@dataclass(frozen=True, eq=False)
class Problem:
    """Pairs, of which those that belong together are to be found.

    Made by ``problem_of_sets`` or ``problem_of_corpus``.

    Parameters
    ----------
    name, run, negatives, network : str, int, str, str
        What it is: data set, run, how negatives were made, and what made the vectors.
    is_positive : ndarray of bool, shape (n_pairs,)
        The truth; no method looks at it.
    classes : ndarray of int64, shape (n_pairs,)
        Class of each pair's first side, to count diversity by; -1 where unknown.
    n_classes : int
        Classes of the source, the paper's number of clusters.
    views : sequence of (str, int, str)
        Name of the side, layer from 1 and modality of each view.
    ids : callable
        Returns cluster ids, shape (n_pairs, n_views), under given settings.
    fingerprint : str
        Hash of everything that shapes a result.
    test, train : RetrievalSet, optional
        Halves with their vectors; None where only cluster ids are there.
    selected_share : float, default 0.5
        Share of the pairs that is picked: as many as belong together (section 4.1:
        "we simply select the top 50% instances").
    """

    name: str
    run: int
    negatives: str
    network: str
    is_positive: NDArray[np.bool_]
    classes: NDArray[np.int64]
    n_classes: int
    views: Sequence[tuple[str, int, str]]
    ids: Callable[[ClusteringSettings], NDArray[np.integer]]
    fingerprint: str
    test: RetrievalSet | None = None
    train: RetrievalSet | None = None
    selected_share: float = 0.5

    def __len__(self) -> int:
        return len(self.is_positive)

    @property
    def n_layers(self) -> int:
        """Layers of a side."""
        return sum(1 for view in self.views if view[0] == self.views[0][0])


def problem_of_sets(train: RetrievalSet, test: RetrievalSet) -> Problem:
    """Return the problem of a set's test half; the train half is for training only.

    Raises
    ------
    ValueError
        If the halves are of different sets, runs or networks.
    """
    if (train.name, train.run) != (test.name, test.run) or not test.is_test:
        msg = (
            f"{test.name}: expected the train and the test half of one run, got "
            f"{train.name} run {train.run} and {test.name} run {test.run}."
        )
        raise ValueError(msg)
    return Problem(
        name=test.name,
        run=test.run,
        negatives=test.negatives,
        network=network_of(test),
        is_positive=test.is_positive,
        classes=test.classes,
        n_classes=test.n_classes,
        views=test.views(),
        ids=Clusterings(test.features(), test.run).ids,
        fingerprint=_fingerprint(train, test),
        test=test,
        train=train,
    )


def problem_of_corpus(
    name: str, run: int, corpus: MadeCorpus, *, selected_share: float
) -> Problem:
    """Return the problem of a made corpus, whose clusters are given.

    Clustering settings other than the number of clusters do not matter then.
    """
    model = corpus.model

    def ids(settings: ClusteringSettings) -> NDArray[np.integer]:
        if settings.n_clusters != model.n_clusters:
            msg = (
                f"{name}: expected {model.n_clusters} clusters, which its ids have, "
                f"got {settings.n_clusters}. Cluster vectors to choose the number."
            )
            raise ValueError(msg)
        return corpus.assignments

    text = f"{name} {model!r} {corpus.seed} {len(corpus)} {selected_share}"
    return Problem(
        name=name,
        run=run,
        negatives=model.negatives,
        network="made cluster ids",
        is_positive=corpus.is_positive,
        classes=corpus.first_classes.astype(np.int64),
        n_classes=model.n_clusters,
        views=corpus.views(),
        ids=ids,
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        selected_share=selected_share,
    )


def network_of(data: RetrievalSet) -> str:
    """Return the networks of both sides, once where they are the same."""
    return " and ".join(dict.fromkeys((data.first.network, data.second.network)))


def _fingerprint(*halves: RetrievalSet) -> str:
    """Return a hash of vectors, pairs and labels."""
    found = hashlib.sha256()
    for half in halves:
        text = (half.name, half.run, half.negatives, half.n_classes, network_of(half))
        found.update(repr(text).encode())
        for array in (half.is_positive, half.classes, *_arrays(half.first, half)):
            found.update(f"{array.dtype.str}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:16]


def _arrays(first: Side, half: RetrievalSet) -> list[NDArray[np.generic]]:
    """Return what both sides hold, a pool that both share but once."""
    arrays: list[NDArray[np.generic]] = [first.rows, *first.pool, half.second.rows]
    seen = {id(layer) for layer in first.pool}
    arrays += [layer for layer in half.second.pool if id(layer) not in seen]
    return arrays
