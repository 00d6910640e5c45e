"""Layouts of video metadata that are known: where each has the fields of a video.

A path names a value inside a record: ``snippet.title``, ``categories[0]``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from acav_spark.errors import ConfigError
from acav_spark.ingest.metadata import FIELDS, known_columns

Fields = tuple[tuple[str, tuple[str, ...]], ...]

# When the metadata was fetched, best first; not when the video was published.
FETCHED_COLUMNS: Final = (
    "fetched_at",
    "fetch_time",
    "fetch_date",
    "retrieved_at",
    "crawled_at",
    "scraped_at",
    "trending_date",
    "epoch",
)

_YEAR_DAY_MONTH = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{2})")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]+)?")
_MAX_EPOCH_S = 1e11  # larger numbers are milliseconds
_NO_VIDEO = "which holds no videos"


@dataclass(frozen=True)
class Layout:
    """Where a kind of metadata has what we read.

    Parameters
    ----------
    name : str
        For the log and the column ``source``.
    fields : tuple of (str, tuple of str)
        Paths of each field, best first; the first that has a value is read.
    fetched : tuple of str
        Paths of the time at which the metadata was fetched.
    container : str
        Key of a list of records that a record may be; empty where there is none.
    """

    name: str
    fields: Fields
    fetched: tuple[str, ...] = ()
    container: str = ""

    @property
    def paths(self) -> list[str]:
        """Every path that is read, each once."""
        found = [path for _, paths in self.fields for path in paths]
        return list(dict.fromkeys([*found, *self.fetched]))


# An item of a playlist or of a search has another id, or a pair, in ``id``.
_IDS_OF_OTHERS = ("contentDetails.videoId", "snippet.resourceId.videoId", "id.videoId")

YOUTUBE_API: Final = Layout(
    "youtube_api",
    (
        (
            "video_id",
            (
                "contentDetails.videoId",
                "snippet.resourceId.videoId",
                "id.videoId",
                "id",
            ),
        ),
        ("title", ("snippet.title",)),
        ("description", ("snippet.description",)),
        ("channel_id", ("snippet.channelId",)),
        ("category", ("snippet.categoryId",)),
        ("tags", ("snippet.tags",)),
        ("licence", ("status.license",)),
        ("duration_s", ("contentDetails.duration",)),
        ("language", ("snippet.defaultAudioLanguage", "snippet.defaultLanguage")),
    ),
    ("fetched_at",),
    "items",
)
"""Items of videos.list of the YouTube Data API v3, or whole responses."""

YT_DLP: Final = Layout(
    "yt_dlp",
    (
        ("video_id", ("id",)),
        # ``url`` is that of a stream, which expires.
        ("uri", ("webpage_url", "original_url")),
        ("title", ("title", "fulltitle")),
        ("description", ("description",)),
        ("channel_id", ("channel_id", "uploader_id")),
        ("category", ("categories[0]",)),
        ("tags", ("tags",)),
        ("licence", ("license",)),
        ("duration_s", ("duration", "duration_string")),
        ("language", ("language",)),
    ),
    ("epoch",),
    "entries",
)
"""info.json of yt-dlp, of a video or a playlist."""

URL_JSON: Final = Layout(
    "url_json",
    (
        ("video_id", ("video_id",)),
        ("uri", ("uri",)),
        ("title", ("LatestDAFeature.Title",)),
        ("description", ("LatestDAFeature.Description",)),
        ("category", ("LatestDAFeature.YouTubeCategory",)),
        ("duration_s", ("MediaVersionList[0].Duration", "LatestDAFeature.VideoLength")),
    ),
)
"""Lines of the paper's released code: URL or YouTube id, a tab, an object.

