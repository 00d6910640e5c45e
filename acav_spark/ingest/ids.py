"""Ids of videos and clips, and the hashes that stand for chance.

Ids are text that tables are keyed on, not file names: a given id may hold any
printable character.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_ID_DIGITS = 15
# Nine digits of milliseconds are eleven days, longer than any video.
_MS_DIGITS = 9
_MAX_MS = 10**_MS_DIGITS - 1
_CLIP_ID = re.compile(
    rf"(.+)_([0-9]{{{_MS_DIGITS}}})_([0-9]{{{_MS_DIGITS}}})", re.DOTALL
)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_YOUTUBE_HOSTS = {
    "youtube.com",
    "www.youtube.com",
    "m.youtube.com",
    "music.youtube.com",
    "www.youtube-nocookie.com",
}


class ClipKey(NamedTuple):
    """What a clip's id says: its video and its half-open range in milliseconds."""

    video_id: str
    start_ms: int
    end_ms: int


def video_id_from_uri(uri: str) -> str:
    """Return the id of a video that has none: ``v`` and 15 hex digits of its URI.

    The same URI gives the same id on every machine. 60 bits: among 140 million
    videos, two share an id with a chance of 0.9 %.
    """
    digest = hashlib.blake2b(_bytes(uri), digest_size=8).hexdigest()
    return f"v{digest[:_ID_DIGITS]}"


def youtube_id(uri: str) -> str | None:
    """Return the id of the YouTube video at a URL, or None if it is no such URL."""
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").lower()
        fields = parse_qs(parts.query, max_num_fields=20)
    except ValueError:  # a broken address, or more fields than any watch URL has
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None
    found = ""
    if host == "youtu.be":
        found = parts.path[1:].split("/")[0]
    elif host in _YOUTUBE_HOSTS:
        match = re.match(r"/(?:embed|shorts|live|v)/([^/]+)", parts.path)
        found = match[1] if match else fields.get("v", [""])[0]
    return found if is_youtube_id(found) else None


def is_youtube_id(text: str) -> bool:
    """Return whether text has the form of a YouTube video's id."""
    return _YOUTUBE_ID.fullmatch(text) is not None


def youtube_url(video_id: str) -> str:
    """Return the URL at which YouTube shows a video."""
    return f"https://www.youtube.com/watch?v={video_id}"


def clip_id(video_id: str, start_s: float, end_s: float) -> str:
    """Return the id of a clip: video, start and end in milliseconds.

    Parameters
    ----------
    video_id : str
        Id of the video, not empty.
    start_s, end_s : float
        Half-open range in seconds, rounded to milliseconds.

    Returns
    -------
    str
        ``dQw4w9WgXcQ_000010000_000020000``. Milliseconds have nine digits, so that
        the ids of one video sort by time.

    Raises
    ------
    ValueError
        If the range is empty, negative or not finite, or ends after eleven days.
    """
    if not (0 <= start_s < end_s <= _MAX_MS / 1000):
        msg = (
            f"clip_id: expected 0 <= start_s < end_s <= {_MAX_MS / 1000}, got "
            f"{start_s} and {end_s} for video {video_id[:100]!r}."
        )
        raise ValueError(msg)
    start_ms, end_ms = round(start_s * 1000), round(end_s * 1000)
    if start_ms == end_ms or not video_id:
        msg = (
            "clip_id: expected a video id and a range of at least 1 ms, got "
            f"{video_id[:100]!r}, {start_s} and {end_s}."
        )
        raise ValueError(msg)
    return f"{video_id}_{start_ms:0{_MS_DIGITS}d}_{end_ms:0{_MS_DIGITS}d}"


def parse_clip_id(clip_id: str) -> ClipKey:
    """Return what a clip's id says.

    Raises
    ------
    ValueError
        If ``clip_id`` did not make it; imported items keep ids of their own.
    """
    match = _CLIP_ID.fullmatch(clip_id)
    if match is None or int(match[2]) >= int(match[3]):
        msg = (
            "parse_clip_id: expected VIDEO_STARTMS_ENDMS with nine digits each, got "
            f"{clip_id[:100]!r}."
        )
        raise ValueError(msg)
    return ClipKey(match[1], int(match[2]), int(match[3]))


def stable_hash(seed: int, item_id: str) -> int:
    """Return a number in [0, 2**63) that depends on seed and id alone.

    The numbers of many ids are as good as drawn at random, yet the same on every
    machine and partition: sort or cut by them where something is to be drawn.
    """
    digest = hashlib.blake2b(_bytes(f"{seed}:{item_id}"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _bytes(text: str) -> bytes:
    # File names that are not UTF-8 reach Python as lone surrogates.
    return text.encode("utf-8", "surrogatepass")
