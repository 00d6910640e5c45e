"""Does SGD k-means cost precision of the selection? The paper's comparison with EM.

The paper (section 4.2) finds 88.705 % with SGD against 88.732 % with EM. Here pictures
and sounds of digits are paired: 5,000 images of MNIST's test set with 3,000 spoken
digits, half of the 3,000 pairs of the same digit (they correspond), the others of
different ones. The views are three of pictures (pixels, pixels halved, and the hidden
units of a perceptron trained on other images) and five of sounds (the layers of
``handcrafted_audio``). Every view is clustered by ``SGDKMeans``, and by scikit-learn's
``KMeans`` to convergence, of equally preprocessed vectors; the best third of the pairs
is selected by Algorithm 1 over pairs of a picture's and a sound's view; the precision
is the share of those that correspond.

    python benchmarks/study_sgd_em.py --data ../shared/data --json FILE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from record import about
from sklearn.cluster import KMeans
from study_whitening import samples

from acav_spark.clustering import SGDKMeans, fit_preprocessing
from acav_spark.selection import batch_greedy, bipartite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Views = tuple[list[Matrix], NDArray[np.int64]]

N_PAIRS = 3_000


def main() -> None:
    """Fit, select, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of test data")
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 30, 55])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write a record")
    options = parser.parse_args()
    record: dict[str, object] = {
        "subject": "SGD k-means beside EM",
        **about("numpy", "scikit-learn"),
        "rows": (rows := measured(options.data, options.clusters, options.seeds)),
    }
    for row in rows:
        print(
            f"k={row['n_clusters']:<4d} SGD {row['sgd']:.4f} EM {row['em']:.4f}, "
            f"difference {row['difference']:+.4f} "
            f"(standard error {row['standard_error']:.4f})"
        )
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def measured(data: Path, clusters: list[int], n_seeds: int) -> list[dict[str, Any]]:
    """Return the mean precision of both, for each number of clusters."""
    pictures, sounds = views(data)
    rows = []
    for k in clusters:
        found: dict[str, list[float]] = {"sgd": [], "em": []}
        for seed in range(n_seeds):
            chosen, is_positive = paired(pictures, sounds, seed)
            for name, labels_of in (("sgd", by_sgd), ("em", by_em)):
                ids = np.stack([labels_of(view, k, seed) for view in chosen], axis=1)
                found[name].append(precision(ids, k, is_positive, len(pictures[0])))
        differences = np.subtract(found["sgd"], found["em"])
        rows.append(
            {
                "n_clusters": k,
                "sgd": float(np.mean(found["sgd"])),
                "em": float(np.mean(found["em"])),
                "difference": float(differences.mean()),
                "standard_error": float(differences.std(ddof=1) / np.sqrt(n_seeds)),
                **{f"{name}_by_seed": values for name, values in found.items()},
            }
        )
    return rows


def views(
    data: Path,
) -> tuple[
    tuple[list[Matrix], NDArray[np.int64]], tuple[list[Matrix], NDArray[np.int64]]
]:
    """Return the views of pictures and of sounds, each with their digits."""
    pictures: list[Matrix] = []
    sounds: list[Matrix] = []
    digits: dict[str, NDArray[np.int64]] = {}
    for sample in samples(data):
        if sample.name.startswith("spoken"):
            sounds.append(sample.x)
            digits["sounds"] = sample.classes["digit"]
        elif sample.name in ("MNIST, 512 units", "MNIST, 784 pixels"):
            pictures.append(sample.x)
            digits["pictures"] = sample.classes["digit"]
    pixels = pictures[-1].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    pictures.append(pixels.reshape(len(pixels), -1))
    return (pictures, digits["pictures"]), (sounds, digits["sounds"])


def paired(
    pictures: Views,
    sounds: Views,
    seed: int,
) -> tuple[list[Matrix], NDArray[np.bool_]]:
    """Return the views of pairs, and which of these correspond."""
    generator = np.random.default_rng(seed)
    heard = generator.permutation(len(sounds[1]))[:N_PAIRS]
    is_positive = np.arange(len(heard)) % 2 == 0
    seen = np.empty(len(heard), dtype=np.int64)
    for place, sound in enumerate(heard):
        same = pictures[1] == sounds[1][sound]
        seen[place] = generator.choice(np.flatnonzero(same == is_positive[place]))
    views_of = [x[seen] for x in pictures[0]] + [x[heard] for x in sounds[0]]
    return views_of, is_positive


def by_sgd(x: Matrix, k: int, seed: int) -> NDArray[np.int32]:
    """Return clusters as the product finds them, by the paper's parameters."""
    return SGDKMeans(k, preprocess="standardise", seed=seed).fit(x).labels_


def by_em(x: Matrix, k: int, seed: int) -> NDArray[np.int32]:
    """Return clusters of Lloyd's algorithm to convergence."""
    vectors = fit_preprocessing("standardise", x).apply(x)
    labels: NDArray[np.int32] = KMeans(
        k, n_init=1, random_state=seed, tol=0
    ).fit_predict(vectors)
    return labels


def precision(
    ids: NDArray[np.int32], k: int, is_positive: NDArray[np.bool_], n_pictures: int
) -> float:
    """Return the share of the selected that correspond."""
    kinds = ["visual"] * n_pictures + ["audio"] * (ids.shape[1] - n_pictures)
    selection = batch_greedy(
        ids,
        len(ids) // 3,
        n_clusters=k,
        pairs=bipartite(kinds),
        batch_size=1_000,
        per_batch=50,
        prior="recommended",
    )
    return float(is_positive[selection.indices].mean())


if __name__ == "__main__":
    main()
