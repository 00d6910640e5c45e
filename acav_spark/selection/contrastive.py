"""Mutual information of each clip by a contrastive estimator (paper, section 3.3.1).

Linear projection heads over stored features of two modalities are trained so that the
two embeddings of a clip are nearer to each other than to those of other clips; their
cosine then ranks clips. Unlike the estimator by clusters it judges each clip by itself,
whatever else is selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from acav_spark.clustering.projection import Projection
from acav_spark.selection._validation import checked_integer
from acav_spark.selection.contrastive_batches import (
    grouped_batches,
    random_batches,
    rows_of_classes,
)
from acav_spark.selection.contrastive_training import (
    Alone,
    TrainingSettings,
    share_of,
    standard_of,
    train,
)
from acav_spark.selection.similarity import row_cosines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from acav_spark.selection.contrastive_training import Collective, Heads, Standard


@dataclass(frozen=True, eq=False)
class ProjectionHead:
    """A linear map from features as they are stored to an embedding.

    Parameters
    ----------
    mean : ndarray of float32, shape (width,)
        What is subtracted from features first.
    weight : ndarray of float32, shape (dimensions, width)
        By what they are multiplied then; their scale is contained.
    bias : ndarray of float32, shape (dimensions,)
        What is added.
    """

    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return embeddings, shape (n_clips, dimensions); validation is assumed.

        Each row has the same bits whatever rows stand beside it (see ``Projection``).
        """
        embeddings: NDArray[np.float32] = self._projection.apply(features - self.mean)
        embeddings += self.bias
        return embeddings

    @cached_property
    def _projection(self) -> Projection:
        return Projection(self.weight)


