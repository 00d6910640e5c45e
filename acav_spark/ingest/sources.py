"""What ``input.uri`` names: media, or metadata in which format and layout.

Names of files decide where they can, content where they cannot; everything is found
before Spark starts, except what only Spark can read.
"""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pyarrow import fs

from acav_spark.errors import ConfigError
from acav_spark.ingest.layouts import Layout, region_of_file
from acav_spark.ingest.sniffing import HEAD_BYTES, Sniffed, has_metadata_magic, sniff
from acav_spark.media.listing import list_media
from acav_spark.media.uri import path_from_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TABLE_PREFIX: Final = "table:"

_logger = logging.getLogger(__name__)

_ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".txt": "uris",
}
_COMPRESSED = (".gz", ".bz2")
# Lies beside metadata, and is none.
_ASIDE = (".md", ".rst", ".crc", ".sha256", ".md5")
# The manifest that tells a folder of ``acav download``, and its metadata.
_DOWNLOADS = "downloads.jsonl"
_DOWNLOADED = "metadata.jsonl"
_MAGIC = re.compile(r"[*?\[]")
_MAX_SNIFFED = 10_000
_N_THREADS = 16


@dataclass(frozen=True)
class Source:
    """Files, or a table, that are read in one go.

    Parameters
    ----------
    format : str
        ``media``, ``csv``, ``json``, ``url_json``, ``uris``, ``parquet``, ``delta`` or
        ``table``.
    files : tuple of str
        What is read: paths or URIs; of media the input as it was named, of a table its
        name.
    sniffed : Sniffed, optional
        Layout and form of what is no table.
    region : str, optional
        What the files' names say.
    base : str
        Folder from which partitions (``date=2020-01-01``) are told.
    """

    format: str
    files: tuple[str, ...]
    sniffed: Sniffed | None = None
    region: str | None = None
    base: str = ""

    @property
    def layout(self) -> Layout:
        """Layout of what was looked into."""
        if self.sniffed is None:
            msg = f"{self.format} is no format that is looked into"
            raise ValueError(msg)
        return self.sniffed.layout


def find_sources(
    uris: Iterable[str], form: str = "auto", mapping: Mapping[str, str] | None = None
) -> list[Source]:
    """Return what each input is, and how it is read.

    Parameters
    ----------
    uris : iterable of str
        Folders, globs, files, Delta folders, ``table:NAME``.
    form : str, default "auto"
        What all inputs are; ``auto`` goes by names and content.
    mapping : mapping of str to str, optional
        Columns or paths that the user named, by field.

    Returns
    -------
    list of Source
        Files of one layout are one source.

    Raises
    ------
    ConfigError
        If nothing is named, metadata is not there, empty or of no known layout.
    StageError
        If there is no such folder, file or pattern of media.
    """
    form = "json" if form == "jsonl" else form
    found = [source for uri in uris for source in _found(uri, form, mapping or {})]
    if not found:
        msg = (
            "input.uri: expected a folder, glob, table or metadata file, got nothing. "
            "Name it with --set input.uri=FOLDER."
        )
        raise ConfigError(msg)
    return found


def _found(uri: str, form: str, mapping: Mapping[str, str]) -> list[Source]:
    if uri.startswith(TABLE_PREFIX):
        return [Source("table", (uri.removeprefix(TABLE_PREFIX),))]
    if form == "media":
        list_media(uri)
        return [Source("media", (uri,))]
    if form == "auto" and _kind(f"{uri.rstrip('/')}/{_DOWNLOADS}") is fs.FileType.File:
        # What was downloaded has its metadata beside it, and ids of its own.
        uri, form = f"{uri.rstrip('/')}/{_DOWNLOADED}", "json"
    if form == "delta" or is_delta(uri):
        return [Source("delta", (_for_spark(uri),))]
    try:
        files = _metadata_files(uri, form)
    except PermissionError:
        # What may not be looked at is a row of failures among media.
        files = None
    if files is None:
        list_media(uri)
        return [Source("media", (uri,))]
    if not files:
        msg = (
            f"input.uri: expected a file of metadata, or a folder or pattern of such, "
            f"got {uri!r}, which does not exist or is empty. Check the path."
        )
        raise ConfigError(msg)
    parquet = [f for f in files if _form_of(f, form) == "parquet"]
    sources = _sniffed([f for f in files if f not in set(parquet)], uri, form, mapping)
    if parquet:
        base = uri if _kind(uri) is fs.FileType.Directory else ""
        paths = tuple(_for_spark(f) for f in parquet)
        sources.append(Source("parquet", paths, base=_for_spark(base) if base else ""))
    return sources


def _metadata_files(uri: str, form: str) -> list[str] | None:
    """Return the files of metadata, or None where the input is media."""
    files: list[str] = []
    for file in _files(uri):
        name = PurePosixPath(file).name
        # Spark and Hadoop mark with these what is no data; yt-dlp hides nothing.
        if name.startswith(("_", ".")) and file != uri:
            continue
        if form == "auto" and _form_of(file) is None:
            if name.lower().endswith(_ASIDE):
                continue
            if file != uri or not has_metadata_magic(_head(file)):
                return None
        files.append(file)
    if not files and form == "auto" and _form_of(uri) is None:
        return None
    return sorted(files)


