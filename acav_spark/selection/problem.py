"""What a selection is made of, apart from the clips: plain values for every engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from acav_spark.selection.contingency import ContingencyTables
from acav_spark.selection.mixture import SHARE

if TYPE_CHECKING:
    from acav_spark.selection._validation import Pairs

Method = Literal[
    "batch_greedy",
    "released",
    "greedy",
    "pmi",
    "mixture",
    "random",
    "contrastive",
    "ranking_inner",
    "ranking_cos",
    "ranking_l2",
    "similarity",
]
"""Of these the last five score clips by features: no engine chooses by them."""


@dataclass(frozen=True)
class Extent:
    """How many clips there are and are selected: all that scores need to know.

    Parameters
    ----------
    n_clips, n_before, n_select : int
        As in ``Problem``.
    """

    n_clips: int
    n_before: int
    n_select: int

    @property
    def n_new(self) -> int:
        """Clips that are still to be selected."""
        return self.n_select - self.n_before


@dataclass(frozen=True)
class Problem:
    """What is selected and how.

    Parameters
    ----------
    n_clips : int
        Rows of the packed table.
    n_before : int
        Clips of the selection that is extended; 0 for a new one.
    n_select : int
        Clips to select in all, those before included.
    n_clusters : tuple of int
        Clusters of each view.
    pairs : tuple of (int, int)
        Pairs of views.
    pair_weights : tuple of float, optional
        Weight of each pair; equal by default.
    method, batch_size, per_batch, seed
        As in ``batch_greedy``.
    prior : float or "recommended", default 0
        Strength of the population's tables.
    share : float, default 0.4
        Share of clips that method ``mixture`` takes to correspond.
    """

    n_clips: int
    n_before: int
    n_select: int
    n_clusters: tuple[int, ...]
    pairs: Pairs
    pair_weights: tuple[float, ...] | None = None
    method: Method = "batch_greedy"
    batch_size: int = 10_000
    per_batch: int = 500
    prior: float | Literal["recommended"] = 0.0
    seed: int = 0
    share: float = SHARE

    @property
    def n_new(self) -> int:
        """Clips that are still to be selected."""
        return self.n_select - self.n_before

    def empty_tables(self) -> ContingencyTables:
        """Return the tables of no clip.

        Raises
        ------
        ValueError
            If pairs, clusters or weights are not what they should be.
        """
        return ContingencyTables.empty(
            self.pairs,
            n_clusters=self.n_clusters,
            n_views=len(self.n_clusters),
            pair_weights=self.pair_weights,
        )

    def fingerprint(self, **further: object) -> dict[str, object]:
        """Return plain values that two equal problems, and no others, have alike."""
        return {**asdict(self), **further}
