"""How many clips to select: a count, or a share of those there are."""

from __future__ import annotations

import re
from fractions import Fraction

from acav_spark.selection._validation import checked_integer

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def resolve_size(size: int | str, n_clips: int, *, allow_fewer: bool = False) -> int:
    """Return the number of clips to select.

    Parameters
    ----------
    size : int or str
        A count of at least 1, or a share such as ``"50%"`` in (0, 100].
    n_clips : int
        Number of clips there are.
    allow_fewer : bool, default False
        Return ``n_clips`` where a larger count is asked for, instead of refusing.

    Raises
    ------
    ValueError
        If there is no clip, more are asked for than there are, or ``size`` is neither
        a count nor a share.

    Notes
    -----
    A share is rounded to the nearest count, halves up, and to no less than 1.

    Examples
    --------
    >>> resolve_size("50%", 7)
    4
    """
    if n_clips < 1:
        msg = f"size: expected clips to select from, got {n_clips} of them."
        raise ValueError(msg)
    if isinstance(size, str):
        return _resolved_share(size, n_clips)
    count = checked_integer(size, name="size", minimum=1)
    if count > n_clips and not allow_fewer:
        msg = (
            f"size: expected at most {n_clips}, the number of clips there are, got "
            f"{count}. Ask for fewer, for a share such as '50%', or set allow_fewer to "
            "select them all."
        )
        raise ValueError(msg)
    return min(count, n_clips)


def _resolved_share(share: str, n_clips: int) -> int:
    """Return the count for a share, computed in fractions so that halves are halves."""
    match = _SHARE.fullmatch(share.strip())
    percent = Fraction(match[1]) if match else Fraction(0)
    if not 0 < percent <= 100:
        msg = (
            "size: expected a count such as 500, or a share above 0% up to 100% such "
            f"as '50%', got {share!r}."
        )
        raise ValueError(msg)
    return max(1, int(percent * n_clips / 100 + Fraction(1, 2)))
