"""A correspondence-retrieval data set: pairs of items, some of which belong together.

Paper, section 4.1: "each instance is a pair of samples with different correspondence
types"; the goal is "to discover the known corresponding samples among the
non-corresponding pairs".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Negatives = Literal["whole", "per_layer"]
"""How a pair that does not belong together gets its second side: all layers of one
other item, or each layer of another item, as the authors' code does."""


@dataclass(frozen=True, eq=False)
class Side:
    """One side of the pairs, such as the picture: features of a pool, and rows of it.

    Parameters
    ----------
    modality : str
        What the network looks at, such as ``visual`` or ``audio``.
    network : str
        Name and source of the weights, as tables show it.
    pool : tuple of ndarray of float32, each of shape (n_items, n_dimensions)
        Features of the items, a matrix for each layer from early to late.
    rows : ndarray of int64, shape (n_pairs, n_layers)
        Row of the pool that a pair has, for each layer. The same for all layers but
        where negatives are made for each layer.

    Raises
    ------
    ValueError
        If shapes do not fit, or a row is not in the pool.
    """

    modality: str
    network: str
    pool: tuple[NDArray[np.float32], ...]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {len(layer) for layer in self.pool}
        if len(lengths) != 1:
            msg = (
                f"features of {self.network}: expected the same number of items in "
                f"every layer, got {[len(layer) for layer in self.pool]}."
            )
            raise ValueError(msg)
        if self.rows.ndim != 2 or self.rows.shape[1] != len(self.pool):
            msg = (
                f"rows of {self.network}: expected the shape (n_pairs, "
                f"{len(self.pool)}), got {self.rows.shape}."
            )
            raise ValueError(msg)
        if self.rows.size and not 0 <= self.rows.min() <= self.rows.max() < max(
            lengths
        ):
            msg = (
                f"rows of {self.network}: expected rows below {max(lengths)}, got "
                f"{self.rows.min()} to {self.rows.max()}."
            )
            raise ValueError(msg)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.pool)

    def layer(self, index: int) -> NDArray[np.float32]:
        """Return the features of all pairs in one layer, shape (n_pairs, n_dims)."""
        features: NDArray[np.float32] = self.pool[index][self.rows[:, index]]
        return features


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """Pairs of two sides, of which those that belong together are to be found.

    Parameters
    ----------
    name : str
        Name of the data set, such as ``cifar10_rotation``.
    run : int
        Number of the run, which seeds what is drawn.
    first, second : Side
        The two sides, ``n_pairs`` rows each.
    is_positive : ndarray of bool, shape (n_pairs,)
        Whether a pair belongs together.
    classes : ndarray of int64, shape (n_pairs,)
        Class of the first side, which diversity is counted by; -1 where unknown.
    is_test : bool
        Whether this is the test half, which results are reported on.
    n_classes : int
        Classes in the source: the paper's number of centroids.
    negatives : {"whole", "per_layer"}
        How negatives were made.
    sources : ndarray of int64, shape (n_pairs,), optional
        What pairs are not independent within, such as the source video.

    Raises
    ------
    ValueError
        If lengths differ.
    """

    name: str
    run: int
    first: Side
    second: Side
    is_positive: NDArray[np.bool_]
    classes: NDArray[np.int64]
    is_test: bool
    n_classes: int
    negatives: Negatives = "whole"
    sources: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        lengths = {
            "first": len(self.first.rows),
            "second": len(self.second.rows),
            "is_positive": len(self.is_positive),
            "classes": len(self.classes),
        }
        if self.sources is not None:
            lengths["sources"] = len(self.sources)
        if len(set(lengths.values())) != 1:
            msg = f"{self.name}: expected one number of pairs, got {lengths}."
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.is_positive)

    def views(self) -> list[tuple[str, int, str]]:
        """Return (extractor, layer, modality) of each view, the first side's first.

        What ``selection.pairs_for`` takes. Both sides may be of one network and
        modality; their names are kept apart by ``first`` and ``second``.
        """
        return [
            (place, layer + 1, place)
            for place, side in (("first", self.first), ("second", self.second))
            for layer in range(side.n_layers)
        ]

    def features(self) -> list[NDArray[np.float32]]:
        """Return the features of all pairs in every view, in the order of ``views``."""
        return [
            side.layer(index)
            for side in (self.first, self.second)
            for index in range(side.n_layers)
        ]

    def taken(self, pairs: NDArray[np.int64]) -> Self:
        """Return the same set with these pairs alone, in this order."""
        return replace(
            self,
            first=replace(self.first, rows=self.first.rows[pairs]),
            second=replace(self.second, rows=self.second.rows[pairs]),
            is_positive=self.is_positive[pairs],
            classes=self.classes[pairs],
            sources=None if self.sources is None else self.sources[pairs],
        )
