"""Selection methods by name, all with one interface.

A method ranks the pairs of a problem: it returns the pairs that it picks, in the order
of its picks. It sees vectors and cluster ids, never labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from acav_spark.clustering.sizes import auto_n_clusters
from acav_spark.evaluate.clusterings import Algorithm, ClusteringSettings
from acav_spark.selection import (
    batch_greedy,
    greedy,
    mixture_ranking,
    pairs_for,
    pointwise_ranking,
    random_selection,
)
from acav_spark.selection.mixture import SHARE
from acav_spark.selection.weights import view_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.clustering import PreprocessName
    from acav_spark.evaluate.problem import Problem
    from acav_spark.evaluate.retrieval_set import RetrievalSet
    from acav_spark.selection.prior import Prior

    Ranker = Callable[["Problem", int, "MethodSettings"], NDArray[np.int64]]

SINGLE = "layer_"
"""Prefix of pairings of one layer: ``layer_5`` pairs both sides' fifth."""


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """What methods are set by; each looks at its own.

    Parameters
    ----------
    pairing : str, default "combination"
        ``diagonal``, ``bipartite``, ``combination``, or one layer: ``layer_3``.
    layer_weights : "uniform", ("linear", slope) or ("exp", rate)
        Weights of layers (paper, appendix B).
    prior : float, "recommended" or None
        Strength of the population's prior.
    batch_size, per_batch : int, default 100, 25
        b and s of Algorithm 1 (paper, section 4.1).
    n_clusters : int or "auto", optional
        Clusters of every view; by default as many as the source has classes; auto is
        by the number of pairs, as ``clustering.n_clusters: auto``.
    share : float, default 0.4
        Share that ``mixture`` takes to correspond.
    preprocess, algorithm, n_epochs
        Of the clustering; see ``ClusteringSettings``.
    n_components : int, default 64
        Principal components of the rankings (section 4.1).
    contrastive_epochs : int, default 100
        Passes over the train half (section 4.1).
    contrastive_batch : int, default 10
        Pairs of a mini-batch (section 4.1: on sample-level sets).
    contrastive_by_class : bool, default False
        Whether a mini-batch has one pair of each class instead, as section 4.1 has it
        on class-level sets. It looks at classes of first sides in the train half.
    """

    pairing: str = "combination"
    layer_weights: Literal["uniform"] | tuple[Literal["linear", "exp"], float] = (
        "uniform"
    )
    prior: Prior = None
    batch_size: int = 100
    per_batch: int = 25
    n_clusters: int | Literal["auto"] | None = None
    share: float = SHARE
    preprocess: PreprocessName = "pca_whiten"
    algorithm: Algorithm = "sgd"
    n_epochs: int = 20
    n_components: int = 64
    contrastive_epochs: int = 100
    contrastive_batch: int = 10
    contrastive_by_class: bool = False


_CLUSTERS = ("n_clusters", "preprocess", "algorithm", "n_epochs")
_PAIRS = ("pairing", "layer_weights")


@dataclass(frozen=True)
class Method:
    """One method.

    Parameters
    ----------
    name : str
        Name, as the option ``--methods`` takes it.
    rank : callable
        Takes the problem, the number of pairs to pick and the settings; returns the
        picks, best first. Seeds come from the problem's run.
    fields : tuple of str
        Settings that it looks at.
    needs_vectors : bool
        Whether cluster ids alone do not do.
    """

    name: str
    rank: Ranker
    fields: tuple[str, ...]
    needs_vectors: bool = False

    def settings(self, given: MethodSettings, problem: Problem) -> dict[str, Any]:
        """Return the settings that shape its picks, with defaults resolved."""
        values = asdict(given)
        shaping = {name: values[name] for name in self.fields}
        if "n_clusters" in shaping:
            shaping["n_clusters"] = _n_clusters(problem, given)
        return shaping

    def prepare(self, problem: Problem, given: MethodSettings) -> None:
        """Make the clusterings that it looks at, which methods share."""
        if "n_clusters" in self.fields:
            _ids(problem, given)

    def missing(self, problem: Problem) -> str:
        """Return why it cannot be used for a problem; empty where it can."""
        if self.needs_vectors and problem.test is None:
            return "it needs vectors, and there are cluster ids alone"
        if self.name == "similarity" and problem.test is not None:
            first, second = (
                side.pool[-1].shape[1]
                for side in (problem.test.first, problem.test.second)
            )
            if first != second or problem.test.first.network != (
                problem.test.second.network
            ):
                return "both sides' last vectors are not of one space"
        return ""


def pairs_of(problem: Problem, pairing: str) -> list[tuple[int, int]]:
    """Return the pairs of views of a pairing, that of one layer included.

    Raises
    ------
    ValueError
        If the pairing is unknown, or there is no such layer.
    """
    if not pairing.startswith(SINGLE):
        return pairs_for(pairing, problem.views)  # type: ignore[arg-type]  # it checks
    n_layers = problem.n_layers
    text = pairing.removeprefix(SINGLE)
    layer = int(text) if text.isdecimal() else 0
    if not 1 <= layer <= n_layers:
        msg = f"pairing: expected layer_1 to layer_{n_layers}, got {pairing!r}."
        raise ValueError(msg)
    return [(layer - 1, n_layers + layer - 1)]


