"""Files of object stores and other systems that fsspec knows.

fsspec itself is a dependency; what speaks to a certain store (s3fs, gcsfs, adlfs) is
for the user to install, and its credentials are those of the workers' environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from acav_spark.errors import ConfigError, DependencyError, MediaError
from acav_spark.media import codes
from acav_spark.media.uri import scheme_of, shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acav_spark.media.sources_rules import NetworkTime, SourceRules

_PIECE_BYTES: Final = 4 * 2**20
# In these the URI names a bucket at a service that the environment names. Elsewhere
# it names a host, whose address fsspec looks up by itself, unchecked.
_OF_SERVICES: Final = frozenset(
    [
        "s3",
        "s3a",
        "gs",
        "gcs",
        "abfs",
        "abfss",
        "az",
        "adl",
        "oss",
        "oci",
        "hf",
        "memory",
    ]
)


def require_file_system(scheme: str) -> None:
    """Check that a scheme can be read here.

    Raises
    ------
    ConfigError
        For a scheme that fsspec does not know.
    DependencyError
        If the package that reads it is not installed.
    """
    _file_system_class(scheme)


class FsspecRemote:
    """A file of a system that fsspec knows.

    Parameters
    ----------
    uri : str
        ``s3://bucket/key`` and the like.
    rules : SourceRules
        Addresses and limits.
    network_time : NetworkTime
        What is left for the network; running while any method is called.

    Attributes
    ----------
    name : str
        The URI for messages.
    size_bytes : int or None
        Size of the file; None where the system does not say it.
    """

    def __init__(self, uri: str, rules: SourceRules, network_time: NetworkTime) -> None:
        self.uri = uri
        self.name = shown_uri(uri)
        self.size_bytes: int | None = None
        self._rules = rules
        self._time = network_time
        self._version = ""
        scheme = scheme_of(uri)
        if scheme not in _OF_SERVICES and not rules.allow_private_addresses:
            message = (
                f"{self.name!r}: addresses of {scheme!r} cannot be checked. Set "
                "input.allow_private_addresses if you trust all URIs of the input"
            )
            raise MediaError(codes.ADDRESS_NOT_ALLOWED, message)
        self._class = _file_system_class(scheme)

    def open(self) -> None:
        """Learn the size and the version of the file.

        Raises
        ------
        MediaError
            ``not_found``, ``permission_denied``, ``not_a_regular_file``, or what the
            network does.
        """
        facts, self._version = self._call(self._facts)
        if facts.get("type") == "directory":
            message = f"{self.name!r} is a folder"
            raise MediaError(codes.NOT_A_REGULAR_FILE, message)
        size = facts.get("size")
        self.size_bytes = size if isinstance(size, int) else None

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [first, end) of the file that was opened.

        Raises
        ------
        MediaError
            ``source_changed``, ``incomplete_download``, or what the network does.
        """
        for place in range(first, end, _PIECE_BYTES):
            stop = min(place + _PIECE_BYTES, end)
            piece = self._call(lambda a=place, b=stop: self._range(a, b))
            _, version = self._call(self._facts)
            if version != self._version:
                message = f"{self.name!r} has another version than before"
                raise MediaError(codes.SOURCE_CHANGED, message, is_permanent=False)
            if len(piece) != stop - place:
                message = f"{self.name!r} gave {len(piece)} of {stop - place} bytes"
                raise MediaError(codes.INCOMPLETE_DOWNLOAD, message, is_permanent=False)
            yield piece

    def all_pieces(self) -> Iterator[bytes]:
        """Yield the whole file."""
        file = self._call(self._opened)
        try:
            while piece := self._call(lambda: file.read(_PIECE_BYTES)):
                yield bytes(piece)
        finally:
            file.close()

    def close(self) -> None:
        """Do nothing: fsspec keeps its own connections."""

    def _system(self) -> tuple[Any, str]:
        """Return the file system, one for each process, and the path in it."""
        options = self._class._get_kwargs_from_urls(self.uri)
        return self._class(**options), self._class._strip_protocol(self.uri)

    def _facts(self) -> tuple[dict[str, Any], str]:
        system, path = self._system()
        system.invalidate_cache(path)
        return system.info(path), str(system.ukey(path))

    def _range(self, first: int, end: int) -> bytes:
        system, path = self._system()
        return bytes(system.cat_file(path, start=first, end=end))

    def _opened(self) -> Any:  # noqa: ANN401 - each file system has its own kind
        system, path = self._system()
        return system.open(path, "rb", block_size=_PIECE_BYTES)

    def _call(self, function: Any) -> Any:  # noqa: ANN401 - returns what it returns
        """Call fsspec within the time for one answer; its errors become ours."""
        try:
            return self._time.bounded(function)
        except MediaError:
            raise
        except FileNotFoundError as error:
            message = f"{self.name!r} does not exist"
            raise MediaError(codes.NOT_FOUND, message) from error
        except PermissionError as error:
            message = f"{self.name!r} may not be read with the credentials at hand"
            raise MediaError(codes.PERMISSION_DENIED, message) from error
        except Exception as error:
            # Each file system has errors of its own; they become a row of failures.
            from acav_spark.media.sources_connection import told

            message = f"{self.name!r} cannot be read: {told(error)}"
            raise MediaError(
                codes.CONNECTION_FAILED, message, is_permanent=False
            ) from error


def _file_system_class(scheme: str) -> Any:  # noqa: ANN401 - fsspec has no types
    import fsspec
    from fsspec.registry import known_implementations

    try:
        return fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        msg = (
            f"input.allowed_schemes: expected file, http, https or a scheme of fsspec, "
            f"got {scheme!r}, which it does not know. Leave it out."
        )
        raise ConfigError(msg) from error
    except ImportError as error:
        known = known_implementations.get(scheme, {})
        package = str(known.get("class", scheme)).partition(".")[0]
        msg = (
            f"input.allowed_schemes: {scheme}:// needs the package {package!r} on the "
            f"driver and the workers. {known.get('err') or ''} "
            f"(pip install {package})."
        )
        raise DependencyError(msg) from error
