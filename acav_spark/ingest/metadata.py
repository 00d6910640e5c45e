"""One shape for a row of video metadata, whatever its columns are called."""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from acav_spark.errors import ConfigError, MediaError
from acav_spark.ingest.durations import parse_duration
from acav_spark.ingest.ids import (
    is_youtube_id,
    video_id_from_uri,
    youtube_id,
    youtube_url,
)

MISSING_URI: Final = "missing_uri"
BAD_ROW: Final = "bad_row"

CODES: Final[dict[str, str]] = {
    MISSING_URI: "A row of metadata that does not say where its video is.",
    BAD_ROW: "A row of metadata with a value that cannot be used.",
}

# Columns that fill a field when the mapping does not name one, best first; compared
# without regard to case and to anything but letters and digits.
COMMON_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "video_id": ("video_id", "vid_id", "youtube_id", "ytid", "yt_id", "id"),
    "uri": (
        "uri",
        "url",
        "webpage_url",
        "video_url",
        "video_uri",
        "path",
        "file_path",
        "video_path",
        "file",
        "filename",
        "file_name",
    ),
    "title": ("title", "video_title"),
    "description": ("description",),
    "channel_id": ("channel_id", "uploader_id"),
    "category": ("category", "category_id", "categories"),
    "tags": ("tags", "keywords"),
    "licence": ("licence", "license"),
    "duration_s": (
        "duration_s",
        "duration",
        "duration_seconds",
        "duration_sec",
        "length_s",
        "length",
        "length_seconds",
        "length_sec",
    ),
    "language": ("language", "lang", "default_audio_language", "default_language"),
    "region": ("region", "region_code", "country", "country_code"),
}
FIELDS: Final = tuple(COMMON_COLUMNS)

_MAX_TEXT_CHARS = 100_000
_MAX_ID_CHARS = 200
_MAX_URI_CHARS = 8_192
_MAX_TAGS = 10_000
# An item of a list as Python or JSON prints it; its own quotes are escaped.
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class VideoRow:
    """What is known of one video; None where the metadata does not say.

    Parameters
    ----------
    video_id : str
        As given, or YouTube's, or made of the URI.
    uri : str
        Where the video is, as given; a relative path stays relative.
    title, description, channel_id, category, licence, language, region : str, optional
        As given, without spaces around them. The region is that of the list which the
        video is in, such as ``BR``; names of categories depend on it.
    tags : list of str
        Empty where there are none.
    duration_s : float, optional
        Duration in seconds.
    """

    video_id: str
    uri: str
    title: str | None
    description: str | None
    channel_id: str | None
    category: str | None
    tags: list[str]
    licence: str | None
    duration_s: float | None
    language: str | None
    region: str | None = None


