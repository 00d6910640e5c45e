"""Whether all ids of many are different, by their hashes: eight bytes an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

# Neighbours that are compared at once, so that no second array of all hashes is made.
_PIECE = 1 << 20


def have_distinct_hashes(ids: Iterable[pa.Array], n_ids: int) -> bool:
    """Return whether ids are all different for sure.

    Parameters
    ----------
    ids : iterable of Array of strings
        The ids, in pieces.
    n_ids : int
        How many there are to be in all.

    Returns
    -------
    bool
        False too where there are others than ``n_ids``, or where different ids share a
        64-bit hash: one time in 400,000 among ten million.

    Notes
    -----
    Memory: eight bytes an id, and a piece. Time: a read of the ids and a sort.
    """
    from acav_spark.selection.kernels.hashing import hash_strings

    hashes = np.empty(n_ids, dtype=np.uint64)
    n_read = 0
    for piece in ids:
        if n_read + len(piece) > n_ids or piece.null_count:
            return False
        if len(piece) == 0:
            continue
        strings = piece.cast(pa.string())
        _, ends, text = strings.buffers()
        offsets = np.frombuffer(ends, dtype=np.int32)
        hash_strings(
            offsets[strings.offset : strings.offset + len(strings) + 1],
            np.frombuffer(text or b"", dtype=np.uint8),
            hashes[n_read : n_read + len(strings)],
        )
        n_read += len(strings)
    if n_read != n_ids:
        return False
    hashes.sort()
    return not any(
        (hashes[start + 1 : end + 1] == hashes[start:end]).any()
        for start in range(0, n_ids - 1, _PIECE)
        for end in (min(start + _PIECE, n_ids - 1),)
    )
