"""Does whitening help clustering? Agreement of clusters with classes.

Vectors are preprocessed in each way and clustered by ``SGDKMeans``; the normalised
mutual information of clusters and classes is printed as a table, mean of the seeds.
The vectors: scikit-learn's digits, and from the folder of test data 5,000 images of
MNIST (pixels, and the 512 hidden units of a perceptron trained on other images' labels)
and 3,000 spoken digits (layers of ``handcrafted_audio``, judged by digit and by
speaker). In some rows the preprocessing is fitted to fewer vectors than dimensions.

    python benchmarks/study_whitening.py --data ../shared/data --json FILE
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from record import about
from scipy.io import wavfile
from scipy.signal import resample_poly
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neural_network import MLPClassifier

from acav_spark.clustering import PreprocessName, SGDKMeans, fit_preprocessing
from acav_spark.features.handcrafted_audio import HandcraftedAudio
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Name of a preprocessing, and regularisation where it whitens.
WAYS: dict[str, tuple[PreprocessName, float]] = {
    "none": ("none", 0),
    "l2": ("l2", 0),
    "standardise": ("standardise", 0),
    "plain whitening": ("pca_whiten", 0),
    "0.1": ("pca_whiten", 0.1),
    "0.3": ("pca_whiten", 0.3),
    "1": ("pca_whiten", 1),
    "3": ("pca_whiten", 3),
}


class Sample(NamedTuple):
    """Vectors, their classes by kind, and how many the preprocessing is fitted to."""

    name: str
    x: NDArray[np.float32]
    classes: dict[str, NDArray[np.int64]]
    n_fitted: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print("| k | vectors | classes | " + " | ".join(WAYS) + " | kept |")
    print("|" + "---|" * (len(WAYS) + 4))
    for sample in samples(options.data):
        for k in (10, 30):
            for row in measured(sample, k, options.seeds, options.epochs):
                rows.append(row)
                figures = " | ".join(f"{row[way]:.3f}" for way in WAYS)
                line = f"{k} | {sample.name} | {row['classes']} | {figures}"
                print(f"| {line} | {row['n_kept']} |", flush=True)
    for k in (10, 30):
        means = [
            np.mean([float(str(row[way])) for row in rows if row["k"] == k])
            for way in WAYS
        ]
        print(f"| {k} | mean | | " + " | ".join(f"{m:.3f}" for m in means) + " | |")
    if options.json:
        record = {
            **about("acav_spark", "numpy", "scikit-learn"),
            "n_seeds": options.seeds,
            "n_epochs": options.epochs,
            "figure": "normalised mutual information of clusters and classes",
            "rows": rows,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measured(
    sample: Sample, k: int, n_seeds: int, n_epochs: int
) -> Iterator[dict[str, float | str | int]]:
    """Yield a row for each kind of classes."""
    rows: dict[str, dict[str, float | str | int]] = {
        kind: {"k": k, "vectors": sample.name, "classes": kind}
        for kind in sample.classes
    }
    for way, (name, regularisation) in WAYS.items():
        preprocessing = fit_preprocessing(
            name, sample.x[: sample.n_fitted], regularisation=regularisation
        )
        vectors = preprocessing.apply(sample.x)
        if not np.isfinite(vectors).all():
            message = f"{sample.name}, {way}: vectors are not finite"
            raise SystemExit(message)
        labels = [
            SGDKMeans(k, n_epochs=n_epochs, seed=seed).fit(vectors).labels_
            for seed in range(n_seeds)
        ]
        for kind, classes in sample.classes.items():
            agreements = [normalized_mutual_info_score(classes, x) for x in labels]
            rows[kind][way] = float(np.mean(agreements))
            rows[kind]["n_kept"] = vectors.shape[1]
    yield from rows.values()


def samples(data: Path) -> Iterator[Sample]:
    """Yield the vectors, in a random order."""
    order = np.random.default_rng(0).permutation
    digits = load_digits()
    places = order(len(digits.data))
    x, y = digits.data[places].astype(np.float32), digits.target[places]
    yield Sample("digits, 64 pixels", x, {"digit": y}, len(x))
    yield Sample("same, fitted to 50", x, {"digit": y}, 50)
    train = np.load(data / "datasets" / "mnist_train.npz")
    test = np.load(data / "datasets" / "mnist_test.npz")
    x_train = (train["x"][:30_000].reshape(-1, 784) / 255).astype(np.float32)
    x = (test["x"][:5000].reshape(-1, 784) / 255).astype(np.float32)
    y = test["y"][:5000]
    network = MLPClassifier((512,), max_iter=3, random_state=0)
    network.fit(x_train, train["y"][:30_000])
    units = np.maximum(x @ network.coefs_[0] + network.intercepts_[0], 0)
    yield Sample("MNIST, 512 units", units.astype(np.float32), {"digit": y}, len(x))
    yield Sample("same, fitted to 300", units.astype(np.float32), {"digit": y}, 300)
    yield Sample("MNIST, 784 pixels", x, {"digit": y}, len(x))
    layers, spoken = spoken_digits(data / "datasets" / "fsdd_recordings.tar.xz")
    names = ("log-mel", "MFCC", "contrast", "onsets", "modulation")
    for name, layer in zip(names, layers, strict=True):
        yield Sample(f"spoken digits, {name}", layer, spoken, len(layer))


def spoken_digits(
    archive: Path,
) -> tuple[list[NDArray[np.float32]], dict[str, NDArray[np.int64]]]:
    """Return the layers of all recordings, and their classes."""
    clips, names = [], []
    with tarfile.open(archive) as recordings:
        for member in recordings:
            content = recordings.extractfile(member)
            if content is None or not member.name.endswith(".wav"):
                continue
            rate, samples_16_bit = wavfile.read(io.BytesIO(content.read()))
            wave = resample_poly(samples_16_bit / 2**15, 16_000 // rate, 1)
            wave = wave.astype(np.float32)
            names.append(Path(member.name).stem.split("_"))
            clips.append(DecodedClip(member.name, waveform=wave, sample_rate_hz=16_000))
    vectors = HandcraftedAudio().extract(clips)
    classes = {
        kind: np.unique([name[i] for name in names], return_inverse=True)[1].astype(
            np.int64
        )
        for i, kind in enumerate(("digit", "speaker"))
    }
    return [np.stack(layer) for layer in zip(*vectors, strict=True)], classes


if __name__ == "__main__":
    main()
