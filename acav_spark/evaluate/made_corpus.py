"""A made corpus of any size: cluster ids of clips of which it is known who corresponds.

Real sets of which that is known are small. This one has what makes real corpora hard:
classes of very unequal size, pairs that belong together in part, layers that differ in
what they show, and a look of each modality that has nothing to do with the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.evaluate.corpus_model import CorpusModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CorpusModel", "MadeCorpus", "generator", "made_corpus"]

# Clips that are drawn at once: 10 views of them take some 10 MB in each step.
_BLOCK: Final = 1 << 16
_STRUCTURE, _CLIPS = 0, 1


@dataclass(frozen=True, eq=False)
class MadeCorpus:
    """Clips, and what is known of them.

    Parameters
    ----------
    model : CorpusModel
        What they were made by.
    seed : int
        And with which draws.
    assignments : ndarray of uint16, shape (n_clips, n_views)
        Cluster of each clip in each view.
    first_classes, second_classes : ndarray of int32, shape (n_clips,)
        Class of each side.
    correspondence : ndarray of float32, shape (n_clips,)
        1 for clean, 0.5 for partly, 0 for not corresponding.
    """

    model: CorpusModel
    seed: int
    assignments: NDArray[np.uint16]
    first_classes: NDArray[np.int32]
    second_classes: NDArray[np.int32]
    correspondence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.assignments)

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Whether both sides have the same class: clean pairs alone."""
        return np.equal(self.correspondence, 1)

    def views(self) -> list[tuple[str, int, str]]:
        """Return (extractor, layer, modality) of each view, for ``pairs_for``."""
        return [
            (place, layer + 1, place)
            for place in ("first", "second")
            for layer in range(self.model.n_layers)
        ]

    def class_of_cluster(self) -> NDArray[np.int64]:
        """Return the class that each cluster shows, shape (n_views, n_clusters).

        With fewer clusters than classes, the largest of those that it shows.
        """
        structure = _Structure.drawn(self.model, self.seed)
        position = np.argsort(structure.clusters, axis=1)
        return position % self.model.n_classes_


def made_corpus(
    n_clips: int, model: CorpusModel | None = None, *, seed: int = 0
) -> MadeCorpus:
    """Return a corpus of cluster ids.

    Parameters
    ----------
    n_clips : int
        Number of clips, at least 1; 10^5 to 10^7 are usual.
    model : CorpusModel, optional
        What it is like.
    seed : int, default 0
        Seed of everything that is drawn. By one seed and model, a smaller corpus is the
        beginning of a larger one.

    Raises
    ------
    ValueError
        If ``n_clips`` or ``seed`` is out of range.

    Notes
    -----
    Clips are drawn in blocks, each by a generator of its own, from the seed and the
    block's number. In a view a clip's class is a cluster by a random relabelling of
    that view, so that nothing ties equal ids of two views. The sides of a pair that
    does not correspond have different classes: the second is drawn anew until it
    differs. Memory: 2 bytes for each clip and view, 12 for each clip, and some 50 MB.
    Time: about 0.1 microseconds for each clip and view.
    """
    model = model or CorpusModel()
    if n_clips < 1 or seed < 0:
        msg = (
            "made_corpus: expected n_clips of at least 1 and a seed of at least 0, got "
            f"{n_clips} and {seed}."
        )
        raise ValueError(msg)
    structure = _Structure.drawn(model, seed)
    corpus = MadeCorpus(
        model,
        seed,
        np.empty((n_clips, model.n_views), np.uint16),
        np.empty(n_clips, np.int32),
        np.empty(n_clips, np.int32),
        np.empty(n_clips, np.float32),
    )
    for number, start in enumerate(range(0, n_clips, _BLOCK)):
        # Whole blocks are drawn: a corpus's end does not depend on where it ends.
        first, second, correspondence, ids = _block(
            model, structure, generator(seed, _CLIPS, number)
        )
        here = slice(start, min(start + _BLOCK, n_clips))
        n_here = here.stop - start
        corpus.first_classes[here] = first[:n_here]
        corpus.second_classes[here] = second[:n_here]
        corpus.correspondence[here] = correspondence[:n_here]
        corpus.assignments[here] = ids[:n_here]
    return corpus


@dataclass(frozen=True, eq=False)
class _Structure:
    """What is drawn once for a corpus.

    ``clusters`` and ``looks`` order the clusters of each view: a class c has those at
    c, c + n_classes, ... of the order, and so has the look c.
    """

    cumulative: NDArray[np.float64]
    clusters: NDArray[np.uint16]
    looks: NDArray[np.uint16]

    @classmethod
    def drawn(cls, model: CorpusModel, seed: int) -> _Structure:
        rng = generator(seed, _STRUCTURE, 0)
        cumulative = np.cumsum(model.class_shares())
        cumulative[-1] = 1.0
        return cls(cumulative, *(_orders(model, rng) for _ in range(2)))


