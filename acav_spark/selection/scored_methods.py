"""From a configuration and the views there are to a method that scores clips."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from acav_spark.selection.contrastive import checked_settings
from acav_spark.selection.embedding_similarity import SimilarityMethod
from acav_spark.selection.pairings import pairs_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acav_spark.config.scoring import ContrastiveConfig
    from acav_spark.config.selecting import SelectionConfig
    from acav_spark.selection.contrastive_job import ContrastiveMethod
    from acav_spark.selection.feature_ranking import Metric
    from acav_spark.selection.scored_job import ScoredMethod
    from acav_spark.selection.scoring import FeatureView

_METRICS: Mapping[str, Metric] = {
    "ranking_inner": "inner",
    "ranking_cos": "cos",
    "ranking_l2": "l2",
}
_NAMED = re.compile(r"(.+) layer (\d+)")


def method_of(chosen: SelectionConfig, views: Sequence[FeatureView]) -> ScoredMethod:
    """Return the method that scores clips.

    Parameters
    ----------
    chosen : SelectionConfig
        With one of the methods ``SCORED``.
    views : sequence of FeatureView
        Views of the clustering, in their order.

    Raises
    ------
    ValueError
        If the views have no such pairs; begins with the option's name.
    """
    if chosen.method == "contrastive":
        return contrastive_method(chosen.contrastive, views, seed=chosen.seed)
    if chosen.method == "similarity":
        return similarity_method(chosen.similarity.pairs, views)
    from acav_spark.selection.ranking_job import RankingMethod

    try:
        named = [(view.extractor, view.layer, view.modality) for view in views]
        pairs = pairs_for(chosen.pairing, named)
        used, places = _used(views, pairs)
    except ValueError as error:
        msg = f"pairing: {error}"
        raise ValueError(msg) from error
    return RankingMethod(
        _METRICS[chosen.method],
        used,
        places,
        n_components=chosen.ranking.n_components,
        max_rows=chosen.ranking.max_rows,
        seed=chosen.seed,
    )


def contrastive_method(
    chosen: ContrastiveConfig, views: Sequence[FeatureView], *, seed: int
) -> ContrastiveMethod:
    """Return the method ``contrastive``.

    Raises
    ------
    ValueError
        If there is no such view, both are of one extractor, or there are not two
        extractors to choose by themselves.
    """
    from acav_spark.selection.contrastive_job import ContrastiveMethod

    option = "contrastive.layers"
    names = chosen.layers or sorted({view.extractor for view in views})
    if len(names) != 2:
        msg = (
            f"{option}: expected two views where there are not two extractors, got "
            f"none for {names}. Name them, such as [slowfast_r50, vggish]."
        )
        raise ValueError(msg)
    # Whatever the order of names, so that it does not change the first weights.
    first, second = sorted(_place(name, views, option) for name in names)
    if views[first].extractor == views[second].extractor:
        msg = (
            f"{option}: expected views of two extractors, got {views[first]} and "
            f"{views[second]}, which tell nothing of each other but what one network "
            "made of both."
        )
        raise ValueError(msg)
    settings = checked_settings(
        dimensions=chosen.dimensions,
        temperature=chosen.temperature,
        learning_rate=chosen.learning_rate,
        n_epochs=chosen.n_epochs,
        batch_size=chosen.batch_size,
        standardise=True,
        seed=seed,
    )
    return ContrastiveMethod(
        (views[first], views[second]),
        settings,
        max_rows=chosen.max_rows,
        n_processes=chosen.n_processes,
    )


def similarity_method(
    pairs: Sequence[Sequence[str]], views: Sequence[FeatureView]
) -> SimilarityMethod:
    """Return the method ``similarity``.

    Parameters
    ----------
    pairs : sequence of two names each
        ``EXTRACTOR`` for its last layer, or ``EXTRACTOR layer N``. Where none is
        given, the last layers of the two extractors there are.
    views : sequence of FeatureView
        Views of the clustering.

    Raises
    ------
    ValueError
        If there is no such view, there are not two extractors to choose by
        themselves, or the views of a pair have different dimensions.
    """
    option = "similarity.pairs"
    last = {view.extractor: i for i, view in enumerate(views)}
    named: Sequence[Sequence[str]] = pairs
    if not named:
        if len(last) != 2:
            msg = (
                "similarity.pairs: expected pairs of extractors where there are not "
                f"two, got none for {sorted(last)}. Name them, such as "
                "[[clip_image, clip_text]]."
            )
            raise ValueError(msg)
        named = [list(last)]
    places = [
        (_place(first, views, option), _place(second, views, option))
        for first, second in named
    ]
    for first, second in places:
        if first == second or views[first].dimension != views[second].dimension:
            msg = (
                "similarity.pairs: expected two views of one space in each pair, with "
                f"vectors of equal length, got {views[first]} "
                f"({views[first].dimension} numbers) and {views[second]} "
                f"({views[second].dimension}). Choose embeddings of one joint network, "
                "or method ranking_cos for networks apart."
            )
            raise ValueError(msg)
    return SimilarityMethod(*_used(views, places))


def _place(name: str, views: Sequence[FeatureView], option: str) -> int:
    """Return which view a name is of: of an extractor by itself, its last layer."""
    match = _NAMED.fullmatch(name)
    for i, view in reversed(list(enumerate(views))):
        if view.extractor == name:
            return i
        if match and (view.extractor, view.layer) == (match[1], int(match[2])):
            return i
    msg = (
        f"{option}: expected names of extractors, or 'NAME layer N', among "
        f"{[str(view) for view in views]}, got {name!r}."
    )
    raise ValueError(msg)


def _used(
    views: Sequence[FeatureView], pairs: Sequence[tuple[int, int]]
) -> tuple[tuple[FeatureView, ...], tuple[tuple[int, int], ...]]:
    """Return the views that pairs name, and the pairs by their places among these."""
    used = sorted({view for pair in pairs for view in pair})
    if used[-1] >= len(views):
        msg = (
            f"expected views from 0 to {len(views) - 1}, got {used[-1]}. Count the "
            "layers of all extractors, in their order."
        )
        raise ValueError(msg)
    place = {view: i for i, view in enumerate(used)}
    return tuple(views[i] for i in used), tuple((place[u], place[v]) for u, v in pairs)
