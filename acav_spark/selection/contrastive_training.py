"""Training the two projection heads, in one process or in several at once.

Each process has its share of every batch. Embeddings are gathered, so that every clip
is contrasted with the whole batch; gradients are summed, so that all processes move the
same parameters alike. Alone, a process is its own gathering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from acav_spark.selection.contrastive_loss import (
    contrastive_loss,
    gradient_through_lengths,
    normalised,
)
from acav_spark.selection.kernels.amsgrad import amsgrad_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from acav_spark.selection.contrastive_batches import Draw

    Features = NDArray[np.float16] | NDArray[np.float32]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_MOMENT_ROWS = 8192
# A dimension that varies by less than float32 resolves of its mean does not vary.
_RESOLUTION = 1e-6


class Collective(Protocol):
    """What processes that train together do in common."""

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def gather(self, rows: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
        """Return the ``n_rows`` rows of all processes' shares, by rank."""

    def add_up(self, values: NDArray[np.floating]) -> None:
        """Put the sum over all processes into ``values``."""


class Alone:
    """A single process."""

    rank = 0
    size = 1

    def gather(
        self,
        rows: NDArray[np.float32],
        n_rows: int,  # noqa: ARG002 - all are here
    ) -> NDArray[np.float32]:
        """Return the rows as they are."""
        return rows

    def add_up(self, values: NDArray[np.floating]) -> None:
        """Leave the values as they are."""


