"""A prior from the population: its tables as pseudo-counts of the first choices.

With few clips selected and many clusters the tables are almost empty, and Algorithm 1
starts near random. The population's own tables, times a strength, tell from the first
choice on which clusters go together; they take part in the scores and not in the
objective that is reported. Strength 0 is the paper's algorithm; a very large one ranks
by mean pointwise mutual information under the population.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from acav_spark.selection.fixed_point import FRACTION_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.contingency import ContingencyTables

Prior = float | Literal["recommended"] | None
# A counter with pseudo-counts stays below 2**50 in fixed point.
_MOST_PSEUDO_CLIPS = float(1 << 38)


def recommended_strength(n_population: int, cells_per_pair: float) -> float:
    """Return the strength of the prior that the mode ``recommended`` takes.

    Parameters
    ----------
    n_population : int
        Clips that the population's tables count, at least 1.
    cells_per_pair : float
        Cells of a pair's table, in the mean over the pairs: the product of the two
        numbers of clusters.

    Raises
    ------
    ValueError
        If a number is below 1.

    Notes
    -----
    As strong as puts half a clip into a cell in the mean, ``cells_per_pair / (2
    n_population)``, but within [0.05, 1]: more where the population itself knows little
    of each cell. On planted data of 20,000 to 200,000 clips, a hundredth to half of
    which are selected, it raises precision where the paper's algorithm is weak (small
    selections, many clusters) and costs some of it where half of the clips are
    selected: ``benchmarks/results/study_prior.md``. It does not depend on the number
    of clips that are selected, so that a shorter selection stays the beginning of a
    longer one; the best strength falls with it.
    """
    if n_population < 1 or cells_per_pair < 1:
        msg = (
            "recommended_strength: expected at least one clip and one cell, got "
            f"{n_population} and {cells_per_pair}. Give a prior's strength instead."
        )
        raise ValueError(msg)
    return min(1.0, max(0.05, cells_per_pair / (2 * n_population)))


def pseudo_counts(
    prior: Prior,
    population: ContingencyTables | None,
    like: ContingencyTables,
    assignments: NDArray[np.integer],
    n_select: int,  # noqa: ARG001 - callers know it; today's rule does not need it
) -> NDArray[np.int64] | None:
    """Return the pseudo-count of every counter in units of 2**-12 clips, or None.

    Parameters
    ----------
    prior : float, "recommended" or None
        Strength; None and 0 give no prior.
    population : ContingencyTables, optional
        Tables to scale; by default those of ``assignments``.
    like : ContingencyTables
        Tables of the selection, whose pairs and clusters the population's must have.
    assignments : ndarray of integers, shape (n_clips, n_views)
        All candidates.
    n_select : int
        Clips that are selected.

    Raises
    ------
    ValueError
        If the strength is not a finite number of at least 0, or the population's tables
        have other pairs or clusters.
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
    pseudo: NDArray[np.int64] = np.rint(
        population.counters * (strength * 2**FRACTION_BITS)
    ).astype(np.int64)
    return pseudo


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
        n_cells = int(like.offsets[len(like.pairs)])
        return recommended_strength(n, n_cells / len(like.pairs))
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
