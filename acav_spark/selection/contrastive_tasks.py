"""What a task does to train heads with others: read its share of a sample, train.

The sample's clips are numbered in the order of a hash. Clip ``p`` can stand at place
``p % batch_size`` of a batch only, and a process reads the clips of its places: who
contrasts with whom does not depend on how many processes there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from acav_spark.errors import StageError
from acav_spark.selection.contrastive import projection_heads
from acav_spark.selection.contrastive_batches import grouped_batches
from acav_spark.selection.contrastive_training import share_of, standard_of, train
from acav_spark.selection.scoring_tasks import vectors_of
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.contrastive import ProjectionHeads
    from acav_spark.selection.contrastive_training import Collective, TrainingSettings
    from acav_spark.selection.scoring import FeatureView

_BATCH_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Share:
    """Clips that one process trains on, in the order of their positions.

    Parameters
    ----------
    positions : ndarray of int64, shape (n_rows,)
        Numbers in the sample.
    sides : two of ndarray of float16, shape (n_rows, width)
        Vectors as they are stored.
    """

    positions: NDArray[np.int64]
    sides: tuple[NDArray[np.float16], NDArray[np.float16]]

    def groups(self, share: slice, batch_size: int) -> list[NDArray[np.int64]]:
        """Return the rows of each place of a batch that the process has.

        Raises
        ------
        StageError
            If a place has none.
        """
        place = self.positions % batch_size
        found = [np.flatnonzero(place == n) for n in range(share.start, share.stop)]
        n_empty = sum(not len(rows) for rows in found)
        if n_empty:
            msg = (
                f"select_clips: expected clips for each of the {batch_size} places of "
                f"a batch, got none for {n_empty}: staged files were lost. Run the "
                "stage again."
            )
            raise StageError(msg)
        return found


def read_share(uri: str, rank: int, views: Sequence[FeatureView]) -> Share:
    """Return the clips of one process from the staged sample.

    Parameters
    ----------
    uri : str
        Folder with a folder ``process=N`` for each.
    rank : int
        Number of the process.
    views : sequence of FeatureView
        Whose vectors the columns ``view_0`` and ``view_1`` have.

    Raises
    ------
    StageError
        If a vector is missing, of another length or not finite, or there is no file.
    """
    folder, own = Folder(uri), f"process={rank}"
    positions: list[NDArray[np.int64]] = []
    sides: tuple[list[NDArray[np.float16]], ...] = ([], [])
    for file in folder.list(own):
        if not file.endswith(".parquet"):
            continue
        for batch in folder.read_table(f"{own}/{file}").to_batches(_BATCH_ROWS):
            if not len(batch):
                continue
            positions.append(batch["position"].to_numpy().astype(np.int64))
            for side, vectors in zip(
                sides, vectors_of(batch, views, (0, 1)), strict=True
            ):
                side.append(vectors.astype(np.float16))
    if not positions:
        msg = (
            f"select_clips: expected a staged sample for process {rank} in {uri}, "
            "found none. The folder has to be one that all executors reach."
        )
        raise StageError(msg)
    found = np.concatenate(positions)
    order = np.argsort(found)
    halves = []
    for side in sides:
        halves.append(np.concatenate(side)[order])
        side.clear()
    return Share(found[order], (halves[0], halves[1]))


def train_share(
    share: Share, n_rows: int, settings: TrainingSettings, collective: Collective
) -> ProjectionHeads:
    """Train heads on the sample together with the other processes.

    Parameters
    ----------
    share : Share
        Of this process.
    n_rows : int
        Clips of the whole sample, at least a batch.
    settings : TrainingSettings
        Alike in all processes.
    collective : Collective
        Of the processes.

    Raises
    ------
    StageError
        If the loss is no longer finite.
    """
    places = share_of(settings.batch_size, collective.rank, collective.size)
    draw = grouped_batches(
        share.groups(places, settings.batch_size),
        n_steps=n_rows // settings.batch_size,
        seed=settings.seed,
        first_number=places.start,
    )
    # A task has a core; several threads of BLAS would wait for those of the others.
    with threadpool_limits(1, user_api="blas"):
        standards = tuple(
            standard_of(side, collective, is_wanted=settings.standardise)
            for side in share.sides
        )
        both = (standards[0], standards[1])
        try:
            heads, losses = train(
                share.sides, both, draw, settings, collective=collective
            )
        except ValueError as error:
            msg = f"select_clips: {error}"
            raise StageError(msg) from error
    return projection_heads(heads, both, losses)