def share_of(batch_size: int, rank: int, size: int) -> slice:
    """Return which places of a batch a process has; sizes differ by at most one."""
    return slice(rank * batch_size // size, (rank + 1) * batch_size // size)


@dataclass(frozen=True)
class TrainingSettings:
    """What shapes the heads; validation is assumed.

    Parameters
    ----------
    dimensions : int
        Length of an embedding.
    temperature, learning_rate : float
        Of the loss, and of Adam.
    n_epochs, batch_size : int
        Passes over the clips, clips of a batch.
    standardise : bool
        Whether each number of the features is brought to mean 0 and variance 1.
    seed : int
        Of the first weights.
    """

    dimensions: int
    temperature: float
    learning_rate: float
    n_epochs: int
    batch_size: int
    standardise: bool
    seed: int


class Standard:
    """Mean and scale of features, by which batches are standardised.

    Parameters
    ----------
    mean, inverse : ndarray of float64, shape (n_dimensions,)
        ``inverse`` is 1 over the standard deviation; 0 for what does not vary.
    """

    def __init__(self, mean: NDArray[np.float64], inverse: NDArray[np.float64]) -> None:
        self.mean, self.inverse = mean, inverse
        self._mean, self._inverse = np.float32(mean), np.float32(inverse)
        self._is_any = bool(mean.any() or (inverse != 1).any())

    def apply(self, features: Features, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows of features as float32, standardised."""
        values = features[rows].astype(np.float32, copy=False)  # a copy already
        if self._is_any:
            values -= self._mean
            values *= self._inverse
        return values


def standard_of(
    features: Features, collective: Collective, *, is_wanted: bool
) -> Standard:
    """Return the standardisation of all processes' rows; one that does nothing else."""
    width = features.shape[1]
    if not is_wanted:
        return Standard(np.zeros(width), np.ones(width))
    # Two passes: squares of features far from 0 would cancel.
    sums = np.zeros(width + 1)
    for values in _blocks(features):
        sums[:-1] += values.sum(axis=0)
        sums[-1] += len(values)
    collective.add_up(sums)
    mean, n_rows = sums[:-1] / sums[-1], sums[-1]
    squares = np.zeros(width)
    for values in _blocks(features):
        squares += ((values - mean) ** 2).sum(axis=0)
    collective.add_up(squares)
    deviation = np.sqrt(squares / n_rows)
    varies = deviation > _RESOLUTION * np.abs(mean)
    inverse = np.divide(1.0, deviation, out=np.zeros(width), where=varies)
    return Standard(mean, inverse)


def _blocks(features: Features) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(features), _MOMENT_ROWS):
        yield features[start : start + _MOMENT_ROWS].astype(np.float64)


class Heads:
    """Weights of both linear maps in one buffer, and what Adam keeps of each.

    Parameters
    ----------
    first_width, second_width : int
        Length of a feature of either modality.
    settings : TrainingSettings
        First weights are drawn evenly from ``+-1/sqrt(width)``, biases too.
    """

    def __init__(
        self, first_width: int, second_width: int, settings: TrainingSettings
    ) -> None:
        self._shapes = [
            (settings.dimensions, width + 1) for width in (first_width, second_width)
        ]
        self.parameters = np.concatenate(
            [
                np.random.default_rng([settings.seed, place])
                .uniform(-1, 1, shape[0] * shape[1])
                .astype(np.float32)
                / np.float32(np.sqrt(shape[1] - 1))
                for place, shape in enumerate(self._shapes)
            ]
        )
        self.gradient = np.zeros_like(self.parameters)
        self._first_moment = np.zeros_like(self.parameters)
        self._second_moment = np.zeros_like(self.parameters)
        self._largest = np.zeros_like(self.parameters)
        self._n_steps = 0
        self.matrices = self._as_matrices(self.parameters)
        self.slopes = self._as_matrices(self.gradient)

    def _as_matrices(
        self, buffer: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both maps, shape (dimensions, width + 1): the last column is bias."""
        cut = self._shapes[0][0] * self._shapes[0][1]
        return (
            buffer[:cut].reshape(self._shapes[0]),
            buffer[cut:].reshape(self._shapes[1]),
        )

    def move(self, learning_rate: float) -> None:
        """Take a step of Adam with AMSGrad along ``gradient``."""
        self._n_steps += 1
        amsgrad_step(
            self.parameters,
            self.gradient,
            self._first_moment,
            self._second_moment,
            self._largest,
            np.float32(learning_rate / (1 - _BETA_1**self._n_steps)),
            np.float32(1 / np.sqrt(1 - _BETA_2**self._n_steps)),
            np.float32(_BETA_1),
            np.float32(_BETA_2),
            np.float32(_EPSILON),
        )


def put_gradient(
    heads: Heads,
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    temperature: float,
    batch_size: int,
    collective: Collective,
) -> float:
    """Put the gradient of a batch into ``heads``; return the loss of the whole batch.

    Parameters
    ----------
    heads : Heads
        Alike in all processes.
    first, second : ndarray of float32, shape (n_rows, width)
        This process's share of the batch, standardised.
    temperature, batch_size
        Of the loss; clips of the whole batch.
    collective : Collective
        Of the processes.
    """
    dimensions = len(heads.matrices[0])
    directions, lengths = [], []
    for features, matrix in zip((first, second), heads.matrices, strict=True):
        # In this order BLAS takes half the time where the batch is small.
        projected = (matrix[:, :-1] @ features.T + matrix[:, -1:]).T
        vectors, length = normalised(np.ascontiguousarray(projected))
        directions.append(vectors)
        lengths.append(length)
    all_rows = collective.gather(np.concatenate(directions, axis=1), batch_size)
    loss, *slopes = contrastive_loss(
        all_rows[:, :dimensions],
        all_rows[:, dimensions:],
        temperature=temperature,
        rows=share_of(batch_size, collective.rank, collective.size),
    )
    for place, features in enumerate((first, second)):
        by_vector = gradient_through_lengths(
            slopes[place], directions[place], lengths[place]
        )
        np.matmul(by_vector.T, features, out=heads.slopes[place][:, :-1])
        heads.slopes[place][:, -1] = by_vector.sum(axis=0)
    collective.add_up(heads.gradient)
    return loss


def train(
    sides: tuple[Features, Features],
    standards: tuple[Standard, Standard],
    draw: Draw,
    settings: TrainingSettings,
    *,
    collective: Collective,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[Heads, list[float]]:
    """Train heads on the rows that this process has.

    Parameters
    ----------
    sides : two of ndarray of float16 or float32, shape (n_rows, width)
        Features of the same clips.
    standards : two of Standard
        What they are standardised by, alike in all processes.
    draw : callable
        From an epoch to this process's rows of every batch.
    settings : TrainingSettings
        Alike in all processes.
    collective : Collective
        Of the processes.
    progress : callable, optional
        Told the number of epochs done and the last one's mean loss.

    Returns
    -------
    Heads, list of float
        The last state, and each epoch's mean loss.

    Raises
    ------
    ValueError
        If the loss is no longer finite.
    """
    heads = Heads(sides[0].shape[1], sides[1].shape[1], settings)
    losses: list[float] = []
    for epoch in range(settings.n_epochs):
        total, batches = 0.0, draw(epoch)
        for rows in batches:
            total += put_gradient(
                heads,
                standards[0].apply(sides[0], rows),
                standards[1].apply(sides[1], rows),
                temperature=settings.temperature,
                batch_size=settings.batch_size,
                collective=collective,
            )
            heads.move(settings.learning_rate)
        losses.append(total / len(batches))
        if not np.isfinite(losses[-1]):
            msg = (
                f"contrastive: expected a finite loss, got {losses[-1]} in epoch "
                f"{epoch + 1}. Lower learning_rate ({settings.learning_rate}), or "
                "standardise the features."
            )
            raise ValueError(msg)
        if progress is not None:
            progress(epoch + 1, losses[-1])
    return heads, losses
