"""How many of the selected clips truly correspond: for the report of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from acav_spark.clustering import PreprocessName, SGDKMeans
from acav_spark.report.model import SeedResult
from acav_spark.selection import batch_greedy, bipartite, pairs_for, random_selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.pairings import PairingName

__all__ = [
    "SeedShares",
    "Settings",
    "five_seeds",
    "precision",
    "shares_of_seed",
    "summarise",
]


@dataclass(frozen=True)
class SeedShares:
    """As ``SeedResult``, with the share of every single pair of layers by its name."""

    seed: int
    selected: float
    random: float
    single: Mapping[str, float]


@dataclass(frozen=True)
class Settings:
    """What a selection is made with.

    Parameters
    ----------
    modalities : mapping of str to str
        Modality of each view.
    n_clusters, n_select : int
        Clusters of every view, and clips to select.
    pairing : {"diagonal", "bipartite", "combination"} or sequence of (int, int)
        Pairs of views whose information is summed.
    batch_size, per_batch : int
        Of Algorithm 1.
    prior : float, "recommended" or None
        Strength of the population's prior.
    preprocess, learning_rate, n_epochs
        Of the clustering.
    """

    modalities: Mapping[str, str]
    n_clusters: int
    n_select: int
    pairing: PairingName | Sequence[Sequence[int]] = "combination"
    batch_size: int = 200
    per_batch: int = 10
    prior: float | Literal["recommended"] | None = None
    preprocess: PreprocessName = "standardise"
    learning_rate: float = 0.01
    n_epochs: int = 100


def precision(selected_ids: Iterable[str], labels: Mapping[str, bool]) -> float:
    """Return the share of the selected clips that truly correspond.

    Parameters
    ----------
    selected_ids : iterable of str
        Clips, at least one.
    labels : mapping of str to bool
        Whether each clip corresponds.

    Raises
    ------
    ValueError
        If nothing is selected, or a selected clip has no label.
    """
    ids = list(selected_ids)
    unknown = [clip_id for clip_id in ids if clip_id not in labels]
    if not ids or unknown:
        msg = (
            "precision: expected selected clips that have a label, got "
            f"{len(ids)} clips, {len(unknown)} of them without, such as {unknown[:5]}."
        )
        raise ValueError(msg)
    return sum(labels[clip_id] for clip_id in ids) / len(ids)


def five_seeds(
    vectors_by_view: Mapping[str, NDArray[np.float32]],
    is_corresponding: NDArray[np.bool_],
    *,
    modalities: Mapping[str, str],
    n_clusters: int,
    n_select: int,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    pairing: PairingName | Sequence[Sequence[int]] = "combination",
    batch_size: int = 200,
    per_batch: int = 10,
    prior: float | Literal["recommended"] | None = None,
    preprocess: PreprocessName = "standardise",
    learning_rate: float = 0.01,
    n_epochs: int = 100,
) -> list[SeedResult]:
    """Cluster and select anew for each seed, in memory, and compare with the labels.

    Parameters
    ----------
    vectors_by_view : mapping of str to ndarray of float32, shape (n_clips, dimension)
        Vectors of each view; all in the same order of clips.
    is_corresponding : ndarray of bool, shape (n_clips,)
        The labels; looked at after the selections only.
    seeds : sequence of int
        Seeds of clustering and selection.
    modalities, n_clusters, n_select, pairing, batch_size, per_batch, prior
        As in ``Settings``.
    preprocess, learning_rate, n_epochs
        As in ``Settings``.

    Notes
    -----
    One clustering of all views and 1 + (pairs across modalities) selections a seed:
    about a second for 400 clips and ten views.
    """
    settings = Settings(
        modalities=modalities,
        n_clusters=n_clusters,
        n_select=n_select,
        pairing=pairing,
        batch_size=batch_size,
        per_batch=per_batch,
        prior=prior,
        preprocess=preprocess,
        learning_rate=learning_rate,
        n_epochs=n_epochs,
    )
    return summarise(
        [
            shares_of_seed(
                vectors_by_view, is_corresponding, seed=seed, settings=settings
            )
            for seed in seeds
        ]
    )


def shares_of_seed(
    vectors_by_view: Mapping[str, NDArray[np.float32]],
    is_corresponding: NDArray[np.bool_],
    *,
    seed: int,
    settings: Settings,
) -> SeedShares:
    """Cluster and select for one seed, by the pairing and by each single pair."""
    names = list(vectors_by_view)
    kinds = [settings.modalities[name] for name in names]
    layers = [kinds[:number].count(kind) for number, kind in enumerate(kinds)]
    views = list(zip(kinds, layers, kinds, strict=True))
    # Views are seeded apart, as fit_centroids does.
    estimators = [
        SGDKMeans(
            settings.n_clusters,
            learning_rate=settings.learning_rate,
            n_epochs=settings.n_epochs,
            preprocess=settings.preprocess,
            seed=seed * 1000 + position,
        )
        for position in range(len(names))
    ]
    assignments = np.stack(
        [
            estimator.fit(vectors).labels_
            for estimator, vectors in zip(
                estimators, vectors_by_view.values(), strict=True
            )
        ],
        axis=1,
    )

    def share(pairs: Sequence[tuple[int, int]]) -> float:
        selection = batch_greedy(
            assignments,
            settings.n_select,
            n_clusters=settings.n_clusters,
            pairs=pairs,
            batch_size=settings.batch_size,
            per_batch=settings.per_batch,
            prior=settings.prior,
            seed=seed,
        )
        return float(is_corresponding[selection.indices].mean())

    drawn = random_selection(len(is_corresponding), settings.n_select, seed=seed)
    return SeedShares(
        seed=seed,
        selected=share(pairs_for(settings.pairing, views)),
        random=float(is_corresponding[drawn].mean()),
        single={
            f"{names[u]} and {names[v]}": share([(u, v)]) for u, v in bipartite(kinds)
        },
    )


def summarise(shares: Sequence[SeedShares]) -> list[SeedResult]:
    """Return one row for each seed, next to the pair that is best over all seeds.

    Raises
    ------
    ValueError
        If there is no seed.

    Notes
    -----
    That pair is chosen with the labels in hand, from as many as there are, which
    flatters it.
    """
    if not shares:
        msg = "summarise: expected the shares of at least one seed, got none."
        raise ValueError(msg)
    best = max(
        shares[0].single, key=lambda pair: sum(share.single[pair] for share in shares)
    )
    return [
        SeedResult(
            seed=share.seed,
            selected=share.selected,
            random=share.random,
            best_single=share.single[best],
            best_single_pair=best,
        )
        for share in shares
    ]
