"""How many of the selected clips truly correspond: for the report of the demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acav_spark.clustering import PreprocessName, SGDKMeans
from acav_spark.selection import batch_greedy, bipartite, pairs_for, random_selection
from acav_spark.selection.pairings import PairingName

__all__ = ["SeedResult", "five_seeds", "precision"]


@dataclass(frozen=True)
class SeedResult:
    """Shares of truly corresponding clips among those selected, for one seed.

    Parameters
    ----------
    seed : int
        Seed of clustering and of selection.
    selected : float
        By all pairs of views of the pairing.
    random : float
        Of a random selection of the same size.
    best_single_layer : float
        By one layer of one modality and one of another: the pair that is best on the
        average of the seeds.
    best_single_pair : str
        Names of that pair's views.
    """

    seed: int
    selected: float
    random: float
    best_single_layer: float
    best_single_pair: str


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
    pairing: PairingName = "combination",
    batch_size: int = 100,
    per_batch: int = 5,
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
        The labels; looked at after the selection only.
    modalities : mapping of str to str
        Modality of each view.
    n_clusters, n_select : int
        Clusters of every view, and clips to select.
    seeds : sequence of int
        Seeds of clustering and selection.
    pairing : {"diagonal", "bipartite", "combination"}
        Pairs of views whose information is summed.
    batch_size, per_batch : int
        Of Algorithm 1.
    preprocess, learning_rate, n_epochs
        Of the clustering.

    Notes
    -----
    The best single layer is chosen with the labels in hand, from as many pairs of
    layers as there are, which flatters it.
    """
    names = list(vectors_by_view)
    kinds = [modalities[name] for name in names]
    layers = [kinds[:number].count(kind) for number, kind in enumerate(kinds)]
    views = list(zip(kinds, layers, kinds, strict=True))
    singles = bipartite(kinds)
    choices = [pairs_for(pairing, views), *([pair] for pair in singles)]
    shares = np.zeros((len(seeds), len(choices)))
    drawn = np.zeros(len(seeds))
    for row, seed in enumerate(seeds):
        assignments = _assignments(
            vectors_by_view.values(),
            SGDKMeans(
                n_clusters,
                learning_rate=learning_rate,
                n_epochs=n_epochs,
                preprocess=preprocess,
                seed=seed,
            ),
        )
        for column, pairs in enumerate(choices):
            selection = batch_greedy(
                assignments,
                n_select,
                n_clusters=n_clusters,
                pairs=pairs,
                batch_size=batch_size,
                per_batch=per_batch,
                seed=seed,
            )
            shares[row, column] = is_corresponding[selection.indices].mean()
        chosen = random_selection(len(is_corresponding), n_select, seed=seed)
        drawn[row] = is_corresponding[chosen].mean()
    best = int(shares[:, 1:].mean(axis=0).argmax())
    best_name = " and ".join(names[view] for view in singles[best])
    return [
        SeedResult(
            seed=seed,
            selected=float(shares[row, 0]),
            random=float(drawn[row]),
            best_single_layer=float(shares[row, 1 + best]),
            best_single_pair=best_name,
        )
        for row, seed in enumerate(seeds)
    ]


def _assignments(
    vectors: Iterable[NDArray[np.float32]], estimator: SGDKMeans
) -> NDArray[np.int32]:
    """Return the clusters of all clips in all views, each view fitted anew."""
    return np.stack([estimator.fit(view).labels_ for view in vectors], axis=1)
