"""Lanes that fail where a test wants them to; Python workers import this."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark.selection.lane_files import LaneFiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class KillingFiles(LaneFiles):
    """Kills its own process at the read of each number, the first time it comes up.

    Parameters
    ----------
    folder : str
        Where reads are counted: a file for each.
    at : tuple of int
        Which reads kill, from 0.
    """

    folder: str = ""
    at: tuple[int, ...] = ()

    def read(self, lane: int, start: int, n_rows: int) -> NDArray[np.unsignedinteger]:
        """Count the read; kill this process or read."""
        number = 0
        while True:
            try:
                (Path(self.folder) / f"{number}").touch(exist_ok=False)
                break
            except FileExistsError:
                number += 1
        if number in self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(lane, start, n_rows)
