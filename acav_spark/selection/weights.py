"""How much each pair of views counts, and the integers that choices are made by.

The paper weights layers (appendix B and Table 4) and does not say how two layers'
weights make that of a pair. Here it is their geometric mean: a pair of equal layers
then weighs what its layer weighs, and a steep slope ends, as the paper observes, near
the selection by a single layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd, log2
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection._validation import MAX_PAIRS, checked_weights
from acav_spark.selection.fixed_point import UNIT_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Weights are multiples of 2**-16 of the largest.
WEIGHT_BITS = 16
# A weight below 2**-9 of the largest would be off by more than 0.4 %.
STEEPEST = 2.0**9
# g of 2**31 clips is below 23 nats; scores stay within +-2**61.
_LARGEST_GAIN = 23.0
_SCORE_BITS = 60


def linear_weights(slope: float, n_layers: int = 5) -> NDArray[np.float64]:
    """Return weights of layers on a line through 1 at the middle one.

    Parameters
    ----------
    slope : float
        The paper's ``linear(k)``: change from layer to layer.
    n_layers : int, default 5
        Number of layers.

    Notes
    -----
    Clipped to [0.1, 1.9], as Table 4 of the paper prints for slopes of 0.5.
    """
    line = 1.0 + slope * _centred(n_layers)
    weights: NDArray[np.float64] = np.clip(line, 0.1, 1.9)
    return weights


def exponential_weights(rate: float, n_layers: int = 5) -> NDArray[np.float64]:
    """Return weights ``exp(rate * (layer - middle))``, the paper's ``exp(k)``.

    Notes
    -----
    Table 4 prints 5e+10 for ``exp(10 * 2)``, which is 4.9e+08; the others agree.
    """
    weights: NDArray[np.float64] = np.exp(rate * _centred(n_layers))
    return weights


def pair_weights(
    layer_weights: ArrayLike, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return the weight of each pair: the geometric mean of its two views' weights.

    Parameters
    ----------
    layer_weights : array_like of float, shape (n_views,)
        Weight of each view's layer, above zero.
    pairs : sequence of (int, int)
        Pairs of views.

    Raises
    ------
    ValueError
        If a weight is not a finite number above zero, or a pair names another view.
    """
    weights = checked_weights(layer_weights, None, name="layer_weights")
    first, second = np.array(pairs, dtype=np.int64).T
    if max(first.max(), second.max()) >= len(weights):
        msg = (
            "layer_weights: expected one for each view that the pairs name, up to view "
            f"{max(first.max(), second.max())}, got {len(weights)}."
        )
        raise ValueError(msg)
    means: NDArray[np.float64] = np.sqrt(weights[first]) * np.sqrt(weights[second])
    return means


def view_weights(
    by_layer: str | tuple[str, float] | Sequence[float],
    views: Sequence[tuple[str, int]],
    pairs: Sequence[tuple[int, int]],
) -> tuple[float, ...] | None:
    """Return the weight of each pair from weights of layers; None for equal ones.

    Parameters
    ----------
    by_layer : "uniform", ("linear", slope), ("exp", rate) or sequence of float
        Weights by the position of a layer among its extractor's. A line or a curve is
        centred on the middle layer of each extractor; a list has one number for each
        layer.
    views : sequence of (extractor, layer)
        The views in the order of the columns of ``assignments``.
    pairs : sequence of (int, int)
        Pairs of views.

    Raises
    ------
    ValueError
        If a list has another length than an extractor has layers.
    """
    if by_layer == "uniform":
        return None
    layers: dict[str, list[int]] = {}
    for extractor, layer in views:
        layers.setdefault(extractor, []).append(layer)
    weights: list[float] = []
    for extractor, layer in views:
        position, n_layers = (
            sorted(layers[extractor]).index(layer),
            len(layers[extractor]),
        )
        if isinstance(by_layer, tuple) and by_layer[0] == "linear":
            of_layers = linear_weights(float(by_layer[1]), n_layers)
        elif isinstance(by_layer, tuple) and by_layer[0] == "exp":
            of_layers = exponential_weights(float(by_layer[1]), n_layers)
        else:
            of_layers = np.array(by_layer, dtype=np.float64)
        if len(of_layers) != n_layers:
            msg = (
                f"expected one number for each of {n_layers} layers of {extractor}, "
                f"got {len(of_layers)}."
            )
            raise ValueError(msg)
        weights.append(float(of_layers[position]))
    return tuple(pair_weights(weights, pairs).tolist())


def _centred(n_layers: int) -> NDArray[np.float64]:
    return np.arange(n_layers, dtype=np.float64) - (n_layers - 1) / 2


@dataclass(frozen=True, eq=False)
class Scoring:
    """Integer weights of pairs and the resolution of scores.

    Parameters
    ----------
    weights : ndarray of float64, shape (n_pairs,)
        Weights as given, not negative, not all zero.

    Notes
    -----
    A score is the sum over pairs of ``weight * g`` less the sum over views of the
    weights of their pairs times ``g``. Equal weights are 1, and ``g`` is in units of
    2**-46 nats. Other weights are rounded to multiples of 2**-16 of the largest, and
    ``g`` is in units as fine as keeps a score within +-2**61: 2**-33 nats for the
    paper's 45 pairs. Weights steeper than 1 to 512 cannot be rounded so: they take a
    float64 path, by which ties go by rounding (``is_exact`` is false).
    """

    weights: NDArray[np.float64]

    @cached_property
    def is_exact(self) -> bool:
        """Whether choices are made by exact integers."""
        positive = self.weights[self.weights > 0]
        return bool(positive.max() <= STEEPEST * positive.min())

    @cached_property
    def integer_weights(self) -> NDArray[np.int64]:
        """Weights as the smallest integers of their ratios."""
        scaled = np.rint(self.weights / self.weights.max() * 2**WEIGHT_BITS)
        integers: NDArray[np.int64] = scaled.astype(np.int64)
        return integers // gcd(*integers.tolist())

    @cached_property
    def unit_bits(self) -> int:
        """Gains are in units of ``2**-unit_bits`` nats."""
        total = int(self.integer_weights.sum())
        room = _SCORE_BITS - log2(_LARGEST_GAIN) - log2(max(total, 1))
        # Equal weights of MAX_PAIRS pairs still have all 46 bits.
        if total <= MAX_PAIRS:
            return UNIT_BITS
        return min(UNIT_BITS, int(room))

    @cached_property
    def units_per_nat(self) -> float:
        """Score units that make one nat of the weighted mean over the pairs."""
        return float(int(self.integer_weights.sum())) * 2.0**self.unit_bits
