"""What ``study_variants.py`` compares: clips of known truth, variants, and its parts.

Each part yields, for a seed, clips and the selections that are made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from planted import planted

from acav_spark.evaluate.made_corpus import CorpusModel, made_corpus
from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    bipartite,
    combination,
    linear_weights,
    pair_weights,
    pointwise_ranking,
    recommended_strength,
)
from acav_spark.selection.fixed_point import FRACTION_BITS
from acav_spark.selection.in_progress import BatchSettings, SelectionInProgress
from acav_spark.selection.limits import Constraints
from acav_spark.selection.shrinkage import expected_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

MODALITIES = ["visual"] * 5 + ["audio"] * 5
PAIRS = {"bipartite": bipartite(MODALITIES), "combination": combination(10)}
# n_clips, n_clusters, tail, spread of keep, keep, share of positives
PLANTED = {
    "20k, 500 clusters, equal": (20_000, 500, 0.0, 0.0, 0.45, 0.29),
    "20k, 500 clusters, Zipf": (20_000, 500, 1.0, 0.0, 0.45, 0.29),
    "20k, 500 clusters, uneven": (20_000, 500, 1.0, 0.15, 0.45, 0.29),
    "20k, 500 clusters, uneven, .1 true": (20_000, 500, 1.0, 0.15, 0.45, 0.1),
    "20k, 500 clusters, uneven, keep .8": (20_000, 500, 1.0, 0.15, 0.8, 0.29),
    "20k, 100 clusters, uneven": (20_000, 100, 1.0, 0.15, 0.45, 0.29),
    "20k, 100 clusters, uneven, .5 true": (20_000, 100, 1.0, 0.15, 0.45, 0.5),
    "20k, 100 clusters, equal, keep .3": (20_000, 100, 0.0, 0.0, 0.3, 0.29),
    "20k, 20 clusters, uneven": (20_000, 20, 1.0, 0.15, 0.45, 0.29),
    "200k, 500 clusters, uneven": (200_000, 500, 1.0, 0.15, 0.45, 0.29),
    "200k, 500 clusters, equal": (200_000, 500, 0.0, 0.0, 0.45, 0.29),
}
SHARES = (0.005, 0.025, 0.05, 0.15, 0.29, 0.5)
FORMER = "prior without corrections, former rule"
A1 = "Algorithm 1"
PRIOR = "prior"
POINTWISE = "pointwise"


@dataclass(frozen=True)
class Clips:
    """Clips of which it is known who corresponds, and which class they show."""

    assignments: NDArray[np.uint16]
    is_positive: NDArray[np.bool_]
    is_partly: NDArray[np.bool_]
    classes: NDArray[np.integer]
    n_clusters: int

    def __len__(self) -> int:
        return len(self.assignments)


@dataclass(frozen=True)
class Task:
    """One selection: how it is made, and which of its beginnings are judged."""

    part: str
    setting: str
    variant: str
    choose: Callable[[Clips, int, int], NDArray[np.int64]]
    n_selected: tuple[int, ...]


def greedy(
    pairing: str,
    prior: float | str | None,
    *,
    batch: tuple[int, int] | None = None,
    weights: bool = False,
) -> Callable[[Clips, int, int], NDArray[np.int64]]:
    """Return Algorithm 1 with a prior: 'recommended', or pseudo-clips a cell."""

    def choose(clips: Clips, n: int, seed: int) -> NDArray[np.int64]:
        b, s = batch or (max(len(clips) // 20, 1), max(len(clips) // 400, 1))
        strength: object = prior
        if isinstance(prior, float):
            strength = prior * clips.n_clusters**2 / len(clips)
        by_layer = np.tile(linear_weights(0.25), 2)
        return batch_greedy(
            clips.assignments,
            n,
            n_clusters=clips.n_clusters,
            pairs=PAIRS[pairing],
            batch_size=b,
            per_batch=s,
            weights=pair_weights(by_layer, PAIRS[pairing]) if weights else None,
            prior=strength,  # type: ignore[arg-type]  # a strength or its name
            seed=seed,
        ).indices

    return choose


def pointwise(
    pairing: str, *, corrected: bool = True
) -> Callable[[Clips, int, int], NDArray[np.int64]]:
    """Return ranking by pointwise mutual information."""

    def choose(clips: Clips, n: int, seed: int) -> NDArray[np.int64]:
        del seed  # nothing is drawn
        return pointwise_ranking(
            clips.assignments,
            n,
            n_clusters=clips.n_clusters,
            pairs=PAIRS[pairing],
            corrected=corrected,
        )

    return choose


def with_pseudo_counts(
    pairing: str, *, left_out: int, shrinkage: float, former_rule: bool = False
) -> Callable[[Clips, int, int], NDArray[np.int64]]:
    """Return Algorithm 1 with a prior whose corrections are chosen one by one."""

    def choose(clips: Clips, n: int, seed: int) -> NDArray[np.int64]:
        ids, c = clips.assignments, clips.n_clusters
        tables = ContingencyTables.from_assignments(ids, PAIRS[pairing], n_clusters=c)
        strength = recommended_strength(len(ids), c)
        if former_rule:
            strength = min(1.0, 40 * c / len(ids))
        counts = np.maximum(tables.counters - left_out, 0).astype(np.float64)
        if shrinkage:
            for place, (u, v) in enumerate(tables.pairs):
                cells = slice(*tables.offsets[place : place + 2])
                e = expected_counts(tables.margin(u), tables.margin(v)).reshape(-1)
                counts[cells] = e * (counts[cells] + shrinkage) / (e + shrinkage)
        pseudo = np.rint(counts * strength * 2.0**FRACTION_BITS).astype(np.int64)
        none = np.empty(0, dtype=np.int64)
        selecting = SelectionInProgress(
            ids,
            tables.with_counters(np.zeros_like(tables.counters)),
            n,
            settings=BatchSettings(len(ids) // 20, len(ids) // 400, seed),
            constraints=Constraints(len(ids), n, (), none, none),
            prior=pseudo,
        )
        return np.concatenate([picks.rows for picks in selecting.steps()])

    return choose


# -- parts


def planted_clips(name: str, seed: int) -> Clips:
    """Return planted clips of a setting."""
    n, c, tail, spread, keep, share = PLANTED[name]
    data = planted(n, c, share=share, keep=keep, tail=tail, spread=spread, seed=seed)
    none = np.zeros(n, dtype=np.bool_)
    return Clips(data.assignments, data.is_positive, none, data.classes, c)


def corpus_clips(n_clips: int, seed: int, model: CorpusModel | None = None) -> Clips:
    """Return the clips of a made corpus."""
    model = model or CorpusModel()
    corpus = made_corpus(n_clips, model, seed=seed)
    is_partly = np.equal(corpus.correspondence, 0.5)
    return Clips(
        corpus.assignments,
        corpus.is_positive,
        is_partly,
        corpus.first_classes,
        model.n_clusters,
    )


def both_pairings() -> dict[str, Callable[[Clips, int, int], NDArray[np.int64]]]:
    """Return the variants that every table has."""
    variants = {}
    for pairing in ("combination", "bipartite"):
        variants[f"{A1}, {pairing}"] = greedy(pairing, None)
        variants[f"{FORMER}, {pairing}"] = with_pseudo_counts(
            pairing, left_out=0, shrinkage=0, former_rule=True
        )
        variants[f"{PRIOR}, {pairing}"] = greedy(pairing, "recommended")
        variants[f"{POINTWISE}, {pairing}"] = pointwise(pairing)
    return variants


def noise(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield the planted noise that a target is set for."""
    setting = "20k, 500 clusters, equal"
    variants = both_pairings()
    variants[f"{POINTWISE} without corrections, bipartite"] = pointwise(
        "bipartite", corrected=False
    )
    for b, s in ((20_000, 50), (10_000, 100)):
        variants[f"prior, bipartite, b {b:,}, s {s}"] = greedy(
            "bipartite", "recommended", batch=(b, s)
        )
    yield (
        planted_clips(setting, seed),
        [Task("noise", setting, k, v, (500,)) for k, v in variants.items()],
    )


