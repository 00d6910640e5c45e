"""Four processes train heads together: ``python joint_training.py FOLDER``.

Each writes what it found to ``FOLDER/RANK.npz``. They are forked by a script of its
own, before torch has started a thread.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from planted_correspondence import (
    PLANTED_VIEWS,
    planted_correspondence,
    stage_correspondence,
)
from threadpoolctl import threadpool_limits

from acav_spark.selection.contrastive import fit_projection_heads
from acav_spark.selection.contrastive_tasks import read_share, train_share
from acav_spark.selection.contrastive_training import (
    Collective,
    Heads,
    TrainingSettings,
    put_gradient,
    share_of,
    standard_of,
)
from acav_spark.selection.torch_processes import joined_processes

N_PROCESSES, N_CLIPS, BATCH = 4, 120, 10
SETTINGS = TrainingSettings(16, 0.1, 2e-4, 1, BATCH, True, 0)
SHARED_SETTINGS = TrainingSettings(16, 0.1, 2e-3, 15, BATCH, True, 0)
TRAINING: dict[str, Any] = {
    "dimensions": 16,
    "learning_rate": 2e-3,
    "n_epochs": 15,
    "batch_size": BATCH,
}


def found_by(collective: Collective, folder: Path) -> dict[str, Any]:
    """Return moments, a batch's gradient and the scores of three trainings."""
    first, second, _ = planted_correspondence(N_CLIPS)
    held = slice(collective.rank * 30, collective.rank * 30 + 30)
    if collective.size == 1:
        held = slice(None)
    standard = standard_of(first[held], collective, is_wanted=True)
    heads = Heads(first.shape[1], second.shape[1], SETTINGS)
    share = share_of(BATCH, collective.rank, collective.size)
    loss = put_gradient(
        heads,
        first[:BATCH][share] - 10,
        second[:BATCH][share] - 10,
        temperature=0.1,
        batch_size=BATCH,
        collective=collective,
    )
    options = {**TRAINING, "collective": collective}
    drawn = fit_projection_heads(first, second, **options)
    by_class = fit_projection_heads(
        first, second, **options, classes=np.arange(N_CLIPS) % 6
    )
    # Here a process has the clips of its own places alone.
    staged = read_share(
        str(folder / f"of_{collective.size}"), collective.rank, PLANTED_VIEWS
    )
    of_shares = train_share(staged, N_CLIPS, SHARED_SETTINGS, collective)
    return {
        "mean": standard.mean,
        "inverse": standard.inverse,
        "loss": loss,
        "gradient": heads.gradient,
        "weights": drawn.first.weight,
        "scores": drawn.scores(first, second),
        "shared_scores": of_shares.scores(first, second),
        "class_scores": by_class.scores(first, second),
    }


def _told_by_file(folder: Path) -> Any:  # noqa: ANN401 - a closure
    def tell(port: str) -> str:
        file = folder / "port"
        if port:
            (folder / "part").write_text(port)
            (folder / "part").rename(file)
        while not file.exists():
            time.sleep(0.01)
        return file.read_text()

    return tell


def _main(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    stage_correspondence(folder / f"of_{N_PROCESSES}", N_CLIPS, BATCH, N_PROCESSES)
    children = []
    for rank in range(N_PROCESSES):
        child = os.fork()
        if child == 0:
            try:
                with (
                    threadpool_limits(1),
                    joined_processes(
                        rank,
                        N_PROCESSES,
                        host="127.0.0.1",
                        tell_port=_told_by_file(folder),
                    ) as collective,
                ):
                    np.savez(folder / f"{rank}.npz", **found_by(collective, folder))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        children.append(child)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
