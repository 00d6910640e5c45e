"""A made corpus as features: sets on which every method can be run.

Each cluster of a view is a Gaussian. Centres of one class in all views come from one
place in a latent space, by another linear map in each view, so that what two views have
in common can be learned by linear projection heads and is not seen without learning.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from acav_spark.evaluate.made_corpus import CorpusModel, generator, made_corpus
from acav_spark.evaluate.retrieval_set import RetrievalSet, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from acav_spark.evaluate.made_corpus import MadeCorpus

# Clips whose noise is drawn at once: 16 MB at 64 dimensions in float32.
_BLOCK: Final = 1 << 16
_CENTRES, _NOISE, _PAIRS = 2, 3, 4
# Standard deviations by which a draw may fall short of its mean: once in 10^15.
_SPARE: Final = 8


@dataclass(frozen=True, kw_only=True)
class FeatureModel:
    """What features of a made corpus are like.

    Parameters
    ----------
    n_dimensions : int, default 64
        Dimensions of every view, at least ``n_latent``.
    n_latent : int, default 32
        Dimensions of the space of classes.
    noise : sequence of float, default (1.5, 1.3, 1.1, 0.9, 0.7)
        Standard deviation of a clip about its centre in each dimension, of each layer;
        centres have 1. Early layers are noisier.
    family_likeness : float, default 0.5
        Correlation of the centres of a family's classes, from 0 to below 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    n_dimensions: int = 64
    n_latent: int = 32
    noise: Sequence[float] = (1.5, 1.3, 1.1, 0.9, 0.7)
    family_likeness: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no features can be made of."""
        for name, is_met, rule in (
            ("n_latent", self.n_latent >= 1, "at least 1"),
            ("n_dimensions", self.n_dimensions >= self.n_latent, "at least n_latent"),
            ("noise", min(self.noise, default=-1) >= 0, "numbers of at least 0"),
            ("family_likeness", 0 <= self.family_likeness < 1, "0 to below 1"),
        ):
            if not is_met:
                msg = (
                    f"FeatureModel: {name}: expected {rule}, got "
                    f"{getattr(self, name)!r}."
                )
                raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class MadeSet(RetrievalSet):
    """A retrieval set of which more is known.

    Parameters
    ----------
    assignments : ndarray of uint16, shape (n_pairs, n_views)
        The cluster of each pair in each view, as if clustering had found it.
    correspondence : ndarray of float32, shape (n_pairs,)
        1 for clean pairs, the positives; 0.5 for pairs that correspond in part; else 0.
    """

    # Fields behind those of RetrievalSet, which have defaults.
    assignments: NDArray[np.uint16] = field(kw_only=True)
    correspondence: NDArray[np.float32] = field(kw_only=True)

    def taken(self, pairs: NDArray[np.int64]) -> Self:
        """Return the same set with these pairs alone, in this order."""
        return replace(
            super().taken(pairs),
            assignments=self.assignments[pairs],
            correspondence=self.correspondence[pairs],
        )


def made_sets(
    n_pairs: int,
    model: CorpusModel | None = None,
    features: FeatureModel | None = None,
    *,
    name: str = "made_corpus",
    n_runs: int = 5,
    seed: int = 0,
) -> Iterator[tuple[MadeSet, MadeSet]]:
    """Return a train and a test set of a made corpus for each run.

    Parameters
    ----------
    n_pairs : int
        Pairs of each set, an even number; 20,000 to 100,000 are usual.
    model : CorpusModel, optional
        What the corpus is like, with no fewer clusters than classes. Half of each set
        are clean pairs whatever its ``clean``; the other half corresponds in part or
        not, in the proportion of the model.
    features : FeatureModel, optional
        What the features are like.
    name : str, default "made_corpus"
        Name of the set.
    n_runs : int, default 5
        Runs, each of another corpus: other relabellings, other centres, other clips.
    seed : int, default 0
        Seed of all of them.

    Raises
    ------
    ValueError
        If ``n_pairs`` is odd or below 2, no clip or each one is clean, there are fewer
        clusters than classes, or ``noise`` is not of as many layers as there are.

    Notes
    -----
    The class of a pair is its first side's. Memory: 8 ``n_pairs`` bytes for each view
    and dimension: 102 MB for sets of 20,000 at 10 views of 64.
    """
    model, features = model or CorpusModel(), features or FeatureModel()
    for what, is_met, rule, value in (
        ("n_pairs", n_pairs >= 2 and n_pairs % 2 == 0, "an even number", n_pairs),
        ("n_runs", n_runs >= 1, "at least 1", n_runs),
        ("seed", seed >= 0, "at least 0", seed),
        ("clean", 0 < model.clean < 1, "between 0 and 1", model.clean),
        (
            "n_clusters",
            model.n_clusters >= model.n_classes_,
            f"at least the {model.n_classes_} classes",
            model.n_clusters,
        ),
        (
            "noise",
            len(features.noise) == model.n_layers,
            f"{model.n_layers} numbers, one for each layer",
            features.noise,
        ),
    ):
        if not is_met:
            msg = f"made_sets: {what}: expected {rule}, got {value!r}."
            raise ValueError(msg)
    return (
        _sets(n_pairs, model, features, name=name, run=run, seed=seed)
        for run in range(n_runs)
    )


def _sets(
    n_pairs: int,
    model: CorpusModel,
    features: FeatureModel,
    *,
    name: str,
    run: int,
    seed: int,
) -> tuple[MadeSet, MadeSet]:
    """Return both sets of one run."""
    corpus_seed = int(np.random.SeedSequence([seed, run]).generate_state(1)[0])
    fewest = min(model.clean, 1 - model.clean)
    spare = _SPARE * (n_pairs**0.5 + _SPARE)
    corpus = made_corpus(int((n_pairs + spare) / fewest), model, seed=corpus_seed)
    rng = generator(corpus_seed, _PAIRS, 0)
    halves: list[list[NDArray[np.int64]]] = [[], []]
    for label in (True, False):
        rows = np.flatnonzero(corpus.is_positive == label)[:n_pairs]
        for half, part in zip(halves, np.split(rows, 2), strict=True):
            half.append(part)
    # In random order: ties that go to the first row must not find the positives.
    rows = np.concatenate([rng.permutation(np.concatenate(half)) for half in halves])
    ids = corpus.assignments[rows]
    views = made_features(corpus, features, ids)
    every = np.repeat(np.arange(2 * n_pairs)[:, None], model.n_layers, axis=1)
    first, second = (
        Side(modality, "made", tuple(views[start : start + model.n_layers]), every)
        for modality, start in (("visual", 0), ("audio", model.n_layers))
    )
    whole = MadeSet(
        name=name,
        run=run,
        first=first,
        second=second,
        is_positive=corpus.is_positive[rows],
        classes=corpus.first_classes[rows].astype(np.int64),
        is_test=False,
        n_classes=model.n_clusters,
        negatives=model.negatives,
        assignments=ids,
        correspondence=corpus.correspondence[rows],
    )
    train, test = (whole.taken(part) for part in np.split(np.arange(2 * n_pairs), 2))
    return train, replace(test, is_test=True)


def made_features(
    corpus: MadeCorpus, model: FeatureModel, assignments: NDArray[np.uint16]
) -> list[NDArray[np.float32]]:
    """Return features of clips of a corpus, one matrix for each view.

    Parameters
    ----------
    corpus : MadeCorpus
        The corpus.
    model : FeatureModel
        What the features are like.
    assignments : ndarray of uint16, shape (n_clips, n_views)
        Clusters of the clips, such as the corpus's own or some of them.

    Returns
    -------
    list of ndarray of float32, shape (n_clips, n_dimensions)
        The centre of each clip's cluster, and noise.
    """
    shape, (n_clips, n_views) = corpus.model, assignments.shape
    place = _places(corpus, model)
    classes = corpus.class_of_cluster()
    result = []
    for view in range(n_views):
        rng = generator(corpus.seed, _CENTRES, 1 + view)
        mixing = rng.standard_normal((model.n_latent, model.n_dimensions))
        # Parts of one class lie apart by half as much as classes do.
        apart = rng.standard_normal((shape.n_clusters, model.n_latent)) / 2
        latent = place[classes[view]]
        if shape.n_clusters > shape.n_classes_:
            latent = latent + apart
        centres = (latent @ mixing / np.sqrt(model.n_latent)).astype(np.float32)
        features = centres[assignments[:, view]]
        deviation = np.float32(model.noise[view % shape.n_layers])
        for number, start in enumerate(range(0, n_clips, _BLOCK)):
            part = features[start : start + _BLOCK]
            noise = generator(corpus.seed, _NOISE, number * n_views + view)
            part += deviation * noise.standard_normal(part.shape, dtype=np.float32)
        result.append(features)
    return result


def _places(corpus: MadeCorpus, model: FeatureModel) -> NDArray[np.float64]:
    """Return the place of each class in the latent space, (n_classes, n_latent)."""
    rng = generator(corpus.seed, _CENTRES, 0)
    families = corpus.model.families()
    own = rng.standard_normal((len(families), model.n_latent))
    common = rng.standard_normal((int(families.max()) + 1, model.n_latent))
    likeness = model.family_likeness
    places: NDArray[np.float64] = (
        np.sqrt(likeness) * common[families] + np.sqrt(1 - likeness) * own
    )
    return places
