"""What ``acav download`` is given: one address, a list, metadata or a warehouse."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from acav_spark.download.items import Item, item_from_text, items_from_lines
from acav_spark.errors import ConfigError
from acav_spark.ingest.ids import is_youtube_id
from acav_spark.ingest.sources import TABLE_PREFIX, Source, find_sources, is_delta
from acav_spark.media.uri import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Input:
    """What an input is, and how it is read.

    Parameters
    ----------
    items : iterable of Item, optional
        Where it can be read without Spark.
    videos : str, optional
        A table ``videos`` of a warehouse.
    sources : tuple of Source
        Metadata that Spark reads.
    """

    items: Iterable[Item] | None = None
    videos: str | None = None
    sources: tuple[Source, ...] = ()


def find_input(given: str, form: str, mapping: Mapping[str, str]) -> Input:
    """Return what an input is.

    Parameters
    ----------
    given : str
        An address, a YouTube id, a list of them, metadata as ``ingest_videos`` reads
        it, or the folder of a warehouse.
    form : str
        As ``input.format``.
    mapping : mapping of str to str
        As ``input.columns``.

    Raises
    ------
    ConfigError
        If it is not there, or no metadata.
    """
    is_there = Path(given).exists()
    if not is_there and (scheme_of(given) in ("http", "https") or is_youtube_id(given)):
        return Input(items=[item_from_text(given)])
    if not given.startswith(TABLE_PREFIX):
        for folder in (given.rstrip("/"), f"{given.rstrip('/')}/videos"):
            if folder.endswith("/videos") and is_delta(folder):
                return Input(videos=folder)
    sources = tuple(find_sources([given], form, mapping))
    if any(source.format == "media" for source in sources):
        msg = (
            "INPUT: expected addresses, metadata or a warehouse, got "
            f"{given!r}, which is a file or folder of media."
        )
        raise ConfigError(msg)
    if is_there and all(source.format == "uris" for source in sources):
        return Input(items=items_from_lines(read_lines(given)))
    return Input(sources=sources)


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of a text file, packed or not, without what is blank.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    system = fs.LocalFileSystem()
    try:
        with (
            system.open_input_stream(path, compression="detect") as stream,
            io.TextIOWrapper(stream, encoding="utf-8-sig") as text,
        ):
            yield from (line.strip() for line in text if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        msg = f"INPUT: expected a text file in UTF-8, got {path!r} ({error})."
        raise ConfigError(msg) from error