def corrections(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield every combination of the corrections."""
    for setting, (n, *_) in PLANTED.items():
        variants = {
            f"{A1}, bipartite": greedy("bipartite", None),
            FORMER: with_pseudo_counts(
                "bipartite", left_out=0, shrinkage=0, former_rule=True
            ),
            "no correction": with_pseudo_counts("bipartite", left_out=0, shrinkage=0),
            "left out": with_pseudo_counts("bipartite", left_out=1, shrinkage=0),
            "shrunk": with_pseudo_counts("bipartite", left_out=0, shrinkage=0.5),
            "both (prior)": greedy("bipartite", "recommended"),
            "pointwise without": pointwise("bipartite", corrected=False),
            POINTWISE: pointwise("bipartite"),
        }
        sizes = tuple(round(x * n) for x in (SHARES if n < 100_000 else SHARES[:-1]))
        yield (
            planted_clips(setting, seed),
            [Task("corrections", setting, k, v, sizes) for k, v in variants.items()],
        )


def strengths(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield strengths of the prior."""
    for setting, (n, *_) in PLANTED.items():
        sizes = tuple(round(x * n) for x in (SHARES if n < 100_000 else SHARES[:-1]))
        tasks = [
            Task(
                "strengths",
                setting,
                f"{x:g} a cell, {pairing}",
                greedy(pairing, x),
                sizes,
            )
            for pairing in PAIRS
            for x in (0.0, 0.5, 2.0, 8.0, 32.0, 128.0)
        ]
        yield planted_clips(setting, seed), tasks


def corpus(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield the made corpus that a target is set for."""
    batch = (10_000, 500)
    variants = {
        f"{A1}, combination": greedy("combination", None, batch=batch),
        f"{A1}, bipartite": greedy("bipartite", None, batch=batch),
        "prior, combination": greedy("combination", "recommended", batch=batch),
        "prior, bipartite": greedy("bipartite", "recommended", batch=batch),
        "prior, bipartite, s 100": greedy(
            "bipartite", "recommended", batch=(10_000, 100)
        ),
        "prior, bipartite, linear(.25)": greedy(
            "bipartite", "recommended", batch=batch, weights=True
        ),
        "Algorithm 1, bipartite, linear(.25)": greedy(
            "bipartite", None, batch=batch, weights=True
        ),
        f"{FORMER}, bipartite": with_pseudo_counts(
            "bipartite", left_out=0, shrinkage=0, former_rule=True
        ),
        "pointwise, bipartite": pointwise("bipartite"),
        "pointwise, combination": pointwise("combination"),
    }
    sizes = (2_000, 10_000, 30_000, 60_000)
    setting = "200k, 500 clusters"
    yield (
        corpus_clips(200_000, seed),
        [Task("corpus", setting, k, v, sizes) for k, v in variants.items()],
    )


def batches(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield sizes of batches and what is taken from them."""
    tasks = [
        Task(
            "batches",
            "200k, 500 clusters",
            f"b {b:,}, s {s:,}, {name}",
            greedy("bipartite", prior, batch=(b, s)),
            sizes,
        )
        for prior, name in ((None, "no prior"), ("recommended", "prior"))
        for b, s in (
            *((10_000, 2_500), (10_000, 500), (10_000, 100)),
            *((2_000, 100), (50_000, 2_500)),
        )
        for sizes in ((2_000, 10_000, 30_000),)
    ]
    yield corpus_clips(200_000, seed), tasks


def clusters(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield numbers of clusters for 500 classes."""
    for n in (20_000, 200_000):
        for c in (100, 200, 500, 1_000):
            model = CorpusModel(n_clusters=c, n_classes=500)
            sizes = (n // 20, n * 15 // 100, n * 3 // 10)
            variants = {
                f"{A1}, bipartite": greedy("bipartite", None),
                "prior, bipartite": greedy("bipartite", "recommended"),
                "pointwise, bipartite": pointwise("bipartite"),
            }
            setting = f"{n // 1000}k, {c} clusters for 500 classes"
            yield (
                corpus_clips(n, seed, model),
                [Task("clusters", setting, k, v, sizes) for k, v in variants.items()],
            )


def large(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield a million clips."""
    variants = {
        f"{A1}, combination": greedy("combination", None, batch=(10_000, 500)),
        f"{A1}, bipartite": greedy("bipartite", None, batch=(10_000, 500)),
        "prior, bipartite": greedy("bipartite", "recommended", batch=(10_000, 500)),
        "pointwise, bipartite": pointwise("bipartite"),
    }
    yield (
        corpus_clips(1_000_000, seed),
        [
            Task("large", "1M, 500 clusters", k, v, (10_000, 50_000, 100_000))
            for k, v in variants.items()
        ],
    )


def full(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield full tables: 400 clips a cell, as of 100 million clips and 500 clusters."""
    variants = {
        f"{x:g} a cell, {pairing}": greedy(pairing, x, batch=(10_000, 500))
        for pairing in ("combination", "bipartite")
        for x in (0.0, 0.5, 8.0, 128.0)
    }
    variants["pointwise, bipartite"] = pointwise("bipartite")
    yield (
        corpus_clips(400_000, seed, CorpusModel(n_clusters=32)),
        [
            Task("full", "400k, 32 clusters", k, v, (4_000, 40_000, 120_000))
            for k, v in variants.items()
        ],
    )


def quick(seed: int) -> Iterator[tuple[Clips, list[Task]]]:
    """Yield a small made corpus."""
    variants = {
        f"{A1}, combination": greedy("combination", None),
        "prior, bipartite": greedy("bipartite", "recommended"),
        "pointwise, bipartite": pointwise("bipartite"),
    }
    yield (
        corpus_clips(4_000, seed, CorpusModel(n_clusters=50)),
        [Task("quick", "4k, 50 clusters", k, v, (400,)) for k, v in variants.items()],
    )


PARTS = {
    part.__name__: part
    for part in (
        noise,
        corrections,
        strengths,
        corpus,
        large,
        full,
        batches,
        clusters,
        quick,
    )
}
