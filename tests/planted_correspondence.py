"""Pairs of feature vectors of which some share a hidden cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CAUSES = 6


def planted_correspondence(
    n_clips: int, *, widths: tuple[int, int] = (20, 14), seed: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return both sides, far from the origin, and which clips correspond: half.

    The same ``seed`` gives the same maps from cause to feature, whatever ``n_clips``.
    """
    generator = np.random.default_rng(seed)
    maps = [generator.normal(size=(N_CAUSES, width)) for width in widths]
    causes = generator.normal(size=(2, n_clips, N_CAUSES))
    corresponds = generator.random(n_clips) < 0.5
    causes[1, corresponds] = causes[0, corresponds]
    noises = [generator.normal(size=(n_clips, width)) for width in widths]
    sides = [
        np.asarray(10 + cause @ one + noise, dtype=np.float32)
        for cause, one, noise in zip(causes, maps, noises, strict=True)
    ]
    return sides[0], sides[1], corresponds
