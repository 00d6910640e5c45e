"""A prior from the population: its tables as pseudo-counts of the first choices.

With few clips selected and many clusters the tables are almost empty, and Algorithm 1
starts near random. The population's own tables, times a strength, tell from the first
choice on which clusters go together; they take part in the scores and not in the
objective that is reported. Thin cells are corrected as ``shrinkage`` says: the clip
that is judged is left out, and a cell is drawn to what chance would give. Strength 0 is
the paper's algorithm; a very large one ranks by pointwise mutual information under the
population (``ranking``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from acav_spark.selection.fixed_point import FRACTION_BITS
from acav_spark.selection.shrinkage import expected_counts, left_out, shrunk_ratios

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

Prior = float | Literal["recommended"] | None
# A counter with pseudo-counts stays below 2**50 in fixed point.
_MOST_PSEUDO_CLIPS = float(1 << 38)
# Pseudo-clips that the mode ``recommended`` puts into a cell in the mean.
_CLIPS_A_CELL = 8.0


def recommended_strength(n_population: int, n_clusters: float) -> float:
    """Return the strength of the prior that the mode ``recommended`` takes.

    Parameters
    ----------
    n_population : int
        Clips that the population's tables count, at least 1.
    n_clusters : float
        Number of clusters, in the mean over the views.

    Raises
    ------
    ValueError
        If a number is below 1.

    Notes
    -----
    As strong as puts 8 pseudo-clips into a cell in the mean, ``8 n_clusters**2 /
    n_population``. A gain ``g(n)`` then is nearly a logarithm in all but the thinnest
    cells, so that the first choices are those of pointwise mutual information; and the
    selection's own tables take over when they hold several times 8 clips a cell, that
    is, when they tell as much themselves. How it compares with other strengths is in
    ``benchmarks/results/study_variants.md``. It does not depend on the number of clips
    that are selected, so that a shorter selection stays the beginning of a longer one.
    """
    if n_population < 1 or n_clusters < 1:
        msg = (
            "recommended_strength: expected at least one clip and one cluster, got "
            f"{n_population} and {n_clusters}. Give a prior's strength instead."
        )
        raise ValueError(msg)
    return _CLIPS_A_CELL * n_clusters**2 / n_population


def pseudo_counts(
    prior: Prior,
    population: ContingencyTables | None,
    like: ContingencyTables,
    assignments: NDArray[np.integer],
) -> NDArray[np.int64] | None:
    """Return the pseudo-count of every counter in units of 2**-12 clips, or None.

    Parameters
    ----------
    prior : float, "recommended" or None
        Strength; None and 0 give no prior.
    population : ContingencyTables, optional
        Tables to scale, which count all candidates; by default those of
        ``assignments``.
    like : ContingencyTables
        Tables of the selection, whose pairs and clusters the population's must have.
    assignments : ndarray of integers, shape (n_clips, n_views)
        All candidates.

    Raises
    ------
    ValueError
        If the strength is not a finite number of at least 0, or the population's tables
        have other pairs or clusters.

    Notes
    -----
    With the candidate that is judged left out of all counts, a cell that expects ``e``
    clips by chance and holds ``n`` gets ``strength e (n + 1/2) / (e + 1/2)`` and a
    cluster of ``a`` clips ``strength a``. Every candidate is one of its own cells'
    clips, so one table serves all.
    """
    if population is not None and (
        (population.pairs, population.n_clusters) != (like.pairs, like.n_clusters)
    ):
        msg = (
            f"population: expected tables of the pairs and clusters of the selection "
            f"({like!r}), got {population!r}. Count the population with the same ones."
        )
        raise ValueError(msg)
    strength = _checked_strength(prior, population, like, len(assignments))
    if strength == 0:
        return None
    if population is None:
        population = like.with_counters(np.zeros_like(like.counters))
        population.count(assignments)
    largest = float(population.counters.max(initial=0))
    if strength * largest > _MOST_PSEUDO_CLIPS:
        msg = (
            f"prior: expected pseudo-counts of at most {_MOST_PSEUDO_CLIPS:g} clips, "
            f"got {strength:g} times {largest:g}. Rank by pointwise mutual information "
            "instead, which is the limit of a strong prior."
        )
        raise ValueError(msg)
    return _scaled(population, strength * 2.0**FRACTION_BITS)


def _scaled(population: ContingencyTables, factor: float) -> NDArray[np.int64]:
    """Return the corrected counters times a factor, to the nearest integer."""
    offsets, n_pairs = population.offsets, len(population.pairs)
    scaled = np.empty_like(population.counters)
    for place, (u, v) in enumerate(population.pairs):
        expected = expected_counts(population.margin(u), population.margin(v))
        ratios = shrunk_ratios(population.table(u, v), expected)
        cells = np.rint(expected * ratios * factor).reshape(-1)
        scaled[offsets[place] : offsets[place + 1]] = cells
    margins = left_out(population.counters[offsets[n_pairs] :])
    scaled[offsets[n_pairs] :] = np.rint(margins * factor)
    return scaled


def _checked_strength(
    prior: Prior,
    population: ContingencyTables | None,
    like: ContingencyTables,
    n_clips: int,
) -> float:
    if prior is None:
        return 0.0
    if prior == "recommended":
        n = n_clips if population is None else population.n_clips
        return recommended_strength(n, float(np.mean(like.n_clusters)))
    strength = math.nan
    if isinstance(prior, float | np.number) or type(prior) is int:
        strength = float(prior)
    if not (math.isfinite(strength) and strength >= 0):
        msg = (
            "prior: expected a strength of at least 0, 'recommended' or None, got "
            f"{prior!r}."
        )
        raise ValueError(msg)
    return strength
