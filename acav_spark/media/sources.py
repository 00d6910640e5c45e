"""Where media comes from: one way to open a URI, local or remote.

``open_source`` returns what the functions of ``acav_spark.media.isolated`` take in the
place of a path. A local file is opened by the decoding child; the bytes of a remote one
are served to it, since it has no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.closing import Closing
from acav_spark.media.sources_rules import NetworkTime, SourceRules
from acav_spark.media.sources_spool import (
    RangeSource,
    RemoteSource,
    SpooledSource,
    require_size,
    retrying,
)
from acav_spark.media.uri import path_from_uri, require_scheme, shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from acav_spark.media.sources_fsspec import FsspecRemote
    from acav_spark.media.sources_http import HttpRemote

__all__ = [
    "LatestSource",
    "LocalSource",
    "MediaPlace",
    "RangeSource",
    "RemoteSource",
    "Source",
    "SourceRules",
    "SpooledSource",
    "open_source",
    "require_readable_schemes",
]

_HTTP: Final = ("http", "https")


@dataclass(frozen=True)
class LocalSource(Closing):
    """A file that the decoding child opens by itself; a path like others.

    Parameters
    ----------
    path : Path
        Where it is.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name without folder and ending."""
        return self.path.stem

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


Source = LocalSource | RangeSource | SpooledSource
"""What ``open_source`` returns; close it after use."""

MediaPlace = str | os.PathLike[str] | RemoteSource
"""What the functions of ``acav_spark.media.isolated`` take: a path or a source."""


def open_source(uri: str, rules: SourceRules) -> Source:
    """Open what a URI names, by its scheme.

    Parameters
    ----------
    uri : str
        An absolute path, ``file://``, ``http://``, ``https://``, or what fsspec reads.
    rules : SourceRules
        Which schemes and addresses are allowed, and what one source may take.

    Returns
    -------
    LocalSource, RangeSource or SpooledSource
        A local file, whose existence is not checked; a remote one that is read by
        ranges; or one that is fetched whole now, as its server gives no ranges.

    Raises
    ------
    MediaError
        ``scheme_not_allowed``, ``invalid_uri``, ``address_not_allowed`` and the other
        codes of what can be wrong with a server.
    DependencyError
        If the package for the scheme is not installed.
    """
    scheme = require_scheme(uri, rules.allowed_schemes)
    if scheme == "file":
        return LocalSource(path_from_uri(uri, rules.allowed_schemes))
    remote: HttpRemote | FsspecRemote
    # Modules are imported when the first such URI comes: most runs have none.
    if scheme in _HTTP:
        from acav_spark.media.sources_http import HttpRemote

        remote_class: type[HttpRemote] | type[FsspecRemote] = HttpRemote
    else:
        from acav_spark.media.sources_fsspec import FsspecRemote

        remote_class = FsspecRemote
    network_time = NetworkTime(rules, shown_uri(uri))
    remote = remote_class(uri, rules, network_time)
    try:
        retrying(remote.open, rules, network_time, remote.name)
        if remote.size_bytes is None:
            return SpooledSource(remote, rules, network_time)
        require_size(remote.size_bytes, rules.max_bytes, remote.name)
        if remote.size_bytes == 0:
            raise MediaError(codes.EMPTY_FILE, f"{remote.name!r} has no bytes")
        return RangeSource(remote, rules, network_time, size_bytes=remote.size_bytes)
    except BaseException:
        remote.close()
        raise


class LatestSource(Closing):
    """Keeps the source opened last, since clips of one file follow one another.

    Parameters
    ----------
    rules : SourceRules
        As in ``open_source``.
    """

    def __init__(self, rules: SourceRules) -> None:
        self._rules = rules
        self._uri: str | None = None
        self._source: Source | None = None

    def open(self, uri: str) -> Source:
        """Return the source of a URI, valid until the next one is asked for."""
        if self._source is None or uri != self._uri:
            self.close()
            self._source, self._uri = open_source(uri, self._rules), uri
        return self._source

    def close(self) -> None:
        """Close the source opened last, if there is one."""
        source, self._source = self._source, None
        if source is not None:
            source.close()


def require_readable_schemes(schemes: Iterable[str]) -> None:
    """Check before a job starts that all schemes it may meet can be read.

    Raises
    ------
    ConfigError
        For a scheme that nothing here reads.
    DependencyError
        If the package for one is not installed.
    """
    for scheme in schemes:
        if scheme not in ("file", *_HTTP):
            from acav_spark.media.sources_fsspec import require_file_system

            require_file_system(scheme)