@dataclass(frozen=True, eq=False)
class ProjectionHeads:
    """Two linear maps into one space, one for each modality.

    Parameters
    ----------
    first, second : ProjectionHead
        Of either modality.
    losses : tuple of float
        Mean loss of each epoch, in nats; ``2 log(batch size)`` is chance.
    """

    first: ProjectionHead
    second: ProjectionHead
    losses: tuple[float, ...] = ()

    def scores(self, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
        """Return the cosine of both embeddings of each clip, shape (n_clips,).

        Parameters
        ----------
        first, second : array of float, shape (n_clips, width)
            Features of either modality, of the widths that were trained on.

        Raises
        ------
        ValueError
            If shapes do not fit, or a number is not finite.

        Notes
        -----
        A clip's score has the same bits whatever clips it is computed with, so that
        equal clips tie.
        """
        views = _checked_views(first, second, min_rows=0)
        for name, view, head in zip(
            ("first", "second"), views, (self.first, self.second), strict=True
        ):
            if view.shape[1] != head.weight.shape[1]:
                msg = (
                    f"{name}: expected features of {head.weight.shape[1]} numbers, "
                    f"which the heads were trained on, got {view.shape[1]}."
                )
                raise ValueError(msg)
        return row_cosines(self.first.apply(views[0]), self.second.apply(views[1]))


def fit_projection_heads(
    first: ArrayLike,
    second: ArrayLike,
    *,
    dimensions: int = 128,
    temperature: float = 0.1,
    learning_rate: float = 2e-4,
    n_epochs: int = 100,
    batch_size: int = 10,
    classes: ArrayLike | None = None,
    standardise: bool = True,
    seed: int = 0,
    collective: Collective | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> ProjectionHeads:
    """Train projection heads on pairs of features (paper, sections 3.3.1 and 4.1).

    Parameters
    ----------
    first, second : array of float, shape (n_clips, width)
        Features of either modality, finite; widths may differ.
    dimensions : int, default 128
        Length of an embedding; the authors' code has 128.
    temperature : float, default 0.1
        Of equation 1.
    learning_rate : float, default 2e-4
        Of Adam with AMSGrad.
    n_epochs : int, default 100
        Passes over the clips.
    batch_size : int, default 10
        Clips of a batch, drawn at random; section 5 of the paper has 1024.
    classes : array of int, shape (n_clips,), optional
        Numbers from 0; each batch then takes one clip of each class at random, as the
        paper does for its class-level sets, and ``batch_size`` is not read. An epoch
        has ``n_clips`` over the number of classes batches.
    standardise : bool, default True
        Bring each number of the features to mean 0 and variance 1 first. The paper
        does not say; ``docs/selection.md`` has the difference.
    seed : int, default 0
        Of the first weights and of all batches.
    collective : Collective, optional
        Processes that train together, each with the same arguments.
    progress : callable, optional
        Told the number of epochs done and the last one's mean loss.

    Returns
    -------
    ProjectionHeads
        Alike in all processes.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, there are fewer clips than one
        batch takes, fewer than two classes, or the loss grows beyond all bounds.

    Notes
    -----
    A step costs ``4 * batch_size * dimensions * (sum of widths)`` operations,
    ``6 * batch_size**2 * dimensions`` for the loss, and a pass over five numbers a
    weight, on one core. Nothing of it needs torch.
    """
    views = _checked_views(first, second, min_rows=2)
    n_clips = len(views[0])
    own = collective or Alone()
    groups = None if classes is None else _checked_classes(classes, n_clips)
    settings = checked_settings(
        dimensions=dimensions,
        temperature=temperature,
        learning_rate=learning_rate,
        n_epochs=n_epochs,
        batch_size=batch_size if groups is None else len(groups),
        standardise=standardise,
        seed=seed,
    )
    if settings.batch_size > n_clips:
        msg = (
            f"batch_size: expected at most the number of clips ({n_clips}), got "
            f"{batch_size}. Give a smaller one, or more clips."
        )
        raise ValueError(msg)
    if own.size > settings.batch_size:
        msg = (
            f"collective: expected at most one process a clip of a batch "
            f"({settings.batch_size}), got {own.size}."
        )
        raise ValueError(msg)
    share = share_of(settings.batch_size, own.rank, own.size)
    draw = (
        random_batches(n_clips, settings.batch_size, seed=settings.seed, share=share)
        if groups is None
        else grouped_batches(
            groups[share],
            n_steps=max(1, n_clips // len(groups)),
            seed=settings.seed,
            first_number=share.start,
        )
    )
    # Every process has all clips here, so that nothing is summed but gradients.
    standards = tuple(standard_of(v, Alone(), is_wanted=standardise) for v in views)
    # Threads of BLAS wait for each other longer than they compute on matrices of this
    # size, on a busy machine thirty times as long.
    with threadpool_limits(1, user_api="blas"):
        heads, losses = train(
            (views[0], views[1]),
            (standards[0], standards[1]),
            draw,
            settings,
            collective=own,
            progress=progress,
        )
    return projection_heads(heads, (standards[0], standards[1]), losses)


def checked_settings(
    *,
    dimensions: int,
    temperature: float,
    learning_rate: float,
    n_epochs: int,
    batch_size: int,
    standardise: bool,
    seed: int,
) -> TrainingSettings:
    """Return settings that are in range.

    Raises
    ------
    ValueError
        If one is not; the message names it.
    """
    for name, value in (("temperature", temperature), ("learning_rate", learning_rate)):
        if not (np.isfinite(value) and value > 0):
            msg = f"{name}: expected a finite number above 0, got {value!r}."
            raise ValueError(msg)
    return TrainingSettings(
        dimensions=checked_integer(dimensions, name="dimensions", minimum=1),
        temperature=float(temperature),
        learning_rate=float(learning_rate),
        n_epochs=checked_integer(n_epochs, name="n_epochs", minimum=1),
        batch_size=checked_integer(batch_size, name="batch_size", minimum=2),
        standardise=bool(standardise),
        seed=checked_integer(seed, name="seed", minimum=0),
    )


def projection_heads(
    heads: Heads, standards: tuple[Standard, Standard], losses: Sequence[float]
) -> ProjectionHeads:
    """Return trained heads as maps of features that are not standardised."""
    found = []
    for matrix, standard in zip(heads.matrices, standards, strict=True):
        weight = (matrix[:, :-1] * standard.inverse).astype(np.float32)
        mean = standard.mean.astype(np.float32)
        found.append(ProjectionHead(mean, weight, matrix[:, -1].copy()))
    return ProjectionHeads(found[0], found[1], tuple(losses))


def _checked_views(
    first: ArrayLike, second: ArrayLike, *, min_rows: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both sides as float32 matrices of as many rows."""
    views = []
    for name, side in (("first", first), ("second", second)):
        array = np.asarray(side)
        if array.ndim != 2 or array.shape[1] == 0 or len(array) < min_rows:
            msg = (
                f"{name}: expected features of shape (n_clips, width) with at least "
                f"{min_rows} clips and one number each, got shape {array.shape}."
            )
            raise ValueError(msg)
        with np.errstate(over="ignore"):
            view = np.ascontiguousarray(array, dtype=np.float32)
        wrong = np.flatnonzero(~np.isfinite(view).all(axis=1))
        if len(wrong):
            msg = (
                f"{name}: expected finite numbers in every row, got others in "
                f"{len(wrong)} of {len(view)}, such as rows {wrong[:5].tolist()}. "
                "Drop these clips."
            )
            raise ValueError(msg)
        views.append(view)
    if len(views[0]) != len(views[1]):
        msg = (
            "second: expected a row for each clip of first, got "
            f"{len(views[1])} for {len(views[0])}. Row i of both is of one clip."
        )
        raise ValueError(msg)
    return views[0], views[1]


def _checked_classes(classes: ArrayLike, n_clips: int) -> list[NDArray[np.int64]]:
    """Return the rows of each class."""
    array = np.asarray(classes)
    if array.shape != (n_clips,) or not np.issubdtype(array.dtype, np.integer):
        msg = (
            f"classes: expected {n_clips} integers, one a clip, got {array.dtype} of "
            f"shape {array.shape}."
        )
        raise ValueError(msg)
    if array.min() < 0:
        msg = (
            f"classes: expected numbers from 0, got {array.min()}. Where classes are "
            "not known, leave them out."
        )
        raise ValueError(msg)
    groups = rows_of_classes(array)
    if len(groups) < 2:
        msg = (
            "classes: expected at least two, of which a batch is made, got one. Leave "
            "classes out to draw batches at random."
        )
        raise ValueError(msg)
    return groups
