"""JSON Lines that grow a row at a time, whatever moment the process is killed at."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from acav_spark.errors import StageError
from acav_spark.media.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import FileIO
    from pathlib import Path

Row = dict[str, object]

_TAIL_BYTES = 1 << 16


class Journal(Closing):
    """A file of rows with a key; of several rows of one key the last counts.

    Parameters
    ----------
    path : Path
        The file. What a kill left of its last row is cut off.
    key : str
        Name of the key.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._key = key
        _cut_torn_line(path)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Row) -> None:
        """Add a row."""
        write_all(self._file, _line(row))

    def compact(self, change: Callable[[Row], Row | None]) -> None:
        """Close it, and write it anew: one row a key, changed, or none for None.

        Parameters
        ----------
        change : callable
            Given the row that counts; returns what to write.

        Notes
        -----
        Rows are streamed; the numbers of lines are held, not the rows.
        """
        self.close()
        last = {
            str(row[self._key]): number
            for number, row in enumerate(stored_rows(self.path, self._key))
        }
        temporary = self.path.with_name(f"{self.path.name}.new")
        with temporary.open("wb") as file:
            for number, row in enumerate(stored_rows(self.path, self._key)):
                kept = change(row) if last[str(row[self._key])] == number else None
                if kept is not None:
                    file.write(_line(kept))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def stored_rows(path: Path, key: str) -> Iterator[Row]:
    """Yield the rows of a journal as they were appended; none where there is none.

    Raises
    ------
    StageError
        If a line is no row: the file was damaged, or is another's.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
                row[key]
            except (ValueError, KeyError, TypeError) as error:
                msg = (
                    f"{path}, line {number}: expected an object with {key!r}, got "
                    f"{line[:80]!r}. Remove the line."
                )
                raise StageError(msg) from error
            yield row


class FolderLock(Closing):
    """Keeps a second download out of a folder, until closed or the process ends.

    Raises
    ------
    StageError
        If another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / ".lock").open("wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            msg = (
                f"--output: expected a folder that nobody writes to, got {folder}, "
                "which another download holds. Wait for it, or name another."
            )
            raise StageError(msg) from error

    def close(self) -> None:
        """Let others in."""
        self._file.close()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole of the old or of the new one."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_all(file: FileIO, content: bytes) -> int:
    """Write bytes to a file without a buffer, which may take them in parts."""
    view = memoryview(content)
    while len(view):
        view = view[file.write(view) :]
    return len(content)


@contextmanager
def written_below(folder: Path) -> Iterator[None]:
    """Say of the system's errors that they are about the folder.

    Raises
    ------
    StageError
        In their place.
    """
    try:
        yield
    except OSError as error:
        msg = (
            f"--output: expected a folder that can be written, got {folder} ({error}). "
            "The same command goes on from here."
        )
        raise StageError(msg) from error


def _cut_torn_line(path: Path) -> None:
    """Cut off what is behind the last end of a line."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _TAIL_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            end = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if end < size:
            file.truncate(end)


def _line(row: Mapping[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
