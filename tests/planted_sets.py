"""Small retrieval sets whose truth is planted: classes on both sides agree or not."""

from __future__ import annotations

import numpy as np

from acav_spark.evaluate.problem import Problem, problem_of_sets
from acav_spark.evaluate.retrieval_set import RetrievalSet, Side


def planted_set(
    *, n_pairs: int = 200, n_classes: int = 4, seed: int = 0, is_test: bool = True
) -> RetrievalSet:
    """Return a set of two layers a side; classes are one-hot, with little noise."""
    generator = np.random.default_rng([seed, is_test])
    classes = np.arange(n_pairs) % n_classes
    is_positive = np.arange(n_pairs) // n_classes % 2 == 0
    other = (classes + 1 + generator.integers(n_classes - 1, size=n_pairs)) % n_classes
    seconds = np.where(is_positive, classes, other)
    rows = np.repeat(np.arange(n_pairs)[:, None], 2, axis=1)

    def side(name: str, of_side: np.ndarray) -> Side:
        pool = tuple(
            (
                np.eye(n_classes)[of_side]
                + generator.normal(0, sd, (n_pairs, n_classes))
            ).astype(np.float32)
            for sd in (0.3, 0.1)
        )
        return Side(name, "planted", pool, rows)

    return RetrievalSet(
        "planted",
        seed,
        side("visual", classes),
        side("audio", seconds),
        is_positive,
        classes,
        is_test=is_test,
        n_classes=n_classes,
    )


def planted_problem(
    *, n_pairs: int = 200, n_classes: int = 4, seed: int = 0
) -> Problem:
    """Return the problem of such sets."""
    return problem_of_sets(
        planted_set(n_pairs=n_pairs, n_classes=n_classes, seed=seed, is_test=False),
        planted_set(n_pairs=n_pairs, n_classes=n_classes, seed=seed),
    )