def _n_clusters(problem: Problem, settings: MethodSettings) -> int:
    if settings.n_clusters == "auto":
        return auto_n_clusters(len(problem))
    return problem.n_classes if settings.n_clusters is None else settings.n_clusters


def _ids(problem: Problem, settings: MethodSettings) -> NDArray[np.integer]:
    return problem.ids(
        ClusteringSettings(
            _n_clusters(problem, settings),
            settings.preprocess,
            settings.algorithm,
            settings.n_epochs,
        )
    )


def _clustered(problem: Problem, settings: MethodSettings) -> dict[str, Any]:
    """Return assignments, sizes, pairs and weights: what selections are given."""
    n_clusters = _n_clusters(problem, settings)
    pairs = pairs_of(problem, settings.pairing)
    layers = [(extractor, layer) for extractor, layer, _ in problem.views]
    return {
        "assignments": _ids(problem, settings),
        "n_clusters": n_clusters,
        "pairs": pairs,
        "weights": view_weights(settings.layer_weights, layers, pairs),
    }


def _algorithm_1(
    mode: Literal["paper", "released"],
) -> Ranker:
    def rank(
        problem: Problem, n_select: int, settings: MethodSettings
    ) -> NDArray[np.int64]:
        return batch_greedy(
            **_clustered(problem, settings),
            n_select=n_select,
            batch_size=settings.batch_size,
            per_batch=settings.per_batch,
            prior=settings.prior,
            seed=problem.run,
            mode=mode,
        ).indices

    return rank


def _greedy(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    return greedy(
        **_clustered(problem, settings), n_select=n_select, prior=settings.prior
    ).indices


def _pmi(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    return pointwise_ranking(**_clustered(problem, settings), n_select=n_select)


def _mixture(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    return mixture_ranking(
        **_clustered(problem, settings), n_select=n_select, share=settings.share
    )


def _random(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    del settings
    return random_selection(len(problem), n_select, seed=problem.run)


def _test(problem: Problem) -> RetrievalSet:
    if problem.test is None:
        msg = f"{problem.name}: expected a set with vectors; it has cluster ids alone."
        raise ValueError(msg)
    return problem.test


def _ranking(metric: Literal["inner", "cos", "l2"]) -> Ranker:
    def rank(
        problem: Problem, n_select: int, settings: MethodSettings
    ) -> NDArray[np.int64]:
        from acav_spark.selection.feature_ranking import feature_scores
        from acav_spark.selection.similarity import highest

        scores = feature_scores(
            _test(problem).features(),
            pairs_of(problem, settings.pairing),
            metric=metric,
            n_components=settings.n_components,
        )
        return highest(scores, n_select)

    return rank


def _similarity(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    from acav_spark.selection.similarity import cosine_similarity, highest

    del settings
    test = _test(problem)
    return highest(
        cosine_similarity(test.first.layer(-1), test.second.layer(-1)), n_select
    )


def _contrastive(
    problem: Problem, n_select: int, settings: MethodSettings
) -> NDArray[np.int64]:
    from acav_spark.selection.contrastive import fit_projection_heads
    from acav_spark.selection.similarity import highest

    test, train = _test(problem), problem.train
    if train is None:
        msg = f"{problem.name}: expected a train half for contrastive, got none."
        raise ValueError(msg)
    heads = fit_projection_heads(
        train.first.layer(-1),
        train.second.layer(-1),
        n_epochs=settings.contrastive_epochs,
        batch_size=settings.contrastive_batch,
        classes=train.classes if settings.contrastive_by_class else None,
        seed=problem.run,
    )
    return highest(heads.scores(test.first.layer(-1), test.second.layer(-1)), n_select)


_BATCHES = (*_PAIRS, "prior", "batch_size", "per_batch", *_CLUSTERS)
_RANKING = ("pairing", "n_components")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("random", _random, ()),
        Method("ranking_inner", _ranking("inner"), _RANKING, needs_vectors=True),
        Method("ranking_cos", _ranking("cos"), _RANKING, needs_vectors=True),
        Method("ranking_l2", _ranking("l2"), _RANKING, needs_vectors=True),
        Method("similarity", _similarity, (), needs_vectors=True),
        Method(
            "contrastive",
            _contrastive,
            ("contrastive_epochs", "contrastive_batch", "contrastive_by_class"),
            needs_vectors=True,
        ),
        Method("mutual_information", _algorithm_1("paper"), _BATCHES),
        Method("released", _algorithm_1("released"), _BATCHES),
        Method("greedy", _greedy, (*_PAIRS, "prior", *_CLUSTERS)),
        Method("pmi", _pmi, (*_PAIRS, *_CLUSTERS)),
        Method("mixture", _mixture, (*_PAIRS, "share", *_CLUSTERS)),
    )
}
"""Every method by its name."""
