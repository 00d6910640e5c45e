"""Files beside the tables: markers, manifests, reports, picks of a selection.

pyarrow's file systems reach local folders, S3, GCS and HDFS by one interface; other big
data goes through Spark.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from acav_spark.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COPY_BYTES: Final = 2**20
FORMAT_FILE = "_acav_warehouse.json"


class Folder:
    """A folder, local or in an object store.

    Parameters
    ----------
    uri : str
        Path or URI; ``s3a://`` counts as ``s3://``.
    """

    def __init__(self, uri: str) -> None:
        if "://" in uri:
            self._fs, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
            self.path = path
            self.is_local = isinstance(self._fs, fs.LocalFileSystem)
            self.uri = uri.rstrip("/")
        else:
            self._fs = fs.LocalFileSystem()
            self.path = str(Path(uri).absolute())
            self.is_local = True
            self.uri = self.path

    def _at(self, name: str) -> str:
        return str(PurePosixPath(self.path) / name)

    def exists(self, name: str = ".") -> bool:
        """Return whether a file or folder is there."""
        info = self._fs.get_file_info(self._at(name))
        return bool(info.type != fs.FileType.NotFound)

    def list(self, name: str = ".") -> list[str]:
        """Return the names in a folder, sorted; empty if it is missing."""
        selector = fs.FileSelector(self._at(name), allow_not_found=True)
        return sorted(info.base_name for info in self._fs.get_file_info(selector))

    def is_folder(self, name: str = ".") -> bool:
        """Return whether a folder is there."""
        info = self._fs.get_file_info(self._at(name))
        return bool(info.type == fs.FileType.Directory)

    def open(self, name: str = ".") -> pa.NativeFile:
        """Open a file for reading at any place."""
        return self._fs.open_input_file(self._at(name))

    def read_text(self, name: str) -> str:
        """Return a file's text (UTF-8)."""
        with self._fs.open_input_stream(self._at(name)) as stream:
            return bytes(stream.readall()).decode("utf-8")

    def write_text(self, name: str, text: str) -> None:
        """Write a file at once: other readers see the old text or the new one."""
        with self._replaced(name) as stream:
            stream.write(text.encode("utf-8"))

    def read_bytes(self, name: str) -> bytes:
        """Return what is in a file."""
        with self._fs.open_input_stream(self._at(name)) as stream:
            return bytes(stream.readall())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file at once, as ``write_text`` does."""
        with self._replaced(name) as stream:
            stream.write(data)

    def write_file(self, name: str, file: IO[bytes]) -> None:
        """Write a file from an opened one, from its start; durable where it is local.

        Two writers of the same name do not meet: the last one's file stays.
        """
        file.seek(0)
        with self._replaced(name, is_durable=True) as stream:
            shutil.copyfileobj(file, stream, _COPY_BYTES)

    def make(self) -> None:
        """Make the folder itself, if it is missing."""
        self._fs.create_dir(self.path, recursive=True)

    def read_table(self, name: str) -> pa.Table:
        """Return the rows of a Parquet file."""
        with self._fs.open_input_file(self._at(name)) as stream:
            return pq.read_table(stream)

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a Parquet file, a piece at a time."""
        with self._fs.open_input_file(self._at(name)) as stream:
            yield from pq.ParquetFile(stream).iter_batches(1 << 17, columns=[*columns])

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file at once, as ``write_text`` does."""
        with self._replaced(name) as stream:
            pq.write_table(table, stream, compression="zstd")

    @contextmanager
    def _replaced(
        self, name: str, *, is_durable: bool = False
    ) -> Iterator[pa.NativeFile]:
        """Open a stream whose bytes are seen as a whole, or not at all."""
        target = self._at(name)
        parent = str(PurePosixPath(target).parent)
        self._fs.create_dir(parent, recursive=True)
        # An object store replaces an object at once; a file system by a rename.
        part = target
        if self.is_local:
            own = f".{secrets.token_hex(8)}" if is_durable else ""
            part = f"{target}{own}.part"
        with self._fs.open_output_stream(part) as stream:
            yield stream
        if part != target:
            if is_durable:
                _to_disk(part)
            self._fs.move(part, target)
            if is_durable:
                _to_disk(parent)

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder."""
        self._fs.move(self._at(source), self._at(target))

    def delete(self, name: str) -> None:
        """Delete a file or folder, if it is there."""
        info = self._fs.get_file_info(self._at(name))
        if info.type == fs.FileType.Directory:
            self._fs.delete_dir(self._at(name))
        elif info.type == fs.FileType.File:
            self._fs.delete_file(self._at(name))


def _to_disk(path: str) -> None:
    """Wait until a local file, or a folder's list of files, is on its disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare_storage(root: str, *, format_version: int, code_version: str) -> Folder:
    """Make the warehouse's folder, or check that this version may use it.

    Raises
    ------
    TableError
        If the folder cannot be written, or a newer version wrote it.
    """
    try:
        folder = Folder(root)
        found: dict[str, Any] | None = None
        if folder.exists(FORMAT_FILE):
            found = json.loads(folder.read_text(FORMAT_FILE))
        else:
            marker = {"format_version": format_version, "code_version": code_version}
            folder.write_text(FORMAT_FILE, json.dumps(marker))
    except (OSError, ValueError) as error:
        msg = (
            f"storage.root: expected a folder that can be written, got {root!r} "
            f"({error}). Choose another with --set storage.root=FOLDER."
        )
        raise TableError(msg) from error
    if found is not None and int(found["format_version"]) > format_version:
        msg = (
            f"storage.root: {root!r} was written by acav_spark {found['code_version']} "
            f"in format {found['format_version']}; this is {code_version}, which knows "
            f"formats up to {format_version}. Install the newer version, or choose "
            "another storage.root."
        )
        raise TableError(msg)
    return folder


def read_only_storage(root: str, *, format_version: int) -> Folder:
    """Return the folder of an existing warehouse.

    Raises
    ------
    TableError
        If there is none, or a newer version wrote it.
    """
    folder = Folder(root)
    if not folder.exists(FORMAT_FILE):
        msg = (
            f"storage.root: there is no warehouse in {root!r}. "
            "Run 'acav run' first, or name another with --set storage.root=FOLDER."
        )
        raise TableError(msg)
    return prepare_storage(root, format_version=format_version, code_version="")
