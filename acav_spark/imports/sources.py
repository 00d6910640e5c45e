"""What an import names: format, files and layers, found without Spark."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.imports.arrays import (
    ArrayFile,
    Lines,
    index_lines,
    place_of,
    read_header,
    require_ids,
    require_numbers,
)
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE_PREFIX: Final = "table:"
_TAR: Final = (".tar", ".tar.gz", ".tgz")
_FORMATS: Final = ("parquet", "delta", "npy", "webdataset")
_MAGIC = re.compile(r"[*?\[]")
# Of the vectors that a task holds, before and after they are encoded.
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Source:
    """What is imported.

    Parameters
    ----------
    format : str
        ``parquet``, ``delta``, ``npy`` or ``webdataset``.
    uris : tuple of str
        Where they are, paths from the root; tar files one by one.
    layers : tuple of str
        Names of layers, early to late; empty where only Spark can tell.
    name : str
        The last part of the first address.
    """

    format: str
    uris: tuple[str, ...]
    layers: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Block:
    """Rows of .npy files, and where their ids are.

    Parameters
    ----------
    arrays : tuple of ArrayFile
        One a layer, or one of all layers.
    first, n_rows : int
        Which rows.
    ids : ArrayFile or (str, int, int)
        An array of as many ids as the arrays have rows; or uri, first byte and bytes
        of the lines of text.
    """

    arrays: tuple[ArrayFile, ...]
    first: int
    n_rows: int
    ids: ArrayFile | tuple[str, int, int]


def find_source(uris: Sequence[str], kind: str, layers: Sequence[str]) -> Source:
    """Return what some addresses name.

    Parameters
    ----------
    uris : sequence of str
        At least one.
    kind : str
        A format, or ``auto``.
    layers : sequence of str
        As the user named them.

    Raises
    ------
    ConfigError
        If nothing is there, or addresses are of several formats.
    """
    name = uris[0].rstrip("/").rsplit("/", 1)[-1]
    uris = [_absolute(uri) for uri in uris]
    kinds = {uri: _format_of(uri) if kind == "auto" else kind for uri in uris}
    if len(set(kinds.values())) != 1:
        msg = f"import: expected sources of one format, got {kinds}."
        raise ConfigError(msg)
    found = kinds[uris[0]]
    if found == "webdataset":
        files = tuple(file for uri in uris for file in _files(uri, _TAR))
        return Source(found, files, tuple(layers) or ("npy",), name)
    return Source(found, tuple(uris), tuple(layers), name)


def find_blocks(
    source: Source, ids_uris: Sequence[str]
) -> tuple[list[Block], tuple[str, ...], tuple[int, ...]]:
    """Return the blocks of .npy files, names of layers, and their dimensions.

    Raises
    ------
    ConfigError
        If files do not fit each other, or there are no ids.
    """
    if len(ids_uris) != len(source.uris):
        msg = (
            f"import: expected a file of ids for each of {len(source.uris)} sources "
            f"of .npy, got {len(ids_uris)}. Name them in the same order by --ids."
        )
        raise ConfigError(msg)
    blocks: list[Block] = []
    shapes = set()
    for uri, ids_uri in zip(source.uris, map(_absolute, ids_uris), strict=True):
        arrays = _arrays(uri, source.layers, ids_uri)
        shapes.add(_dimensions(arrays))
        n_rows = _rows(arrays)
        row_bytes = sum(array.row_bytes for array in arrays)
        size = max(1, _BLOCK_BYTES // max(1, row_bytes))
        ids: ArrayFile | Lines
        if ids_uri.endswith(".npy"):
            ids = require_ids(read_header(ids_uri))
            n_ids = ids.shape[0]
        else:
            ids = index_lines(ids_uri, size)
            n_ids = ids.n_lines
        if n_ids != n_rows:
            msg = (
                f"import: {ids_uri!r}: expected an id for each of {n_rows} rows of "
                f"{uri!r}, got {n_ids}."
            )
            raise ConfigError(msg)
        for number, first in enumerate(range(0, n_rows, size)):
            where = ids if isinstance(ids, ArrayFile) else ids.block(number)
            blocks.append(Block(arrays, first, min(size, n_rows - first), where))
    if len(shapes) != 1:
        msg = f"import: expected sources of one shape, got dimensions {sorted(shapes)}."
        raise ConfigError(msg)
    (dimensions,) = shapes
    names = source.layers
    if len(names) != len(dimensions):
        names = tuple(f"layer_{i}" for i in range(1, len(dimensions) + 1))
    return blocks, names, dimensions


def _arrays(uri: str, layers: Sequence[str], ids_uri: str) -> tuple[ArrayFile, ...]:
    """Return the arrays of a file, or of a folder with one file a layer."""
    folder = place_of(uri)
    if not folder.is_folder():
        return (require_numbers(read_header(uri)),)
    names = [
        name
        for name in folder.list()
        if name.endswith(".npy") and f"{folder.uri}/{name}" != Folder(ids_uri).uri
    ]
    chosen = [name if name.endswith(".npy") else f"{name}.npy" for name in layers]
    if not chosen:
        if len(names) != 1:
            msg = (
                f"import: {uri!r}: expected layers, since it holds {len(names)} .npy "
                f"files: {names[:10]}. Name them, early to late, by --layer."
            )
            raise ConfigError(msg)
        chosen = names
    found = tuple(
        require_numbers(read_header(f"{uri.rstrip('/')}/{name}")) for name in chosen
    )
    rows = {array.shape[0] for array in found}
    if len(rows) != 1 or (len(found) > 1 and any(len(a.shape) != 2 for a in found)):
        shapes = {array.uri: array.shape for array in found}
        msg = f"import: expected layers of as many rows, one each, got {shapes}."
        raise ConfigError(msg)
    return found


def _rows(arrays: Sequence[ArrayFile]) -> int:
    return arrays[0].shape[0]


def _dimensions(arrays: Sequence[ArrayFile]) -> tuple[int, ...]:
    """Return the dimension of every layer."""
    first = arrays[0].shape
    if len(first) == 3:
        return (first[2],) * first[1]
    return tuple(array.shape[1] for array in arrays)


def _absolute(uri: str) -> str:
    """Return a path from the root: executors may stand in another folder."""
    is_path = "://" not in uri and not uri.startswith(TABLE_PREFIX)
    return str(Path(uri).absolute()) if is_path else uri


def _format_of(uri: str) -> str:
    """Return the format by the name, or by what a folder holds."""
    if uri.startswith(TABLE_PREFIX):
        return "delta"
    endings = {
        ".npy": "npy",
        ".parquet": "parquet",
        **dict.fromkeys(_TAR, "webdataset"),
    }
    for ending, kind in endings.items():
        if uri.endswith(ending):
            return kind
    folder = place_of(uri)
    if folder.is_folder():
        names = folder.list()
        if "_delta_log" in names:
            return "delta"
        for ending, kind in endings.items():
            if any(name.endswith(ending) for name in names):
                return kind
    exists = "found none" if not folder.exists() else "cannot tell"
    msg = (
        f"import: expected a Parquet, Delta, .npy or tar source at {uri!r}, {exists}. "
        f"If the name does not tell, say which by --format, one of {_FORMATS}."
    )
    raise ConfigError(msg)


def _files(uri: str, endings: tuple[str, ...]) -> list[str]:
    """Return the files that a file, folder or local pattern names."""
    folder = place_of(uri)
    if folder.is_folder():
        found = [f"{uri.rstrip('/')}/{n}" for n in folder.list() if n.endswith(endings)]
    elif _MAGIC.search(uri) and folder.is_local:
        found = sorted(glob.glob(folder.uri))  # noqa: PTH207 - a pattern as it is given
    else:
        found = [uri] if folder.exists() else []
    if not found:
        msg = f"import: expected tar files at {uri!r}, found none."
        raise ConfigError(msg)
    return found
