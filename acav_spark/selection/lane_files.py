"""Lanes as files: cluster ids of the packed table in its order, a file for each lane.

A file is a matrix of little-endian integers, a row for each clip, so that a batch is
one read at a known place, whatever the number of clips.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from pyarrow import fs

from acav_spark.errors import TableError
from acav_spark.selection.lane_batches import lane_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LaneFiles:
    """Where the lanes of a clustering are, and their form; plain values, to be sent.

    Parameters
    ----------
    uri : str
        Folder of the files.
    n_clips, n_lanes, n_views : int
        Rows of all lanes, lanes, and columns.
    is_wide : bool
        Whether ids have four bytes rather than two.
    """

    uri: str
    n_clips: int
    n_lanes: int
    n_views: int
    is_wide: bool

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Type of an id in the files."""
        return np.dtype("<u4" if self.is_wide else "<u2")

    def name_of(self, lane: int) -> str:
        """Return the name of a lane's file."""
        return f"lane-{lane:06d}.{'u4' if self.is_wide else 'u2'}"

    def size_of(self, lane: int) -> int:
        """Return the number of rows of a lane."""
        starts = lane_starts(self.n_clips, self.n_lanes)
        return int(starts[lane + 1] - starts[lane])

    def write(self, lane: int, clusters: NDArray[np.unsignedinteger]) -> None:
        """Write a lane at once; of two attempts either stays whole.

        Parameters
        ----------
        lane : int
            Number of the lane.
        clusters : ndarray, shape (size_of(lane), n_views)
            Of ``dtype``.
        """
        system, folder = _system_of(self.uri)
        target = str(PurePosixPath(folder) / self.name_of(lane))
        system.create_dir(folder, recursive=True)
        # An object store replaces an object at once; a file system by a rename.
        is_local = isinstance(system, fs.LocalFileSystem)
        part = f"{target}.{uuid.uuid4().hex}.part" if is_local else target
        with system.open_output_stream(part) as stream:
            stream.write(np.ascontiguousarray(clusters, dtype=self.dtype).tobytes())
        if part != target:
            system.move(part, target)

    def read(self, lane: int, start: int, n_rows: int) -> NDArray[np.unsignedinteger]:
        """Return rows of a lane from ``start`` on, beginning anew at its end.

        Raises
        ------
        TableError
            If the file is shorter than it should be.
        """
        size = self.size_of(lane)
        first = start % size
        n_first = min(n_rows, size - first)
        system, folder = _system_of(self.uri)
        width = self.dtype.itemsize * self.n_views
        with system.open_input_file(
            str(PurePosixPath(folder) / self.name_of(lane))
        ) as file:
            found = bytes(file.read_at(n_first * width, first * width))
            if n_first < n_rows:
                found += bytes(file.read_at((n_rows - n_first) * width, 0))
        if len(found) != n_rows * width:
            msg = (
                f"{self.uri}/{self.name_of(lane)}: expected {size} rows of {width} "
                "bytes, found fewer. Delete the folder; it is written anew."
            )
            raise TableError(msg)
        return np.frombuffer(found, dtype=self.dtype).reshape(n_rows, self.n_views)


def _system_of(uri: str) -> tuple[fs.FileSystem, str]:
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(
        uri.replace("s3a://", "s3://", 1)
    )
    return found
