"""What has arrived of a file, kept so that another try, or process, goes on from it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from acav_spark.download.journal import replace_file, write_all
from acav_spark.media.closing import Closing

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

Validators = tuple[str | None, str | None]


class PartialFile(Closing):
    """The beginning of a file that is not all there yet.

    Two files: the bytes, and beside them (``.json``) of which version they are. That is
    written before the first byte, and bytes are only ever appended, so that what is
    there belongs to the version whenever the process was killed.

    Parameters
    ----------
    path : Path
        Where the bytes are.

    Attributes
    ----------
    n_bytes : int
        That are there, once it was begun.
    n_new_bytes : int
        That were written by this object, also those that were discarded since.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_bytes = 0
        self.n_new_bytes = 0
        self._note = path.with_name(f"{path.name}.json")
        self._file: FileIO | None = None

    def begin(self, version: str, size_bytes: int, validators: Validators) -> int:
        """Open it for the rest of a file; return how many bytes are there already.

        Parameters
        ----------
        version : str
            Which of a video's formats it is: their addresses change, these do not.
        size_bytes : int
            Size of the whole file.
        validators : (str or None, str or None)
            ETag and Last-Modified. Where a server gives neither, nobody could tell
            whether the rest belongs to the beginning: then it begins anew.
        """
        note = {
            "version": version,
            "size_bytes": size_bytes,
            "validators": list(validators),
        }
        self.close()
        if (
            validators == (None, None)
            or self._noted() != note
            or self._size() > (size_bytes)
        ):
            self.discard()
            replace_file(self._note, json.dumps(note).encode())
        self._file = self.path.open("ab", buffering=0)
        self.n_bytes = self._size()
        return self.n_bytes

    def begin_anew(self) -> None:
        """Open it for a file that comes whole: nothing of it can be kept."""
        self.close()
        self.discard()
        self._file = self.path.open("ab", buffering=0)

    def write(self, piece: bytes) -> None:
        """Append what arrived."""
        if self._file is None:
            msg = f"{self.path.name}: expected a partial file that was begun."
            raise ValueError(msg)
        n_written = write_all(self._file, piece)
        self.n_bytes += n_written
        self.n_new_bytes += n_written

    def finish(self, final: Path) -> None:
        """Give it its name, complete on disk, at once."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        self.close()
        final.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(final)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it."""
        self.close()
        self.n_bytes = 0
        # The note first: bytes without one are never continued.
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what is there stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _noted(self) -> object:
        try:
            return json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0