def known_columns(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the column that fills each field, for the fields that have one.

    Parameters
    ----------
    columns : sequence of str
        The columns that there are.
    mapping : mapping of str to str
        Columns that the user named, by field; the other fields go by common names.

    Raises
    ------
    ConfigError
        If a named column is not there, or neither ``uri`` nor ``video_id`` has one.
    """
    for field, column in mapping.items():
        if field not in COMMON_COLUMNS:
            msg = (
                f"input.columns: expected keys from {', '.join(FIELDS)}, got {field!r}."
            )
            raise ConfigError(msg)
        if column not in columns:
            near = difflib.get_close_matches(column, columns, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            msg = (
                f"input.columns.{field}: expected one of the columns "
                f"{', '.join(columns)[:1000]}, got {column!r}.{guess}"
            )
            raise ConfigError(msg)
    found = dict(_columns(tuple(columns), tuple(mapping.items())))
    if "uri" not in found and "video_id" not in found:
        msg = (
            "input.columns: expected a column for uri or video_id, got none among "
            f"{', '.join(columns)[:1000]}. Name it: input.columns.uri=COLUMN."
        )
        raise ConfigError(msg)
    return found


def normalise_row(row: Mapping[str, object], mapping: Mapping[str, str]) -> VideoRow:
    """Return a row of metadata in our shape.

    Parameters
    ----------
    row : mapping of str to object
        Values by column, as a CSV, JSON Lines or Parquet file has them. Empty text
        and NaN count as missing.
    mapping : mapping of str to str
        Columns by field, as the user or ``known_columns`` gave them; the other fields
        go by common names.

    Returns
    -------
    VideoRow
        A YouTube id without a URI becomes the URL that YouTube shows it at. A
        duration in no known form counts as missing.

    Raises
    ------
    MediaError
        ``missing_uri`` where the row does not say where the video is; ``bad_row`` for
        a value that is too long or of a kind that its field cannot have.
    """
    columns = _columns(tuple(row), tuple(mapping.items()))
    values = {field: row[column] for field, column in columns.items()}
    video_id = _text("video_id", values.get("video_id"), _MAX_ID_CHARS)
    uri = _text("uri", values.get("uri"), _MAX_URI_CHARS)
    if uri is None:
        if video_id is None or not is_youtube_id(video_id):
            shown = f"video_id {video_id!r}" if video_id else "no video_id either"
            message = f"expected a URI or a YouTube id, got no URI and {shown}"
            raise MediaError(MISSING_URI, message)
        uri = youtube_url(video_id)
    for field, text in (("video_id", video_id or ""), ("uri", uri)):
        if _CONTROL.search(text) or _SURROGATE.search(text):
            message = f"{field}: expected printable text, got {text[:100]!a}"
            raise MediaError(BAD_ROW, message)
    return VideoRow(
        video_id=video_id or youtube_id(uri) or video_id_from_uri(uri),
        uri=uri,
        title=_text("title", values.get("title")),
        description=_text("description", values.get("description")),
        channel_id=_text("channel_id", values.get("channel_id")),
        category=_category(values.get("category")),
        tags=_tags(values.get("tags")),
        licence=_text("licence", values.get("licence")),
        duration_s=parse_duration(values.get("duration_s")),
        language=_text("language", values.get("language")),
        region=_text("region", values.get("region")),
    )


@functools.lru_cache(maxsize=1024)
def _columns(
    columns: tuple[str, ...], mapping: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Return the column of each field; named ones that are absent have none.

    Rows of one file mostly share their columns, so this is computed once for all.
    """
    named = dict(mapping)
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_plain(column), column)
    found: dict[str, str] = {}
    for field, names in COMMON_COLUMNS.items():
        if field in named:
            if named[field] in columns:
                found[field] = named[field]
            continue
        candidates = (by_name.get(_plain(name)) for name in names)
        usable = [c for c in candidates if c is not None and c not in named.values()]
        if usable:
            found[field] = usable[0]
    return found


def _plain(name: str) -> str:
    return "".join(c for c in str(name).casefold() if c.isalnum())


def _is_missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _text(field: str, value: object, max_chars: int = _MAX_TEXT_CHARS) -> str | None:
    """Return a value as text without spaces around it, or None if it is missing."""
    if _is_missing(value):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        message = f"{field}: expected text, got {type(value).__name__}"
        raise MediaError(BAD_ROW, message)
    text = str(value).strip()
    if len(text) > max_chars:
        message = f"{field}: expected at most {max_chars} characters, got {len(text)}"
        raise MediaError(BAD_ROW, message)
    if field in ("uri", "video_id"):
        return text
    # Half an emoji, which cut titles end in, is no text that Arrow can hold.
    return _SURROGATE.sub("\ufffd", text)


def _category(value: object) -> str | None:
    """Return the category; the first, where there is a list of them."""
    if isinstance(value, float) and value.is_integer():
        # A column of ids with gaps reaches us as floats.
        value = int(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if value else None
    return _text("category", value)


def _tags(value: object) -> list[str]:
    """Return tags from a list, or from text in one of the forms that lists have."""
    if _is_missing(value):
        return []
    items: Sequence[object]
    if isinstance(value, str):
        items = _split(_text("tags", value) or "")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        items = value
    elif hasattr(value, "tolist"):
        items = value.tolist()
    else:
        message = f"tags: expected a list or text, got {type(value).__name__}"
        raise MediaError(BAD_ROW, message)
    if len(items) > _MAX_TAGS:
        message = f"tags: expected at most {_MAX_TAGS}, got {len(items)}"
        raise MediaError(BAD_ROW, message)
    found = (_text("tags", item) for item in items)
    return [tag for tag in found if tag is not None]


def _split(text: str) -> Sequence[object]:
    """Return the tags in text: a printed list, or parted by bars or commas."""
    if text.casefold() in ("[none]", "[]"):
        return []
    if text.startswith("[") and text.endswith("]"):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            # Python prints lists with single quotes.
            return [_unescaped(a or b) for a, b in _QUOTED.findall(text)]
        return items if isinstance(items, list) else [text]
    separator = "|" if "|" in text else ","
    return [item.strip().strip('"') for item in text.split(separator)]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(['\"\\])", r"\1", text)
