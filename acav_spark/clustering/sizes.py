"""How many clusters fit a number of clips."""

from __future__ import annotations

from math import isqrt

from acav_spark.clustering._validation import checked_integer

# The paper's number (section 4.2 and appendix C: about 500 serve best).
MAX_AUTO_CLUSTERS = 500


def auto_n_clusters(n_clips: int) -> int:
    """Return a number of clusters for ``n_clips`` clips.

    The root of the number of clips, at least 2 and at most 500 (the paper's), and no
    more than there are clips.

    Raises
    ------
    ValueError
        If there is no clip.
    """
    n = checked_integer(n_clips, name="n_clips", minimum=1)
    root = isqrt(n)
    nearest = root + (n > root * (root + 1))
    return min(n, max(2, min(MAX_AUTO_CLUSTERS, nearest)))
