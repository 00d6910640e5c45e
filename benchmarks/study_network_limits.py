"""What the networks at hand allow on the class-level retrieval sets, told with labels.

Two judges are given what no method of selection has. One knows the classes of the train
half: a linear classifier of the first side's last layer, whose accuracy on the test
half is told. The other knows which pairs of the test half belong together: for every
pair of views across the sides it counts, of true and of false pairs, how often two
clusters meet, and ranks pairs by the sum of the logarithms of the ratios, each pair
left out of its own counts. What it finds in the better half bounds what a selection by
these cluster ids can. How much clusters tell of classes (normalised mutual information,
best layer of each side, true pairs) is told as well.

    python benchmarks/study_network_limits.py --data ../shared/data --cache CACHE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from record import about
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import StandardScaler

from acav_spark.clustering import SGDKMeans
from acav_spark.evaluate.class_sets import class_level_sets
from acav_spark.evaluate.statistics import mean_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.evaluate.retrieval_set import RetrievalSet, Side

PACKAGES = ("numpy", "scikit-learn")
SETS = ("cifar10_rotation", "cifar10_flip", "mnist_cifar10", "mnist_fsdd")
N_CLUSTERS = 10


def main() -> None:
    """Judge every set and run, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record: dict[str, object] = dict(about(*PACKAGES))
    for name in SETS:
        runs = [
            judged(train, test)
            for train, test in class_level_sets(
                options.data, options.cache, name=name, n_runs=options.runs
            )
        ]
        told = {
            judge: [round(100 * run[judge], 2) for run in runs] for judge in runs[0]
        }
        record[name] = told
        for judge, values in told.items():
            found = mean_interval(values)
            told_of = f"{found.mean:5.1f} +- {found.half_width:4.1f}"
            print(f"{name:17s} {judge:32s} {told_of}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def judged(train: RetrievalSet, test: RetrievalSet) -> dict[str, float]:
    """Return, between 0 and 1, what each judge finds."""
    first, second = (
        clusters_of(test.first, test.run),
        clusters_of(test.second, test.run),
    )
    is_true = test.is_positive
    probe = RidgeClassifier(alpha=100.0)
    scaler = StandardScaler().fit(train.first.layer(-1))
    probe.fit(scaler.transform(train.first.layer(-1)), train.classes)
    guessed = probe.predict(scaler.transform(test.first.layer(-1)))
    return {
        "linear classifier, accuracy": float(np.mean(guessed == test.classes)),
        "NMI of clusters, first side": best_nmi(first[is_true], test.classes[is_true]),
        "NMI of clusters, second side": best_nmi(
            second[is_true], test.classes[is_true]
        ),
        "precision, told the labels": told_precision(first, second, is_true),
    }


def clusters_of(side: Side, seed: int) -> NDArray[np.int64]:
    """Return the cluster of each pair in every layer, as the protocol makes them."""
    layers = [
        SGDKMeans(
            N_CLUSTERS,
            n_epochs=20,
            minibatch_size=1_000,
            preprocess="pca_whiten",
            seed=seed,
        ).fit(side.layer(index))
        for index in range(side.n_layers)
    ]
    return np.stack([fitted.labels_ for fitted in layers], axis=1).astype(np.int64)


def best_nmi(clusters: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    """Return the most that clusters of a layer tell of classes."""
    return max(
        float(normalized_mutual_info_score(classes, layer)) for layer in clusters.T
    )


def told_precision(
    first: NDArray[np.int64], second: NDArray[np.int64], is_true: NDArray[np.bool_]
) -> float:
    """Return the precision of the half that likelihood ratios rank highest."""
    scores = np.zeros(len(first))
    own = is_true.astype(int)
    for a in first.T:
        for b in second.T:
            tables = np.zeros((2, N_CLUSTERS, N_CLUSTERS))
            np.add.at(tables, (own, a, b), 1)
            true, false = tables[1, a, b] - own, tables[0, a, b] - (1 - own)
            scores += np.log((true + 0.5) / (false + 0.5))
    best = np.argsort(-scores, kind="stable")[: int(is_true.sum())]
    return float(is_true[best].mean())


if __name__ == "__main__":
    main()
