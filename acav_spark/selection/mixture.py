"""Ranking by a mixture: clips that correspond among clips that do not.

Pointwise mutual information (``ranking``) asks how much oftener a clip's clusters meet
in the population than by chance. But the population holds clips that do not correspond
as well, and these blur what it is asked about: if half of it does not, clusters that
never meet where things belong together still meet half as often as by chance. Here each
clip belongs to one of two kinds. Of a corresponding clip the clusters of two views have
a joint distribution, which is learnt; of another they are independent. Which clip is of
which kind is not known: expectation and maximisation take turns (Dempster, Laird and
Rubin, Journal of the Royal Statistical Society B 39, 1977).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.selection._validation import checked_assignments, checked_n_select
from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.ranking import pointwise_information
from acav_spark.selection.shrinkage import SHRINKAGE
from acav_spark.selection.similarity import highest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

SHARE: Final = 0.4
"""Share of the clips that is taken to correspond, where nobody knows it."""
N_ITERATIONS: Final = 20
# Scores that move by less, in nats of the mean, are taken to stay.
_STILL: Final = 1e-4
# Bins in which the threshold of the evidence is looked for.
_N_BINS: Final = 1 << 14


def mixture_ranking(
    assignments: ArrayLike,
    n_select: int,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    share: float = SHARE,
    n_iterations: int = N_ITERATIONS,
) -> NDArray[np.int64]:
    """Return the clips that most likely correspond, best first.

    Parameters
    ----------
    assignments, n_clusters, pairs, weights, share, n_iterations
        As in ``mixture_scores``.
    n_select : int
        Number of clips to select, from 1 to ``n_clips``.

    Returns
    -------
    ndarray of int64, shape (n_select,)
        Row numbers; equal clips in the order of their rows.

    Raises
    ------
    ValueError
        If more clips are asked for than there are, or as ``mixture_scores``.
    """
    ids, _ = checked_assignments(assignments, n_clusters)
    number = checked_n_select(n_select, len(ids))
    scores = mixture_scores(
        ids,
        n_clusters=n_clusters,
        pairs=pairs,
        weights=weights,
        share=share,
        n_iterations=n_iterations,
    )
    return highest(scores, number)


def mixture_scores(
    assignments: ArrayLike,
    *,
    n_clusters: int | Sequence[int],
    pairs: Sequence[tuple[int, int]],
    weights: ArrayLike | None = None,
    share: float = SHARE,
    n_iterations: int = N_ITERATIONS,
) -> NDArray[np.float64]:
    """Return how likely each clip corresponds: mean log likelihood ratio, in nats.

    Parameters
    ----------
    assignments : array_like of integers, shape (n_clips, n_views)
        Cluster id of each clip in each view.
    n_clusters : int or sequence of int
        Number of clusters, of all views or of each.
    pairs : sequence of (int, int)
        Pairs of views that are averaged; see ``pairings``. Those of two modalities: the
        model knows no other reason for clusters to meet.
    weights : array_like of float, shape (n_pairs,), optional
        Weight of each pair in the mean; equal by default.
    share : float, default 0.4
        Share of the clips that is taken to correspond, between 0 and 1.
    n_iterations : int, default 20
        Turns at most; 0 for pointwise mutual information.

    Returns
    -------
    ndarray of float64, shape (n_clips,)
        Larger is likelier.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or as ``batch_greedy``.

    Notes
    -----
    For clusters i, j of a pair of views, ``log((t_ij + 1/2) / (r e_ij + 1/2))``: t_ij
    is the sum of the probabilities, of clips there, to correspond, e_ij the count by
    chance, r the share; the clip itself is left out of t, and half a clip is added as
    in ``shrinkage``. The mean over the pairs counts each view once: times half the
    number of views it is the evidence of a clip, since pairs that share a view say
    the same thing more than once (a composite likelihood). Evidence above a threshold
    speaks for correspondence, with the logistic function; the threshold is where the
    probabilities average to the share. The first turn starts from
    ``pointwise_information``. It needs clusters as fine as ``clustering.n_clusters:
    auto`` makes them: with ten or twenty, the two kinds can be other than those meant.

    Sums are of float64 in the order of the rows. Memory besides ``assignments`` and
    what ``pointwise_information`` takes: 80 bytes for each clip and 16 for each cell of
    one pair. A turn of a million clips takes a core about a second with 25 pairs.
    """
    if not 0 < share < 1:
        msg = f"share: expected a number between 0 and 1, got {share!r}."
        raise ValueError(msg)
    ids, sizes = checked_assignments(assignments, n_clusters)
    empty = ContingencyTables.empty(
        pairs, n_clusters=sizes, n_views=ids.shape[1], pair_weights=weights
    )
    relative = empty.relative_weights / empty.relative_weights.sum()
    n_views = len({view for pair in empty.pairs for view in pair})
    scores = pointwise_information(
        ids, n_clusters=n_clusters, pairs=pairs, weights=weights
    )
    for _ in range(n_iterations):
        probabilities = _probabilities(scores * (n_views / 2), share)
        following = np.zeros(len(ids))
        for (u, v), weight in zip(empty.pairs, relative, strict=True):
            following += weight * _log_ratios(
                ids[:, u], ids[:, v], sizes[v], probabilities, share
            )
        moved = float(np.abs(following - scores).mean())
        scores = following
        if moved < _STILL:
            break
    return scores


def _log_ratios(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    n_second: int,
    probabilities: NDArray[np.float64],
    share: float,
) -> NDArray[np.float64]:
    """Return the log likelihood ratio of each clip, of one pair of views."""
    cells = first.astype(np.int64) * n_second + second
    together = np.bincount(cells, weights=probabilities)[cells] - probabilities
    n_others = max(len(first) - 1, 1)
    by_chance = (np.bincount(first)[first] - 1.0) * (np.bincount(second)[second] - 1.0)
    by_chance *= share / n_others
    ratios = np.maximum(together, 0) + SHRINKAGE
    ratios /= by_chance + SHRINKAGE
    logs: NDArray[np.float64] = np.log(ratios)
    return logs


def _probabilities(evidence: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the probability of each clip to correspond; their mean is the share."""
    counts, edges = np.histogram(evidence, bins=_N_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    # The mean falls with the threshold, from 1 to 0.
    low, high = float(edges[0]) - 40.0, float(edges[-1]) + 40.0
    for _ in range(60):
        threshold = (low + high) / 2
        if float(counts @ _logistic(centres - threshold)) > share * len(evidence):
            low = threshold
        else:
            high = threshold
    return _logistic(evidence - (low + high) / 2)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``1 / (1 + exp(-x))`` without overflow."""
    small = np.exp(-np.abs(x))
    probabilities: NDArray[np.float64] = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return probabilities
