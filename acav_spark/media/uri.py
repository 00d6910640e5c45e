"""Paths as URIs and back, whatever bytes a file name holds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from acav_spark.errors import MediaError
from acav_spark.media import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")


def uri_from_path(path: str | os.PathLike[str]) -> str:
    """Return the ``file://`` URI of a path, made absolute but not resolved.

    Bytes outside the unreserved characters are percent-encoded, so that every file
    name, also one that is not UTF-8, gives one line of ASCII.
    """
    return "file://" + quote_from_bytes(os.fsencode(Path(path).absolute()))


def path_from_uri(uri: str, allowed_schemes: Sequence[str] = ("file",)) -> Path:
    """Return the local path that a URI, or an absolute path, names.

    Parameters
    ----------
    uri : str
        ``file:///percent%20encoded``, or an absolute path, taken as it is.
    allowed_schemes : sequence of str, default ("file",)
        A plain path counts as ``file``.

    Raises
    ------
    MediaError
        ``scheme_not_allowed`` for other schemes, ``invalid_uri`` for what is neither.
    """
    match = _SCHEME.match(uri)
    scheme = "file" if match is None else match[1].lower()
    if scheme not in allowed_schemes:
        message = (
            f"expected a URI with scheme {', '.join(allowed_schemes) or '(none)'}, "
            f"got {uri[:200]!r}"
        )
        raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
    if scheme != "file":
        message = f"the scheme {scheme!r} cannot be read as a local file: {uri[:200]!r}"
        raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
    raw = os.fsencode(uri) if match is None else _path_bytes(uri[match.end() :], uri)
    if not raw.startswith(b"/") or b"\0" in raw:
        message = f"expected an absolute path or file:///path, got {uri[:200]!r}"
        raise MediaError(codes.INVALID_URI, message)
    return Path(os.fsdecode(raw))


def _path_bytes(rest: str, uri: str) -> bytes:
    """Return the path after ``file:``; '?' and '#' belong to file names here."""
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            message = f"expected file:///path without a host, got {uri[:200]!r}"
            raise MediaError(codes.INVALID_URI, message)
        rest = "/" + path
    return unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))
