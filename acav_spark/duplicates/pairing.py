"""Pairs of clips of unlike lengths, in blocks that arrays can hold."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def blocks_of_one_size(
    first: Sequence[bytes],
    second: Sequence[bytes],
    *,
    stretch_bytes: int,
    what: str,
    n_values: Callable[[int, int], int],
    most_values: int,
) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Yield places of pairs whose clips have the same numbers of stretches.

    Parameters
    ----------
    first, second : sequence of bytes
        Clips; the pairs are those at the same places.
    stretch_bytes : int
        Bytes of a stretch.
    what : str
        What they hold, for the error.
    n_values : callable
        From the numbers of stretches of a pair to the values that comparing it takes.
    most_values : int
        So many at once, or those of one pair.

    Yields
    ------
    places : list of int
        Where the pairs are.
    n_stretches : tuple of int
        Of the first and of the second clip of each. Pairs in which one has none are
        left out.

    Raises
    ------
    ValueError
        If there are not as many of both, or one is no whole number of stretches.
    """
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, pair in enumerate(zip(first, second, strict=True)):
        n_first, n_second = (_n_stretches(one, stretch_bytes, what) for one in pair)
        sizes[n_first, n_second].append(place)
    for (n_first, n_second), places in sizes.items():
        if n_first * n_second == 0:
            continue
        step = max(most_values // n_values(n_first, n_second), 1)
        for start in range(0, len(places), step):
            yield places[start : start + step], (n_first, n_second)


def _n_stretches(clip: bytes, stretch_bytes: int, what: str) -> int:
    n_stretches, rest = divmod(len(clip), stretch_bytes)
    if rest:
        msg = f"{what}: expected a multiple of {stretch_bytes} bytes, got {len(clip)}."
        raise ValueError(msg)
    return n_stretches
