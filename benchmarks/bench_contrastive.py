"""How fast projection heads are trained, and whether features should be standardised.

    python benchmarks/bench_contrastive.py --data ../shared/data --json FILE

Parts:

- step: processor time of a step on one thread, ours beside a loop of torch (linear
  layers, autograd, Adam with AMSGrad), for widths of features and sizes of batches.
  Both take turns; medians. Before that losses of a short training are compared.
- standardise: precision of the better half of test pairs, trained on features as they
  are and standardised. MNIST's images with FSDD's spoken digits (paper, section 4.1:
  five digits of pairs that belong together, five of pairs of different digits, halves
  for training and test, batches of one pair a digit, 100 epochs, 2e-4), images as 784
  pixels and as 512 hidden units of a perceptron trained on other images; sound as the
  first layer of ``handcrafted_audio``.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from record import about
from study_whitening import samples
from threadpoolctl import threadpool_limits

from acav_spark.selection.contrastive import fit_projection_heads
from acav_spark.selection.contrastive_batches import random_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

PACKAGES = ("numpy", "numba", "torch", "safetensors")
# Widths of both sides, and clips of a batch.
SHAPES = ((1280, 1024, 10), (2304, 128, 10), (2304, 128, 1024))
N_STEPS = {10: 200, 1024: 6}
N_EPOCHS = 4


def main() -> None:
    """Run the parts asked for, print them, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", type=Path, help="folder of test data")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5, help="of the precision")
    parser.add_argument("--json", type=Path, help="write a record")
    options = parser.parse_args()
    record: dict[str, object] = {"subject": "contrastive", **about(*PACKAGES)}
    for part in options.parts:
        record[part] = PARTS[part](options)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def steps(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return microseconds a step of both ways, by shape."""
    found: list[dict[str, object]] = []
    for *widths, batch_size in SHAPES:
        n_steps = N_STEPS[batch_size]
        generator = np.random.default_rng(0)
        sides = [
            generator.normal(size=(n_steps * batch_size, width)).astype(np.float32)
            for width in widths
        ]
        ways: dict[str, Callable[[], list[float]]] = {
            "ours": partial(by_us, sides[0], sides[1], batch_size),
            "torch": partial(by_torch, sides[0], sides[1], batch_size),
        }
        losses = {name: way() for name, way in ways.items()}
        chance = 2 * np.log(batch_size)
        for loss in losses.values():
            assert abs(loss[0] / chance - 1) < 0.5, losses
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for name, way in ways.items():
                started = time.process_time()
                way()
                taken[name].append(
                    (time.process_time() - started) / (n_steps * N_EPOCHS) * 1e6
                )
        row = {
            "widths": list(widths),
            "batch_size": batch_size,
            **{
                name: {
                    "median_us": round(float(np.median(times))),
                    "us": [round(one) for one in times],
                }
                for name, times in taken.items()
            },
        }
        print(row, flush=True)
        found.append(row)
    return found


def by_us(first: Matrix, second: Matrix, batch_size: int) -> list[float]:
    """Return the mean loss of each epoch."""
    with threadpool_limits(1, user_api="blas"):
        heads = fit_projection_heads(
            first, second, n_epochs=N_EPOCHS, batch_size=batch_size
        )
    return list(heads.losses)


def by_torch(first: Matrix, second: Matrix, batch_size: int) -> list[float]:
    """Return the mean loss of each epoch of the same training, written with torch."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    sides = [torch.from_numpy(side) for side in (first, second)]
    sides = [(side - side.mean(0)) / side.std(0) for side in sides]
    layers = [torch.nn.Linear(side.shape[1], 128) for side in sides]
    parameters = [one for layer in layers for one in layer.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=2e-4, amsgrad=True)
    own, losses = torch.arange(batch_size), []
    draw = random_batches(len(first), batch_size, seed=0)
    for rows in (rows for epoch in range(N_EPOCHS) for rows in draw(epoch)):
        both = [
            functional.normalize(layer(side[rows]))
            for layer, side in zip(layers, sides, strict=True)
        ]
        logits = both[0] @ both[1].T / 0.1
        loss = functional.cross_entropy(logits, own)
        loss = loss + functional.cross_entropy(logits.T, own)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return [float(one) for one in np.reshape(losses, (N_EPOCHS, -1)).mean(axis=1)]


def standardisation(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the precision with and without standardisation, by feature."""
    vectors = {one.name: (one.x, one.classes["digit"]) for one in samples(options.data)}
    sounds, spoken = vectors["spoken digits, log-mel"]
    found: list[dict[str, object]] = []
    for name in ("MNIST, 784 pixels", "MNIST, 512 units"):
        pixels, labels = vectors[name]
        precisions: dict[bool, list[float]] = {True: [], False: []}
        for run in range(options.runs):
            train, test = pairs_of_digits(labels, spoken, run)
            for is_wanted, values in precisions.items():
                heads = fit_projection_heads(
                    pixels[train[0]],
                    sounds[train[1]],
                    classes=train[2],
                    standardise=is_wanted,
                    seed=run,
                )
                scores = heads.scores(pixels[test[0]], sounds[test[1]])
                best = np.argsort(-scores, kind="stable")[: len(scores) // 2]
                values.append(float(test[3][best].mean()))
        row: dict[str, object] = {
            "images": name,
            "standardised": [round(one, 4) for one in precisions[True]],
            "as they are": [round(one, 4) for one in precisions[False]],
        }
        print(name, {k: float(np.mean(v)) for k, v in precisions.items()}, flush=True)
        found.append(row)
    return found


def pairs_of_digits(
    labels: NDArray[np.int64], spoken: NDArray[np.int64], run: int
) -> list[
    tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
]:
    """Return rows of images and sounds, digits, what belongs together: two halves."""
    generator = np.random.default_rng(run)
    positive = generator.permutation(10)[:5]
    negative = np.setdiff1d(np.arange(10), positive)
    halves = []
    for half in range(2):
        rows: list[list[NDArray[np.int64]]] = [[], []]
        for side, classes in zip(rows, (labels, spoken), strict=True):
            for digit in range(10):
                own = np.random.default_rng([run, digit]).permutation(
                    np.flatnonzero(classes == digit)[:300]
                )
                side.append(own[half * 150 : half * 150 + 150])
        digits = np.concatenate([positive, negative]).repeat(150)
        first = np.concatenate([rows[0][digit] for digit in [*positive, *negative]])
        # Sounds of the other four digits, in turn.
        others = np.stack([rows[1][digit] for digit in negative])
        mixed = [
            others[(place + 1 + np.arange(150) % 4) % 5, np.arange(150)]
            for place in range(5)
        ]
        second = np.concatenate([rows[1][digit] for digit in positive] + mixed)
        halves.append((first, second, digits, np.isin(digits, positive)))
    return halves


PARTS: dict[str, Callable[[argparse.Namespace], object]] = {
    "step": steps,
    "standardise": standardisation,
}


if __name__ == "__main__":
    main()
