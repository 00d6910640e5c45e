"""Arrays in .npy files, read by rows at their place: never as a whole, never unpickled.

The format is that of NumPy (NEP 1): a header that says type, order and shape, then the
numbers. Files may lie wherever pyarrow reads at a place, not on a local disk alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 20
_SAVED = "Save it with numpy.save(name, numpy.ascontiguousarray(values))."


@dataclass(frozen=True)
class ArrayFile:
    """What the header of a .npy file says.

    Parameters
    ----------
    uri : str
        Where it is.
    offset : int
        First byte of the numbers.
    shape : tuple of int
        Rows first.
    dtype : str
        As NumPy writes it, such as ``<f4``.
    """

    uri: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def rows(self, first: int, n_rows: int) -> NDArray[np.generic]:
        """Return some rows, shape (n_rows, ...)."""
        with Folder(self.uri).open() as stream:
            data = stream.read_at(
                n_rows * self.row_bytes, self.offset + first * self.row_bytes
            )
        return np.frombuffer(data, dtype=self.dtype).reshape(n_rows, *self.shape[1:])

    def vectors(self, first: int, n_rows: int) -> NDArray[np.number]:
        """Return some rows of what ``require_numbers`` has let pass."""
        return self.rows(first, n_rows)  # type: ignore[return-value]  # of kind f, i, u


def parse_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether it is by columns, and type, of what follows in a stream.

    Raises
    ------
    ValueError
        If it is no .npy of numbers or text.
    """
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        msg = f"version {version} of the format is for fields with names"
        raise ValueError(msg)
    shape, is_fortran, dtype = readers[version](stream)
    if dtype.hasobject or dtype.names is not None:
        msg = f"it holds {dtype}, and Python objects are never loaded"
        raise ValueError(msg)
    if any(length < 0 for length in shape):
        msg = f"it has the shape {shape}"
        raise ValueError(msg)
    return shape, is_fortran and len(shape) > 1, dtype


def place_of(uri: str) -> Folder:
    """Return a file or folder that may be read.

    Raises
    ------
    ConfigError
        If no file system of its scheme is known, or it cannot be reached.
    """
    try:
        folder = Folder(uri)
        folder.exists()
    except (OSError, ValueError) as error:
        msg = (
            f"import: expected a path, or a URI of a file system that pyarrow knows "
            f"(file, s3, gs, hdfs), got {uri!r}: {error}. Copy it to one."
        )
        raise ConfigError(msg) from error
    return folder


def read_header(uri: str) -> ArrayFile:
    """Return what a .npy file holds.

    Raises
    ------
    ConfigError
        If it is not there, no .npy file, holds Python objects or no rows one after
        another, or is shorter than it says.
    """
    folder = place_of(uri)
    if not folder.exists() or folder.is_folder():
        msg = f"import: expected a .npy file, found none at {uri!r}."
        raise ConfigError(msg)
    with folder.open() as stream:
        try:
            shape, is_fortran, dtype = parse_header(stream)
        except (ValueError, EOFError) as error:
            msg = f"import: expected a .npy file, got {uri!r}: {error}. {_SAVED}"
            raise ConfigError(msg) from error
        found = ArrayFile(uri, stream.tell(), shape, dtype.str)
        n_bytes = stream.size()
    if not shape or is_fortran:
        msg = (
            f"import: {uri!r}: expected rows that lie one after another, got shape "
            f"{shape}{' by columns' if is_fortran else ''}. {_SAVED}"
        )
        raise ConfigError(msg)
    expected = found.offset + shape[0] * found.row_bytes
    if n_bytes < expected:
        msg = (
            f"import: {uri!r}: expected {expected} bytes for shape {shape}, got "
            f"{n_bytes}. The file is cut: copy it again."
        )
        raise ConfigError(msg)
    return found


def require_numbers(found: ArrayFile) -> ArrayFile:
    """Return an array of vectors, checked.

    Raises
    ------
    ConfigError
        If it has no numbers, or neither rows of vectors nor rows of layers of them.
    """
    if np.dtype(found.dtype).kind not in "fiu" or len(found.shape) not in (2, 3):
        msg = (
            f"import: {found.uri!r}: expected numbers of shape (rows, dimension) or "
            f"(rows, layers, dimension), got {found.dtype} of shape {found.shape}."
        )
        raise ConfigError(msg)
    return found


def require_ids(found: ArrayFile) -> ArrayFile:
    """Return an array of ids, checked.

    Raises
    ------
    ConfigError
        If it holds neither text nor whole numbers, one a row.
    """
    if np.dtype(found.dtype).kind not in "USiu" or len(found.shape) != 1:
        msg = (
            f"import: {found.uri!r}: expected ids, text or whole numbers of shape "
            f"(rows,), got {found.dtype} of shape {found.shape}."
        )
        raise ConfigError(msg)
    return found


def ids_of_array(found: ArrayFile, first: int, n_rows: int) -> list[str]:
    """Return some ids of an array of ids."""
    values = found.rows(first, n_rows)
    if values.dtype.kind == "S":
        return [bytes(value).decode("utf-8", "replace") for value in values]
    return [str(value) for value in values.tolist()]


@dataclass(frozen=True)
class Lines:
    """Where blocks of lines begin in a file of text.

    Parameters
    ----------
    uri : str
        Where it is.
    n_lines : int
        Lines; an end of line at the end begins no other.
    starts : list of int
        First byte of every block, and the end of the file.
    """

    uri: str
    n_lines: int
    starts: list[int]

    def block(self, number: int) -> tuple[str, int, int]:
        """Return where a block is: uri, first byte, bytes."""
        first, end = self.starts[number], self.starts[number + 1]
        return self.uri, first, end - first


def index_lines(uri: str, block_lines: int) -> Lines:
    """Return where every block of so many lines begins; the file passes by in pieces.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    folder = place_of(uri)
    if not folder.exists():
        msg = f"import: expected a file of ids, found nothing at {uri!r}."
        raise ConfigError(msg)
    starts, n_lines, place, is_open = [0], 0, 0, False
    with folder.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
            first = block_lines - n_lines % block_lines - 1
            starts += (place + ends[first::block_lines] + 1).tolist()
            n_lines += len(ends)
            place += len(chunk)
            is_open = not chunk.endswith(b"\n")
    n_lines += is_open
    if starts[-1] == place and len(starts) > 1:
        starts.pop()
    return Lines(uri, n_lines, [*starts, place])


def ids_of_lines(uri: str, first: int, n_bytes: int) -> list[str]:
    """Return the ids of a block of lines, without white space around them."""
    with Folder(uri).open() as stream:
        text = stream.read_at(n_bytes, first).decode("utf-8", "replace")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]
