"""How much of what there is a selection covers: no method should win by one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN = -1
"""The class of a pair whose class is not known."""


@dataclass(frozen=True)
class Diversity:
    """Groups (classes or clusters) among some clips.

    Parameters
    ----------
    n_clips : int
        Clips whose group is known.
    n_groups : int
        Groups that they cover.
    entropy : float
        Of the distribution of clips over groups, in nats; 0 where there is no clip.
    effective_number : float
        ``exp(entropy)``: as many groups of equal size have this entropy; 0 where there
        is no clip.
    """

    n_clips: int
    n_groups: int
    entropy: float
    effective_number: float


@dataclass(frozen=True)
class SelectionDiversity:
    """Diversity of a selection, of what is right in it, and of what there was to find.

    Parameters
    ----------
    selected : Diversity
        Of all that is selected.
    selected_positives : Diversity
        Of what is selected and positive.
    positives : Diversity
        Of all positives: what a selection of all of them, and nothing else, would have.
    """

    selected: Diversity
    selected_positives: Diversity
    positives: Diversity


def diversity(groups: ArrayLike) -> Diversity:
    """Return how many groups some clips cover, and how evenly.

    Parameters
    ----------
    groups : array_like of int, shape (n_clips,)
        Class or cluster of each clip; those below 0 are not known and not counted.

    Raises
    ------
    ValueError
        If ``groups`` has another number of dimensions.

    Notes
    -----
    Entropy is ``-sum p log p`` (Shannon), its exponential the effective number of
    groups (Hill, 1973, order 1). The entropy of few clips is too low by about
    ``(n_groups - 1) / (2 n_clips)``: compare selections of one size.

    Examples
    --------
    >>> diversity([3, 3, 7, 7]).effective_number
    2.0
    """
    numbers = np.asarray(groups)
    if numbers.ndim != 1:
        msg = f"diversity: expected one group for each clip, got {numbers.shape}."
        raise ValueError(msg)
    known = numbers[numbers > UNKNOWN]
    if not len(known):
        return Diversity(0, 0, 0.0, 0.0)
    counts = np.unique(known, return_counts=True)[1]
    shares = counts / len(known)
    # Of one group: minus zero.
    entropy = float(max(0.0, -(shares * np.log(shares)).sum()))
    return Diversity(len(known), len(counts), entropy, float(np.exp(entropy)))


def selection_diversity(
    groups: ArrayLike, is_positive: ArrayLike, selected: ArrayLike
) -> SelectionDiversity:
    """Return the diversity of a selection.

    Parameters
    ----------
    groups : array_like of int, shape (n_clips,)
        Class or cluster of each clip there is; below 0 where it is not known.
    is_positive : array_like of bool, shape (n_clips,)
        Whether a clip corresponds.
    selected : array_like of int, shape (n_selected,)
        Row numbers of the selected clips.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    all_groups, positive = np.asarray(groups), np.asarray(is_positive, dtype=np.bool_)
    rows = np.asarray(selected, dtype=np.int64)
    if all_groups.shape != positive.shape:
        msg = (
            "selection_diversity: expected a group and a label for each clip, got "
            f"{all_groups.shape} and {positive.shape}."
        )
        raise ValueError(msg)
    return SelectionDiversity(
        selected=diversity(all_groups[rows]),
        selected_positives=diversity(all_groups[rows[positive[rows]]]),
        positives=diversity(all_groups[positive]),
    )


def diversity_by_view(
    assignments: NDArray[np.integer], selected: ArrayLike
) -> list[Diversity]:
    """Return the diversity of a selection over the clusters of each view.

    Parameters
    ----------
    assignments : ndarray of integers, shape (n_clips, n_views)
        Cluster of each clip in each view.
    selected : array_like of int, shape (n_selected,)
        Row numbers of the selected clips.
    """
    chosen = assignments[np.asarray(selected, dtype=np.int64)]
    return [diversity(chosen[:, view]) for view in range(chosen.shape[1])]
