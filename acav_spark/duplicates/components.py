"""Groups of what is linked, directly or through others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray


def connected_groups(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of everything that is linked to something.

    Parameters
    ----------
    first, second : ndarray of int64, shape (n_links,)
        The two ends of each link; the order of links and ends does not matter.

    Returns
    -------
    ids : ndarray of int64, shape (n_ids,)
        Every end once, in rising order.
    groups : ndarray of int64, shape (n_ids,)
        The least id of the group of each.

    Raises
    ------
    ValueError
        If there are not as many first ends as second ones.

    Notes
    -----
    Some 100 bytes a link at the most.
    """
    if first.shape != second.shape or first.ndim != 1:
        msg = (
            "connected_groups: expected two arrays of shape (n_links,), got "
            f"{first.shape} and {second.shape}."
        )
        raise ValueError(msg)
    ids, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    if len(ids) == 0:
        return ids, ids.copy()
    ends = places.reshape(2, -1)
    links = coo_matrix(
        (np.ones(len(first), dtype=np.bool_), (ends[0], ends[1])),
        shape=(len(ids), len(ids)),
    )
    _, labels = connected_components(links, directed=False)
    # Ids rise: the first one of a label is its least.
    _, leaders = np.unique(labels, return_index=True)
    return ids, ids[leaders[labels]]
