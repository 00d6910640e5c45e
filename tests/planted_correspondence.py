"""Pairs of feature vectors of which some share a hidden cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from acav_spark.selection.scoring import FeatureView

if TYPE_CHECKING:
    from pathlib import Path

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


PLANTED_VIEWS = (FeatureView("v", 2, "visual", 20), FeatureView("a", 2, "audio", 14))


def stage_correspondence(
    folder: Path,
    n_clips: int,
    batch_size: int,
    n_processes: int,
    *,
    n_files: int = 2,
    broken: int | None = None,
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Write the clips as the stage puts its sample; return both sides as stored."""
    first, second, _ = planted_correspondence(n_clips)
    halves = first.astype(np.float16), second.astype(np.float16)
    cells = [[vector.tobytes() for vector in side] for side in halves]
    if broken is not None:
        cells[1][broken] = np.full(14, np.nan, np.float16).tobytes()
    order = np.random.default_rng(n_files).permutation(n_clips)
    process = np.repeat(
        range(n_processes),
        np.diff([rank * batch_size // n_processes for rank in range(n_processes + 1)]),
    )
    for rank in range(n_processes):
        own = order[process[order % batch_size] == rank]
        target = folder / f"process={rank}"
        target.mkdir(parents=True)
        for number, rows in enumerate(np.array_split(own, n_files)):
            columns = {
                "clip_id": [f"clip-{row}" for row in rows],
                "view_0": [cells[0][row] for row in rows],
                "view_1": [cells[1][row] for row in rows],
                "position": rows,
            }
            pq.write_table(pa.table(columns), target / f"part-{number}.parquet")
        (target / "_SUCCESS").touch()
    return halves
