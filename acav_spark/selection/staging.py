"""Picks on their way to ``selections``: files that outlive a killed driver.

A folder holds ``picks-000000.parquet``, ``picks-000001.parquet``, ... and, written
after the files it counts, ``state.json``. A file that the state does not count was cut
short and is written again. All engines share the format.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from acav_spark.selection.in_progress import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from acav_spark.storage import Folder

STATE_FILE = "state.json"
_FORMAT_VERSION = 1
# A file of so many picks has some 30 MB before compression.
_PICKS_PER_FILE = 1_000_000
_SECONDS_PER_FILE = 30.0


class PickStaging:
    """Picks of one selection in a folder, added to and flushed as they are made.

    Parameters
    ----------
    folder : Folder
        Folder of this selection alone.
    problem : mapping
        Everything that determines the picks, as plain values: clips, clusters, pairs,
        weights, prior, seed, batches, limits. Picks of another problem that are found
        in the folder are deleted.
    n_before : int, default 0
        Clips selected before: the first pick has rank ``n_before + 1``.
    picks_per_file, seconds_per_file : default 1,000,000 and 30
        ``is_due`` says so after so many picks, or so much time.

    Attributes
    ----------
    n_picks : int
        Picks in the files, those that were only added not among them.
    position : Position
        Where the selection was at the last flush; what ``resume`` takes.
    engine : dict
        What the engine left at the last flush; empty at first.
    """

    def __init__(
        self,
        folder: Folder,
        problem: Mapping[str, object],
        *,
        n_before: int = 0,
        picks_per_file: int = _PICKS_PER_FILE,
        seconds_per_file: float | None = None,
    ) -> None:
        self._folder = folder
        self._problem = json.loads(json.dumps(problem, sort_keys=True))
        self._n_before = n_before
        self._picks_per_file = picks_per_file
        self._seconds_per_file = (
            _SECONDS_PER_FILE if seconds_per_file is None else seconds_per_file
        )
        self._added: list[pa.Table] = []
        self._n_added = 0
        self._flushed_at = time.monotonic()
        self.n_picks = self._n_files = 0
        self.position = Position()
        self.engine: dict[str, Any] = {}
        self._load()

    def __len__(self) -> int:
        return self.n_picks + self._n_added

    @property
    def uris(self) -> list[str]:
        """Places of the files that count, in the order of rank."""
        return [f"{self._folder.uri}/{name}" for name in self._names()]

    @property
    def is_due(self) -> bool:
        """Whether it is time to flush."""
        if self._n_added == 0:
            return False
        seconds = time.monotonic() - self._flushed_at
        return (
            self._n_added >= self._picks_per_file or seconds >= self._seconds_per_file
        )

    def add(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.int64] | NDArray[np.float64],
        gains: NDArray[np.float64],
        objectives: NDArray[np.float64],
        batch: int | NDArray[np.int32],
        lanes: NDArray[np.int32] | None = None,
    ) -> None:
        """Add picks in the order of choice; they are safe after the next flush.

        Parameters
        ----------
        rows, scores, gains, objectives : ndarray, shape (n_added,)
            Row numbers, scores as ``resume`` takes them, nats, nats.
        batch : int or ndarray of int32, shape (n_added,)
            Batch or round, from 0; -1 for clips that had to be in.
        lanes : ndarray of int32, shape (n_added,), optional
            Lane that made each pick; empty for an engine without lanes.
        """
        n = len(rows)
        first = self._n_before + len(self) + 1
        batches = np.broadcast_to(np.asarray(batch, dtype=np.int32), (n,))
        table = pa.table(
            {
                "rank": np.arange(first, first + n, dtype=np.int64),
                "row_number": np.asarray(rows, dtype=np.int64),
                "gain": np.asarray(gains, dtype=np.float64),
                "objective": np.asarray(objectives, dtype=np.float64),
                "batch": np.ascontiguousarray(batches),
                "lane": pa.nulls(n, pa.int32()) if lanes is None else pa.array(lanes),
                "score": np.asarray(scores),
            }
        )
        self._added.append(table)
        self._n_added += n

    def flush(
        self, position: Position | None = None, engine: Mapping[str, Any] | None = None
    ) -> None:
        """Write what was added, then the state that counts it: all of it or nothing.

        Parameters
        ----------
        position : Position, optional
            Where the selection is after the picks added.
        engine : mapping, optional
            Plain values that the engine wants back; by default the former ones.
        """
        if self._added:
            name = _file_name(self._n_files)
            self._folder.write_table(name, pa.concat_tables(self._added))
            self._n_files += 1
        self.n_picks += self._n_added
        self._added, self._n_added = [], 0
        self.position = self.position if position is None else position
        self.engine = self.engine if engine is None else dict(engine)
        state = {
            "format_version": _FORMAT_VERSION,
            "problem": self._problem,
            "n_before": self._n_before,
            "n_picks": self.n_picks,
            "n_files": self._n_files,
            "position": list(self.position),
            "engine": self.engine,
        }
        self._folder.write_text(STATE_FILE, json.dumps(state, sort_keys=True) + "\n")
        self._flushed_at = time.monotonic()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the flushed picks, a file at a time, in the order of rank."""
        for name in self._names():
            yield self._folder.read_table(name)

    def pieces(
        self,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64] | NDArray[np.float64]]]:
        """Yield row numbers and scores of the flushed picks, a file at a time."""
        for table in self.tables():
            yield table["row_number"].to_numpy(), table["score"].to_numpy()

    def discard(self) -> None:
        """Delete the folder and forget everything."""
        # Without its state a folder counts for nothing, whatever is left of it.
        self._folder.delete(STATE_FILE)
        self._folder.delete(".")
        self.n_picks = self._n_files = self._n_added = 0
        self._added = []
        self.position, self.engine = Position(), {}

    def _names(self) -> list[str]:
        return [_file_name(number) for number in range(self._n_files)]

    def _load(self) -> None:
        """Take up what is there, or delete it when it is of another problem."""
        if not self._folder.exists(STATE_FILE):
            return
        state = json.loads(self._folder.read_text(STATE_FILE))
        is_ours = (
            state.get("format_version") == _FORMAT_VERSION
            and state["problem"] == self._problem
            and state["n_before"] == self._n_before
        )
        if not is_ours:
            self.discard()
            return
        self.n_picks, self._n_files = state["n_picks"], state["n_files"]
        self.position = Position(*state["position"])
        self.engine = state["engine"]


def _file_name(number: int) -> str:
    return f"picks-{number:06d}.parquet"
