"""What is to be downloaded, and what its files are called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from acav_spark.errors import MediaError
from acav_spark.ingest.ids import is_youtube_id, video_id_from_uri, youtube_id
from acav_spark.ingest.metadata import FIELDS, VideoRow, normalise_row
from acav_spark.media.uri import without_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MEDIA_ENDINGS: Final = (
    "avi",
    "flv",
    "m4v",
    "mkv",
    "mov",
    "mp4",
    "mpeg",
    "mpg",
    "ogv",
    "ts",
    "webm",
)
"""Addresses of such names are asked for media before yt-dlp is."""

_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SAFE_ENDING: Final = re.compile(r"[a-z0-9]{1,5}")
_IDENTITY: Final = {field: field for field in FIELDS}


@dataclass(frozen=True)
class Item:
    """One video that is wanted, or a row that cannot be one.

    Parameters
    ----------
    video_id : str
        Its id, as ``videos`` has it.
    uri : str
        Address of the file, or of a page that yt-dlp knows.
    row : VideoRow, optional
        What the input says of it.
    error : MediaError, optional
        Why it cannot be fetched; nothing is tried then.
    """

    video_id: str
    uri: str
    row: VideoRow | None = None
    error: MediaError | None = None


def item_from_row(raw: Mapping[str, object]) -> Item:
    """Return the item of a row whose columns are named as ``VideoRow``'s fields."""
    try:
        row = normalise_row(raw, _IDENTITY)
    except MediaError as error:
        uri = str(raw.get("uri") or "")
        item_id = video_id_from_uri(uri or repr(sorted(raw.items(), key=str)))
        return Item(item_id, without_user(uri), error=error)
    return Item(row.video_id, row.uri, row)


def item_from_text(text: str) -> Item:
    """Return the item of a URI or a YouTube id."""
    text = text.strip()
    field = "video_id" if is_youtube_id(text) else "uri"
    return item_from_row({field: text})


def items_from_lines(lines: Iterable[str]) -> Iterator[Item]:
    """Yield the items of a list of URIs; what begins with ``#`` is a comment."""
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            yield item_from_text(line)


def is_media_uri(uri: str) -> bool:
    """Return whether an address has the name of a media file."""
    return ending_of(uri) in MEDIA_ENDINGS


def ending_of(uri: str) -> str:
    """Return the ending of the file's name in an address, in small letters."""
    try:
        path = unquote(urlsplit(uri).path)
    except ValueError:
        return ""
    return PurePosixPath(path).suffix[1:].lower()


def file_stem(video_id: str) -> str:
    """Return the name, with a folder, that a video's files have.

    An id that is no plain name is replaced by its hash. Folders are two hexadecimal
    digits of a hash, so that none has very many files.
    """
    name = video_id if _SAFE_NAME.fullmatch(video_id) else video_id_from_uri(video_id)
    shard = hashlib.blake2b(video_id.encode("utf-8", "replace"), digest_size=1)
    return f"{shard.hexdigest()}/{name}"


def safe_ending(*candidates: str) -> str:
    """Return the first that can end a file's name; ``mp4`` where none can."""
    for candidate in candidates:
        if _SAFE_ENDING.fullmatch(candidate.lower()) and candidate != "unknown":
            return candidate.lower()
    return "mp4"


def archive_line(item: Item, info: Mapping[str, object]) -> str:
    """Return what stands for a video in yt-dlp's download archives.

    The site and its id; of files that are on no site, whose ids yt-dlp makes of their
    names, ``acav`` and our id.
    """
    known = youtube_id(item.uri)
    if known is not None:
        return f"youtube {known}"
    site = str(info.get("extractor_key") or "").lower()
    site_id = info.get("id")
    if site and site != "generic" and site_id is not None:
        return f"{site} {site_id}"
    return f"acav {item.video_id}"
