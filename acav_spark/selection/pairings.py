"""Which pairs of views are summed, by the names of the paper (section 4.2).

A view is one layer of one extractor. Views are numbered in the order of the columns of
``assignments``; a pair is ``(u, v)`` with ``u < v``.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from acav_spark.selection._validation import checked_integer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

PairingName = Literal["diagonal", "bipartite", "combination"]


class View(NamedTuple):
    """One layer of one extractor, and what that extractor looks at."""

    extractor: str
    layer: int
    modality: str


def diagonal(
    modalities: Sequence[str], layers: Sequence[Hashable] | None = None
) -> list[tuple[int, int]]:
    """Return the pairs of views of the same layer and of different modalities.

    Parameters
    ----------
    modalities : sequence of str
        Modality of each view, such as five times ``visual``, then five times ``audio``.
    layers : sequence, optional
        Layer of each view. By default views of a modality are its layers in order,
        which fits one extractor for each.

    Raises
    ------
    ValueError
        If lengths differ, or no pair is of one layer and two modalities.
    """
    if layers is None:
        layers = [list(modalities[:i]).count(m) for i, m in enumerate(modalities)]
    if len(layers) != len(modalities):
        msg = (
            f"diagonal: expected one layer for each of {len(modalities)} views, got "
            f"{len(layers)}."
        )
        raise ValueError(msg)
    pairs = [(u, v) for u, v in bipartite(modalities) if layers[u] == layers[v]]
    if not pairs:
        msg = (
            "diagonal: expected views of one layer in two modalities, got layers "
            f"{list(layers)} of {list(modalities)}. Choose bipartite or combination."
        )
        raise ValueError(msg)
    return pairs


def bipartite(modalities: Sequence[str]) -> list[tuple[int, int]]:
    """Return all pairs of views of different modalities.

    Parameters
    ----------
    modalities : sequence of str
        Modality of each view.

    Raises
    ------
    ValueError
        If all views are of one modality.
    """
    pairs = [
        (u, v)
        for u, v in combinations(range(len(modalities)), 2)
        if modalities[u] != modalities[v]
    ]
    if not pairs:
        msg = (
            "bipartite: expected views of at least two modalities, got "
            f"{sorted(set(modalities))} for {len(modalities)} views. Add an extractor "
            "of another modality, or choose combination."
        )
        raise ValueError(msg)
    return pairs


def combination(n_views: int) -> list[tuple[int, int]]:
    """Return all pairs of views, within and across modalities (equation 3).

    Raises
    ------
    ValueError
        If there are fewer than two views.
    """
    n = checked_integer(n_views, name="n_views", minimum=2)
    return list(combinations(range(n), 2))


def pairs_for(
    name: PairingName | Sequence[Sequence[int]],
    views: Iterable[tuple[str, int, str]],
) -> list[tuple[int, int]]:
    """Return the pairs of a pairing by its name, or those that are listed.

    Parameters
    ----------
    name : {"diagonal", "bipartite", "combination"} or sequence of (int, int)
        The paper's names, or pairs of places among the views.
    views : iterable of (extractor, layer, modality)
        The views in the order of the columns of ``assignments``.

    Raises
    ------
    ValueError
        If the name is unknown, or the views have no such pair.
    """
    if not isinstance(name, str):
        return [(pair[0], pair[1]) for pair in name]
    known = [View(*view) for view in views]
    modalities = [view.modality for view in known]
    if name == "diagonal":
        return diagonal(modalities, [view.layer for view in known])
    if name == "bipartite":
        return bipartite(modalities)
    if name == "combination":
        return combination(len(known))
    msg = f"pairing: expected one of {list(get_args(PairingName))}, got {name!r}."
    raise ValueError(msg)
