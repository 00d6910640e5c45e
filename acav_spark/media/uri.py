"""Paths as URIs and back, whatever bytes a file name holds."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote, unquote_to_bytes

from acav_spark.errors import MediaError
from acav_spark.media import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_MAX_SHOWN = 200


def uri_from_path(path: str | os.PathLike[str]) -> str:
    """Return the ``file://`` URI of a path, made absolute but not resolved.

    Bytes outside the unreserved characters are percent-encoded, so that every file
    name, also one that is not UTF-8, gives one line of ASCII.
    """
    return "file://" + quote_from_bytes(os.fsencode(Path(path).absolute()))


def scheme_of(uri: str) -> str:
    """Return the scheme of a URI in small letters; ``file`` for a plain path."""
    match = _SCHEME.match(uri)
    return "file" if match is None else match[1].lower()


def shown_uri(uri: str) -> str:
    """Return a URI for messages: short, without user, password, query and fragment.

    Queries of signed addresses are credentials. In local paths ``?``, ``#`` and ``@``
    are characters like others.
    """
    if scheme_of(uri) != "file":
        place, rest = _place_and_rest(without_user(uri))
        uri = f"{place}{rest and '?...'}"
    return uri if len(uri) <= _MAX_SHOWN else uri[: _MAX_SHOWN - 3] + "..."


def without_user(uri: str) -> str:
    """Return a URI that is not a local path without user and password."""
    if scheme_of(uri) == "file":
        return uri
    place, rest = _place_and_rest(uri)
    scheme, colon, host_path = place.partition(":")
    slashes = "//" if host_path.startswith("//") else ""
    host, slash, path = host_path.removeprefix("//").partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme}{colon}{slashes}{host}{slash}{path}{rest}"


def stem_of(uri: str) -> str:
    """Return the name, without folder and ending, that a remote URI ends in."""
    place, _ = _place_and_rest(uri)
    return PurePosixPath(unquote(place.partition("://")[2])).stem


def require_scheme(uri: str, allowed_schemes: Sequence[str]) -> str:
    """Return the scheme of a URI that may be opened.

    Raises
    ------
    MediaError
        ``scheme_not_allowed``; ``invalid_uri`` for one that carries a user or
        password, which would end up in tables.
    """
    scheme = scheme_of(uri)
    if scheme not in allowed_schemes:
        message = (
            f"expected a URI with scheme {', '.join(allowed_schemes) or '(none)'}, "
            f"got {shown_uri(uri)!r}"
        )
        raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
    if scheme == "file":
        return scheme
    place, _ = _place_and_rest(uri)
    host = place.partition(":")[2].removeprefix("//").partition("/")[0]
    user, at_sign, _ = host.rpartition("@")
    # abfs://container@account/... has no user in that place.
    if at_sign and (scheme in ("http", "https") or ":" in user):
        message = (
            f"expected no user or password in {shown_uri(uri)!r}: they would be "
            "stored. Give credentials to the environment of the workers"
        )
        raise MediaError(codes.INVALID_URI, message)
    return scheme


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
    scheme = require_scheme(uri, allowed_schemes)
    if scheme != "file":
        message = f"the scheme {scheme!r} cannot be read as a local file: "
        message += repr(shown_uri(uri))
        raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
    match = _SCHEME.match(uri)
    raw = os.fsencode(uri) if match is None else _path_bytes(uri[match.end() :], uri)
    if not raw.startswith(b"/") or b"\0" in raw:
        message = f"expected an absolute path or file:///path, got {uri[:200]!r}"
        raise MediaError(codes.INVALID_URI, message)
    return Path(os.fsdecode(raw))


def _place_and_rest(uri: str) -> tuple[str, str]:
    """Return a URI up to its query or fragment, and these."""
    place = re.split(r"[?#]", uri, maxsplit=1)[0]
    return place, uri[len(place) :]


def _path_bytes(rest: str, uri: str) -> bytes:
    """Return the path after ``file:``; '?' and '#' belong to file names here."""
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            message = f"expected file:///path without a host, got {uri[:200]!r}"
            raise MediaError(codes.INVALID_URI, message)
        rest = "/" + path
    return unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))