def _orders(model: CorpusModel, rng: np.random.Generator) -> NDArray[np.uint16]:
    orders = [rng.permutation(model.n_clusters) for _ in range(model.n_views)]
    return np.stack(orders).astype(np.uint16)


def generator(seed: int, what: int, number: int) -> np.random.Generator:
    """Return the generator of one part of a corpus: no two parts share one."""
    sequence = np.random.SeedSequence(seed, spawn_key=(what, number))
    return np.random.Generator(np.random.SFC64(sequence))


def _block(
    model: CorpusModel, structure: _Structure, rng: np.random.Generator
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.uint16]
]:
    """Return first and second classes, correspondence and ids of a block of clips."""
    n, n_layers = _BLOCK, model.n_layers
    kind = rng.random(n)
    is_clean = kind < model.clean
    is_partly = ~is_clean & (kind < model.clean + model.partly)
    first = _drawn(structure, rng, n)
    second = np.where(is_clean, first, _others(structure, rng, first))
    if model.partly_kind == "neighbour":
        second = np.where(is_partly, _neighbours(model, rng, first), second)
    classes = np.repeat(np.stack([first, second], axis=1), n_layers, axis=1)
    if model.partly_kind == "views":
        has_first = is_partly[:, None] & (rng.random((n, n_layers)) < 0.5)
        classes[:, n_layers:] = np.where(has_first, first[:, None], second[:, None])
    if model.confusion:
        is_confused = rng.random(classes.shape) < model.confusion
        classes = np.where(is_confused, _neighbours(model, rng, classes), classes)
    correspondence = np.where(is_clean, 1.0, np.where(is_partly, 0.5, 0.0))
    is_scattered = np.zeros(n, dtype=np.bool_)
    if model.negatives == "per_layer":
        is_scattered = correspondence == 0
        for view in range(1, model.n_views):
            other = _others(structure, rng, first)
            classes[:, view] = np.where(is_scattered, other, classes[:, view])
    ids = _shown(model, structure, rng, classes, is_scattered)
    return first, second, correspondence.astype(np.float32), ids


def _shown(
    model: CorpusModel,
    structure: _Structure,
    rng: np.random.Generator,
    classes: NDArray[np.int64],
    is_scattered: NDArray[np.bool_],
) -> NDArray[np.uint16]:
    """Return the cluster of each view, given the class that it may show.

    Views of clips that are scattered have no look in common.
    """
    n = len(classes)
    shows_class = rng.random(classes.shape) < model.agreements()
    shows_look = rng.random(classes.shape) < model.consistency
    shows_look &= ~is_scattered[:, None]
    looks = [_drawn(structure, rng, n) for _ in range(2)]
    ids = np.empty(classes.shape, np.uint16)
    for view in range(model.n_views):
        anything = _drawn(structure, rng, n)
        by_class = np.where(shows_class[:, view], classes[:, view], anything)
        is_look = ~shows_class[:, view] & shows_look[:, view]
        position = np.where(is_look, looks[view // model.n_layers], by_class)
        position = _split(model, rng, position)
        ids[:, view] = np.where(
            is_look, structure.looks[view][position], structure.clusters[view][position]
        )
    return ids


def _split(
    model: CorpusModel, rng: np.random.Generator, classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a position in the order of clusters for each class."""
    n_classes, n_clusters = model.n_classes_, model.n_clusters
    if n_clusters <= n_classes:
        return classes % n_clusters
    n_parts = (n_clusters - 1 - classes) // n_classes + 1
    part = (rng.random(len(classes)) * n_parts).astype(np.int64)
    return classes + n_classes * part


def _drawn(
    structure: _Structure, rng: np.random.Generator, n: int
) -> NDArray[np.int64]:
    """Return classes by their shares."""
    return np.searchsorted(structure.cumulative, rng.random(n), side="right")


def _others(
    structure: _Structure, rng: np.random.Generator, classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return classes by their shares, each another than the given one."""
    others = _drawn(structure, rng, len(classes))
    while len(same := np.flatnonzero(others == classes)):
        others[same] = _drawn(structure, rng, len(same))
    return others


def _neighbours(
    model: CorpusModel, rng: np.random.Generator, classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return another class of each one's family, all with equal probability."""
    families = model.families()
    starts, sizes = np.unique(families, return_index=True, return_counts=True)[1:]
    start, size = starts[families][classes], sizes[families][classes]
    step = 1 + (rng.random(classes.shape) * (size - 1)).astype(np.int64)
    neighbours: NDArray[np.int64] = start + (classes - start + step) % size
    return neighbours
