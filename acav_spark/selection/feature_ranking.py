"""Ranking by how alike the features of a clip are: the paper's baselines.

Section 4.1: features are reduced to 64 dimensions by PCA, and instances ranked by
inner product, cosine similarity or (negative) Euclidean distance. Nothing brings the
axes of two views' spaces together, so for views of different networks a score says
little; that is what the baseline is there to show.

What the paper leaves open, and what is done here. *Which pairs of views:* as Table 1's
footnote says of the clustering, the mean over the pairs of a pairing (diagonal for the
CIFAR-10 sets, combination for the others), those within a modality among them. *One or
several PCAs:* one for each view, fitted to all clips; ``shared_components`` fits one to
two views of the same network. *Unequal numbers of components:* those that both have,
the first, are compared. Components come in the order of their variance, so that these
correspond as far as any do. Padding with zeros would give the same inner product, but
the components without a partner would add their squares to every distance and length:
the ranking would be by how long a clip's vector is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from acav_spark.clustering._validation import checked_vectors
from acav_spark.clustering.moments import Moments
from acav_spark.clustering.principal import (
    PrincipalComponents,
    fit_principal_components,
    principal_components,
)
from acav_spark.selection._validation import checked_pairs
from acav_spark.selection.similarity import row_cosines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Metric = Literal["inner", "cos", "l2"]

#: The paper's (section 4.1).
N_COMPONENTS = 64
# Rows that are widened to float64 at once.
_BLOCK = 1 << 14


def feature_scores(
    views: Sequence[ArrayLike],
    pairs: Sequence[tuple[int, int]],
    *,
    metric: Metric,
    n_components: int = N_COMPONENTS,
    projections: Sequence[PrincipalComponents] | None = None,
) -> NDArray[np.float64]:
    """Return how alike the projected features of each clip are, larger is better.

    Parameters
    ----------
    views : sequence of array_like of float, each of shape (n_clips, n_features)
        Features of the same clips in every view; lengths may differ from view to view.
    pairs : sequence of (int, int)
        Pairs of views that are averaged; see ``pairings``.
    metric : {"inner", "cos", "l2"}
        Inner product; cosine, which is 0 where a projection is zero; or minus the
        Euclidean distance.
    n_components : int, default 64
        Components of each view (the paper's number); a view of fewer dimensions, or
        fewer that vary, has as many as it has.
    projections : sequence of PrincipalComponents, optional
        One for each view, fitted before; by default each view's own, fitted to these
        clips. ``n_components`` is not looked at then.

    Returns
    -------
    ndarray of float64, shape (n_clips,)
        Mean over the pairs. Of a pair of views with unequal numbers of components, the
        first that both have are compared.

    Raises
    ------
    ValueError
        If views are of different numbers of clips, a value is not finite, a pair names
        another view, the metric is unknown, or projections are not of these views.

    Notes
    -----
    With given projections, a clip's score has the same bits whatever clips stand
    beside it. Time: the products of a PCA's moments, ``n_features**2`` a clip and view,
    and its eigendecomposition.
    """
    check_metric(metric)
    arrays = [checked_vectors(x, name=f"views[{i}]") for i, x in enumerate(views)]
    lengths = [len(x) for x in arrays]
    if len(set(lengths)) > 1:
        msg = f"views: expected one row for each clip in every view, got {lengths}."
        raise ValueError(msg)
    checked = checked_pairs(pairs, len(arrays))
    used = sorted({view for pair in checked for view in pair})
    if projections is None:
        fitted = {v: fit_principal_components(arrays[v], n_components) for v in used}
    else:
        fitted = dict(enumerate(_checked_projections(projections, arrays)))
    embeddings = {view: fitted[view].apply(arrays[view]) for view in used}
    return scores_of_pairs(embeddings, checked, metric)


def shared_components(
    *views: ArrayLike, n_components: int = N_COMPONENTS
) -> PrincipalComponents:
    """Return one PCA of several views of the same space, such as both sides of a pair.

    Parameters
    ----------
    *views : array_like of float, each of shape (n_samples, n_features)
        Vectors of one network's layer; all count alike.
    n_components : int, default 64
        As in ``feature_scores``.

    Raises
    ------
    ValueError
        If there are none, lengths of vectors differ, or a value is not finite.
    """
    if not views:
        msg = "views: expected at least one, got none."
        raise ValueError(msg)
    moments: Moments | None = None
    for number, view in enumerate(views):
        n_features = None if moments is None else moments.n_features
        name = f"views[{number}]"
        vectors = checked_vectors(view, name=name, n_features=n_features)
        if moments is None:
            moments = Moments(vectors.shape[1], with_products=True)
        moments.add(vectors)
    assert moments is not None  # noqa: S101 - there is at least one view
    return principal_components(moments, n_components)


def check_metric(metric: str) -> None:
    """Refuse an unknown metric."""
    if metric not in get_args(Metric):
        msg = f"metric: expected one of {list(get_args(Metric))}, got {metric!r}."
        raise ValueError(msg)


def scores_of_pairs(
    embeddings: dict[int, NDArray[np.float32]],
    pairs: Sequence[tuple[int, int]],
    metric: Metric,
) -> NDArray[np.float64]:
    """Return the mean over the pairs of how alike rows are; validation is assumed.

    Parameters
    ----------
    embeddings : dict of int to ndarray of float32, shape (n_clips, n_components)
        By view; the numbers of components may differ.
    pairs : sequence of (int, int)
        Pairs of these views; added in this order.
    metric : {"inner", "cos", "l2"}
        As in ``feature_scores``.
    """
    n_clips = len(next(iter(embeddings.values())))
    total = np.zeros(n_clips)
    for u, v in pairs:
        n_common = min(embeddings[u].shape[1], embeddings[v].shape[1])
        first = embeddings[u][:, :n_common]
        second = embeddings[v][:, :n_common]
        total += _alike(first, second, metric)
    scores: NDArray[np.float64] = total / len(pairs)
    return scores


def _alike(
    first: NDArray[np.float32], second: NDArray[np.float32], metric: Metric
) -> NDArray[np.float64]:
    """Return how alike each two rows are; a sum of nothing is 0."""
    if metric == "cos":
        return row_cosines(first, second)
    alike = np.empty(len(first))
    for start in range(0, len(first), _BLOCK):
        rows = slice(start, start + _BLOCK)
        # C order, so that every row is summed alike however many there are.
        left = np.ascontiguousarray(first[rows], dtype=np.float64)
        right = np.ascontiguousarray(second[rows], dtype=np.float64)
        if metric == "inner":
            alike[rows] = np.sum(left * right, axis=1)
        else:
            apart = left - right
            alike[rows] = -np.sqrt(np.sum(apart * apart, axis=1))
    # Minus zero becomes zero.
    alike += 0.0
    return alike


def _checked_projections(
    projections: Sequence[PrincipalComponents], arrays: Sequence[NDArray[np.float32]]
) -> Sequence[PrincipalComponents]:
    wanted = [x.shape[1] for x in arrays]
    found = [one.n_features for one in projections]
    if wanted != found:
        msg = (
            f"projections: expected one for each view, of vectors of lengths {wanted}, "
            f"got {found}."
        )
        raise ValueError(msg)
    return projections