def _form_of(file: str, form: str = "auto") -> str | None:
    """Return the format that a name's ending stands for, or the one that is set."""
    if form != "auto":
        return form
    name = file.lower().rstrip("/")
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return _ENDINGS.get(PurePosixPath(name).suffix)


def _files(uri: str) -> Iterator[str]:
    """Yield the files that an input names, a folder's as far as they are asked for."""
    kind = _kind(uri)
    if kind is fs.FileType.File:
        yield uri
    elif kind is fs.FileType.Directory:
        yield from _below(uri)
    elif _MAGIC.search(uri) and "://" not in _local(uri):
        # Path.glob takes no absolute patterns.
        for path in sorted(glob.iglob(_local(uri), recursive=True)):  # noqa: PTH207
            yield from _below(path) if Path(path).is_dir() else (path,)
    elif _MAGIC.search(uri):
        base = _MAGIC.split(uri, maxsplit=1)[0].rpartition("/")[0]
        for path in _below(base):
            if PurePosixPath(path).match(uri):
                yield path


def _below(folder: str) -> Iterator[str]:
    if "://" not in _local(folder):
        for parent, folders, names in os.walk(_local(folder), onerror=_raise):
            folders[:] = sorted(f for f in folders if not f.startswith(("_", ".")))
            yield from (f"{parent}/{name}" for name in sorted(names))
        return
    system, path = _system(folder)
    scheme = folder.partition("://")[0]
    selector = fs.FileSelector(path, recursive=True)
    for info in system.get_file_info(selector):
        if info.type is fs.FileType.File:
            yield f"{scheme}://{info.path}"


def _raise(error: OSError) -> None:
    raise error


def _sniffed(
    files: list[str], uri: str, form: str, mapping: Mapping[str, str]
) -> list[Source]:
    """Look into files, and return those of one layout and form together."""
    known = files[:_MAX_SNIFFED]

    def look(file: str) -> Sniffed | None:
        return sniff(_head(file), _form_of(file, form), mapping, name=file)

    with ThreadPoolExecutor(_N_THREADS) as pool:
        found = list(pool.map(look, known))
    groups: dict[tuple[Sniffed, str | None], list[str]] = defaultdict(list)
    for file, sniffed in zip(known, found, strict=True):
        if sniffed is None:
            _logger.warning("skipped an empty file file=%s", file)
            continue
        groups[sniffed, region_of_file(PurePosixPath(file).name)].append(file)
    if files and not groups:
        msg = f"input.uri: expected metadata, got {uri!r}, which is empty."
        raise ConfigError(msg)
    rest = files[_MAX_SNIFFED:]
    if rest and len(groups) > 1:
        msg = (
            f"input.uri: expected at most {_MAX_SNIFFED} files where they are of "
            f"several layouts, got {len(files)} in {uri!r}. Name a folder for each "
            "layout: input.uri=[FOLDER, FOLDER]."
        )
        raise ConfigError(msg)
    for members in groups.values():
        members += rest
    return [
        Source(sniffed.format, tuple(map(_for_spark, members)), sniffed, region)
        for (sniffed, region), members in groups.items()
    ]


def is_delta(uri: str) -> bool:
    """Return whether a folder is a Delta table."""
    return _kind(f"{uri.rstrip('/')}/_delta_log") is fs.FileType.Directory


def _kind(uri: str) -> fs.FileType:
    system, path = _system(uri)
    try:
        return system.get_file_info(path).type
    except PermissionError:
        return fs.FileType.Unknown


def _head(file: str) -> bytes:
    """Return the beginning of a file, as it is when unpacked."""
    system, path = _system(file)
    try:
        with system.open_input_stream(path, compression="detect") as stream:
            return bytes(stream.read(HEAD_BYTES))
    except OSError as error:
        msg = f"input.uri: expected a file that can be read, got {file!r} ({error})."
        raise ConfigError(msg) from error


def _system(uri: str) -> tuple[fs.FileSystem, str]:
    local = _local(uri)
    if "://" not in local:
        return fs.LocalFileSystem(), os.path.abspath(local)  # noqa: PTH100 - keeps ..
    try:
        system, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    except (OSError, ValueError) as error:
        msg = (
            f"input.uri: expected a local path or a URI of an object store, got "
            f"{uri!r} ({error})."
        )
        raise ConfigError(msg) from error
    return system, path


def _local(uri: str) -> str:
    """Return the path of a local URI; others as they are."""
    return str(path_from_uri(uri)) if uri.startswith("file:") else uri


def _for_spark(file: str) -> str:
    """Return a file's name as Spark reads it: nothing in it is a pattern."""
    local = _local(file)
    if "://" not in local:
        # Without a scheme Spark would look in the cluster's own file system.
        file = f"file://{Path(local).absolute()}"
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", file)