What is before the tab is read as ``uri`` or ``video_id``.
"""

URI_LIST: Final = Layout("uri_list", (("uri", ("uri",)), ("video_id", ("video_id",))))
"""A URI or a YouTube id a line."""


def layout_of_record(
    record: Mapping[str, object], mapping: Mapping[str, str], *, name: str = "json"
) -> Layout:
    """Return the layout of records like this one.

    Parameters
    ----------
    record : mapping of str to object
        One record, or the keys of several with a value of each.
    mapping : mapping of str to str
        Paths by field that the user named; they replace the layout's own.
    name : str
        What a layout is called that is none of the known ones.

    Raises
    ------
    ConfigError
        If it holds no videos, no known field, or not what the user named.
    """
    kind = str(record.get("kind") or "")
    items = record.get("items")
    if kind.startswith("youtube#") and isinstance(items, Sequence) and items:
        first = items[0]
        kind = str(first.get("kind") or kind) if isinstance(first, Mapping) else kind
    if kind.startswith("youtube#") and not _is_of_videos(kind):
        msg = f"expected metadata of videos, got {kind}, {_NO_VIDEO}"
        raise ConfigError(msg)
    if kind.startswith("youtube#") or _is_object(record, "snippet") or _is_items(items):
        return with_columns(YOUTUBE_API, mapping)
    if "downloaded_from" in record:
        # Our own file, which no name that is meant for other inputs applies to.
        return layout_of_columns(list(record), {}, name="download")
    is_yt_dlp = "webpage_url" in record or "extractor_key" in record
    if is_yt_dlp and ("id" in record or "entries" in record):
        return with_columns(YT_DLP, mapping)
    return layout_of_columns(list(record), mapping, name=name)


def layout_of_columns(
    columns: Sequence[str], mapping: Mapping[str, str], *, name: str
) -> Layout:
    """Return the layout of a table with these columns, by their common names.

    Raises
    ------
    ConfigError
        If neither a URI nor an id is among them, or not what the user named.
    """
    # A path into a column is there where its column is.
    nested = [p for p in mapping.values() if _head(p) in columns and p not in columns]
    fields = known_columns([*columns, *nested], mapping)
    by_name = {re.sub(r"[^a-z0-9]", "", c.casefold()): c for c in columns}
    fetched = [by_name.get(c.replace("_", "")) for c in FETCHED_COLUMNS]
    known = tuple(c for c in fetched if c is not None)
    if {"video_id", "trending_date"} <= set(columns):
        name = "youtube_trending"
    ordered = tuple((f, (fields[f],)) for f in FIELDS if f in fields)
    return Layout(name, ordered, known)


def with_columns(layout: Layout, mapping: Mapping[str, str]) -> Layout:
    """Return a layout in which the fields that the user named are read from there."""
    own = dict(layout.fields)
    own.update({field: (path,) for field, path in mapping.items()})
    fields = tuple((f, own[f]) for f in FIELDS if f in own)
    return replace(layout, fields=fields)


def parse_moment(text: str | None) -> float | None:
    """Return a point in time in seconds since 1970 (UTC), or None where there is none.

    Parameters
    ----------
    text : str, optional
        ISO 8601, a number of seconds or milliseconds since 1970, or the form of the
        public trending lists, two digits each of year, day and month: ``18.31.01``.
    """
    text = (text or "").strip()
    if not text or len(text) > 64:
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number / 1000 if number > _MAX_EPOCH_S else number
    parts = _YEAR_DAY_MONTH.fullmatch(text)
    try:
        if parts is not None:
            year, day, month = (int(part) for part in parts.groups())
            moment = dt.datetime(2000 + year, month, day, tzinfo=dt.UTC)
        else:
            moment = dt.datetime.fromisoformat(text)
    except ValueError:  # another form, or no such day
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()


def region_of_file(name: str) -> str | None:
    """Return the region that the name of a trending list begins with, or None."""
    match = re.fullmatch(r"([A-Z]{2})_?(?:youtube_trending_data|videos)\.csv.*", name)
    return match[1] if match else None


def _is_of_videos(kind: str) -> bool:
    return kind.startswith(
        ("youtube#video", "youtube#playlistItem", "youtube#search")
    ) and not kind.startswith(("youtube#videoCategory", "youtube#videoAbuse"))


def _is_object(record: Mapping[str, object], key: str) -> bool:
    return isinstance(record.get(key), Mapping)


def _is_items(items: object) -> bool:
    return (
        isinstance(items, Sequence)
        and not isinstance(items, str)
        and bool(items)
        and isinstance(items[0], Mapping)
        and "snippet" in items[0]
    )


def _head(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]
